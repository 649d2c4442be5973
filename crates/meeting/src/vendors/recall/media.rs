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
use memchr::{memchr2, memmem};
use serde::Deserialize;

/// The event's name; other kinds of media come under other names.
const SOUND: &str = "audio_mixed_raw.data";
/// The longest piece of sound that is taken: ten seconds, far more than any cadence seen or guessed.
const MAX_SOUND_BYTES: usize = 320_000;
/// The time stamp stands right behind the sound, with white space between these; a field of the same name elsewhere is
/// another.
const BETWEEN: [&str; 7] = ["\"", ",", "\"timestamp\"", ":", "{", "\"relative\"", ":"];

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a frame held.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaFrame {
    /// Sound.
    Sound {
        /// 16 kHz, mono, 16-bit signed little-endian samples.
        sound: Vec<u8>,
        /// How many seconds into the recording it began, if the vendor says so.
        stamp: Option<f64>,
    },
    /// Something else, by its name.
    Other {
        /// The vendor's name of the event.
        event: String,
    },
}

/// How a frame of sound is written. Frames of one socket differ in their sound and their time stamp only, so a frame
/// with the same text around these need not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameForm<'a> {
    /// All that stands before the sound.
    pub opening: &'a str,
    /// What stands between the sound and the number of its time stamp.
    pub between: &'a str,
    /// All that stands behind the time stamp, from its brace on. What else the time stamp holds is left out.
    pub closing: &'a str,
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

/// Reads one frame, and tells how it is written if frames of the same form can be read by that alone.
pub fn read_media_frame(
    text: &str,
) -> Result<(MediaFrame, Option<FrameForm<'_>>), MediaFrameError> {
    if let Some(frame) = read_in_two(text) {
        return Ok((frame, FrameForm::of(text)));
    }
    read_whole(text).map(|frame| (frame, None))
}

impl<'a> FrameForm<'a> {
    /// Takes note of a frame that [`read_in_two`] has read.
    fn of(text: &'a str) -> Option<Self> {
        let (start, end) = span_of_buffer(text)?;
        let number = BETWEEN.iter().try_fold(&text[end..], |rest, token| {
            Some(rest.strip_prefix(token)?.trim_start())
        })?;
        let is_number = number.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then_some(Self {
            opening: &text[..start],
            between: &text[end..text.len() - number.len()],
            closing: &number[number.find('}')?..],
        })
    }
}

/// Reads a frame of the documented form the quick way: the sound, which is most of the text, is cut out and decoded,
/// and only the rest goes through the JSON parser. Anything else gives nothing and is left to [`read_whole`].
fn read_in_two(text: &str) -> Option<MediaFrame> {
    let (start, end) = span_of_buffer(text)?;
    let (buffer, rest) = (&text[start..end], [&text[..start], &text[end..]].concat());
    let frame: Frame = serde_json::from_str(&rest).ok()?;
    let inner = frame.data.data;
    // It was this buffer that was cut out, and not another field of the same name.
    let is_sound = frame.event == SOUND && inner.buffer.is_some_and(|left| left.is_empty());
    if !is_sound {
        return None;
    }
    let stamp = inner.timestamp.and_then(|stamp| stamp.relative);
    let sound = decode(buffer).ok()?;
    Some(MediaFrame::Sound { sound, stamp })
}

/// Finds the text of the first field named `buffer`, if it is a string without escapes.
fn span_of_buffer(text: &str) -> Option<(usize, usize)> {
    const NAME: &str = "\"buffer\"";
    let after_name = memmem::find(text.as_bytes(), NAME.as_bytes())? + NAME.len();
    let value = text[after_name..].trim_start().strip_prefix(':')?;
    let string = value.trim_start().strip_prefix('"')?;
    let start = text.len() - string.len();
    let length = memchr2(b'"', b'\\', string.as_bytes())?;
    (string.as_bytes()[length] == b'"').then_some((start, start + length))
}

fn decode(buffer: &str) -> Result<Vec<u8>, MediaFrameError> {
    if buffer.len() / 4 * 3 > MAX_SOUND_BYTES {
        return Err(MediaFrameError::TooLong);
    }
    BASE64
        .decode(buffer)
        .map_err(|_| MediaFrameError::NotBase64)
}

fn read_whole(text: &str) -> Result<MediaFrame, MediaFrameError> {
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
    let stamp = inner.timestamp.and_then(|stamp| stamp.relative);
    let sound = decode(&buffer)?;
    Ok(MediaFrame::Sound { sound, stamp })
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

    fn read(text: &str) -> Result<MediaFrame, MediaFrameError> {
        read_media_frame(text).map(|(frame, _)| frame)
    }

    fn sound(sound: &[u8], stamp: Option<f64>) -> MediaFrame {
        let sound = sound.to_vec();
        MediaFrame::Sound { sound, stamp }
    }

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
        let expected = sound(&[0, 0, 1, 0, 2, 0, 255, 127], Some(12.345));
        assert_eq!(read(&text), Ok(expected));
    }

    #[test]
    fn escapes_missing_padding_and_missing_time_stamps_are_fine() {
        let text = frame(&json!({"buffer": "AAABAAIA@38"})).replace('@', "\\/");
        let expected = sound(&[0, 0, 1, 0, 2, 0, 255, 127], None);
        assert_eq!(read_media_frame(&text), Ok((expected, None)));
    }

    #[test]
    fn other_events_are_named_whatever_their_shape() {
        for data in ["[]", "{\"data\": {\"buffer\": 5}}", "null"] {
            let text = format!("{{\"event\":\"video_separate_png.data\",\"data\":{data}}}");
            let event = "video_separate_png.data".to_owned();
            assert_eq!(read(&text), Ok(MediaFrame::Other { event }));
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
            assert_eq!(read(&text), Err(error));
        }
    }

    #[test]
    fn another_field_of_the_same_name_is_not_taken_for_the_sound() {
        for text in [
            r#"{"bot":{"buffer":"////"},"event":"audio_mixed_raw.data","data":{"data":{"buffer":"AQID"}}}"#,
            r#"{"note":"\"buffer\":\"AAAA\"","event":"audio_mixed_raw.data","data":{"data":{"buffer":"AQID"}}}"#,
            r#"{"event" : "audio_mixed_raw.data", "data" : {"data" : {"buffer" : "AQID", "buffers": "////"}}}"#,
        ] {
            assert_eq!(read(text), Ok(sound(&[1, 2, 3], None)), "{text}");
        }
    }

    /// What `json!` makes sorts the names of its fields; the vendor sends them in this order.
    fn as_sent(bytes: &[u8], stamp: &str, gap: &str) -> String {
        format!(
            "{{\"event\":{gap}\"audio_mixed_raw.data\",\"data\":{gap}{{\"data\":{{\"buffer\":{gap}\"{}\",{gap}\"timestamp\":{gap}\
             {{\"relative\":{gap}{stamp},{gap}\"absolute\":\"2026-11-22T10:00:55.502376Z\"}}}},\"bot\":{{\"id\":\"6e1f\"}}}}}}",
            BASE64.encode(bytes)
        )
    }

    #[test]
    fn the_form_of_a_frame_is_what_stands_around_its_sound_and_its_time_stamp() {
        for gap in ["", " "] {
            let text = as_sent(&[1], "0.5", gap);
            let (_, form) = read_media_frame(&text).unwrap();
            let FrameForm {
                opening,
                between,
                closing,
            } = form.unwrap();
            assert!(opening.ends_with('"') && text.starts_with(&format!("{opening}AQ==")));
            assert!(text.contains(&format!("AQ=={between}0.5")));
            assert_eq!(closing, "}},\"bot\":{\"id\":\"6e1f\"}}}");
        }
        for unlike in [
            as_sent(&[1], "null", ""),
            as_sent(&[1], "0.5", "").replace("audio_mixed_raw", "audio_separate_raw"),
            as_sent(&[1], "0.5", "").replace("relative", "absolute"),
            as_sent(&[1], "0.5", "").replace("timestamp", "time_stamp"),
            as_sent(&[1], "0.5", "").replace("timestamp", " timestamp"),
        ] {
            assert_eq!(read_media_frame(&unlike).unwrap().1, None, "{unlike}");
        }
    }

    proptest! {
        /// A frame of the same form, whatever its sound and time stamp, is what the careful reader would make of it.
        #[test]
        fn a_form_fits_every_frame_that_is_written_like_it(
            first: Vec<u8>, bytes: Vec<u8>, milliseconds: u32, gap in 0_usize..2,
        ) {
            let gap = [" ", ""][gap];
            let before = as_sent(&first, "0.25", gap);
            let form = read_media_frame(&before).unwrap().1.unwrap();
            let stamp = f64::from(milliseconds) / 1e3;
            let written = format!(
                "{}{}{}{stamp},{gap}\"absolute\":\"2026-11-22T10:00:55.502376Z\"{}",
                form.opening, BASE64.encode(&bytes), form.between, form.closing
            );
            prop_assert_eq!(&written, &as_sent(&bytes, &stamp.to_string(), gap));
            prop_assert_eq!(read(&written), Ok(sound(&bytes, Some(stamp))));
        }

        /// The quick way and the plain one say the same of whatever they are given.
        #[test]
        fn both_ways_of_reading_agree(
            bytes: Vec<u8>, stamp: Option<f64>, cut in 0_usize..400, with in "[\"\\\\{}a:, ]{0,3}",
        ) {
            let stamp = stamp.filter(|stamp| stamp.is_finite());
            let text = frame(&json!({
                "buffer": BASE64.encode(&bytes),
                "timestamp": {"relative": stamp},
            }));
            let at = cut.min(text.len());
            let damaged = format!("{}{with}{}", &text[..at], &text[at..]);
            for text in [text.as_str(), damaged.as_str()] {
                prop_assert_eq!(read(text), read_whole(text), "{}", text);
            }
        }

        #[test]
        fn any_sound_survives_and_any_text_is_harmless(bytes: Vec<u8>, text in "\\PC*") {
            let encoded = BASE64.encode(&bytes);
            prop_assert_eq!(read(&frame(&json!({"buffer": encoded}))), Ok(sound(&bytes, None)));
            read(&text).ok();
        }
    }
}
