//! The socket of a session: which connection is the one that counts, and what leaves on it.

use jiff::Timestamp;
use serde_json::Value;

use super::Session;
use crate::avatar::state::{AvatarFault, AvatarNews};
use crate::deepgram::Side;

/// What the browser's and the runtime's side calls a connection that ended without a close frame.
const NO_CLOSE_FRAME: u16 = 1006;

/// A frame for the client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Out {
    Text(Value),
    Close { code: u16, reason: String },
}

#[derive(Debug, Default)]
pub(super) struct Wire {
    opened: usize,
    stage: Stage,
    /// When it will be connected.
    connects_at: Option<Timestamp>,
    mute: bool,
    broken: Option<AvatarFault>,
    out: Vec<Out>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Closed,
    Open,
    Connected,
}

impl Wire {
    pub(super) fn opened(&self) -> usize {
        self.opened
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stage == Stage::Connected
    }

    pub(super) fn connects_at(&self) -> Option<Timestamp> {
        self.connects_at
    }

    pub(super) fn mute(&mut self) {
        self.mute = true;
    }

    pub(super) fn break_off(&mut self, how: &AvatarFault) {
        self.broken = Some(how.clone());
        self.connects_at = None;
    }

    pub(super) fn say(&mut self, message: Value) {
        if self.is_open() && !self.mute && self.broken.is_none() {
            self.out.push(Out::Text(message));
        }
    }
}

impl Session {
    /// A connection was made; it is the one that counts from now on. Returns its number.
    pub(crate) fn socket_opened(&mut self, now: Timestamp) -> usize {
        if self.wire.is_open() {
            self.violation(now, "a second socket while the first is open".to_owned());
        }
        let connects_at = self.terms.habits.connects_after.map(|after| now + after);
        self.wire = Wire {
            opened: self.wire.opened + 1,
            stage: Stage::Open,
            connects_at,
            ..Wire::default()
        };
        self.note(now, AvatarNews::SocketOpened);
        if self.ended.is_none() {
            self.tell_session_state("connecting");
        }
        self.wire.opened
    }

    /// Whether a connection is open whose end would be read.
    pub(crate) fn has_socket(&self) -> bool {
        self.wire.is_open() && self.wire.broken.is_none()
    }

    /// Whether this connection is the one that counts.
    pub(crate) fn is_current(&self, socket: usize) -> bool {
        self.wire.is_open() && self.wire.opened == socket
    }

    /// How the connection is to break, where that is not a frame.
    pub(crate) fn broken_off(&self) -> Option<&AvatarFault> {
        self.wire.broken.as_ref()
    }

    pub(super) fn connected(&mut self, now: Timestamp) {
        self.wire.connects_at = None;
        self.wire.stage = Stage::Connected;
        self.note(now, AvatarNews::Connected);
        self.tell_session_state("connected");
    }

    pub(crate) fn take_out(&mut self) -> Vec<Out> {
        std::mem::take(&mut self.wire.out)
    }

    /// Closes the socket from the vendor's side.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        if self.wire.is_open() && self.wire.broken.is_none() {
            let reason = reason.to_owned();
            self.wire.out.push(Out::Close { code, reason });
        }
    }

    /// A connection is over, by a close frame or without one.
    pub(crate) fn socket_gone(
        &mut self,
        socket: usize,
        code: Option<u16>,
        by: Side,
        now: Timestamp,
    ) {
        if !self.is_current(socket) {
            return;
        }
        self.wire.stage = Stage::Closed;
        self.wire.connects_at = None;
        let code = code.unwrap_or(NO_CLOSE_FRAME);
        self.note(now, AvatarNews::SocketClosed { code, by });
    }
}
