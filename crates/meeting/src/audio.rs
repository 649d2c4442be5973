//! How long an mp3 plays, found by walking its frames.
//!
//! The room must not hear two clips at once, and nobody tells us when one has ended, so the length
//! of each is taken from the clip itself.
//! No crate fits: the small ones are unmaintained or collect every frame, the maintained ones are
//! decoders of hundreds of kilobytes. All that is needed is the four-byte frame header.

use std::time::Duration;

/// What an mp3 says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mp3Info {
    /// How long it plays.
    pub duration: Duration,
    /// Samples per second.
    pub sample_rate: u32,
    /// Bits per second, on average.
    pub bitrate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// How many frames carry sound.
    pub frames: u32,
}

/// Bytes that are no mp3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mp3Error {
    /// No frame in it.
    #[error("no mp3 frame")]
    NoFrame,
    /// Something else than a frame where a frame must be.
    #[error("no mp3 frame at byte {offset}")]
    Garbage {
        /// Where.
        offset: usize,
    },
}

/// Measures an mp3.
///
/// Tags before, between and after the frames, padding and a last frame that is cut off are skipped.
/// Anything else between frames is an error, as is a change of format in the middle.
pub fn mp3_duration(bytes: &[u8]) -> Result<Mp3Info, Mp3Error> {
    let mut at = 0;
    let mut first: Option<Header> = None;
    let mut frames: u32 = 0;
    let mut kilobits: u64 = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        if let Some(length) = tag_length(rest) {
            at = at.saturating_add(length);
            continue;
        }
        let same_format = |header: &Header| first.is_none_or(|first| first.same_format(header));
        let Some(header) = Header::read(rest).filter(same_format) else {
            if is_tail(rest, first.is_some()) {
                break;
            }
            return Err(Mp3Error::Garbage { offset: at });
        };
        if rest.len() < header.length {
            break;
        }
        // An encoder's index looks like a frame and plays as none.
        if first.is_some() || !header.is_index(rest) {
            frames = frames.saturating_add(1);
            kilobits += u64::from(header.kilobits);
        }
        first.get_or_insert(header);
        at += header.length;
    }
    let first = first.filter(|_| frames > 0).ok_or(Mp3Error::NoFrame)?;
    let samples = u64::from(frames) * u64::from(first.samples);
    let nanoseconds = u128::from(samples) * 1_000_000_000 / u128::from(first.sample_rate);
    Ok(Mp3Info {
        duration: Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)),
        sample_rate: first.sample_rate,
        bitrate: u32::try_from(kilobits * 1_000 / u64::from(frames)).unwrap_or(u32::MAX),
        channels: first.channels,
        frames,
    })
}

/// The header of a layer III frame.
#[derive(Clone, Copy)]
struct Header {
    mpeg1: bool,
    protected: bool,
    kilobits: u16,
    sample_rate: u32,
    channels: u8,
    /// Samples per channel in the frame.
    samples: u32,
    /// Bytes in the frame, header included; never 0.
    length: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[sync, a, b, c, ..] = bytes else {
            return None;
        };
        if sync != 0xff || a & 0xe0 != 0xe0 || a & 0x06 != 0x02 {
            return None;
        }
        // Version 2 halves the rates of version 1, version 2.5 halves them again.
        let (mpeg1, divisor) = match a >> 3 & 3 {
            3 => (true, 1),
            2 => (false, 2),
            0 => (false, 4),
            _ => return None,
        };
        let kilobits = KILOBITS[usize::from(!mpeg1)][usize::from(b >> 4)];
        if kilobits == 0 {
            return None;
        }
        let sample_rate = *[44_100, 48_000, 32_000].get(usize::from(b >> 2 & 3))? / divisor;
        let samples = if mpeg1 { 1_152 } else { 576 };
        let padding = u32::from(b >> 1 & 1);
        let length = samples / 8 * u32::from(kilobits) * 1_000 / sample_rate + padding;
        Some(Self {
            mpeg1,
            protected: a & 1 == 0,
            kilobits,
            sample_rate,
            channels: if c >> 6 == 3 { 1 } else { 2 },
            samples,
            length: usize::try_from(length).ok()?,
        })
    }

    /// A stream may change its bit rate, and between stereo and mono, but not this.
    fn same_format(&self, other: &Self) -> bool {
        self.mpeg1 == other.mpeg1 && self.sample_rate == other.sample_rate
    }

    /// Tells whether the frame holds an encoder's index of the stream instead of sound.
    fn is_index(&self, frame: &[u8]) -> bool {
        let side_information = match (self.mpeg1, self.channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            (false, _) => 9,
        };
        let body = 4 + if self.protected { 2 } else { 0 };
        let has =
            |mark: &[u8], at: usize| frame.get(at..).is_some_and(|rest| rest.starts_with(mark));
        has(b"Xing", body + side_information)
            || has(b"Info", body + side_information)
            || has(b"VBRI", 36)
    }
}

/// Kilobits per second by version and header value; 0 where the format has none or leaves it open.
const KILOBITS: [[u16; 16]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0,
    ],
    [
        0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0,
    ],
];

/// Gives the length of an `ID3v2` or APE tag that starts here; its end may lie past the end of the bytes.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    if let &[b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = bytes {
        // Four times seven bits; then a footer, if the flag says so.
        let size = [a, b, c, d]
            .iter()
            .fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        return Some(10 + size + footer);
    }
    if let Some(tag) = bytes.strip_prefix(b"APETAGEX") {
        let &[_, _, _, _, a, b, c, d, ..] = tag else {
            return Some(bytes.len());
        };
        // The size leaves the header out.
        let size = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
        return Some(size.saturating_add(32));
    }
    None
}

/// Tells whether what is left is nothing to worry about: padding, an `ID3v1` tag, or a cut header.
fn is_tail(bytes: &[u8], after_frames: bool) -> bool {
    let id3v1 = bytes.len() == 128 && bytes.starts_with(b"TAG");
    let cut_header = bytes.len() < 4 && bytes[0] == 0xff;
    after_frames && (id3v1 || cut_header || bytes.iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests;
