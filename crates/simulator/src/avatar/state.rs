//! What a test sees of avatar sessions.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::deepgram::Side;

/// Whose session it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the vendors' own")]
pub enum AvatarProvider {
    LiveAvatar,
    HeyGen,
}

/// One session, from its token to its end.
#[derive(Clone, Debug)]
pub struct AvatarSession {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub provider: AvatarProvider,
    /// The meeting it is for, once that can be told: by the header `x-meeting-id`, by `meeting_id:…`
    /// in the field `source` of `HeyGen`, by the only bot that shows a page, or by who watches.
    pub meeting_id: Option<String>,
    /// The avatar asked for.
    pub avatar: String,
    /// The body that asked for it.
    pub request: Value,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was started, which is when it begins to cost.
    pub started_at: Option<Timestamp>,
    /// How it ended.
    pub ended: Option<AvatarEnded>,
    /// How long it may last.
    pub longest: Duration,
    /// Credits it cost so far.
    pub credits: u32,
    /// Whether commands are heard on its socket now.
    pub connected: bool,
    /// How often its socket was opened.
    pub sockets: usize,
    /// How it looks now: `idle`, `listening` or `talking`.
    pub state: &'static str,
    /// What it was made to say, in order.
    pub utterances: Vec<AvatarUtterance>,
    /// Each interruption, in order.
    pub interrupts: Vec<AvatarInterrupt>,
    /// When its time was extended by a keep-alive.
    pub keep_alives: Vec<Timestamp>,
    /// Who watches or watched it, in order.
    pub viewers: Vec<AvatarViewer>,
    /// What the client did that the vendor refuses or ignores.
    pub violations: Vec<String>,
    /// What the client did against the vendor's advice, such as pieces of sound that are too short.
    pub deviations: Vec<String>,
}

impl AvatarSession {
    /// Whether it goes on, and costs.
    pub fn is_live(&self) -> bool {
        self.started_at.is_some() && self.ended.is_none()
    }

    /// The sound it got under an event id, over all utterances.
    pub fn bytes_of(&self, event_id: &str) -> u64 {
        let utterances = self.utterances.iter();
        utterances
            .filter(|utterance| utterance.event_id.as_deref() == Some(event_id))
            .map(|utterance| utterance.bytes)
            .sum()
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvatarEnded {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: AvatarEnd,
    /// Who ended it.
    pub by: Side,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the vendor's own")]
pub enum AvatarEnd {
    Unknown,
    UserDisconnected,
    ServerError,
    IdleTimeout,
    NoCredits,
    UserClosed,
    AvatarDeleted,
    MaxDurationReached,
    ZombieSessionReap,
    AgentHangUp,
}

const ENDS: [(AvatarEnd, &str); 10] = [
    (AvatarEnd::Unknown, "UNKNOWN"),
    (AvatarEnd::UserDisconnected, "USER_DISCONNECTED"),
    (AvatarEnd::ServerError, "SERVER_ERROR"),
    (AvatarEnd::IdleTimeout, "IDLE_TIMEOUT"),
    (AvatarEnd::NoCredits, "NO_CREDITS"),
    (AvatarEnd::UserClosed, "USER_CLOSED"),
    (AvatarEnd::AvatarDeleted, "AVATAR_DELETED"),
    (AvatarEnd::MaxDurationReached, "MAX_DURATION_REACHED"),
    (AvatarEnd::ZombieSessionReap, "ZOMBIE_SESSION_REAP"),
    (AvatarEnd::AgentHangUp, "AGENT_HANG_UP"),
];

impl AvatarEnd {
    /// The vendor's word for it.
    pub fn name(self) -> &'static str {
        let found = ENDS.iter().find(|(end, _)| *end == self);
        found.map_or("UNKNOWN", |(_, name)| name)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let found = ENDS.iter().find(|(_, known)| *known == name);
        found.map(|(end, _)| *end)
    }
}

/// Something an avatar was made to say.
#[derive(Clone, Debug, PartialEq)]
pub struct AvatarUtterance {
    /// The client's id of its first piece.
    pub event_id: Option<String>,
    /// What it says: the text the simulated `ElevenLabs` made this sound for, or that came as text.
    pub text: Option<String>,
    /// Whether the sound is exactly what was made for the text, from its first byte to its last.
    pub whole: bool,
    /// How many bytes of sound came.
    pub bytes: u64,
    /// SHA-256 of the sound, in lower-case hex.
    pub sha256: String,
    /// The sound, as far as it is kept.
    pub pcm: Arc<Vec<u8>>,
    /// The pieces it came in.
    pub chunks: Vec<AvatarChunk>,
    /// When its end was told.
    pub committed_at: Option<Timestamp>,
    /// When the avatar began to say it.
    pub began_at: Option<Timestamp>,
    /// When the avatar was done with it, or was made to stop.
    pub ended_at: Option<Timestamp>,
    /// How much of it was said, in meeting time.
    pub heard: Duration,
    /// What became of it.
    pub state: AvatarUtteranceState,
}

/// What became of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AvatarUtteranceState {
    /// It waits for the one before it.
    Queued,
    /// It is being said.
    Talking,
    /// It was said.
    Spoken,
    /// It was interrupted, perhaps before it began.
    Interrupted,
    /// The session ended first.
    Lost,
}

/// One piece of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvatarChunk {
    /// When it came.
    pub at: Timestamp,
    /// How long it is.
    pub duration: Duration,
}

/// One interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvatarInterrupt {
    /// The client's id.
    pub event_id: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Places of the utterances it cut.
    pub cut: Vec<usize>,
    /// When the last piece came that belonged to something said before it, if one came late.
    pub last_late_chunk: Option<Timestamp>,
}

/// Somebody in a session's room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvatarViewer {
    /// When they came in.
    pub joined_at: Timestamp,
    /// When they left.
    pub left_at: Option<Timestamp>,
}

/// How a session's socket breaks, or what goes wrong on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvatarFault {
    /// The connection is cut without a close frame.
    Abort,
    /// The vendor closes the socket; the session goes on.
    Close {
        /// The close code.
        code: u16,
        /// The reason text.
        reason: String,
    },
    /// The connection stays open, but nothing is read or sent any more.
    HalfOpen,
    /// Everything is read and done, nothing is told.
    Mute,
    /// An error event; `server_error` and `video_starvation` are the vendor's other types.
    Error {
        /// `error.type`.
        kind: AvatarError,
        /// `error.message`.
        message: String,
    },
    /// The session ends for this reason, and that is told.
    End(AvatarEnd),
    /// The session has reached its longest duration and nothing is told.
    SilentEnd,
}

/// The types of error events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the vendor's own")]
pub enum AvatarError {
    InvalidRequest,
    Server,
    VideoStarvation,
}

impl AvatarError {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request_error",
            Self::Server => "server_error",
            Self::VideoStarvation => "video_starvation",
        }
    }
}

/// What happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvatarNews {
    /// It was started.
    Started,
    /// Its socket was opened.
    SocketOpened,
    /// Commands are heard from here.
    Connected,
    /// Its socket is gone.
    SocketClosed {
        /// The close code; 1006 where no close frame was sent.
        code: u16,
        /// Who closed it.
        by: Side,
    },
    /// The first sound of an utterance came, or its text.
    Fed {
        /// The utterance's place.
        utterance: usize,
    },
    /// The avatar says an utterance.
    Talking {
        /// The utterance's place.
        utterance: usize,
    },
    /// The avatar has said it.
    Spoken {
        /// The utterance's place.
        utterance: usize,
        /// What it said, where that is known.
        text: Option<String>,
    },
    /// The avatar was interrupted.
    Interrupted {
        /// Places of the utterances that were cut.
        cut: Vec<usize>,
    },
    /// It looks otherwise: `idle`, `listening` or `talking`.
    State(&'static str),
    /// Its time was extended.
    KeptAlive,
    /// Somebody came to watch.
    ViewerJoined,
    /// Somebody who watched left.
    ViewerLeft,
    /// The client did what the vendor refuses or ignores.
    Violation(String),
    /// The client did what the vendor advises against.
    Deviation(String),
    /// A test broke something.
    Faulted(AvatarFault),
    /// It is over.
    Ended {
        /// Why.
        reason: AvatarEnd,
        /// Who ended it.
        by: Side,
    },
}

impl std::fmt::Display for AvatarNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Started => f.write_str("started"),
            Self::SocketOpened => f.write_str("socket opened"),
            Self::Connected => f.write_str("connected"),
            Self::SocketClosed { code, by } => write!(f, "socket closed by the {by:?}: {code}"),
            Self::Fed { utterance } => write!(f, "gets utterance {utterance}"),
            Self::Talking { utterance } => write!(f, "says utterance {utterance}"),
            Self::Spoken {
                utterance,
                text: Some(text),
            } => write!(f, "has said utterance {utterance}: {text}"),
            Self::Spoken { utterance, .. } => write!(f, "has said utterance {utterance}"),
            Self::Interrupted { cut } => write!(f, "interrupted, cuts {cut:?}"),
            Self::State(state) => write!(f, "looks {state}"),
            Self::KeptAlive => f.write_str("kept alive"),
            Self::ViewerJoined => f.write_str("viewer joined"),
            Self::ViewerLeft => f.write_str("viewer left"),
            Self::Violation(what) => write!(f, "violation: {what}"),
            Self::Deviation(what) => write!(f, "against advice: {what}"),
            Self::Faulted(fault) => write!(f, "broken by the test: {fault:?}"),
            Self::Ended { reason, by } => write!(f, "ended by the {by:?}: {}", reason.name()),
        }
    }
}
