//! Tells sound from silence: blocks of samples in, beginnings and ends of what can be heard out.

use std::time::Duration;

use jiff::Timestamp;

/// Samples per second of what is measured.
pub(super) const RATE: u32 = 16_000;
/// What is quieter, as a mean over a block, is not heard in a call: -40 dB of full scale.
const THRESHOLD: f64 = 0.01;
/// Between words it is silent too; a pause this long is an end.
const PAUSE: Duration = Duration::from_millis(700);

/// One page's sound.
#[derive(Debug, Default)]
pub(super) struct Meter {
    sounding: Option<Sounding>,
}

#[derive(Clone, Copy, Debug)]
struct Sounding {
    began_at: Timestamp,
    last: Timestamp,
}

/// What was heard, from silence to silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) began_at: Timestamp,
    pub(super) duration: Duration,
}

impl Meter {
    /// A block that ended now. Says whether a sound begins with it.
    pub(super) fn hear(&mut self, pcm: &[u8], now: Timestamp) -> bool {
        if loudness(pcm) < THRESHOLD {
            return false;
        }
        let samples = u32::try_from(pcm.len() / 2).unwrap_or(u32::MAX);
        let length = Duration::from_secs(1) * samples / RATE;
        let begins = self.sounding.is_none();
        let began_at = self
            .sounding
            .map_or(now - length, |sounding| sounding.began_at);
        self.sounding = Some(Sounding {
            began_at,
            last: now,
        });
        begins
    }

    /// When a sound has ended unless more of it comes.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.sounding.map(|sounding| sounding.last + PAUSE)
    }

    /// What ended by now.
    pub(super) fn tick(&mut self, now: Timestamp) -> Option<Stretch> {
        if self.deadline()? > now {
            return None;
        }
        self.end()
    }

    /// What there is, which ends here.
    pub(super) fn end(&mut self) -> Option<Stretch> {
        let Sounding { began_at, last } = self.sounding.take()?;
        let duration = Duration::try_from(last.duration_since(began_at)).unwrap_or_default();
        Some(Stretch { began_at, duration })
    }
}

/// The root of the mean square, 1 at full scale.
fn loudness(pcm: &[u8]) -> f64 {
    let samples = pcm.chunks_exact(2);
    let count = samples.len().max(1);
    let squares: f64 = samples
        .map(|sample| f64::from(i16::from_le_bytes([sample[0], sample[1]])) / 32_768.0)
        .map(|sample| sample * sample)
        .sum();
    let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
    (squares / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        "2026-11-22T10:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_millis(ms)
    }

    fn block(level: i16) -> Vec<u8> {
        level.to_le_bytes().repeat(1_600)
    }

    #[test]
    fn a_sound_lasts_from_its_first_block_to_its_last() {
        let mut meter = Meter::default();
        assert!(!meter.hear(&block(100), at(100)));
        assert!(meter.hear(&block(1_000), at(200)));
        assert!(!meter.hear(&block(1_000), at(300)));
        assert_eq!(meter.tick(at(999)), None);
        assert!(!meter.hear(&block(-1_000), at(900)));
        let heard = meter.tick(at(1_600)).unwrap();
        assert_eq!(
            (heard.began_at, heard.duration),
            (at(100), Duration::from_millis(800))
        );
        assert_eq!(meter.tick(at(9_000)), None);
    }

    #[test]
    fn a_sound_can_be_cut_short() {
        let mut meter = Meter::default();
        assert_eq!(meter.end(), None);
        meter.hear(&block(5_000), at(100));
        assert_eq!(meter.end().unwrap().duration, Duration::from_millis(100));
    }
}
