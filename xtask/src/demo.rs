//! `cargo xtask demo` and `cargo xtask dev`: programs of the tests' crate, run on a built Worker.

use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, ensure};

use crate::{build, paths, run};

/// Plays a simulated meeting and tells whether everything happened.
pub(crate) fn run(presence: &str, keep: bool) -> Result<()> {
    build::run()?;
    let mut arguments = vec!["--presence", presence];
    arguments.extend(keep.then_some("--keep"));
    program("demo", &arguments)
}

/// Plays both demos: the meeting without a face meanwhile, shown once the other is over.
pub(crate) fn both() -> Result<()> {
    build::run()?;
    let mut voice = command("demo", &["--presence", "voice"]);
    let voice = thread::spawn(move || voice.output());
    let avatar = program("demo", &["--presence", "avatar"]);
    let voice = voice.join().ok().context("the demo broke off")?;
    let voice = voice.context("could not start the demo")?;
    print!("{}", String::from_utf8_lossy(&voice.stdout));
    eprint!("{}", String::from_utf8_lossy(&voice.stderr));
    ensure!(
        voice.status.success(),
        "the demo without a face: {}",
        voice.status
    );
    avatar
}

/// Runs the Worker for development, simulated vendors where no key is set.
pub(crate) fn dev(port: u16) -> Result<()> {
    build::run()?;
    program("dev", &["--port", &port.to_string()])
}

fn program(name: &str, arguments: &[&str]) -> Result<()> {
    run::shown(&mut command(name, arguments))
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
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
        .current_dir(paths::root());
    command
}
