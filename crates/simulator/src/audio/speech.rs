//! Speech for any text: cut from a recorded voice, as long as the text is, always the same bytes
//! for the same text and other bytes for another.
//!
//! The words are not the text's words. A test that has to know what was said asks for the text
//! behind the bytes' hash.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use super::mp3;

/// 50 s of speech, MPEG-2 layer III, 22.05 kHz, 32 kbit/s, every frame on its own.
pub(crate) const MP3_22050_32: &[u8] = include_bytes!("../../assets/speech_22050_32.mp3");
/// 9 s of speech, MPEG-1 layer III, 44.1 kHz, 128 kbit/s, every frame on its own.
pub(crate) const MP3_44100_128: &[u8] = include_bytes!("../../assets/speech_44100_128.mp3");

/// How fast the voice talks.
pub(crate) const CHARS_PER_SECOND: usize = 15;
/// The shortest answer, so that even "Hi" can be heard and carries enough bits of its text's hash.
const SHORTEST_MS: usize = 600;

/// Speech as mp3 at 22.05 kHz, 32 kbit/s.
pub(crate) fn mp3_22050_32(text: &str) -> Vec<u8> {
    static FRAMES: LazyLock<Vec<&[u8]>> = LazyLock::new(|| frames_of(MP3_22050_32));
    cut(&FRAMES, text, 22_050, 576)
}

/// Speech as mp3 at 44.1 kHz, 128 kbit/s.
pub(crate) fn mp3_44100_128(text: &str) -> Vec<u8> {
    static FRAMES: LazyLock<Vec<&[u8]>> = LazyLock::new(|| frames_of(MP3_44100_128));
    cut(&FRAMES, text, 44_100, 1152)
}

/// Speech as signed 16-bit little-endian mono samples at `sample_rate`.
pub(crate) fn pcm(text: &str, sample_rate: u32) -> Vec<u8> {
    let decoded = nanomp3::decode_all::<i16>(&mp3_22050_32(text));
    let mut samples = resample(&decoded.samples, 22_050, sample_rate);
    for (sample, bit) in samples.iter_mut().zip(hash_bits(text)) {
        *sample = *sample & !1 | i16::from(bit);
    }
    samples.into_iter().flat_map(i16::to_le_bytes).collect()
}

fn frames_of(asset: &'static [u8]) -> Vec<&'static [u8]> {
    let mp3 = mp3::inspect(asset).expect("the assets are valid mp3, see the tests");
    mp3.frames.into_iter().map(|frame| &asset[frame]).collect()
}

fn cut(frames: &[&[u8]], text: &str, sample_rate: usize, samples_per_frame: usize) -> Vec<u8> {
    let milliseconds = (text.chars().count() * 1000 / CHARS_PER_SECOND).max(SHORTEST_MS);
    let count = (milliseconds * sample_rate).div_ceil(samples_per_frame * 1000);
    let start = usize::from(u16::from_be_bytes([
        Sha256::digest(text)[30],
        Sha256::digest(text)[31],
    ]));
    let mut speech = Vec::new();
    let mut bits = hash_bits(text);
    for frame in frames.iter().cycle().skip(start % frames.len()).take(count) {
        let header = speech.len();
        speech.extend_from_slice(frame);
        if let Some(bit) = bits.next() {
            set_private_bit(&mut speech[header..], bit);
        }
    }
    speech
}

/// The header's private bit means nothing to a decoder: it carries the hash of the text, so that
/// texts of the same length differ even when they start at the same frame.
fn set_private_bit(frame: &mut [u8], bit: bool) {
    frame[2] = frame[2] & !1 | u8::from(bit);
}

/// The hash of the text that samples carry in their beginning, if they are long enough.
pub(crate) fn text_hash(pcm: &[u8]) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let mut samples = pcm.chunks_exact(2);
    for byte in &mut hash {
        for _ in 0..8 {
            *byte = *byte << 1 | samples.next()?[0] & 1;
        }
    }
    Some(hash)
}

fn hash_bits(text: &str) -> impl Iterator<Item = bool> {
    let hash: [u8; 32] = Sha256::digest(text).into();
    hash.into_iter()
        .flat_map(|byte| (0..8).map(move |shift| byte >> shift & 1 == 1))
}

/// Linear interpolation: good enough for speech that is only measured and counted.
fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let (from, to) = (u64::from(from), u64::from(to));
    let count = samples.len() as u64 * to / from;
    (0..count)
        .map(|index| {
            let position = index * from;
            let left = usize::try_from(position / to).expect("an index into a slice");
            let part = i64::try_from(position % to).expect("less than a sample rate");
            let a = i64::from(samples[left]);
            let b = i64::from(*samples.get(left + 1).unwrap_or(&samples[left]));
            let to = i64::try_from(to).expect("a sample rate");
            i16::try_from(a + (b - a) * part / to).expect("between two samples")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &str = "Hi, this is Ada joining from Acme.";

    #[test]
    fn the_length_follows_the_text() {
        let short = mp3::inspect(&mp3_22050_32(GREETING)).unwrap();
        assert!(
            (2.2..2.4).contains(&short.duration.as_secs_f64()),
            "{:?}",
            short.duration
        );
        let long = mp3::inspect(&mp3_22050_32(&"x".repeat(1500))).unwrap();
        assert!(
            (99.9..100.1).contains(&long.duration.as_secs_f64()),
            "{:?}",
            long.duration
        );
    }

    #[test]
    fn the_same_text_gives_the_same_bytes_and_another_text_gives_others() {
        assert_eq!(mp3_22050_32(GREETING), mp3_22050_32(GREETING));
        let all: std::collections::BTreeSet<_> = (0..500)
            .map(|n| mp3_22050_32(&format!("Utterance {n:03}")))
            .collect();
        assert_eq!(all.len(), 500);
    }

    #[test]
    fn a_decoder_accepts_every_cut() {
        for start in 0..10 {
            let text = format!("{GREETING} {start}");
            let bytes = mp3_22050_32(&text);
            let frames = mp3::inspect(&bytes).unwrap().frames.len();
            assert_eq!(
                nanomp3::decode_all::<i16>(&bytes).samples.len(),
                frames * 576
            );
        }
        let bytes = mp3_44100_128(GREETING);
        let frames = mp3::inspect(&bytes).unwrap().frames.len();
        assert_eq!(
            nanomp3::decode_all::<i16>(&bytes).samples.len(),
            frames * 1152
        );
    }

    #[test]
    fn pcm_has_the_asked_rate_and_is_not_silence() {
        for rate in [8_000_u32, 16_000, 22_050, 24_000] {
            let bytes = pcm(GREETING, rate);
            let seconds = f64::from(u32::try_from(bytes.len()).unwrap() / 2) / f64::from(rate);
            assert!((2.2..2.4).contains(&seconds), "{rate}: {seconds}");
            let loudest = bytes
                .chunks(2)
                .map(|s| i16::from_le_bytes([s[0], s[1]]).unsigned_abs())
                .max();
            assert!(loudest.unwrap() > 3000);
        }
    }
}
