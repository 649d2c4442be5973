//! Recall's refusals, in all their shapes, as [`CallError`]s.
//!
//! Shapes and codes: <https://docs.recall.ai/reference/errors>.

use serde_json::Value;

use super::client::{CREATE_BOT, DELETE_BOT, DELETE_MEDIA, GET_BOT, LEAVE_CALL};
use crate::{
    http::{Advice, CallError, FailureKind, Outcome, Response, RetryAfter},
    vendors::reason::{code, tidy},
};

/// The wait for the pool of ad-hoc bots to refill, where the vendor names none: the vendor's own figure.
const POOL_WAIT: RetryAfter = RetryAfter(30_000);
/// The least wait when as many ad-hoc bots run as may: that ends when a meeting does, so minutes, not seconds.
const BOTS_IN_USE_WAIT: RetryAfter = RetryAfter(60_000);
/// How many complaints about single fields are repeated; one is enough to see what is wrong.
const MAX_FIELD_ERRORS: usize = 3;
/// How deep such complaints may be nested; a request is about five levels deep.
const MAX_DEPTH: usize = 8;
/// Gives the answer if it is a success, else what it means.
pub(crate) fn success(operation: &str, outcome: Outcome) -> Result<Response, CallError> {
    let response = outcome.map_err(|error| CallError::unanswered(operation, &error))?;
    if response.is_success() {
        Ok(response)
    } else {
        Err(refusal(operation, &response))
    }
}

fn refusal(operation: &str, response: &Response) -> CallError {
    let Complaint { code, text } = Complaint::read(response);
    let kind = kind(operation, response.status, code.as_deref());
    let reason = match &code {
        Some(code) => format!("HTTP {}, {code}: {text}", response.status),
        None => format!("HTTP {}: {text}", response.status),
    };
    CallError {
        operation: operation.to_owned(),
        status: Some(response.status),
        advice: advice(operation, kind, response, &text),
        code,
        kind,
        reason,
        // 409 says that the same request is being carried out right now.
        maybe_done: matches!(kind, FailureKind::Unavailable | FailureKind::InFlight),
    }
}

fn kind(operation: &str, status: u16, code: Option<&str>) -> FailureKind {
    match (status, code) {
        (_, Some("cannot_command_unstarted_bot")) => FailureKind::NotStarted,
        (_, Some("cannot_command_completed_bot")) => FailureKind::AlreadyOver,
        (401, _) => FailureKind::Unauthorized,
        (402, _) => FailureKind::InsufficientCredit,
        (403, _) => FailureKind::Forbidden,
        (404 | 410, _) => FailureKind::NotFound,
        (405, _) if operation == DELETE_BOT => FailureKind::AlreadyDispatched,
        (409, _) => FailureKind::InFlight,
        (429, _) => FailureKind::RateLimited,
        // Only the making of a bot takes one from the pool.
        (507, _) if operation == CREATE_BOT => FailureKind::PoolEmpty,
        (408 | 500..=599, _) => FailureKind::Unavailable,
        _ => FailureKind::InvalidRequest,
    }
}

fn advice(operation: &str, kind: FailureKind, response: &Response, text: &str) -> Advice {
    let after = response.retry_after();
    match kind {
        FailureKind::PoolEmpty => Advice::RetryWithNewKey {
            after: after.or(Some(POOL_WAIT)),
        },
        FailureKind::RateLimited if text.contains("concurrent adhoc bots allowed") => {
            Advice::Retry {
                after: after.max(Some(BOTS_IN_USE_WAIT)),
            }
        }
        // A bot that is not found once may be found the next time, and much hangs on it: a bot that stays in its call, a
        // meeting that is given up, content that is not deleted.
        FailureKind::NotFound
            if [GET_BOT, LEAVE_CALL, DELETE_BOT, DELETE_MEDIA].contains(&operation) =>
        {
            Advice::Retry { after }
        }
        FailureKind::RateLimited
        | FailureKind::InFlight
        | FailureKind::Unavailable
        | FailureKind::NoAnswer => Advice::Retry { after },
        FailureKind::UnexpectedAnswer
        | FailureKind::InvalidRequest
        | FailureKind::Unauthorized
        | FailureKind::InsufficientCredit
        | FailureKind::Forbidden
        | FailureKind::NotFound
        | FailureKind::AlreadyDispatched
        | FailureKind::NotStarted
        | FailureKind::AlreadyOver
        | FailureKind::ConcurrencyReached
        | FailureKind::AvatarUnknown
        | FailureKind::SessionGone => Advice::GiveUp,
    }
}

/// What an error body says.
struct Complaint {
    code: Option<String>,
    text: String,
}

impl Complaint {
    fn read(response: &Response) -> Self {
        let body = String::from_utf8_lossy(&response.body);
        let body = body.trim();
        let text = match serde_json::from_str::<Value>(body) {
            Ok(Value::Object(fields)) => {
                let code = fields.get("code").and_then(Value::as_str).and_then(code);
                let detail = fields.get("detail").and_then(first_text);
                return Self {
                    code,
                    text: tidy(&detail.unwrap_or_else(|| field_errors(&fields))),
                };
            }
            Ok(value) => first_text(&value).unwrap_or_else(|| "no explanation".to_owned()),
            Err(_) if body.is_empty() => "an empty answer".to_owned(),
            Err(_) if body.starts_with('<') => {
                "a web page instead of JSON, as the vendor's firewall sends".to_owned()
            }
            Err(_) => body.to_owned(),
        };
        Self {
            code: None,
            text: tidy(&text),
        }
    }
}

fn first_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(first_text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Flattens a map from field to complaints, nested like the request, to `a.b: complaint; c: complaint`.
fn field_errors(fields: &serde_json::Map<String, Value>) -> String {
    let mut found = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "code") {
        collect(name, value, 0, &mut found);
    }
    if found.is_empty() {
        "no explanation".to_owned()
    } else {
        found.join("; ")
    }
}

fn collect(path: &str, value: &Value, depth: usize, found: &mut Vec<String>) {
    if depth == MAX_DEPTH || found.len() == MAX_FIELD_ERRORS {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(&format!("{path}.{name}"), value, depth + 1, found);
            }
        }
        Value::Array(items) if items.iter().any(|item| !item.is_string()) => {
            for (index, value) in items.iter().enumerate() {
                collect(&format!("{path}.{index}"), value, depth + 1, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            if let Some(text) = first_text(value) {
                let general = path.ends_with("non_field_errors");
                found.push(if general {
                    text
                } else {
                    format!("{path}: {text}")
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
