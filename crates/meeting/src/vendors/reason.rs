//! Makes the words of others, a vendor's or a page's, fit for a timeline: one short line without secrets.

/// How much of a vendor's text is kept, in characters; enough for a sentence or two.
const MAX_CHARACTERS: usize = 200;
/// How much of a vendor's text is looked at, in bytes, so that a huge error page costs nothing.
const MAX_BYTES: usize = 4 * MAX_CHARACTERS;
/// From this length on, letters and digits in a row are taken for a credential; ids of the vendors
/// are UUIDs or shorter.
const OPAQUE_LENGTH: usize = 32;

/// The longest error code that is believed to be one.
const MAX_CODE_LENGTH: usize = 64;

/// Takes a vendor's error code if it looks like one: a short word.
pub(crate) fn code(text: &str) -> Option<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+');
    let code = (1..=MAX_CODE_LENGTH).contains(&text.len()) && text.bytes().all(word);
    (code && star(text) == text).then(|| text.to_owned())
}

/// Shortens vendor text to one line, cuts URLs down to their host and stars what looks like a key.
pub(crate) fn tidy(text: &str) -> String {
    let head = &text[..text.floor_char_boundary(MAX_BYTES)];
    let words = head.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(tidy_word)
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn tidy_word(word: &str) -> String {
    match word.find("://") {
        Some(scheme_end) => {
            let rest = &word[scheme_end + 3..];
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{}://{}/…", star(&word[..scheme_end]), star(host))
        }
        None => star(word),
    }
}

/// Replaces long runs of letters and digits, base64 included, by stars.
fn star(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/')
            .unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        let opaque = run.len() >= OPAQUE_LENGTH && run.bytes().any(|b| b.is_ascii_digit());
        out.push_str(if opaque { "***" } else { run });
        let separator = tail.chars().next().map_or(0, char::len_utf8);
        out.push_str(&tail[..separator]);
        rest = &tail[separator..];
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_words_and_ids_pass() {
        let text = "Bot 6e1f5adb-3340-4f50-900d-9aa2cdc53d6c: timeout_exceeded_recording_permission_denied";
        assert_eq!(tidy(text), text);
    }

    #[test]
    fn urls_lose_everything_after_the_host() {
        assert_eq!(
            tidy("cannot reach https://user:pw@bucket.example.com/a/b?X-Sig=1&k=2 now"),
            "cannot reach https://bucket.example.com/… now"
        );
    }

    #[test]
    fn keys_are_starred() {
        let key = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            tidy(&format!("key sk_{key}, Token {key}")),
            "key sk_***, Token ***"
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        assert_eq!(
            tidy("\u{1b}]0;owned\u{7}all is \u{9b}2Jwell\u{0}\r\n"),
            "]0;owned all is 2Jwell"
        );
    }

    #[test]
    fn long_and_broken_text_becomes_one_short_line() {
        let tidied = tidy(&"so many words\n\t".repeat(1_000));
        assert_eq!(tidied.chars().count(), MAX_CHARACTERS + 1);
        assert!(!tidied.contains('\n'));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_grows_beyond_the_bound(text: String) {
            let tidied = tidy(&text);
            prop_assert!(tidied.chars().count() <= MAX_CHARACTERS + 1);
            prop_assert!(!tidied.contains(char::is_control));
        }
    }
}
