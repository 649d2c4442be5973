//! Validates the body of Create Bot and Update Bot and turns it into what the model works with.
//!
//! Stricter than the vendor in one way, on purpose: a field nobody knows is an error, so that a
//! typo or a name from API version 1.10 shows up here and not as silence in a real meeting.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fields::{
    FieldError, Fields, boolean, choice, dictionary, message, metadata, string, string_up_to,
};
use super::meeting_url::MeetingUrl;
use super::output::{automatic_audio_output, automatic_video_output, chat, http_url, output_media};
use super::patience::{self, Patience};
use super::recording_config::{self, RecordingConfig};

/// A bot as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct BotRequest {
    /// The request's own fields, for merging an update and for the echo.
    pub(crate) raw: Map<String, Value>,
    pub(crate) meeting_url: MeetingUrl,
    pub(crate) bot_name: String,
    pub(crate) join_at: Option<Timestamp>,
    pub(crate) metadata: Map<String, Value>,
    /// The clip played when the recording starts.
    pub(crate) automatic_audio: Option<Vec<u8>>,
    /// Any automatic sound or picture, which rules a page out.
    pub(crate) automatic_output: bool,
    pub(crate) output_media: Option<Value>,
    pub(crate) recording: RecordingConfig,
    pub(crate) leave: Patience,
    pub(crate) chat_on_join: Option<String>,
}

const MAX_BOT_NAME: usize = 100;
const DEFAULT_BOT_NAME: &str = "Meeting Notetaker";

/// Reads a whole bot request.
pub(crate) fn read(body: &Value) -> Result<BotRequest, FieldError> {
    let mut fields = Fields::of(body)?;
    let meeting_url = fields.read_required("meeting_url", |value| {
        let no_meeting = "This is not a link to a meeting on a supported platform.";
        MeetingUrl::parse(string(value)?).ok_or_else(|| message(no_meeting))
    });
    let platform = meeting_url.as_ref().map(|url| url.platform);
    let bot_name = fields
        .read("bot_name", string_up_to(MAX_BOT_NAME))
        .unwrap_or(DEFAULT_BOT_NAME);
    let join_at = fields.read("join_at", timestamp);
    let own_metadata = fields.read("metadata", metadata).unwrap_or_default();
    let automatic_audio = fields.read("automatic_audio_output", automatic_audio_output);
    let automatic_video = fields.read("automatic_video_output", automatic_video_output);
    let automatic_output = automatic_audio.is_some() || automatic_video.is_some();
    let output_media = fields.read("output_media", |value| {
        output_media(value).map(|()| value.clone())
    });
    if output_media.is_some() && automatic_output {
        let text = "output_media cannot be combined with automatic_audio_output or automatic_video_output.";
        fields.error("output_media", message(text));
    }
    let recording = fields.read("recording_config", recording_config::read);
    let leave = fields.read("automatic_leave", |value| patience::read(value, platform));
    let chat_on_join = fields.read("chat", |value| chat(value, platform)).flatten();
    fields.read("variant", variant);
    fields.read("zoom", zoom);
    fields.read("google_meet", google_meet);
    fields.finish()?;
    Ok(BotRequest {
        raw: body.as_object().cloned().unwrap_or_default(),
        meeting_url: meeting_url.expect("a missing link is an error above"),
        bot_name: bot_name.to_owned(),
        join_at,
        metadata: own_metadata,
        automatic_audio,
        automatic_output,
        output_media,
        recording: recording.unwrap_or_default(),
        leave: leave.unwrap_or_default(),
        chat_on_join,
    })
}

fn timestamp(value: &Value) -> Result<Timestamp, FieldError> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            message(
                "Datetime has wrong format. Use one of these formats instead: \
             YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].",
            )
        })
}

fn variant(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    for platform in ["zoom", "google_meet", "microsoft_teams", "webex"] {
        fields.read(platform, choice(&["web", "web_4_core", "web_gpu"]));
    }
    fields.finish()
}

fn zoom(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    for url in ["join_token_url", "zak_url", "obf_token_url"] {
        fields.read(url, http_url);
    }
    fields.read("user_email", string);
    fields.finish()
}

fn google_meet(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read("login_required", boolean);
    fields.read("google_login_group_id", string);
    fields.finish()
}

/// A copy without media: what the vendor shows of a request.
pub(crate) fn without_media(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| *key != "b64_data")
            .map(|(key, value)| (key.clone(), without_media(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_media).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// `{"metadata": {…}}` or `{}`: how artifacts are switched on.
pub(crate) fn artifact_config(value: &Value) -> Result<Map<String, Value>, FieldError> {
    dictionary(value)?;
    let mut fields = Fields::of(value)?;
    let own = fields.read("metadata", metadata).unwrap_or_default();
    fields.finish()?;
    Ok(own)
}
