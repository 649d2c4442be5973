//! What a session is asked for: the body of the token call, checked.

use std::time::Duration;

use serde_json::{Map, Value};

use super::refusals::{coded, extra, invalid, wrong};
use crate::answer::Answer;
use crate::avatar::{AvatarHabits, AvatarProvider, Wanted};

/// The only avatar of the sandbox, "Wayne".
const SANDBOX_AVATAR: &str = "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a";
/// The sandbox ends a session after about a minute.
const SANDBOX_SESSION: Duration = Duration::from_mins(1);
const KNOWN: [&str; 10] = [
    "mode",
    "avatar_id",
    "is_sandbox",
    "video_settings",
    "max_session_duration",
    "livekit_config",
    "agora_config",
    "elevenlabs_agent_config",
    "openai_realtime_config",
    "gemini_realtime_config",
];

/// A session that was asked for, but for its meeting.
pub(super) struct Token(Wanted);

impl Token {
    pub(super) fn for_meeting(self, meeting_id: Option<String>) -> Wanted {
        Wanted {
            meeting_id,
            ..self.0
        }
    }
}

/// Reads and checks the body.
pub(super) fn read(body: &Value, habits: &AvatarHabits) -> Result<Token, Answer> {
    let Some(fields) = body.as_object() else {
        let text = "Input should be a valid dictionary or object to extract fields from";
        return Err(invalid(&[wrong(&["body"], "model_attributes_type", text)]));
    };
    let mut errors = Vec::new();
    check_mode(fields, &mut errors)?;
    let avatar = avatar(fields, &mut errors);
    let sandbox = boolean(fields, "is_sandbox", &mut errors);
    let duration = whole_number(fields, "max_session_duration", &mut errors);
    check_video(fields, &mut errors);
    let unknown = fields.keys().filter(|name| !KNOWN.contains(&name.as_str()));
    errors.extend(unknown.map(|name| extra(&["body", name])));
    if !errors.is_empty() {
        return Err(invalid(&errors));
    }
    refuse_what_is_not_played(fields)?;
    if sandbox && avatar != SANDBOX_AVATAR {
        return Err(coded(400, "This avatar is not available in sandbox mode"));
    }
    if habits.unknown_avatars.contains(&avatar) {
        return Err(coded(404, "Avatar not found"));
    }
    let plan = if sandbox {
        habits.longest_session.min(SANDBOX_SESSION)
    } else {
        habits.longest_session
    };
    let asked = duration.map(Duration::from_secs);
    if asked.is_some_and(|asked| asked > habits.longest_session) {
        return Err(coded(
            400,
            "max_session_duration exceeds the limit of the plan",
        ));
    }
    Ok(Token(Wanted {
        provider: AvatarProvider::LiveAvatar,
        meeting_id: None,
        avatar,
        request: body.clone(),
        longest: asked.map_or(plan, |asked| asked.min(plan)),
        idle_window: habits.idle_window,
        free: sandbox,
    }))
}

fn check_mode(fields: &Map<String, Value>, errors: &mut Vec<Value>) -> Result<(), Answer> {
    match fields.get("mode").map(Value::as_str) {
        None | Some(Some("LITE")) => {}
        Some(Some("FULL")) => return Err(coded(501, "the simulator plays LITE sessions only")),
        Some(_) => {
            let text = "Input tag does not match any of the expected tags: 'FULL', 'LITE'";
            errors.push(wrong(&["body"], "union_tag_invalid", text));
        }
    }
    Ok(())
}

fn avatar(fields: &Map<String, Value>, errors: &mut Vec<Value>) -> String {
    let place = ["body", "LITE", "avatar_id"];
    match fields.get("avatar_id") {
        None => errors.push(wrong(&place, "missing", "Field required")),
        Some(Value::String(id)) if is_uuid(id) => return id.clone(),
        Some(_) => errors.push(not_a_uuid(&place)),
    }
    String::new()
}

fn boolean(fields: &Map<String, Value>, name: &str, errors: &mut Vec<Value>) -> bool {
    match fields.get(name) {
        None => false,
        Some(Value::Bool(value)) => *value,
        Some(_) => {
            errors.push(wrong(
                &["body", "LITE", name],
                "bool_type",
                "Input should be a valid boolean",
            ));
            false
        }
    }
}

fn whole_number(fields: &Map<String, Value>, name: &str, errors: &mut Vec<Value>) -> Option<u64> {
    let value = fields.get(name).filter(|value| !value.is_null())?;
    let number = value.as_u64().filter(|seconds| *seconds > 0);
    if number.is_none() {
        errors.push(wrong(
            &["body", "LITE", name],
            "int_type",
            "Input should be a valid integer",
        ));
    }
    number
}

fn check_video(fields: &Map<String, Value>, errors: &mut Vec<Value>) {
    let Some(video) = fields
        .get("video_settings")
        .filter(|video| !video.is_null())
    else {
        return;
    };
    let place = |name| ["body", "LITE", "video_settings", name];
    let Some(video) = video.as_object() else {
        let place = ["body", "LITE", "video_settings"];
        return errors.push(wrong(
            &place,
            "model_attributes_type",
            "Input should be an object",
        ));
    };
    for (name, value) in video {
        let choices: &[&str] = match name.as_str() {
            "quality" => &["very_high", "high", "medium", "low"],
            "encoding" => &["VP8", "H264"],
            _ => {
                errors.push(extra(&place(name)));
                continue;
            }
        };
        if !value.as_str().is_some_and(|value| choices.contains(&value)) {
            let text = format!("Input should be one of {choices:?}");
            errors.push(wrong(&place(name), "enum", &text));
        }
    }
}

/// Rooms of one's own and connectors exist, but not here.
fn refuse_what_is_not_played(fields: &Map<String, Value>) -> Result<(), Answer> {
    let asked = |name: &&&str| fields.get(**name).is_some_and(|value| !value.is_null());
    match KNOWN[5..].iter().find(asked) {
        Some(name) => Err(coded(501, &format!("the simulator has no {name}"))),
        None => Ok(()),
    }
}

pub(super) fn not_a_uuid(place: &[&str]) -> Value {
    wrong(place, "uuid_parsing", "Input should be a valid UUID")
}

pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}
