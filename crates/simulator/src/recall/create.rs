//! Validates the body of Create Bot and Update Bot and turns it into what the model works with.
//!
//! Stricter than the vendor in one way, on purpose: a field nobody knows is an error, so that a
//! typo or a name from API version 1.10 shows up here and not as silence in a real meeting.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fields::{
    FieldError, Fields, boolean, choice, dictionary, integer, message, metadata, string,
    string_up_to,
};
use super::meeting_url::{MeetingUrl, Platform};
use super::recording_config::{self, RecordingConfig};
use crate::audio::{jpeg, mp3};

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
    pub(crate) output_media: Option<Value>,
    pub(crate) recording: RecordingConfig,
    pub(crate) leave: LeaveTimers,
    pub(crate) chat_on_join: Option<String>,
}

/// When a bot leaves by itself.
#[derive(Clone, Debug)]
pub(crate) struct LeaveTimers {
    pub(crate) waiting_room: Duration,
    pub(crate) noone_joined: Duration,
    pub(crate) everyone_left: Delayed,
    pub(crate) in_call_not_recording: Duration,
    pub(crate) in_call_recording: Option<Duration>,
    pub(crate) permission_denied: Duration,
    pub(crate) silence: Delayed,
    pub(crate) only_bots: Option<(Delayed, Vec<String>)>,
}

/// A timer that is only armed some time into the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delayed {
    pub(crate) timeout: Duration,
    pub(crate) activate_after: Duration,
}

/// The vendor's picture limit, 1.3 MB.
const MAX_JPEG_BYTES: usize = 1_300_000;
const MAX_BOT_NAME: usize = 100;
const DEFAULT_BOT_NAME: &str = "Meeting Notetaker";
/// No documented upper bound; a week keeps arithmetic on times safe.
const ANY_SECONDS: u64 = 7 * 24 * 3600;

/// Reads a whole bot request.
pub(crate) fn read(body: &Value) -> Result<BotRequest, FieldError> {
    let mut fields = Fields::of(body)?;
    let meeting_url = fields.read_required("meeting_url", |value| {
        let text = string(value)?;
        MeetingUrl::parse(text)
            .ok_or_else(|| message("This is not a link to a meeting on a supported platform."))
    });
    let platform = meeting_url.as_ref().map(|url| url.platform);
    let bot_name = fields
        .read("bot_name", string_up_to(MAX_BOT_NAME))
        .unwrap_or(DEFAULT_BOT_NAME);
    let join_at = fields.read("join_at", timestamp);
    let own_metadata = fields.read("metadata", metadata).unwrap_or_default();
    let automatic_audio = fields.read("automatic_audio_output", automatic_audio_output);
    let automatic_video = fields.read("automatic_video_output", automatic_video_output);
    let output_media = fields.read("output_media", |value| {
        output_media(value)?;
        Ok(value.clone())
    });
    if output_media.is_some() && (automatic_audio.is_some() || automatic_video.is_some()) {
        let text = "output_media cannot be combined with automatic_audio_output or automatic_video_output.";
        fields.error("output_media", message(text));
    }
    let recording = fields.read("recording_config", recording_config::read);
    let leave = fields.read("automatic_leave", |value| leave_timers(value, platform));
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
        output_media,
        recording: recording.unwrap_or_default(),
        leave: leave.unwrap_or_default(),
        chat_on_join,
    })
}

fn timestamp(value: &Value) -> Result<Timestamp, FieldError> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        message("Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].")
    })
}

/// Decodes standard base64 and checks that it is an mp3.
pub(crate) fn mp3_data(value: &Value) -> Result<Vec<u8>, FieldError> {
    let data = base64_data(value)?;
    mp3::inspect(&data).map_err(|_| message("The data is not a valid mp3 file."))?;
    Ok(data)
}

/// Decodes standard base64 and checks that it is a jpeg within the size limit.
pub(crate) fn jpeg_data(value: &Value) -> Result<Vec<u8>, FieldError> {
    let data = base64_data(value)?;
    if data.len() > MAX_JPEG_BYTES {
        return Err(message("The image is larger than 1.3 MB."));
    }
    jpeg::dimensions(&data).ok_or_else(|| message("The data is not a valid jpeg file."))?;
    Ok(data)
}

fn base64_data(value: &Value) -> Result<Vec<u8>, FieldError> {
    STANDARD
        .decode(string(value)?)
        .map_err(|_| message("Invalid base64 string."))
}

/// `{"kind", "b64_data"}` with the one kind that is allowed.
pub(crate) fn media(
    value: &Value,
    kind: &'static str,
    read: impl Fn(&Value) -> Result<Vec<u8>, FieldError>,
) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read_required("kind", choice(&[kind]));
    let data = fields.read_required("b64_data", read);
    fields.finish()?;
    Ok(data.expect("missing data is an error above"))
}

fn automatic_audio_output(value: &Value) -> Result<Vec<u8>, FieldError> {
    let mut fields = Fields::of(value)?;
    let clip = fields.read_required("in_call_recording", |value| {
        let mut fields = Fields::of(value)?;
        let data = fields.read_required("data", |value| media(value, "mp3", mp3_data));
        fields.read("replay_on_participant_join", |value| {
            let mut fields = Fields::of(value)?;
            fields.read_required("debounce_mode", choice(&["leading", "trailing"]));
            fields.read_required("debounce_interval", integer(0, ANY_SECONDS));
            fields.read("disable_after", integer(0, ANY_SECONDS));
            fields.finish()
        });
        fields.finish()?;
        Ok(data.expect("missing data is an error above"))
    });
    fields.finish()?;
    Ok(clip.expect("a missing clip is an error above"))
}

fn automatic_video_output(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read_required("in_call_recording", |value| media(value, "jpeg", jpeg_data));
    fields.read("in_call_not_recording", |value| {
        media(value, "jpeg", jpeg_data)
    });
    fields.finish()
}

/// A webpage in the camera, the screen share, or both.
pub(crate) fn output_media(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    let slots = [
        fields.read("camera", webpage),
        fields.read("screenshare", webpage),
    ];
    if value.as_object().is_some_and(Map::is_empty) {
        return Err(
            json!({ "non_field_errors": ["At least one of camera and screenshare is required."] }),
        );
    }
    let _ = slots;
    fields.finish()
}

fn webpage(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read_required("kind", choice(&["webpage"]));
    fields.read_required("config", |value| {
        let mut fields = Fields::of(value)?;
        fields.read_required("url", |value| http_url(value).map(drop));
        fields.finish()
    });
    fields.finish()
}

fn http_url(value: &Value) -> Result<url::Url, FieldError> {
    url::Url::parse(string(value)?)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| message("Enter a valid URL."))
}

fn chat(value: &Value, platform: Option<Platform>) -> Result<Option<String>, FieldError> {
    let limit = platform.map_or(Some(4096), Platform::chat_limit);
    let Some(limit) = limit else {
        return Err(message("Chat is not supported on this platform."));
    };
    let mut fields = Fields::of(value)?;
    let on_join = fields.read("on_bot_join", |value| {
        let mut fields = Fields::of(value)?;
        fields.read_required("send_to", |value| recipient(value, platform));
        let text = fields.read_required("message", string_up_to(limit));
        fields.read("pin", boolean);
        fields.finish()?;
        Ok(text
            .expect("a missing message is an error above")
            .to_owned())
    });
    fields.read("on_participant_join", |value| {
        let mut fields = Fields::of(value)?;
        fields.read_required("message", string_up_to(limit));
        fields.read("exclude_host", boolean);
        fields.finish()
    });
    fields.finish()?;
    Ok(on_join)
}

/// Only Zoom can send to fewer people than everyone.
pub(crate) fn recipient(value: &Value, platform: Option<Platform>) -> Result<(), FieldError> {
    let to = string(value)?;
    if to == "everyone" || platform.is_none_or(|platform| platform == Platform::Zoom) {
        return Ok(());
    }
    Err(message("Only \"everyone\" is supported on this platform."))
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

impl Default for LeaveTimers {
    fn default() -> Self {
        leave_timers(&json!({}), None).expect("the defaults are valid")
    }
}

fn leave_timers(value: &Value, platform: Option<Platform>) -> Result<LeaveTimers, FieldError> {
    let lobby_limit = match platform {
        Some(Platform::GoogleMeet) => 600,
        Some(Platform::MicrosoftTeams) => 1800,
        Some(Platform::Zoom | Platform::Webex) | None => ANY_SECONDS,
    };
    let mut fields = Fields::of(value)?;
    let mut seconds = |name, max, default| {
        Duration::from_secs(fields.read(name, integer(1, max)).unwrap_or(default))
    };
    let waiting_room = seconds("waiting_room_timeout", lobby_limit, 1200);
    let noone_joined = seconds("noone_joined_timeout", ANY_SECONDS, 1200);
    let in_call_not_recording = seconds("in_call_not_recording_timeout", ANY_SECONDS, 3600);
    let permission_denied = seconds("recording_permission_denied_timeout", ANY_SECONDS, 30);
    let in_call_recording = fields
        .read("in_call_recording_timeout", integer(1, ANY_SECONDS))
        .map(Duration::from_secs);
    let everyone_left = fields.read("everyone_left_timeout", |value| delayed(value, (2, 0)));
    let silence = fields.read("silence_detection", |value| delayed(value, (3600, 1200)));
    let only_bots = fields.read("bot_detection", bot_detection).flatten();
    fields.finish()?;
    Ok(LeaveTimers {
        waiting_room,
        noone_joined,
        everyone_left: everyone_left.unwrap_or_else(|| Delayed::seconds(2, 0)),
        in_call_not_recording,
        in_call_recording,
        permission_denied,
        silence: silence.unwrap_or_else(|| Delayed::seconds(3600, 1200)),
        only_bots,
    })
}

impl Delayed {
    fn seconds(timeout: u64, activate_after: u64) -> Self {
        Self {
            timeout: Duration::from_secs(timeout),
            activate_after: Duration::from_secs(activate_after),
        }
    }
}

fn delayed(value: &Value, (timeout, activate_after): (u64, u64)) -> Result<Delayed, FieldError> {
    let mut fields = Fields::of(value)?;
    let timeout = fields
        .read("timeout", integer(1, ANY_SECONDS))
        .unwrap_or(timeout);
    let activate_after = fields
        .read("activate_after", integer(0, ANY_SECONDS))
        .unwrap_or(activate_after);
    fields.finish()?;
    Ok(Delayed::seconds(timeout, activate_after))
}

type BotNames = (Delayed, Vec<String>);

fn bot_detection(value: &Value) -> Result<Option<BotNames>, FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read("using_participant_events", |value| {
        delayed(value, (600, 1200))
    });
    let names = fields.read("using_participant_names", |value| {
        let mut fields = Fields::of(value)?;
        let timeout = fields
            .read("timeout", integer(1, ANY_SECONDS))
            .unwrap_or(3600);
        let activate_after = fields
            .read("activate_after", integer(0, ANY_SECONDS))
            .unwrap_or(1200);
        let matches = fields.read_required("matches", |value| {
            let list = value
                .as_array()
                .ok_or_else(|| message("Expected a list of items."))?;
            list.iter()
                .map(|item| string(item).map(str::to_owned))
                .collect::<Result<Vec<_>, _>>()
        });
        fields.finish()?;
        Ok((
            Delayed::seconds(timeout, activate_after),
            matches.unwrap_or_default(),
        ))
    });
    fields.finish()?;
    Ok(names)
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
        other => other.clone(),
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
