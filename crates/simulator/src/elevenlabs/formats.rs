//! The output formats: which exist, and how the simulator makes those it can.

use crate::audio::speech;

/// One output format.
pub(crate) struct Format {
    pub(crate) content_type: &'static str,
    /// `None` where the simulator has no recording in this format.
    pub(crate) make: Box<dyn Fn(&str) -> Option<Vec<u8>>>,
}

const MP3: [&str; 7] = [
    "mp3_22050_32",
    "mp3_24000_48",
    "mp3_44100_32",
    "mp3_44100_64",
    "mp3_44100_96",
    "mp3_44100_128",
    "mp3_44100_192",
];
const RATES: [u32; 7] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
const OPUS: [&str; 5] = [
    "opus_48000_32",
    "opus_48000_64",
    "opus_48000_96",
    "opus_48000_128",
    "opus_48000_192",
];

pub(crate) fn find(name: &str) -> Option<Format> {
    let rate = |prefix| {
        let rate = name.strip_prefix(prefix)?.parse().ok()?;
        RATES.contains(&rate).then_some(rate)
    };
    if MP3.contains(&name) {
        let name = name.to_owned();
        return format("audio/mpeg", move |text| match name.as_str() {
            "mp3_22050_32" => Some(speech::mp3_22050_32(text)),
            "mp3_44100_128" => Some(speech::mp3_44100_128(text)),
            _ => None,
        });
    }
    if let Some(rate) = rate("pcm_") {
        return format("audio/pcm", move |text| Some(speech::pcm(text, rate)));
    }
    if let Some(rate) = rate("wav_") {
        return format("audio/wav", move |text| {
            Some(wav(&speech::pcm(text, rate), rate))
        });
    }
    match name {
        "ulaw_8000" | "alaw_8000" => format("audio/basic", |_| None),
        _ if OPUS.contains(&name) => format("audio/opus", |_| None),
        _ => None,
    }
}

fn format(
    content_type: &'static str,
    make: impl Fn(&str) -> Option<Vec<u8>> + 'static,
) -> Option<Format> {
    Some(Format {
        content_type,
        make: Box::new(make),
    })
}

fn wav(samples: &[u8], rate: u32) -> Vec<u8> {
    let length = u32::try_from(samples.len()).expect("speech is far below 4 GB");
    let mut file = Vec::with_capacity(samples.len() + 44);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(length + 36).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&(rate * 2).to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(samples);
    file
}
