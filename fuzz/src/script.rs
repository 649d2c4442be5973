//! Scripts: inputs that are a sequence of steps, one a line.

use jiff::Timestamp;

/// How many steps of an input are taken; more only make a run slow.
pub(crate) const MAX_STEPS: usize = 60;

/// When every story begins.
pub(crate) fn start_of_time() -> Timestamp {
    "2026-12-01T12:00:00Z"
        .parse()
        .expect("the text is a timestamp")
}

/// The steps of a script: a word and what stands behind it. What is no UTF-8 is read as well as it can be.
pub(crate) fn steps(data: &[u8]) -> Vec<(String, String)> {
    String::from_utf8_lossy(data)
        .lines()
        .take(MAX_STEPS)
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            (word.to_owned(), rest.to_owned())
        })
        .collect()
}

/// The first number in the text, bounded; 0 if there is none.
pub(crate) fn number(text: &str, most: u64) -> u64 {
    let first = text.split(' ').next().unwrap_or_default();
    first.parse::<u64>().unwrap_or(0).min(most)
}

/// Stands for a text of absurd length, so that short inputs can have long parts.
const LONG: &str = "LONG";
const LONG_CHARACTERS: usize = 20_000;

/// Puts a long text wherever an input asks for one.
pub(crate) fn expand(text: &str) -> String {
    if text.contains(LONG) {
        // Once is enough to break a bound, and many would only take time.
        text.replacen(LONG, &"long ".repeat(LONG_CHARACTERS / 5), 1)
    } else {
        text.to_owned()
    }
}
