//! Sound that may have to be sent again: what is not sent yet, and what was sent but is not settled.

use std::collections::VecDeque;

use super::BYTES_PER_SECOND;

/// How much sound is kept, in seconds, unsent and unsettled together: 960 kB for a meeting. Sound may be sent at most
/// at 1.25 times its own speed, so more than this would take over two minutes to catch up.
pub const REPLAY_SECONDS: u32 = 30;
const MAX_BYTES: u64 = (REPLAY_SECONDS * BYTES_PER_SECOND) as u64;

/// Sound is kept in pieces of one second. One growing piece would take up to twice the room, and the old one besides
/// while it is copied.
const PIECE: usize = BYTES_PER_SECOND as usize;

/// The newest sound, by its position since this buffer was made.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplayBuffer {
    /// Of [`PIECE`] bytes each, but for the last.
    pieces: VecDeque<Vec<u8>>,
    /// So many bytes of the first piece are gone.
    gone: usize,
    /// The position of the first byte kept.
    start: u64,
    /// The position behind the last byte.
    end: u64,
    /// Up to here it was sent on the present connection.
    sent: u64,
    /// Up to here words are settled, or what was lost has been told.
    settled: u64,
}

impl ReplayBuffer {
    /// Adds sound at the end; the oldest goes when there is too much of it.
    pub(super) fn push(&mut self, mut sound: &[u8]) {
        self.end += sound.len() as u64;
        while !sound.is_empty() {
            match self.pieces.back_mut() {
                Some(last) if last.len() < PIECE => {
                    let (fits, rest) = sound.split_at(sound.len().min(PIECE - last.len()));
                    last.extend_from_slice(fits);
                    sound = rest;
                }
                Some(_) | None => self.pieces.push_back(Vec::with_capacity(PIECE)),
            }
        }
        let oldest = self.end.saturating_sub(MAX_BYTES);
        if oldest > self.start {
            self.forget_before(oldest);
            self.sent = self.sent.max(self.start);
        }
    }

    /// The position behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn unsent(&self) -> u64 {
        self.end - self.sent
    }

    /// How much sound is neither settled nor given up.
    pub(super) fn unsettled(&self) -> u64 {
        self.end - self.settled
    }

    /// Whether sound was sent whose words are not settled.
    pub(super) fn is_unsettled(&self) -> bool {
        self.settled < self.sent
    }

    /// Tells whether the last bytes are these.
    pub(super) fn ends_with(&self, sound: &[u8]) -> bool {
        let from = self.end.checked_sub(sound.len() as u64);
        let Some(from) = from.filter(|from| *from >= self.start) else {
            return false;
        };
        let mut rest = sound;
        self.between(from, self.end).all(|kept| {
            let (same, after) = rest.split_at(kept.len());
            rest = after;
            same == kept
        })
    }

    /// Counts everything as sent, because the caller sends it.
    pub(super) fn mark_sent(&mut self) {
        self.sent = self.end;
    }

    /// Takes up to `most` unsent bytes, in whole samples, to be sent now.
    pub(super) fn take_unsent(&mut self, most: u64) -> Vec<u8> {
        let unsent = self.unsent();
        let count = if most >= unsent { unsent } else { most & !1 };
        let from = self.sent;
        self.sent += count;
        let taken: Vec<&[u8]> = self.between(from, self.sent).collect();
        taken.concat()
    }

    /// Everything up to `position` is settled and not needed again.
    pub(super) fn settle(&mut self, position: u64) {
        let position = position.min(self.sent);
        if position > self.settled {
            self.settled = position;
        }
        if position > self.start {
            self.forget_before(position);
        }
    }

    /// Starts over for a fresh connection with what is not settled; tells how many bytes of it are gone.
    pub(super) fn rewind(&mut self) -> u64 {
        let lost = self.start.saturating_sub(self.settled);
        self.settled = self.settled.max(self.start);
        self.sent = self.settled;
        lost
    }

    fn forget_before(&mut self, position: u64) {
        self.gone = self.index(position);
        self.start = position;
        while let Some(first) = self.pieces.front()
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            self.pieces.pop_front();
        }
    }

    /// The sound between two positions, as it lies.
    fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &[u8]> {
        let (mut at, to) = (self.index(from), self.index(to));
        std::iter::from_fn(move || {
            let piece = self.pieces.get(at / PIECE).filter(|_| at < to)?;
            let begin = at % PIECE;
            let end = piece.len().min(begin + to - at);
            at += end - begin;
            Some(&piece[begin..end])
        })
    }

    /// Where a position lies, counted from the beginning of the first piece.
    fn index(&self, position: u64) -> usize {
        let kept = usize::try_from(position - self.start).expect("positions kept fit into memory");
        self.gone + kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_settled_is_not_sent_again_and_the_rest_is() {
        let mut buffer = ReplayBuffer::default();
        buffer.push(&[1, 2, 3, 4, 5, 6]);
        buffer.mark_sent();
        buffer.settle(2);
        buffer.push(&[7, 8]);
        assert_eq!(buffer.rewind(), 0);
        assert_eq!(buffer.sent(), 2);
        assert_eq!(buffer.take_unsent(3), [3, 4]);
        assert_eq!(buffer.take_unsent(100), [5, 6, 7, 8]);
        assert_eq!(buffer.unsent(), 0);
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes_and_is_counted_once() {
        let mut buffer = ReplayBuffer::default();
        let second = vec![1; BYTES_PER_SECOND as usize];
        for _ in 0..REPLAY_SECONDS + 2 {
            buffer.push(&second);
        }
        assert_eq!(
            buffer.unsent(),
            u64::from(REPLAY_SECONDS * BYTES_PER_SECOND)
        );
        assert_eq!(buffer.rewind(), u64::from(2 * BYTES_PER_SECOND));
        assert_eq!(buffer.rewind(), 0);
    }

    #[test]
    fn what_the_other_side_claims_beyond_the_sound_is_ignored() {
        let mut buffer = ReplayBuffer::default();
        buffer.push(&[1, 2, 3, 4]);
        assert_eq!(buffer.take_unsent(2), [1, 2]);
        buffer.settle(1_000);
        assert_eq!(buffer.rewind(), 0);
        assert_eq!(buffer.take_unsent(1_000), [3, 4]);
    }

    proptest! {
        /// Whatever is pushed, sent, settled and lost on the way: the union of what was sent is the sound.
        #[test]
        fn no_byte_is_skipped(steps in prop::collection::vec((0_u8..4, 1_usize..64), 1..200)) {
            let mut buffer = ReplayBuffer::default();
            let mut sound = Vec::new();
            let mut covered = 0;
            for (kind, size) in steps {
                match kind {
                    0 => {
                        // Many of these fill a piece of the buffer, and none is longer than it.
                        let piece: Vec<u8> = (0..size * 100)
                            .map(|n| u8::try_from((sound.len() + n) % 251).unwrap())
                            .collect();
                        buffer.push(&piece);
                        prop_assert!(buffer.ends_with(&piece));
                        prop_assert!(!buffer.ends_with(&[&piece[1..], &[251]].concat()));
                        sound.extend(piece);
                    }
                    1 => {
                        let from = usize::try_from(buffer.sent()).unwrap();
                        let piece = buffer.take_unsent(size as u64 * 150);
                        prop_assert!(from <= covered);
                        prop_assert_eq!(&sound[from..from + piece.len()], piece.as_slice());
                        covered = covered.max(from + piece.len());
                    }
                    2 => buffer.settle(buffer.settled + size as u64 * 100),
                    _ => prop_assert_eq!(buffer.rewind(), 0),
                }
            }
            buffer.rewind();
            let from = usize::try_from(buffer.sent()).unwrap();
            prop_assert!(from <= covered);
            prop_assert_eq!(buffer.take_unsent(u64::MAX), &sound[from..]);
        }
    }
}
