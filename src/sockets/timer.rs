//! A timer that calls back directly, without a promise: a session sets one every second or two.

use std::cell::RefCell;

use jiff::Timestamp;
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use worker::js_sys::Function;

use crate::clock;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, milliseconds: f64) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
}

/// One timer at a time; dropping it stops it.
pub(crate) struct Timer {
    callback: Closure<dyn FnMut()>,
    set: RefCell<Option<Set>>,
}

struct Set {
    at: Timestamp,
    id: JsValue,
}

impl Timer {
    /// Makes a timer that is not set; `ring` sees it as not set any more.
    pub(crate) fn new(ring: impl FnMut() + 'static) -> Self {
        Self {
            callback: Closure::wrap_assert_unwind_safe(Box::new(ring)),
            set: RefCell::new(None),
        }
    }

    /// Makes sure that the timer rings by `at`; one that rings earlier stays.
    pub(crate) fn set(&self, at: Timestamp) {
        let mut set = self.set.borrow_mut();
        if let Some(earlier) = &*set {
            if earlier.at <= at {
                return;
            }
            clear_timeout(&earlier.id);
        }
        let wait = at.duration_since(clock::now()).as_millis_f64().max(0.0);
        let id = set_timeout(self.callback.as_ref().unchecked_ref(), wait);
        *set = Some(Set { at, id });
    }

    /// The timer has rung.
    pub(crate) fn rang(&self) {
        self.set.replace(None);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(set) = self.set.take() {
            clear_timeout(&set.id);
        }
    }
}
