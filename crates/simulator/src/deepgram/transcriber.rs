//! Turns heard words into the vendor's stream of results, on the clock of the audio.
//!
//! Everything happens at places in the audio, never at times of day, so the same audio gives the
//! same results however fast it comes and however it is cut. A window never ends inside a word, so
//! a client can take up the stream again where the last final ended.

use std::sync::Arc;

use super::ear::{BLOCK, Ear, HeardWord};
use super::query::Parameters;
use crate::audio::voices::Voices;

/// Interim results come about once a second.
const INTERIM_EVERY: u64 = 1_000;
/// The longest window before it is made final.
const LONGEST_WINDOW: u64 = 5_000;
/// The pause after which speech counts as started anew where endpointing is off.
const NEW_SPEECH_AFTER: u64 = 1_000;

/// Something to tell the client. Places are bytes of the stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Results(Window),
    SpeechStarted { at: u64 },
    UtteranceEnd { last_word_end: u64 },
}

/// A stretch of the stream and the words in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) words: Vec<HeardWord>,
    pub(crate) is_final: bool,
    pub(crate) speech_final: bool,
    pub(crate) from_finalize: bool,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of their own")]
pub(crate) struct Transcriber {
    ear: Ear,
    interim_results: bool,
    vad_events: bool,
    /// Bytes of silence that end speech.
    endpointing: Option<u64>,
    /// Bytes without a word that end an utterance.
    utterance_end: Option<u64>,
    bytes_per_second: u64,
    /// Audio that does not fill a block yet.
    rest: Vec<u8>,
    /// Where the window begins that is not final yet, and its words.
    window: u64,
    words: Vec<HeardWord>,
    last_interim: u64,
    last_word_end: Option<u64>,
    speaking: bool,
    /// A word came since the last `speech_final`.
    speech_open: bool,
    /// A word came since the last `UtteranceEnd`.
    utterance_open: bool,
    out: Vec<Outcome>,
}

impl Transcriber {
    pub(crate) fn new(parameters: &Parameters, voices: Arc<Voices>) -> Self {
        let bytes_per_second = u64::from(parameters.sample_rate) * 2;
        let bytes = |ms: u64| ms * bytes_per_second / 1000;
        Self {
            ear: Ear::new(voices),
            interim_results: parameters.interim_results,
            vad_events: parameters.vad_events,
            // Without a whole block of silence there is none.
            endpointing: parameters
                .endpointing_ms
                .map(|ms| bytes(ms).max(BLOCK as u64)),
            utterance_end: parameters.utterance_end_ms.map(bytes),
            bytes_per_second,
            rest: Vec::new(),
            window: 0,
            words: Vec::new(),
            last_interim: 0,
            last_word_end: None,
            speaking: false,
            speech_open: false,
            utterance_open: false,
            out: Vec::new(),
        }
    }

    /// Hears more audio.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<Outcome> {
        self.rest.extend_from_slice(bytes);
        let audio = std::mem::take(&mut self.rest);
        let blocks = audio.chunks_exact(BLOCK);
        self.rest = blocks.remainder().to_vec();
        for block in blocks {
            let words = self.ear.hear(block);
            self.step(words);
        }
        std::mem::take(&mut self.out)
    }

    /// Makes everything final that was heard so far.
    pub(crate) fn finalize(&mut self) -> Vec<Outcome> {
        let rest = std::mem::take(&mut self.rest);
        let words = self.ear.hear(&rest);
        self.step(words);
        self.flush(true)
    }

    /// Makes everything final: no more audio will come.
    pub(crate) fn finish(&mut self) -> Vec<Outcome> {
        let rest = std::mem::take(&mut self.rest);
        let mut words = self.ear.hear(&rest);
        words.extend(self.ear.finish());
        self.step(words);
        self.flush(false)
    }

    /// Known words that did not come through whole, since the last time.
    pub(crate) fn take_broken(&mut self) -> Vec<String> {
        self.ear.take_broken()
    }

    fn flush(&mut self, from_finalize: bool) -> Vec<Outcome> {
        let understood = self.ear.understood();
        if understood > self.window {
            self.settle(understood, false, from_finalize);
        }
        std::mem::take(&mut self.out)
    }

    fn step(&mut self, words: Vec<HeardWord>) {
        for word in words {
            self.pauses(word.begin);
            self.speech_starts(word.begin);
            let too_long = word.end - self.window > self.bytes(LONGEST_WINDOW);
            if too_long && word.begin > self.window {
                self.settle(word.begin, false, false);
            }
            self.last_word_end = Some(word.end);
            (self.speech_open, self.utterance_open) = (true, true);
            self.words.push(word);
        }
        let understood = self.ear.understood();
        self.pauses(understood);
        if let Some(at) = self.ear.word_under_way() {
            self.speech_starts(at);
        }
        if understood - self.window >= self.bytes(LONGEST_WINDOW) {
            self.settle(understood, false, false);
        } else if self.interim_results
            && understood - self.last_interim >= self.bytes(INTERIM_EVERY)
        {
            self.last_interim = understood;
            let words = self.words.clone();
            self.results(understood, words, [false; 3]);
        }
    }

    /// There was no word up to `now`: is that long enough to end something?
    fn pauses(&mut self, now: u64) {
        let Some(last) = self.last_word_end else {
            return;
        };
        let silence = now.saturating_sub(last);
        if self.endpointing.is_some_and(|enough| silence >= enough) && self.speech_open {
            (self.speech_open, self.speaking) = (false, false);
            self.settle(now, true, false);
        }
        if self.utterance_end.is_some_and(|enough| silence >= enough) && self.utterance_open {
            self.utterance_open = false;
            self.out.push(Outcome::UtteranceEnd {
                last_word_end: last,
            });
        }
        if self.endpointing.is_none() && silence >= self.bytes(NEW_SPEECH_AFTER) {
            self.speaking = false;
        }
    }

    fn speech_starts(&mut self, at: u64) {
        if !self.speaking && self.vad_events {
            self.out.push(Outcome::SpeechStarted { at });
        }
        self.speaking = true;
    }

    /// Makes the window up to `end` final and opens the next one there.
    fn settle(&mut self, end: u64, speech_final: bool, from_finalize: bool) {
        let words = std::mem::take(&mut self.words);
        self.results(end, words, [true, speech_final, from_finalize]);
        self.window = end;
        self.last_interim = end;
    }

    fn results(&mut self, end: u64, words: Vec<HeardWord>, marks: [bool; 3]) {
        let [is_final, speech_final, from_finalize] = marks;
        self.out.push(Outcome::Results(Window {
            begin: self.window,
            end,
            words,
            is_final,
            speech_final,
            from_finalize,
        }));
    }

    fn bytes(&self, ms: u64) -> u64 {
        ms * self.bytes_per_second / 1000
    }
}
