//! `cargo xtask soak`: random whole meetings on a virtual clock, for as long as wanted, on every core.

use std::process::Command;

use anyhow::Result;

use crate::{paths, run};

/// Millions of steps are worth an optimized build, but no minutes of compiling.
const PROFILE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_BENCH_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_BENCH_LTO", "off"),
    ("CARGO_PROFILE_BENCH_CODEGEN_UNITS", "16"),
];

/// Lives meetings for so many minutes; the program that does it says what it finds, and fails if a promise is broken.
pub(crate) fn run(minutes: f64, seed: Option<u64>) -> Result<()> {
    let mut command = Command::new("cargo");
    command
        .args([
            "run",
            "--quiet",
            "--profile",
            "bench",
            "--package",
            "attache-model",
            "--bin",
            "soak",
            "--",
        ])
        .args(["--minutes", &minutes.to_string()])
        .args(
            seed.into_iter()
                .flat_map(|seed| ["--seed".to_owned(), seed.to_string()]),
        )
        .envs(PROFILE)
        .current_dir(paths::root());
    run::shown(&mut command)
}
