//! The output formats: which exist, and how the simulator makes those it can.

use crate::audio::speech;

/// An output format the vendor knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Mp3 { rate: u32, kbits: u32 },
    Pcm { rate: u32 },
    Wav { rate: u32 },
    Telephony,
    Opus,
}

const MP3: [(u32, u32); 7] = [
    (22_050, 32),
    (24_000, 48),
    (44_100, 32),
    (44_100, 64),
    (44_100, 96),
    (44_100, 128),
    (44_100, 192),
];
const RATES: [u32; 7] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
const OPUS_KBITS: [u32; 5] = [32, 64, 96, 128, 192];

impl Format {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (family, rest) = name.split_once('_')?;
        let (rate, kbits) = match rest.split_once('_') {
            Some((rate, kbits)) => (rate.parse().ok()?, Some(kbits.parse().ok()?)),
            None => (rest.parse().ok()?, None),
        };
        let known = RATES.contains(&rate);
        match (family, kbits) {
            ("mp3", Some(kbits)) => MP3
                .contains(&(rate, kbits))
                .then_some(Self::Mp3 { rate, kbits }),
            ("pcm", None) if known => Some(Self::Pcm { rate }),
            ("wav", None) if known => Some(Self::Wav { rate }),
            ("ulaw" | "alaw", None) if rate == 8_000 => Some(Self::Telephony),
            ("opus", Some(kbits)) if rate == 48_000 && OPUS_KBITS.contains(&kbits) => {
                Some(Self::Opus)
            }
            _ => None,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Mp3 { .. } => "audio/mpeg",
            Self::Pcm { .. } => "audio/pcm",
            Self::Wav { .. } => "audio/wav",
            Self::Telephony => "audio/basic",
            Self::Opus => "audio/opus",
        }
    }

    /// Samples per second, where the audio is nothing but samples.
    pub(crate) fn sample_rate(self) -> Option<u32> {
        match self {
            Self::Pcm { rate } => Some(rate),
            Self::Mp3 { .. } | Self::Wav { .. } | Self::Telephony | Self::Opus => None,
        }
    }

    /// Speech for a text; `None` where the simulator has no recording in this format.
    pub(crate) fn speak(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Mp3 {
                rate: 22_050,
                kbits: 32,
            } => Some(speech::mp3_22050_32(text)),
            Self::Mp3 {
                rate: 44_100,
                kbits: 128,
            } => Some(speech::mp3_44100_128(text)),
            Self::Pcm { rate } => Some(speech::pcm(text, rate)),
            Self::Wav { rate } => Some(wav(&speech::pcm(text, rate), rate)),
            Self::Mp3 { .. } | Self::Telephony | Self::Opus => None,
        }
    }
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
