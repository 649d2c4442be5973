//! Deepgram, who hears for the delegate: sound in, words out, over one WebSocket at a time.
//!
//! [`DeepgramStt`] is the whole session without its sockets: it takes in sound, messages and time, and says what
//! to send, when to connect again and what was heard. The shell owns the sockets and a clock, and nothing else.
//!
//! It guarantees that no empty frame is ever sent and nothing at all after `CloseStream`, that sound whose words are
//! not settled yet is sent again after a lost connection, and that times stay on one clock over all connections.
//! It does not know what a meeting is.
//!
//! Reference: <https://developers.deepgram.com/reference/speech-to-text/listen-streaming>.

mod clock;
mod options;
mod refusal;
mod replay;
mod stt;
mod wire;
mod words;

pub use options::{Diarization, ListenOptions};
pub use replay::REPLAY_SECONDS;
pub use stt::{Command, DeepgramStt, Passage, SttReport};
pub use words::{HeardSegment, HeardWord};

/// The sound that is sent: 16 kHz, mono, 16-bit signed little-endian, as Recall delivers it.
pub const SAMPLE_RATE: u32 = 16_000;
/// The bytes of a second of it.
pub const BYTES_PER_SECOND: u32 = SAMPLE_RATE * 2;
