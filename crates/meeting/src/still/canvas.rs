//! Pixels: a background, soft-edged shapes over it, and the way out as a JPEG.

use ab_glyph_rasterizer::Rasterizer;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, rgb_to_ycbcr};

/// The size that the vendor advises for a camera.
pub(super) const WIDTH: u16 = 640;
pub(super) const HEIGHT: u16 = 360;
const PIXELS: usize = WIDTH as usize * HEIGHT as usize;

/// No ringing around letters is seen from here on; a picture takes 15 to 30 KB.
const QUALITY: u8 = 90;

/// Where the background is brightest, and how far from there it is darkest.
const GLOW: (f32, f32) = (320.0, 130.0);
const GLOW_RADIUS: f32 = 420.0;

/// Red, green and blue, from 0 to 255.
#[derive(Clone, Copy)]
pub(super) struct Colour(pub(super) f32, pub(super) f32, pub(super) f32);

impl Colour {
    /// Mixes in a share (0 to 1) of another colour.
    pub(super) fn mixed(self, other: Self, share: f32) -> Self {
        let mix = |from: f32, to: f32| from + (to - from) * share;
        Self(
            mix(self.0, other.0),
            mix(self.1, other.1),
            mix(self.2, other.2),
        )
    }
}

/// The picture while it is drawn.
pub(super) struct Canvas {
    pixels: Vec<Colour>,
}

impl Canvas {
    /// Starts with a background that darkens from the middle.
    pub(super) fn glowing(middle: Colour, corner: Colour) -> Self {
        let mut canvas = Self {
            pixels: vec![middle; PIXELS],
        };
        canvas.paint(corner, |x, y| {
            let far = (length(x - GLOW.0, y - GLOW.1) / GLOW_RADIUS).min(1.0);
            far * far * (3.0 - 2.0 * far)
        });
        canvas
    }

    /// Draws a line with round ends; from a point to itself it is a disc.
    pub(super) fn stroke(&mut self, from: (f32, f32), to: (f32, f32), radius: f32, colour: Colour) {
        let along = (to.0 - from.0, to.1 - from.1);
        let square = (along.0 * along.0 + along.1 * along.1).max(f32::MIN_POSITIVE);
        self.paint(colour, |x, y| {
            let (x, y) = (x - from.0, y - from.1);
            let nearest = ((x * along.0 + y * along.1) / square).clamp(0.0, 1.0);
            radius + 0.5 - length(x - nearest * along.0, y - nearest * along.1)
        });
    }

    /// Fills a shape of the size of the canvas.
    pub(super) fn fill(&mut self, shape: &Rasterizer, colour: Colour) {
        shape.for_each_pixel(|index, covered| self.blend(index, colour, covered));
    }

    /// Encodes what was drawn.
    pub(super) fn into_jpeg(self) -> Vec<u8> {
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, QUALITY)
            .encode_image(self)
            .expect("a vector takes all bytes of a picture that is not empty");
        jpeg
    }

    /// Covers each pixel as far as its centre asks for.
    fn paint(&mut self, colour: Colour, covered: impl Fn(f32, f32) -> f32) {
        let mut index = 0;
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let covered = covered(f32::from(x) + 0.5, f32::from(y) + 0.5);
                self.blend(index, colour, covered);
                index += 1;
            }
        }
    }

    fn blend(&mut self, index: usize, colour: Colour, covered: f32) {
        if covered <= 0.0 {
            return;
        }
        if let Some(pixel) = self.pixels.get_mut(index) {
            *pixel = pixel.mixed(colour, covered.min(1.0));
        }
    }
}

/// Handing over pixels this way leaves the encoder's code for all other layouts out of the program.
impl ImageBuffer for Canvas {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        WIDTH
    }

    fn height(&self) -> u16 {
        HEIGHT
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let row = usize::from(y) * usize::from(WIDTH);
        for Colour(red, green, blue) in self.pixels.iter().skip(row).take(WIDTH.into()) {
            let (luma, blueness, redness) = rgb_to_ycbcr(byte(*red), byte(*green), byte(*blue));
            buffers[0].push(luma);
            buffers[1].push(blueness);
            buffers[2].push(redness);
        }
    }
}

/// Unlike `hypot`, a square root is the same to the bit on every machine.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and colours are within a byte"
)]
fn byte(level: f32) -> u8 {
    (level + 0.5) as u8
}
