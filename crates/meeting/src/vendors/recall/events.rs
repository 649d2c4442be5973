//! Recall's webhooks as facts of our own: one payload in, one [`RecallWebhook`] out.
//!
//! Only text that is not JSON, or JSON that is no event at all, is an error.
//! An event that is unknown, or known but without what makes it useful, is [`RecallEvent::Unknown`]
//! with the reason, so that it can be recorded and forgotten.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    speech::SpokenSegment,
    status::{BotCode, BotStatusChange, bounded},
    wire,
    words::vendor_words,
};
use crate::ids::{BotId, MeetingId};

/// Recall's ids have 36 bytes; a longer one is no bot of ours.
const MAX_BOT_ID_BYTES: usize = 128;

/// The metadata key under which a bot carries our meeting's id.
pub(crate) const MEETING_ID_KEY: &str = "meeting_id";

/// A body that is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or nested too deeply.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, from 1; 0 before the first character of a line.
        column: usize,
    },
    /// JSON, but an array, a string or the like.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Without the name of the event.
    #[error("the body has no text field `event`")]
    NoEvent,
}

/// What it takes to find the meeting a webhook is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookRoute {
    /// The vendor's name of the event, for example `bot.done`.
    pub event_name: String,
    /// The bot it is about, if it is about one.
    pub bot_id: Option<BotId>,
    /// The meeting named in the metadata that we gave the bot, if there is one and it is well-formed.
    pub meeting_id: Option<MeetingId>,
}

/// A webhook, understood as far as it can be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecallWebhook {
    /// The vendor's name of the event, for example `bot.done`.
    pub event_name: String,
    /// The bot it is about, if it is about one.
    pub bot_id: Option<BotId>,
    /// The meeting named in the metadata that we gave the bot, if there is one and it is well-formed.
    pub meeting_id: Option<MeetingId>,
    /// What happened.
    pub event: RecallEvent,
}

/// What a webhook tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RecallEvent {
    /// A bot's status changed.
    BotStatus(BotStatusChange),
    /// A recording's or an artifact's status changed.
    Artifact(ArtifactChange),
    /// Somebody spoke.
    Transcript {
        /// Whether later events will say the same better.
        partial: bool,
        /// What was said.
        segment: SpokenSegment,
    },
    /// Somebody came, went or changed.
    Participant(ParticipantEvent),
    /// Somebody wrote in the chat; the bot's own messages come back this way too.
    Chat(ChatEvent),
    /// Nothing we act on.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// What a recording left behind; [`Artifact::Recording`] is the recording itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Artifact {
    /// The recording as a whole.
    Recording,
    /// The transcript.
    Transcript,
    /// The video with everybody's sound.
    VideoMixed,
    /// Everybody's sound.
    AudioMixed,
    /// Another artifact, under the vendor's name.
    Other(String),
}

/// The vendor's status code of a recording or an artifact; an open set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ArtifactCode {
    /// Being made.
    Processing,
    /// There to be fetched.
    Done,
    /// Will never be there.
    Failed,
    /// Was there, and is not any more.
    Deleted,
    /// Not being made at the moment.
    Paused,
    /// A code that means nothing to us.
    Other(String),
}

/// A change of a recording's or an artifact's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactChange {
    /// What changed.
    pub artifact: Artifact,
    /// To which status.
    pub code: ArtifactCode,
    /// Why, in the vendor's words; an open set.
    pub sub_code: Option<String>,
    /// The recording it belongs to, or is.
    pub recording_id: Option<String>,
    /// The artifact; none for the recording itself.
    pub artifact_id: Option<String>,
    /// When it changed, by the vendor's clock.
    pub updated_at: Option<Timestamp>,
}

/// Somebody in the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Unique within the meeting only; a rejoin may change it.
    pub id: Option<String>,
    /// The name shown in the call.
    pub name: Option<String>,
    /// Whether they host the meeting.
    pub is_host: Option<bool>,
    /// What they joined with, for example `desktop`.
    pub platform: Option<String>,
}

/// What a participant did; an open set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ParticipantAction {
    /// Came.
    Join,
    /// Went.
    Leave,
    /// Changed name or role.
    Update,
    /// Another action, under the vendor's name, for example `speech_on`.
    Other(String),
}

/// Something a participant did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParticipantEvent {
    /// What they did.
    pub action: ParticipantAction,
    /// Who did it.
    pub participant: Participant,
    /// When, by the vendor's clock.
    pub at: Option<Timestamp>,
    /// When, in seconds from the start of the recording.
    pub relative: Option<f64>,
}

/// A chat message in the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatEvent {
    /// Who wrote it.
    pub from: Participant,
    /// What they wrote; never empty.
    pub text: String,
    /// To whom, in the vendor's words, for example `everyone`.
    pub to: Option<String>,
    /// When, by the vendor's clock.
    pub at: Option<Timestamp>,
    /// When, in seconds from the start of the recording.
    pub relative: Option<f64>,
}

/// Finds out which meeting a webhook is for, without understanding the rest of it.
pub fn route(body: &[u8]) -> Result<WebhookRoute, ParseError> {
    read(body).map(|(route, _)| route)
}

/// Reads a webhook.
pub fn parse_webhook(body: &[u8]) -> Result<RecallWebhook, ParseError> {
    let (route, envelope) = read(body)?;
    let event = understand(&route.event_name, envelope);
    Ok(RecallWebhook {
        event_name: route.event_name,
        bot_id: route.bot_id,
        meeting_id: route.meeting_id,
        event,
    })
}

fn read(body: &[u8]) -> Result<(WebhookRoute, wire::Envelope), ParseError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| ParseError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    let Value::Object(fields) = &value else {
        return Err(ParseError::NotAnObject);
    };
    let event_name = match fields.get("event") {
        Some(Value::String(name)) => bounded(name.clone()),
        _ => return Err(ParseError::NoEvent),
    };
    let envelope = serde_json::from_value::<wire::Body>(value)
        .unwrap_or_default()
        .data;
    let route = WebhookRoute {
        event_name,
        bot_id: envelope
            .bot
            .id
            .clone()
            .or_else(|| envelope.bot_id.clone())
            .filter(|id| id.len() <= MAX_BOT_ID_BYTES)
            .map(BotId),
        meeting_id: meeting_id(&envelope),
    };
    Ok((route, envelope))
}

/// The bot's metadata, else that of the recording or endpoint, which we give the same: `bot` may be null.
fn meeting_id(envelope: &wire::Envelope) -> Option<MeetingId> {
    [
        &envelope.bot,
        &envelope.recording,
        &envelope.realtime_endpoint,
    ]
    .into_iter()
    .filter_map(|reference| reference.metadata_text(MEETING_ID_KEY))
    .find_map(|id| id.parse().ok())
}

fn understand(event_name: &str, envelope: wire::Envelope) -> RecallEvent {
    let Some((family, word)) = event_name.split_once('.') else {
        return unknown("an event we do not know");
    };
    match (family, word) {
        ("bot", "status_change") => match envelope.status {
            Some(wire::Status {
                code: Some(ref code),
                ..
            }) => {
                let code = BotCode::from(code.clone());
                RecallEvent::BotStatus(BotStatusChange::new(
                    code,
                    envelope.status.unwrap_or_default(),
                ))
            }
            _ => unknown("a status change without a code"),
        },
        ("bot", word) => bot_status(word, read_data(envelope.data)),
        ("transcript", "data") => transcript(false, envelope.data),
        ("transcript", "partial_data") => transcript(true, envelope.data),
        ("participant_events", "chat_message") => chat(read_data(envelope.data)),
        (
            "recording" | "transcript" | "participant_events" | "video_mixed" | "video_separate"
            | "audio_mixed" | "audio_separate" | "meeting_metadata",
            word,
        ) => match ArtifactCode::from(word.to_owned()) {
            ArtifactCode::Other(_) if family == "participant_events" => {
                participant(word, read_data(envelope.data))
            }
            // For example `transcript.provider_data`, whose shape is another vendor's.
            ArtifactCode::Other(_) if family == "transcript" => unknown("an event we do not know"),
            code @ (ArtifactCode::Processing
            | ArtifactCode::Done
            | ArtifactCode::Failed
            | ArtifactCode::Deleted
            | ArtifactCode::Paused
            | ArtifactCode::Other(_)) => artifact(family, code, envelope),
        },
        _ => unknown("an event we do not know"),
    }
}

fn unknown(reason: &str) -> RecallEvent {
    RecallEvent::Unknown {
        reason: reason.to_owned(),
    }
}

/// Reads an event's own data leniently: the fields are optional, so only the wrong type fails.
fn read_data<T: serde::de::DeserializeOwned + Default>(data: Value) -> T {
    serde_json::from_value(data).unwrap_or_default()
}

fn bot_status(word: &str, status: wire::Status) -> RecallEvent {
    let code = BotCode::from(word.to_owned());
    if code.is_known() || status.code.is_some() {
        RecallEvent::BotStatus(BotStatusChange::new(code, status))
    } else {
        unknown("an event about a bot that is no status")
    }
}

fn transcript(partial: bool, data: Value) -> RecallEvent {
    match SpokenSegment::read(read_data(data)) {
        Some(segment) => RecallEvent::Transcript { partial, segment },
        None => unknown("a transcript event without words"),
    }
}

fn artifact(family: &str, code: ArtifactCode, mut envelope: wire::Envelope) -> RecallEvent {
    let status: wire::Status = read_data(envelope.data);
    let artifact = envelope.others.remove(family).unwrap_or_default();
    RecallEvent::Artifact(ArtifactChange {
        artifact: Artifact::from(family.to_owned()),
        code,
        sub_code: status.sub_code.map(bounded),
        recording_id: envelope.recording.id,
        artifact_id: read_data::<wire::Reference>(artifact).id,
        updated_at: status.updated_at.or(status.created_at),
    })
}

fn participant(word: &str, data: wire::ParticipantData) -> RecallEvent {
    if data.participant.id.is_none() && data.participant.name.is_none() {
        return unknown("a participant event without a participant");
    }
    RecallEvent::Participant(ParticipantEvent {
        action: ParticipantAction::from(word.to_owned()),
        participant: data.participant.into(),
        at: data.timestamp.absolute,
        relative: data.timestamp.relative,
    })
}

fn chat(data: wire::ParticipantData) -> RecallEvent {
    match data.data.text {
        Some(text) if !text.trim().is_empty() => RecallEvent::Chat(ChatEvent {
            from: data.participant.into(),
            text,
            to: data.data.to,
            at: data.timestamp.absolute,
            relative: data.timestamp.relative,
        }),
        _ => unknown("a chat message without text"),
    }
}

impl From<wire::Participant> for Participant {
    fn from(participant: wire::Participant) -> Self {
        Self {
            id: participant.id,
            name: participant.name,
            is_host: participant.is_host,
            platform: participant.platform,
        }
    }
}

vendor_words!(Artifact {
    "recording" => Recording,
    "transcript" => Transcript,
    "video_mixed" => VideoMixed,
    "audio_mixed" => AudioMixed,
});
vendor_words!(ArtifactCode {
    "processing" => Processing,
    "done" => Done,
    "failed" => Failed,
    "deleted" => Deleted,
    "paused" => Paused,
});
vendor_words!(ParticipantAction {
    "join" => Join,
    "leave" => Leave,
    "update" => Update,
});

#[cfg(test)]
mod tests;
