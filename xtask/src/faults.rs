//! `cargo xtask faults`: the whole fault matrix, and `docs/faults.md` from it.

use std::process::Command;

use anyhow::Result;

use crate::{build, paths, run};

/// Tries every fault of every call, and writes the page, or only compares it with what was seen.
pub(crate) fn run(check: bool) -> Result<()> {
    build::run()?;
    let mode = if check { "whole" } else { "write" };
    run::shown(
        Command::new("cargo")
            .args(["test", "--package", "attache-tests", "--test", "faults"])
            .env("ATTACHE_FAULTS", mode)
            .current_dir(paths::root()),
    )
}
