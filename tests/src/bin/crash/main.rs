//! `cargo xtask crash`: many meetings at once, in a runtime that is killed again and again.
//!
//! Each kill is a SIGKILL at a moment of chance; each start is on the same storage. Meetings that end make room for
//! new ones. When all kills are done every meeting is led to its end and judged: one bot, one greeting, no session
//! left, every accepted webhook took effect once, everything recorded is fetched. Ends well only if all of that holds
//! and everything came back within five seconds of a start.

mod branch;
mod chance;
mod killer;
mod ledger;
mod life;
mod plan;
mod report;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use attache_tests::BareRuntime;
use clap::Parser;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::branch::{ALL, Branch};
use crate::chance::Chance;
use crate::killer::Killer;
use crate::life::{Lived, play};
use crate::plan::Plan;
use crate::report::Run;
use crate::verdict::{Proof, Violation, judge, judge_strays};

/// How often a line of progress is printed.
const PROGRESS: Duration = Duration::from_secs(10);

/// Meetings are booked one after the other at first, so that they are not all at the same step.
const BOOKED_WITHIN: Duration = Duration::from_secs(2);

/// Before so many of the last kills no meeting is booked any more: it would see too few of them.
const LAST_KILLS: usize = 10;

/// How many violations are told in full.
const TOLD: usize = 3;

/// What the vendors' last webhooks may take to be accepted.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Kills the runtime again and again while meetings go on")]
struct Arguments {
    /// How often it is killed
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// How many meetings go on at once
    #[arg(long, default_value_t = 100)]
    meetings: usize,
    /// The longest calls have one line more than this; a line takes some two seconds
    #[arg(long, default_value_t = 14)]
    lines: u64,
    /// Repeats the plans and moments of an earlier run; what the machine makes of them differs
    #[arg(long)]
    seed: Option<u64>,
    /// Tells the times and holds none of them against the run, for a machine that may be busy
    #[arg(long)]
    untimed: bool,
    /// Adds a row about this run to docs/crashes.md
    #[arg(long)]
    write: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the run broke off: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<bool> {
    let drawn = u64::try_from(Timestamp::now().as_microsecond())?;
    let seed = arguments.seed.unwrap_or(drawn);
    println!(
        "{} kills, {} meetings at once, seed {seed}",
        arguments.kills, arguments.meetings
    );
    let begun = Instant::now();
    let accepted = Arc::new(watch::Sender::new(0));
    let runtime = BareRuntime::open(ALL.len()).await?;
    let branches = Arc::new(Branch::open_all(&runtime, seed, &accepted).await?);
    let mut killer = Killer::new(runtime, Arc::clone(&branches), Arc::clone(&accepted));
    killer.start().await?;
    let mut stage = Stage {
        seed,
        lines: arguments.lines,
        branches: Arc::clone(&branches),
        accepted,
        booked: 0,
        playing: JoinSet::new(),
        lived: Vec::new(),
    };
    stage.fill(arguments.meetings).await;
    kill_all(&mut killer, &mut stage, arguments).await?;
    println!(
        "{:>4} s  no more kills; the meetings come to their end",
        begun.elapsed().as_secs()
    );
    stage.finish().await?;
    for branch in branches.iter() {
        branch.simulator.settled(SETTLED_WITHIN).await?;
    }
    let (proof, violations) = judge_all(&branches, &stage.lived).await?;
    let run = Run {
        seed,
        kills: killer.kills,
        at_once: arguments.meetings,
        took: begun.elapsed(),
        accepted: branches.iter().map(|branch| branch.ledger.accepted()).sum(),
        resumed: killer.resumed.clone(),
        proof,
        violations: violations.len(),
    };
    tell(&run, &violations);
    if arguments.write {
        run.write()?;
    }
    Ok(violations.is_empty() && (arguments.untimed || run.is_back_in_time()))
}

/// The meetings that go on, and those that have ended.
struct Stage {
    seed: u64,
    lines: u64,
    branches: Arc<Vec<Branch>>,
    accepted: Arc<watch::Sender<u64>>,
    booked: u64,
    playing: JoinSet<Lived>,
    lived: Vec<Lived>,
}

impl Stage {
    /// Books as many as there are to be at first.
    async fn fill(&mut self, meetings: usize) {
        let pause = BOOKED_WITHIN.div_f64(f64::from(u32::try_from(meetings).unwrap_or(u32::MAX)));
        for _ in 0..meetings {
            self.book();
            tokio::time::sleep(pause).await;
        }
    }

    fn book(&mut self) {
        let number = self.booked;
        self.booked += 1;
        let mut chance = Chance::for_number(self.seed, number);
        let plan = Plan::draw(number, self.lines, &mut chance);
        let places = u64::try_from(self.branches.len()).unwrap_or(1);
        let branch = usize::try_from(number % places).unwrap_or(0);
        self.playing.spawn(play(
            Arc::clone(&self.branches),
            branch,
            plan,
            format!("crash-{}-{number}", self.seed),
            Arc::clone(&self.accepted),
        ));
    }

    /// Puts a new meeting in the place of each that has ended.
    fn replace(&mut self) -> Result<()> {
        while let Some(lived) = self.playing.try_join_next() {
            self.lived.push(lived.context("a meeting's task panicked")?);
            self.book();
        }
        Ok(())
    }

    /// Waits until all have ended.
    async fn finish(&mut self) -> Result<()> {
        loop {
            match timeout(PROGRESS, self.playing.join_next()).await {
                Ok(Some(lived)) => self.lived.push(lived.context("a meeting's task panicked")?),
                Ok(None) => return Ok(()),
                Err(_) => println!("        {} meetings are still going on", self.playing.len()),
            }
        }
    }
}

async fn kill_all(killer: &mut Killer, stage: &mut Stage, arguments: &Arguments) -> Result<()> {
    let mut chance = Chance::new(stage.seed);
    let begun = Instant::now();
    let mut told = begun;
    while killer.kills < arguments.kills {
        killer.kill_once(&mut chance).await?;
        if killer.kills + LAST_KILLS < arguments.kills {
            stage.replace()?;
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            println!(
                "{:>4} s  {} of {} kills, {} meetings over",
                begun.elapsed().as_secs(),
                killer.kills,
                arguments.kills,
                stage.lived.len(),
            );
        }
    }
    Ok(())
}

async fn judge_all(branches: &[Branch], lived: &[Lived]) -> Result<(Proof, Vec<Violation>)> {
    let mut proof = Proof::default();
    let mut violations = Vec::new();
    for lived in lived {
        let branch = &branches[lived.branch];
        let judged = judge(branch, lived, &mut proof).await;
        violations.extend(judged.with_context(|| format!("judging {}", lived.id))?);
    }
    for branch in branches {
        let mut what = branch.ledger.violations();
        what.extend(judge_strays(branch, &mut proof));
        let left = branch
            .simulator
            .bots()
            .iter()
            .filter(|bot| !bot.over)
            .count();
        if left > 0 {
            what.push(format!("{left} bots are left"));
        }
        if !what.is_empty() {
            violations.push(Violation {
                meeting: format!("all of {:?}", branch.kind),
                what,
                story: String::new(),
            });
        }
    }
    ensure!(proof.meetings > 0, "no meeting was judged");
    Ok((proof, violations))
}

fn tell(run: &Run, violations: &[Violation]) {
    for (place, violation) in violations.iter().enumerate() {
        println!("\nVIOLATION {}", violation.meeting);
        for what in &violation.what {
            println!("  - {what}");
        }
        if place < TOLD {
            println!("{}", violation.story);
        }
    }
    println!("{}", run.text());
    println!("{} violations, seed {}", violations.len(), run.seed);
}
