//! What is stored of a meeting: one versioned snapshot, and the words its parts are described in.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::effect::{EffectId, Outstanding};
use crate::{
    ids::{BotId, MeetingId, TenantId, UtteranceId},
    vendors::{
        avatar::{AvatarProvider, AvatarSession, AvatarSessionId, Opening},
        recall::BotCode,
    },
};

/// Version of the stored snapshot; raised when old code could not read what new code writes.
pub(crate) const SNAPSHOT_VERSION: u32 = 1;

/// Where a meeting is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Booked; nobody is on the way yet.
    Scheduled,
    /// The bot is being created, is connecting or waits in the lobby.
    BotJoining,
    /// The bot is in the call.
    InProgress,
    /// The call is over.
    Ended,
    /// The bot could not be created, could not join or died.
    Failed,
    /// Called off before the bot was in the call.
    Cancelled,
}

impl Status {
    /// All statuses, in the order of a meeting's life.
    pub const ALL: [Self; 6] = [
        Self::Scheduled,
        Self::BotJoining,
        Self::InProgress,
        Self::Ended,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Tells whether nothing more will happen in the call.
    pub fn is_over(self) -> bool {
        match self {
            Self::Ended | Self::Failed | Self::Cancelled => true,
            Self::Scheduled | Self::BotJoining | Self::InProgress => false,
        }
    }

    /// Gives the word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::BotJoining => "bot_joining",
            Self::InProgress => "in_progress",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How the delegate is seen and heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// A still picture; speech through Recall's output audio.
    Voice,
    /// A web page as camera and voice.
    Avatar,
}

/// The meeting products a bot can be sent into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Zoom.
    Zoom,
    /// Google Meet.
    GoogleMeet,
    /// Microsoft Teams.
    MicrosoftTeams,
    /// Cisco Webex.
    Webex,
}

/// What was booked; it does not change afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booking {
    /// The meeting's own id.
    pub id: MeetingId,
    /// Whose meeting it is.
    pub tenant_id: TenantId,
    /// Where the call is.
    pub meeting_url: String,
    /// The product behind `meeting_url`.
    pub platform: Platform,
    /// A title for people.
    pub title: Option<String>,
    /// When the call starts; absent means now.
    pub starts_at: Option<Timestamp>,
    /// How the delegate appears.
    pub presence: Presence,
    /// Who appears.
    pub agent: Agent,
    /// The caller's own words, given back unread.
    pub metadata: Map<String, Value>,
    /// Who makes the avatar's picture, for presence `avatar`; nobody means the page itself.
    #[serde(default)]
    pub avatar_provider: Option<AvatarProvider>,
    /// Whether the call is heard through the page's microphone instead of Recall's audio socket.
    #[serde(default)]
    pub page_microphone: bool,
    /// How long before the start the bot joins.
    pub early_join_minutes: u8,
    /// When the booking was made.
    pub created_at: Timestamp,
}

/// The delegate of one meeting, with all defaults resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// The name in the participant list and in the greeting.
    pub name: String,
    /// On whose behalf it comes.
    pub company: Option<String>,
    /// What it says on joining, rendered.
    pub greeting: String,
    /// The ElevenLabs voice; without one the agent cannot speak.
    pub voice_id: Option<String>,
    /// The avatar shown, for presence `avatar`.
    pub avatar_id: Option<String>,
    /// BCP 47 tag of the language spoken, for example `en-US`.
    pub language: String,
}

/// How far the making of the bot has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub(crate) enum Creation {
    /// Nothing was asked of Recall yet; an ad-hoc bot is made at this time.
    Planned {
        /// When to ask.
        at: Timestamp,
    },
    /// Recall was asked and a bot may exist that we do not know of.
    Asking(Asking),
    /// The bot in [`Meeting::bot`] was made.
    Made,
    /// No bot is made any more.
    Closed,
}

/// A bot that was asked for and has not been seen yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asking {
    /// When Recall was first asked.
    pub since: Timestamp,
    /// Which idempotency key is in use; raised only when the old one is known to have made no bot.
    pub key: u32,
    /// Since when.
    pub key_since: Timestamp,
    /// When a bot made under this key joins; absent means at once.
    pub join_at: Option<Timestamp>,
    /// How often Recall was asked under this key.
    pub attempts: u32,
    /// Whether Recall answered the last attempt, however badly.
    pub answered: bool,
    /// Whether an attempt may have made a bot that no search has ruled out since.
    pub doubt: bool,
    /// Whether the next attempt needs another key, as this one's stored answer is a refusal.
    pub renew: bool,
    /// When to ask again, while no answer is awaited.
    pub retry_at: Option<Timestamp>,
}

/// The bot that stands for the meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bot {
    /// Recall's id.
    pub id: BotId,
    /// The newest status code, none before the first.
    pub code: Option<BotCode>,
    /// Its sub-code.
    pub sub_code: Option<String>,
    /// When the vendor says the newest status began.
    pub updated_at: Option<Timestamp>,
    /// When Recall was told to join, if the bot was made ahead.
    pub join_at: Option<Timestamp>,
    /// When we learned that it was in the call.
    pub entered_at: Option<Timestamp>,
    /// Whether it ever recorded, so that artifacts are to be expected.
    pub recorded: bool,
    /// Whether it was made to deliver the call's sound to us.
    #[serde(default)]
    pub delivers_sound: bool,
}

/// The state of the listening session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListeningState {
    /// There is no session.
    #[default]
    Off,
    /// The first connection is being made.
    Connecting,
    /// The call is being heard.
    Open,
    /// The connection is lost and will be made again.
    Reconnecting,
    /// The call is not heard, and somebody should find out why.
    Failed,
}

impl ListeningState {
    /// Tells whether there is a session, however well it does.
    pub fn is_on(self) -> bool {
        match self {
            Self::Connecting | Self::Open | Self::Reconnecting => true,
            Self::Off | Self::Failed => false,
        }
    }
}

/// The state of the avatar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AvatarState {
    /// There is no avatar.
    Off,
    /// It is not there yet, or has gone and is expected back.
    Starting,
    /// It is there.
    Ready,
    /// It speaks.
    Speaking,
    /// Another session is about to take over.
    Rotating,
    /// It is over.
    Stopped,
    /// Its session failed; the page draws a face instead.
    Failed,
}

/// What is remembered of the bot's page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Page {
    /// Whether its socket is open.
    pub connected: bool,
    /// Whether it has said that it can show and play.
    pub ready: bool,
    /// Since when it is missing although the bot is in the call.
    pub missing_since: Option<Timestamp>,
    /// When it was last asked for a sign of life.
    pub pinged_at: Option<Timestamp>,
    /// Whether it has said anything since.
    pub alive: bool,
}

/// What is remembered of the avatar's sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Avatar {
    /// Every session that may be live at the vendor, the newest last.
    pub sessions: Vec<Session>,
    /// Until when speech waits for the session that is coming up.
    pub patience: Option<Timestamp>,
    /// How many sessions have failed in a row.
    pub failures: u32,
    /// When the next attempt is made.
    pub retry_at: Option<Timestamp>,
    /// Whether it would fail the same way each time.
    pub given_up: bool,
}

/// One session of the avatar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Session {
    /// How far it is.
    pub stage: SessionStage,
    /// What starts it, once the vendor has a session for us.
    pub opening: Option<Opening>,
    /// What it consists of, once it was started.
    pub details: Option<AvatarSession>,
    /// Whose it is and its id, for one that is only to be stopped.
    pub stray: Option<(AvatarProvider, AvatarSessionId)>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it counts as failed unless the page sees it and it takes orders.
    pub due: Option<Timestamp>,
    /// Whether the page was told to enter its room.
    pub joined: bool,
    /// Whether the page sees it.
    pub seen: bool,
    /// Whether the page has heard sound from it.
    #[serde(default)]
    pub heard: bool,
    /// Whether its socket takes orders.
    pub linked: bool,
    /// When it is next kept alive by a call.
    pub keep_alive_at: Option<Timestamp>,
}

/// How far a session of the avatar is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub(crate) enum SessionStage {
    /// The vendor is asked for it, or to start it.
    Starting {
        /// The order.
        effect: EffectId,
        /// Whether it is not wanted any more and is stopped as soon as the answer is in.
        unwanted: bool,
    },
    /// It costs, and should be of use.
    Live,
    /// It is being stopped, or looked at whether it is.
    Stopping {
        /// The order.
        effect: Option<EffectId>,
        /// When it is stopped once more, as the vendor lists it all the same.
        again_at: Option<Timestamp>,
        /// How often it was stopped.
        times: u32,
    },
}

/// What is remembered of listening.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Listening {
    /// How the session does.
    pub state: ListeningState,
    /// Whether it would fail the same way each time.
    pub given_up: bool,
    /// Whether Recall's audio socket is open.
    pub media: bool,
    /// Until when sound is waited for: from a socket that is gone, or after the end.
    pub silent_until: Option<Timestamp>,
    /// The second of the recording at which listening began.
    pub origin: Option<f64>,
    /// Up to when words are known, in seconds since listening began.
    pub heard_until: f64,
    /// How many connections there were.
    pub sessions: u32,
}

/// What became of the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GreetingState {
    /// Not yet.
    Pending,
    /// Given, in speech or in chat.
    Sent,
    /// Not given although the bot was in the call.
    Failed,
    /// Never due, because the bot was not let in.
    Skipped,
}

/// The way something reached the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Recall's output audio.
    OutputAudio,
    /// The bot's page.
    Page,
    /// The avatar session.
    Avatar,
    /// A chat message.
    Chat,
}

/// The greeting's fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// What became of it.
    pub state: GreetingState,
    /// How it was given.
    pub via: Option<Via>,
    /// When it was given.
    pub at: Option<Timestamp>,
    /// Why it was not given, or not in speech.
    pub reason: Option<String>,
}

/// Where an utterance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UtteranceState {
    /// Waits for its turn or its audio.
    Queued,
    /// Is being played.
    Speaking,
    /// Was heard, or read, to the end.
    Spoken,
    /// Was cut off or dropped by a command.
    Interrupted,
    /// Did not reach the room.
    Failed,
}

/// Why an utterance is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// The greeting on joining.
    Greeting,
    /// A `say` call.
    Say,
}

/// Where an utterance stands on its way through synthesis and playing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub(crate) enum SpeechStage {
    /// Text only.
    Text,
    /// The audio is being made.
    Synthesizing {
        /// The order to make it.
        effect: EffectId,
    },
    /// The audio is stored and waits for its turn.
    Ready {
        /// Its length.
        duration_ms: u64,
    },
    /// Recall was told to play it.
    Starting {
        /// The order to play it.
        effect: EffectId,
        /// Its length.
        duration_ms: u64,
    },
    /// Recall was told to play it, and once that is answered it is to be stopped.
    Halting {
        /// The order to play it.
        effect: EffectId,
    },
    /// It is being heard.
    Playing {
        /// When Recall accepted it.
        since: Timestamp,
        /// When the next one may start.
        until: Timestamp,
    },
    /// The page has it.
    OnPage {
        /// Its length.
        duration_ms: u64,
        /// When the page began to play it, reckoned from what it told last.
        since: Option<Timestamp>,
        /// When the page must have told more.
        until: Timestamp,
        /// What is expected of the page.
        #[serde(default)]
        turn: PageTurn,
    },
    /// The avatar has it.
    OnAvatar {
        /// Which session.
        session_id: AvatarSessionId,
        /// The order to say it, where that is a call.
        effect: Option<EffectId>,
        /// Its length, as far as it is known.
        duration_ms: u64,
        /// When the avatar began to say it.
        since: Option<Timestamp>,
        /// When more must be known.
        until: Timestamp,
        /// Whether it was told to stop.
        halting: bool,
    },
    /// It is the greeting, the avatar may have said it, and the page is yet to tell whether it was heard.
    InDoubt {
        /// In which session.
        session_id: AvatarSessionId,
        /// When the page must have told.
        until: Timestamp,
    },
    /// It cannot be spoken and waits for a chat to be written to.
    Mute,
    /// It is being sent as chat instead.
    Chatting {
        /// The order to send it.
        effect: EffectId,
    },
}

/// What is expected of the page that has an utterance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PageTurn {
    /// To play it.
    #[default]
    Play,
    /// To say how much of it was heard, as it was told to stop.
    Halt,
    /// To come back, as its socket is gone, and to say whether it plays on.
    Return {
        /// Since when it is gone.
        gone: Timestamp,
    },
}

/// One thing the agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Utterance {
    /// Its id.
    pub id: UtteranceId,
    /// What is said.
    pub text: String,
    /// Why.
    pub purpose: Purpose,
    /// How far it has come.
    pub progress: SpeechStage,
    /// How much of it was heard before what said it failed; the page says the rest.
    #[serde(default)]
    pub from_ms: u64,
}

/// Where an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactState {
    /// There is none, and none is expected yet.
    None,
    /// It is being made while the call goes on.
    Live,
    /// The call is over and the vendor is still working on it.
    Pending,
    /// It can be had.
    Ready,
    /// It will not come.
    Failed,
}

/// Who ended a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The meeting's host.
    Host,
    /// Another participant.
    Participant,
    /// The meeting product.
    Platform,
    /// A call of this API.
    Api,
    /// Recall.
    Vendor,
    /// A limit on time.
    Timeout,
    /// Not known.
    Unknown,
}

/// How a meeting came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// The vendor's sub-code, or a code of our own.
    pub reason: String,
    /// Who ended it.
    pub by: EndedBy,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Stable codes of what was degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The greeting could not be spoken.
    GreetingFailed,
    /// Live listening failed.
    ListeningFailed,
    /// Audio was lost.
    AudioLost,
    /// The avatar failed.
    AvatarFailed,
    /// The bot's page did not become ready.
    PageNotReady,
    /// The bot's page may not play sound.
    SoundBlocked,
    /// The bot came later than it should have.
    LateJoin,
    /// A transcript or recording that was expected did not come.
    ArtifactMissing,
    /// Making the bot took more than one attempt.
    BotCreationRetried,
}

/// Something that was degraded, so that a meeting that went wrong never looks fine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// What kind of thing.
    pub code: WarningCode,
    /// What happened, for people.
    pub message: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A bot that must go, and how far that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    /// When it was decided.
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When to try again, where no attempt is under way.
    pub retry_at: Option<Timestamp>,
    /// Whether Recall has confirmed that it is gone or leaving.
    pub done: bool,
    /// Whether it had not started when that was last heard of, so that it is to be deleted.
    #[serde(default)]
    pub not_started: bool,
}

/// Everything that is remembered of a meeting, as one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, stored under its name"
)]
pub struct Meeting {
    pub(super) version: u32,
    /// Never changed, so that a copy of the meeting need not copy it.
    pub(crate) booking: Arc<Booking>,
    pub(crate) status: Status,
    pub(crate) join_at: Timestamp,
    pub(super) creation: Creation,
    /// How many idempotency keys were used for making bots; a key is never used for two purposes.
    pub(super) keys_used: u32,
    pub(crate) bot: Option<Bot>,
    /// A bot made ahead is to be replaced by one that joins at once.
    pub(super) rejoin: bool,
    /// Somebody asked the bot to leave the call.
    pub(super) leaving: bool,
    /// The content is to be deleted for good.
    pub(super) purging: bool,
    pub(crate) greeting: Greeting,
    #[serde(default)]
    pub(super) avatar: Avatar,
    pub(super) speech: VecDeque<Utterance>,
    /// A stop order that must be through before anything else is played.
    pub(super) stopping: Option<EffectId>,
    #[serde(default)]
    pub(crate) listening: Listening,
    #[serde(default)]
    pub(crate) page: Page,
    pub(crate) segments: u64,
    pub(crate) transcript: ArtifactState,
    pub(crate) recording: ArtifactState,
    pub(crate) ended: Option<Ended>,
    /// When we learned of the end.
    pub(super) over_since: Option<Timestamp>,
    pub(crate) warnings: Vec<Warning>,
    pub(super) removals: BTreeMap<BotId, Removal>,
    pub(super) effects: BTreeMap<EffectId, Outstanding>,
    pub(super) next_effect: u64,
    pub(super) next_poll: Option<Timestamp>,
    /// Whether it is not known yet what the bot has recorded.
    pub(super) artifacts_unknown: bool,
    /// How often artifacts were looked for since the end.
    pub(super) artifact_polls: usize,
    /// When to look for bots that a create call in doubt may have left behind.
    pub(super) sweep_at: Option<Timestamp>,
    pub(super) sweeps_left: usize,
    /// The tenant's index has yet to be told of the newest change.
    pub(super) index_stale: bool,
    pub(super) revision: u64,
    pub(crate) updated_at: Timestamp,
}
