//! The session's socket: what to send, when to connect again, what was said.
//!
//! Every method takes the time and may leave [`Command`]s and [`LinkReport`]s behind, to be taken with
//! [`LiveAvatarLink::take_commands`] and [`LiveAvatarLink::take_reports`]. [`LiveAvatarLink::poll`] is due at
//! [`LiveAvatarLink::deadline`]; calling it earlier is harmless.
//!
//! | Stage | Event | Next | Commands |
//! | --- | --- | --- | --- |
//! | connecting | socket open | opening | none: what comes before `connected` is dropped by the vendor |
//! | connecting | refused for good (4xx) | failed | none |
//! | connecting | no answer, 429, 5xx | waiting, after five in a row failed | none |
//! | opening | `connected` | ready | `agent.interrupt` if an earlier socket left something, the pose, sound |
//! | opening | no `connected` within 10 s | failed | `Disconnect` |
//! | ready | sound | same | `agent.speak`, paced; `agent.speak_end` after the last |
//! | ready | nothing sent for 60 s | same | `session.keep_alive` |
//! | ready | the avatar does not talk when it should | waiting | `agent.interrupt`, `Disconnect` |
//! | opening, ready | socket lost | waiting | none |
//! | opening, ready | the session is over | failed | `Disconnect` |
//! | waiting | time is up | connecting | `Connect` |
//! | any | [`LiveAvatarLink::close`] | closed | `agent.interrupt` in mid-utterance, `Disconnect` |
//!
//! There is one utterance at a time, from [`LiveAvatarLink::begin`] to its [`LinkReport::Spoken`] or
//! [`LinkReport::Cut`]: only so can the avatar's beginnings and ends, which may come without an id, be told apart.

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    refusal::{self, Verdict},
    utterance::Utterance,
    wire::{self, Message, SessionState},
};
use crate::{
    http::{HandshakeFailure, HeaderValue, Method, Request},
    retry,
    secret::Secret,
    vendors::reason,
};

const CONNECT: &str = "liveavatar.connect";
/// What a refused handshake's body is read up to.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;
/// Firewalls have been seen to refuse handshakes that name no client.
const USER_AGENT: &str = concat!("attache/", env!("CARGO_PKG_VERSION"));
/// How long the handshake's own deadline may be overdrawn before it is given up here.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);
/// How long `connected` may take after the socket has opened; it takes a fraction of a second.
const CONNECTED_PATIENCE: Duration = Duration::from_secs(10);
/// A session ends after five minutes without a command; this is what the vendor's `LiveKit` plugin keeps to.
const KEEP_ALIVE: Duration = Duration::from_mins(1);
/// A socket that was ready for so long counts as good: the next loss is a first one.
const STABLE: Duration = Duration::from_secs(10);
/// How long an utterance waits for a socket: after that, people are better served another way.
const READY_PATIENCE: Duration = Duration::from_secs(2);
/// How long the avatar may take from the first sound to its first word; it takes 0.2 s, a second at worst.
const BEGIN_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long sound may stay unacknowledged on a socket that has acknowledged sound before: the only sign in
/// mid-utterance that a session has fallen silent, as one does at its limit without closing.
const ACKNOWLEDGE_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long the avatar may rest while there is something to say, as it does between sentences when sound is late.
const REST_PATIENCE: Duration = Duration::from_millis(1_500);
/// An end may come so much before we expect it: its beginning was told late.
const EARLY: Duration = Duration::from_secs(1);
/// How long after it is due the end may be told; the picture runs up to 1.1 s behind the sound.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How long an utterance may be without new sound before its end is known: a little more than the voice's vendor may
/// take to answer.
const FEED_PATIENCE: Duration = Duration::from_secs(35);
/// Whoever looks so late was held up, and what the vendor has said meanwhile has not been read yet.
const HELD_UP: Duration = Duration::from_millis(200);
/// How long reading it may take before conclusions are drawn after all.
const CATCH_UP_PATIENCE: Duration = Duration::from_millis(500);
/// How many kinds of unknown messages, and how many errors and warnings, are reported.
const MAX_TOLD: usize = 20;

/// What the shell is to do, in order.
#[derive(Clone)]
pub enum Command {
    /// Connect, with `Upgrade: websocket` added, and answer under this number. The address is a credential.
    Connect {
        /// The connection's number.
        link: u64,
        /// The handshake.
        request: Box<Request>,
    },
    /// Send a text frame.
    Text(String),
    /// Close the connection, or give up the handshake.
    Disconnect,
}

/// The address and the sound are left out.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { link, .. } => write!(f, "Connect({link})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Disconnect => f.write_str("Disconnect"),
        }
    }
}

/// Whether anything was sent to the session before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It is new.
    Fresh,
    /// An earlier instance held its socket, and may have left an utterance half said.
    Resumed,
}

/// Why an utterance ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutReason {
    /// It was interrupted by us.
    Interrupted,
    /// The socket was lost. What was sent may be said all the same until the socket is back.
    SocketLost,
    /// There was no socket for it in time.
    NotReady,
    /// The avatar did not begin to say it.
    NotBegun,
    /// The avatar, or the session, fell silent.
    FellSilent,
    /// All of it was sent and is due, and its end was not told: it was heard, or the session fell silent.
    EndUntold,
    /// No more sound came in, and no end.
    Starved,
    /// It ended without any sound.
    Empty,
    /// The vendor refused it.
    Refused,
    /// The session is over, or its socket for good.
    SessionOver,
    /// The link was closed by us.
    Closed,
}

/// What kind of trouble the vendor tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A command of ours was wrong (`invalid_request_error`).
    Refused,
    /// Something at the vendor's failed (`server_error`).
    Server,
    /// The avatar had nothing to show (`video_starvation`).
    Starvation,
    /// Anything else.
    Other,
}

/// What there is to tell of a session's socket; lengths are in milliseconds of sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "report")]
pub enum LinkReport {
    /// The session takes commands.
    Ready {
        /// How many sockets there have been, this one included.
        connections: u32,
    },
    /// The avatar has begun to say an utterance.
    Speaking {
        /// Which.
        event_id: String,
        /// How long after the first sound was sent.
        after_ms: u64,
    },
    /// An utterance was said to its end.
    Spoken {
        /// Which.
        event_id: String,
        /// How long it was.
        heard_ms: u64,
    },
    /// An utterance ended before its end.
    Cut {
        /// Which.
        event_id: String,
        /// Why.
        reason: CutReason,
        /// How much of it was heard, as far as can be told; the picture's delay of up to a second counts as heard.
        heard_ms: u64,
        /// How much of it was sent: more than this was certainly not heard.
        sent_ms: u64,
        /// How much of it came in and was not sent.
        unsent_ms: u64,
    },
    /// The socket is lost, or none came about; there will be another attempt.
    Reconnecting {
        /// Why.
        reason: String,
        /// How many attempts have failed in a row.
        attempt: u32,
    },
    /// The session is over or cannot be reached, and there will be no other attempt. It is still to be stopped.
    Failed {
        /// Why.
        reason: String,
    },
    /// It is over, as was asked.
    Closed,
    /// The vendor tells of an error or warns.
    Trouble {
        /// What kind it is.
        kind: TroubleKind,
        /// The vendor's words.
        message: String,
    },
    /// A message of a type that this version does not know; told once.
    Unknown {
        /// The type.
        kind: String,
    },
}

/// Why an utterance, or sound of it, is not taken.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotTaken {
    /// Another utterance is not over.
    #[error("another utterance is not over")]
    Busy,
    /// The link has failed or was closed.
    #[error("the link is over")]
    Over,
    /// The utterance is over, complete, or was never begun.
    #[error("the utterance takes no sound")]
    NotOpen,
    /// So much of it waits that there is no room for more.
    #[error("too much sound is waiting")]
    Full,
}

/// A session's socket over as many connections as it takes.
#[derive(Debug)]
pub struct LiveAvatarLink {
    url: Secret,
    /// Decides the jitter of waits.
    seed: u64,
    stage: Stage,
    /// The number of the newest connection.
    link: u64,
    connections: u32,
    /// How many attempts have failed in a row.
    failures: u32,
    /// Whether something that was sent may still be said, or stand open, at the vendor's.
    leftover: bool,
    /// Whether the attentive pose is wanted, and whether it is taken.
    pose: Pose,
    taken: Pose,
    utterance: Option<Utterance>,
    /// Until when no conclusion is drawn from what the vendor has not said; once for each utterance.
    catching_up: Option<Timestamp>,
    /// Counts commands, for their ids.
    serial: u32,
    /// How many errors and warnings were told.
    troubles: usize,
    unknown: BTreeSet<String>,
    commands: Vec<Command>,
    reports: Vec<LinkReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pose {
    Idle,
    Listening,
}

#[derive(Debug)]
enum Stage {
    Connecting { until: Timestamp },
    Waiting { until: Timestamp },
    Opening { until: Timestamp },
    Ready(Ready),
    Failed,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Ready {
    since: Timestamp,
    /// When a frame was last sent.
    last_sent: Timestamp,
    /// When the vendor last said something.
    last_heard: Timestamp,
    /// Whether sound is acknowledged here, as only the newer dialect does.
    acknowledges: bool,
}

impl LiveAvatarLink {
    /// Begins with a session's `socket_url`: the first command is to connect.
    pub fn connect(url: Secret, beginning: Beginning, seed: u64, now: Timestamp) -> Self {
        let mut link = Self {
            url,
            seed,
            stage: Stage::Closed,
            link: 0,
            connections: 0,
            failures: 0,
            leftover: beginning == Beginning::Resumed,
            pose: Pose::Idle,
            taken: Pose::Idle,
            utterance: None,
            catching_up: None,
            serial: 0,
            troubles: 0,
            unknown: BTreeSet::new(),
            commands: Vec::new(),
            reports: Vec::new(),
        };
        link.start_connecting(now);
        link
    }

    /// Takes what is to be done since the last time.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Takes what there is to tell since the last time.
    pub fn take_reports(&mut self) -> Vec<LinkReport> {
        std::mem::take(&mut self.reports)
    }

    /// Tells whether there is anything to take.
    pub fn has_news(&self) -> bool {
        !self.commands.is_empty() || !self.reports.is_empty()
    }

    /// Tells whether the session takes commands right now.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    /// Tells whether the link has failed or was closed.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Failed | Stage::Closed)
    }

    /// Tells which utterance is not over.
    pub fn current(&self) -> Option<&str> {
        let utterance = self.utterance.as_ref()?;
        Some(&utterance.event_id)
    }

    /// Begins an utterance, under an id that was not used before in this session. It waits for the session to be
    /// ready, for two seconds.
    pub fn begin(&mut self, event_id: &str, now: Timestamp) -> Result<(), NotTaken> {
        if self.is_over() {
            return Err(NotTaken::Over);
        }
        if self.utterance.is_some() {
            return Err(NotTaken::Busy);
        }
        self.utterance = Some(Utterance::new(event_id, now));
        self.catching_up = None;
        Ok(())
    }

    /// Takes in sound of the utterance that was begun, in parts of any length.
    ///
    /// Sound that comes after its utterance was cut is not taken, which is nothing to worry about.
    pub fn speak(&mut self, event_id: &str, pcm: &[u8], now: Timestamp) -> Result<(), NotTaken> {
        let utterance = self.open_utterance(event_id)?;
        if !utterance.feed(pcm, now) {
            return Err(NotTaken::Full);
        }
        self.poll(now);
        Ok(())
    }

    /// All sound of the utterance has come in.
    pub fn speak_end(&mut self, event_id: &str, now: Timestamp) -> Result<(), NotTaken> {
        self.open_utterance(event_id)?.complete = true;
        self.poll(now);
        Ok(())
    }

    /// Stops the utterance: nothing more of it is sent, and the avatar stops in mid-word. `false` if there is none.
    pub fn interrupt(&mut self, now: Timestamp) -> bool {
        self.cut(CutReason::Interrupted, now)
    }

    /// Takes the attentive pose or leaves it, once the avatar is silent.
    pub fn listening(&mut self, on: bool, now: Timestamp) {
        self.pose = if on { Pose::Listening } else { Pose::Idle };
        self.take_pose(now);
    }

    /// Ends the link at once; the session itself is to be stopped by call.
    pub fn close(&mut self, now: Timestamp) {
        match self.stage {
            Stage::Closed => return,
            Stage::Ready(_) => {
                self.cut(CutReason::Closed, now);
                self.commands.push(Command::Disconnect);
            }
            Stage::Connecting { .. } | Stage::Opening { .. } => {
                self.commands.push(Command::Disconnect);
            }
            Stage::Waiting { .. } | Stage::Failed => {}
        }
        self.stage = Stage::Closed;
        self.cut(CutReason::Closed, now);
        self.reports.push(LinkReport::Closed);
    }

    /// The socket under this number is open; `false` means that it came too late and is to be dropped.
    pub fn connected(&mut self, link: u64, now: Timestamp) -> bool {
        if link != self.link || !matches!(self.stage, Stage::Connecting { .. }) {
            return false;
        }
        self.connections += 1;
        let until = now + CONNECTED_PATIENCE;
        self.stage = Stage::Opening { until };
        true
    }

    /// The handshake under this number has failed.
    pub fn not_connected(&mut self, link: u64, failure: &HandshakeFailure, now: Timestamp) {
        if link == self.link && matches!(self.stage, Stage::Connecting { .. }) {
            self.lose(refusal::handshake(failure), now);
        }
    }

    /// The socket under this number is gone.
    pub fn disconnected(&mut self, link: u64, code: u16, said: &str, now: Timestamp) {
        if link == self.link && matches!(self.stage, Stage::Opening { .. } | Stage::Ready(_)) {
            self.lose(refusal::closed(code, said), now);
        }
    }

    /// Takes in a text frame of the socket under this number.
    pub fn message(&mut self, link: u64, text: &str, now: Timestamp) {
        if link != self.link || !matches!(self.stage, Stage::Opening { .. } | Stage::Ready(_)) {
            return;
        }
        if let Stage::Ready(ready) = &mut self.stage {
            ready.last_heard = now;
        }
        match wire::read(text) {
            Message::Session(SessionState::Connected) => self.ready(now),
            Message::Session(SessionState::Over(state)) => {
                self.commands.push(Command::Disconnect);
                self.fail(format!("the session is {}", reason::tidy(&state)), now);
            }
            Message::Talks { source } => self.talks(source.as_deref(), now),
            Message::Rests { source, ended } => self.rests(source.as_deref(), ended, now),
            Message::Appended { source } => self.acknowledged(source.as_deref()),
            Message::Committed { source } => {
                if let Some(utterance) = self.fed_utterance(source.as_deref()) {
                    utterance.committed = utterance.end_sent.is_some();
                    self.settle(now);
                }
            }
            Message::Trouble {
                kind,
                message,
                source,
            } => self.trouble(&kind, &message, source.as_deref(), now),
            Message::Other(kind) => {
                let kind = reason::tidy(&kind);
                if self.unknown.len() < MAX_TOLD && self.unknown.insert(kind.clone()) {
                    self.reports.push(LinkReport::Unknown { kind });
                }
            }
            Message::Session(SessionState::Coming) | Message::Noted => {}
        }
        self.poll(now);
    }

    /// Does what is due by now.
    pub fn poll(&mut self, now: Timestamp) {
        match &self.stage {
            Stage::Failed | Stage::Closed => return,
            Stage::Waiting { until } if *until <= now => self.start_connecting(now),
            Stage::Connecting { until } if *until <= now => {
                self.commands.push(Command::Disconnect);
                self.lose(refusal::again("no answer to the handshake"), now);
            }
            Stage::Opening { until } if *until <= now => {
                self.commands.push(Command::Disconnect);
                self.fail("the session was not connected in time".to_owned(), now);
            }
            Stage::Ready(_) => self.poll_ready(now),
            Stage::Waiting { .. } | Stage::Connecting { .. } | Stage::Opening { .. } => {}
        }
        if self.gives_up_at().is_some_and(|at| at <= now) {
            self.cut(CutReason::NotReady, now);
        }
    }

    /// Tells when [`Self::poll`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        let stage = match &self.stage {
            Stage::Failed | Stage::Closed => return None,
            Stage::Connecting { until } | Stage::Waiting { until } | Stage::Opening { until } => {
                Some(*until)
            }
            Stage::Ready(ready) => self.ready_deadline(ready),
        };
        [stage, self.gives_up_at()].into_iter().flatten().min()
    }

    /// When an utterance has waited for a socket for long enough.
    fn gives_up_at(&self) -> Option<Timestamp> {
        let utterance = self.utterance.as_ref().filter(|_| !self.is_ready())?;
        Some(utterance.waits_since() + READY_PATIENCE)
    }

    fn ready_deadline(&self, ready: &Ready) -> Option<Timestamp> {
        let utterance = self.utterance.as_ref();
        let piece = utterance.and_then(Utterance::next_piece_at);
        let wrong = self.goes_wrong(ready);
        [
            Some(ready.last_sent + KEEP_ALIVE),
            piece,
            wrong.map(|(at, _)| at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn poll_ready(&mut self, now: Timestamp) {
        self.send_due(now);
        let Stage::Ready(ready) = &self.stage else {
            return;
        };
        let alive_at = ready.last_sent + KEEP_ALIVE;
        let wrong = self.goes_wrong(ready);
        if let Some((at, reason)) = wrong.filter(|(at, _)| *at <= now) {
            if self.catching_up.is_none() && at + HELD_UP <= now {
                self.catching_up = Some(now + CATCH_UP_PATIENCE);
            } else {
                self.went_wrong(reason, now);
            }
        } else if alive_at <= now {
            self.send_plain("session.keep_alive", "ka", now);
        }
    }

    fn goes_wrong(&self, ready: &Ready) -> Option<(Timestamp, CutReason)> {
        let (at, reason) = goes_wrong(self.utterance.as_ref()?, ready)?;
        Some((self.catching_up.map_or(at, |until| until.max(at)), reason))
    }

    /// Sends the sound that is due, and the end after the last of it.
    fn send_due(&mut self, now: Timestamp) {
        let Stage::Ready(ready) = &mut self.stage else {
            return;
        };
        let Some(utterance) = &mut self.utterance else {
            return;
        };
        while let Some(piece) = utterance.take_piece(now) {
            utterance.unacknowledged_since.get_or_insert(now);
            ready.last_sent = now;
            // An avatar that talks has left its pose.
            self.taken = Pose::Idle;
            let text = wire::speak(&utterance.event_id, &piece);
            self.commands.push(Command::Text(text));
        }
        if utterance.is_sent() && utterance.first_sent.is_none() {
            self.cut(CutReason::Empty, now);
        } else if utterance.is_sent() && utterance.end_sent.is_none() {
            utterance.end_sent = Some(now);
            ready.last_sent = now;
            let text = wire::speak_end(&utterance.event_id);
            self.commands.push(Command::Text(text));
            self.settle(now);
        }
    }

    /// The avatar does not do what it should. If the session or its socket is dead, a new socket will tell.
    fn went_wrong(&mut self, why: CutReason, now: Timestamp) {
        self.cut(why, now);
        let reason = match why {
            CutReason::NotBegun => "the avatar does not begin to speak",
            CutReason::FellSilent => "the avatar fell silent",
            CutReason::EndUntold => "the avatar does not tell that it has spoken",
            CutReason::Starved
            | CutReason::Interrupted
            | CutReason::SocketLost
            | CutReason::NotReady
            | CutReason::Empty
            | CutReason::Refused
            | CutReason::SessionOver
            | CutReason::Closed => return,
        };
        // The interrupt may not have arrived.
        self.leftover = true;
        self.commands.push(Command::Disconnect);
        self.lose(refusal::again(reason), now);
    }

    fn ready(&mut self, now: Timestamp) {
        if !matches!(self.stage, Stage::Opening { .. }) {
            return;
        }
        self.stage = Stage::Ready(Ready {
            since: now,
            last_sent: now,
            last_heard: now,
            acknowledges: false,
        });
        let connections = self.connections;
        self.reports.push(LinkReport::Ready { connections });
        if std::mem::take(&mut self.leftover) {
            self.send_plain("agent.interrupt", "int", now);
        }
        self.taken = Pose::Idle;
        self.take_pose(now);
    }

    fn talks(&mut self, source: Option<&str>, now: Timestamp) {
        let Some(utterance) = self.fed_utterance(source) else {
            return;
        };
        utterance.resting_since = None;
        if let (None, Some(first)) = (utterance.began, utterance.first_sent) {
            utterance.begins(now);
            let event_id = utterance.event_id.clone();
            let after_ms = ms(between(first, now));
            self.reports
                .push(LinkReport::Speaking { event_id, after_ms });
        }
    }

    fn rests(&mut self, source: Option<&str>, ended: bool, now: Timestamp) {
        let Some(utterance) = self.fed_utterance(source) else {
            return;
        };
        if utterance.began.is_some() {
            utterance.resting_since.get_or_insert(now);
            utterance.committed |= ended && utterance.end_sent.is_some();
            self.settle(now);
        }
    }

    /// Decides whether an avatar that rests has said everything.
    ///
    /// The first rest need not be the end: the avatar also rests when its sound runs dry. It is the end once the
    /// vendor has taken note of ours, or if nothing can be left to say.
    fn settle(&mut self, now: Timestamp) {
        let over = self.utterance.take_if(|utterance| {
            let due = utterance.committed || now + EARLY >= utterance.said_until;
            utterance.resting_since.is_some() && utterance.end_sent.is_some() && due
        });
        if let Some(utterance) = over {
            self.reports.push(LinkReport::Spoken {
                heard_ms: ms(utterance.sent()),
                event_id: utterance.event_id,
            });
            self.take_pose(now);
        }
    }

    fn acknowledged(&mut self, source: Option<&str>) {
        if let Stage::Ready(ready) = &mut self.stage {
            ready.acknowledges = true;
        }
        if let Some(utterance) = self.fed_utterance(source) {
            utterance.unacknowledged_since = None;
        }
    }

    fn trouble(&mut self, kind: &str, message: &str, source: Option<&str>, now: Timestamp) {
        let kind = match kind {
            "invalid_request_error" => TroubleKind::Refused,
            "server_error" => TroubleKind::Server,
            "video_starvation" => TroubleKind::Starvation,
            _ => TroubleKind::Other,
        };
        if self.troubles < MAX_TOLD {
            self.troubles += 1;
            let message = reason::tidy(message);
            self.reports.push(LinkReport::Trouble { kind, message });
        }
        if kind == TroubleKind::Refused && source.is_some() && self.fed_utterance(source).is_some()
        {
            self.cut(CutReason::Refused, now);
        }
    }

    /// The utterance, if the vendor has sound of it and means no other.
    fn fed_utterance(&mut self, source: Option<&str>) -> Option<&mut Utterance> {
        let utterance = self.utterance.as_mut()?;
        let meant = source.is_none_or(|source| source == utterance.event_id);
        (meant && utterance.first_sent.is_some()).then_some(utterance)
    }

    fn open_utterance(&mut self, event_id: &str) -> Result<&mut Utterance, NotTaken> {
        let utterance = self.utterance.as_mut();
        utterance
            .filter(|utterance| utterance.event_id == event_id && !utterance.complete)
            .ok_or(NotTaken::NotOpen)
    }

    /// Ends the utterance before its end; `false` if there is none.
    fn cut(&mut self, reason: CutReason, now: Timestamp) -> bool {
        let Some(utterance) = self.utterance.take() else {
            return false;
        };
        // Of a session that fell silent, nothing was heard after its last sign.
        let heard = match (&self.stage, reason) {
            (Stage::Ready(ready), CutReason::FellSilent) => {
                let silent_since = utterance.resting_since.unwrap_or(ready.last_heard);
                utterance.heard(silent_since)
            }
            _ => utterance.heard(now),
        };
        let heard_ms = ms(heard);
        let sent_ms = ms(utterance.sent());
        let unsent_ms = ms(utterance.unsent());
        if utterance.first_sent.is_some() {
            if self.is_ready() {
                self.send_plain("agent.interrupt", "int", now);
            } else {
                self.leftover = true;
            }
        }
        self.reports.push(LinkReport::Cut {
            event_id: utterance.event_id,
            reason,
            heard_ms,
            sent_ms,
            unsent_ms,
        });
        if !matches!(reason, CutReason::Closed) {
            self.take_pose(now);
        }
        true
    }

    /// Takes the wanted pose, unless the avatar is to talk: it takes it afterwards.
    fn take_pose(&mut self, now: Timestamp) {
        if self.is_ready() && self.utterance.is_none() && self.taken != self.pose {
            self.taken = self.pose;
            match self.pose {
                Pose::Listening => self.send_plain("agent.start_listening", "lis", now),
                Pose::Idle => self.send_plain("agent.stop_listening", "lis", now),
            }
        }
    }

    fn send_plain(&mut self, kind: &str, prefix: &str, now: Timestamp) {
        if let Stage::Ready(ready) = &mut self.stage {
            ready.last_sent = now;
            self.serial += 1;
            let id = format!("{prefix}-{}-{}", self.link, self.serial);
            self.commands.push(Command::Text(wire::plain(kind, &id)));
        }
    }

    fn start_connecting(&mut self, now: Timestamp) {
        let Some(request) = handshake(&self.url) else {
            return self.fail("the socket's address is none".to_owned(), now);
        };
        self.link += 1;
        let until = now + request.deadline + HANDSHAKE_GRACE;
        self.stage = Stage::Connecting { until };
        self.commands.push(Command::Connect {
            link: self.link,
            request: Box::new(request),
        });
    }

    /// A socket is lost, or none came about.
    fn lose(&mut self, verdict: Verdict, now: Timestamp) {
        let (reason, after) = match verdict {
            Verdict::Never { reason } => return self.fail(reason, now),
            Verdict::Again { reason, after } => (reason, after),
        };
        if matches!(&self.stage, Stage::Ready(ready) if ready.since + STABLE <= now) {
            self.failures = 0;
        }
        let was_open = matches!(self.stage, Stage::Opening { .. } | Stage::Ready(_));
        self.failures += 1;
        let policy = retry::policy(CONNECT);
        let Some(wait) = retry::delay(&policy, self.failures, self.seed ^ self.link, after) else {
            return self.fail(reason, now);
        };
        self.stage = Stage::Waiting { until: now + wait };
        if was_open {
            self.cut(CutReason::SocketLost, now);
        }
        let attempt = self.failures;
        self.reports
            .push(LinkReport::Reconnecting { reason, attempt });
    }

    fn fail(&mut self, reason: String, now: Timestamp) {
        self.stage = Stage::Failed;
        self.cut(CutReason::SessionOver, now);
        self.reports.push(LinkReport::Failed { reason });
    }
}

/// When an utterance that goes on like this will have gone wrong, and how.
fn goes_wrong(utterance: &Utterance, ready: &Ready) -> Option<(Timestamp, CutReason)> {
    let starved = (!utterance.complete).then(|| {
        let since = utterance.fed_at.max(utterance.said_until);
        (since + FEED_PATIENCE, CutReason::Starved)
    });
    let Some(first_sent) = utterance.first_sent else {
        return starved;
    };
    let silent = utterance
        .unacknowledged_since
        .filter(|_| ready.acknowledges)
        .map(|since| (since + ACKNOWLEDGE_PATIENCE, CutReason::FellSilent));
    let begun = match utterance.began {
        None => Some((first_sent + BEGIN_PATIENCE, CutReason::NotBegun)),
        Some(_) => None,
    };
    // While the avatar rests with sound left to say; a rest after the last sound that came is only a pause.
    let resting = utterance.resting_since.and_then(|since| {
        let left = since + EARLY < utterance.said_until;
        left.then_some((since + REST_PATIENCE, CutReason::FellSilent))
    });
    let ended = utterance.end_sent.map(|sent| {
        let due = sent.max(utterance.said_until);
        (due + END_PATIENCE, CutReason::EndUntold)
    });
    [starved, begun, silent, resting, ended]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
}

/// The handshake with a socket's address; none if that is no such address.
fn handshake(url: &Secret) -> Option<Request> {
    let (scheme, rest) = url.expose().split_once("://")?;
    let scheme = match scheme {
        "wss" | "https" => "https",
        "ws" | "http" => "http",
        _ => return None,
    };
    Some(Request {
        operation: CONNECT,
        method: Method::Get,
        url: format!("{scheme}://{rest}"),
        headers: vec![("user-agent", HeaderValue::Plain(USER_AGENT.to_owned()))],
        body: None,
        deadline: retry::policy(CONNECT).deadline,
        max_response_bytes: MAX_REFUSAL_BYTES,
    })
}

fn between(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
