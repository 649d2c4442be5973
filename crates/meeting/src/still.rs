//! The picture that stands for the agent in the call: its initials, its name and its company.
//!
//! Guarantees a valid JPEG of one size in bounded time, whatever the name is, and the same bytes for the same words.
//! Writes Latin, Greek and Cyrillic; words in other scripts are left out rather than shown as boxes.
//! Does not know who wants the picture or how it is sent.

mod canvas;
mod font;
mod words;

use canvas::{Canvas, Colour, HEIGHT, WIDTH};
use font::{CAPITAL_HEIGHT, Font};

/// Readers of names stop sooner; what is beyond would not fit in any size.
const MAX_CHARACTERS: usize = 200;
/// Leaves a margin for tiles that crop the sides.
const MAX_TEXT_WIDTH: f32 = 540.0;

const DISC_RADIUS: f32 = 66.0;
/// Two of the widest capitals still fit in the disc.
const INITIALS_SIZE: f32 = 54.0;
const NAME: Style = Style {
    size: 54.0,
    smallest: 30.0,
};
const COMPANY: Style = Style {
    size: 25.0,
    smallest: 19.0,
};
const GAP_ABOVE_NAME: f32 = 34.0;
const GAP_ABOVE_COMPANY: f32 = 26.0;

const WHITE: Colour = Colour(255.0, 255.0, 255.0);

/// The sizes of a text, in pixels per em: the one it has if it fits, and how far it may shrink.
struct Style {
    size: f32,
    smallest: f32,
}

/// Colours that go together: the background in its middle and its corners, and the disc.
struct Tone {
    middle: Colour,
    corner: Colour,
    disc: Colour,
}

/// Deep and calm, so that the white letters stand out; the name picks one.
static TONES: [Tone; 5] = [
    Tone {
        middle: Colour(43.0, 60.0, 110.0),
        corner: Colour(17.0, 23.0, 46.0),
        disc: Colour(84.0, 112.0, 201.0),
    },
    Tone {
        middle: Colour(22.0, 79.0, 92.0),
        corner: Colour(9.0, 31.0, 42.0),
        disc: Colour(38.0, 139.0, 150.0),
    },
    Tone {
        middle: Colour(76.0, 49.0, 97.0),
        corner: Colour(31.0, 19.0, 43.0),
        disc: Colour(143.0, 95.0, 178.0),
    },
    Tone {
        middle: Colour(31.0, 82.0, 64.0),
        corner: Colour(12.0, 34.0, 29.0),
        disc: Colour(56.0, 142.0, 109.0),
    },
    Tone {
        middle: Colour(93.0, 46.0, 67.0),
        corner: Colour(39.0, 18.0, 29.0),
        disc: Colour(180.0, 88.0, 117.0),
    },
];

/// Draws the still of an agent, as a JPEG of 640x360.
pub fn camera_still(name: &str, company: Option<&str>) -> Vec<u8> {
    let tone = tone(name);
    let font = Font::embedded();
    let name = legible(&font, name);
    let company = legible(&font, company.unwrap_or_default());

    let name_line = Line::fit(&font, &name, &NAME);
    let company_line = Line::fit(&font, &company, &COMPANY);
    let mut height = 2.0 * DISC_RADIUS;
    for (line, gap) in [
        (&name_line, GAP_ABOVE_NAME),
        (&company_line, GAP_ABOVE_COMPANY),
    ] {
        height += line.as_ref().map_or(0.0, |line| gap + line.height());
    }

    let mut canvas = Canvas::glowing(tone.middle, tone.corner);
    let mut y = (f32::from(HEIGHT) - height) / 2.0 + DISC_RADIUS;
    let disc = (f32::from(WIDTH) / 2.0, y);
    canvas.stroke(disc, disc, DISC_RADIUS, tone.disc);
    if let Some(text) = words::initials(&name, |letter| font.has(letter)) {
        let size = INITIALS_SIZE;
        let line = Line { text, size };
        line.draw(&mut canvas, &font, y + line.height() / 2.0, WHITE);
    } else {
        draw_voice(&mut canvas, disc);
    }
    y += DISC_RADIUS;
    if let Some(line) = name_line {
        y += GAP_ABOVE_NAME + line.height();
        line.draw(&mut canvas, &font, y, WHITE);
    }
    if let Some(line) = company_line {
        y += GAP_ABOVE_COMPANY + line.height();
        line.draw(&mut canvas, &font, y, tone.middle.mixed(WHITE, 0.7));
    }
    canvas.into_jpeg()
}

/// A text on one line, in the size that it fits in.
struct Line {
    text: String,
    size: f32,
}

impl Line {
    /// Shrinks the text as far as the style allows, then cuts it; `None` if there is nothing to show.
    fn fit(font: &Font, text: &str, style: &Style) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let size = style.size * (MAX_TEXT_WIDTH / font.width(text, style.size)).min(1.0);
        if size >= style.smallest {
            let text = text.to_owned();
            return Some(Self { text, size });
        }
        let size = style.smallest;
        let text = words::cut(text, |text| font.width(text, size) <= MAX_TEXT_WIDTH);
        Some(Self { text, size })
    }

    /// The height of its capitals.
    fn height(&self) -> f32 {
        CAPITAL_HEIGHT * self.size
    }

    /// Draws it centred, standing on a line this far down.
    fn draw(&self, canvas: &mut Canvas, font: &Font, baseline: f32, colour: Colour) {
        let left = (f32::from(WIDTH) - font.width(&self.text, self.size)) / 2.0;
        let shape = font.outline(&self.text, self.size, (left, baseline));
        canvas.fill(&shape, colour);
    }
}

fn legible(font: &Font, text: &str) -> String {
    let text: String = text.chars().take(MAX_CHARACTERS).collect();
    words::legible(&text, |letter| font.has(letter))
}

/// The bars of a voice, for an agent without initials.
fn draw_voice(canvas: &mut Canvas, (x, y): (f32, f32)) {
    for (offset, half) in [
        (-32.0, 6.0),
        (-16.0, 18.0),
        (0.0, 28.0),
        (16.0, 18.0),
        (32.0, 6.0),
    ] {
        canvas.stroke((x + offset, y - half), (x + offset, y + half), 4.5, WHITE);
    }
}

/// Picks by a small stable hash (FNV-1a), so that an agent keeps its colours.
fn tone(name: &str) -> &'static Tone {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    &TONES[hash as usize % TONES.len()]
}

#[cfg(test)]
mod tests;
