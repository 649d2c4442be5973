//! The checkout's own toolchain, by which everything but the Worker's wasm is built and by which the Worker is checked.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{paths, run, say};

/// What the Worker is compiled for.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Makes sure that the toolchain can compile for the Worker's target.
///
/// `rust-toolchain.toml` names it, but where the toolchain is there already without it, rustup may leave it so.
pub(crate) fn ensure_wasm() -> Result<()> {
    let output = Command::new("rustc")
        .args(["--target", WASM, "--print", "target-libdir"])
        .current_dir(paths::root())
        .output()
        .context("could not start rustc")?;
    ensure!(output.status.success(), "rustc does not know {WASM}");
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists() {
        return Ok(());
    }
    say::step("Installing", &format!("Rust's standard library for {WASM}"));
    run::shown(
        Command::new("rustup")
            .args(["--quiet", "target", "add", WASM])
            .current_dir(paths::root()),
    )
    .context("is rustup installed, and is there a network?")
}
