//! The browser that the page is tested in: whatever Chromium the machine has, or Debian's.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{run, say};

/// Names under which distributions install it.
const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Names the executable for programs that need it.
pub(crate) const VARIABLE: &str = "CHROMIUM_BIN";

/// Finds a Chromium, or installs Debian's package where that is allowed.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    if !(is_root() && on_path("apt-get").is_some()) {
        bail!(
            "no Chromium found: install it (Debian, Ubuntu: `sudo apt-get install chromium`), \
             or set {VARIABLE} to one"
        );
    }
    say::step(
        "Installing",
        "Debian's chromium: runs the page in the tests",
    );
    apt_get(&["update", "--quiet=2"])?;
    apt_get(&[
        "install",
        "--quiet=2",
        "--yes",
        "--no-install-recommends",
        "chromium",
        "fonts-dejavu-core",
    ])?;
    find().context("the package chromium was installed, but there is no such program")
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    run::shown(
        Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()),
    )
}

fn find() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| on_path(name))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
