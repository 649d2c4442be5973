use std::collections::BTreeSet;

use proptest::prelude::*;
use zune_jpeg::{JpegDecoder, zune_core::bytestream::ZCursor};

use super::*;

/// The vendor takes 1.3 MB; a still that needs more than this has got noise in it.
const MAX_BYTES: usize = 100_000;

/// The picture as another library reads it.
struct Picture {
    pixels: Vec<u8>,
    size: (usize, usize),
}

impl Picture {
    fn of(name: &str, company: Option<&str>) -> Self {
        let jpeg = camera_still(name, company);
        assert!(jpeg.len() < MAX_BYTES, "{} bytes", jpeg.len());
        let mut decoder = JpegDecoder::new(ZCursor::new(&jpeg));
        let pixels = decoder.decode().unwrap();
        let size = decoder.dimensions().unwrap();
        assert_eq!(pixels.len(), size.0 * size.1 * 3);
        Self { pixels, size }
    }

    /// Whether any pixel below the disc is as bright as the letters of a name.
    fn has_letters(&self) -> bool {
        let below = self.size.1 * 2 / 3;
        let rows = &self.pixels[below * self.size.0 * 3..];
        rows.chunks(3)
            .any(|pixel| pixel.iter().all(|level| *level > 200))
    }
}

fn legible(text: &str) -> String {
    super::legible(&Font::embedded(), text)
}

fn initials(text: &str) -> Option<String> {
    words::initials(&legible(text), |letter| Font::embedded().has(letter))
}

#[test]
fn the_still_has_the_size_of_a_camera() {
    assert_eq!(Picture::of("Ada", Some("Acme")).size, (640, 360));
}

#[test]
fn the_name_is_written_below_the_disc() {
    assert!(Picture::of("Ada", None).has_letters());
    assert!(!Picture::of("", None).has_letters());
}

#[test]
fn a_name_that_cannot_be_written_gives_way_to_a_plain_mark() {
    assert!(!Picture::of("李小龙", None).has_letters());
    assert_eq!(legible("李小龙"), "");
    assert_eq!(initials("李小龙"), None);
}

#[test]
fn different_agents_have_different_stills() {
    let agents = [
        ("Ada", None),
        ("Ada", Some("Acme")),
        ("Ada", Some("Apex")),
        ("Ida", Some("Acme")),
        ("Łukasz Żółć", Some("Acme")),
        ("Lukasz Zolc", Some("Acme")),
    ];
    let stills: BTreeSet<_> = agents
        .iter()
        .map(|(name, company)| camera_still(name, *company))
        .collect();
    assert_eq!(stills.len(), agents.len());
    assert!(stills.contains(&camera_still("Ada", None)));
}

#[test]
fn names_are_written_in_latin_greek_and_cyrillic() {
    for name in [
        "Łukasz Żółć",
        "Nguyễn Thị Ánh",
        "Οδυσσέας Ελύτης",
        "Игорь Стравинский",
        "O’Brien & Sons, Inc.",
    ] {
        assert_eq!(legible(name), name);
    }
}

#[test]
fn accents_in_pieces_are_put_together() {
    assert_eq!(legible("Z\u{307}o\u{301}łc\u{301}"), "Żółć");
}

#[test]
fn what_cannot_be_written_is_left_out_by_the_word() {
    assert_eq!(legible("  Ada\t🚀 \u{202e}Lovelace\u{0}\n"), "Ada Lovelace");
    assert_eq!(legible("Acme 株式会社"), "Acme");
    assert_eq!(legible("Ada李 Lovelace"), "Lovelace");
    assert_eq!(legible("אדה (-)"), "");
}

#[test]
fn initials_are_of_the_first_and_the_last_word() {
    assert_eq!(initials("ada").as_deref(), Some("A"));
    assert_eq!(initials("Ludwig van Beethoven").as_deref(), Some("LB"));
    assert_eq!(initials("łukasz żółć").as_deref(), Some("ŁŻ"));
    assert_eq!(initials("ßeta 7").as_deref(), Some("ß7"));
    assert_eq!(initials("Ada (AI)").as_deref(), Some("A"));
    assert_eq!(initials("(AI)"), None);
}

#[test]
fn a_long_name_shrinks_and_then_is_cut() {
    let font = Font::embedded();
    let fit = |text: &str| Line::fit(&font, text, &NAME).unwrap();

    let short = fit("Ada");
    assert_eq!((short.text.as_str(), short.size), ("Ada", NAME.size));

    let double = fit("Anna-Maria Lindström-Bergqvist");
    assert_eq!(double.text, "Anna-Maria Lindström-Bergqvist");
    assert!(double.size < NAME.size && double.size >= NAME.smallest);

    let long = fit("Wolfgang Amadeus Maximilian von und zu Hohenlohe");
    assert!(long.text.starts_with("Wolfgang Amadeus"), "{}", long.text);
    assert!(long.text.ends_with('…'), "{}", long.text);
    assert!(font.width(&long.text, long.size) <= MAX_TEXT_WIDTH);
}

/// Words as people have them, and as nobody should.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,200}",
        "[A-Za-zÀ-ž .'-]{0,100}",
        "[WM@…]{100,300}",
        "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{200f}\u{2028}-\u{202e}\u{2066}-\u{2069}]{0,100}",
        "[א-תء-ي \u{300}-\u{36f}a-zΑ-ωА-я]{0,100}",
    ]
}

proptest! {
    // Each case draws and decodes a whole picture.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_name_gives_a_still(name in text(), company in proptest::option::of(text())) {
        let picture = Picture::of(&name, company.as_deref());
        prop_assert_eq!(picture.size, (640, 360));
    }
}

proptest! {
    #[test]
    fn only_what_the_font_has_is_written_and_it_fits(text in text()) {
        let font = Font::embedded();
        if let Some(line) = Line::fit(&font, &legible(&text), &NAME) {
            prop_assert!(line.text.chars().all(|character| font.has(character)));
            // The sum of many widths is not exact.
            prop_assert!(font.width(&line.text, line.size) <= MAX_TEXT_WIDTH + 0.1);
        }
    }
}
