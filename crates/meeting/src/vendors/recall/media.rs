//! Recall's audio socket: one JSON text frame per piece of sound.
//!
//! The sound is base64 of 16 kHz, mono, 16-bit signed little-endian samples
//! (<https://docs.recall.ai/docs/how-to-get-mixed-audio-real-time>). How long a piece is, is not documented.

use std::borrow::Cow;

use base64::{
    DecodeSliceError, Engine,
    alphabet::STANDARD,
    decoded_len_estimate,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use memchr::{memchr2, memmem};
use serde::Deserialize;

/// The event's name; other kinds of media come under other names.
const SOUND: &str = "audio_mixed_raw.data";
/// The longest piece of sound that is taken: ten seconds, far more than any cadence seen or guessed.
const MAX_SOUND_BYTES: usize = 320_000;
/// The time stamp stands right behind the sound; a field of the same name further on is another.
const MAX_BETWEEN: usize = 40;

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

/// Reads the frames of one socket.
///
/// They differ in their sound and their time stamp only, so what stands around these is compared with the frame before
/// and not parsed again: parsing it costs more than decoding twenty milliseconds of sound.
#[derive(Debug, Default)]
pub struct MediaReader {
    usual: Option<Usual>,
}

/// What a frame of sound looks like on this socket.
#[derive(Debug)]
struct Usual {
    /// All that stands before the sound.
    opening: String,
    /// What stands between the sound and the number of its time stamp.
    between: String,
    /// All that stands behind the time stamp, from its brace on.
    closing: String,
}

impl MediaReader {
    /// Reads one frame; its sound replaces what is in `sound`, which is empty unless the frame held some.
    pub fn read(&mut self, text: &str, sound: &mut Vec<u8>) -> Result<MediaFrame, MediaFrameError> {
        let usual = self
            .usual
            .as_ref()
            .and_then(|usual| usual.read(text, sound));
        if let Some(frame) = usual {
            return Ok(frame);
        }
        if let Some(frame) = read_in_two(text, sound) {
            self.usual = Usual::of(text);
            return Ok(frame);
        }
        read_whole(text, sound)
    }
}

impl Usual {
    /// Takes note of a frame that was read.
    fn of(text: &str) -> Option<Self> {
        const NAME: &str = "\"relative\"";
        let (start, end) = span_of_buffer(text)?;
        let after_name = &text[end + text[end..].find(NAME)? + NAME.len()..];
        let number = after_name.trim_start().strip_prefix(':')?.trim_start();
        let between = &text[end..text.len() - number.len()];
        let closing = &number[number.find('}')?..];
        (between.len() <= MAX_BETWEEN).then(|| Self {
            opening: text[..start].to_owned(),
            between: between.to_owned(),
            closing: closing.to_owned(),
        })
    }

    /// Reads a frame that looks the same. What else the time stamp holds is not looked at.
    fn read(&self, text: &str, sound: &mut Vec<u8>) -> Option<MediaFrame> {
        let after = text.strip_prefix(self.opening.as_str())?;
        let buffer = &after[..memchr2(b'"', b'\\', after.as_bytes())?];
        let number = after[buffer.len()..].strip_prefix(self.between.as_str())?;
        let (stamp, closing) = number.split_at(number.find('}')?);
        let stamp = stamp.split(',').next()?.parse().ok();
        let is_usual = closing == self.closing && stamp.is_some_and(f64::is_finite);
        if !is_usual || buffer.len() / 4 * 3 > MAX_SOUND_BYTES {
            return None;
        }
        decode(buffer, sound).ok()?;
        Some(MediaFrame::Sound { stamp })
    }
}

/// Reads a frame of the documented form the quick way: the sound, which is most of the text, is cut out and decoded,
/// and only the rest goes through the JSON parser. Anything else gives nothing and is left to [`read_whole`].
fn read_in_two(text: &str, sound: &mut Vec<u8>) -> Option<MediaFrame> {
    let (start, end) = span_of_buffer(text)?;
    let (buffer, rest) = (&text[start..end], [&text[..start], &text[end..]].concat());
    let frame: Frame = serde_json::from_str(&rest).ok()?;
    let inner = frame.data.data;
    // It was this buffer that was cut out, and not another field of the same name.
    let is_sound = frame.event == SOUND && inner.buffer.is_some_and(|left| left.is_empty());
    if !is_sound || buffer.len() / 4 * 3 > MAX_SOUND_BYTES {
        return None;
    }
    decode(buffer, sound).ok()?;
    let stamp = inner.timestamp.and_then(|stamp| stamp.relative);
    Some(MediaFrame::Sound { stamp })
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

/// Decodes into `sound`, in place of what is there.
fn decode(buffer: &str, sound: &mut Vec<u8>) -> Result<(), DecodeSliceError> {
    // Zeroing it anew for each frame would cost as much as a tenth of the decoding.
    let room = decoded_len_estimate(buffer.len());
    if sound.len() < room {
        sound.resize(room, 0);
    }
    let decoded = BASE64.decode_slice(buffer, sound);
    sound.truncate(decoded.as_ref().map_or(0, |length| *length));
    decoded.map(drop)
}

fn read_whole(text: &str, sound: &mut Vec<u8>) -> Result<MediaFrame, MediaFrameError> {
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
    decode(&buffer, sound).map_err(|_| MediaFrameError::NotBase64)?;
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

    fn read_media_frame(text: &str, sound: &mut Vec<u8>) -> Result<MediaFrame, MediaFrameError> {
        MediaReader::default().read(text, sound)
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

    #[test]
    fn another_field_of_the_same_name_is_not_taken_for_the_sound() {
        let sound_of = |text: &str| {
            let mut sound = Vec::new();
            read_media_frame(text, &mut sound).unwrap();
            sound
        };
        for text in [
            r#"{"bot":{"buffer":"////"},"event":"audio_mixed_raw.data","data":{"data":{"buffer":"AQID"}}}"#,
            r#"{"note":"\"buffer\":\"AAAA\"","event":"audio_mixed_raw.data","data":{"data":{"buffer":"AQID"}}}"#,
            r#"{"event" : "audio_mixed_raw.data", "data" : {"data" : {"buffer" : "AQID", "buffers": "////"}}}"#,
        ] {
            assert_eq!(sound_of(text), [1, 2, 3], "{text}");
        }
    }

    #[test]
    fn a_short_frame_after_a_long_one_holds_nothing_of_it() {
        let mut sound = Vec::new();
        for (bytes, length) in [
            (vec![1; 640], 640),
            (vec![2; 10], 10),
            (vec![3; 3_200], 3_200),
        ] {
            let text = frame(&json!({"buffer": BASE64.encode(&bytes)}));
            read_media_frame(&text, &mut sound).unwrap();
            assert_eq!((sound.len(), &sound), (length, &bytes));
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
    fn frames_that_look_alike_are_not_parsed_again() {
        for gap in ["", " "] {
            let mut reader = MediaReader::default();
            let mut sound = Vec::new();
            reader.read(&as_sent(&[1], "0.5", gap), &mut sound).unwrap();
            let usual = reader.usual.as_ref().unwrap();
            let alike = as_sent(&[2, 3, 4], "0.52", gap);
            let stamp = Some(0.52);
            assert_eq!(
                usual.read(&alike, &mut sound),
                Some(MediaFrame::Sound { stamp })
            );
            assert_eq!(sound, [2, 3, 4]);
            for other in [
                alike.replace("audio_mixed_raw", "audio_separate_raw"),
                alike.replace("0.52", "null"),
                alike.replace("0.52", "nan"),
                alike.replace("relative", "absolute"),
                alike.replace('\u{22}', "'"),
                alike[..alike.len() - 1].to_owned(),
                format!("{alike}}}"),
            ] {
                assert_eq!(usual.read(&other, &mut sound), None, "{other}");
                let mut whole = Vec::new();
                assert_eq!(
                    reader_of(&alike).read(&other, &mut sound),
                    read_whole(&other, &mut whole)
                );
            }
        }
    }

    fn reader_of(first: &str) -> MediaReader {
        let mut reader = MediaReader::default();
        reader.read(first, &mut Vec::new()).unwrap();
        reader
    }

    proptest! {
        /// Having read a frame before changes nothing of what is read.
        #[test]
        fn a_reader_reads_each_frame_as_if_it_were_the_first(
            frames in prop::collection::vec((any::<Vec<u8>>(), any::<Option<u32>>(), 0_usize..2), 1..6),
        ) {
            let mut reader = MediaReader::default();
            for (bytes, milliseconds, gap) in frames {
                let stamp = milliseconds.map_or("null".to_owned(), |ms| (f64::from(ms) / 1e3).to_string());
                let text = as_sent(&bytes, &stamp, [" ", ""][gap]);
                let (mut sound, mut whole) = (Vec::new(), Vec::new());
                let read = reader.read(&text, &mut sound);
                prop_assert_eq!(&read, &read_whole(&text, &mut whole), "{}", text);
                prop_assert_eq!(sound, whole);
            }
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
                let (mut quick, mut plain) = (Vec::new(), Vec::new());
                let read = read_media_frame(text, &mut quick);
                prop_assert_eq!(&read, &read_whole(text, &mut plain), "{}", text);
                prop_assert_eq!(quick, plain);
            }
        }

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
