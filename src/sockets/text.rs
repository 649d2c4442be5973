//! Text of frames, brought into wasm the cheap way.
//!
//! wasm-bindgen copies a string character by character, which takes about ten times as long for a frame of sound as
//! the runtime's own encoder, and allocates; here the encoder writes into a buffer that is kept.

use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use worker::js_sys::JsString;

#[wasm_bindgen]
extern "C" {
    type TextEncoder;

    #[wasm_bindgen(constructor)]
    fn new() -> TextEncoder;

    #[wasm_bindgen(method, js_name = encodeInto)]
    fn encode_into(this: &TextEncoder, text: &JsString, into: &mut [u8]) -> Encoded;

    type Encoded;

    #[wasm_bindgen(method, getter)]
    fn written(this: &Encoded) -> u32;
}

/// The most bytes one UTF-16 unit takes in UTF-8.
const BYTES_PER_UNIT: usize = 3;
/// The longest text that is read; ten seconds of sound have less than half of it.
const MAX_UNITS: u32 = 1024 * 1024;
/// A buffer that has grown beyond this, by a frame that is no frame of sound, is given back.
const KEPT_BYTES: usize = 64 * 1024;

/// Reads text frames one after the other.
pub(crate) struct TextReader {
    encoder: TextEncoder,
    buffer: Vec<u8>,
}

impl TextReader {
    pub(crate) fn new() -> Self {
        Self {
            encoder: TextEncoder::new(),
            buffer: Vec::new(),
        }
    }

    /// Gives the text of a frame, or says what it is instead.
    pub(crate) fn read(&mut self, data: &JsValue) -> Result<&str, &'static str> {
        let text: &JsString = data.dyn_ref().ok_or("a binary frame")?;
        if text.length() > MAX_UNITS {
            return Err("a frame of more than a megabyte");
        }
        let room = text.length() as usize * BYTES_PER_UNIT;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        } else if self.buffer.len() > KEPT_BYTES.max(room) {
            self.buffer = vec![0; room];
        }
        let written = self.encoder.encode_into(text, &mut self.buffer).written() as usize;
        std::str::from_utf8(&self.buffer[..written]).map_err(|_| "a frame of broken text")
    }
}
