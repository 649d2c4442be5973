//! `cargo xtask bench`: the built Worker side by side with plain JavaScript and the bare runtime.

use std::num::NonZeroUsize;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::{build, paths, run};

/// The load generator must not be what limits the run, and should not take minutes to compile either.
const PROFILE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_BENCH_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_BENCH_LTO", "off"),
    ("CARGO_PROFILE_BENCH_CODEGEN_UNITS", "16"),
];

/// What is measured on its own.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Part {
    /// How many webhooks a second, and what one costs
    Webhooks,
    /// How many streams of audio in time, and what one costs
    Streams,
    /// Ten thousand meetings booked, two hundred going on
    Load,
    /// How long a cold start takes
    StartUp,
    /// How big the Workers are
    Size,
    /// An hour of fifty meetings, ten times as fast: takes a quarter of an hour
    Hour,
}

impl Part {
    /// As the benchmark's own flag names it.
    fn name(self) -> &'static str {
        match self {
            Self::Webhooks => "webhooks",
            Self::Streams => "streams",
            Self::Load => "load",
            Self::StartUp => "start-up",
            Self::Size => "size",
            Self::Hour => "hour",
        }
    }
}

/// Measures, a little or in full, all but the hour or only some parts, and keeps the tables if that is wanted.
pub(crate) fn run(
    quick: bool,
    write: bool,
    rounds: Option<NonZeroUsize>,
    only: &[Part],
) -> Result<()> {
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
        .args(rounds.map(|rounds| format!("--rounds={rounds}")))
        .args(only.iter().flat_map(|part| ["--only", part.name()]))
        .envs(PROFILE)
        .current_dir(paths::root());
    run::shown(&mut command)
}
