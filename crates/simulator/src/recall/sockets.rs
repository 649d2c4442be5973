//! What a test sees of the sockets that carry a call's sound.

use jiff::Timestamp;

/// One dial of an audio endpoint and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioConnection {
    /// When it was dialled.
    pub dialled_at: Timestamp,
    /// What the handshake was answered with, if it was answered with HTTP: 101 if it succeeded.
    pub status: Option<u16>,
    /// When the handshake succeeded.
    pub opened_at: Option<Timestamp>,
    /// When and how it ended.
    pub end: Option<(Timestamp, AudioEnd)>,
    /// Messages from the server, which nobody reads.
    pub received: usize,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioEnd {
    /// The bot closed it.
    Bot {
        /// The code it closed with.
        code: u16,
        /// The code the server answered with, if it answered.
        answer: Option<u16>,
    },
    /// The server closed it.
    Server {
        /// Its code; none if its close frame had none.
        code: Option<u16>,
        /// Its reason.
        reason: String,
    },
    /// It broke, or was never made.
    Broken(String),
}

/// A frame that was handed to a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioSent {
    /// The place of its connection among those of the meeting.
    pub connection: usize,
    /// When its sound began, in seconds of meeting time since the recording did.
    pub relative: f64,
    /// The sound.
    pub bytes: Vec<u8>,
    /// Whether this is the second of two equal frames.
    pub repeated: bool,
}

/// News of a connection, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioNews {
    /// It is dialled.
    Dialled,
    /// The handshake failed, with this status or without an answer.
    Refused {
        /// The status.
        status: Option<u16>,
        /// What went wrong.
        error: String,
    },
    /// The handshake succeeded.
    Opened,
    /// It ended.
    Ended {
        /// How.
        end: AudioEnd,
        /// How many frames with sound were sent on it, repeated ones included.
        frames: usize,
    },
    /// It was the last: the endpoint has failed.
    GivenUp,
}

impl AudioConnection {
    pub(crate) fn dialled(at: Timestamp) -> Self {
        Self {
            dialled_at: at,
            status: None,
            opened_at: None,
            end: None,
            received: 0,
        }
    }

    /// Whether it was opened and has not ended.
    pub fn is_open(&self) -> bool {
        self.opened_at.is_some() && self.end.is_none()
    }
}

impl std::fmt::Display for AudioEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bot { code, .. } => write!(f, "closed by the bot with {code}"),
            Self::Server { code, reason } => {
                write!(f, "closed by the server")?;
                if let Some(code) = code {
                    write!(f, " with {code}")?;
                }
                if reason.is_empty() {
                    Ok(())
                } else {
                    write!(f, ": {reason}")
                }
            }
            Self::Broken(error) => write!(f, "broken: {error}"),
        }
    }
}

impl std::fmt::Display for AudioNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dialled => f.write_str("dialled"),
            Self::Refused { status, error } => match status {
                Some(status) => write!(f, "refused -> {status}"),
                None => write!(f, "not made: {error}"),
            },
            Self::Opened => f.write_str("opened"),
            Self::Ended { end, frames } => write!(f, "{end}, after {frames} frames"),
            Self::GivenUp => f.write_str("was the last, the endpoint has failed"),
        }
    }
}
