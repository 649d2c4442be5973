//! The error bodies of Recall's API.

use serde_json::{Value, json};

use crate::answer::Answer;

/// `{"code", "detail"}`: most failures.
pub(crate) fn coded(status: u16, code: &str, detail: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "detail": detail }))
}

/// A field-to-list map: what validation says.
pub(crate) fn fields(errors: &Value) -> Answer {
    Answer::json(400, errors)
}

pub(crate) fn not_authenticated() -> Answer {
    coded(
        401,
        "not_authenticated",
        "Authentication credentials were not provided.",
    )
    .with_header("www-authenticate", "Token")
}

pub(crate) fn authentication_failed() -> Answer {
    let detail = "Invalid API token. Check that the key belongs to the region of this host.";
    coded(401, "authentication_failed", detail).with_header("www-authenticate", "Token")
}

pub(crate) fn not_found() -> Answer {
    coded(404, "not_found", "Not found.")
}

pub(crate) fn method_not_allowed(method: &str) -> Answer {
    coded(
        405,
        "method_not_allowed",
        &format!("Method \"{method}\" not allowed."),
    )
}

pub(crate) fn unstarted() -> Answer {
    let detail = "Cannot send a command to a bot which has not been started.";
    coded(400, "cannot_command_unstarted_bot", detail)
}

pub(crate) fn completed() -> Answer {
    let detail = "Cannot send a command to a bot which has completed.";
    coded(400, "cannot_command_completed_bot", detail)
}

pub(crate) fn firewall() -> Answer {
    Answer::html(
        403,
        "<!DOCTYPE HTML>\n<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD>\
         <BODY><H1>403 ERROR</H1><P>Request blocked.</P></BODY></HTML>\n",
    )
}

/// What a forced status answers.
pub(crate) fn for_status(status: u16) -> Answer {
    match status {
        401 => authentication_failed(),
        402 => coded(
            402,
            "payment_required",
            "The workspace has no credits left.",
        ),
        403 => firewall(),
        404 => not_found(),
        409 => coded(
            409,
            "conflict",
            "A request with this idempotency key is already in progress.",
        ),
        429 => coded(429, "throttled", "Request was throttled."),
        507 => coded(
            507,
            "insufficient_capacity",
            "No ad-hoc bots are available right now, try again later.",
        ),
        500.. => Answer::html(
            status,
            "<html><body><h1>Service Unavailable</h1></body></html>",
        ),
        _ => coded(status, "error", "The request was refused."),
    }
}
