//! The vendor's JSON, read leniently: a field that is missing, null or of another type is absent,
//! a list entry that cannot be read is skipped, and unknown fields are ignored.
//!
//! Shapes: <https://docs.recall.ai/docs/bot-status-change-events>,
//! <https://docs.recall.ai/docs/real-time-event-payloads>, <https://docs.recall.ai/reference/bot_retrieve>.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Reads a value, or its default where it is not of the expected shape.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// Reads a list, leaving out the entries that are not of the expected shape.
fn lenient_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Value::Array(items) = Value::deserialize(deserializer)? else {
        return Ok(Vec::new());
    };
    let readable = items
        .into_iter()
        .filter_map(|item| serde_json::from_value(item).ok());
    Ok(readable.collect())
}

/// Reads an id that is a string in some places and a number in others.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    })
}

/// Reads a time with any precision, with `Z`, an offset, or nothing (taken as UTC).
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Value::String(text) = Value::deserialize(deserializer)? else {
        return Ok(None);
    };
    let zoned = text.parse::<Timestamp>().ok();
    Ok(zoned.or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }))
}

/// The frame of every webhook, past its event name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Body {
    #[serde(deserialize_with = "lenient")]
    pub(crate) data: Envelope,
}

/// What surrounds an event's own data.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope {
    /// The event's own data, read by kind.
    pub(crate) data: Value,
    #[serde(deserialize_with = "lenient")]
    pub(crate) bot: Reference,
    #[serde(deserialize_with = "lenient")]
    pub(crate) recording: Reference,
    #[serde(deserialize_with = "lenient")]
    pub(crate) realtime_endpoint: Reference,
    /// Legacy place of the bot's id.
    #[serde(deserialize_with = "id")]
    pub(crate) bot_id: Option<String>,
    /// Legacy place of the bot's status.
    #[serde(deserialize_with = "lenient")]
    pub(crate) status: Option<Status>,
    /// Everything else: among it the artifact, under its own name.
    #[serde(flatten)]
    pub(crate) others: BTreeMap<String, Value>,
}

/// An object named by its id, with the metadata given to it at creation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reference {
    #[serde(deserialize_with = "id")]
    pub(crate) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) metadata: BTreeMap<String, Value>,
}

impl Reference {
    pub(crate) fn metadata_text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str()
    }
}

/// The status of a bot, a recording or an artifact.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    #[serde(deserialize_with = "lenient")]
    pub(crate) code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) sub_code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) message: Option<String>,
    #[serde(deserialize_with = "time")]
    pub(crate) updated_at: Option<Timestamp>,
    /// What `status_changes` and legacy webhooks have instead.
    #[serde(deserialize_with = "time")]
    pub(crate) created_at: Option<Timestamp>,
}

/// Somebody in the call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Participant {
    #[serde(deserialize_with = "id")]
    pub(crate) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) is_host: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) platform: Option<String>,
}

/// A moment, in the room's time and the world's.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Moment {
    #[serde(deserialize_with = "lenient")]
    pub(crate) relative: Option<f64>,
    #[serde(deserialize_with = "time")]
    pub(crate) absolute: Option<Timestamp>,
}

/// The data of a participant event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ParticipantData {
    #[serde(deserialize_with = "lenient")]
    pub(crate) participant: Participant,
    #[serde(deserialize_with = "lenient")]
    pub(crate) timestamp: Moment,
    #[serde(deserialize_with = "lenient")]
    pub(crate) data: ChatData,
}

/// What was written, where a participant event is a chat message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ChatData {
    #[serde(deserialize_with = "lenient")]
    pub(crate) text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) to: Option<String>,
}

/// One utterance: the data of a transcript event, an entry of a transcript download, or an entry of
/// the legacy transcript endpoint, which differ in names only.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Utterance {
    #[serde(deserialize_with = "lenient")]
    pub(crate) participant: Participant,
    /// Legacy name of the participant's name.
    #[serde(deserialize_with = "lenient")]
    pub(crate) speaker: Option<String>,
    /// Legacy name of the participant's id.
    #[serde(deserialize_with = "id")]
    pub(crate) speaker_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) language_code: Option<String>,
    /// Legacy name of the language.
    #[serde(deserialize_with = "lenient")]
    pub(crate) language: Option<String>,
    #[serde(deserialize_with = "lenient_list")]
    pub(crate) words: Vec<Word>,
}

/// One word, or several: the vendor does not promise which.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Word {
    #[serde(deserialize_with = "lenient")]
    pub(crate) text: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) start_timestamp: Moment,
    #[serde(deserialize_with = "lenient")]
    pub(crate) end_timestamp: Moment,
    /// Legacy name of the start.
    #[serde(deserialize_with = "lenient")]
    pub(crate) start_time: Option<f64>,
    /// Legacy name of the end.
    #[serde(deserialize_with = "lenient")]
    pub(crate) end_time: Option<f64>,
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Page {
    #[serde(deserialize_with = "lenient")]
    pub(crate) next: Option<String>,
    #[serde(deserialize_with = "lenient_list")]
    pub(crate) results: Vec<Bot>,
}

/// A bot as every bot endpoint answers it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Bot {
    #[serde(flatten)]
    pub(crate) reference: Reference,
    #[serde(deserialize_with = "lenient_list")]
    pub(crate) status_changes: Vec<Status>,
    #[serde(deserialize_with = "lenient_list")]
    pub(crate) recordings: Vec<Recording>,
}

/// A recording inside a bot.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Recording {
    #[serde(deserialize_with = "id")]
    pub(crate) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) status: Status,
    #[serde(deserialize_with = "lenient")]
    pub(crate) media_shortcuts: MediaShortcuts,
}

/// The artifacts of a recording.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MediaShortcuts {
    #[serde(deserialize_with = "lenient")]
    pub(crate) video_mixed: Option<Media>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) audio_mixed: Option<Media>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) transcript: Option<Media>,
}

/// An artifact.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Media {
    #[serde(deserialize_with = "id")]
    pub(crate) id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) status: Status,
    #[serde(deserialize_with = "lenient")]
    pub(crate) data: MediaData,
}

/// Where an artifact is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MediaData {
    #[serde(deserialize_with = "lenient")]
    pub(crate) download_url: Option<String>,
}

/// An entry of a top-level list that may not be readable.
#[derive(Debug)]
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(serde_json::from_value(value).ok()))
    }
}
