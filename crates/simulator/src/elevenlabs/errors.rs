//! The three error shapes: current, legacy and the schema's list.

use serde_json::{Value, json};

use crate::answer::Answer;

/// Which of the two shapes with an object in `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Current,
    Legacy,
}

pub(crate) fn refuse(status: u16, kind: &str, code: &str, message: &str, shape: Shape) -> Answer {
    let detail = match shape {
        Shape::Current => json!({ "type": kind, "code": code, "message": message, "status": code,
            "request_id": "3f1c6f0c9a7e4d25", "param": null }),
        Shape::Legacy => json!({ "status": code, "message": message }),
    };
    Answer::json(status, &json!({ "detail": detail }))
}

/// 422: what the schema says, a list in `detail`.
pub(crate) fn unprocessable(errors: &[Value]) -> Answer {
    Answer::json(422, &json!({ "detail": errors }))
}

/// One entry of [`unprocessable`].
pub(crate) fn schema_error(location: &[&str], message: &str, kind: &str) -> Value {
    json!({ "loc": location, "msg": message, "type": kind })
}

/// The limit has a code and an older status that differ.
pub(crate) fn too_many_concurrent(shape: Shape) -> Answer {
    let message = "Too many concurrent requests for your plan.";
    let detail = match shape {
        Shape::Current => json!({ "type": "rate_limit_error", "code": "concurrent_limit_exceeded",
            "message": message, "status": "too_many_concurrent_requests",
            "request_id": "3f1c6f0c9a7e4d25", "param": null }),
        Shape::Legacy => json!({ "status": "too_many_concurrent_requests", "message": message }),
    };
    Answer::json(429, &json!({ "detail": detail }))
}

/// What a forced status answers.
pub(crate) fn for_status(status: u16, shape: Shape) -> Answer {
    let (kind, code, message) = match status {
        400 => (
            "validation_error",
            "invalid_request",
            "The request is invalid.",
        ),
        401 => ("authentication_error", "invalid_api_key", "Invalid API key"),
        402 => (
            "payment_required",
            "insufficient_credits",
            "There are not enough credits.",
        ),
        403 => (
            "authorization_error",
            "model_access_denied",
            "Your plan does not include this model.",
        ),
        404 => (
            "not_found",
            "voice_not_found",
            "A voice with this id was not found.",
        ),
        409 => (
            "conflict",
            "conflict",
            "The request conflicts with another.",
        ),
        422 => {
            return unprocessable(&[schema_error(&["body", "text"], "Field required", "missing")]);
        }
        429 => return too_many_concurrent(shape),
        503 => (
            "service_unavailable",
            "service_unavailable",
            "The service is temporarily unavailable.",
        ),
        _ => (
            "internal_error",
            "internal_error",
            "An internal error occurred.",
        ),
    };
    refuse(status, kind, code, message, shape)
}
