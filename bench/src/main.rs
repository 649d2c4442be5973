//! `cargo xtask bench`: the built Worker beside a plain JavaScript Worker and the bare runtime, in one run.
//!
//! Prints how many webhooks a second each takes, what one costs, how big they are and how fast they start. Every
//! round is a fresh process on empty storage, and the three take turns, so that a machine that is busy for a while
//! is busy for all of them. A run in which anything was refused, or in which a webhook had no effect, fails.

mod config;
mod load;
mod machine;
mod meeting;
mod process;
mod report;
mod say;
mod size;
mod start_up;
mod stats;
mod subject;
mod table;
mod throughput;
mod vendors;
mod webhooks;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Report;
use crate::subject::Workshop;
use crate::vendors::Vendors;

#[derive(Parser)]
#[command(
    about = "Measures the built Worker side by side with plain JavaScript and the bare runtime"
)]
struct Arguments {
    /// One short round: shows that everything works, not how fast
    #[arg(long)]
    quick: bool,
    /// Puts the tables into bench/RESULTS.md
    #[arg(long, conflicts_with = "quick")]
    write: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    throughput: throughput::Plan,
    cold_starts: usize,
}

const FULL: Plan = Plan {
    throughput: throughput::FULL,
    cold_starts: 15,
};

const QUICK: Plan = Plan {
    throughput: throughput::QUICK,
    cold_starts: 2,
};

/// One thread drives the load, so that on two cores the runtime has the other one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Leaving through here, and not by the signal itself, ends the started runtimes too.
    let outcome = tokio::select! {
        outcome = run(&arguments) => outcome,
        outcome = interrupted() => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::problem("Failed", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let plan = if arguments.quick { QUICK } else { FULL };
    let workshop = Workshop::open()?;
    let vendors = Vendors::start().await?;
    let machine = machine::describe(&workshop)?;
    let report = Report {
        quick: arguments.quick,
        machine,
        throughput: throughput::measure(&workshop, &vendors, plan.throughput).await?,
        size: size::measure(&workshop)?,
        start_up: start_up::measure(&workshop, &vendors, plan.cold_starts).await?,
        plan,
    };
    println!("{}", report.text());
    if arguments.write {
        report.write().context("could not write bench/RESULTS.md")?;
        say::step("Written", "the tables of bench/RESULTS.md");
    }
    Ok(())
}

async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome.context("cannot wait for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    bail!("interrupted")
}
