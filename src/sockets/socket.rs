//! A WebSocket whose frames arrive by plain calls.
//!
//! The `worker` crate turns events into a stream, which costs a queue entry and a wake-up for each frame. A frame of
//! sound comes up to fifty times a second for each meeting, so here the runtime calls straight into the code that
//! handles it.

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{BinaryType, CloseEvent, MessageEvent};
use worker::{Result, WebSocket, js_sys::Function};

type Listener<T> = Closure<dyn FnMut(T)>;

/// An accepted WebSocket; dropping it takes the listeners off and closes it.
pub(crate) struct Socket {
    inner: WebSocket,
    message: Function,
    close: Listener<CloseEvent>,
    _owned: Option<Listener<MessageEvent>>,
}

impl Socket {
    /// Accepts a socket and calls back from now on: for each frame, and once at its end, with code and reason.
    pub(crate) fn accept(
        socket: WebSocket,
        mut on_message: impl FnMut(&MessageEvent) + 'static,
        on_close: impl FnMut(u16, String) + 'static,
    ) -> Result<Self> {
        let message: Listener<MessageEvent> =
            Closure::wrap_assert_unwind_safe(Box::new(move |event| on_message(&event)));
        let function = message.as_ref().unchecked_ref::<Function>().clone();
        Self::listen(socket, function, Some(message), on_close)
    }

    /// The same, with a listener of JavaScript's, which must outlive the socket.
    pub(crate) fn accept_with(
        socket: WebSocket,
        message: Function,
        on_close: impl FnMut(u16, String) + 'static,
    ) -> Result<Self> {
        Self::listen(socket, message, None, on_close)
    }

    fn listen(
        socket: WebSocket,
        message: Function,
        owned: Option<Listener<MessageEvent>>,
        mut on_close: impl FnMut(u16, String) + 'static,
    ) -> Result<Self> {
        let raw: &web_sys::WebSocket = socket.as_ref();
        // Otherwise binary frames come as blobs, which cannot be read at once.
        raw.set_binary_type(BinaryType::Arraybuffer);
        let close: Listener<CloseEvent> =
            Closure::wrap_assert_unwind_safe(Box::new(move |event: CloseEvent| {
                on_close(event.code(), event.reason());
            }));
        raw.add_event_listener_with_callback("message", &message)?;
        raw.add_event_listener_with_callback("close", close.as_ref().unchecked_ref())?;
        socket.accept()?;
        Ok(Self {
            inner: socket,
            message,
            close,
            _owned: owned,
        })
    }

    /// The runtime's own socket.
    pub(crate) fn raw(&self) -> &web_sys::WebSocket {
        self.inner.as_ref()
    }

    /// Sends a text frame; a socket that has gone says so by its close event.
    pub(crate) fn send_text(&self, text: &str) {
        self.inner.send_with_str(text).ok();
    }

    /// Sends a binary frame; the same holds.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) {
        // This is a view of wasm's memory, not a copy: `send` takes its own, as the WebSocket standard demands. The
        // scenarios of listening would see it if it did not, as the next frame is read into the same memory.
        self.raw().send_with_u8_array(bytes).ok();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        for (name, listener) in [
            ("message", &self.message),
            ("close", self.close.as_ref().unchecked_ref()),
        ] {
            self.raw()
                .remove_event_listener_with_callback(name, listener)
                .ok();
        }
        self.inner.close(Some(1000), Some("")).ok();
    }
}
