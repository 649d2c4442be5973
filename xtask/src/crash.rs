//! `cargo xtask crash`: many meetings at once in a runtime that is killed again and again.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::{build, paths, run};

/// How much is killed.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How often the runtime is killed
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// How many meetings go on at once
    #[arg(long, default_value_t = 100)]
    meetings: usize,
    /// Repeats the plans and moments of an earlier run; what the machine makes of them differs
    #[arg(long)]
    seed: Option<u64>,
    /// Adds a row about this run to docs/crashes.md
    #[arg(long)]
    write: bool,
}

/// Kills, and judges every meeting.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    build::run()?;
    let mut command = Command::new("cargo");
    command
        .args(["run", "--quiet", "--package", "attache-tests", "--bin"])
        .args(["crash", "--", "--kills", &arguments.kills.to_string()])
        .args(["--meetings", &arguments.meetings.to_string()])
        .args(arguments.seed.map(|seed| format!("--seed={seed}")))
        .args(arguments.write.then_some("--write"))
        .current_dir(paths::root());
    run::shown(&mut command)
}
