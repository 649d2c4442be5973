//! The runtime's configuration: one Worker, its bindings, its objects on a local disk.
//!
//! The three differ only in their modules and in what they bind: date and storage are the same.

use std::path::Path;

use crate::subject::{DIRECTORY, Module, Subject};

/// The name of the socket in the configuration.
pub(crate) const SOCKET: &str = "http";
/// The name of the folder with the databases in the configuration.
pub(crate) const STORAGE: &str = "storage";

/// Writes the configuration of a Worker with these variables.
pub(crate) fn write(
    subject: Subject,
    compatibility_date: &str,
    variables: &[(&str, String)],
) -> String {
    let modules: Vec<String> = subject.modules().iter().map(module).collect();
    let mut bindings: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("(name = {}, text = {})", quoted(name), quoted(value)))
        .collect();
    let objects: &[(&str, &str)] = match subject {
        Subject::Attache => &[("MEETINGS", "MeetingObject"), ("TENANTS", "TenantObject")],
        Subject::JavaScript | Subject::Bare => &[("MEETINGS", "MeetingObject")],
    };
    for (binding, class) in objects {
        bindings.push(format!(
            "(name = \"{binding}\", durableObjectNamespace = \"{class}\")"
        ));
    }
    if subject == Subject::Attache {
        bindings.push("(name = \"DIRECTORY\", kvNamespace = \"directory\")".to_owned());
    }
    let namespaces: Vec<String> = objects
        .iter()
        .map(|(_, class)| {
            format!("(className = \"{class}\", uniqueKey = \"{class}\", enableSql = true)")
        })
        .collect();
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [{modules}],
      compatibilityDate = "{compatibility_date}",
      bindings = [{bindings}],
      durableObjectNamespaces = [{namespaces}],
      durableObjectStorage = (localDisk = "{STORAGE}"),
    )),
    (name = "directory", worker = (
      modules = [{directory}],
      compatibilityDate = "{compatibility_date}",
    )),
    (name = "{STORAGE}", disk = (writable = true)),
    # The simulated vendors are on this machine.
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "{SOCKET}", service = "main")],
);
"#,
        modules = modules.join(", "),
        bindings = bindings.join(",\n        "),
        namespaces = namespaces.join(", "),
        directory = module(&DIRECTORY),
    )
}

fn module(module: &Module) -> String {
    let name = module.name;
    let is_wasm = Path::new(name)
        .extension()
        .is_some_and(|kind| kind == "wasm");
    let kind = if is_wasm { "wasm" } else { "esModule" };
    format!("(name = \"{name}\", {kind} = embed \"{name}\")")
}

/// A text literal.
fn quoted(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    format!("\"{escaped}\"")
}
