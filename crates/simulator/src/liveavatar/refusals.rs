//! Errors in the vendor's two shapes: its own, and that of its framework's validation.

use serde_json::{Value, json};

use crate::answer::Answer;

/// An error with the vendor's code, which is seen to be 4000 plus the last digit of the status.
pub(super) fn coded(status: u16, message: &str) -> Answer {
    let code = if status < 500 { 4000 } else { 5000 } + status % 100;
    Answer::json(
        status,
        &json!({ "code": code, "data": null, "message": message }),
    )
}

pub(super) fn not_authenticated() -> Answer {
    coded(403, "Not authenticated")
}

/// The answer to a request that is wrong in itself.
pub(super) fn invalid(errors: &[Value]) -> Answer {
    Answer::json(422, &json!({ "detail": errors }))
}

/// One thing that is wrong.
pub(super) fn wrong(place: &[&str], kind: &str, message: &str) -> Value {
    json!({ "type": kind, "loc": place, "msg": message })
}

pub(super) fn extra(place: &[&str]) -> Value {
    wrong(place, "extra_forbidden", "Extra inputs are not permitted")
}

/// What the vendor answers with a status that a fault asks for.
pub(crate) fn for_status(status: u16) -> Answer {
    let message = match status {
        401 => "Invalid API key",
        403 => "Not authenticated",
        404 => "Not found",
        422 => return invalid(&[wrong(&["body"], "value_error", "Value error")]),
        429 => "Too many requests",
        500.. => "Internal server error",
        _ => "Bad request",
    };
    coded(status, message)
}
