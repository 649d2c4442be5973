//! The commands on a session's socket. Fields nobody knows are refused, so that a typo shows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::state::AvatarProvider;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) kind: Kind,
    pub(crate) event_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Speak(Vec<u8>),
    /// The end of an utterance, perhaps with its last sound.
    SpeakEnd(Vec<u8>),
    Interrupt,
    StartListening,
    StopListening,
    KeepAlive,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) event_id: Option<String>,
}

/// Reads a text message. `HeyGen`'s alpha socket knows some commands by other names as well.
pub(crate) fn read(text: &str, provider: AvatarProvider) -> Result<Command, Problem> {
    let anonymous = |message: &str| Problem {
        message: message.to_owned(),
        event_id: None,
    };
    let message: Value = serde_json::from_str(text).map_err(|_| anonymous("invalid JSON"))?;
    let Value::Object(fields) = message else {
        return Err(anonymous("the message is not an object"));
    };
    let event_id = match fields.get("event_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id.clone()),
        Some(_) => return Err(anonymous("event_id is not a string")),
    };
    let kind = kind(&fields, provider).map_err(|message| Problem {
        message,
        event_id: event_id.clone(),
    })?;
    Ok(Command { kind, event_id })
}

fn kind(fields: &Map<String, Value>, provider: AvatarProvider) -> Result<Kind, String> {
    let name = fields.get("type").and_then(Value::as_str);
    let name = name.ok_or("the message has no type")?;
    let older = provider == AvatarProvider::HeyGen;
    let (kind, allowed): (_, &[&str]) = match name {
        "agent.speak" => (Kind::Speak(sound(fields)?), &["audio"]),
        "agent.audio_buffer_append" if older => (Kind::Speak(sound(fields)?), &["audio"]),
        "agent.speak_end" => {
            let last = fields.contains_key("audio").then(|| sound(fields));
            (
                Kind::SpeakEnd(last.transpose()?.unwrap_or_default()),
                &["audio"],
            )
        }
        "agent.audio_buffer_commit" if older => (Kind::SpeakEnd(Vec::new()), &[]),
        "agent.interrupt" => (Kind::Interrupt, &[]),
        "agent.audio_buffer_clear" if older => (Kind::Interrupt, &[]),
        "agent.start_listening" => (Kind::StartListening, &[]),
        "agent.stop_listening" => (Kind::StopListening, &[]),
        "session.keep_alive" => (Kind::KeepAlive, &[]),
        _ => return Err(format!("{name} is not a known type of message")),
    };
    let known = |name: &String| {
        ["type", "event_id"].contains(&name.as_str()) || allowed.contains(&name.as_str())
    };
    match fields.keys().find(|name| !known(name)) {
        Some(unknown) => Err(format!("{unknown} is not a field of {name}")),
        None => Ok(kind),
    }
}

fn sound(fields: &Map<String, Value>) -> Result<Vec<u8>, String> {
    let audio = fields.get("audio").and_then(Value::as_str);
    let audio = audio.ok_or("audio is missing")?;
    STANDARD
        .decode(audio)
        .map_err(|_| "invalid base64 audio data".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(text: &str) -> Result<Command, Problem> {
        read(text, AvatarProvider::LiveAvatar)
    }

    #[test]
    fn every_command_is_read() {
        let kind = |text| live(text).unwrap().kind;
        let speak = r#"{"type":"agent.speak","event_id":"utt-1","audio":"AAABAP//AgD+/w=="}"#;
        assert_eq!(
            kind(speak),
            Kind::Speak(vec![0, 0, 1, 0, 255, 255, 2, 0, 254, 255])
        );
        assert_eq!(live(speak).unwrap().event_id.as_deref(), Some("utt-1"));
        assert_eq!(
            kind(r#"{"type":"agent.speak_end"}"#),
            Kind::SpeakEnd(Vec::new())
        );
        assert_eq!(
            kind(r#"{"type":"agent.speak_end","audio":"AAA="}"#),
            Kind::SpeakEnd(vec![0, 0])
        );
        assert_eq!(kind(r#"{"type":"agent.interrupt"}"#), Kind::Interrupt);
        assert_eq!(
            kind(r#"{"type":"agent.start_listening"}"#),
            Kind::StartListening
        );
        assert_eq!(
            kind(r#"{"type":"agent.stop_listening"}"#),
            Kind::StopListening
        );
        assert_eq!(kind(r#"{"type":"session.keep_alive"}"#), Kind::KeepAlive);
    }

    #[test]
    fn only_heygen_knows_the_names_of_its_alpha() {
        let append = r#"{"type":"agent.audio_buffer_append","audio":"AAA="}"#;
        assert!(live(append).is_err());
        let read = read(append, AvatarProvider::HeyGen).unwrap();
        assert_eq!(read.kind, Kind::Speak(vec![0, 0]));
    }

    #[test]
    fn anything_else_is_an_error_that_says_why_and_names_the_event() {
        for (text, why) in [
            ("hello", "invalid JSON"),
            ("[]", "not an object"),
            ("{}", "no type"),
            (r#"{"type":"agent.speek"}"#, "not a known type"),
            (r#"{"type":"agent.speak"}"#, "audio is missing"),
            (r#"{"type":"agent.speak","audio":"AAA"}"#, "invalid base64"),
            (
                r#"{"type":"agent.speak","audio":"AAA=","rate":1}"#,
                "rate is not a field",
            ),
            (r#"{"type":"agent.interrupt","event_id":1}"#, "not a string"),
        ] {
            let problem = live(text).unwrap_err();
            assert!(problem.message.contains(why), "{text}: {}", problem.message);
        }
        let bad = r#"{"type":"agent.speak","event_id":"utt-7","audio":"*"}"#;
        assert_eq!(live(bad).unwrap_err().event_id.as_deref(), Some("utt-7"));
    }
}
