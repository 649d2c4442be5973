//! How a request looks in the journal: readable, bounded, without credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::answer::{Answer, Request};
use crate::journal::RequestSeen;
use crate::recall::ids::sha256_hex;

/// Headers that carry credentials; their values are never written down.
const CREDENTIALS: [&str; 5] = [
    "authorization",
    "xi-api-key",
    "x-api-key",
    "cookie",
    "sec-websocket-protocol",
];
/// Longer strings are cut: no journal needs more of a text to recognise it.
const MAX_STRING: usize = 2_000;
/// How much of an error answer is kept.
const MAX_REFUSAL: usize = 500;

pub(crate) fn request(request: &Request, json: &Value) -> RequestSeen {
    let path = request.uri().path();
    let signed =
        path.starts_with("/media/") || path.contains("/download/") || path.starts_with("/livekit/");
    let headers = request
        .headers()
        .iter()
        .filter(|(name, _)| !CREDENTIALS.contains(&name.as_str()))
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    RequestSeen {
        method: request.method().to_string(),
        path: path.to_owned(),
        query: request
            .uri()
            .query()
            .filter(|_| !signed)
            .unwrap_or_default()
            .to_owned(),
        headers,
        credentials: CREDENTIALS
            .iter()
            .any(|name| request.headers().contains_key(*name)),
        body: (!request.body().is_empty()).then(|| summary(json)),
        ..RequestSeen::default()
    }
}

impl RequestSeen {
    /// Notes how the request was answered.
    pub(crate) fn refused(&mut self, answer: &Answer) {
        self.status = Some(answer.status.as_u16());
        if answer.status.as_u16() >= 400 {
            let text = String::from_utf8_lossy(&answer.body);
            self.refusal = Some(text.chars().take(MAX_REFUSAL).collect());
        }
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The same JSON with media as size and hash, pages without the tokens in their URLs, and long strings
/// cut.
fn summary(json: &Value) -> Value {
    let mut summary = in_short(json);
    for place in ["/output_media/camera/config/url", "/camera/config/url"] {
        if let Some(Value::String(url)) = summary.pointer_mut(place) {
            url.truncate(url.find('?').unwrap_or(url.len()));
        }
    }
    summary
}

fn in_short(json: &Value) -> Value {
    match json {
        Value::Object(object) => object
            .iter()
            .map(
                |(name, value)| match value.as_str().filter(|_| name == "b64_data") {
                    Some(media) => (name.clone(), Value::String(media_summary(media))),
                    None => (name.clone(), in_short(value)),
                },
            )
            .collect(),
        Value::Array(items) => items.iter().map(in_short).collect(),
        Value::String(text) if text.len() > MAX_STRING => {
            Value::String(text.chars().take(MAX_STRING).chain("…".chars()).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => json.clone(),
    }
}

fn media_summary(base64: &str) -> String {
    match STANDARD.decode(base64) {
        Ok(bytes) => format!("{} bytes, sha256 {}", bytes.len(), sha256_hex(&bytes)),
        Err(_) => format!("{} characters that are not base64", base64.len()),
    }
}
