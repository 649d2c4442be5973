//! Validates `recording_config`: what is recorded, transcribed and sent while it happens.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use url::Url;

use super::create::artifact_config;
use super::fields::{
    FieldError, Fields, boolean, choice, dictionary, integer, invalid_choice, message, metadata,
    string,
};
use super::frames;
use crate::script::ArtifactKind;

/// What a bot records.
#[derive(Clone, Debug)]
pub(crate) struct RecordingConfig {
    pub(crate) transcript: Option<TranscriptConfig>,
    pub(crate) endpoints: Vec<EndpointConfig>,
    /// The artifacts besides the transcript, with their metadata.
    pub(crate) artifacts: BTreeMap<ArtifactKind, Map<String, Value>>,
    /// The metadata of the raw audio, if it is sent as it is heard.
    pub(crate) audio_raw: Option<Map<String, Value>>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) retention: Retention,
    /// The request with the vendor's defaults filled in.
    pub(crate) echo: Value,
}

/// How transcripts are made.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptConfig {
    /// `{provider: options}`.
    pub(crate) provider: Value,
    pub(crate) diarization: Value,
    pub(crate) metadata: Map<String, Value>,
    /// Real-time delivery is minutes late.
    pub(crate) slow: bool,
}

/// Where real-time events go.
#[derive(Clone, Debug)]
pub(crate) struct EndpointConfig {
    pub(crate) kind: String,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) metadata: Map<String, Value>,
}

impl EndpointConfig {
    fn wants_mixed_audio(&self) -> bool {
        self.events.iter().any(|event| event == frames::EVENT)
    }
}

/// How long media is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    Forever,
    Hours(u64),
    /// Zero data retention: there is no media at all.
    None,
}

const PROVIDERS: [&str; 10] = [
    "recallai_streaming",
    "meeting_captions",
    "assembly_ai_v3_streaming",
    "assembly_ai_async_chunked",
    "deepgram_streaming",
    "gladia_v2_streaming",
    "rev_streaming",
    "aws_transcribe_streaming",
    "speechmatics_streaming",
    "elevenlabs_streaming",
];

const PARTICIPANT_EVENTS: [&str; 10] = [
    "join",
    "leave",
    "update",
    "speech_on",
    "speech_off",
    "webcam_on",
    "webcam_off",
    "screenshare_on",
    "screenshare_off",
    "chat_message",
];
const TRANSCRIPT_EVENTS: [&str; 3] = [
    "transcript.data",
    "transcript.partial_data",
    "transcript.provider_data",
];
/// Media buffers, which only a WebSocket can carry.
const BUFFER_EVENTS: [&str; 4] = [
    frames::EVENT,
    "audio_separate_raw.data",
    "video_separate_png.data",
    "video_separate_h264.data",
];

/// A year, where the vendor gives no bound.
const MAX_RETENTION_HOURS: u64 = 24 * 366;

impl Default for RecordingConfig {
    fn default() -> Self {
        read(&json!({})).expect("the defaults are valid")
    }
}

pub(crate) fn read(value: &Value) -> Result<RecordingConfig, FieldError> {
    let mut fields = Fields::of(value)?;
    let transcript = fields.read("transcript", transcript);
    let endpoints = fields
        .read("realtime_endpoints", realtime_endpoints)
        .unwrap_or_default();
    let no_retention = fields.is_null("retention");
    let retention = match fields.read("retention", retention) {
        _ if no_retention => Retention::None,
        Some(retention) => retention,
        None => Retention::Forever,
    };
    let mut artifacts = BTreeMap::new();
    for (field, kind) in [
        ("video_mixed_mp4", ArtifactKind::VideoMixed),
        ("participant_events", ArtifactKind::ParticipantEvents),
        ("meeting_metadata", ArtifactKind::MeetingMetadata),
    ] {
        let off = fields.is_null(field);
        let own = fields.read(field, artifact_config).unwrap_or_default();
        if !off {
            artifacts.insert(kind, own);
        }
    }
    if let Some(own) = fields.read("audio_mixed_mp3", artifact_config) {
        artifacts.insert(ArtifactKind::AudioMixed, own);
    }
    let audio_raw = fields.read("audio_mixed_raw", artifact_config);
    if audio_raw.is_none() && endpoints.iter().any(EndpointConfig::wants_mixed_audio) {
        let text = "This field is required for the event \"audio_mixed_raw.data\".";
        fields.error("audio_mixed_raw", message(text));
    }
    for field in [
        "audio_separate_raw",
        "video_separate_mp4",
        "video_separate_png",
        "video_separate_h264",
        "video_mixed_flv",
    ] {
        fields.read(field, artifact_config);
    }
    let layouts = [
        "speaker_view",
        "gallery_view",
        "gallery_view_v2",
        "audio_only",
    ];
    fields.read("video_mixed_layout", choice(&layouts));
    fields.read(
        "video_mixed_participant_video_when_screenshare",
        choice(&["overlap", "beside", "hide"]),
    );
    fields.read(
        "start_recording_on",
        choice(&[
            "participant_join",
            "call_join",
            "participant_speak",
            "manual",
        ]),
    );
    fields.read("include_bot_in_recording", |value| {
        let mut fields = Fields::of(value)?;
        fields.read("audio", boolean);
        fields.finish()
    });
    let own_metadata = fields.read("metadata", metadata).unwrap_or_default();
    fields.finish()?;
    Ok(RecordingConfig {
        transcript,
        endpoints,
        artifacts,
        audio_raw,
        metadata: own_metadata,
        retention,
        echo: with_defaults(value),
    })
}

fn with_defaults(request: &Value) -> Value {
    let mut echo = json!({
        "transcript": null,
        "realtime_endpoints": [],
        "retention": { "type": "forever" },
        "video_mixed_layout": "speaker_view",
        "video_mixed_mp4": {},
        "participant_events": {},
        "meeting_metadata": {},
        "video_mixed_participant_video_when_screenshare": "overlap",
        "start_recording_on": "participant_join",
        "include_bot_in_recording": { "audio": false },
        "metadata": {},
        "audio_mixed_raw": null,
        "video_separate_mp4": null,
        "audio_separate_raw": null,
        "video_mixed_flv": null,
        "video_separate_png": null,
    });
    for (name, value) in request.as_object().into_iter().flatten() {
        echo[name] = value.clone();
    }
    echo
}

fn transcript(value: &Value) -> Result<TranscriptConfig, FieldError> {
    let mut fields = Fields::of(value)?;
    let provider = fields.read_required("provider", |value| {
        let object = dictionary(value)?;
        let mut names = object.iter();
        let (Some((name, options)), None) = (names.next(), names.next()) else {
            return Err(json!({ "non_field_errors": ["Exactly one provider is required."] }));
        };
        if !PROVIDERS.contains(&name.as_str()) {
            return Err(json!({ name: ["Unknown field."] }));
        }
        dictionary(options).map_err(|error| json!({ name: error }))?;
        if name == "recallai_streaming" {
            recallai_streaming(options).map_err(|error| json!({ name: error }))?;
        }
        Ok(value)
    });
    let diarization = fields.read("diarization", |value| {
        let mut fields = Fields::of(value)?;
        fields.read("use_separate_streams_when_available", boolean);
        fields.finish()?;
        Ok(value.clone())
    });
    let own_metadata = fields.read("metadata", metadata).unwrap_or_default();
    fields.finish()?;
    let provider = provider.expect("a missing provider is an error above");
    let slow = provider
        .get("recallai_streaming")
        .is_some_and(|options| options["mode"].as_str() != Some("prioritize_low_latency"));
    Ok(TranscriptConfig {
        provider: provider.clone(),
        diarization: diarization
            .unwrap_or_else(|| json!({ "use_separate_streams_when_available": false })),
        metadata: own_metadata,
        slow,
    })
}

/// Low latency is English only and takes no other option; the accurate mode takes many.
fn recallai_streaming(options: &Value) -> Result<(), FieldError> {
    let modes = ["prioritize_accuracy", "prioritize_low_latency"];
    if let Some(mode) = options.get("mode").filter(|mode| !mode.is_null()) {
        choice(&modes)(mode).map_err(|error| json!({ "mode": error }))?;
    }
    if options["mode"].as_str() != Some("prioritize_low_latency") {
        return Ok(());
    }
    let mut fields = Fields::of(options)?;
    fields.optional("mode");
    fields.read_required("language_code", |value| match value.as_str() {
        Some("en") => Ok(()),
        _ => Err(message(
            "Only \"en\" is supported with prioritize_low_latency.",
        )),
    });
    fields.finish()
}

fn realtime_endpoints(value: &Value) -> Result<Vec<EndpointConfig>, FieldError> {
    let list = value
        .as_array()
        .ok_or_else(|| message("Expected a list of items."))?;
    let read: Vec<_> = list.iter().map(realtime_endpoint).collect();
    if read.iter().any(Result::is_err) {
        return Err(read
            .into_iter()
            .map(|item| item.err().unwrap_or_else(|| json!({})))
            .collect());
    }
    Ok(read.into_iter().filter_map(Result::ok).collect())
}

fn realtime_endpoint(value: &Value) -> Result<EndpointConfig, FieldError> {
    let mut fields = Fields::of(value)?;
    let kind = fields.read_required(
        "type",
        choice(&["webhook", "websocket", "rtmp", "desktop_sdk_callback"]),
    );
    let url = fields.read_required("url", |value| endpoint_url(value, kind.unwrap_or_default()));
    let events = fields.read_required("events", |value| events(value, kind.unwrap_or_default()));
    let own_metadata = fields.read("metadata", metadata).unwrap_or_default();
    fields.finish()?;
    Ok(EndpointConfig {
        kind: kind.unwrap_or_default().to_owned(),
        url: url.unwrap_or_default(),
        events: events.unwrap_or_default(),
        metadata: own_metadata,
    })
}

fn endpoint_url(value: &Value, kind: &str) -> Result<String, FieldError> {
    let text = string(value)?;
    let schemes: &[&str] = match kind {
        "websocket" => &["ws", "wss"],
        "rtmp" => &["rtmp", "rtmps"],
        _ => &["http", "https"],
    };
    let url = Url::parse(text).map_err(|_| message("Enter a valid URL."))?;
    if !schemes.contains(&url.scheme()) {
        return Err(message(format!(
            "Enter a valid URL. The scheme must be one of {schemes:?}."
        )));
    }
    if text.contains('?') && !url.path().ends_with('/') {
        return Err(message(
            "The path must end with a slash when the URL has a query.",
        ));
    }
    Ok(text.to_owned())
}

fn events(value: &Value, kind: &str) -> Result<Vec<String>, FieldError> {
    let list = value
        .as_array()
        .ok_or_else(|| message("Expected a list of items."))?;
    if list.is_empty() {
        return Err(message("This list may not be empty."));
    }
    list.iter()
        .map(|item| {
            let known = item.as_str().is_some_and(|name| event_allowed(name, kind));
            item.as_str()
                .filter(|_| known)
                .map(str::to_owned)
                .ok_or_else(|| invalid_choice(item))
        })
        .collect()
}

fn event_allowed(name: &str, kind: &str) -> bool {
    if kind == "rtmp" {
        return name == "video_mixed_flv.data";
    }
    let participant = name.strip_prefix("participant_events.");
    participant.is_some_and(|action| PARTICIPANT_EVENTS.contains(&action))
        || TRANSCRIPT_EVENTS.contains(&name)
        || (kind == "websocket" && BUFFER_EVENTS.contains(&name))
}

fn retention(value: &Value) -> Result<Retention, FieldError> {
    let mut fields = Fields::of(value)?;
    let kind = fields.read_required("type", choice(&["timed", "forever"]));
    let hours = match kind {
        Some("timed") => fields.read_required("hours", integer(1, MAX_RETENTION_HOURS)),
        _ => None,
    };
    fields.finish()?;
    Ok(hours.map_or(Retention::Forever, Retention::Hours))
}
