//! An hour of many meetings at once, played faster than it would be: does memory stay flat, is anything lost?

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::round::Stage;
use super::{Case, Level, tell};
use crate::say;
use crate::subject::{Subject, Workshop};

/// How much is played.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) meetings: usize,
    /// How much faster than the call audio comes: what one core takes comfortably.
    pub(crate) speed: u32,
    /// The length of a frame, in milliseconds.
    pub(crate) milliseconds: u32,
    /// The audio between two looks at the memory.
    pub(crate) stretch: Duration,
    pub(crate) stretches: usize,
}

pub(crate) const FULL: Plan = Plan {
    meetings: 50,
    speed: 10,
    milliseconds: 100,
    stretch: Duration::from_mins(10),
    stretches: 6,
};

pub(crate) const QUICK: Plan = Plan {
    meetings: 5,
    stretch: Duration::from_secs(10),
    ..FULL
};

/// The hour of one Worker.
#[derive(Clone, Debug)]
pub(crate) struct Hour {
    pub(crate) subject: Subject,
    /// Resident memory in bytes when the meetings were in their calls and no stream was open.
    pub(crate) memory_before: Option<u64>,
    pub(crate) stretches: Vec<Level>,
    /// All frames, none of which was lost.
    pub(crate) frames: u64,
    /// All final results, each of which was stored.
    pub(crate) finals: u64,
}

/// How much higher the memory's highest mark of the second half may be than that of the first for it to count as flat.
const FLAT: f64 = 1.05;

impl Hour {
    /// Whether the memory stopped growing.
    pub(crate) fn is_flat(&self) -> Option<bool> {
        let marks: Option<Vec<u64>> = self.stretches.iter().map(|level| level.memory).collect();
        is_flat(&marks?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn is_flat(marks: &[u64]) -> Option<bool> {
    let (first, second) = marks.split_at(marks.len() / 2);
    let (before, after) = (first.iter().max()?, second.iter().max()?);
    Some(*after as f64 <= *before as f64 * FLAT)
}

/// Plays the hour once for each Worker.
pub(crate) async fn measure(workshop: &Workshop, plan: Plan) -> Result<Vec<Hour>> {
    let mut hours = Vec::new();
    for subject in [Subject::Attache, Subject::JavaScript] {
        let mut stage = Stage::set(workshop, Case::Through(subject), plan.milliseconds).await?;
        let outcome = play(&mut stage, subject, plan).await;
        let hour = stage.strike(outcome).await;
        hours.push(hour.with_context(|| format!("the hour of {}", subject.name()))?);
        say::step("Measured", &format!("the hour of {}", subject.name()));
    }
    Ok(hours)
}

async fn play(stage: &mut Stage, subject: Subject, plan: Plan) -> Result<Hour> {
    stage.book(plan.meetings).await?;
    let memory_before = stage.memory();
    stage.open(plan.meetings).await?;
    let mut stretches = Vec::new();
    for _ in 0..plan.stretches {
        let lasting = plan.stretch / plan.speed;
        let level = stage
            .level(plan.meetings, plan.speed, Duration::ZERO, lasting)
            .await?;
        tell(&level);
        stretches.push(level);
    }
    Ok(Hour {
        subject,
        memory_before,
        stretches,
        frames: stage.frames_sent(),
        finals: stage.check_transcripts().await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_in_the_second_half_is_not_flat() {
        assert_eq!(is_flat(&[200, 300, 310, 305, 320, 300]), Some(true));
        assert_eq!(is_flat(&[200, 250, 300, 310, 320, 330]), Some(false));
        assert_eq!(is_flat(&[]), None);
    }
}
