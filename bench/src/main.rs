//! `cargo xtask bench`: the built Worker beside a plain JavaScript Worker and the bare runtime, in one run.
//!
//! Prints how many webhooks a second each takes, how many streams of audio it relays in time, what one costs, how big
//! they are and how fast they start. Every round is a fresh process on empty storage, and the subjects take turns, so
//! that a machine that is busy for a while is busy for all of them. A run in which anything was refused, had no effect
//! or was lost fails.

mod config;
mod crowd;
mod load;
mod machine;
mod meeting;
mod process;
mod report;
mod say;
mod size;
mod start_up;
mod stats;
mod streams;
mod subject;
mod table;
mod throughput;
mod vendors;
mod webhook_tables;
mod webhooks;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::machine::Machine;
use crate::report::{Report, Section};
use crate::streams::{cost, hour};
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
    /// Plays each part that is measured in rounds so many times; fewer are quicker and less certain
    #[arg(long, value_name = "NUMBER", conflicts_with = "quick")]
    rounds: Option<NonZeroUsize>,
    /// Measures this part only; may be repeated. Without it all but the hour are measured
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

/// What is measured on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
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
    fn title(self) -> &'static str {
        match self {
            Self::Webhooks => "Webhooks",
            Self::Streams => "Streams",
            Self::Load => "Load",
            Self::StartUp => "Start-up",
            Self::Size => "Size",
            Self::Hour => "An hour",
        }
    }

    /// What its place in RESULTS.md is marked with.
    fn mark(self) -> &'static str {
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

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    throughput: throughput::Plan,
    streams: streams::Plan,
    cost: cost::Plan,
    hour: hour::Plan,
    crowd: crowd::Plan,
    cold_starts: usize,
}

const FULL: Plan = Plan {
    throughput: throughput::FULL,
    streams: streams::FULL,
    cost: cost::FULL,
    hour: hour::FULL,
    crowd: crowd::FULL,
    cold_starts: 15,
};

const QUICK: Plan = Plan {
    throughput: throughput::QUICK,
    streams: streams::QUICK,
    cost: cost::QUICK,
    hour: hour::QUICK,
    crowd: crowd::QUICK,
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
    let mut plan = if arguments.quick { QUICK } else { FULL };
    if let Some(rounds) = arguments.rounds {
        plan.streams.rounds = rounds.get();
        plan.cost.rounds = rounds.get();
        plan.throughput.rounds = rounds.get();
    }
    allow_open_files()?;
    let workshop = Workshop::open()?;
    let machine = Machine::describe(&workshop)?;
    let is_wanted = |part: &Part| {
        if arguments.only.is_empty() {
            *part != Part::Hour
        } else {
            arguments.only.contains(part)
        }
    };
    let mut sections = Vec::new();
    for part in Part::value_variants().iter().copied().filter(is_wanted) {
        let text = measure(part, &workshop, &plan).await?;
        sections.push(Section { part, text });
    }
    let report = Report {
        quick: arguments.quick,
        machine,
        sections,
    };
    println!("{}", report.text());
    if arguments.write {
        report.write().context("could not write bench/RESULTS.md")?;
        say::step("Written", "the tables of bench/RESULTS.md");
    }
    Ok(())
}

/// Measures one part and writes its tables.
async fn measure(part: Part, workshop: &Workshop, plan: &Plan) -> Result<String> {
    Ok(match part {
        Part::Webhooks => {
            let vendors = Vendors::start().await?;
            let measured = throughput::measure(workshop, &vendors, plan.throughput).await?;
            webhook_tables::webhooks(&measured, plan.throughput)
        }
        Part::Streams => {
            let costs = cost::measure(workshop, plan.cost).await?;
            let rounds = streams::measure(workshop, plan.streams).await?;
            streams::tables::streams(&rounds, plan.streams, &costs, plan.cost)
        }
        Part::Load => {
            let crowd = crowd::measure(workshop, plan.crowd).await?;
            crowd.table(plan.crowd)
        }
        Part::StartUp => {
            let vendors = Vendors::start().await?;
            let starts = start_up::measure(workshop, &vendors, plan.cold_starts).await?;
            start_up::table(&starts, plan.cold_starts)
        }
        Part::Size => size::table(&size::measure(workshop)?),
        Part::Hour => {
            let hours = hour::measure(workshop, plan.hour).await?;
            streams::tables::hour(&hours, plan.hour)
        }
    })
}

/// A stream takes two sockets here and as many in the runtime, beside its database: more than many systems allow.
fn allow_open_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("could not allow more open files")
}

async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome.context("cannot wait for Ctrl-C")?,
        _ = terminate.recv() => {}
    }
    bail!("interrupted")
}
