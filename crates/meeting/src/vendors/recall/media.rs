//! Recall's audio socket: one JSON text frame per piece of sound.
//!
//! The sound is base64 of 16 kHz, mono, 16-bit signed little-endian samples
//! (<https://docs.recall.ai/docs/how-to-get-mixed-audio-real-time>). How long a piece is, is not documented.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

/// The event's name; other kinds of media come under other names.
const SOUND: &str = "audio_mixed_raw.data";
/// The longest piece of sound that is taken: ten seconds, far more than any cadence seen or guessed.
const MAX_SOUND_BYTES: usize = 320_000;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a frame held.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaFrame {
    /// Sound, which began so many seconds into the recording, if the vendor says so.
    Sound {
        /// The time stamp.
        stamp: Option<f64>,
    },
    /// Something else, by its name.
    Other {
        /// The vendor's name of the event.
        event: String,
    },
}

/// Why a frame is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaFrameError {
    /// It is not the JSON that is expected.
    #[error("a frame of the audio socket is not an event with sound")]
    Malformed,
    /// The sound is not base64.
    #[error("the sound in a frame of the audio socket is not base64")]
    NotBase64,
    /// There is too much of it.
    #[error("a frame of the audio socket holds more than ten seconds of sound")]
    TooLong,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Outer<'a>,
}

#[derive(Default, Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    data: Inner<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner<'a> {
    #[serde(borrow)]
    buffer: Option<Cow<'a, str>>,
    timestamp: Option<Stamp>,
}

#[derive(Deserialize)]
struct Stamp {
    relative: Option<f64>,
}

/// Reads one frame; its sound replaces what is in `sound`, which stays empty unless the frame held some.
pub fn read_media_frame(text: &str, sound: &mut Vec<u8>) -> Result<MediaFrame, MediaFrameError> {
    sound.clear();
    let frame: Frame = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(_) => return other(text),
    };
    if frame.event != SOUND {
        let event = frame.event.into_owned();
        return Ok(MediaFrame::Other { event });
    }
    let inner = frame.data.data;
    let buffer = inner.buffer.ok_or(MediaFrameError::Malformed)?;
    if buffer.len() / 4 * 3 > MAX_SOUND_BYTES {
        return Err(MediaFrameError::TooLong);
    }
    if BASE64.decode_vec(buffer.as_bytes(), sound).is_err() {
        sound.clear();
        return Err(MediaFrameError::NotBase64);
    }
    let stamp = inner.timestamp.and_then(|stamp| stamp.relative);
    Ok(MediaFrame::Sound { stamp })
}

/// Events of other kinds have data of other shapes.
fn other(text: &str) -> Result<MediaFrame, MediaFrameError> {
    #[derive(Deserialize)]
    struct Named {
        event: String,
    }
    match serde_json::from_str::<Named>(text) {
        Ok(Named { event }) if event != SOUND => Ok(MediaFrame::Other { event }),
        Ok(_) | Err(_) => Err(MediaFrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn frame(data: &serde_json::Value) -> String {
        json!({
            "event": "audio_mixed_raw.data",
            "data": {
                "data": data,
                "realtime_endpoint": {"id": "0c6c", "metadata": {}},
                "audio_mixed": {"id": "9f2a", "metadata": {}},
                "recording": {"id": "5a70", "metadata": {}},
                "bot": {"id": "6e1f", "metadata": {"meeting_id": "mtg_1"}},
            },
        })
        .to_string()
    }

    #[test]
    fn sound_comes_out_byte_for_byte_with_its_time_stamp() {
        let text = frame(&json!({
            "buffer": "AAABAAIA/38=",
            "timestamp": {"relative": 12.345, "absolute": "2026-11-22T10:00:55.502376Z"},
        }));
        let mut sound = vec![9];
        let read = read_media_frame(&text, &mut sound);
        let stamp = Some(12.345);
        assert_eq!(read, Ok(MediaFrame::Sound { stamp }));
        assert_eq!(sound, [0, 0, 1, 0, 2, 0, 255, 127]);
    }

    #[test]
    fn escapes_missing_padding_and_missing_time_stamps_are_fine() {
        let text = frame(&json!({"buffer": "AAABAAIA@38"})).replace('@', "\\/");
        let mut sound = Vec::new();
        let read = read_media_frame(&text, &mut sound);
        assert_eq!(read, Ok(MediaFrame::Sound { stamp: None }));
        assert_eq!(sound, [0, 0, 1, 0, 2, 0, 255, 127]);
    }

    #[test]
    fn other_events_are_named_whatever_their_shape() {
        for data in ["[]", "{\"data\": {\"buffer\": 5}}", "null"] {
            let text = format!("{{\"event\":\"video_separate_png.data\",\"data\":{data}}}");
            let event = "video_separate_png.data".to_owned();
            let read = read_media_frame(&text, &mut Vec::new());
            assert_eq!(read, Ok(MediaFrame::Other { event }));
        }
    }

    #[test]
    fn what_is_no_sound_says_why() {
        let long = "A".repeat(MAX_SOUND_BYTES * 2);
        for (text, error) in [
            ("hello".to_owned(), MediaFrameError::Malformed),
            ("{}".to_owned(), MediaFrameError::Malformed),
            (frame(&json!({})), MediaFrameError::Malformed),
            (frame(&json!({"buffer": 7})), MediaFrameError::Malformed),
            (frame(&json!({"buffer": "!!!"})), MediaFrameError::NotBase64),
            (frame(&json!({"buffer": long})), MediaFrameError::TooLong),
        ] {
            let mut sound = vec![1];
            assert_eq!(read_media_frame(&text, &mut sound), Err(error));
            assert!(sound.is_empty());
        }
    }

    proptest! {
        #[test]
        fn any_sound_survives_and_any_text_is_harmless(bytes: Vec<u8>, text in "\\PC*") {
            let encoded = BASE64.encode(&bytes);
            let mut sound = Vec::new();
            read_media_frame(&frame(&json!({"buffer": encoded})), &mut sound).unwrap();
            prop_assert_eq!(&sound, &bytes);
            read_media_frame(&text, &mut sound).ok();
        }
    }
}
