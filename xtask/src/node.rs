//! The npm packages: what the build, the local runtime, the page and its tests need, and the Node that they want.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{paths, run, say};

/// Installs the packages of `package-lock.json` unless exactly they are installed.
pub(crate) fn ensure_packages() -> Result<()> {
    let lock = fs::read(paths::root().join("package-lock.json"))
        .context("package-lock.json is missing")?;
    let installed = paths::root().join("node_modules/.attache-lock");
    if fs::read(&installed).is_ok_and(|copy| copy == lock)
        && paths::node_bin().join("wrangler").exists()
    {
        return Ok(());
    }
    say::step(
        "Installing",
        "npm packages: wrangler, esbuild, TypeScript, LiveKit's client and their Node",
    );
    run::shown(
        Command::new("npm")
            .args([
                "ci",
                "--no-audit",
                "--no-fund",
                "--no-progress",
                "--loglevel=error",
            ])
            .stdout(std::process::Stdio::null())
            .current_dir(paths::root()),
    )
    .context("is Node with npm installed? Any version will do")?;
    fs::write(&installed, lock).context("could not note what was installed")?;
    Ok(())
}

/// The Node of the packages, started in the checkout.
pub(crate) fn program() -> Command {
    let mut command = Command::new(paths::node_bin().join("node"));
    command.current_dir(paths::root());
    command
}
