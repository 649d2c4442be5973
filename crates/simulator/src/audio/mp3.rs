//! Reads mp3 frame by frame: is it one, how long is it, where are its frames.
//!
//! Only headers are looked at. The walk is strict on purpose: every byte has to belong to a tag or
//! to a frame of one and the same stream, because a vendor's player gives up where a lenient
//! decoder would hunt for the next frame.

use std::ops::Range;
use std::time::Duration;

/// What a walk over an mp3 found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mp3 {
    /// How long it plays.
    pub duration: Duration,
    /// Samples per second.
    pub sample_rate: u32,
    /// Where each whole frame lies.
    pub frames: Vec<Range<usize>>,
    /// Whether the last frame is cut short, as after a broken download.
    pub truncated: bool,
}

/// Why bytes are not an mp3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMp3 {
    /// There is no whole frame at all.
    NoFrame,
    /// At this offset neither a frame nor a trailing tag begins.
    Garbage(usize),
    /// At this offset the sample rate or the MPEG version changes.
    Mixed(usize),
}

const HEADER_LEN: usize = 4;
const ID3V2_HEADER_LEN: usize = 10;

/// Walks over the whole of `data`.
pub fn inspect(data: &[u8]) -> Result<Mp3, NotMp3> {
    let mut at = id3v2_len(data);
    let mut frames = Vec::new();
    let mut first: Option<Header> = None;
    let mut samples = 0_u64;
    let mut truncated = false;
    while at < data.len() && !is_trailing_tag(&data[at..]) {
        let Some(header) = Header::parse(&data[at..]) else {
            if data.len() - at < HEADER_LEN && !frames.is_empty() {
                truncated = true;
                break;
            }
            return Err(if frames.is_empty() {
                NotMp3::NoFrame
            } else {
                NotMp3::Garbage(at)
            });
        };
        if first.is_some_and(|first| !first.same_stream(header)) {
            return Err(NotMp3::Mixed(at));
        }
        let end = at + header.frame_len();
        if end > data.len() {
            truncated = true;
            break;
        }
        first.get_or_insert(header);
        samples += u64::from(header.samples());
        frames.push(at..end);
        at = end;
    }
    let Some(first) = first else {
        return Err(NotMp3::NoFrame);
    };
    Ok(Mp3 {
        duration: Duration::from_micros(samples * 1_000_000 / u64::from(first.sample_rate)),
        sample_rate: first.sample_rate,
        frames,
        truncated,
    })
}

fn id3v2_len(data: &[u8]) -> usize {
    if data.len() < ID3V2_HEADER_LEN || !data.starts_with(b"ID3") {
        return 0;
    }
    let size = data[6..10]
        .iter()
        .fold(0_usize, |size, byte| size << 7 | usize::from(byte & 0x7f));
    ID3V2_HEADER_LEN + size
}

fn is_trailing_tag(rest: &[u8]) -> bool {
    rest.starts_with(b"TAG") || rest.starts_with(b"APETAGEX")
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    mpeg1: bool,
    bitrate: u32,
    sample_rate: u32,
    padded: bool,
}

impl Header {
    /// Layer III only; free-format and reserved values are not frames.
    fn parse(data: &[u8]) -> Option<Self> {
        const MPEG1_KBITS: [u32; 14] = [
            32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ];
        const MPEG2_KBITS: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let &[sync, kind, rates, _] = data.first_chunk::<HEADER_LEN>()?;
        if sync != 0xff || kind & 0xe0 != 0xe0 || kind >> 1 & 0b11 != 0b01 {
            return None;
        }
        let (mpeg1, rate_divisor) = match kind >> 3 & 0b11 {
            0b11 => (true, 1),
            0b10 => (false, 2),
            0b00 => (false, 4),
            _ => return None,
        };
        let index = usize::from(rates >> 4).checked_sub(1)?;
        let kbits = *if mpeg1 { &MPEG1_KBITS } else { &MPEG2_KBITS }.get(index)?;
        let base_rate = *[44_100, 48_000, 32_000].get(usize::from(rates >> 2 & 0b11))?;
        Some(Self {
            mpeg1,
            bitrate: kbits * 1000,
            sample_rate: base_rate / rate_divisor,
            padded: rates >> 1 & 1 == 1,
        })
    }

    fn samples(self) -> u32 {
        if self.mpeg1 { 1152 } else { 576 }
    }

    fn frame_len(self) -> usize {
        let bytes = self.samples() / 8 * self.bitrate / self.sample_rate + u32::from(self.padded);
        usize::try_from(bytes).expect("a frame is a few hundred bytes")
    }

    fn same_stream(self, other: Self) -> bool {
        self.mpeg1 == other.mpeg1 && self.sample_rate == other.sample_rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::speech;

    #[test]
    fn the_speech_asset_is_whole_frames_from_end_to_end() {
        let mp3 = inspect(speech::MP3_22050_32).unwrap();
        assert_eq!(mp3.sample_rate, 22_050);
        assert!(!mp3.truncated);
        assert_eq!(mp3.frames.last().unwrap().end, speech::MP3_22050_32.len());
        assert_eq!(mp3.duration.as_secs(), 50);
    }

    #[test]
    fn a_cut_frame_is_truncated_and_not_garbage() {
        let cut = &speech::MP3_22050_32[..1000];
        let mp3 = inspect(cut).unwrap();
        assert!(mp3.truncated);
        assert_eq!(mp3.frames.len(), 9);
    }

    #[test]
    fn a_leading_tag_is_skipped_and_a_trailing_tag_ends_the_walk() {
        let mut tagged = b"ID3\x04\x00\x00\x00\x00\x00\x02xx".to_vec();
        tagged.extend_from_slice(&speech::MP3_22050_32[..104]);
        tagged.extend_from_slice(b"TAG and the rest of it");
        let mp3 = inspect(&tagged).unwrap();
        assert_eq!(mp3.frames, vec![12..116]);
    }

    #[test]
    fn text_wav_and_nothing_are_not_mp3() {
        assert_eq!(inspect(b""), Err(NotMp3::NoFrame));
        assert_eq!(inspect(b"hello, this is text"), Err(NotMp3::NoFrame));
        assert_eq!(
            inspect(b"RIFF\x00\x00\x00\x00WAVEfmt "),
            Err(NotMp3::NoFrame)
        );
    }

    #[test]
    fn garbage_between_frames_is_refused() {
        let mut broken = speech::MP3_22050_32[..104].to_vec();
        broken.extend_from_slice(b"garbage in the middle");
        assert_eq!(inspect(&broken), Err(NotMp3::Garbage(104)));
    }
}
