//! Both avatar vendors' refusals, in all their shapes, as [`CallError`]s.
//!
//! The vendors use their own codes inconsistently (10003 is "connected" and "deprecated", 4003 is a missing key and
//! an exhausted plan), so the HTTP status decides first and the words second; codes only where they are not reused.

use serde_json::Value;

use crate::{
    http::{Advice, CallError, FailureKind, Outcome, Response},
    vendors::reason::tidy,
};

/// Gives the answer if it is a success, else what it means.
pub(in crate::vendors) fn success(
    operation: &str,
    outcome: Outcome,
) -> Result<Response, CallError> {
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
    let reason = match &complaint.code {
        Some(code) => format!("HTTP {}, {code}: {}", response.status, complaint.text),
        None => format!("HTTP {}: {}", response.status, complaint.text),
    };
    let retry = matches!(
        kind,
        FailureKind::Unavailable
            | FailureKind::RateLimited
            | FailureKind::ConcurrencyReached
            | FailureKind::NotStarted
    );
    CallError {
        operation: operation.to_owned(),
        status: Some(response.status),
        kind,
        reason,
        advice: if retry {
            Advice::Retry {
                after: response.retry_after(),
            }
        } else {
            Advice::GiveUp
        },
        maybe_done: kind == FailureKind::Unavailable || complaint.says("already been started"),
        code: complaint.code,
    }
}

fn kind(status: u16, complaint: &Complaint) -> FailureKind {
    let code = |number: &str| complaint.code.as_deref() == Some(number);
    match status {
        408 | 425 | 500..=599 => FailureKind::Unavailable,
        _ if complaint.says("concurren") || code("10007") => FailureKind::ConcurrencyReached,
        429 => FailureKind::RateLimited,
        402 => FailureKind::InsufficientCredit,
        _ if complaint.says("credit") || complaint.says("quota") || code("10015") => {
            FailureKind::InsufficientCredit
        }
        401 => FailureKind::Unauthorized,
        403 if complaint.says("not authenticated") => FailureKind::Unauthorized,
        _ if complaint.is_about_the_avatar() => FailureKind::AvatarUnknown,
        403 => FailureKind::Forbidden,
        404 | 410 => FailureKind::SessionGone,
        _ if complaint.says("clos") || code("10005") || code("10006") => FailureKind::SessionGone,
        _ if complaint.says("state wrong: new") || complaint.says("connecting") => {
            FailureKind::NotStarted
        }
        _ => FailureKind::InvalidRequest,
    }
}

/// What an error body says.
struct Complaint {
    code: Option<String>,
    text: String,
    lower: String,
    /// The fields that are complained about.
    fields: Vec<String>,
}

impl Complaint {
    fn read(body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let code = match &value["code"] {
            Value::Number(code) => Some(code.to_string()),
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        };
        let mut fields = Vec::new();
        let text = match (&value["message"], &value["error"], &value["detail"]) {
            (Value::String(text), ..) | (_, Value::String(text), _) | (.., Value::String(text)) => {
                text.clone()
            }
            (_, Value::Object(error), _) => {
                let text = error.get("message").and_then(Value::as_str);
                text.unwrap_or("no explanation").to_owned()
            }
            (.., Value::Array(complaints)) => {
                let first = complaints.first().unwrap_or(&Value::Null);
                let message = first["msg"].as_str().unwrap_or("invalid");
                fields = complaints.iter().filter_map(field).collect();
                format!("{}: {message}", place(first))
            }
            _ => "no explanation".to_owned(),
        };
        Self {
            code,
            lower: text.to_lowercase(),
            text: tidy(&text),
            fields,
        }
    }

    fn says(&self, words: &str) -> bool {
        self.lower.contains(words)
    }

    fn is_about_the_avatar(&self) -> bool {
        let named = self.fields.iter().any(|field| field == "avatar_id");
        named || (self.says("avatar") && !self.says("session"))
    }
}

/// The field that a complaint points to.
fn field(complaint: &Value) -> Option<String> {
    let last = complaint["loc"].as_array()?.last()?.as_str();
    last.map(str::to_owned)
}

/// Writes where a complaint points to, `["body", "mode"]`, as `body.mode`.
fn place(complaint: &Value) -> String {
    let parts = complaint["loc"].as_array().into_iter().flatten();
    let parts = parts.map(|part| match part.as_str() {
        Some(name) => name.to_owned(),
        None => part.to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}
