//! The other requests and answers of the API, and the query parameters of lists.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::{FieldError, Problem};
use crate::{
    ids::MeetingId,
    meeting::{Status, TimelineKind, limits},
    page::Reaction,
    transcript::Segment,
};

/// How many meetings a page has unless the caller says otherwise.
const DEFAULT_LIMIT: u32 = 20;
/// The largest page; segments and timeline entries come in pages of this size unless the caller says otherwise.
const MAX_LIMIT: u32 = 100;

const BAD_LIMIT: &str = "must be a whole number from 1 to 100";
const BAD_CURSOR: &str = "must be a cursor from an earlier answer";

/// Something to say.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SayRequest {
    /// What to say, 1 to 5,000 characters.
    pub text: String,
    /// Whether to cut off what is being said.
    #[serde(default)]
    pub interrupt: bool,
}

impl SayRequest {
    /// Gives the request back if its text can be said.
    pub fn checked(self) -> Result<Self, Problem> {
        check_length(&self.text, limits::MAX_SAY_CHARS).map(|()| self)
    }
}

/// An utterance that was accepted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Utterance {
    /// Its id, `utt_…`.
    pub utterance_id: String,
}

/// A passing sign that the delegate follows the conversation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReactionRequest {
    /// Which one.
    pub reaction: Reaction,
}

/// Something to write in the call's chat.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// What to write, 1 to 4,096 characters (500 on Google Meet).
    pub text: String,
}

impl ChatRequest {
    /// Gives the request back if its text can be written, as far as that does not depend on the platform.
    pub fn checked(self) -> Result<Self, Problem> {
        check_length(&self.text, 4096).map(|()| self)
    }
}

fn check_length(text: &str, max_chars: usize) -> Result<(), Problem> {
    if text.trim().is_empty() {
        Err(Problem::invalid_field("text", "must not be blank"))
    } else if text.chars().count() > max_chars {
        let message = format!("must have at most {max_chars} characters");
        Err(Problem::invalid_field("text", message))
    } else {
        Ok(())
    }
}

/// Where to find a recording, for a few hours.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Recording)]
pub struct RecordingView {
    /// A fresh URL.
    pub url: String,
    /// How long it works at least, in seconds.
    pub expires_in_s: u32,
}

/// A page of the event log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Timeline)]
pub struct TimelinePage {
    /// The entries, oldest first.
    pub entries: Vec<TimelineRow>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}

/// A line of the event log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct TimelineRow {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What kind of line.
    pub kind: TimelineKind,
    /// A stable name.
    pub name: String,
    /// One sentence for an operator.
    pub summary: String,
    /// Details without secrets.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Which transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptSource {
    /// As it was heard during the call.
    Live,
    /// As it was made after the call.
    Final,
}

impl TranscriptSource {
    /// Gives the word used on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Final => "final",
        }
    }
}

/// How a transcript is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TranscriptFormat {
    /// Segments, in pages.
    Json,
    /// Plain text, a line for each segment.
    Text,
    /// WebVTT.
    Vtt,
    /// SubRip.
    Srt,
}

/// A transcript as JSON.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Transcript)]
pub struct TranscriptPage {
    /// Which transcript this is.
    pub source: TranscriptSource,
    /// The segments, in order of time.
    pub segments: Vec<Segment>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}

/// What is asked of `GET …/transcript`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptQuery {
    /// How it is to be written.
    pub format: TranscriptFormat,
    /// Which one; without it the final one if it is there, else the live one.
    pub source: Option<TranscriptSource>,
    /// Whether each segment, in JSON, comes with its words and the ends of utterances.
    #[serde(default)]
    pub words: bool,
    /// Segments a page, for JSON.
    pub limit: u32,
    /// The number of the last segment of the page before.
    pub cursor: u64,
}

impl TranscriptQuery {
    /// Reads the query parameters; wrong and unknown ones are named.
    pub fn parse(query: Query<'_>) -> Result<Self, Problem> {
        let mut parsed = Self {
            format: TranscriptFormat::Json,
            source: None,
            words: false,
            limit: MAX_LIMIT,
            cursor: 0,
        };
        read_query(
            query,
            &mut [
                ("format", &mut |v| {
                    set(
                        &mut parsed.format,
                        word(v),
                        "must be json, text, vtt or srt",
                    )
                }),
                ("source", &mut |v| {
                    set(
                        &mut parsed.source,
                        word(v).map(Some),
                        "must be live or final",
                    )
                }),
                ("words", &mut |v| {
                    set(&mut parsed.words, v.parse().ok(), "must be true or false")
                }),
                ("limit", &mut |v| {
                    set(&mut parsed.limit, limit(v), BAD_LIMIT)
                }),
                ("cursor", &mut |v| {
                    set(&mut parsed.cursor, v.parse().ok(), BAD_CURSOR)
                }),
            ],
        )?;
        Ok(parsed)
    }
}

/// What is asked of `GET /v1/meetings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Only meetings in this status.
    pub status: Option<Status>,
    /// Meetings a page.
    pub limit: u32,
    /// The last meeting of the page before.
    pub cursor: Option<MeetingId>,
}

impl ListQuery {
    /// Reads the query parameters; wrong and unknown ones are named.
    pub fn parse(query: Query<'_>) -> Result<Self, Problem> {
        let mut parsed = Self {
            status: None,
            limit: DEFAULT_LIMIT,
            cursor: None,
        };
        read_query(
            query,
            &mut [
                ("status", &mut |v| {
                    set(&mut parsed.status, word(v).map(Some), BAD_STATUS)
                }),
                ("limit", &mut |v| {
                    set(&mut parsed.limit, limit(v), BAD_LIMIT)
                }),
                ("cursor", &mut |v| {
                    set(&mut parsed.cursor, v.parse().ok().map(Some), BAD_CURSOR)
                }),
            ],
        )?;
        Ok(parsed)
    }
}

const BAD_STATUS: &str = "must be scheduled, bot_joining, in_progress, ended, failed or cancelled";

/// A page of a list of numbered rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageQuery {
    /// Rows a page.
    pub limit: u32,
    /// The number of the last row of the page before.
    pub cursor: u64,
}

impl PageQuery {
    /// Reads the query parameters; wrong and unknown ones are named.
    pub fn parse(query: Query<'_>) -> Result<Self, Problem> {
        let mut parsed = Self {
            limit: MAX_LIMIT,
            cursor: 0,
        };
        read_query(
            query,
            &mut [
                ("limit", &mut |v| {
                    set(&mut parsed.limit, limit(v), BAD_LIMIT)
                }),
                ("cursor", &mut |v| {
                    set(&mut parsed.cursor, v.parse().ok(), BAD_CURSOR)
                }),
            ],
        )?;
        Ok(parsed)
    }
}

/// Reads the one parameter of `DELETE …`.
pub fn purge_query(query: Query<'_>) -> Result<bool, Problem> {
    let mut purge = false;
    read_query(
        query,
        &mut [("purge", &mut |v| {
            set(&mut purge, v.parse().ok(), "must be true or false")
        })],
    )?;
    Ok(purge)
}

/// Decoded query parameters, in order.
pub type Query<'a> = &'a [(String, String)];

type Reader<'a> = (
    &'static str,
    &'a mut dyn FnMut(&str) -> Result<(), &'static str>,
);

/// Gives each parameter to its reader; everything that is wrong is named at once.
fn read_query(query: Query<'_>, readers: &mut [Reader<'_>]) -> Result<(), Problem> {
    let mut errors = Vec::new();
    for (name, value) in query {
        let reader = readers.iter_mut().find(|(known, _)| known == name);
        let read = reader.map_or(Err("unknown parameter"), |(_, read)| read(value));
        if let Err(message) = read {
            errors.push(FieldError::new(name, message));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid(errors))
    }
}

fn set<T>(place: &mut T, value: Option<T>, wrong: &'static str) -> Result<(), &'static str> {
    *place = value.ok_or(wrong)?;
    Ok(())
}

fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(Value::String(text.to_owned())).ok()
}

fn limit(text: &str) -> Option<u32> {
    let limit = text.parse().ok()?;
    (1..=MAX_LIMIT).contains(&limit).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn every_wrong_parameter_is_named() {
        let query = query(&[
            ("limit", "101"),
            ("status", "asleep"),
            ("cursor", "x"),
            ("sort", "up"),
        ]);
        let errors = ListQuery::parse(&query).unwrap_err().errors;
        let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["limit", "status", "cursor", "sort"]);
    }

    #[test]
    fn good_parameters_are_read() {
        let query = query(&[("format", "vtt"), ("source", "live"), ("limit", "7")]);
        let parsed = TranscriptQuery::parse(&query).unwrap();
        assert_eq!(parsed.format, TranscriptFormat::Vtt);
        assert_eq!(parsed.source, Some(TranscriptSource::Live));
        assert_eq!(parsed.limit, 7);
    }
}
