//! Time and randomness, the two things the core does not have.

use attache_meeting::ids::{KeyId, MeetingId, UtteranceId};
use jiff::Timestamp;

/// Reads the runtime's clock.
pub(crate) fn now() -> Timestamp {
    at(worker::js_sys::Date::now())
}

/// Reads a time of JavaScript's, in milliseconds.
pub(crate) fn at(milliseconds: f64) -> Timestamp {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "JavaScript's clock counts whole milliseconds, far below 2^53"
    )]
    let milliseconds = milliseconds as i64;
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

/// Draws random bytes from the runtime's cryptographic source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the runtime always has randomness");
    bytes
}

/// Mints a meeting's id.
pub(crate) fn meeting_id() -> MeetingId {
    MeetingId::mint(now(), u128::from_le_bytes(random()))
}

/// Mints an utterance's id.
pub(crate) fn utterance_id() -> UtteranceId {
    UtteranceId::mint(now(), u128::from_le_bytes(random()))
}

/// Mints a key's id.
pub(crate) fn key_id() -> KeyId {
    KeyId::mint(now(), u128::from_le_bytes(random()))
}
