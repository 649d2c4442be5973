//! One utterance: its sound on the way to the avatar, in pieces and at a pace, and how much of it can have been heard.
//!
//! Sound goes out at most [`LEAD`] ahead of what the avatar can have said by now, though the vendor would take all of
//! it at once. So an interrupt, a lost socket or a change of session leaves little behind that was sent and not heard,
//! and the vendor never holds minutes of sound that we no longer want said.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use super::BYTES_PER_SECOND;

const fn bytes(ms: usize) -> usize {
    BYTES_PER_SECOND as usize / 1_000 * ms
}

/// The first piece, between the 400 and 600 ms that the vendor's own clients send. Shorter pieces delay speech.
const FIRST_BYTES: usize = bytes(500);
/// The others: about a second, as the vendor advises; with base64 far below its limit of 1 MB a message.
const NEXT_BYTES: usize = bytes(1_000);
/// A piece takes so much more along if the utterance ends with it, which spares a tiny last piece.
const TAIL_BYTES: usize = bytes(100);
/// The least that is sent where the avatar would run dry; twenty milliseconds are known to break speech.
const LEAST_BYTES: usize = bytes(100);
/// How far sound is sent ahead: some pieces, so that neither the network nor the voice's vendor is heard to stutter.
pub(super) const LEAD: Duration = Duration::from_secs(3);
/// So long before the avatar runs dry, a piece that is not full goes out as it is.
const RUNS_DRY: Duration = Duration::from_millis(200);
/// How much sound may wait: as much as one answer of the voice's vendor may have, eight minutes.
pub(super) const MAX_WAITING_BYTES: usize = 24 * 1024 * 1024;

/// An utterance on its way.
#[derive(Debug)]
pub(super) struct Utterance {
    pub(super) event_id: String,
    waiting: VecDeque<u8>,
    begun_at: Timestamp,
    /// When sound last came in, or the utterance was begun.
    pub(super) fed_at: Timestamp,
    /// Whether all its sound came in.
    pub(super) complete: bool,
    sent_bytes: u64,
    pub(super) first_sent: Option<Timestamp>,
    /// When everything that was sent will have been said, if the avatar says it as soon as it can.
    pub(super) said_until: Timestamp,
    /// When the avatar began to say it.
    pub(super) began: Option<Timestamp>,
    /// When its end was sent.
    pub(super) end_sent: Option<Timestamp>,
    /// Whether the vendor took note of its end.
    pub(super) committed: bool,
    /// Since when the avatar is silent although there is something to say.
    pub(super) resting_since: Option<Timestamp>,
    /// Since when sound is not acknowledged.
    pub(super) unacknowledged_since: Option<Timestamp>,
}

impl Utterance {
    pub(super) fn new(event_id: &str, now: Timestamp) -> Self {
        Self {
            event_id: event_id.to_owned(),
            waiting: VecDeque::new(),
            begun_at: now,
            fed_at: now,
            complete: false,
            sent_bytes: 0,
            first_sent: None,
            said_until: now,
            began: None,
            end_sent: None,
            committed: false,
            resting_since: None,
            unacknowledged_since: None,
        }
    }

    /// Takes in sound in pieces of any length, halves of samples included; `false` if there is no room for it.
    pub(super) fn feed(&mut self, pcm: &[u8], now: Timestamp) -> bool {
        if self.waiting.len() + pcm.len() > MAX_WAITING_BYTES {
            return false;
        }
        self.waiting.extend(pcm);
        self.fed_at = now;
        true
    }

    /// Tells since when it waits to be said.
    pub(super) fn waits_since(&self) -> Timestamp {
        self.begun_at
    }

    /// Tells how long the next piece is and when it is to be sent.
    fn next_piece(&self) -> Option<(usize, Timestamp)> {
        let whole = self.waiting.len() & !1;
        let (full, due) = match self.first_sent {
            None => (FIRST_BYTES, self.fed_at),
            Some(_) => (NEXT_BYTES, self.said_until - LEAD),
        };
        if whole == 0 {
            None
        } else if self.complete && whole <= full + TAIL_BYTES {
            Some((whole, due))
        } else if whole >= full {
            Some((full, due))
        } else if self.first_sent.is_some() && whole >= LEAST_BYTES {
            Some((whole, self.said_until - RUNS_DRY))
        } else {
            None
        }
    }

    /// Tells when the next piece is to be sent.
    pub(super) fn next_piece_at(&self) -> Option<Timestamp> {
        self.next_piece().map(|(_, due)| due)
    }

    /// Takes the next piece if it is due; never empty, and whole samples.
    pub(super) fn take_piece(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        let (length, _) = self.next_piece().filter(|(_, due)| *due <= now)?;
        let piece: Vec<u8> = self.waiting.drain(..length).collect();
        self.first_sent.get_or_insert(now);
        self.sent_bytes += length as u64;
        if self.said_until <= now {
            // It rested because it had nothing to say.
            self.resting_since = None;
        }
        self.said_until = self.said_until.max(now) + lasts(length as u64);
        Some(piece)
    }

    /// Tells whether all its sound was sent; half a sample at the end is nothing.
    pub(super) fn is_sent(&self) -> bool {
        self.complete && self.waiting.len() < 2
    }

    /// The avatar has begun to say it.
    pub(super) fn begins(&mut self, now: Timestamp) {
        if let (None, Some(first)) = (self.began, self.first_sent) {
            self.began = Some(now);
            let late = Duration::try_from(now.duration_since(first)).unwrap_or_default();
            self.said_until += late;
        }
    }

    /// Gives how much of it was sent.
    pub(super) fn sent(&self) -> Duration {
        lasts(self.sent_bytes)
    }

    /// Gives how much of it came in and was not sent.
    pub(super) fn unsent(&self) -> Duration {
        lasts(self.waiting.len() as u64)
    }

    /// Gives how much of it can have been heard by then: nothing before the avatar began.
    pub(super) fn heard(&self, at: Timestamp) -> Duration {
        if self.began.is_none_or(|began| began > at) {
            return Duration::ZERO;
        }
        let left = Duration::try_from(self.said_until.duration_since(at)).unwrap_or_default();
        self.sent().saturating_sub(left)
    }
}

/// How long so many bytes of sound last.
pub(super) fn lasts(bytes: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / u64::from(BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-12-01T12:00:00Z".parse().unwrap()
    }

    fn pieces(utterance: &mut Utterance, now: Timestamp) -> Vec<usize> {
        std::iter::from_fn(|| utterance.take_piece(now))
            .map(|piece| piece.len() / bytes(1))
            .collect()
    }

    #[test]
    fn the_first_piece_is_short_the_others_last_a_second_and_the_lead_is_bounded() {
        let mut long = Utterance::new("utt-1", start());
        assert!(long.feed(&vec![0; bytes(60_000)], start()));
        assert_eq!(pieces(&mut long, start()), [500, 1_000, 1_000, 1_000]);
        assert_eq!(
            pieces(&mut long, start() + Duration::from_millis(400)),
            [0; 0]
        );
        assert_eq!(
            pieces(&mut long, start() + Duration::from_millis(500)),
            [1_000]
        );
    }

    #[test]
    fn a_short_utterance_is_one_piece_and_a_tiny_rest_goes_with_the_piece_before() {
        for (ms, expected) in [
            (30, vec![30]),
            (590, vec![590]),
            (700, vec![500, 200]),
            (1_580, vec![500, 1_080]),
            (1_700, vec![500, 1_000, 200]),
        ] {
            let mut utterance = Utterance::new("utt-1", start());
            utterance.feed(&vec![0; bytes(ms)], start());
            utterance.complete = true;
            assert_eq!(pieces(&mut utterance, start()), expected, "{ms}");
            assert!(utterance.is_sent());
        }
    }

    #[test]
    fn half_a_sample_waits_for_its_other_half_and_is_nothing_at_the_end() {
        let mut utterance = Utterance::new("utt-1", start());
        utterance.feed(&[1; 3], start());
        utterance.feed(&[1; 2], start());
        utterance.complete = true;
        assert_eq!(utterance.take_piece(start()).unwrap().len(), 4);
        assert!(utterance.is_sent());
        assert!(utterance.take_piece(start()).is_none());
    }

    #[test]
    fn a_slow_voice_is_sent_as_it_comes_before_the_avatar_runs_dry() {
        let mut utterance = Utterance::new("utt-1", start());
        utterance.feed(&vec![0; bytes(900)], start());
        assert_eq!(pieces(&mut utterance, start()), [500]);
        let due = start() + Duration::from_millis(300);
        assert_eq!(utterance.next_piece_at(), Some(due));
        assert_eq!(pieces(&mut utterance, due), [400]);
        utterance.feed(&vec![0; bytes(50)], due);
        assert_eq!(utterance.next_piece_at(), None);
        utterance.feed(&vec![0; bytes(950)], due);
        assert_eq!(pieces(&mut utterance, due), [1_000]);
    }

    #[test]
    fn what_was_heard_grows_with_time_and_never_beyond_what_was_sent() {
        let mut utterance = Utterance::new("utt-1", start());
        utterance.feed(&vec![0; bytes(2_500)], start());
        utterance.complete = true;
        pieces(&mut utterance, start());
        let after = |ms| start() + Duration::from_millis(ms);
        assert_eq!(utterance.heard(after(1_000)), Duration::ZERO);
        utterance.begins(after(200));
        utterance.begins(after(900));
        let heard = [0, 200, 700, 2_700, 60_000].map(|ms| utterance.heard(after(ms)).as_millis());
        assert_eq!(heard, [0, 0, 500, 2_500, 2_500]);
    }

    #[test]
    fn there_is_room_for_so_much_and_no_more() {
        let mut utterance = Utterance::new("utt-1", start());
        assert!(utterance.feed(&vec![0; MAX_WAITING_BYTES], start()));
        assert!(!utterance.feed(&[0], start()));
    }
}
