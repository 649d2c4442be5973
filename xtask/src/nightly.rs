//! The nightly compiler that builds the Worker with unwinding panics.
//!
//! `worker-build` asks for the toolchain called `nightly`. What that means differs from machine to machine and from
//! day to day, so it gets a folder of stand-ins for cargo, rustc and rustup first on its `PATH`: they put a dated
//! toolchain in place of the word and hand on to the real ones. The user's own `nightly` is neither used nor changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::toolchain::WASM;
use crate::{paths, run, say};

const PINNED: &str = "nightly-2026-05-20";

/// A usable nightly toolchain.
pub(crate) struct Nightly {
    name: &'static str,
}

impl Nightly {
    /// Makes `command` and what it starts use this toolchain in place of the checkout's own.
    pub(crate) fn choose(&self, command: &mut Command) {
        // cargo sets it for what it runs, to the cargo of the checkout's toolchain.
        command.env_remove("CARGO");
        command.env_remove("RUSTC");
        command.env("RUSTUP_TOOLCHAIN", self.name);
    }

    /// Makes `command` and what it starts see this toolchain under the name `nightly`.
    pub(crate) fn apply(&self, command: &mut Command, other_paths: &[PathBuf]) -> Result<()> {
        let stand_ins = paths::tools().join("nightly-stand-ins");
        write_stand_ins(&stand_ins)?;
        let mut first = vec![stand_ins];
        first.extend_from_slice(other_paths);
        command.env("ATTACHE_NIGHTLY", self.name);
        command.env("ATTACHE_PATH", paths::path_with(other_paths));
        command.env("PATH", paths::path_with(&first));
        Ok(())
    }
}

/// Finds the pinned toolchain, or installs it, or falls back to the user's `nightly` with a note.
pub(crate) fn ensure() -> Result<Nightly> {
    // Two builds at a time must not install the same toolchain; the second waits and finds it.
    let _only_one = paths::lock("nightly")?;
    if is_complete(PINNED) {
        return Ok(Nightly { name: PINNED });
    }
    say::step(
        "Installing",
        &format!("Rust {PINNED}: builds the Worker so that a panic costs one request only"),
    );
    match install() {
        Ok(()) => Ok(Nightly { name: PINNED }),
        Err(_) if is_complete("nightly") => {
            say::note(&format!(
                "{PINNED} could not be installed; using the toolchain `nightly` of this machine"
            ));
            Ok(Nightly { name: "nightly" })
        }
        Err(error) => Err(error.context("is rustup installed, and is there a network?")),
    }
}

fn install() -> Result<()> {
    run::shown(
        Command::new("rustup")
            .args([
                "--quiet",
                "toolchain",
                "install",
                PINNED,
                "--no-self-update",
            ])
            .args([
                "--profile",
                "minimal",
                "--component",
                "rust-src",
                "--target",
                WASM,
            ]),
    )
}

/// Whether the toolchain is there with the standard library's source and the wasm target.
fn is_complete(toolchain: &str) -> bool {
    let rustc = |arguments: &[&str]| {
        let output = Command::new("rustup")
            .args(["run", toolchain, "rustc"])
            .args(arguments)
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())?;
        Some(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    };
    let source = rustc(&["--print", "sysroot"])
        .map(|sysroot| sysroot.join("lib/rustlib/src/rust/library/Cargo.lock"));
    let target = rustc(&["--target", WASM, "--print", "target-libdir"]);
    [source, target]
        .into_iter()
        .all(|path| path.is_some_and(|path| path.exists()))
}

fn write_stand_ins(folder: &PathBuf) -> Result<()> {
    fs::create_dir_all(folder).context("could not create the folder for the stand-ins")?;
    for program in ["cargo", "rustc", "rustup"] {
        let path = folder.join(program);
        let script = STAND_IN.replace("{program}", program);
        if fs::read_to_string(&path).is_ok_and(|present| present == script) {
            continue;
        }
        fs::write(&path, script).with_context(|| format!("could not write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("could not make {} executable", path.display()))?;
    }
    Ok(())
}

/// Puts the pinned toolchain in place of the word `nightly`, then becomes the real program.
const STAND_IN: &str = r#"#!/bin/sh
# Written by `cargo xtask build`.
PATH="$ATTACHE_PATH"
export PATH
for argument do
  shift
  case "$argument" in
    +nightly) argument="+$ATTACHE_NIGHTLY" ;;
    nightly) argument="$ATTACHE_NIGHTLY" ;;
  esac
  set -- "$@" "$argument"
done
exec {program} "$@"
"#;
