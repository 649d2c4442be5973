//! Cuts a text into parts that the vendor takes, between sentences where it can.

/// The longest text of one task, in characters.
pub const MAX_TEXT_CHARACTERS: usize = 1_000;
/// Whole sentences share a task up to this length: long texts are said with noise and breaks, and a short first part
/// is heard sooner.
const COMFORTABLE_CHARACTERS: usize = 300;

/// Gives the parts of a text in order, none empty and none longer than [`MAX_TEXT_CHARACTERS`].
///
/// Only whitespace between parts is lost.
pub fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for piece in sentences(text).into_iter().flat_map(fitting) {
        match parts.last_mut() {
            Some(part) if length(part) + 1 + length(piece) <= COMFORTABLE_CHARACTERS => {
                part.push(' ');
                part.push_str(piece);
            }
            Some(_) | None => parts.push(piece.to_owned()),
        }
    }
    parts
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Cuts after the marks that end a sentence, where whitespace follows, and at ends of lines.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut ended = false;
    for (place, c) in text.char_indices() {
        if c == '\n' || (ended && c.is_whitespace()) {
            sentences.push(&text[start..place]);
            start = place;
        }
        let closes = matches!(c, '"' | '\'' | ')' | '”' | '’' | '»');
        ended = matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？') || (ended && closes);
    }
    sentences.push(&text[start..]);
    sentences
        .into_iter()
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

/// Cuts a sentence that is too long, between words where it can.
fn fitting(sentence: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = sentence;
    while let Some((limit, _)) = rest.char_indices().nth(MAX_TEXT_CHARACTERS) {
        let space = rest[..limit].rfind(char::is_whitespace);
        let (piece, tail) = rest.split_at(space.filter(|place| *place > 0).unwrap_or(limit));
        pieces.push(piece.trim_end());
        rest = tail.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_sentences_share_a_part_and_long_ones_do_not() {
        assert_eq!(
            parts("Hi. I am \"Ada.\" And you?"),
            ["Hi. I am \"Ada.\" And you?"]
        );
        let long = "word ".repeat(59) + "end.";
        assert_eq!(
            parts(&format!("{long} {long} Bye.")),
            [long.clone(), long, "Bye.".to_owned()]
        );
    }

    #[test]
    fn decimals_and_addresses_are_not_ends_of_sentences() {
        assert_eq!(
            sentences("It is 3.5 at a.example. Good!"),
            ["It is 3.5 at a.example.", "Good!"]
        );
    }

    #[test]
    fn what_has_no_sentences_is_cut_between_words_and_what_has_no_words_anywhere() {
        let words = "word ".repeat(450);
        assert!(parts(&words).iter().all(|part| part.ends_with("word")));
        let lengths: Vec<usize> = parts(&"ä".repeat(2_500))
            .iter()
            .map(|p| length(p))
            .collect();
        assert_eq!(lengths, [1_000, 1_000, 500]);
    }

    #[test]
    fn nothing_has_no_parts() {
        assert!(parts(" \n\t ").is_empty());
    }

    proptest! {
        #[test]
        fn nothing_but_whitespace_is_lost_and_every_part_fits(text in "([a-zä.!?\" \n]{0,40}|[^\\s]{0,1500}){0,12}") {
            let parts = parts(&text);
            prop_assert!(parts.iter().all(|part| !part.trim().is_empty() && length(part) <= MAX_TEXT_CHARACTERS));
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(plain(&parts.concat()), plain(&text));
        }
    }
}
