//! A timer that calls back directly, without a promise: a session needs a ring every second or two.

use std::{cell::RefCell, time::Duration};

use jiff::Timestamp;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use worker::js_sys::Function;

use crate::clock;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setInterval)]
    fn set_interval(callback: &Function, milliseconds: f64) -> JsValue;

    #[wasm_bindgen(js_name = clearInterval)]
    fn clear_interval(id: &JsValue);
}

/// So far from when it is due a timer may ring if that saves setting it anew, which costs more than the ring.
const SLACK: Duration = Duration::from_millis(100);

/// One timer at a time; dropping it stops it.
pub(crate) struct Timer {
    callback: Closure<dyn FnMut()>,
    set: RefCell<Option<Set>>,
}

/// The runtime rings every so often until it is told to stop.
struct Set {
    next: Timestamp,
    every: Duration,
    id: JsValue,
}

impl Timer {
    /// Makes a timer that is not set; it rings again and again unless `ring` stops it or sets it anew.
    pub(crate) fn new(ring: impl FnMut() + 'static) -> Self {
        Self {
            callback: Closure::wrap_assert_unwind_safe(Box::new(ring)),
            set: RefCell::new(None),
        }
    }

    /// Makes sure that the timer rings by `at`; one that rings earlier stays.
    pub(crate) fn set(&self, at: Timestamp) {
        if self.set.borrow().as_ref().is_some_and(|set| set.next <= at) {
            return;
        }
        self.stop();
        let wait = at.duration_since(clock::now()).as_millis_f64();
        // Rounded up, or it would ring within the millisecond before it is due, several times in a row.
        let wait = wait.ceil().max(0.0);
        let id = set_interval(self.callback.as_ref().unchecked_ref(), wait);
        let every = Duration::from_secs_f64(wait / 1e3);
        *self.set.borrow_mut() = Some(Set {
            next: at,
            every,
            id,
        });
    }

    /// The timer has rung too early, at `now`, and is to ring again at about `at`.
    pub(crate) fn rang_early(&self, now: Timestamp, at: Timestamp) {
        let again = self.set.borrow_mut().as_mut().is_some_and(|set| {
            set.next = now + set.every;
            // A shorter one would ring again and again until then.
            set.every > SLACK && set.next.duration_since(at).unsigned_abs() <= SLACK
        });
        if !again {
            self.stop();
            self.set(at);
        }
    }

    /// It rings no more until it is set.
    pub(crate) fn stop(&self) {
        if let Some(set) = self.set.take() {
            clear_interval(&set.id);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop();
    }
}
