//! Structured logs: one JSON object a line, with the same field names everywhere.
//!
//! Fields: `level`, `message`, and as they apply `meeting_id`, `tenant_id`, `bot_id`, `effect_id`, `operation`,
//! `status`, `attempt`, `duration_ms`, `reason`. No transcripts, tokens or signed URLs.

use serde_json::{Value, json};
use worker::{console_error, console_log, console_warn};

/// Something an operator may want to follow.
pub(crate) fn info(message: &str, fields: Value) {
    console_log!("{}", line("info", message, fields));
}

/// Something that was handled and should not happen often.
pub(crate) fn warn(message: &str, fields: Value) {
    console_warn!("{}", line("warn", message, fields));
}

/// Something that somebody should act on.
pub(crate) fn error(message: &str, fields: Value) {
    console_error!("{}", line("error", message, fields));
}

fn line(level: &str, message: &str, fields: Value) -> String {
    let mut line = json!({ "level": level, "message": message });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    line.to_string()
}
