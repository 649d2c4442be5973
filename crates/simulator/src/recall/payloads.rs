//! The bodies of Recall's webhooks.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Microseconds and `Z`, as the API writes times.
pub(crate) fn api_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Microseconds and `+00:00`, as webhooks write times.
pub(crate) fn webhook_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

/// `{"id", "metadata"}`: how payloads refer to things.
pub(crate) fn reference(id: &str, metadata: &Map<String, Value>) -> Value {
    json!({ "id": id, "metadata": metadata })
}

/// A status: of a bot, a recording or an artifact.
pub(crate) fn status(code: &str, sub_code: Option<&str>, at: Timestamp) -> Value {
    json!({ "code": code, "sub_code": sub_code, "updated_at": webhook_time(at) })
}

/// The status in `bot.status_change`, which workspaces on API version 1.10 get instead.
pub(crate) fn legacy_status(
    code: &str,
    sub_code: Option<&str>,
    recording_id: Option<&str>,
    at: Timestamp,
) -> Value {
    let mut status = json!({
        "code": code, "created_at": api_time(at), "sub_code": sub_code, "message": null,
    });
    if let Some(recording_id) = recording_id {
        status["recording_id"] = json!(recording_id);
    }
    status
}

/// Seconds since the recording began, and the time of day.
pub(crate) fn moment(relative: f64, at: Timestamp) -> Value {
    json!({ "relative": rounded(relative), "absolute": api_time(at) })
}

/// Milliseconds are what the vendor's times resolve to.
pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
