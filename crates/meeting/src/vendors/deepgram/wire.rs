//! Deepgram's messages, read leniently: unknown types and fields change nothing.
//!
//! Reference: <https://developers.deepgram.com/reference/speech-to-text/listen-streaming>; types that only the
//! vendor's SDKs know (`Error`, `ConfigureSuccess`, …) come as [`Message::Other`].

use std::{borrow::Cow, ops::Deref};

use serde::Deserialize;
use serde_json::Value;

/// A message of the vendor's.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// Words of a stretch of sound.
    Results(Results<'a>),
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
pub(super) struct Results<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    pub(super) start: f64,
    pub(super) duration: f64,
    pub(super) is_final: bool,
    pub(super) speech_final: bool,
    pub(super) from_finalize: bool,
    #[serde(borrow)]
    pub(super) channel: Channel<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Channel<'a> {
    #[serde(borrow)]
    pub(super) alternatives: Vec<Alternative<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Alternative<'a> {
    #[serde(borrow)]
    pub(super) transcript: Text<'a>,
    pub(super) confidence: Option<f64>,
    #[serde(borrow)]
    pub(super) words: Vec<Word<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Word<'a> {
    #[serde(rename = "word", borrow)]
    plain: Text<'a>,
    #[serde(rename = "punctuated_word", borrow)]
    punctuated: Option<Text<'a>>,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) confidence: Option<f64>,
    pub(super) speaker: Option<u32>,
}

impl Word<'_> {
    /// The word as it is written in a line, without blanks around it.
    pub(super) fn text(&self) -> &str {
        self.punctuated.as_ref().unwrap_or(&self.plain).trim()
    }
}

/// Text that stays where it lies in the message, unless it is escaped there: most messages are partial results, of
/// whose words nothing is kept.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
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
pub(super) fn read(text: &str) -> Message<'_> {
    // Most of what comes, and by far the longest, so they are not read for their type first.
    if text.contains(RESULTS_QUOTED)
        && let Ok(results) = serde_json::from_str::<Results<'_>>(text)
        && &*results.kind == RESULTS
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
    fn escaped_text_is_read_as_any_other() {
        let text = r#"{"type":"Results","channel":{"alternatives":[{"transcript":"\u201cSo\u201d",
            "words":[{"word":"so","punctuated_word":"\u201cSo\u201d"},{"word":" so\t","punctuated_word":null}]}]}}"#;
        let Message::Results(results) = read(text) else {
            panic!("{text}")
        };
        let best = &results.channel.alternatives[0];
        assert_eq!(&*best.transcript, "“So”");
        let words: Vec<&str> = best.words.iter().map(Word::text).collect();
        assert_eq!(words, ["“So”", "so"]);
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
