//! What every text that explains a failure must be, whoever's words it holds: it goes into logs, timelines and answers.

use attache_meeting::http::{CallError, Response};

/// Enough for the status, a code and the vendor's words as they are cut.
const MAX_CHARACTERS: usize = 400;
/// From here on letters and digits in a row may be a credential.
const OPAQUE_LENGTH: usize = 32;

/// Panics unless the text is one short line without a URL's path or query and without anything like a key.
pub(crate) fn is_fit_to_be_told(text: &str) {
    assert!(
        text.chars().count() <= MAX_CHARACTERS,
        "a reason is too long: {text:?}"
    );
    assert!(
        !text.contains(char::is_control),
        "a reason holds control characters: {text:?}"
    );
    for (at, _) in text.match_indices("://") {
        let rest = text[at + 3..].split_whitespace().next().unwrap_or_default();
        let end = rest.find("/…").unwrap_or(rest.len());
        let host = &rest[..end];
        assert!(
            !host.contains(['/', '?', '#', '@']),
            "a reason holds a URL: {text:?}"
        );
    }
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric());
    for run in runs {
        let opaque = run.len() >= OPAQUE_LENGTH && run.bytes().any(|b| b.is_ascii_digit());
        assert!(!opaque, "a reason holds what may be a key: {text:?}");
    }
}

/// Panics unless a failed call can be told and stored.
pub(crate) fn is_fit_to_be_stored(error: &CallError) {
    is_fit_to_be_told(&error.reason);
    if let Some(code) = &error.code {
        is_fit_to_be_told(code);
    }
    let stored = serde_json::to_string(error).expect("a failure can be stored");
    let read: CallError = serde_json::from_str(&stored).expect("a stored failure can be read");
    assert_eq!(&read, error);
}

/// Reads an answer: the status, a line for each header, an empty line, the body.
pub(crate) fn response(text: &str) -> Response {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok());
    Response {
        status: status.unwrap_or(200),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}
