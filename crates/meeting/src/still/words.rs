//! What of a text can be shown: its legible words, its beginning, its initials.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Stands for what was cut off.
const ELLIPSIS: char = '…';

/// Keeps the words whose letters all have a picture, one space between them.
///
/// A word that lacks a letter would be another word, so it goes as a whole; symbols, controls and marks just go.
pub(super) fn legible(text: &str, has: impl Fn(char) -> bool) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let mut shown = String::new();
    for word in
        composed.split(|character: char| character.is_whitespace() || character.is_control())
    {
        let missing = |character: char| character.is_alphanumeric() && !has(character);
        if word.chars().any(missing) {
            continue;
        }
        let word: String = word.chars().filter(|character| has(*character)).collect();
        if word.is_empty() {
            continue;
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(&word);
    }
    // Punctuation alone is no name.
    if !shown.contains(char::is_alphanumeric) {
        shown.clear();
    }
    shown
}

/// Cuts a text that does not fit, and says so with an ellipsis.
pub(super) fn cut(text: &str, fits: impl Fn(&str) -> bool) -> String {
    let shortened = |end: usize| {
        let kept = text[..end].trim_end();
        format!("{kept}{ELLIPSIS}")
    };
    text.char_indices()
        .rev()
        .map(|(end, _)| shortened(end))
        .find(|text| fits(text))
        .unwrap_or_default()
}

/// The initials of the first and the last word; those in brackets and the like do not count.
pub(super) fn initials(text: &str, has: impl Fn(char) -> bool) -> Option<String> {
    let mut letters = text
        .split(' ')
        .filter_map(|word| word.chars().next())
        .filter(|character| character.is_alphanumeric())
        .map(|letter| capital(letter, &has));
    let first = letters.next()?;
    Some(
        [Some(first), letters.next_back()]
            .into_iter()
            .flatten()
            .collect(),
    )
}

/// The capital of a letter, or the letter if it has none that is one letter and has a picture.
fn capital(letter: char, has: impl Fn(char) -> bool) -> char {
    let mut capitals = letter.to_uppercase();
    match (capitals.next(), capitals.next()) {
        (Some(capital), None) if has(capital) => capital,
        _ => letter,
    }
}
