//! What a stream costs in processor time: all Workers at once, each in a process of its own.
//!
//! A shared machine may be half as fast from one minute to the next. What runs at the same time is slowed down alike,
//! so the ratios of one round hold although its figures may not be those of the next. Frames that are due at the same
//! moment go to one Worker after the other, and the first one wakes an idle processor, which costs it up to a tenth:
//! each round is played in both orders.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::{join_all, try_join_all};

use super::round::Stage;
use super::{Case, FRAMES, Level};
use crate::say;
use crate::subject::{self, Subject, Workshop};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// The streams of each Worker: few enough for two cores to take them all.
    pub(crate) streams: usize,
    /// At the beginning: V8 optimises wasm that runs a few times a second only after a while.
    pub(crate) warm_up: Duration,
    /// In each of the two orders.
    pub(crate) measured: Duration,
}

pub(crate) const FULL: Plan = Plan {
    rounds: 3,
    streams: 50,
    warm_up: Duration::from_secs(30),
    measured: Duration::from_secs(30),
};

pub(crate) const QUICK: Plan = Plan {
    rounds: 1,
    streams: 2,
    warm_up: Duration::from_millis(200),
    measured: Duration::from_secs(1),
};

/// One round with frames of one length.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) milliseconds: u32,
    /// What each Worker took, in the order of [`subject::ALL`].
    pub(crate) spent: [Spent; subject::ALL.len()],
    /// All frames of the round, none of which was lost.
    pub(crate) frames: u64,
    /// All final results of the round, each of which was stored.
    pub(crate) finals: u64,
}

/// What one Worker took in both orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// None where the system does not tell it.
    processor_time: Option<Duration>,
    frames: u64,
    audio: Duration,
}

impl Spent {
    const NOTHING: Self = Self {
        processor_time: Some(Duration::ZERO),
        frames: 0,
        audio: Duration::ZERO,
    };

    fn add(&mut self, level: &Level) {
        let both = self.processor_time.zip(level.processor_time);
        self.processor_time = both.map(|(before, more)| before + more);
        self.frames += level.frames;
        self.audio += level.audio;
    }

    /// In microseconds.
    pub(crate) fn per_frame(&self) -> Option<f64> {
        let frames = u32::try_from(self.frames).ok().filter(|count| *count > 0)?;
        Some((self.processor_time? / frames).as_secs_f64() * 1e6)
    }

    /// For each minute of one stream, in milliseconds.
    pub(crate) fn per_minute(&self) -> Option<f64> {
        let minutes = self.audio.as_secs_f64() / 60.0;
        Some(self.processor_time?.as_secs_f64() * 1e3 / minutes)
    }
}

/// Runs all rounds.
pub(crate) async fn measure(workshop: &Workshop, plan: Plan) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for number in 1..=plan.rounds {
        for milliseconds in FRAMES {
            let cost = run(workshop, plan, milliseconds)
                .await
                .with_context(|| format!("round {number} of all at once, {milliseconds} ms"))?;
            let told: Vec<String> = subject::ALL
                .iter()
                .zip(&cost.spent)
                .filter_map(|(subject, spent)| {
                    Some(format!("{} {:.1}", subject.name(), spent.per_frame()?))
                })
                .collect();
            say::step(
                "Measured",
                &format!(
                    "round {number} of {}: all at once, {milliseconds} ms, CPU µs/frame: {}",
                    plan.rounds,
                    told.join(", ")
                ),
            );
            costs.push(cost);
        }
    }
    Ok(costs)
}

async fn run(workshop: &Workshop, plan: Plan, milliseconds: u32) -> Result<Cost> {
    let mut cost = Cost {
        milliseconds,
        spent: [Spent::NOTHING; subject::ALL.len()],
        frames: 0,
        finals: 0,
    };
    let mut order: Vec<(Subject, usize)> = subject::ALL.into_iter().zip(0..).collect();
    for _ in 0..2 {
        let mut stages = Vec::new();
        for (subject, _) in &order {
            stages.push(Stage::set(workshop, Case::Through(*subject), milliseconds).await?);
        }
        let outcome = play(&mut stages, plan).await;
        for stage in &stages {
            cost.frames += stage.frames_sent();
        }
        let ended = join_all(stages.into_iter().map(|stage| stage.strike(Ok(())))).await;
        let (levels, finals) = outcome?;
        ended.into_iter().collect::<Result<()>>()?;
        cost.finals += finals;
        for ((_, place), level) in order.iter().zip(&levels) {
            cost.spent[*place].add(level);
        }
        order.reverse();
    }
    Ok(cost)
}

/// What each of them took, and how many final results were stored.
async fn play(stages: &mut [Stage], plan: Plan) -> Result<(Vec<Level>, u64)> {
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
    Ok((levels, finals))
}
