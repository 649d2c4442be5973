//! Transcripts: who said what and when, as JSON segments, plain text and captions.

mod captions;

use std::{fmt::Write, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::vendors::recall::Speaker;
use crate::vendors::recall::{SpokenSegment, Word};

pub use self::captions::{to_srt, to_vtt};

/// The longest stretch of speech that stays one segment, in characters: about 20 seconds. A vendor's
/// final transcript may hold a monologue of minutes in one piece.
const MAX_SEGMENT_CHARACTERS: usize = 300;
/// From this length on, a long stretch is divided at the end of a sentence or at a pause.
const SPLIT_FROM_CHARACTERS: usize = 150;
/// A silence that counts as a pause, in seconds.
const PAUSE_SECONDS: f64 = 1.0;
/// The longest name that is written out, in characters; the platforms allow less.
const MAX_NAME_CHARACTERS: usize = 80;

/// One transcribed piece of speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Its id, unique within the transcript.
    pub id: String,
    /// Who spoke.
    pub speaker: Speaker,
    /// When it starts, in seconds.
    pub start: f64,
    /// When it ends, in seconds.
    pub end: f64,
    /// What was said.
    pub text: String,
    /// How sure the transcriber is, from 0 to 1.
    pub confidence: Option<f64>,
    /// Whether an utterance ends here; told with `words=true` only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ends_utterance: bool,
    /// The words; told with `words=true` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<SegmentWord>,
}

/// A word of a segment, with its times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SegmentWord {
    /// As it is written in the text.
    pub text: String,
    /// When it starts.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// How sure the transcriber is, from 0 to 1.
    pub confidence: Option<f64>,
}

impl Segment {
    /// Makes a segment of what a vendor heard.
    pub fn from_spoken(id: String, spoken: SpokenSegment) -> Self {
        Self {
            id,
            speaker: spoken.speaker,
            start: spoken.start,
            end: spoken.end,
            text: spoken.text,
            confidence: None,
            ends_utterance: false,
            words: spoken
                .words
                .into_iter()
                .map(|word| SegmentWord {
                    text: word.text,
                    start: word.start,
                    end: word.end,
                    confidence: None,
                })
                .collect(),
        }
    }

    /// Gives the segment as most want it: without its words and marks.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self {
            ends_utterance: false,
            words: Vec::new(),
            ..self
        }
    }

    /// Moves all times by so many seconds; none goes below zero.
    pub(crate) fn shift(&mut self, seconds: f64) {
        let shifted = |at: &mut f64| *at = (*at + seconds).max(0.0);
        shifted(&mut self.start);
        shifted(&mut self.end);
        for word in &mut self.words {
            shifted(&mut word.start);
            shifted(&mut word.end);
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Makes a final transcript of what a vendor heard, in order; `seg_1` is the first segment.
///
/// Only monologues are divided, between words, at the end of a sentence or at a pause if there is one.
pub fn from_final(spoken: Vec<SpokenSegment>) -> Vec<Segment> {
    spoken
        .into_iter()
        .flat_map(divide)
        .enumerate()
        .map(|(index, spoken)| Segment::from_spoken(format!("seg_{}", index + 1), spoken))
        .collect()
}

/// Writes one line per segment: time, speaker, text.
pub fn to_text(segments: &[Segment]) -> String {
    let mut out = String::new();
    for segment in in_order(segments) {
        let seconds = duration(segment.start).as_secs();
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let name = name(&segment.speaker);
        let text = one_line(&segment.text);
        writeln!(out, "[{hours:02}:{minutes:02}:{seconds:02}] {name}: {text}")
            .expect("writing to a string cannot fail");
    }
    out
}

fn divide(spoken: SpokenSegment) -> Vec<SpokenSegment> {
    if spoken.text.chars().count() <= MAX_SEGMENT_CHARACTERS {
        return vec![spoken];
    }
    let mut parts: Vec<Vec<Word>> = Vec::new();
    let mut length = 0;
    for word in spoken.words {
        let characters = word.text.chars().count() + 1;
        match parts.last_mut() {
            Some(part) if !ends_before(part, &word, length, characters) => {
                length += characters;
                part.push(word);
            }
            _ => {
                length = characters;
                parts.push(vec![word]);
            }
        }
    }
    let parts = parts.into_iter().filter_map(|words| {
        SpokenSegment::of(spoken.speaker.clone(), spoken.language.clone(), words)
    });
    parts.collect()
}

/// Tells whether a part of the given length ends before the next word.
fn ends_before(part: &[Word], next: &Word, length: usize, characters: usize) -> bool {
    let Some(last) = part.last() else {
        return false;
    };
    let sentence = last.text.ends_with(['.', '?', '!', '。', '？', '！']);
    let pause = next.start - last.end >= PAUSE_SECONDS;
    length + characters > MAX_SEGMENT_CHARACTERS + 1
        || (length >= SPLIT_FROM_CHARACTERS && (sentence || pause))
}

/// Sorts by start; what starts together keeps its order.
fn in_order(segments: &[Segment]) -> Vec<&Segment> {
    let mut sorted: Vec<&Segment> = segments.iter().collect();
    sorted.sort_by(|a, b| a.start.total_cmp(&b.start));
    sorted
}

/// Turns seconds into a duration; what is no time at all is the beginning.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
}

/// Gives the name to write for a speaker, on one line.
fn name(speaker: &Speaker) -> String {
    let name = speaker.name.as_deref().map(one_line).unwrap_or_default();
    let id = speaker.id.as_deref().map(one_line).unwrap_or_default();
    let name = match (name.is_empty(), id.is_empty()) {
        (false, _) => name,
        (true, false) => format!("Speaker {id}"),
        (true, true) => "Unknown speaker".to_owned(),
    };
    name.chars().take(MAX_NAME_CHARACTERS).collect()
}

/// Collapses white space and drops control characters.
fn one_line(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
