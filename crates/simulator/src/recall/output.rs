//! What a bot may show and say: clips, pictures, pages and chat messages, checked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use url::Url;

use super::fields::{FieldError, Fields, boolean, choice, integer, message, string, string_up_to};
use super::meeting_url::Platform;
use super::patience::ANY_SECONDS;
use crate::audio::{jpeg, mp3};

/// The vendor's picture limit, 1.3 MB.
const MAX_JPEG_BYTES: usize = 1_300_000;
/// The longest chat message any platform takes.
const LONGEST_CHAT: usize = 4096;

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

pub(crate) fn automatic_audio_output(value: &Value) -> Result<Vec<u8>, FieldError> {
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

pub(crate) fn automatic_video_output(value: &Value) -> Result<(), FieldError> {
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
    fields.read("camera", webpage);
    fields.read("screenshare", webpage);
    if value.as_object().is_some_and(Map::is_empty) {
        let text = "At least one of camera and screenshare is required.";
        return Err(json!({ "non_field_errors": [text] }));
    }
    fields.finish()
}

fn webpage(value: &Value) -> Result<(), FieldError> {
    let mut fields = Fields::of(value)?;
    fields.read_required("kind", choice(&["webpage"]));
    fields.read_required("config", |value| {
        let mut fields = Fields::of(value)?;
        fields.read_required("url", http_url);
        fields.finish()
    });
    fields.finish()
}

pub(crate) fn http_url(value: &Value) -> Result<Url, FieldError> {
    Url::parse(string(value)?)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| message("Enter a valid URL."))
}

/// The `chat` object; what comes out is the message sent on joining.
pub(crate) fn chat(
    value: &Value,
    platform: Option<Platform>,
) -> Result<Option<String>, FieldError> {
    let limit = platform.map_or(Some(LONGEST_CHAT), Platform::chat_limit);
    let limit = limit.ok_or_else(|| message("Chat is not supported on this platform."))?;
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
