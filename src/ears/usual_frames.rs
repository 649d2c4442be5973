//! Frames of sound that look like the one before them, read and sent on by the runtime itself: see `usual_frames.js`.

use std::cell::RefCell;

use attache_meeting::vendors::recall::FrameForm;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use web_sys::MessageEvent;
use worker::js_sys::Function;

use crate::sockets::Socket;

/// The longest sound of a usual frame, two seconds; longer ones are read with care.
const ROOM: usize = 64 * 1024;

#[wasm_bindgen(module = "/src/ears/usual_frames.js")]
extern "C" {
    #[wasm_bindgen(js_name = decodeInto)]
    fn decode_into(memory: &JsValue, address: usize, length: usize);

    #[wasm_bindgen(js_name = UsualFrames)]
    type Reader;

    #[wasm_bindgen(constructor, js_class = "UsualFrames")]
    fn new(pass: &Function, careful: &Function) -> Reader;

    #[wasm_bindgen(method)]
    fn learn(this: &Reader, opening: &str, between: &str, closing: &str);

    #[wasm_bindgen(method, js_name = sendTo)]
    fn send_to(this: &Reader, socket: Option<&web_sys::WebSocket>);

    #[wasm_bindgen(method)]
    fn listener(this: &Reader) -> Function;
}

thread_local! {
    /// Where all frames are decoded, one after the other; it never moves.
    static SOUND: RefCell<Box<[u8]>> = RefCell::new(place());
}

fn place() -> Box<[u8]> {
    let place = vec![0; ROOM].into_boxed_slice();
    decode_into(&wasm_bindgen::memory(), place.as_ptr().addr(), ROOM);
    place
}

/// What the frames of one meeting look like.
pub(super) struct UsualFrames {
    reader: Reader,
    listener: Function,
    _pass: Closure<dyn FnMut(usize, f64, f64) -> bool>,
    _careful: Closure<dyn FnMut(MessageEvent)>,
}

impl UsualFrames {
    /// `pass` gets the sound of each usual frame, its time stamp and the time in milliseconds, and says whether it is
    /// to be sent as it is; `careful` gets every other frame.
    pub(super) fn new(
        mut pass: impl FnMut(&[u8], f64, f64) -> bool + 'static,
        mut careful: impl FnMut(&MessageEvent) + 'static,
    ) -> Self {
        // Before the first frame there must be a place for its sound.
        SOUND.with_borrow(|_| ());
        let pass: Closure<dyn FnMut(usize, f64, f64) -> bool> =
            Closure::wrap_assert_unwind_safe(Box::new(move |length, stamp, now| {
                SOUND.with_borrow(|sound| pass(&sound[..length], stamp, now))
            }));
        let careful: Closure<dyn FnMut(MessageEvent)> =
            Closure::wrap_assert_unwind_safe(Box::new(move |event| careful(&event)));
        let reader = Reader::new(
            pass.as_ref().unchecked_ref(),
            careful.as_ref().unchecked_ref(),
        );
        Self {
            listener: reader.listener(),
            reader,
            _pass: pass,
            _careful: careful,
        }
    }

    /// What takes the frames off a socket.
    pub(super) fn listener(&self) -> Function {
        self.listener.clone()
    }

    /// Takes note of what stands around the sound and the number of the time stamp.
    pub(super) fn learn(&self, form: &FrameForm) {
        self.reader.learn(form.opening, form.between, form.closing);
    }

    /// Sends sound to this socket from now on, or to none.
    pub(super) fn send_to(&self, socket: Option<&Socket>) {
        self.reader.send_to(socket.map(Socket::raw));
    }
}
