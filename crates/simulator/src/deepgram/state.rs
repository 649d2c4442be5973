//! What a test sees of the streams.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

/// One stream that `Deepgram` accepted, open or over.
#[derive(Clone, Debug)]
pub struct ListeningSession {
    /// The request id, as the handshake's `dg-request-id` tells it.
    pub id: String,
    /// The meeting, where the query's `extra` names one as `meeting_id:mtg_…`.
    pub meeting_id: Option<String>,
    /// When the stream was opened.
    pub opened_at: Timestamp,
    /// The query, in order.
    pub parameters: Vec<(String, String)>,
    /// The handshake's `User-Agent`.
    pub user_agent: Option<String>,
    /// The audio, as far as it is kept.
    pub audio: Arc<Vec<u8>>,
    /// How many bytes of audio came in all.
    pub audio_bytes: u64,
    /// The client's text messages.
    pub texts: Vec<ControlMessage>,
    /// How many results were sent, interim ones included.
    pub results: usize,
    /// Words of known lines that began in the audio and did not come through whole.
    pub broken_words: Vec<String>,
    /// What the client did that the vendor advises against or does not allow.
    pub violations: Vec<String>,
    /// The worst rate at which audio came, in multiples of real time, if it was too fast.
    pub too_fast: Option<f64>,
    /// The close code and reason, once the stream is over; 1006 where no close frame was sent.
    pub closed: Option<(u16, String)>,
    /// Who ended it.
    pub closed_by: Option<Side>,
}

impl ListeningSession {
    /// The value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A text message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// The message, as it came.
    pub text: String,
    /// How many bytes of audio came before it.
    pub audio_bytes: u64,
    /// When it came.
    pub at: Timestamp,
}

/// One end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Whoever opened it.
    Client,
    /// The simulated vendor.
    Vendor,
}

/// How a stream breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListeningDrop {
    /// The connection is cut without a close frame.
    Abort,
    /// The vendor closes.
    Close {
        /// The close code.
        code: u16,
        /// The reason text.
        reason: String,
    },
    /// The connection stays open, but nothing is read or sent any more.
    HalfOpen,
    /// Everything is read, nothing is answered.
    Mute,
}

impl ListeningDrop {
    /// Close 1011: the vendor had no result in time.
    pub fn internal() -> Self {
        Self::Close {
            code: 1011,
            reason: NET_0000.to_owned(),
        }
    }

    /// Close 1008: the vendor cannot decode the audio.
    pub fn undecodable() -> Self {
        Self::Close {
            code: 1008,
            reason: DATA_0000.to_owned(),
        }
    }

    /// A close frame with this code and an empty reason.
    pub fn code(code: u16) -> Self {
        Self::Close {
            code,
            reason: String::new(),
        }
    }
}

/// Reasons end in a link, where the documentation has a bare code.
pub(crate) const NET_0000: &str =
    "No response was ready within the timeout window. See https://dpgr.am/net0000";
pub(crate) const NET_0001: &str =
    "No audio or text message came within the timeout window. See https://dpgr.am/net0001";
pub(crate) const DATA_0000: &str =
    "The payload cannot be decoded as audio. See https://dpgr.am/data0000";

/// A message that is sent when the audio has reached a place.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptedResult {
    /// The seconds of audio that have to come first.
    pub at: Duration,
    /// The message; a missing `metadata.request_id` is filled in.
    pub message: Value,
}

/// What happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListeningNews {
    /// It was accepted.
    Opened,
    /// No stream was opened.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        why: String,
    },
    /// The first audio came.
    FirstAudio,
    /// A text message came.
    Told(String),
    /// Text was made final.
    Final {
        /// The text.
        text: String,
        /// Whether speech ended there.
        speech_final: bool,
    },
    /// The client did what it should not.
    Violation(String),
    /// A test broke it.
    Dropped(ListeningDrop),
    /// It is over.
    Closed {
        /// The close code; 1006 where no close frame was sent.
        code: u16,
        /// The reason text.
        reason: String,
        /// Who ended it.
        by: Side,
    },
}

impl std::fmt::Display for ListeningNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened => f.write_str("opened"),
            Self::Refused { status, why } => write!(f, "refused with {status}: {why}"),
            Self::FirstAudio => f.write_str("first audio"),
            Self::Told(text) => write!(f, "told {text}"),
            Self::Final {
                text,
                speech_final: true,
            } => write!(f, "final: {text} (speech ends)"),
            Self::Final { text, .. } => write!(f, "final: {text}"),
            Self::Violation(what) => write!(f, "violation: {what}"),
            Self::Dropped(how) => write!(f, "dropped by the test: {how:?}"),
            Self::Closed { code, reason, by } => write!(f, "closed by the {by:?}: {code} {reason}"),
        }
    }
}
