//! What was heard, as segments of one speaker each.

use serde::{Deserialize, Serialize};

use super::wire;

/// A stretch of speech by one speaker; times are seconds since listening began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardSegment {
    /// Which speaker, numbered per connection; none where speakers are not told apart.
    pub speaker: Option<u32>,
    /// When the first word starts.
    pub start: f64,
    /// When the last word ends; never before the start.
    pub end: f64,
    /// The words in a line, with punctuation; never empty.
    pub text: String,
    /// How sure the transcriber is, from 0 to 1.
    pub confidence: Option<f64>,
    /// The words, if the vendor told them.
    pub words: Vec<HeardWord>,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeardWord {
    /// As it is written in the text.
    pub text: String,
    /// When it starts.
    pub start: f64,
    /// When it ends; never before the start.
    pub end: f64,
    /// How sure the transcriber is, from 0 to 1.
    pub confidence: Option<f64>,
}

/// Reads results as one segment per run of words of the same speaker; `at` turns the vendor's seconds into ours.
pub(super) fn segments(results: &wire::Results<'_>, at: impl Fn(f64) -> f64) -> Vec<HeardSegment> {
    let window = (at(results.start), at(results.start + results.duration));
    let Some(best) = results.channel.alternatives.first() else {
        return Vec::new();
    };
    let mut runs: Vec<(Option<u32>, Vec<HeardWord>)> = Vec::new();
    for word in &best.words {
        let text = word.text();
        if text.is_empty() {
            continue;
        }
        let start = at(word.start);
        let heard = HeardWord {
            text: text.to_owned(),
            start,
            end: at(word.end).max(start),
            confidence: word.confidence,
        };
        match runs.last_mut() {
            Some((speaker, words)) if *speaker == word.speaker => words.push(heard),
            _ => runs.push((word.speaker, vec![heard])),
        }
    }
    let whole = best.transcript.trim();
    match runs.len() {
        0 if whole.is_empty() => Vec::new(),
        0 => vec![HeardSegment {
            speaker: None,
            start: window.0,
            end: window.1.max(window.0),
            text: whole.to_owned(),
            confidence: best.confidence,
            words: Vec::new(),
        }],
        1 if !whole.is_empty() => {
            let mut segments: Vec<HeardSegment> = runs.into_iter().filter_map(segment).collect();
            for only in &mut segments {
                whole.clone_into(&mut only.text);
                only.confidence = best.confidence.or(only.confidence);
            }
            segments
        }
        _ => runs.into_iter().filter_map(segment).collect(),
    }
}

fn segment((speaker, words): (Option<u32>, Vec<HeardWord>)) -> Option<HeardSegment> {
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let text = text.join(" ");
    let start = words.first()?.start;
    let end = words.iter().map(|word| word.end).fold(start, f64::max);
    Some(HeardSegment {
        speaker,
        start,
        end,
        text,
        confidence: mean(&words),
        words,
    })
}

fn mean(words: &[HeardWord]) -> Option<f64> {
    let known: Vec<f64> = words.iter().filter_map(|word| word.confidence).collect();
    let count = u32::try_from(known.len()).ok().filter(|count| *count > 0)?;
    Some(known.iter().sum::<f64>() / f64::from(count))
}
