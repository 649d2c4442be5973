//! The messages of the audio socket, as text: sound, and what may come in its place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::payloads::api_time;
use crate::audio_script::{AudioStyle, Junk};

/// What leaves on the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// A frame with sound.
    Sound(String),
    Text(String),
    Binary(Vec<u8>),
}

/// What all messages of one endpoint say alike.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) endpoint: (String, Map<String, Value>),
    pub(crate) audio: (String, Map<String, Value>),
    pub(crate) recording: (String, Map<String, Value>),
    pub(crate) bot: (String, Map<String, Value>),
    pub(crate) style: AudioStyle,
}

/// The event of every frame with sound.
pub(crate) const EVENT: &str = "audio_mixed_raw.data";
/// Samples that would be heard if somebody took them for sound of the call.
const LOUD: [u8; 8] = [0xff, 0x3f, 0x01, 0xc0, 0xff, 0x3f, 0x01, 0xc0];

impl Envelope {
    /// A frame with this sound, which began at this time.
    pub(crate) fn sound(&self, relative: f64, absolute: Timestamp, pcm: &[u8]) -> Outgoing {
        Outgoing::Sound(self.message(EVENT, relative, absolute, &STANDARD.encode(pcm)))
    }

    /// Something that is no sound.
    pub(crate) fn junk(&self, junk: Junk, relative: f64, absolute: Timestamp) -> Outgoing {
        let loud = STANDARD.encode(LOUD);
        Outgoing::Text(match junk {
            Junk::NotJson => {
                let whole = self.message(EVENT, relative, absolute, &loud);
                whole[..whole.len() / 2].to_owned()
            }
            Junk::BadBase64 => self.message(EVENT, relative, absolute, "*** no base64 ***"),
            Junk::EmptyBuffer => self.message(EVENT, relative, absolute, ""),
            Junk::UnknownEvent => self.message("audio_mixed_raw.peaks", relative, absolute, &loud),
            Junk::Binary => return Outgoing::Binary(LOUD.to_vec()),
        })
    }

    fn message(&self, event: &str, relative: f64, absolute: Timestamp, buffer: &str) -> String {
        let artifact = if self.style.legacy_key {
            "audio_mixed_raw"
        } else {
            "audio_mixed"
        };
        let timestamp = self.object(vec![
            ("relative", Value::from(microseconds(relative)).to_string()),
            ("absolute", quoted(&api_time(absolute))),
        ]);
        let mut inner = vec![("buffer", quoted(buffer)), ("timestamp", timestamp)];
        if self.style.extra_fields {
            // A buffer of another kind, where a reader in a hurry would find it first.
            let levels = self.object(vec![("buffer", quoted(&STANDARD.encode(LOUD)))]);
            inner.insert(0, ("levels", levels));
            inner.push(("channels", "1".to_owned()));
        }
        let mut data = vec![
            ("data", self.ordered(inner)),
            ("realtime_endpoint", self.reference(&self.endpoint)),
            (artifact, self.reference(&self.audio)),
            ("recording", self.reference(&self.recording)),
            ("bot", self.reference(&self.bot)),
        ];
        if self.style.extra_fields {
            data.push(("workspace", "null".to_owned()));
        }
        let data = self.ordered(data);
        self.ordered(vec![("event", quoted(event)), ("data", data)])
    }

    fn reference(&self, (id, metadata): &(String, Map<String, Value>)) -> String {
        let metadata = metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_string()))
            .collect();
        self.object(vec![
            ("id", quoted(id)),
            ("metadata", self.object(metadata)),
        ])
    }

    fn ordered(&self, mut fields: Vec<(&str, String)>) -> String {
        if self.style.reversed {
            fields.reverse();
        }
        self.object(fields)
    }

    fn object(&self, fields: Vec<(&str, String)>) -> String {
        let (colon, comma) = if self.style.spaced {
            (": ", ", ")
        } else {
            (":", ",")
        };
        let fields: Vec<String> = fields
            .into_iter()
            .map(|(name, value)| format!("{}{colon}{value}", quoted(name)))
            .collect();
        format!("{{{}}}", fields.join(comma))
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn microseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(style: AudioStyle) -> Envelope {
        let reference = |id: &str| {
            let metadata = json!({ "meeting_id": "mtg_1" });
            (id.to_owned(), metadata.as_object().unwrap().clone())
        };
        Envelope {
            endpoint: reference("endpoint"),
            audio: reference("audio"),
            recording: reference("recording"),
            bot: reference("bot"),
            style,
        }
    }

    fn at() -> Timestamp {
        "2026-11-22T10:00:55.502376Z".parse().unwrap()
    }

    fn text(outgoing: Outgoing) -> String {
        match outgoing {
            Outgoing::Sound(text) | Outgoing::Text(text) => text,
            Outgoing::Binary(bytes) => panic!("{bytes:?}"),
        }
    }

    fn frame(style: AudioStyle) -> String {
        text(envelope(style).sound(12.345, at(), &[0, 0, 1, 0, 2, 0]))
    }

    #[test]
    fn a_frame_reads_as_the_vendors_sample_does() {
        let metadata = json!({ "meeting_id": "mtg_1" });
        let expected = json!({ "event": "audio_mixed_raw.data", "data": {
            "data": { "buffer": "AAABAAIA", "timestamp":
                { "relative": 12.345, "absolute": "2026-11-22T10:00:55.502376Z" } },
            "realtime_endpoint": { "id": "endpoint", "metadata": metadata },
            "audio_mixed": { "id": "audio", "metadata": metadata },
            "recording": { "id": "recording", "metadata": metadata },
            "bot": { "id": "bot", "metadata": metadata },
        } });
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let compact = frame(AudioStyle::default());
        assert_eq!(read(&compact), expected);
        assert!(
            compact.starts_with(r#"{"event":"audio_mixed_raw.data","data":{"data":{"buffer":""#)
        );
        let spaced = frame(AudioStyle {
            spaced: true,
            reversed: true,
            ..AudioStyle::default()
        });
        assert_eq!(read(&spaced), expected);
        assert!(
            spaced.ends_with(r#""event": "audio_mixed_raw.data"}"#),
            "{spaced}"
        );
    }

    #[test]
    fn older_and_newer_frames_hold_the_same_sound() {
        let style = AudioStyle {
            legacy_key: true,
            extra_fields: true,
            ..AudioStyle::default()
        };
        let frame: Value = serde_json::from_str(&frame(style)).unwrap();
        assert_eq!(frame["data"]["data"]["buffer"], "AAABAAIA");
        assert_eq!(frame["data"]["audio_mixed_raw"]["id"], "audio");
        assert!(frame["data"].get("audio_mixed").is_none());
        assert!(frame["data"]["data"]["levels"]["buffer"].is_string());
    }

    #[test]
    fn junk_is_what_its_name_says() {
        let envelope = envelope(AudioStyle::default());
        let junk = |junk| envelope.junk(junk, 1.0, at());
        let json = |outgoing| serde_json::from_str::<Value>(&text(outgoing));
        assert!(json(junk(Junk::NotJson)).is_err());
        let bad = json(junk(Junk::BadBase64)).unwrap();
        let buffer = bad["data"]["data"]["buffer"].as_str().unwrap();
        assert!(STANDARD.decode(buffer).is_err());
        let unknown = json(junk(Junk::UnknownEvent)).unwrap();
        assert_ne!(unknown["event"], EVENT);
        let empty = json(junk(Junk::EmptyBuffer)).unwrap();
        assert_eq!(empty["data"]["data"]["buffer"], "");
        assert!(matches!(junk(Junk::Binary), Outgoing::Binary(_)));
    }
}
