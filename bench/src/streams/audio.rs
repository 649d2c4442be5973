//! The audio of the streams: every frame tells which one it is, so that each byte can be checked where it arrives.
//!
//! All streams share one sound; a frame's first bytes carry its stream and its number. Frames are put together from
//! parts made beforehand, since the load generator shares the cores with what it measures.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// 16 kHz, mono, two bytes each.
pub(crate) const BYTES_PER_SECOND: usize = 16_000 * 2;

/// The tag: stream, number, and the number inverted. A multiple of three, so that base64 of tag and sound can be joined.
const TAG_BYTES: usize = 12;

/// The frames of one length: a sound to which tags are added.
#[derive(Debug)]
pub(crate) struct Audio {
    milliseconds: u32,
    /// A frame's sound after the tag.
    sound: Vec<u8>,
    encoded_sound: String,
}

impl Audio {
    /// Frames that last this long.
    pub(crate) fn new(milliseconds: u32) -> Self {
        let bytes = BYTES_PER_SECOND * milliseconds as usize / 1000;
        let sound = noise(bytes - TAG_BYTES);
        let encoded_sound = STANDARD.encode(&sound);
        Self {
            milliseconds,
            sound,
            encoded_sound,
        }
    }

    /// How long a frame lasts.
    pub(crate) fn frame(&self) -> Duration {
        Duration::from_millis(self.milliseconds.into())
    }

    /// The length of a frame.
    pub(crate) fn frame_bytes(&self) -> usize {
        TAG_BYTES + self.sound.len()
    }

    /// Writes the message in which Recall sends a frame.
    pub(crate) fn write_message(
        &self,
        stream: u32,
        number: u32,
        origin: &Origin,
        out: &mut Vec<u8>,
    ) {
        let mut encoded_tag = [0; TAG_BYTES / 3 * 4];
        STANDARD
            .encode_slice(tag(stream, number), &mut encoded_tag)
            .expect("the room is exactly what base64 takes");
        let at = u64::from(number) * u64::from(self.milliseconds);
        let (seconds, thousandths) = (at / 1000, at % 1000);
        let (hours, minutes) = (10 + seconds / 3600, seconds / 60 % 60);

        out.extend_from_slice(br#"{"event":"audio_mixed_raw.data","data":{"data":{"buffer":""#);
        out.extend_from_slice(&encoded_tag);
        out.extend_from_slice(self.encoded_sound.as_bytes());
        // Writing to memory cannot fail.
        let _ = write!(
            out,
            r#"","timestamp":{{"relative":{seconds}.{thousandths:03},"absolute":"2026-11-22T{hours:02}:{minutes:02}:{:02}.{thousandths:03}000Z"}}}},"#,
            seconds % 60,
        );
        out.extend_from_slice(origin.0.as_bytes());
    }

    /// Whether these are the frame's bytes from `offset` on, as many as there are.
    pub(crate) fn is_part(&self, stream: u32, number: u32, offset: usize, bytes: &[u8]) -> bool {
        let tag = tag(stream, number);
        let (of_tag, of_sound) = bytes.split_at(bytes.len().min(TAG_BYTES.saturating_sub(offset)));
        let sound_offset = offset.saturating_sub(TAG_BYTES);
        let is_tag = of_tag.is_empty() || tag[offset..].starts_with(of_tag);
        is_tag && self.sound[sound_offset..].starts_with(of_sound)
    }
}

/// Which frame the bytes say they are, for telling what is wrong.
pub(crate) fn told_number(bytes: &[u8]) -> Option<u32> {
    let number = bytes.get(4..8)?.try_into().ok()?;
    Some(u32::from_le_bytes(number))
}

/// The end of a message: whose audio it is.
#[derive(Debug)]
pub(crate) struct Origin(String);

impl Origin {
    /// The audio of this meeting.
    pub(crate) fn new(meeting_id: &str, bot_id: &str) -> Self {
        let metadata = format!(r#"{{"meeting_id":"{meeting_id}","tenant_id":"default"}}"#);
        Self(format!(
            r#""realtime_endpoint":{{"id":"5f0c3e0a-8f3e-4f0e-9d6c-2f9a63f0b7a1","metadata":{metadata}}},"audio_mixed":{{"id":"9f2ad3c1-4b7e-4a55-8a0f-3c1f5d2e6b90","metadata":{metadata}}},"recording":{{"id":"c1b7a7d0-5b0c-4b35-9f5e-6a2f1e9b8d47","metadata":{metadata}}},"bot":{{"id":"{bot_id}","metadata":{metadata}}}}}}}"#
        ))
    }
}

fn tag(stream: u32, number: u32) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag[..4].copy_from_slice(&stream.to_le_bytes());
    tag[4..8].copy_from_slice(&number.to_le_bytes());
    tag[8..].copy_from_slice(&(!number).to_le_bytes());
    tag
}

/// Bytes without a pattern, the same at every run.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn message(audio: &Audio, stream: u32, number: u32) -> Value {
        let mut text = Vec::new();
        let origin = Origin::new("mtg_1", "bot_1");
        audio.write_message(stream, number, &origin, &mut text);
        serde_json::from_slice(&text).unwrap()
    }

    fn bytes(message: &Value) -> Vec<u8> {
        let buffer = message["data"]["data"]["buffer"].as_str().unwrap();
        STANDARD.decode(buffer).unwrap()
    }

    #[test]
    fn a_message_holds_one_frame_and_its_time() {
        let message = message(&Audio::new(20), 7, 3_061);
        assert_eq!(bytes(&message).len(), 640);
        let timestamp = &message["data"]["data"]["timestamp"];
        assert_eq!(timestamp["relative"], 61.22);
        assert_eq!(timestamp["absolute"], "2026-11-22T10:01:01.220000Z");
        assert_eq!(message["data"]["bot"]["metadata"]["meeting_id"], "mtg_1");
    }

    #[test]
    fn every_byte_of_a_frame_is_compared() {
        let audio = Audio::new(100);
        let frame = bytes(&message(&audio, 7, 9));
        assert_eq!(frame.len(), audio.frame_bytes());
        assert_eq!(told_number(&frame), Some(9));
        for cut in [0, 1, 11, 12, 13, 3_199, 3_200] {
            let (first, rest) = frame.split_at(cut);
            assert!(audio.is_part(7, 9, 0, first));
            assert!(audio.is_part(7, 9, cut, rest));
        }
        for index in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[index] ^= 1;
            assert!(!audio.is_part(7, 9, 0, &damaged), "byte {index}");
        }
        assert!(!audio.is_part(7, 10, 0, &frame));
        assert!(!audio.is_part(8, 9, 0, &frame));
        assert!(!audio.is_part(7, 9, 0, &[&frame[..], &[0]].concat()));
    }
}
