//! What people in calls say, as sound: each line has its own samples, and from samples one can tell
//! which word of which line begins there.
//!
//! The voice is one recording used by many lines, so the sound alone does not tell lines apart. The
//! lowest bit of every sample does: along a line these bits are a sequence of the line's own, in
//! which no place looks like another. Whoever loses, doubles, reorders or changes bytes on the way
//! loses the words concerned, and only those. It does not mix lines that are spoken at once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest as _, Sha256};

use super::speech;

/// Samples per second of every line: what Recall sends and Deepgram is told.
pub const SAMPLE_RATE: u32 = 16_000;
/// Bytes per sample.
const SAMPLE: usize = 2;
/// Words begin and end on whole hundredths of a second, the precision Deepgram tells times with.
const STEP: usize = 320;
/// Lines are whole frames of 20 ms long, so that what follows one is on the same grid.
const FRAME: usize = 640;
/// Samples that tell a place: as many as there are bits in its [`Signature`].
const TELLING: usize = 64;

/// The lowest bits of [`TELLING`] samples in a row.
type Signature = u64;

/// A line that somebody says, as signed 16-bit little-endian mono samples at [`SAMPLE_RATE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpokenLine {
    /// Who says it.
    pub speaker: String,
    /// What.
    pub text: String,
    /// How it sounds.
    pub pcm: Vec<u8>,
    /// Its words, one after the other without a gap.
    pub words: Vec<LineWord>,
}

/// A word of a [`SpokenLine`] and where in its bytes it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineWord {
    /// The word as it is written, punctuation included.
    pub text: String,
    /// Its first byte, on a whole hundredth of a second.
    pub begin: usize,
    /// The byte after its last, on a whole hundredth of a second.
    pub end: usize,
}

/// A word of a known line that begins at a place in some audio.
#[derive(Clone, Debug)]
pub(crate) struct WordBegins {
    /// The byte of the audio.
    pub(crate) at: usize,
    pub(crate) line: Arc<SpokenLine>,
    /// Which of the line's words.
    pub(crate) index: usize,
}

impl WordBegins {
    pub(crate) fn word(&self) -> &LineWord {
        &self.line.words[self.index]
    }

    /// Where in the audio the word ends, if nothing happened to it.
    pub(crate) fn end(&self) -> usize {
        self.at + self.word().end - self.word().begin
    }

    /// Whether the audio, as far as it goes, holds the word as it was spoken.
    pub(crate) fn is_intact_in(&self, audio: &[u8]) -> bool {
        let heard = &audio[self.at..self.end().min(audio.len())];
        self.line.pcm[self.word().begin..].starts_with(heard)
    }
}

/// All lines that were spoken so far; the same line is made once.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    lines: HashMap<(String, String), Arc<SpokenLine>>,
    beginnings: HashMap<Signature, (Arc<SpokenLine>, usize)>,
}

impl Voices {
    /// The sound of a line.
    pub(crate) fn line(&self, speaker: &str, text: &str) -> Arc<SpokenLine> {
        let key = (speaker.to_owned(), text.to_owned());
        if let Some(line) = self.lock().lines.get(&key) {
            return line.clone();
        }
        let line = Arc::new(SpokenLine::new(speaker, text));
        let mut known = self.lock();
        for (index, word) in line.words.iter().enumerate() {
            let signature = signature(&line.pcm[word.begin..]);
            known.beginnings.insert(signature, (line.clone(), index));
        }
        known.lines.entry(key).or_insert(line).clone()
    }

    /// The words that begin in this part of `audio`, in order. A word is found as soon as
    /// `audio` goes [`Self::LOOK_AHEAD`] bytes beyond its first byte; whether the rest of it came
    /// through is another question, see [`WordBegins::is_intact_in`].
    pub(crate) fn words_in(&self, audio: &[u8], part: Range<usize>) -> Vec<WordBegins> {
        let known = self.lock();
        let mut found = Vec::new();
        let mut seen: Signature = 0;
        let end = audio.len().min(part.end + Self::LOOK_AHEAD - SAMPLE);
        for (at, sample) in audio[..end]
            .chunks_exact(SAMPLE)
            .enumerate()
            .skip(part.start.div_ceil(SAMPLE))
        {
            seen = seen << 1 | Signature::from(sample[0] & 1);
            let Some(at) = ((at + 1) * SAMPLE).checked_sub(Self::LOOK_AHEAD) else {
                continue;
            };
            if at < part.start {
                continue;
            }
            if let Some((line, index)) = known.beginnings.get(&seen) {
                found.push(WordBegins {
                    at,
                    line: line.clone(),
                    index: *index,
                });
            }
        }
        found
    }

    /// How many bytes from its first one a word needs to be found.
    pub(crate) const LOOK_AHEAD: usize = TELLING * SAMPLE;

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no panic holds the lines")
    }
}

impl SpokenLine {
    fn new(speaker: &str, text: &str) -> Self {
        let mut pcm = speech::pcm(text, SAMPLE_RATE);
        pcm.resize(pcm.len().next_multiple_of(FRAME), 0);
        for (sample, bit) in pcm.chunks_exact_mut(SAMPLE).zip(own_bits(speaker, text)) {
            sample[0] = sample[0] & !1 | u8::from(bit);
        }
        Self {
            speaker: speaker.to_owned(),
            text: text.to_owned(),
            words: words(text, pcm.len()),
            pcm,
        }
    }
}

/// A sequence as long as needed that no other line has.
fn own_bits(speaker: &str, text: &str) -> impl Iterator<Item = bool> + use<> {
    let line = Sha256::digest([speaker.as_bytes(), &[0], text.as_bytes()].concat());
    (0_u64..).flat_map(move |block| {
        let bytes: [u8; 32] = Sha256::new()
            .chain_update(line)
            .chain_update(block.to_be_bytes())
            .finalize()
            .into();
        bytes
            .into_iter()
            .flat_map(|byte| (0..8).map(move |shift| byte >> shift & 1 == 1))
    })
}

/// Gives every word a share of the line that follows its length and the space after it.
fn words(text: &str, bytes: usize) -> Vec<LineWord> {
    let total: usize = text
        .split_whitespace()
        .map(|word| word.chars().count() + 1)
        .sum();
    let mut spoken = 0;
    text.split_whitespace()
        .map(|word| {
            let begin = bytes * spoken / total / STEP * STEP;
            spoken += word.chars().count() + 1;
            LineWord {
                text: word.to_owned(),
                begin,
                end: bytes * spoken / total / STEP * STEP,
            }
        })
        .collect()
}

fn signature(pcm: &[u8]) -> Signature {
    let samples = pcm.chunks_exact(SAMPLE).take(TELLING);
    samples.fold(0, |seen, sample| seen << 1 | Signature::from(sample[0] & 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of `audio` that came through whole, and where they begin.
    fn heard(voices: &Voices, audio: &[u8]) -> Vec<(usize, String, String)> {
        let found = voices.words_in(audio, 0..audio.len());
        let whole = found
            .into_iter()
            .filter(|word| word.end() <= audio.len() && word.is_intact_in(audio));
        whole
            .map(|word| (word.at, word.line.speaker.clone(), word.word().text.clone()))
            .collect()
    }

    fn texts(heard: Vec<(usize, String, String)>) -> Vec<String> {
        heard.into_iter().map(|(_, _, text)| text).collect()
    }

    #[test]
    fn every_word_is_found_where_it_begins() {
        let voices = Voices::default();
        let line = voices.line("Bob", "Shall we look at the roadmap?");
        let audio = [
            vec![0; 1000],
            line.pcm.clone(),
            vec![0; 600],
            line.pcm.clone(),
        ]
        .concat();
        let expected: Vec<_> = [1000, 1600 + line.pcm.len()]
            .into_iter()
            .flat_map(|from| {
                line.words
                    .iter()
                    .map(move |word| (from + word.begin, "Bob".to_owned(), word.text.clone()))
            })
            .collect();
        assert_eq!(heard(&voices, &audio), expected);
    }

    #[test]
    fn words_lie_end_to_end_on_whole_hundredths_of_a_second() {
        let line = Voices::default().line("Bob", "Hi.  A word, a longer word\nand the end.");
        assert_eq!(line.words.first().unwrap().begin, 0);
        assert_eq!(line.words.last().unwrap().end, line.pcm.len());
        assert!(
            line.words
                .windows(2)
                .all(|pair| pair[0].end == pair[1].begin)
        );
        assert!(
            line.words
                .iter()
                .all(|word| word.begin % STEP == 0 && word.end - word.begin >= Voices::LOOK_AHEAD)
        );
    }

    #[test]
    fn the_same_words_of_another_person_are_another_sound() {
        let voices = Voices::default();
        let (bob, eve) = (
            voices.line("Bob", "Yes, of course."),
            voices.line("Eve", "Yes, of course."),
        );
        let audio = [bob.pcm.clone(), eve.pcm.clone()].concat();
        let speakers: Vec<_> = heard(&voices, &audio)
            .into_iter()
            .map(|(_, speaker, _)| speaker)
            .collect();
        assert_eq!(speakers, ["Bob", "Bob", "Bob", "Eve", "Eve", "Eve"]);
    }

    #[test]
    fn audio_in_parts_gives_each_word_once() {
        let voices = Voices::default();
        let line = voices.line("Bob", "We close the books on Friday at noon.");
        let mut found = Vec::new();
        let mut searched = 0;
        for received in (0..=line.pcm.len()).step_by(638) {
            let upto = (received + 1)
                .saturating_sub(Voices::LOOK_AHEAD)
                .max(searched);
            found.extend(voices.words_in(&line.pcm[..received], searched..upto));
            searched = upto;
        }
        let texts: Vec<_> = found.iter().map(|word| word.word().text.as_str()).collect();
        assert_eq!(texts, line.text.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn lost_doubled_swapped_and_changed_bytes_cost_the_words_concerned() {
        let voices = Voices::default();
        let line = voices.line("Bob", "one two three four five");
        let third = line.words[2].begin + 1000;
        let (before, after) = line.pcm.split_at(third);
        let lost = [before, &after[640..]].concat();
        let doubled = [before, &before[third - 640..], after].concat();
        let swapped = [before, &after[640..1280], &after[..640], &after[1280..]].concat();
        let mut changed = line.pcm.clone();
        changed[third] ^= 2;
        for audio in [lost, doubled, swapped, changed] {
            assert_eq!(
                texts(heard(&voices, &audio)),
                ["one", "two", "four", "five"]
            );
        }
        let shifted = [before, &after[1..]].concat();
        assert_eq!(texts(heard(&voices, &shifted)), ["one", "two"]);
    }

    #[test]
    fn silence_and_other_speech_are_no_known_words() {
        let voices = Voices::default();
        voices.line("Bob", "one two three four five");
        assert!(heard(&voices, &vec![0; 64_000]).is_empty());
        assert!(
            heard(
                &voices,
                &speech::pcm("one two three four five", SAMPLE_RATE)
            )
            .is_empty()
        );
    }
}
