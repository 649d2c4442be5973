//! The letters: which ones there are, how wide they are and what they look like.

use ab_glyph_rasterizer::{Point, Rasterizer, point};
use ttf_parser::{GlyphId, OutlineBuilder, RawFace, Tag, cmap, glyf, head, hhea, hmtx, loca, maxp};

use super::canvas::{HEIGHT, WIDTH};

/// Open Sans, cut down to what names need; see the README beside it.
const OPEN_SANS: &[u8] = include_bytes!("font/open-sans-semibold.ttf");

/// How high capitals are, in ems; the font itself does not say.
pub(super) const CAPITAL_HEIGHT: f32 = 0.714;

/// The font that is part of the program.
///
/// Its tables are read one by one: the library's `Face` also brings every kind of outline that this font has not.
pub(super) struct Font {
    units_per_em: f32,
    characters: cmap::Subtable<'static>,
    advances: hmtx::Table<'static>,
    outlines: glyf::Table<'static>,
}

impl Font {
    pub(super) fn embedded() -> Self {
        Self::parse(OPEN_SANS).expect("the font is a constant that parses")
    }

    fn parse(data: &'static [u8]) -> Option<Self> {
        let file = RawFace::parse(data, 0).ok()?;
        let table = |name| file.table(Tag::from_bytes(name));
        let head = head::Table::parse(table(b"head")?)?;
        let glyphs = maxp::Table::parse(table(b"maxp")?)?.number_of_glyphs;
        let metrics = hhea::Table::parse(table(b"hhea")?)?.number_of_metrics;
        let offsets = loca::Table::parse(glyphs, head.index_to_location_format, table(b"loca")?)?;
        let mut subtables = cmap::Table::parse(table(b"cmap")?)?.subtables.into_iter();
        Some(Self {
            units_per_em: head.units_per_em.into(),
            characters: subtables.find(cmap::Subtable::is_unicode)?,
            advances: hmtx::Table::parse(metrics, glyphs, table(b"hmtx")?)?,
            outlines: glyf::Table::parse(offsets, table(b"glyf")?)?,
        })
    }

    /// Whether there is a picture of this character.
    pub(super) fn has(&self, character: char) -> bool {
        self.glyph(character).is_some()
    }

    /// The width of a text, in pixels.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let units: f32 = text.chars().map(|character| self.advance(character)).sum();
        units * self.scale(size)
    }

    /// The shape of a text that begins at a point of its baseline.
    pub(super) fn outline(&self, text: &str, size: f32, start: (f32, f32)) -> Rasterizer {
        let scale = self.scale(size);
        let mut pen = Pen {
            shape: Rasterizer::new(WIDTH.into(), HEIGHT.into()),
            origin: point(start.0, start.1),
            scale,
            contour: point(0.0, 0.0),
            last: point(0.0, 0.0),
        };
        for character in text.chars() {
            if let Some(glyph) = self.glyph(character) {
                self.outlines.outline(glyph, &mut pen);
            }
            pen.origin.x += self.advance(character) * scale;
        }
        pen.shape
    }

    /// Glyph 0 is the box that stands for what a font lacks.
    fn glyph(&self, character: char) -> Option<GlyphId> {
        let glyph = self.characters.glyph_index(character.into())?;
        (glyph != GlyphId(0)).then_some(glyph)
    }

    fn advance(&self, character: char) -> f32 {
        let advance = self
            .glyph(character)
            .and_then(|glyph| self.advances.advance(glyph));
        f32::from(advance.unwrap_or_default())
    }

    fn scale(&self, size: f32) -> f32 {
        size / self.units_per_em
    }
}

/// Draws outlines from font units into pixels.
struct Pen {
    shape: Rasterizer,
    origin: Point,
    scale: f32,
    contour: Point,
    last: Point,
}

impl Pen {
    /// Fonts count upwards, pictures downwards.
    fn place(&self, x: f32, y: f32) -> Point {
        point(
            self.origin.x + x * self.scale,
            self.origin.y - y * self.scale,
        )
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.contour = self.place(x, y);
        self.last = self.contour;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let to = self.place(x, y);
        self.shape.draw_line(self.last, to);
        self.last = to;
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let to = self.place(x, y);
        self.shape.draw_quad(self.last, self.place(x1, y1), to);
        self.last = to;
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let to = self.place(x, y);
        self.shape
            .draw_cubic(self.last, self.place(x1, y1), self.place(x2, y2), to);
        self.last = to;
    }

    fn close(&mut self) {
        self.shape.draw_line(self.last, self.contour);
        self.last = self.contour;
    }
}
