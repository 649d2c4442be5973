//! `POST /v1/meetings`: the request, checked field by field, turned into a booking.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    meeting_url::platform_of,
    problem::{FieldError, Problem, check_text},
    tenant::{TenantSettings, render_greeting},
};
use crate::{
    ids::{MeetingId, TenantId},
    meeting::{Agent, Booking, Presence},
};

/// The longest title.
const MAX_TITLE_CHARS: usize = 200;
/// Recall takes bot names of up to 100 characters.
const MAX_NAME_CHARS: usize = 100;
/// Half a minute of speech; a greeting is one sentence or two.
const MAX_GREETING_CHARS: usize = 500;
/// Vendor ids are far shorter.
const MAX_ID_CHARS: usize = 128;
/// The metadata is kept with the meeting and shown in every list.
const MAX_METADATA_BYTES: usize = 16 * 1024;
/// Deeper than anything that is meant for people. Meetings are stored and passed on some levels further down, and
/// what reads them there stops at 128 levels.
const MAX_METADATA_DEPTH: usize = 32;
/// A start further away than this is a mistake.
const MAX_AHEAD_DAYS: i64 = 366;

/// A meeting to book.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct CreateMeeting {
    /// An https URL of a meeting on Zoom, Google Meet, Microsoft Teams or Webex.
    pub meeting_url: String,
    /// When the call starts, RFC 3339; without it, or when it has passed, the bot joins at once.
    #[serde(default)]
    pub starts_at: Option<String>,
    /// A title for people, at most 200 characters.
    #[serde(default)]
    pub title: Option<String>,
    /// How the delegate is seen and heard; the tenant's default if absent.
    #[serde(default)]
    pub presence: Option<Presence>,
    /// Who appears; each absent field comes from the tenant's settings.
    #[serde(default)]
    pub agent: Option<AgentRequest>,
    /// Anything of the caller's own, given back as it is.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// Who appears in a meeting.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct AgentRequest {
    /// The name shown and spoken, at most 100 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// On whose behalf it comes.
    #[serde(default)]
    pub company: Option<String>,
    /// A template with `{agent_name}` and `{company_name}`.
    #[serde(default)]
    pub greeting: Option<String>,
    /// The ElevenLabs voice.
    #[serde(default)]
    pub voice_id: Option<String>,
    /// The avatar.
    #[serde(default)]
    pub avatar_id: Option<String>,
}

impl CreateMeeting {
    /// Checks every field and fills in the tenant's defaults; all wrong fields are named at once.
    pub fn into_booking(
        self,
        id: MeetingId,
        tenant_id: TenantId,
        settings: &TenantSettings,
        early_join_minutes: u8,
        now: Timestamp,
    ) -> Result<Booking, Problem> {
        let mut errors = Vec::new();
        let platform = platform_of(&self.meeting_url)
            .map_err(|message| errors.push(FieldError::new("meeting_url", message)))
            .ok();
        let starts_at = self.starts_at.as_deref().and_then(|text| {
            parse_start(text, now)
                .map_err(|message| errors.push(FieldError::new("starts_at", message)))
                .ok()
        });
        let metadata = self.metadata.unwrap_or_default();
        if serde_json::to_vec(&metadata).map_or(usize::MAX, |m| m.len()) > MAX_METADATA_BYTES {
            errors.push(FieldError::new(
                "metadata",
                "must have at most 16 KiB as JSON",
            ));
        }
        if metadata
            .values()
            .any(|value| !is_flat(value, MAX_METADATA_DEPTH))
        {
            errors.push(FieldError::new(
                "metadata",
                format!("must be nested at most {MAX_METADATA_DEPTH} levels deep"),
            ));
        }
        check_text("title", self.title.as_deref(), MAX_TITLE_CHARS, &mut errors);
        let asked = self.agent.unwrap_or_default();
        for (field, value, limit) in [
            ("agent.name", &asked.name, MAX_NAME_CHARS),
            ("agent.company", &asked.company, MAX_NAME_CHARS),
            ("agent.greeting", &asked.greeting, MAX_GREETING_CHARS),
            ("agent.voice_id", &asked.voice_id, MAX_ID_CHARS),
            ("agent.avatar_id", &asked.avatar_id, MAX_ID_CHARS),
        ] {
            check_text(field, value.as_deref(), limit, &mut errors);
        }
        let name = asked.name.or_else(|| settings.agent_name.clone());
        if name.is_none() {
            let message = "is missing, and the tenant has no default agent name";
            errors.push(FieldError::new("agent.name", message));
        }
        let company = asked.company.or_else(|| settings.company_name.clone());
        let (Some(platform), Some(name), true) = (platform, name, errors.is_empty()) else {
            return Err(Problem::invalid(errors));
        };
        let template = asked.greeting.or_else(|| settings.greeting.clone());
        let greeting = render_greeting(template.as_deref(), &name, company.as_deref());
        if greeting.trim().is_empty() {
            let message = "must not be blank once the names are filled in";
            return Err(Problem::invalid_field("agent.greeting", message));
        }
        Ok(Booking {
            id,
            tenant_id,
            meeting_url: self.meeting_url,
            platform,
            title: self.title,
            starts_at,
            presence: self
                .presence
                .or(settings.default_presence)
                .unwrap_or(Presence::Avatar),
            agent: Agent {
                name,
                company,
                greeting,
                voice_id: asked
                    .voice_id
                    .or_else(|| settings.elevenlabs_voice_id.clone()),
                avatar_id: asked.avatar_id,
                language: settings
                    .language
                    .clone()
                    .unwrap_or_else(|| "en-US".to_owned()),
            },
            avatar_provider: None,
            page_microphone: false,
            metadata,
            early_join_minutes,
            created_at: now,
        })
    }
}

/// Tells whether a value has at most so many levels below it.
fn is_flat(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels > 0 && values.iter().all(|v| is_flat(v, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|v| is_flat(v, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn parse_start(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    let start: Timestamp = text
        .parse()
        .map_err(|_| "must be an RFC 3339 time with an offset, for example 2026-12-01T15:00:00Z")?;
    let ahead = start.duration_since(now);
    if ahead.as_hours() > MAX_AHEAD_DAYS * 24 {
        return Err("must be within a year from now");
    }
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TenantSettings {
        TenantSettings {
            agent_name: Some("Ada".to_owned()),
            company_name: Some("Acme".to_owned()),
            elevenlabs_voice_id: Some("voice".to_owned()),
            default_presence: Some(Presence::Voice),
            ..TenantSettings::default()
        }
    }

    fn book(json: serde_json::Value) -> Result<Booking, Problem> {
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let request: CreateMeeting = serde_json::from_value(json).unwrap();
        request.into_booking(
            MeetingId::mint(now, 1),
            TenantId::default_tenant(),
            &settings(),
            3,
            now,
        )
    }

    #[test]
    fn defaults_come_from_the_tenant() {
        let booking =
            book(serde_json::json!({ "meeting_url": "https://meet.google.com/abc-defg-hij" }))
                .unwrap();
        assert_eq!(booking.agent.greeting, "Hi, this is Ada joining from Acme.");
        assert_eq!(booking.presence, Presence::Voice);
        assert_eq!(booking.join_at(), booking.created_at);
    }

    #[test]
    fn the_bot_joins_minutes_before_the_start() {
        let booking = book(serde_json::json!({
            "meeting_url": "https://meet.google.com/abc-defg-hij", "starts_at": "2026-12-01T16:00:00+01:00",
        }))
        .unwrap();
        assert_eq!(booking.join_at().to_string(), "2026-12-01T14:57:00Z");
    }

    #[test]
    fn metadata_is_nested_only_so_deep() {
        let nested = |levels: usize| {
            let deep = (0..levels).fold(Value::Null, |inner, level| match level % 2 {
                0 => serde_json::json!([inner]),
                _ => serde_json::json!({ "x": inner }),
            });
            book(serde_json::json!({
                "meeting_url": "https://meet.google.com/abc-defg-hij", "metadata": { "x": deep },
            }))
        };
        assert!(nested(MAX_METADATA_DEPTH).is_ok());
        let problem = nested(MAX_METADATA_DEPTH + 1).unwrap_err();
        assert_eq!(problem.errors[0].field, "metadata");
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let problem = book(serde_json::json!({
            "meeting_url": "https://evil.example/x", "starts_at": "tomorrow", "title": "x".repeat(201),
            "agent": { "name": " " },
        }))
        .unwrap_err();
        let fields: Vec<_> = problem.errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["meeting_url", "starts_at", "title", "agent.name"]);
    }
}
