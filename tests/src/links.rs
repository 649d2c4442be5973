//! Links of meetings.

/// A Google Meet link; the letters are the number.
pub fn google_meet(number: u64) -> String {
    let mut left = number;
    let mut letters = || {
        let letter = char::from(b'a' + u8::try_from(left % 26).unwrap_or(0));
        left /= 26;
        letter
    };
    let code: String = (0..10).map(|_| letters()).collect();
    let (first, second, third) = (&code[..3], &code[3..7], &code[7..]);
    format!("https://meet.google.com/{first}-{second}-{third}")
}
