//! `cargo xtask demo` and `cargo xtask dev`: programs of the tests' crate, run on a built Worker.

use std::process::Command;

use anyhow::Result;

use crate::{build, paths, run};

/// Plays a simulated meeting and tells whether everything happened.
pub(crate) fn run(presence: &str, keep: bool) -> Result<()> {
    build::run()?;
    let mut arguments = vec!["--presence", presence];
    arguments.extend(keep.then_some("--keep"));
    program("demo", &arguments)
}

/// Runs the Worker for development, simulated vendors where no key is set.
pub(crate) fn dev(port: u16) -> Result<()> {
    build::run()?;
    program("dev", &["--port", &port.to_string()])
}

fn program(name: &str, arguments: &[&str]) -> Result<()> {
    run::shown(
        Command::new("cargo")
            .args([
                "run",
                "--quiet",
                "--package",
                "attache-tests",
                "--bin",
                name,
                "--",
            ])
            .args(arguments)
            .current_dir(paths::root()),
    )
}
