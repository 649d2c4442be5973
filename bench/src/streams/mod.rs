//! The call's audio on its way: how many streams a Worker relays from Recall to Deepgram before they are late, and
//! what one costs.
//!
//! Every byte that is sent is checked where it arrives, and every final result is looked for in the transcript; a run
//! in which one is missing fails.

mod audio;
pub(crate) mod cost;
mod deepgram;
pub(crate) mod hour;
mod ledger;
mod media;
mod round;
mod search;
mod speech;
pub(crate) mod tables;
mod wire;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::say;
use crate::subject::{Subject, Workshop};
use round::Stage;
use search::Search;

/// A frame that takes longer than this is late: as long as the shortest frame lasts.
pub(crate) const LATE: Duration = Duration::from_millis(20);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// The number of streams at which subjects are compared.
    pub(crate) base: usize,
    /// The accuracy with which the highest number is found.
    pub(crate) step: usize,
    /// More streams are not tried.
    pub(crate) most: usize,
    /// At the beginning, for V8 to optimise what runs often: a call lasts for an hour.
    pub(crate) warm_up: Duration,
    /// Before each measurement.
    pub(crate) settling: Duration,
    pub(crate) measured: Duration,
}

pub(crate) const FULL: Plan = Plan {
    rounds: 3,
    base: 100,
    step: 25,
    most: 1000,
    warm_up: Duration::from_secs(15),
    settling: Duration::from_secs(1),
    // V8 collects all garbage every second or two, in up to 40 ms: a few of these, or chance decides the p99.
    measured: Duration::from_secs(6),
};

pub(crate) const QUICK: Plan = Plan {
    rounds: 1,
    base: 4,
    step: 2,
    most: 6,
    warm_up: Duration::from_millis(200),
    settling: Duration::from_millis(100),
    measured: Duration::from_secs(1),
};

/// The lengths of frames, in milliseconds.
pub(crate) const FRAMES: [u32; 2] = [20, 100];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Streams through a Worker.
    Through(Subject),
    /// Streams from the load generator to itself.
    Alone,
}

/// Everything that is measured, in the order in which it takes turns.
pub(crate) const CASES: [Case; 4] = [
    Case::Through(Subject::Attache),
    Case::Through(Subject::JavaScript),
    Case::Through(Subject::Bare),
    Case::Alone,
];

impl Case {
    /// What the tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Through(subject) => subject.name(),
            Self::Alone => "load generator alone",
        }
    }

    /// Whether it stores final results.
    fn stores(self) -> bool {
        matches!(self, Self::Through(Subject::Attache | Subject::JavaScript))
    }
}

/// So many streams for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) streams: usize,
    pub(crate) frames: u64,
    /// The audio in those frames.
    pub(crate) audio: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// The longest that the load generator was behind.
    pub(crate) latest_send: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) processor_time: Option<Duration>,
    pub(crate) own_processor_time: Option<Duration>,
    pub(crate) memory: Option<u64>,
}

/// One round of one case with frames of one length.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) case: Case,
    pub(crate) milliseconds: u32,
    /// At the number of streams at which all are compared.
    pub(crate) base: Level,
    /// The highest number of streams that were not late.
    pub(crate) highest: usize,
    /// Resident memory in bytes when the meetings were in their calls and no stream was open.
    pub(crate) memory_before: Option<u64>,
    /// All frames of the round, none of which was lost.
    pub(crate) frames: u64,
    /// All final results of the round, each of which was stored.
    pub(crate) finals: u64,
}

/// Runs all rounds.
pub(crate) async fn measure(workshop: &Workshop, plan: Plan) -> Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        for milliseconds in FRAMES {
            for case in CASES {
                let name = format!("{}, {milliseconds} ms", case.name());
                let round = run(workshop, plan, case, milliseconds)
                    .await
                    .with_context(|| format!("round {number} of {name}"))?;
                say::step(
                    "Measured",
                    &format!(
                        "round {number} of {}: {name:<28} {:>4} streams",
                        plan.rounds, round.highest
                    ),
                );
                rounds.push(round);
            }
        }
    }
    Ok(rounds)
}

async fn run(workshop: &Workshop, plan: Plan, case: Case, milliseconds: u32) -> Result<Round> {
    let mut stage = Stage::set(workshop, case, milliseconds).await?;
    let outcome = play(&mut stage, plan, case, milliseconds).await;
    stage.strike(outcome).await
}

async fn play(stage: &mut Stage, plan: Plan, case: Case, milliseconds: u32) -> Result<Round> {
    stage.book(plan.base).await?;
    let memory_before = stage.memory();
    stage.open(plan.base).await?;
    let base = stage
        .level(plan.base, 1, plan.warm_up, plan.measured)
        .await?;
    tell(&base);
    let mut search = Search::new(plan.base, plan.step, plan.most);
    if base.p99 < LATE {
        search.note(plan.base, true);
    }
    while let Some(number) = search.next() {
        stage.open(number).await?;
        search.note(number, is_in_time(stage, number, plan).await?);
    }
    Ok(Round {
        case,
        milliseconds,
        base,
        highest: search.highest(),
        memory_before,
        frames: stage.frames_sent(),
        finals: stage.check_transcripts().await?,
    })
}

/// Streams that are late get a second chance, since anything else on the machine can be the cause once.
async fn is_in_time(stage: &mut Stage, streams: usize, plan: Plan) -> Result<bool> {
    for _ in 0..2 {
        let level = stage
            .level(streams, 1, plan.settling, plan.measured)
            .await?;
        tell(&level);
        if level.p99 < LATE {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tell(level: &Level) {
    let share = |time: Option<Duration>| {
        time.map_or(0.0, |time| {
            time.as_secs_f64() / level.elapsed.as_secs_f64() * 100.0
        })
    };
    say::step(
        "",
        &format!(
            "{:>4} streams: p50 {:.1} ms, p99 {:.1} ms; of a core the runtime had {:.0} %, the load generator {:.0} %, which was late by {:.0} ms at most",
            level.streams,
            level.p50.as_secs_f64() * 1e3,
            level.p99.as_secs_f64() * 1e3,
            share(level.processor_time),
            share(level.own_processor_time),
            level.latest_send.as_secs_f64() * 1e3,
        ),
    );
}
