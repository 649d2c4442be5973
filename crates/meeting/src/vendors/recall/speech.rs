//! What somebody said, as transcript events and transcript downloads tell it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire;

/// Who spoke; the vendor may know neither id nor name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Speaker {
    /// Unique within the meeting only; a rejoin may change it.
    pub id: Option<String>,
    /// The name shown in the call.
    pub name: Option<String>,
}

/// A word, or a few, with its times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The text, without surrounding white space.
    pub text: String,
    /// When it starts.
    pub start: f64,
    /// When it ends; never before the start.
    pub end: f64,
}

/// A stretch of speech by one speaker, in seconds from the start of the recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpokenSegment {
    /// Who spoke.
    pub speaker: Speaker,
    /// When the first word starts.
    pub start: f64,
    /// When the last word ends; never before the start.
    pub end: f64,
    /// The words in a line; never empty.
    pub text: String,
    /// The words; never empty.
    pub words: Vec<Word>,
    /// The language, if the vendor names it.
    pub language: Option<String>,
}

impl SpokenSegment {
    /// Reads an utterance; one without any text is none.
    pub(crate) fn read(utterance: wire::Utterance) -> Option<Self> {
        let speaker = Speaker {
            id: utterance.participant.id.or(utterance.speaker_id),
            name: utterance.participant.name.or(utterance.speaker),
        };
        let language = utterance.language_code.or(utterance.language);
        Self::of(speaker, language, timed(utterance.words))
    }

    /// What one speaker says with these words; none if there are no words.
    pub(crate) fn of(speaker: Speaker, language: Option<String>, words: Vec<Word>) -> Option<Self> {
        let (first, last) = (words.first()?, words.last()?);
        let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        Some(Self {
            speaker,
            start: first.start,
            end: last.end,
            text: text.join(" "),
            language,
            words,
        })
    }

    /// What of it is said, for the most part, after this second; none if nothing is.
    pub(crate) fn after(self, seconds: f64) -> Option<Self> {
        let later = |word: &Word| f64::midpoint(word.start, word.end) > seconds;
        let words = self.words.into_iter().filter(later).collect();
        Self::of(self.speaker, self.language, words)
    }
}

/// Gives every word a start and an end: a missing start is the end of the word before (0 for the
/// first), a missing end is the start of the word after, and time never runs backwards.
fn timed(words: Vec<wire::Word>) -> Vec<Word> {
    let spoken: Vec<wire::Word> = words
        .into_iter()
        .filter(|word| !text(word).is_empty())
        .collect();
    let mut timed: Vec<Word> = Vec::with_capacity(spoken.len());
    for (index, word) in spoken.iter().enumerate() {
        let before = timed.last().map_or(0.0, |before| before.end);
        let begin = start(word)
            .unwrap_or(before)
            .max(timed.last().map_or(0.0, |before| before.start));
        let end = end(word)
            .or_else(|| start(spoken.get(index + 1)?))
            .unwrap_or(begin)
            .max(begin);
        timed.push(Word {
            text: text(word).to_owned(),
            start: begin,
            end,
        });
    }
    // The last word to end need not be the last to start.
    let latest = timed.iter().map(|word| word.end).fold(0.0, f64::max);
    if let Some(last) = timed.last_mut() {
        last.end = latest;
    }
    timed
}

fn text(word: &wire::Word) -> &str {
    word.text.as_deref().unwrap_or_default().trim()
}

fn start(word: &wire::Word) -> Option<f64> {
    word.start_timestamp.relative.or(word.start_time)
}

fn end(word: &wire::Word) -> Option<f64> {
    word.end_timestamp.relative.or(word.end_time)
}
