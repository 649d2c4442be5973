//! `ElevenLabs` refusals, in all their shapes, as [`CallError`]s.
//!
//! Codes: <https://elevenlabs.io/docs/eleven-api/resources/errors>.
//! `detail` is an object (with a `code`, in older answers only a `status`), a list of complaints
//! about fields, or text.

use serde_json::Value;

use crate::{
    http::{Advice, CallError, FailureKind, Outcome, Response},
    vendors::reason::{code, tidy},
};

/// Gives the answer if it is a success, else what it means.
pub(super) fn success(operation: &str, outcome: Outcome) -> Result<Response, CallError> {
    let response = outcome.map_err(|error| CallError::unanswered(operation, &error))?;
    if response.is_success() {
        Ok(response)
    } else {
        Err(refusal(operation, &response))
    }
}

fn refusal(operation: &str, response: &Response) -> CallError {
    let complaint = Complaint::read(&response.body);
    let kind = kind(response.status, &complaint);
    let code = complaint.code.or(complaint.status);
    let reason = match &code {
        Some(code) => format!("HTTP {}, {code}: {}", response.status, complaint.text),
        None => format!("HTTP {}: {}", response.status, complaint.text),
    };
    let retry = matches!(
        kind,
        FailureKind::RateLimited | FailureKind::InFlight | FailureKind::Unavailable
    );
    CallError {
        operation: operation.to_owned(),
        status: Some(response.status),
        code,
        kind,
        reason,
        advice: if retry {
            Advice::Retry {
                after: response.retry_after(),
            }
        } else {
            Advice::GiveUp
        },
        maybe_done: kind == FailureKind::Unavailable,
    }
}

fn kind(status: u16, complaint: &Complaint) -> FailureKind {
    let says = |word: &str| {
        complaint.code.as_deref() == Some(word) || complaint.status.as_deref() == Some(word)
    };
    match status {
        // Older answers put an exhausted quota under 401, like a wrong key.
        _ if says("quota_exceeded") || says("insufficient_credits") => {
            FailureKind::InsufficientCredit
        }
        _ if says("voice_not_found") || says("model_not_found") => FailureKind::NotFound,
        401 => FailureKind::Unauthorized,
        402 => FailureKind::InsufficientCredit,
        403 => FailureKind::Forbidden,
        404 => FailureKind::NotFound,
        409 => FailureKind::InFlight,
        429 => FailureKind::RateLimited,
        408 | 500..=599 => FailureKind::Unavailable,
        _ => FailureKind::InvalidRequest,
    }
}

/// What an error body says.
#[derive(Default)]
struct Complaint {
    code: Option<String>,
    /// The older name of the code.
    status: Option<String>,
    text: String,
}

impl Complaint {
    fn read(body: &[u8]) -> Self {
        let detail = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(mut fields)) => fields.remove("detail").unwrap_or_default(),
            Ok(_) | Err(_) => Value::Null,
        };
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        match &detail {
            Value::Object(_) => Self {
                code: text(&detail, "code").as_deref().and_then(code),
                status: text(&detail, "status").as_deref().and_then(code),
                text: tidy(
                    &text(&detail, "message").unwrap_or_else(|| "no explanation".to_owned()),
                ),
            },
            Value::Array(complaints) => {
                let first = complaints.first().unwrap_or(&Value::Null);
                let message = text(first, "msg").unwrap_or_else(|| "invalid".to_owned());
                Self {
                    text: tidy(&format!("{}: {message}", field(first))),
                    ..Self::default()
                }
            }
            Value::String(message) => Self {
                text: tidy(message),
                ..Self::default()
            },
            Value::Null | Value::Bool(_) | Value::Number(_) => Self {
                text: "no explanation".to_owned(),
                ..Self::default()
            },
        }
    }
}

/// Writes where a complaint points to, `["body", "text"]`, as `body.text`.
fn field(complaint: &Value) -> String {
    let path = complaint.get("loc").and_then(Value::as_array);
    let parts = path.into_iter().flatten().map(|part| match part {
        Value::String(name) => name.clone(),
        index @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Array(_)
        | Value::Object(_)) => index.to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}
