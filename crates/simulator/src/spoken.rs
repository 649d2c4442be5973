//! Which text is behind which audio, so that a test can say what the room heard.

use std::collections::HashMap;
use std::sync::Mutex;

/// Texts by the SHA-256 of the speech made for them.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    texts: Mutex<HashMap<String, String>>,
}

impl Spoken {
    pub(crate) fn remember(&self, sha256: String, text: &str) {
        self.lock().insert(sha256, text.to_owned());
    }

    pub(crate) fn text(&self, sha256: &str) -> Option<String> {
        self.lock().get(sha256).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.texts.lock().expect("no panic holds the texts")
    }
}
