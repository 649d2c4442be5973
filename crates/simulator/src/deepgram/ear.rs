//! Hears words in audio: those of known lines exactly, other sound by its energy.
//!
//! A known word counts only if every byte of it came through as it was spoken. It does not know of
//! sentences, speakers' numbers or results.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audio::voices::{Voices, WordBegins};

/// 20 ms at 16 kHz: energy is judged in blocks of this many bytes.
pub(crate) const BLOCK: usize = 640;
/// The mean amplitude above which a block is sound: far above the noise of a quiet room.
const LOUD: i64 = 300;
/// Unknown sound shorter than this (100 ms) is a click, not a word.
const SHORTEST: u64 = 5 * BLOCK as u64;
/// Unknown sound becomes a word at least every 400 ms.
const LONGEST: u64 = 20 * BLOCK as u64;
/// A pause in unknown sound that ends a word: 60 ms.
const PAUSE: u64 = 3 * BLOCK as u64;
/// What an unknown word reads as.
const UNKNOWN: &str = "(speech)";

/// A word and where in the stream it was, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeardWord {
    pub(crate) text: String,
    /// `None` for sound of nobody known.
    pub(crate) speaker: Option<String>,
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

#[derive(Debug)]
pub(crate) struct Ear {
    voices: Arc<Voices>,
    /// The audio that is not understood yet.
    audio: Vec<u8>,
    /// How many bytes of the stream came before it; even.
    before: u64,
    /// Up to where in `audio` beginnings of words were looked for.
    searched: usize,
    /// Words that began, in order.
    begun: VecDeque<WordBegins>,
    sound: Option<Sound>,
    words: Vec<HeardWord>,
    broken: Vec<String>,
}

/// Unknown sound that goes on.
#[derive(Clone, Copy, Debug)]
struct Sound {
    begin: u64,
    /// The end of the last loud block.
    end: u64,
}

impl Ear {
    pub(crate) fn new(voices: Arc<Voices>) -> Self {
        Self {
            voices,
            audio: Vec::new(),
            before: 0,
            searched: 0,
            begun: VecDeque::new(),
            sound: None,
            words: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Hears more of the stream; returns the words that are over now.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<HeardWord> {
        self.audio.extend_from_slice(bytes);
        let searchable = (self.audio.len() + 1).saturating_sub(Voices::LOOK_AHEAD);
        let upto = searchable.max(self.searched) / 2 * 2;
        let begun = self.voices.words_in(&self.audio, self.searched..upto);
        self.searched = upto;
        self.begun.extend(begun);
        self.understand();
        std::mem::take(&mut self.words)
    }

    /// The stream is over: what is not a whole word now never will be.
    pub(crate) fn finish(&mut self) -> Vec<HeardWord> {
        self.begun.clear();
        self.searched = self.audio.len() / 2 * 2;
        self.judge(self.searched);
        self.end_sound();
        std::mem::take(&mut self.words)
    }

    /// Up to here everything is understood, and no word lies across this place.
    pub(crate) fn understood(&self) -> u64 {
        self.sound.map_or(self.before, |sound| sound.begin)
    }

    /// Whether a word is being spoken just now.
    pub(crate) fn word_under_way(&self) -> Option<u64> {
        let known = self.begun.front().map(|word| self.before + word.at as u64);
        let unknown = self
            .sound
            .filter(|sound| sound.end - sound.begin >= SHORTEST);
        unknown.map(|sound| sound.begin).or(known)
    }

    /// Known words that began and did not come through whole.
    pub(crate) fn take_broken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.broken)
    }

    fn understand(&mut self) {
        while let Some(word) = self.begun.front() {
            if !word.is_intact_in(&self.audio) {
                self.broken.push(word.word().text.clone());
                self.begun.pop_front();
                continue;
            }
            let (at, length) = (word.at, word.end() - word.at);
            if at > 0 {
                self.judge(at);
                continue;
            }
            self.end_sound();
            if length > self.audio.len() {
                return;
            }
            let word = self.begun.pop_front().expect("it was just looked at");
            self.words.push(HeardWord {
                text: word.word().text.clone(),
                speaker: Some(word.line.speaker.clone()),
                begin: self.before,
                end: self.before + length as u64,
            });
            self.pass(length);
        }
        self.judge(self.searched / BLOCK * BLOCK);
    }

    /// Judges the next `length` bytes by their energy.
    fn judge(&mut self, length: usize) {
        let mut blocks = 0;
        while blocks < length {
            let block = &self.audio[blocks..length.min(blocks + BLOCK)];
            let begin = self.before + blocks as u64;
            let end = begin + block.len() as u64;
            blocks += block.len();
            let loud = is_loud(block);
            match &mut self.sound {
                Some(sound) if loud => sound.end = end,
                None if loud => self.sound = Some(Sound { begin, end }),
                Some(_) | None => {}
            }
            let over =
                |sound: Sound| end - sound.end >= PAUSE || sound.end - sound.begin >= LONGEST;
            if self.sound.is_some_and(over) {
                self.end_sound();
            }
        }
        self.pass(length);
    }

    fn end_sound(&mut self) {
        let Some(Sound { begin, end }) = self.sound.take() else {
            return;
        };
        if end - begin >= SHORTEST {
            self.words.push(HeardWord {
                text: UNKNOWN.to_owned(),
                speaker: None,
                begin,
                end,
            });
        }
    }

    /// Leaves the next `length` bytes behind.
    fn pass(&mut self, length: usize) {
        self.audio.drain(..length);
        self.before += length as u64;
        self.searched = self.searched.saturating_sub(length);
        // Nothing begins inside a word that came through whole.
        self.begun.retain(|word| word.at >= length);
        for word in &mut self.begun {
            word.at -= length;
        }
    }
}

fn is_loud(block: &[u8]) -> bool {
    let amplitudes = block
        .chunks_exact(2)
        .map(|sample| i64::from(i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs()));
    let count = i64::try_from(block.len() / 2).expect("a block is short");
    amplitudes.sum::<i64>() > LOUD * count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::speech;

    fn hear_all(voices: &Arc<Voices>, audio: &[u8], piece: usize) -> (Vec<HeardWord>, Vec<String>) {
        let mut ear = Ear::new(voices.clone());
        let mut words: Vec<_> = audio
            .chunks(piece)
            .flat_map(|bytes| ear.hear(bytes))
            .collect();
        words.extend(ear.finish());
        assert_eq!(ear.understood(), audio.len() as u64 / 2 * 2);
        (words, ear.take_broken())
    }

    fn text(words: &[HeardWord]) -> String {
        words
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn words_are_heard_the_same_however_the_audio_is_cut() {
        let voices = Arc::new(Voices::default());
        let line = voices.line("Bob", "Shall we look at the roadmap?");
        let audio = [
            vec![0; 6402],
            line.pcm.clone(),
            vec![0; 6400],
            line.pcm.clone(),
        ]
        .concat();
        let (words, broken) = hear_all(&voices, &audio, 640);
        assert_eq!(text(&words), format!("{0} {0}", line.text));
        assert_eq!(
            (words[0].begin, words[0].end),
            (6402, 6402 + line.words[0].end as u64)
        );
        assert!(broken.is_empty());
        for piece in [1, 639, 8000, 1_000_000] {
            assert_eq!(
                hear_all(&voices, &audio, piece).0,
                words,
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn a_word_that_loses_bytes_is_not_heard_and_is_counted_as_broken() {
        let voices = Arc::new(Voices::default());
        let line = voices.line("Bob", "one two three four five");
        let (before, after) = line.pcm.split_at(line.words[2].begin + 1000);
        let (words, broken) = hear_all(&voices, &[before, &after[640..]].concat(), 640);
        let known: Vec<_> = words
            .into_iter()
            .filter(|word| word.speaker.is_some())
            .collect();
        assert_eq!(
            (text(&known), broken),
            ("one two four five".to_owned(), vec!["three".to_owned()])
        );
    }

    #[test]
    fn sound_of_nobody_known_becomes_words_of_its_own() {
        let voices = Arc::new(Voices::default());
        let speech = speech::pcm("Nobody has registered this line of speech.", 16_000);
        let audio = [vec![0; 16_000], speech.clone(), vec![0; 16_000]].concat();
        let (words, _) = hear_all(&voices, &audio, 640);
        assert!(words.len() >= 4, "{words:?}");
        assert!(
            words
                .iter()
                .all(|word| word.text == UNKNOWN && word.speaker.is_none())
        );
        assert!(
            words[0].begin >= 16_000
                && words.last().unwrap().end <= 16_000 + speech.len() as u64 + 640
        );
        assert!(words.windows(2).all(|pair| pair[0].end <= pair[1].begin));
    }

    #[test]
    fn silence_and_faint_noise_are_no_words_and_are_understood_at_once() {
        let voices = Arc::new(Voices::default());
        let noise: Vec<u8> = (0..16_000_i16)
            .flat_map(|n| (n % 97 * 31 % 97 - 48).to_le_bytes())
            .collect();
        let (words, _) = hear_all(&voices, &[vec![0; 32_000], noise].concat(), 640);
        assert!(words.is_empty(), "{words:?}");
        let mut ear = Ear::new(voices);
        ear.hear(&[0; 6400]);
        assert!(ear.understood() >= 5760);
    }
}
