//! The runtime's configuration: for each branch a front, a Worker and its directory, all objects on one disk.

use std::fmt::Write as _;

use crate::settings::Settings;
use crate::workerd::V8_FLAGS;

/// The name of the folder with the databases in the configuration.
pub(super) const STORAGE: &str = "storage";

/// The name of a branch's socket in the configuration.
pub(super) fn door(branch: usize) -> String {
    format!("door{branch}")
}

/// Writes the configuration of branches with these settings.
pub(super) fn write(compatibility_date: &str, branches: &[Settings]) -> String {
    let mut services = String::new();
    let mut sockets = String::new();
    for (number, settings) in branches.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(services, "{}", branch(number, compatibility_date, settings));
        let name = door(number);
        let _ = writeln!(
            sockets,
            r#"    (name = "{name}", service = "front{number}"),"#
        );
    }
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = ["{V8_FLAGS}"],
  services = [
{services}    (name = "{STORAGE}", disk = (writable = true)),
    # The simulated vendors are on this machine.
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [
{sockets}  ],
);
"#
    )
}

fn branch(number: usize, date: &str, settings: &Settings) -> String {
    let set = settings.iter().filter_map(|(name, value)| {
        let (name, value) = (quoted(name), quoted(value?));
        Some(format!("        (name = {name}, text = {value}),\n"))
    });
    let variables: String = set.collect();
    format!(
        r#"    (name = "front{number}", worker = (
      modules = [(name = "front.js", esModule = embed "front.js")],
      compatibilityDate = "{date}",
      bindings = [(name = "WORKER", service = "worker{number}")],
    )),
    (name = "worker{number}", worker = (
      modules = [
        (name = "index.js", esModule = embed "index.js"),
        (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
      ],
      compatibilityDate = "{date}",
      bindings = [
{variables}        (name = "MEETINGS", durableObjectNamespace = "MeetingObject"),
        (name = "TENANTS", durableObjectNamespace = "TenantObject"),
        (name = "DIRECTORY", kvNamespace = "directory{number}"),
      ],
      durableObjectNamespaces = [
        (className = "MeetingObject", uniqueKey = "meetings{number}", enableSql = true),
        (className = "TenantObject", uniqueKey = "tenants{number}", enableSql = true),
      ],
      durableObjectStorage = (localDisk = "{STORAGE}"),
    )),
    (name = "directory{number}", worker = (
      modules = [(name = "directory.js", esModule = embed "directory.js")],
      compatibilityDate = "{date}",
      bindings = [(name = "DIRECTORY", durableObjectNamespace = "Directory")],
      durableObjectNamespaces = [
        (className = "Directory", uniqueKey = "directory{number}", enableSql = true),
      ],
      durableObjectStorage = (localDisk = "{STORAGE}"),
    )),
"#
    )
}

/// A text literal.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    format!("\"{escaped}\"")
}
