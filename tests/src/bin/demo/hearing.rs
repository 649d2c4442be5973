//! What was said in the call, held against what was heard of it.

use attache_simulator::{Event, MeetingScript};
use serde_json::Value;

/// What the people in the script say.
pub(crate) fn sentences() -> Vec<String> {
    let steps = MeetingScript::short_demo().steps.into_iter();
    steps
        .filter_map(|step| {
            if let Event::Says { text, .. } = step.event {
                Some(text)
            } else {
                None
            }
        })
        .collect()
}

/// The texts of a transcript's segments.
pub(crate) fn texts(transcript: &Value) -> Vec<String> {
    let segments = transcript["segments"].as_array().into_iter().flatten();
    segments
        .filter_map(|segment| segment["text"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The sentences that were not heard word for word. How they are cut into segments, and where
/// punctuation and capitals are, is the transcriber's business.
pub(crate) fn missed(said: &[String], heard: &[String]) -> Vec<String> {
    let heard = words(heard);
    let is_heard = |sentence: &String| {
        let sentence = words(std::slice::from_ref(sentence));
        heard.windows(sentence.len()).any(|part| part == sentence)
    };
    let missed = said.iter().filter(|sentence| !is_heard(sentence));
    missed.cloned().collect()
}

/// How many words were heard that nobody said.
pub(crate) fn invented(said: &[String], heard: &[String]) -> usize {
    words(heard).len().saturating_sub(words(said).len())
}

fn words(texts: &[String]) -> Vec<String> {
    let words = texts.iter().flat_map(|text| text.split_whitespace());
    words
        .map(|word| {
            let letters = word.chars().filter(|letter| letter.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect::<String>()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_sentence_counts_when_all_its_words_came_in_order() {
        let said = texts(&["Yes. We moved it to Tuesday.", "Talk soon."]);
        let cut = texts(&["yes", "We moved it", "to tuesday. Talk", "soon"]);
        assert!(missed(&said, &cut).is_empty());
        let swapped = texts(&["Yes. We it moved to Tuesday.", "Talk soon."]);
        assert_eq!(
            missed(&said, &swapped),
            texts(&["Yes. We moved it to Tuesday."])
        );
        assert_eq!(missed(&said, &texts(&["Talk"])).len(), 2);
        assert_eq!(missed(&said, &[]).len(), 2);
    }

    #[test]
    fn words_that_come_twice_are_invented() {
        let said = texts(&["Talk soon."]);
        assert_eq!(invented(&said, &said), 0);
        assert_eq!(invented(&said, &texts(&["Talk soon.", "soon."])), 1);
    }
}
