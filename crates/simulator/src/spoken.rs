//! Which text is behind which audio, so that a test can say what the room heard.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::audio::speech::text_hash;
use crate::recall::ids::sha256_hex;

/// Texts by the speech made for them.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    texts: HashMap<String, String>,
    /// Samples by the hash of their text, which they carry.
    samples: HashMap<[u8; 32], Vec<Samples>>,
}

#[derive(Clone, Debug)]
struct Samples {
    sha256: String,
    text: String,
    rate: u32,
    bytes: usize,
}

/// What some samples turned out to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recognised {
    /// One text after the other.
    pub(crate) text: Option<String>,
    /// Nothing is missing, changed or added.
    pub(crate) whole: bool,
    /// The rate they were made at.
    pub(crate) rate: Option<u32>,
}

impl Spoken {
    /// Notes what `audio` says, and its sample rate if it is samples.
    pub(crate) fn remember(&self, audio: &[u8], text: &str, rate: Option<u32>) {
        let sha256 = sha256_hex(audio);
        let mut made = self.lock();
        if made.texts.insert(sha256.clone(), text.to_owned()).is_some() {
            return;
        }
        let Some((rate, hash)) = rate.zip(text_hash(audio)) else {
            return;
        };
        made.samples.entry(hash).or_default().push(Samples {
            sha256,
            text: text.to_owned(),
            rate,
            bytes: audio.len(),
        });
    }

    pub(crate) fn text(&self, sha256: &str) -> Option<String> {
        self.lock().texts.get(sha256).cloned()
    }

    /// What samples say that may hold several speeches, one after the other, and may break off.
    pub(crate) fn recognise(&self, pcm: &[u8]) -> Recognised {
        let made = self.lock();
        let mut found = Recognised::default();
        let mut texts = Vec::new();
        let mut rest = pcm;
        while let Some(candidates) = text_hash(rest).and_then(|hash| made.samples.get(&hash)) {
            let is_whole = |samples: &&Samples| {
                let bytes = rest.get(..samples.bytes);
                bytes.is_some_and(|bytes| sha256_hex(bytes) == samples.sha256)
            };
            let whole = candidates.iter().find(is_whole);
            let Some(samples) = whole.or_else(|| candidates.first()) else {
                break;
            };
            texts.push(samples.text.clone());
            if whole.is_none() {
                break;
            }
            found.rate = Some(samples.rate);
            rest = &rest[samples.bytes..];
            found.whole = rest.is_empty();
        }
        found.text = (!texts.is_empty()).then(|| texts.join(" "));
        found
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Made> {
        self.made.lock().expect("no panic holds the texts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::speech::pcm;

    fn known(texts: &[&str]) -> (Spoken, Vec<Vec<u8>>) {
        let spoken = Spoken::default();
        let sounds: Vec<_> = texts.iter().map(|text| pcm(text, 24_000)).collect();
        for (sound, text) in sounds.iter().zip(texts) {
            spoken.remember(sound, text, Some(24_000));
        }
        (spoken, sounds)
    }

    #[test]
    fn speeches_in_a_row_are_told_apart() {
        let (spoken, sounds) = known(&["Hello there.", "How are you?"]);
        let found = spoken.recognise(&sounds.concat());
        assert_eq!(found.text.as_deref(), Some("Hello there. How are you?"));
        assert!(found.whole);
        assert_eq!(found.rate, Some(24_000));
    }

    #[test]
    fn speech_that_breaks_off_is_known_but_not_whole() {
        let (spoken, sounds) = known(&["Hello there.", "How are you?"]);
        let cut = [&sounds[0], &sounds[1][..10_000]].concat();
        let found = spoken.recognise(&cut);
        assert_eq!(found.text.as_deref(), Some("Hello there. How are you?"));
        assert!(!found.whole);
        let added = [&sounds[0][..], &[0, 0]].concat();
        assert!(!spoken.recognise(&added).whole);
    }

    #[test]
    fn other_sound_says_nothing() {
        let (spoken, _) = known(&["Hello there."]);
        assert_eq!(spoken.recognise(&vec![1; 5_000]), Recognised::default());
        assert_eq!(spoken.recognise(&[]), Recognised::default());
    }

    #[test]
    fn the_rate_is_that_of_the_making() {
        let (spoken, _) = known(&["Hello there."]);
        let slow = pcm("Hello there.", 16_000);
        spoken.remember(&slow, "Hello there.", Some(16_000));
        assert_eq!(spoken.recognise(&slow).rate, Some(16_000));
    }
}
