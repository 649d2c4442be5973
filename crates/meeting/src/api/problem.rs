//! Errors of the API: RFC 9457 problem documents with a stable `code`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Problem {
    /// Always `about:blank`: `code` tells what went wrong.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable code for programs.
    pub code: String,
    /// What went wrong, for people.
    pub detail: String,
    /// The fields that are wrong, if fields are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What the path does take, for the `Allow` header of a 405.
    #[serde(skip)]
    #[schema(ignore)]
    pub allow: Option<&'static str>,
    /// After how many seconds it may be tried again, for the `Retry-After` header of a 429.
    #[serde(skip)]
    #[schema(ignore)]
    pub retry_after: Option<u32>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field, with dots between levels.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl Problem {
    /// Makes a problem from its status, code and explanation.
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: title(status).to_owned(),
            status,
            code: code.to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
            allow: None,
            retry_after: None,
        }
    }

    /// The path does not take this method (405).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        Self {
            allow: Some(allow),
            ..Self::new(405, "method_not_allowed", detail)
        }
    }

    /// Some fields are wrong (422).
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let names: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        let detail = format!("invalid: {}", names.join(", "));
        Self {
            errors,
            ..Self::new(422, "invalid_request", detail)
        }
    }

    /// One field is wrong (422).
    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, message)])
    }

    /// There is no such meeting for this caller (404).
    pub fn meeting_not_found() -> Self {
        Self::new(404, "meeting_not_found", "there is no such meeting")
    }

    /// The call needs a key that is valid (401).
    pub fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "a valid bearer key is needed")
    }

    /// The meeting's situation does not allow it (409).
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(409, code, detail)
    }

    /// The caller asks too often (429); it may try again after so many seconds.
    pub fn rate_limited(detail: &str, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(429, "rate_limited", detail)
        }
    }

    /// Something of ours failed (500); the cause is in the log, not in the answer.
    pub fn internal() -> Self {
        Self::new(500, "internal_error", "something went wrong on our side")
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Checks that a text is not blank and not too long.
pub(super) fn check_text(
    field: &str,
    value: Option<&str>,
    max_chars: usize,
    errors: &mut Vec<FieldError>,
) {
    let Some(value) = value else { return };
    if value.trim().is_empty() {
        errors.push(FieldError::new(field, "must not be blank"));
    } else if value.chars().count() > max_chars {
        errors.push(FieldError::new(
            field,
            format!("must have at most {max_chars} characters"),
        ));
    }
}
