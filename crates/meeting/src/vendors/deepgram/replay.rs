//! Sound that may have to be sent again: what is not sent yet, and what was sent but is not settled.

use std::collections::VecDeque;

use super::BYTES_PER_SECOND;

/// How much sound is kept, in seconds, unsent and unsettled together: 960 kB for a meeting. Sound may be sent at most
/// at 1.25 times its own speed, so more than this would take over two minutes to catch up.
pub const REPLAY_SECONDS: u32 = 30;
const MAX_BYTES: usize = (REPLAY_SECONDS * BYTES_PER_SECOND) as usize;

/// The newest sound, by its position since this buffer was made.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplayBuffer {
    bytes: VecDeque<u8>,
    /// The position of the first byte kept.
    start: u64,
    /// Up to here it was sent on the present connection.
    sent: u64,
    /// Up to here words are settled, or what was lost has been told.
    settled: u64,
}

impl ReplayBuffer {
    /// Adds sound at the end; the oldest goes when there is too much of it.
    pub(super) fn push(&mut self, sound: &[u8]) {
        self.bytes.extend(sound);
        let excess = self.bytes.len().saturating_sub(MAX_BYTES);
        if excess > 0 {
            self.bytes.drain(..excess);
            self.start += excess as u64;
            self.sent = self.sent.max(self.start);
        }
    }

    /// The position behind the last byte.
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn unsent(&self) -> u64 {
        self.end() - self.sent
    }

    /// How much sound is neither settled nor given up.
    pub(super) fn unsettled(&self) -> u64 {
        self.end() - self.settled
    }

    /// Whether sound was sent whose words are not settled.
    pub(super) fn is_unsettled(&self) -> bool {
        self.settled < self.sent
    }

    /// Tells whether the last bytes are these.
    pub(super) fn ends_with(&self, sound: &[u8]) -> bool {
        let Some(from) = self.bytes.len().checked_sub(sound.len()) else {
            return false;
        };
        self.bytes.range(from..).eq(sound)
    }

    /// Counts everything as sent, because the caller sends it.
    pub(super) fn mark_sent(&mut self) {
        self.sent = self.end();
    }

    /// Takes up to `most` unsent bytes, in whole samples, to be sent now.
    pub(super) fn take_unsent(&mut self, most: u64) -> Vec<u8> {
        let unsent = self.unsent();
        let count = if most >= unsent { unsent } else { most & !1 };
        let (from, to) = (self.index(self.sent), self.index(self.sent + count));
        self.sent += count;
        self.bytes.range(from..to).copied().collect()
    }

    /// Everything up to `position` is settled and not needed again.
    pub(super) fn settle(&mut self, position: u64) {
        let position = position.min(self.sent);
        if position > self.settled {
            self.settled = position;
        }
        if position > self.start {
            self.bytes.drain(..self.index(position));
            self.start = position;
        }
    }

    /// Starts over for a fresh connection with what is not settled; tells how many bytes of it are gone.
    pub(super) fn rewind(&mut self) -> u64 {
        let lost = self.start.saturating_sub(self.settled);
        self.settled = self.settled.max(self.start);
        self.sent = self.settled;
        lost
    }

    fn index(&self, position: u64) -> usize {
        usize::try_from(position - self.start).expect("positions kept fit into memory")
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
                        let piece: Vec<u8> = (0..size * 2)
                            .map(|n| u8::try_from((sound.len() + n) % 251).unwrap())
                            .collect();
                        buffer.push(&piece);
                        sound.extend(piece);
                    }
                    1 => {
                        let from = usize::try_from(buffer.sent()).unwrap();
                        let piece = buffer.take_unsent(size as u64);
                        prop_assert!(from <= covered);
                        prop_assert_eq!(&sound[from..from + piece.len()], piece.as_slice());
                        covered = covered.max(from + piece.len());
                    }
                    2 => buffer.settle(buffer.settled + size as u64 * 2),
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
