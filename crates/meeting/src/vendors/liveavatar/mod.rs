//! `LiveAvatar` in LITE mode: the delegate's face, which says the sound that it is given.
//!
//! [`LiveAvatarClient`] builds the calls around a session. [`LiveAvatarLink`] is the session's socket without the
//! socket: it takes in sound, messages and time, and says what to send, when to connect again and what was said. The
//! shell owns the socket and a clock, and nothing else.
//!
//! The link guarantees that nothing is sent before the vendor is ready or after the end, that every utterance ends
//! exactly once, and that no sound is ever sent twice. It does not know what a meeting is, and stops no session.
//!
//! Reference: <https://docs.liveavatar.com/docs/lite-mode/events>.

mod client;
mod link;
mod refusal;
mod utterance;
mod wire;

pub use client::LiveAvatarClient;
pub use link::{Beginning, Command, CutReason, LinkReport, LiveAvatarLink, NotTaken, TroubleKind};

/// The sound that is sent: 24 kHz, mono, 16-bit signed little-endian. Any other is said as noise, without an error.
pub const SAMPLE_RATE: u32 = 24_000;
/// The bytes of a second of it.
pub const BYTES_PER_SECOND: u32 = SAMPLE_RATE * 2;
