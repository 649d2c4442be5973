//! Orders: what a meeting asks of the outside world, and what it tells on the way.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::state::{UtteranceState, Via, Warning};
use crate::{
    ids::{BotId, MeetingId, UtteranceId},
    page::{Reaction, ToPage},
    transcript::Segment,
    vendors::{
        avatar::{AvatarProvider, AvatarSessionId},
        liveavatar::Beginning,
    },
    view::MeetingView,
};

/// Names one order of one meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub u64);

impl EffectId {
    /// Gives the idempotency key of this order at the vendor.
    pub fn idempotency_key(self, meeting: &MeetingId) -> String {
        format!("{meeting}-{}", self.0)
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eff_{}", self.0)
    }
}

/// An order to the outside world; it may be carried out twice, so it is idempotent or carries a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Make the bot.
    CreateBot {
        /// The idempotency key.
        key: String,
        /// When it is to join; absent means now.
        join_at: Option<Timestamp>,
    },
    /// Look for bots that carry this meeting's id.
    FindBots,
    /// Note in the directory whose bot it is.
    RecordBot {
        /// The bot.
        bot_id: BotId,
    },
    /// Read the bot's state.
    ReadBot {
        /// The bot.
        bot_id: BotId,
    },
    /// Call off a bot that has not been dispatched.
    DeleteBot {
        /// The bot.
        bot_id: BotId,
    },
    /// Tell the bot to leave.
    LeaveCall {
        /// The bot.
        bot_id: BotId,
    },
    /// Make the audio of an utterance and store it.
    Synthesize {
        /// The utterance.
        utterance_id: UtteranceId,
        /// What is said.
        text: String,
        /// The voice.
        voice_id: String,
        /// BCP 47 tag of the language.
        language: String,
        /// In which form.
        #[serde(default)]
        format: SpeechFormat,
    },
    /// Ask the avatar's vendor for a session.
    OpenAvatar {
        /// The vendor.
        provider: AvatarProvider,
    },
    /// Let the avatar of an opened session appear.
    StartAvatar {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
    },
    /// End a session.
    StopAvatar {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
    },
    /// Ask whether a session that was ended is.
    CheckAvatar {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
    },
    /// Keep a session that has nothing to do.
    KeepAvatarAlive {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
    },
    /// Let the avatar say a text in its own voice.
    AvatarSay {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
        /// What to say.
        text: String,
    },
    /// Silence the avatar.
    AvatarInterrupt {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
    },
    /// Let the avatar react.
    AvatarReact {
        /// The vendor.
        provider: AvatarProvider,
        /// The session.
        session_id: AvatarSessionId,
        /// How.
        reaction: Reaction,
    },
    /// Play a stored utterance.
    PlayAudio {
        /// In this bot's call.
        bot_id: BotId,
        /// The utterance.
        utterance_id: UtteranceId,
    },
    /// Stop what is being played.
    StopAudio {
        /// In this bot's call.
        bot_id: BotId,
    },
    /// Write to the call's chat.
    SendChat {
        /// In this bot's call.
        bot_id: BotId,
        /// What to write.
        text: String,
    },
    /// Read the final transcript and store it.
    FetchTranscript {
        /// Of this bot.
        bot_id: BotId,
    },
    /// Delete what Recall keeps of the call.
    DeleteMedia {
        /// Of this bot.
        bot_id: BotId,
    },
    /// Tell the tenant's index how the meeting stands now.
    UpdateIndex,
    /// Forget everything that is stored of the meeting.
    Wipe,
}

impl Effect {
    /// Gives the operation's name, as in the retry table and the logs.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::CreateBot { .. } => "recall.create_bot",
            Self::FindBots => "recall.find_bots",
            Self::RecordBot { .. } => "directory.record_bot",
            Self::ReadBot { .. } => "recall.get_bot",
            Self::DeleteBot { .. } => "recall.delete_bot",
            Self::LeaveCall { .. } => "recall.leave_call",
            Self::Synthesize { .. } => "elevenlabs.synthesize_full",
            Self::OpenAvatar { provider } => match provider {
                AvatarProvider::LiveAvatar => "liveavatar.create_token",
                AvatarProvider::HeyGen => "heygen.new",
            },
            Self::StartAvatar { provider, .. } => match provider {
                AvatarProvider::LiveAvatar => "liveavatar.start",
                AvatarProvider::HeyGen => "heygen.start",
            },
            Self::StopAvatar { provider, .. } => match provider {
                AvatarProvider::LiveAvatar => "liveavatar.stop",
                AvatarProvider::HeyGen => "heygen.stop",
            },
            Self::CheckAvatar { provider, .. } => match provider {
                AvatarProvider::LiveAvatar => "liveavatar.get_session",
                AvatarProvider::HeyGen => "heygen.list_active",
            },
            Self::KeepAvatarAlive { provider, .. } => match provider {
                AvatarProvider::LiveAvatar => "liveavatar.keep_alive",
                AvatarProvider::HeyGen => "heygen.keep_alive",
            },
            Self::AvatarSay { .. } => "heygen.speak",
            Self::AvatarInterrupt { .. } => "heygen.interrupt",
            Self::AvatarReact { .. } => "heygen.react",
            Self::PlayAudio { .. } => "recall.send_audio",
            Self::StopAudio { .. } => "recall.stop_audio",
            Self::SendChat { .. } => "recall.send_chat_message",
            Self::FetchTranscript { .. } => "recall.get_transcript",
            Self::DeleteMedia { .. } => "recall.delete_media",
            Self::UpdateIndex => "tenant.update_index",
            Self::Wipe => "meeting.wipe",
        }
    }
}

/// An order that has not come back yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outstanding {
    /// What was ordered.
    pub effect: Effect,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Whether it is under way or waits for its next attempt.
    pub phase: Phase,
}

/// Whether an order is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase")]
pub(crate) enum Phase {
    /// The shell works on it; without a result by then it counts as lost.
    Running {
        /// When it counts as lost.
        until: Timestamp,
    },
    /// It failed and is tried again then.
    Waiting {
        /// When it is tried again.
        until: Timestamp,
    },
}

/// An order for the shell to start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The id to answer under.
    pub id: EffectId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What to do.
    pub effect: Effect,
}

/// Everything that one event brought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Orders to start, once the meeting is saved.
    pub orders: Vec<Order>,
    /// What watchers of `live` are told.
    pub live: Vec<LiveEvent>,
    /// What goes into the event log.
    pub timeline: Vec<TimelineEntry>,
    /// Segments to store under source `live`.
    pub segments: Vec<Segment>,
    /// Stored audio that is not needed any more.
    pub clips_done: Vec<UtteranceId>,
    /// Whether the last stored segment of source `live` ends an utterance.
    pub utterance_ended: bool,
    /// What the bot's page is told.
    pub page: Vec<PageOrder>,
    /// What the sockets of the avatar's sessions are told.
    pub avatar: Vec<AvatarOrder>,
    /// What is to become of the listening session.
    pub ears: Option<EarsOrder>,
    /// Why a command was not accepted; nothing changed then.
    pub refusal: Option<Refusal>,
}

/// What the bot's page is told. It is not stored: the page's socket does not survive its instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageOrder {
    /// Send a text frame.
    Send(ToPage),
    /// Send the stored audio of an utterance.
    Speak {
        /// Which one.
        utterance_id: UtteranceId,
        /// What is said.
        text: String,
        /// In which form it is stored.
        format: SpeechFormat,
        /// How much of its beginning is left out, as it was heard; 0 for `mp3`.
        from_ms: u64,
    },
    /// Let the page enter the room of an avatar's session.
    JoinAvatar {
        /// Which one.
        session_id: AvatarSessionId,
    },
    /// Close the socket.
    Close,
}

/// What the sockets of the avatar's sessions are told. It is not stored: a socket does not survive its instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvatarOrder {
    /// Open the socket of a session.
    Connect {
        /// Which one.
        session_id: AvatarSessionId,
        /// Whether anything was sent to it before.
        beginning: Beginning,
    },
    /// Send the stored audio of an utterance.
    Speak {
        /// Through this session.
        session_id: AvatarSessionId,
        /// Which one.
        utterance_id: UtteranceId,
    },
    /// Stop what is being said.
    Interrupt {
        /// Through this session.
        session_id: AvatarSessionId,
    },
    /// Look attentive, or do not.
    Listening {
        /// In this session.
        session_id: AvatarSessionId,
        /// Whether to look attentive.
        on: bool,
    },
    /// Close the socket.
    Close {
        /// Of this session.
        session_id: AvatarSessionId,
    },
}

/// In which form the sound of an utterance is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpeechFormat {
    /// For a clip, or for the page.
    #[default]
    Mp3,
    /// 24 kHz, mono, 16-bit signed little-endian: for an avatar that is given sound, and for the page.
    Pcm24000,
}

impl SpeechFormat {
    /// Gives the page's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Pcm24000 => "pcm_24000",
        }
    }
}

/// What is to become of the listening session. It is not stored: a session does not survive its instance, and
/// Recall dials again.
#[derive(Clone, Debug, PartialEq)]
pub enum EarsOrder {
    /// There is to be a session, fed by the audio socket that was just opened.
    Open(ListenPlan),
    /// It is to end, once the sound so far is heard.
    Close,
}

/// What a listening session is opened with.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenPlan {
    /// BCP 47 tag of the language spoken.
    pub language: String,
    /// Names that are worth getting right.
    pub keyterms: Vec<String>,
    /// The second of the recording at which listening began, if it did.
    pub origin: Option<f64>,
    /// How many connections there were before.
    pub sessions: u32,
}

/// Why a command does not fit the meeting's situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bot is not in the call.
    #[error("the meeting is not in progress")]
    NotInProgress,
    /// The meeting is over.
    #[error("the meeting is over")]
    Over,
    /// The meeting is not over yet.
    #[error("the meeting is not over yet")]
    NotOver,
    /// Too many utterances wait.
    #[error("too many utterances are queued")]
    QueueFull,
    /// The platform has no chat that Recall can write to.
    #[error("the meeting's platform has no chat the bot can write to")]
    NoChat,
    /// The text is longer than the platform's chat takes.
    #[error("the text is longer than the platform's chat takes")]
    ChatTooLong,
    /// The transcriber refused, and would again.
    #[error("listening has failed for good")]
    ListeningFailed,
    /// The delegate has no face.
    #[error("the meeting has no avatar")]
    NoAvatar,
    /// The face needs no session.
    #[error("there is no avatar session to rotate")]
    NoSession,
}

impl Refusal {
    /// Gives the stable code of the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotInProgress => "not_in_progress",
            Self::Over => "meeting_over",
            Self::NotOver => "meeting_not_over",
            Self::QueueFull => "queue_full",
            Self::NoChat => "chat_not_supported",
            Self::ChatTooLong => "chat_too_long",
            Self::ListeningFailed => "listening_failed",
            Self::NoAvatar => "no_avatar",
            Self::NoSession => "no_avatar_session",
        }
    }
}

/// What kind of line a timeline entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    /// A fact that came in.
    Event,
    /// An order that went out, or what came of it.
    Effect,
    /// Something was degraded.
    Warning,
}

/// A line of the meeting's event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// What kind of line.
    pub kind: TimelineKind,
    /// A stable name.
    pub name: String,
    /// One sentence for an operator.
    pub summary: String,
    /// Details without secrets.
    pub data: Value,
}

/// Somebody in the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiveParticipant {
    /// The platform's id within this meeting.
    pub id: Option<String>,
    /// The name shown.
    pub name: Option<String>,
    /// Whether they host the meeting.
    pub is_host: Option<bool>,
}

impl From<crate::vendors::recall::Participant> for LiveParticipant {
    fn from(participant: crate::vendors::recall::Participant) -> Self {
        Self {
            id: participant.id,
            name: participant.name,
            is_host: participant.is_host,
        }
    }
}

/// What a watcher of `live` is told.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "type")]
pub enum LiveEvent {
    /// The whole meeting: the first frame, and on every change.
    #[serde(rename = "meeting")]
    Meeting {
        /// As it is now.
        meeting: Box<MeetingView>,
    },
    /// Words that may still change.
    #[serde(rename = "transcript.partial")]
    TranscriptPartial {
        /// What was heard so far.
        segment: Segment,
    },
    /// Words as they are stored.
    #[serde(rename = "transcript.final")]
    TranscriptFinal {
        /// What was heard.
        segment: Segment,
    },
    /// Somebody, or something, can be heard.
    #[serde(rename = "speech.started")]
    SpeechStarted {
        /// Since when, in seconds since listening began.
        start: f64,
    },
    /// The words so far were one utterance: whoever spoke has come to an end.
    #[serde(rename = "utterance.end")]
    UtteranceEnd {
        /// When the last word ended, in seconds since listening began.
        end: f64,
    },
    /// An utterance of the agent moved on.
    #[serde(rename = "utterance")]
    Utterance {
        /// Which one.
        #[schema(value_type = String)]
        utterance_id: UtteranceId,
        /// What is said.
        text: String,
        /// Where it is now.
        state: UtteranceState,
        /// How it reaches the room.
        via: Option<Via>,
        /// How much of it was heard, as far as it is known.
        heard_ms: Option<u64>,
    },
    /// A participant did something.
    #[serde(rename = "participant")]
    Participant {
        /// What: `join`, `leave`, `update` and so on.
        action: String,
        /// Who.
        participant: LiveParticipant,
    },
    /// A chat message was written in the call.
    #[serde(rename = "chat")]
    Chat {
        /// By whom.
        from: LiveParticipant,
        /// What it says.
        text: String,
    },
    /// Something was degraded.
    #[serde(rename = "warning")]
    Warning {
        /// What.
        warning: Warning,
    },
}
