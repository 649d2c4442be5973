//! One real-time endpoint that gets the sound of the call: its connections, the frames due on
//! them, and what was sent.
//!
//! | Now | What happens | Then |
//! | --- | --- | --- |
//! | to be dialled | its time has come | dialling |
//! | dialling | the handshake succeeds | open, the incident is over |
//! | dialling | it does not | to be dialled 3 s later; after the 30th retry, failed for good |
//! | open | the connection is lost or closed by the server | to be dialled 3 s later, a new incident |
//! | any but failed | the call ends | over: an open connection gets its last frames and is closed |
//!
//! It does no IO. Sound of the time without a connection is lost.

mod feed;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;

use super::frames::{Envelope, Outgoing};
use super::room::{BYTES_PER_SECOND, Room};
use super::sockets::{AudioConnection, AudioEnd};
use crate::audio_script::AudioFault;

/// After so many retries in a row the endpoint has failed.
const RETRIES: u32 = 30;
const RETRY_PAUSE: Duration = Duration::from_secs(3);
/// An endpoint that accepts and closes at once is dialled twenty times a minute; this is most of
/// an hour of it. The oldest are forgotten first.
const CONNECTIONS_KEPT: usize = 1_000;

/// What the sound of one endpoint is sent with and where it went.
#[derive(Debug)]
pub(crate) struct Ears {
    /// The place of its endpoint among the bot's.
    pub(crate) endpoint: usize,
    pub(crate) envelope: Envelope,
    frame: usize,
    pause: Duration,
    state: State,
    retry: u32,
    first_kept: usize,
    connections: VecDeque<Connection>,
    sent: VecDeque<SentFrame>,
    faults: VecDeque<AudioFault>,
    bad_signatures: usize,
    /// The connection that sends for the endpoint has sent, or missed, everything before this.
    dealt_with: usize,
    lost: usize,
    over: Option<Over>,
}

/// Where the endpoint is in the table above; the number is that of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ToDial(Timestamp),
    Dialling(usize),
    Open(usize),
    Failed,
    Done,
}

/// How the call ended for the socket.
#[derive(Clone, Copy, Debug)]
struct Over {
    /// The sound up to here is still sent.
    at: usize,
    close: Close,
}

/// What becomes of open connections at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    Properly(Timestamp),
    Broken,
}

#[derive(Debug)]
struct Connection {
    shown: AudioConnection,
    /// The next byte to send.
    cursor: usize,
    gap: usize,
    sizes: VecDeque<usize>,
    stalled_until: Option<Timestamp>,
    abort: bool,
    /// Frames sent on it, repeated ones included.
    frames: usize,
}

/// A frame that was sent, by the sound it holds.
#[derive(Clone, Debug)]
pub(crate) struct SentFrame {
    pub(crate) connection: usize,
    pub(crate) part: Range<usize>,
    pub(crate) repeated: bool,
}

/// A connection that has to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) connection: usize,
    pub(crate) bad_signature: bool,
}

/// What a connection has to do now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Nothing before this time.
    Wait(Timestamp),
    Send(Vec<Outgoing>),
    Close(u16),
    Abort,
}

/// What became of the endpoint when a connection was lost or not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    GoesOn,
    GivenUp,
}

impl Ears {
    /// Ears that are to be dialled now. Frames hold `frame` bytes.
    pub(crate) fn new(
        endpoint: usize,
        envelope: Envelope,
        frame: usize,
        retry_scale: f64,
        now: Timestamp,
    ) -> Self {
        Self {
            endpoint,
            envelope,
            frame,
            pause: RETRY_PAUSE.mul_f64(retry_scale),
            state: State::ToDial(now),
            retry: 0,
            first_kept: 0,
            connections: VecDeque::new(),
            sent: VecDeque::new(),
            faults: VecDeque::new(),
            bad_signatures: 0,
            dealt_with: 0,
            lost: 0,
            over: None,
        }
    }

    /// When there is something to dial.
    pub(crate) fn dial_due(&self) -> Option<Timestamp> {
        if let State::ToDial(at) = self.state {
            Some(at)
        } else {
            None
        }
    }

    /// The connection to be made, if it is time.
    pub(crate) fn dial(&mut self, now: Timestamp) -> Option<Dial> {
        self.dial_due().filter(|at| *at <= now)?;
        if self.connections.len() == CONNECTIONS_KEPT {
            self.connections.pop_front();
            self.first_kept += 1;
        }
        let number = self.first_kept + self.connections.len();
        self.connections.push_back(Connection {
            shown: AudioConnection::dialled(now),
            cursor: 0,
            gap: 0,
            sizes: VecDeque::new(),
            stalled_until: None,
            abort: false,
            frames: 0,
        });
        self.state = State::Dialling(number);
        let bad_signature = self.bad_signatures > 0;
        self.bad_signatures = self.bad_signatures.saturating_sub(1);
        Some(Dial {
            connection: number,
            bad_signature,
        })
    }

    /// The handshake succeeded. The first frame ends where frames do, and may be a short one.
    pub(crate) fn opened(&mut self, number: usize, room: &Room, now: Timestamp) {
        let cursor = room.place(now);
        let Some(connection) = self.connection(number) else {
            return;
        };
        connection.shown.opened_at = Some(now);
        connection.shown.status = Some(101);
        connection.cursor = cursor;
        if self.state == State::Dialling(number) {
            self.state = State::Open(number);
            self.retry = 0;
            if self.open_connections() == 1 {
                self.miss(cursor, room);
            }
            self.dealt_with = cursor;
        }
    }

    /// The handshake failed: with a status, or without an answer.
    pub(crate) fn refused(
        &mut self,
        number: usize,
        status: Option<u16>,
        error: String,
        now: Timestamp,
    ) -> Fate {
        if let Some(connection) = self.connection(number) {
            connection.shown.status = status;
            connection.shown.end = Some((now, AudioEnd::Broken(error)));
        }
        if self.state != State::Dialling(number) {
            return Fate::GoesOn;
        }
        if self.retry == RETRIES {
            self.state = State::Failed;
            return Fate::GivenUp;
        }
        self.dial_later(now);
        Fate::GoesOn
    }

    /// An open connection is gone, whoever ended it; `unsent` frames of its last did not leave.
    /// Says how many frames did.
    pub(crate) fn gone(
        &mut self,
        number: usize,
        end: AudioEnd,
        unsent: usize,
        now: Timestamp,
    ) -> usize {
        for _ in 0..unsent {
            let last = self.sent.iter().rposition(|f| f.connection == number);
            let Some(frame) = last.and_then(|last| self.sent.remove(last)) else {
                break;
            };
            if self.state == State::Open(number) {
                self.dealt_with = frame.part.start;
            }
        }
        if self.state == State::Open(number) {
            self.dial_later(now);
        }
        self.connection(number).map_or(0, |connection| {
            connection.shown.end = Some((now, end));
            connection.frames = connection.frames.saturating_sub(unsent);
            connection.frames
        })
    }

    fn dial_later(&mut self, now: Timestamp) {
        self.retry += 1;
        self.state = if self.over.is_some() {
            State::Done
        } else {
            State::ToDial(now + self.pause)
        };
    }

    /// The server sent something, which nobody reads.
    pub(crate) fn received(&mut self, number: usize) {
        if let Some(connection) = self.connection(number) {
            connection.shown.received += 1;
        }
    }

    /// The call ends. Nothing is dialled any more.
    pub(crate) fn end(&mut self, close: Close, room: &Room, now: Timestamp) {
        if self.over.is_some() {
            return;
        }
        let at = room.place(now);
        self.over = Some(Over { at, close });
        if let State::ToDial(_) = self.state {
            self.state = State::Done;
        }
        if !matches!(self.state, State::Open(_)) {
            self.miss(at, room);
        }
    }

    /// Whether a connection is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open_connections() > 0
    }

    fn open_connections(&self) -> usize {
        let open = self
            .connections
            .iter()
            .filter(|found| found.shown.is_open());
        open.count()
    }

    /// Asks for something to go wrong.
    pub(crate) fn go_wrong(&mut self, fault: AudioFault) {
        if fault == AudioFault::BadSignature {
            self.bad_signatures += 1;
        } else {
            self.faults.push_back(fault);
        }
    }

    /// The clock was moved: what would have been sent meanwhile is lost.
    pub(crate) fn skip(&mut self, room: &Room, now: Timestamp) {
        let cursor = room.place(now);
        if self.over.is_some() {
            return;
        }
        for connection in self.connections.iter_mut().filter(|c| c.shown.is_open()) {
            connection.cursor = connection.cursor.max(cursor);
        }
        if let State::Open(_) = self.state {
            self.miss(cursor, room);
        }
    }

    /// Counts sound that was not sent.
    fn miss(&mut self, upto: usize, room: &Room) {
        self.lost += room.open_bytes(&(self.dealt_with..upto.max(self.dealt_with)));
        self.dealt_with = self.dealt_with.max(upto);
    }

    /// Bytes of sound that no connection was there for, or that were skipped on request.
    pub(crate) fn lost(&self, room: &Room, now: Timestamp) -> usize {
        let upto = match self.over {
            _ if self.is_open() => self.dealt_with,
            Some(over) => over.at,
            None => room.place(now),
        };
        self.lost + room.open_bytes(&(self.dealt_with..upto.max(self.dealt_with)))
    }

    pub(crate) fn sent(&self) -> impl Iterator<Item = &SentFrame> {
        self.sent.iter()
    }

    /// The connections that are remembered, with their numbers.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (usize, &AudioConnection)> {
        let shown = self.connections.iter().map(|found| &found.shown);
        (self.first_kept..).zip(shown)
    }

    fn index(&self, number: usize) -> Option<usize> {
        let index = number.checked_sub(self.first_kept)?;
        (index < self.connections.len()).then_some(index)
    }

    fn connection(&mut self, number: usize) -> Option<&mut Connection> {
        let index = self.index(number)?;
        self.connections.get_mut(index)
    }
}

/// Meeting time before this byte.
pub(crate) fn seconds(place: usize) -> f64 {
    let whole = u32::try_from(place / BYTES_PER_SECOND).expect("no call lasts that long");
    let part = u32::try_from(place % BYTES_PER_SECOND).expect("less than a second");
    let second = u32::try_from(BYTES_PER_SECOND).expect("a small number");
    f64::from(whole) + f64::from(part) / f64::from(second)
}
