//! The body of Create Bot: how the bot looks, what it records and reports, and when it goes.
//!
//! Reference: <https://docs.recall.ai/reference/bot_create>.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::events::MEETING_ID_KEY;
use crate::{
    ids::{MeetingId, TenantId},
    secret::Secret,
    still::camera_still,
};

/// Half a second of silence: without some mp3 at creation the vendor plays none later.
const SILENCE: &[u8] = include_bytes!("assets/silence.mp3");

/// The vendor's limit of a bot's name, in characters.
const MAX_NAME_CHARACTERS: usize = 100;
/// The lobby patience on Google Meet: the vendor's maximum there, as Meet itself gives up then.
const WAITING_ROOM_MEET_SECONDS: u32 = 600;
/// The lobby patience elsewhere: the vendor's default, within Teams' own 30 minutes.
const WAITING_ROOM_SECONDS: u32 = 1_200;
/// How long to wait in an empty call: we come up to ten minutes early, and hosts come late.
const NOONE_JOINED_SECONDS: u32 = 1_200;
/// How long to stay when all are gone; the vendor's default of 2 s loses the bot to a reconnect.
const EVERYONE_LEFT_SECONDS: u32 = 30;
/// How long to stay without recording, paused ones included.
const NOT_RECORDING_SECONDS: u32 = 3_600;
/// The longest recording: four hours, beyond which somebody forgot to hang up.
const RECORDING_SECONDS: u32 = 14_400;
/// How long to stay where recording is refused, so that the host can think again.
const PERMISSION_DENIED_SECONDS: u32 = 60;
/// How long a silent call is attended, and from when on silence counts.
const SILENCE_SECONDS: u32 = 900;
const SILENCE_AFTER_SECONDS: u32 = 1_200;
/// How long to stay among bots only, and from when on that counts.
const BOTS_ONLY_SECONDS: u32 = 60;
const BOTS_ONLY_AFTER_SECONDS: u32 = 300;
/// Parts of the names of bots. The vendor compares without case and within words, so plain `bot`
/// would take Mr Talbot for one.
const BOT_NAMES: [&str; 9] = [
    "notetaker",
    "note taker",
    "recorder",
    "fireflies",
    "otter.ai",
    "read.ai",
    "fathom",
    "tl;dv",
    "meetgeek",
];

/// The machine that runs the page: the default one is too weak for a face that moves, and the sound stutters.
const PAGE_VARIANT: &str = "web_4_core";

/// How long the vendor keeps recordings, in hours, where nothing else is asked for: a week, after
/// which it would charge for storage.
pub const DEFAULT_RETENTION_HOURS: u32 = 168;

/// How the delegate is seen and heard; fixed at creation, as the vendor allows one way per bot.
#[derive(Clone, Debug)]
pub enum Presence {
    /// Clips through Output Audio, and a still as the camera.
    Voice,
    /// A web page through Output Media; neither clips nor stills are possible then
    /// (<https://docs.recall.ai/docs/stream-media>).
    Page {
        /// Where the page is; it carries a token.
        url: Secret,
    },
}

/// A WebSocket of ours that the vendor dials with the call's sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioEndpoint {
    /// Where, `wss://…`; a query needs a slash before it.
    pub url: String,
}

/// A bot to be created.
#[derive(Clone, Debug)]
pub struct BotRequest {
    /// The call to join.
    pub meeting_url: String,
    /// The name shown in the call; cut to the vendor's limit.
    pub bot_name: String,
    /// The company that the bot's camera names.
    pub company: Option<String>,
    /// When to join; at once if there is none.
    pub join_at: Option<Timestamp>,
    /// The meeting it is for: everything the vendor sends about the bot carries it.
    pub meeting_id: MeetingId,
    /// The tenant whose meeting it is.
    pub tenant_id: TenantId,
    /// How it is seen and heard.
    pub presence: Presence,
    /// What is spoken, as a language tag, for example `en` or `de-DE`.
    pub language: String,
    /// The origin at which the vendor reaches us.
    pub public_url: String,
    /// Where the call's sound goes, if we listen ourselves.
    pub audio_endpoint: Option<AudioEndpoint>,
    /// How long the vendor keeps what is recorded.
    pub retention_hours: u32,
}

impl BotRequest {
    /// Writes the body.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "meeting_url": self.meeting_url,
            "bot_name": self.name(),
            "metadata": self.metadata(),
            "recording_config": self.recording_config(),
            "automatic_leave": self.automatic_leave(),
        });
        if let Some(join_at) = self.join_at {
            body["join_at"] = json!(join_at.to_string());
        }
        match &self.presence {
            Presence::Page { url } => {
                let page = json!({"kind": "webpage", "config": {"url": url.expose()}});
                body["output_media"] = json!({"camera": page});
                body["variant"] = json!({
                    "zoom": PAGE_VARIANT,
                    "google_meet": PAGE_VARIANT,
                    "microsoft_teams": PAGE_VARIANT,
                    "webex": PAGE_VARIANT,
                });
            }
            Presence::Voice => {
                let silence = json!({"kind": "mp3", "b64_data": STANDARD.encode(SILENCE)});
                let picture = camera_still(&self.bot_name, self.company.as_deref());
                let still = json!({"kind": "jpeg", "b64_data": STANDARD.encode(picture)});
                body["automatic_audio_output"] = json!({"in_call_recording": {"data": silence}});
                body["automatic_video_output"] =
                    json!({"in_call_recording": still, "in_call_not_recording": still});
            }
        }
        body
    }

    fn name(&self) -> String {
        self.bot_name.chars().take(MAX_NAME_CHARACTERS).collect()
    }

    fn metadata(&self) -> Value {
        json!({MEETING_ID_KEY: self.meeting_id.as_str(), "tenant_id": self.tenant_id.as_str()})
    }

    fn recording_config(&self) -> Value {
        let mut events = vec![
            "transcript.data",
            "participant_events.join",
            "participant_events.leave",
            "participant_events.update",
            "participant_events.chat_message",
        ];
        if self.audio_endpoint.is_none() {
            // Where we listen ourselves, the vendor's transcript is only what takes over if that fails.
            events.insert(1, "transcript.partial_data");
        }
        let mut endpoints = vec![json!({
            "type": "webhook",
            "url": format!("{}/webhooks/recall", self.public_url.trim_end_matches('/')),
            "events": events,
            "metadata": self.metadata(),
        })];
        let mut config = json!({
            "transcript": {"provider": {"recallai_streaming": self.transcription()}},
            "video_mixed_mp4": {},
            // Otherwise the recording lacks the delegate's own voice.
            "include_bot_in_recording": {"audio": true},
            // Real-time events flow only while recording.
            "start_recording_on": "call_join",
            "retention": {"type": "timed", "hours": self.retention_hours},
            "metadata": self.metadata(),
        });
        if let Some(audio) = &self.audio_endpoint {
            endpoints.push(json!({
                "type": "websocket",
                "url": audio.url,
                "events": ["audio_mixed_raw.data"],
                "metadata": self.metadata(),
            }));
            config["audio_mixed_raw"] = json!({});
        }
        config["realtime_endpoints"] = Value::Array(endpoints);
        config
    }

    /// Fast transcription is English only and takes no other option; the accurate kind is minutes late.
    fn transcription(&self) -> Value {
        let language = self
            .language
            .split(['-', '_'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mode = if language == "en" {
            "prioritize_low_latency"
        } else {
            "prioritize_accuracy"
        };
        json!({"mode": mode, "language_code": language})
    }

    fn automatic_leave(&self) -> Value {
        json!({
            "waiting_room_timeout": self.waiting_room_seconds(),
            "noone_joined_timeout": NOONE_JOINED_SECONDS,
            "everyone_left_timeout": {"timeout": EVERYONE_LEFT_SECONDS, "activate_after": 0},
            "in_call_not_recording_timeout": NOT_RECORDING_SECONDS,
            "in_call_recording_timeout": RECORDING_SECONDS,
            "recording_permission_denied_timeout": PERMISSION_DENIED_SECONDS,
            "silence_detection": {
                "timeout": SILENCE_SECONDS,
                "activate_after": SILENCE_AFTER_SECONDS,
            },
            "bot_detection": {
                "using_participant_names": {
                    "timeout": BOTS_ONLY_SECONDS,
                    "activate_after": BOTS_ONLY_AFTER_SECONDS,
                    "matches": BOT_NAMES,
                },
            },
        })
    }

    fn waiting_room_seconds(&self) -> u32 {
        let url = Url::parse(&self.meeting_url).ok();
        match url.as_ref().and_then(Url::host_str) {
            Some("meet.google.com") => WAITING_ROOM_MEET_SECONDS,
            _ => WAITING_ROOM_SECONDS,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
