//! One utterance of an avatar: its sound, the pieces it came in, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::state::{AvatarChunk, AvatarUtterance, AvatarUtteranceState as State};
use crate::recall::ids::hex;
use crate::spoken::Spoken;

/// Samples per second of everything an avatar says.
pub(crate) const SAMPLE_RATE: u32 = 24_000;
const BYTES_PER_SECOND: usize = SAMPLE_RATE as usize * 2;
/// How much of an utterance's sound is kept: about three minutes, longer than anything an agent says
/// in one go.
const MOST_KEPT: usize = 8 * 1024 * 1024;

/// How long so many bytes of sound last.
pub(crate) fn lasts(bytes: usize) -> Duration {
    let nanoseconds = bytes as u128 * 1_000_000_000 / BYTES_PER_SECOND as u128;
    Duration::from_nanos(u64::try_from(nanoseconds).expect("no utterance lasts centuries"))
}

/// A piece of sound, when it came and when it is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) at: Timestamp,
    pub(crate) bytes: usize,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Utterance {
    pub(crate) event_id: Option<String>,
    pub(crate) state: State,
    pub(crate) committed_at: Option<Timestamp>,
    pub(crate) began_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    pieces: Vec<Piece>,
    pcm: Arc<Vec<u8>>,
    bytes: u64,
    sha256: Sha256,
    heard: Duration,
    text: Option<String>,
    whole: bool,
    /// The rate the sound was made at, where that is known.
    pub(crate) made_at: Option<u32>,
}

impl Utterance {
    pub(crate) fn new(event_id: Option<&str>) -> Self {
        Self {
            event_id: event_id.map(str::to_owned),
            state: State::Queued,
            committed_at: None,
            began_at: None,
            ended_at: None,
            pieces: Vec::new(),
            pcm: Arc::default(),
            bytes: 0,
            sha256: Sha256::new(),
            heard: Duration::ZERO,
            text: None,
            whole: false,
            made_at: None,
        }
    }

    pub(crate) fn add(&mut self, pcm: &[u8], piece: Piece) {
        self.pieces.push(piece);
        self.bytes += pcm.len() as u64;
        self.sha256.update(pcm);
        if self.pcm.len() + pcm.len() <= MOST_KEPT {
            Arc::make_mut(&mut self.pcm).extend_from_slice(pcm);
        }
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended_at.is_some()
    }

    pub(crate) fn begins_at(&self) -> Option<Timestamp> {
        self.pieces.first().map(|piece| piece.from)
    }

    /// When it will have been said, if no more sound can come.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        let last = self.pieces.last()?;
        self.committed_at.map(|committed| committed.max(last.until))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Finds out which text the sound so far was made for.
    pub(crate) fn recognise(&mut self, spoken: &Spoken) {
        if self.text.is_none() && self.bytes == self.pcm.len() as u64 {
            let found = spoken.recognise(&self.pcm);
            (self.text, self.whole, self.made_at) = (found.text, found.whole, found.rate);
        }
    }

    /// The text is known: it came as text.
    pub(crate) fn was_told(&mut self, text: &str) {
        self.text = Some(text.to_owned());
        self.whole = true;
    }

    pub(crate) fn was_said(&mut self, at: Timestamp) {
        self.state = State::Spoken;
        self.ended_at = Some(at);
        self.heard = self.pieces.iter().map(|piece| lasts(piece.bytes)).sum();
    }

    pub(crate) fn cut_at(&mut self, at: Timestamp, scale: f64, state: State) {
        self.heard = self.heard_by(at, scale);
        self.ended_at = Some(at);
        self.state = state;
    }

    /// How much of it was said by then, in meeting time.
    fn heard_by(&self, at: Timestamp, scale: f64) -> Duration {
        let of_piece = |piece: &Piece| {
            let said = at.min(piece.until).duration_since(piece.from);
            Duration::try_from(said).unwrap_or_default().mul_f64(scale)
        };
        self.pieces.iter().map(of_piece).sum()
    }

    pub(crate) fn view(&self, now: Timestamp, scale: f64, spoken: &Spoken) -> AvatarUtterance {
        let found = || (!self.is_over()).then(|| spoken.recognise(&self.pcm));
        let text = self.text.clone().or_else(|| found()?.text);
        AvatarUtterance {
            event_id: self.event_id.clone(),
            text,
            whole: self.whole,
            bytes: self.bytes,
            sha256: hex(&self.sha256.clone().finalize()),
            pcm: self.pcm.clone(),
            chunks: self
                .pieces
                .iter()
                .map(|piece| AvatarChunk {
                    at: piece.at,
                    duration: lasts(piece.bytes),
                })
                .collect(),
            committed_at: self.committed_at,
            began_at: self.began_at,
            ended_at: self.ended_at,
            heard: if self.is_over() {
                self.heard
            } else {
                self.heard_by(now, scale)
            },
            state: self.state,
        }
    }
}
