//! Deepgram's messages, read leniently: unknown types and fields change nothing.
//!
//! Reference: <https://developers.deepgram.com/reference/speech-to-text/listen-streaming>; types that only the
//! vendor's SDKs know (`Error`, `ConfigureSuccess`, …) come as [`Message::Other`].

use serde::Deserialize;
use serde_json::Value;

/// A message of the vendor's.
#[derive(Debug)]
pub(super) enum Message {
    /// Words of a stretch of sound.
    Results(Results),
    /// A pause between words is long enough.
    UtteranceEnd {
        /// When the last word ended; none that means "ignore this".
        last_word_end: Option<f64>,
    },
    /// Somebody began to speak, or a noise did.
    SpeechStarted {
        /// When.
        timestamp: Option<f64>,
    },
    /// The summary at the end.
    Metadata,
    /// Something else, by the name of its type.
    Other(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Results {
    #[serde(rename = "type")]
    kind: String,
    pub(super) start: f64,
    pub(super) duration: f64,
    pub(super) is_final: bool,
    pub(super) speech_final: bool,
    pub(super) from_finalize: bool,
    pub(super) channel: Channel,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Channel {
    pub(super) alternatives: Vec<Alternative>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Alternative {
    pub(super) transcript: String,
    pub(super) confidence: Option<f64>,
    pub(super) words: Vec<Word>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Word {
    #[serde(rename = "word")]
    pub(super) plain: String,
    #[serde(rename = "punctuated_word")]
    pub(super) punctuated: Option<String>,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) confidence: Option<f64>,
    pub(super) speaker: Option<u32>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Marker {
    last_word_end: Option<f64>,
    timestamp: Option<f64>,
}

/// The type of [`Message::Results`], and as it stands in their text.
const RESULTS: &str = "Results";
const RESULTS_QUOTED: &str = r#""Results""#;

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

/// Reads one text frame.
pub(super) fn read(text: &str) -> Message {
    // Most of what comes, and by far the longest, so they are not read for their type first.
    if text.contains(RESULTS_QUOTED)
        && let Ok(results) = serde_json::from_str::<Results>(text)
        && results.kind == RESULTS
    {
        return Message::Results(results);
    }
    let Ok(Typed { kind }) = serde_json::from_str(text) else {
        return Message::Other("(no type)".to_owned());
    };
    let message = match kind.as_str() {
        "UtteranceEnd" => serde_json::from_str(text).map(|marker: Marker| Message::UtteranceEnd {
            last_word_end: marker.last_word_end.filter(|end| *end >= 0.0),
        }),
        "SpeechStarted" => {
            serde_json::from_str(text).map(|marker: Marker| Message::SpeechStarted {
                timestamp: marker.timestamp.filter(|at| *at >= 0.0),
            })
        }
        "Metadata" => return Message::Metadata,
        RESULTS => return Message::Other(format!("{RESULTS} (malformed)")),
        "Error" | "Warning" | "ConfigureFailure" => return Message::Other(explained(&kind, text)),
        _ => return Message::Other(kind),
    };
    message.unwrap_or_else(|_| Message::Other(format!("{kind} (malformed)")))
}

/// Adds what an error says to its type.
fn explained(kind: &str, text: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let said = ["description", "message", "code"];
    match said.iter().find_map(|key| value[*key].as_str()) {
        Some(said) => format!("{kind}: {said}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_by_their_type_wherever_it_stands() {
        let first = r#"{"type":"Results","start":1.5,"is_final":true}"#;
        let last = r#"{"start":1.5,"is_final":true,"type":"Results"}"#;
        for text in [first, last] {
            assert!(
                matches!(read(text), Message::Results(results) if results.is_final && results.start > 1.0),
                "{text}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_results_is_something_else() {
        for (text, kind) in [
            (r#"{"type":"Later","start":1.5,"is_final":true}"#, "Later"),
            (r#"{"start":1.5,"is_final":true}"#, "(no type)"),
            (r#"{"type":"Results","start":"now"}"#, "Results (malformed)"),
        ] {
            assert!(
                matches!(read(text), Message::Other(told) if told == kind),
                "{text}"
            );
        }
    }
}
