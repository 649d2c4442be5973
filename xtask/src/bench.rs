//! `cargo xtask bench`: the built Worker side by side with plain JavaScript and the bare runtime.

use std::process::Command;

use anyhow::Result;

use crate::{build, paths, run};

/// The load generator must not be what limits the run, and should not take minutes to compile either.
const PROFILE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_BENCH_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_BENCH_LTO", "off"),
    ("CARGO_PROFILE_BENCH_CODEGEN_UNITS", "16"),
];

/// Measures, a little or in full, and keeps the tables if that is wanted.
pub(crate) fn run(quick: bool, write: bool) -> Result<()> {
    build::run()?;
    let mut command = Command::new("cargo");
    command
        .args([
            "run",
            "--quiet",
            "--profile",
            "bench",
            "--package",
            "attache-bench",
            "--",
        ])
        .args(quick.then_some("--quick"))
        .args(write.then_some("--write"))
        .envs(PROFILE)
        .current_dir(paths::root());
    run::shown(&mut command)
}
