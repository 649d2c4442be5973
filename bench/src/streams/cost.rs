//! What a stream costs in processor time: all Workers at once, each in a process of its own.
//!
//! A shared machine may be half as fast from one minute to the next. What runs at the same time is slowed down alike,
//! so the ratios of one round hold although its figures may not be those of the next. Frames that are due at the same
//! moment go to one Worker after the other, and the first wakes an idle processor: every second round the order is
//! turned round.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::{join_all, try_join_all};

use super::round::Stage;
use super::{Case, FRAMES, Level};
use crate::say;
use crate::subject::{self, Workshop};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// An even number, as the order is turned round in every second one.
    pub(crate) rounds: usize,
    /// The streams of each Worker: few enough for two cores to take them all.
    pub(crate) streams: usize,
    /// At the beginning: V8 optimises wasm that runs a few times a second only after a while.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

pub(crate) const FULL: Plan = Plan {
    rounds: 4,
    streams: 50,
    warm_up: Duration::from_secs(40),
    measured: Duration::from_secs(40),
};

pub(crate) const QUICK: Plan = Plan {
    rounds: 1,
    streams: 2,
    warm_up: Duration::from_millis(200),
    measured: Duration::from_secs(1),
};

/// One round with frames of one length: what each Worker took of the same time, in the order of [`subject::ALL`].
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) milliseconds: u32,
    pub(crate) levels: Vec<Level>,
    /// All frames of the round, none of which was lost.
    pub(crate) frames: u64,
    /// All final results of the round, each of which was stored.
    pub(crate) finals: u64,
}

/// Runs all rounds.
pub(crate) async fn measure(workshop: &Workshop, plan: Plan) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for number in 1..=plan.rounds {
        for milliseconds in FRAMES {
            let cost = run(workshop, plan, milliseconds, number % 2 == 0)
                .await
                .with_context(|| format!("round {number} of all at once, {milliseconds} ms"))?;
            let told: Vec<String> = subject::ALL
                .iter()
                .zip(&cost.levels)
                .filter_map(|(subject, level)| {
                    Some(format!(
                        "{} {:.1} µs",
                        subject.name(),
                        level.cpu_per_frame()?
                    ))
                })
                .collect();
            say::step(
                "Measured",
                &format!(
                    "round {number} of {}: all at once, {milliseconds} ms: {} a frame",
                    plan.rounds,
                    told.join(", ")
                ),
            );
            costs.push(cost);
        }
    }
    Ok(costs)
}

async fn run(
    workshop: &Workshop,
    plan: Plan,
    milliseconds: u32,
    is_reversed: bool,
) -> Result<Cost> {
    let mut subjects = subject::ALL;
    if is_reversed {
        subjects.reverse();
    }
    let mut stages = Vec::new();
    for subject in subjects {
        stages.push(Stage::set(workshop, Case::Through(subject), milliseconds).await?);
    }
    let outcome = play(&mut stages, plan, milliseconds).await;
    let ended = join_all(stages.into_iter().map(|stage| stage.strike(Ok(())))).await;
    let mut cost = outcome?;
    ended.into_iter().collect::<Result<()>>()?;
    if is_reversed {
        cost.levels.reverse();
    }
    Ok(cost)
}

async fn play(stages: &mut [Stage], plan: Plan, milliseconds: u32) -> Result<Cost> {
    for stage in &mut *stages {
        stage.open(plan.streams).await?;
    }
    let at_once = stages
        .iter_mut()
        .map(|stage| stage.level(plan.streams, 1, plan.warm_up, plan.measured));
    let levels = try_join_all(at_once).await?;
    let mut finals = 0;
    for stage in &*stages {
        finals += stage.check_transcripts().await?;
    }
    Ok(Cost {
        milliseconds,
        levels,
        frames: stages.iter().map(Stage::frames_sent).sum(),
        finals,
    })
}
