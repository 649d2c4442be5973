//! Places in the sound, and when they were heard.
//!
//! A transcriber counts the seconds of the sound it was sent. A muted call sends no sound at all, so those seconds
//! fall behind; the marks kept here turn a place in the sound into seconds since listening began.

use std::collections::VecDeque;

use super::BYTES_PER_SECOND;

/// A time stamp this far from where the sound puts it means that sound is missing; less is jitter.
const TOLERANCE_SECONDS: f64 = 0.3;
/// How many gaps are remembered; only those in sound that is not settled yet matter.
const MAX_MARKS: usize = 256;

/// Turns bytes of sound into seconds since listening began.
#[derive(Clone, Debug)]
pub(super) struct SoundClock {
    /// The time stamp that counts as zero, once there is one.
    origin: Option<f64>,
    marks: VecDeque<Mark>,
}

/// From this byte on, sound begins at this second.
#[derive(Clone, Copy, Debug)]
struct Mark {
    position: u64,
    seconds: f64,
}

impl SoundClock {
    pub(super) fn new(origin: Option<f64>) -> Self {
        Self {
            origin,
            marks: VecDeque::new(),
        }
    }

    /// Notes the time stamp of the sound that begins at `position`; tells the origin if this is what sets it.
    pub(super) fn note(&mut self, position: u64, stamp: Option<f64>) -> Option<f64> {
        let stamp = stamp.filter(|stamp| stamp.is_finite())?;
        let (origin, first) = match self.origin {
            Some(origin) => (origin, None),
            None => (stamp, Some(stamp)),
        };
        self.origin = Some(origin);
        let seconds = (stamp - origin).max(0.0);
        let missing = self.marks.is_empty() || seconds - self.at(position) > TOLERANCE_SECONDS;
        if missing {
            if self.marks.len() == MAX_MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back(Mark { position, seconds });
        }
        first
    }

    /// Gives the second at which the byte at `position` was heard.
    pub(super) fn at(&self, position: u64) -> f64 {
        let after = self.marks.partition_point(|mark| mark.position <= position);
        match after.checked_sub(1).and_then(|index| self.marks.get(index)) {
            Some(mark) => mark.seconds + seconds(position - mark.position),
            None => seconds(position),
        }
    }

    /// Forgets what lies before `position`.
    pub(super) fn forget_before(&mut self, position: u64) {
        while self
            .marks
            .get(1)
            .is_some_and(|next| next.position <= position)
        {
            self.marks.pop_front();
        }
    }
}

/// How long so many bytes of sound last.
#[expect(
    clippy::cast_precision_loss,
    reason = "hours of sound are far below 2^52 bytes"
)]
pub(super) fn seconds(bytes: u64) -> f64 {
    bytes as f64 / f64::from(BYTES_PER_SECOND)
}

/// How many bytes of sound last so long, in whole samples; nothing for what is no time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped to what fits"
)]
pub(super) fn bytes(seconds: f64) -> u64 {
    if !seconds.is_finite() || seconds <= 0.0 {
        return 0;
    }
    let samples = (seconds.min(1e9) * f64::from(super::SAMPLE_RATE)).round();
    samples as u64 * 2
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
    use super::*;

    const SECOND: u64 = BYTES_PER_SECOND as u64;

    #[test]
    fn the_first_time_stamp_is_zero_and_sound_counts_from_there() {
        let mut clock = SoundClock::new(None);
        assert_eq!(clock.note(0, Some(7.5)), Some(7.5));
        assert_eq!(clock.note(SECOND, Some(8.5)), None);
        assert_eq!(clock.at(2 * SECOND), 2.0);
    }

    #[test]
    fn a_gap_moves_everything_after_it_and_nothing_before() {
        let mut clock = SoundClock::new(None);
        clock.note(0, Some(0.0));
        clock.note(SECOND, Some(61.0));
        assert_eq!(clock.at(SECOND / 2), 0.5);
        assert_eq!(clock.at(SECOND), 61.0);
        assert_eq!(clock.at(3 * SECOND), 63.0);
        clock.forget_before(2 * SECOND);
        assert_eq!(clock.at(3 * SECOND), 63.0);
    }

    #[test]
    fn jitter_and_stamps_that_run_backwards_change_nothing() {
        let mut clock = SoundClock::new(Some(10.0));
        clock.note(0, Some(10.0));
        clock.note(SECOND, Some(11.2));
        clock.note(2 * SECOND, Some(3.0));
        clock.note(3 * SECOND, Some(f64::NAN));
        assert_eq!(clock.at(3 * SECOND), 3.0);
    }

    #[test]
    fn a_later_instance_goes_on_from_the_same_origin() {
        let mut clock = SoundClock::new(Some(10.0));
        assert_eq!(clock.note(0, Some(100.0)), None);
        assert_eq!(clock.at(SECOND), 91.0);
    }

    #[test]
    fn seconds_and_bytes_agree_and_odd_values_are_harmless() {
        assert_eq!(bytes(1.0), SECOND);
        assert_eq!(bytes(0.000_031), 0);
        for nonsense in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(bytes(nonsense), 0);
        }
        assert_eq!(bytes(f64::INFINITY), 0);
        assert_eq!(seconds(bytes(12.5)), 12.5);
    }

    #[test]
    fn a_thousand_gaps_take_bounded_memory() {
        let mut clock = SoundClock::new(None);
        for gap in 0..1_000_u32 {
            clock.note(u64::from(gap) * SECOND, Some(f64::from(gap) * 10.0));
        }
        assert_eq!(clock.marks.len(), MAX_MARKS);
        assert_eq!(clock.at(999 * SECOND), 9_990.0);
    }
}
