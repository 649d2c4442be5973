//! How fast audio comes, compared with how fast it was spoken.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

/// What the vendor accepts: a quarter faster than real time.
pub(crate) const FASTEST: f64 = 1.25;
/// The rate is looked at over two windows: the short one shows a backlog sent at once, the long one a
/// pace that is a little too fast for long.
const WINDOWS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(15)];
/// What may come at once without being counted, in seconds of audio: what piles up during a handshake
/// and the jitter of a network.
const BURST: f64 = 1.5;

/// The arrivals of the longest window and the worst rate so far.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    arrivals: VecDeque<(Timestamp, f64)>,
    worst: f64,
}

impl Pace {
    /// Notes that this many seconds of audio came now.
    pub(crate) fn note(&mut self, seconds: f64, now: Timestamp) {
        self.arrivals.push_back((now, seconds));
        let [_, longest] = WINDOWS;
        while self
            .arrivals
            .front()
            .is_some_and(|(at, _)| *at + longest <= now)
        {
            self.arrivals.pop_front();
        }
        for window in WINDOWS {
            let recent = self
                .arrivals
                .iter()
                .rev()
                .take_while(|(at, _)| *at + window > now);
            let audio: f64 = recent.map(|(_, seconds)| seconds).sum();
            self.worst = self.worst.max((audio - BURST) / window.as_secs_f64());
        }
    }

    /// The worst rate, if it was ever too fast.
    pub(crate) fn too_fast(&self) -> Option<f64> {
        (self.worst > FASTEST).then_some(self.worst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `seconds` of audio in frames of 20 ms at `rate` times real time, from `from` on.
    fn send(pace: &mut Pace, from: Timestamp, seconds: f64, rate: f64) {
        let frames = (0_u32..)
            .map(|n| 0.02 * f64::from(n))
            .take_while(|at| *at < seconds);
        for at in frames {
            pace.note(0.02, from + Duration::from_secs_f64(at / rate));
        }
    }

    #[test]
    fn real_time_and_a_quarter_faster_are_fine() {
        for rate in [1.0, 1.25] {
            let mut pace = Pace::default();
            send(&mut pace, Timestamp::UNIX_EPOCH, 60.0, rate);
            assert_eq!(pace.too_fast(), None, "{rate}");
        }
    }

    #[test]
    fn a_hiccup_of_a_second_is_fine() {
        let mut pace = Pace::default();
        let start = Timestamp::UNIX_EPOCH;
        send(&mut pace, start, 10.0, 1.0);
        send(&mut pace, start + Duration::from_secs(11), 1.0, 1000.0);
        send(&mut pace, start + Duration::from_millis(11_020), 10.0, 1.0);
        assert_eq!(pace.too_fast(), None);
    }

    #[test]
    fn a_second_that_waited_for_the_handshake_may_go_first() {
        let mut pace = Pace::default();
        let start = Timestamp::UNIX_EPOCH;
        send(&mut pace, start, 1.0, 1000.0);
        send(&mut pace, start, 60.0, 1.25);
        assert_eq!(pace.too_fast(), None);
    }

    #[test]
    fn one_and_a_half_times_real_time_is_too_fast_in_the_long_run() {
        let mut pace = Pace::default();
        send(&mut pace, Timestamp::UNIX_EPOCH, 30.0, 1.5);
        assert!(
            pace.too_fast()
                .is_some_and(|worst| (1.3..1.45).contains(&worst)),
            "{pace:?}"
        );
    }

    #[test]
    fn a_backlog_sent_at_once_is_too_fast() {
        let mut pace = Pace::default();
        send(&mut pace, Timestamp::UNIX_EPOCH, 8.0, 100.0);
        assert!(pace.too_fast().is_some_and(|worst| worst > 2.0), "{pace:?}");
    }
}
