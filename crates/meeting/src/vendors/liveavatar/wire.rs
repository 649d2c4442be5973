//! The socket's messages, read leniently: unknown types and fields change nothing.
//!
//! Reference: <https://docs.liveavatar.com/docs/lite-mode/events>. Speech is told in two dialects, `agent.speak_*` and,
//! since about September 2026, `agent.state_updated`; sessions may speak either or both.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// A message of the vendor's.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// How the session is.
    Session(SessionState),
    /// The avatar has begun to talk.
    Talks {
        /// For which utterance, where that is told.
        source: Option<String>,
    },
    /// The avatar talks no more.
    Rests {
        /// After which utterance, where that is told.
        source: Option<String>,
        /// Whether it says that the utterance is over, not only that the avatar is silent.
        ended: bool,
    },
    /// Sound was taken in.
    Appended { source: Option<String> },
    /// The end of an utterance was taken in.
    Committed { source: Option<String> },
    /// Something that makes no difference here.
    Noted,
    /// Something is wrong.
    Trouble {
        /// The vendor's word for it.
        kind: String,
        /// Its words.
        message: String,
        /// What of ours it is about.
        source: Option<String>,
    },
    /// Something else, by the name of its type.
    Other(String),
}

/// How the vendor's side of the socket is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SessionState {
    /// On its way.
    Coming,
    /// Takes commands.
    Connected,
    /// Over, in the vendor's word.
    Over(String),
}

/// Reads one text frame.
pub(super) fn read(text: &str) -> Message {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(kind) = value["type"].as_str() else {
        return Message::Other("(no type)".to_owned());
    };
    let source = || words(&value["source_event_id"]);
    match kind {
        "session.state_updated" => match value["state"].as_str() {
            Some("new" | "connecting") => Message::Session(SessionState::Coming),
            Some("connected") => Message::Session(SessionState::Connected),
            Some(over) => Message::Session(SessionState::Over(over.to_owned())),
            None => Message::Other(format!("{kind} (malformed)")),
        },
        "agent.state_updated" => match value["new_state"].as_str() {
            Some("talking") => Message::Talks { source: None },
            Some("idle" | "listening") => Message::Rests {
                source: None,
                ended: false,
            },
            Some(other) => Message::Other(format!("{kind} {other}")),
            None => Message::Other(format!("{kind} (malformed)")),
        },
        "agent.speak_started" => Message::Talks { source: source() },
        "agent.speak_ended" => Message::Rests {
            source: source(),
            ended: true,
        },
        "agent.idle_started" => Message::Rests {
            source: None,
            ended: false,
        },
        "agent.audio_buffer_appended" => Message::Appended { source: source() },
        "agent.audio_buffer_committed" => Message::Committed { source: source() },
        "agent.idle_ended" | "agent.speak_interrupted" | "agent.audio_buffer_cleared" => {
            Message::Noted
        }
        "error" | "warning" => {
            let said = &value[kind];
            Message::Trouble {
                kind: words(&said["type"]).unwrap_or_else(|| kind.to_owned()),
                message: words(&said["message"]).unwrap_or_default(),
                source: words(&said["event_id"]),
            }
        }
        _ => Message::Other(kind.to_owned()),
    }
}

fn words(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Sound of an utterance.
pub(super) fn speak(event_id: &str, pcm: &[u8]) -> String {
    let audio = STANDARD.encode(pcm);
    json!({"type": "agent.speak", "event_id": event_id, "audio": audio}).to_string()
}

/// The end of an utterance; without it the avatar would look as if it went on.
pub(super) fn speak_end(event_id: &str) -> String {
    plain("agent.speak_end", event_id)
}

/// A command with nothing but its name and an id.
pub(super) fn plain(kind: &str, event_id: &str) -> String {
    json!({"type": kind, "event_id": event_id}).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vendor's own samples, with what each means.
    #[test]
    fn every_documented_event_is_read() {
        let ours = || Some("utt-0007".to_owned());
        for (text, meaning) in [
            (
                r#"{"type":"session.state_updated","event_id":"a1","state":"connected"}"#,
                Message::Session(SessionState::Connected),
            ),
            (
                r#"{"type":"session.state_updated","event_id":"a1","state":"connecting"}"#,
                Message::Session(SessionState::Coming),
            ),
            (
                r#"{"type":"session.state_updated","event_id":"a1","state":"disconnected"}"#,
                Message::Session(SessionState::Over("disconnected".to_owned())),
            ),
            (
                r#"{"type":"agent.audio_buffer_appended","event_id":"a2","source_event_id":"utt-0007","task":{"id":"t-91"}}"#,
                Message::Appended { source: ours() },
            ),
            (
                r#"{"type":"agent.audio_buffer_committed","event_id":"a3","source_event_id":"utt-0007","task":{"id":"t-91"}}"#,
                Message::Committed { source: ours() },
            ),
            (
                r#"{"type":"agent.state_updated","event_id":"a4","source_event_id":null,"previous_state":"idle","new_state":"talking"}"#,
                Message::Talks { source: None },
            ),
            (
                r#"{"type":"agent.state_updated","event_id":"a4","source_event_id":"int-0003","previous_state":"talking","new_state":"listening"}"#,
                Message::Rests {
                    source: None,
                    ended: false,
                },
            ),
            (
                r#"{"type":"agent.speak_started","event_id":"a5","source_event_id":"utt-0007","task":{"id":"t-91"}}"#,
                Message::Talks { source: ours() },
            ),
            (
                r#"{"type":"agent.speak_ended","event_id":"a6","source_event_id":"utt-0007","task":{"id":"t-91"}}"#,
                Message::Rests {
                    source: ours(),
                    ended: true,
                },
            ),
            (
                r#"{"type":"agent.speak_interrupted","event_id":"a7","source_event_id":"int-0003","task":{"id":"t-91"}}"#,
                Message::Noted,
            ),
            (
                r#"{"type":"agent.audio_buffer_cleared","event_id":"a8","source_event_id":"int-0003"}"#,
                Message::Noted,
            ),
            (
                r#"{"type":"error","event_id":"a9","error":{"type":"invalid_request_error","message":"invalid base64 audio data","event_id":"utt-0007"}}"#,
                Message::Trouble {
                    kind: "invalid_request_error".to_owned(),
                    message: "invalid base64 audio data".to_owned(),
                    source: ours(),
                },
            ),
            (
                r#"{"type":"warning","event_id":"b0","warning":{"type":"slow","message":"late"}}"#,
                Message::Trouble {
                    kind: "slow".to_owned(),
                    message: "late".to_owned(),
                    source: None,
                },
            ),
        ] {
            assert_eq!(read(text), meaning, "{text}");
        }
    }

    #[test]
    fn what_nobody_knows_is_named_and_what_is_broken_does_no_harm() {
        for (text, name) in [
            (r#"{"type":"agent.dreams"}"#, "agent.dreams"),
            (
                r#"{"type":"agent.state_updated","new_state":"asleep"}"#,
                "agent.state_updated asleep",
            ),
            (
                r#"{"type":"session.state_updated","state":7}"#,
                "session.state_updated (malformed)",
            ),
            (r#"{"type":7}"#, "(no type)"),
            ("hello", "(no type)"),
            ("", "(no type)"),
        ] {
            assert_eq!(read(text), Message::Other(name.to_owned()), "{text}");
        }
        assert!(matches!(
            read(r#"{"type":"error","error":"bad"}"#),
            Message::Trouble { .. }
        ));
    }

    #[test]
    fn commands_are_written_as_the_vendor_shows_them() {
        let pcm = [0, 0, 1, 0, 255, 255, 2, 0, 254, 255];
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(
            read(&speak("utt-0007", &pcm)),
            read(r#"{"type":"agent.speak","event_id":"utt-0007","audio":"AAABAP//AgD+/w=="}"#)
        );
        assert_eq!(
            read(&speak_end("utt-0007")),
            read(r#"{"type":"agent.speak_end","event_id":"utt-0007"}"#)
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            read(&text);
        }
    }
}
