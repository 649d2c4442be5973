//! A meeting as the API shows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::meeting::{
    ArtifactState, AvatarState, Ended, GreetingState, ListeningState, Meeting, Platform, Presence,
    Status, Via, Warning,
};

/// A meeting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Meeting)]
pub struct MeetingView {
    /// The meeting's id, `mtg_…`.
    pub id: String,
    /// Whose meeting it is.
    pub tenant_id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Where the call is.
    pub meeting_url: String,
    /// The product behind `meeting_url`.
    pub platform: Platform,
    /// A title for people.
    pub title: Option<String>,
    /// When the call starts, RFC 3339 in UTC; null means at once.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub starts_at: Option<Timestamp>,
    /// When the bot joins, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub join_at: Timestamp,
    /// How the delegate is seen and heard.
    pub presence: Presence,
    /// Who appears.
    pub agent: AgentView,
    /// The bot, once there is one.
    pub bot: Option<BotView>,
    /// What became of the greeting.
    pub greeting: GreetingView,
    /// Live listening.
    pub listening: ListeningView,
    /// The avatar.
    pub avatar: AvatarView,
    /// The final transcript.
    pub transcript: ArtifactView,
    /// The recording.
    pub recording: ArtifactView,
    /// How the meeting came to its end, once it has.
    pub ended: Option<Ended>,
    /// What was degraded.
    pub warnings: Vec<Warning>,
    /// The caller's own words.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// When the meeting was booked.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When anything of this last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Who appears in a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// On whose behalf it comes.
    pub company: Option<String>,
}

/// The bot as Recall last described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BotView {
    /// Recall's id.
    pub id: String,
    /// The newest status code; an open set.
    pub code: Option<String>,
    /// Its sub-code; an open set.
    pub sub_code: Option<String>,
    /// When that status began, by the vendor's clock.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

/// What became of the greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GreetingView {
    /// Whether it was given.
    pub state: GreetingState,
    /// Its words.
    pub text: String,
    /// How it reached the room.
    pub via: Option<Via>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// Why it was not given, or not spoken.
    pub reason: Option<String>,
}

/// Live listening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListeningView {
    /// The state of the listening session.
    pub state: ListeningState,
    /// How many live segments are stored.
    pub segments: u64,
}

/// The avatar session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AvatarView {
    /// The provider, if there is an avatar.
    pub provider: Option<String>,
    /// The state of its session.
    pub state: AvatarState,
}

/// The avatar in detail, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AvatarDetails {
    /// The provider, if there is an avatar; `builtin` is the page's own face.
    pub provider: Option<String>,
    /// The state of its session.
    pub state: AvatarState,
    /// The session at the provider; the builtin face has none.
    pub session_id: Option<String>,
    /// When the session started.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When the next session takes over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub rotates_at: Option<Timestamp>,
}

/// Where an artifact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactView {
    /// Its state.
    pub state: ArtifactState,
}

impl Meeting {
    /// Gives the meeting as the API shows it.
    pub fn view(&self) -> MeetingView {
        let booking = &self.booking;
        MeetingView {
            id: booking.id.to_string(),
            tenant_id: booking.tenant_id.to_string(),
            status: self.status,
            meeting_url: booking.meeting_url.clone(),
            platform: booking.platform,
            title: booking.title.clone(),
            starts_at: booking.starts_at,
            join_at: self.join_at,
            presence: booking.presence,
            agent: AgentView {
                name: booking.agent.name.clone(),
                company: booking.agent.company.clone(),
            },
            bot: self.bot.as_ref().map(|bot| BotView {
                id: bot.id.to_string(),
                code: bot.code.as_ref().map(|code| code.as_str().to_owned()),
                sub_code: bot.sub_code.clone(),
                updated_at: bot.updated_at,
            }),
            greeting: GreetingView {
                state: self.greeting.state,
                text: booking.agent.greeting.clone(),
                via: self.greeting.via,
                at: self.greeting.at,
                reason: self.greeting.reason.clone(),
            },
            listening: ListeningView {
                state: self.listening.state,
                segments: self.segments,
            },
            avatar: AvatarView {
                provider: self.avatar_provider(),
                state: self.avatar_state(),
            },
            transcript: ArtifactView {
                state: self.transcript,
            },
            recording: ArtifactView {
                state: self.recording,
            },
            ended: self.ended.clone(),
            warnings: self.warnings.clone(),
            metadata: booking.metadata.clone(),
            created_at: booking.created_at,
            updated_at: self.updated_at,
        }
    }
}
