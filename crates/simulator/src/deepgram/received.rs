//! The audio of a stream as it came: how much, which bytes, how fast.

use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::pace::Pace;
use crate::recall::ids::hex;

/// How much audio of a stream is kept for tests: about 17 minutes.
const MOST_KEPT: usize = 32 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Received {
    kept: Arc<Vec<u8>>,
    bytes: u64,
    sha256: Sha256,
    pace: Pace,
}

impl Received {
    pub(crate) fn add(&mut self, audio: &[u8]) {
        self.bytes += audio.len() as u64;
        self.sha256.update(audio);
    }

    /// Keeps the bytes themselves, while there is room.
    pub(crate) fn keep(&mut self, audio: &[u8]) {
        if self.kept.len() + audio.len() <= MOST_KEPT {
            Arc::make_mut(&mut self.kept).extend_from_slice(audio);
        }
    }

    /// Notes that this many seconds of audio came now.
    pub(crate) fn measure(&mut self, seconds: f64, now: Timestamp) {
        self.pace.note(seconds, now);
    }

    pub(crate) fn kept(&self) -> Arc<Vec<u8>> {
        self.kept.clone()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&self.sha256.clone().finalize())
    }

    pub(crate) fn too_fast(&self) -> Option<f64> {
        self.pace.too_fast()
    }
}
