//! What `streaming.new` is asked for, checked.

use std::time::Duration;

use serde_json::Value;

use super::refusals::{refuse, wrong};
use super::{one_of, unknown_field};
use crate::answer::Answer;
use crate::avatar::{AvatarHabits, AvatarProvider, Wanted, source_meeting};

const KNOWN: [&str; 17] = [
    "version",
    "avatar_id",
    "avatar_name",
    "quality",
    "video_encoding",
    "voice",
    "stt_settings",
    "language",
    "knowledge_base",
    "knowledge_base_id",
    "knowledge_id",
    "disable_idle_timeout",
    "activity_idle_timeout",
    "ia_is_livekit_transport",
    "silence_response",
    "source",
    "livekit_settings",
];
const EMOTIONS: [&str; 5] = ["excited", "serious", "friendly", "soothing", "broadcaster"];
/// What an idle timeout may be, and what it is when it is not given.
const IDLE: std::ops::RangeInclusive<u64> = 30..=3600;
const DEFAULT_IDLE: u64 = 120;

/// Reads and checks the body.
pub(super) fn read(
    body: &Value,
    habits: &AvatarHabits,
    meeting_id: Option<String>,
) -> Result<Wanted, Answer> {
    if body["version"] != "v2" {
        return Err(refuse(400, 10_003, "avatar version is deprecated"));
    }
    if let Some(unknown) = unknown_field(body, &KNOWN) {
        return Err(wrong(&format!("{unknown} is not a known field")));
    }
    one_of(body, "quality", &["low", "medium", "high"])?;
    one_of(body, "video_encoding", &["VP8", "H264"])?;
    check_voice(&body["voice"])?;
    for name in [
        "disable_idle_timeout",
        "silence_response",
        "ia_is_livekit_transport",
    ] {
        if !body[name].is_null() && !body[name].is_boolean() {
            return Err(wrong(&format!("{name} is not true or false")));
        }
    }
    let idle = match body.get("activity_idle_timeout") {
        None | Some(Value::Null) => DEFAULT_IDLE,
        Some(value) => value
            .as_u64()
            .filter(|seconds| IDLE.contains(seconds))
            .ok_or_else(|| wrong("activity_idle_timeout is from 30 to 3600"))?,
    };
    let avatar = ["avatar_id", "avatar_name"]
        .into_iter()
        .find_map(|name| body[name].as_str());
    let avatar = avatar.unwrap_or("default").to_owned();
    if habits.unknown_avatars.contains(&avatar) {
        return Err(refuse(404, 10_012, "avatar not found"));
    }
    Ok(Wanted {
        provider: AvatarProvider::HeyGen,
        meeting_id: source_meeting(body).map(str::to_owned).or(meeting_id),
        avatar,
        request: body.clone(),
        longest: habits.longest_session,
        idle_window: Duration::from_secs(idle),
        free: false,
    })
}

fn check_voice(voice: &Value) -> Result<(), Answer> {
    if voice.is_null() {
        return Ok(());
    }
    if let Some(unknown) = unknown_field(
        voice,
        &["voice_id", "rate", "emotion", "elevenlabs_settings"],
    ) {
        return Err(wrong(&format!("voice.{unknown} is not a known field")));
    }
    one_of(voice, "emotion", &EMOTIONS)?;
    let rate = &voice["rate"];
    let fits = rate
        .as_f64()
        .is_some_and(|rate| (0.5..=1.5).contains(&rate));
    if !rate.is_null() && !fits {
        return Err(wrong("voice.rate is from 0.5 to 1.5"));
    }
    Ok(())
}
