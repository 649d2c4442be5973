//! The runtime itself, as npm installs it for wrangler, and the date that decides how it behaves.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::home::checkout;

/// Garbage is collected by the main thread alone. On a machine with two cores V8 has one thread beside it, and the local
/// runtime has been seen to stand still until the test gave up, probably as the two wait for each other: the main thread
/// runs V8's tasks until the other has swept, and the other waits until the main one has collected.
pub(crate) const V8_FLAGS: &str = "--single-threaded-gc";

/// The package's own executable: the one in `.bin` may be a script that starts it, whose processor time and end are not
/// the runtime's.
pub fn executable() -> Result<PathBuf> {
    let packages = checkout().join("node_modules/@cloudflare");
    let found = fs::read_dir(packages)
        .context("the npm packages are not installed")?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("workerd-"))
        .map(|entry| entry.path().join("bin/workerd"))
        .find(|path| path.exists());
    found.context("the runtime is not among the npm packages")
}

/// The compatibility date of `wrangler.toml`.
pub fn compatibility_date() -> Result<String> {
    let text = fs::read_to_string(checkout().join("wrangler.toml"))
        .context("could not read wrangler.toml")?;
    let config: toml::Table = text.parse().context("wrangler.toml is not TOML")?;
    let date = config
        .get("compatibility_date")
        .and_then(toml::Value::as_str);
    Ok(date
        .context("wrangler.toml has no compatibility date")?
        .to_owned())
}
