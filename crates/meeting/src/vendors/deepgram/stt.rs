//! The session: what to send, when to connect again, what was heard.
//!
//! Every method takes the time and may leave [`Command`]s and [`SttReport`]s behind, to be taken with
//! [`DeepgramStt::take_commands`] and [`DeepgramStt::take_reports`]. [`DeepgramStt::poll`] is due at
//! [`DeepgramStt::deadline`]; calling it earlier is harmless.
//!
//! | Stage | Event | Next | Commands |
//! | --- | --- | --- | --- |
//! | connecting | connected | open | what is unsettled is sent again, at most 1.25 times as fast as sound comes |
//! | connecting | refused for good (4xx) | failed | none |
//! | connecting | no answer, 429, 5xx | waiting | none |
//! | open | sound | same | the sound, byte for byte |
//! | open | no sound for a while | same | `KeepAlive`; `Finalize` if words may be pending |
//! | open | lost, or silent while it gets sound | waiting | `Disconnect` |
//! | open | closed for undecodable sound (1008) | failed | none |
//! | open | [`DeepgramStt::close`] | closing | the rest of the sound, `CloseStream` |
//! | closing | closed, or out of patience | closed | `Disconnect` |
//! | waiting | time is up | connecting | `Connect` |

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    BYTES_PER_SECOND,
    clock::{self, SoundClock},
    options::{LISTEN, ListenOptions},
    refusal::{self, Verdict},
    replay::ReplayBuffer,
    wire::{self, Message, Results},
    words::{self, HeardSegment},
};
use crate::{
    http::{HandshakeFailure, Request, RetryAfter},
    retry,
    vendors::reason,
};

/// The vendor closes after 10 s without a frame and advises a `KeepAlive` every 3 to 5 s
/// (<https://developers.deepgram.com/docs/audio-keep-alive>).
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// `KeepAlive` does not count before the first sound, which must come within 10 s of the handshake.
const PRIMER_AFTER: Duration = Duration::from_secs(5);
/// The sound sent then: 20 ms of silence.
const PRIMER: [u8; (BYTES_PER_SECOND / 50) as usize] = [0; (BYTES_PER_SECOND / 50) as usize];
/// So long after the last sound, a muted call for example, pending words are asked for; the transcriber's own
/// pauses are counted in sound and would never end.
const FINALIZE_AFTER: Duration = Duration::from_secs(2);
/// Without a frame for so long no sound comes in; frames are far shorter.
const LULL: Duration = Duration::from_secs(1);
/// While no sound comes in, waiting sound goes out in portions of this length at [`CATCH_UP_PERCENT`] of its speed.
const PORTION: Duration = Duration::from_millis(200);
const PORTION_BYTES: u64 = BYTES_PER_SECOND as u64 / 5;
/// The vendor takes sound at most at 1.25 times its own speed
/// (<https://developers.deepgram.com/docs/recovering-from-connection-errors-and-timeouts-when-live-streaming-audio>).
const CATCH_UP_PERCENT: u64 = 125;
/// So much sound is sent at once when a connection opens: it is what comes in during a handshake.
const BURST_BYTES: u64 = BYTES_PER_SECOND as u64;
/// A connection that gets so much sound, for so long, and says nothing is dead. Interim results come once a second.
const DEAF_AFTER: Duration = Duration::from_secs(20);
/// For each dead connection in a row the patience doubles, so often at most: up to about five minutes.
const MAX_DEAF_DOUBLINGS: u32 = 4;
/// How long the rest of the sound may take at the end: the whole replay buffer at 1.25 times its speed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long the last results are waited for after `CloseStream`; they take a second or two.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(10);
/// How many types of messages that nobody knows are reported, and how long their names may be.
const MAX_UNKNOWN: usize = 20;

const TEXT_KEEP_ALIVE: &str = r#"{"type":"KeepAlive"}"#;
const TEXT_FINALIZE: &str = r#"{"type":"Finalize"}"#;
const TEXT_CLOSE_STREAM: &str = r#"{"type":"CloseStream"}"#;

/// What the shell is to do, in order.
#[derive(Clone, Debug)]
pub enum Command {
    /// Connect, with `Upgrade: websocket` added, and answer under this number.
    Connect {
        /// The connection's number.
        link: u64,
        /// The handshake.
        request: Box<Request>,
    },
    /// Send a binary frame; never empty.
    Sound(Vec<u8>),
    /// Send a text frame.
    Text(&'static str),
    /// Close the connection, or give up the handshake.
    Disconnect,
}

/// What becomes of a piece of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage<'a> {
    /// It is to be sent now, as it is.
    Now(&'a [u8]),
    /// Other sound goes first; this is to be sent now, and is never empty.
    Waiting(Vec<u8>),
    /// Nothing is to be sent now.
    Kept,
}

/// What there is to tell of a session; times are seconds since listening began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "report")]
pub enum SttReport {
    /// The first sound came, with this time stamp of Recall's.
    Began {
        /// The time stamp that counts as zero.
        origin: f64,
    },
    /// A connection is open.
    Open {
        /// How many there have been, this one included.
        session: u32,
    },
    /// The connection is lost, or none came about; there will be another attempt.
    Reconnecting {
        /// Why.
        reason: String,
        /// How many attempts have failed in a row.
        attempt: u32,
    },
    /// It would fail the same way each time, so there will be no other attempt.
    Failed {
        /// Why.
        reason: String,
    },
    /// It is over, as was asked.
    Closed,
    /// Sound was lost for good.
    Lost {
        /// How much of it.
        seconds: f64,
    },
    /// Words that may still change.
    Partial {
        /// What was heard so far.
        segment: HeardSegment,
    },
    /// Words that will not change.
    Final {
        /// Which connection heard them.
        session: u32,
        /// Who said what.
        segments: Vec<HeardSegment>,
        /// Up to when everything has been heard.
        until: f64,
        /// Whether they end an utterance.
        ends_utterance: bool,
    },
    /// The words so far were an utterance.
    UtteranceEnd {
        /// When it ended.
        end: f64,
    },
    /// Somebody, or something, can be heard.
    SpeechStarted {
        /// Since when.
        start: f64,
    },
    /// A message of a type that this version does not know.
    Unknown {
        /// The type, and what it says if it is an error.
        kind: String,
    },
}

impl SttReport {
    /// Tells whether this is of use only to those who watch right now, so that nothing is stored for it.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Partial { .. } | Self::SpeechStarted { .. })
    }
}

/// A session over as many connections as it takes.
#[derive(Debug)]
pub struct DeepgramStt {
    options: ListenOptions,
    /// Decides the jitter of waits.
    seed: u64,
    stage: Stage,
    replay: ReplayBuffer,
    clock: SoundClock,
    /// The number of the newest connection.
    link: u64,
    sessions: u32,
    /// How many attempts have failed in a row.
    failures: u32,
    /// How many connections in a row got sound and said nothing.
    deaf: u32,
    /// When the last sound came in, and its time stamp.
    last_sound: Option<(Timestamp, Option<f64>)>,
    /// Whether final words have come since the last end of an utterance, and when they ended.
    pending_since: Option<f64>,
    /// When the session is over at the latest, once it is to end.
    closing: Option<Timestamp>,
    unknown: BTreeSet<String>,
    commands: Vec<Command>,
    reports: Vec<SttReport>,
}

#[derive(Debug)]
enum Stage {
    Connecting { until: Timestamp },
    Waiting { until: Timestamp },
    Open(Open),
    Failed,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// The position in the sound that this connection counts as zero; negative after a primer.
    base: i64,
    since: Timestamp,
    /// When a frame was last sent.
    last_sent: Timestamp,
    /// Whether any sound was sent.
    primed: bool,
    /// When the vendor last said something, and up to where sound had been sent.
    last_heard: (Timestamp, u64),
    /// Up to where sound had been sent when `Finalize` was.
    finalized: u64,
    close_stream: CloseStream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CloseStream {
    NotSent,
    Sent,
}

impl DeepgramStt {
    /// Begins a session: the first command is to connect.
    ///
    /// `origin` and `sessions` are what an earlier instance reported, so that times and speakers go on from there.
    pub fn connect(
        options: ListenOptions,
        origin: Option<f64>,
        sessions: u32,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let mut stt = Self {
            options,
            seed,
            stage: Stage::Closed,
            replay: ReplayBuffer::default(),
            clock: SoundClock::new(origin),
            link: 0,
            sessions,
            failures: 0,
            deaf: 0,
            last_sound: None,
            pending_since: None,
            closing: None,
            unknown: BTreeSet::new(),
            commands: Vec::new(),
            reports: Vec::new(),
        };
        stt.start_connecting(now);
        stt
    }

    /// Takes what is to be done since the last time.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Takes what there is to tell since the last time.
    pub fn take_reports(&mut self) -> Vec<SttReport> {
        std::mem::take(&mut self.reports)
    }

    /// Tells whether there is anything to take.
    pub fn has_news(&self) -> bool {
        !self.commands.is_empty() || !self.reports.is_empty()
    }

    /// Tells whether the session was told to end.
    pub fn is_ending(&self) -> bool {
        self.closing.is_some() || self.is_closed()
    }

    /// Tells whether the session was closed and is done.
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Failed | Stage::Closed)
    }

    /// Takes in the sound of one frame and its time stamp in seconds, and tells what to send for it.
    ///
    /// The same sound under the same time stamp as the frame before is a repetition and is left out.
    pub fn send_audio<'a>(
        &mut self,
        sound: &'a [u8],
        stamp: Option<f64>,
        now: Timestamp,
    ) -> Passage<'a> {
        let closing =
            matches!(&self.stage, Stage::Open(open) if open.close_stream == CloseStream::Sent);
        if sound.is_empty() || self.is_over() || closing || self.is_repeated(sound, stamp) {
            return Passage::Kept;
        }
        self.last_sound = Some((now, stamp));
        if let Some(origin) = self.clock.note(self.replay.end(), stamp) {
            self.reports.push(SttReport::Began { origin });
        }
        let in_order = self.replay.unsent() == 0;
        self.replay.push(sound);
        let Stage::Open(open) = &mut self.stage else {
            return Passage::Kept;
        };
        open.last_sent = now;
        open.primed = true;
        if in_order {
            self.replay.mark_sent();
            return Passage::Now(sound);
        }
        let portion = (sound.len() as u64 * CATCH_UP_PERCENT / 100).max(2);
        Passage::Waiting(self.replay.take_unsent(portion))
    }

    /// Asks for the words that are pending.
    pub fn finalize(&mut self) {
        if let Stage::Open(open) = &mut self.stage
            && open.close_stream == CloseStream::NotSent
            && open.primed
            && open.finalized < self.replay.sent()
        {
            open.finalized = self.replay.sent();
            self.commands.push(Command::Text(TEXT_FINALIZE));
        }
    }

    /// Ends the session once the sound so far is sent and its last words are in, within bounds.
    pub fn close(&mut self, now: Timestamp) {
        if self.is_over() {
            self.stage = Stage::Closed;
        }
        if self.is_over() || self.closing.is_some() {
            return;
        }
        self.closing = Some(now + DRAIN_PATIENCE);
        self.poll(now);
    }

    /// The handshake under this number has succeeded; `false` means that it came too late and is to be dropped.
    pub fn connected(&mut self, link: u64, now: Timestamp) -> bool {
        if link != self.link || !matches!(self.stage, Stage::Connecting { .. }) {
            return false;
        }
        self.sessions += 1;
        let lost = self.replay.rewind();
        if lost > 0 {
            let seconds = clock::seconds(lost);
            self.reports.push(SttReport::Lost { seconds });
        }
        let sent = self.replay.sent();
        self.stage = Stage::Open(Open {
            base: position(sent),
            since: now,
            last_sent: now,
            primed: false,
            last_heard: (now, sent),
            finalized: sent,
            close_stream: CloseStream::NotSent,
        });
        let session = self.sessions;
        self.reports.push(SttReport::Open { session });
        if self.replay.unsent() <= BURST_BYTES {
            self.send_waiting(BURST_BYTES, now);
        }
        self.poll(now);
        true
    }

    /// The handshake under this number has failed.
    pub fn not_connected(&mut self, link: u64, failure: &HandshakeFailure, now: Timestamp) {
        if link == self.link && matches!(self.stage, Stage::Connecting { .. }) {
            self.judge(refusal::handshake(failure), now);
        }
    }

    /// The connection under this number is gone.
    pub fn disconnected(&mut self, link: u64, code: u16, said: &str, now: Timestamp) {
        let Stage::Open(open) = &self.stage else {
            return;
        };
        if link != self.link {
            return;
        }
        if open.close_stream == CloseStream::Sent {
            self.over();
        } else {
            self.judge(refusal::closed(code, said), now);
        }
    }

    /// Takes in a text frame of the connection under this number.
    pub fn message(&mut self, link: u64, text: &str, now: Timestamp) {
        let sent = self.replay.sent();
        let Stage::Open(open) = &mut self.stage else {
            return;
        };
        if link != self.link {
            return;
        }
        open.last_heard = (now, sent);
        self.deaf = 0;
        let base = open.base;
        match wire::read(text) {
            Message::Results(results) => {
                self.failures = 0;
                self.results(&results, base);
            }
            Message::UtteranceEnd { last_word_end } => {
                if let Some(end) = last_word_end {
                    let end = self.at(base, end);
                    self.utterance_ended(end);
                }
            }
            Message::SpeechStarted { timestamp } => {
                let start = self.at(base, timestamp.unwrap_or_default());
                self.reports.push(SttReport::SpeechStarted { start });
            }
            Message::Metadata => {}
            Message::Other(kind) => {
                let kind = reason::tidy(&kind);
                if self.unknown.len() < MAX_UNKNOWN && self.unknown.insert(kind.clone()) {
                    self.reports.push(SttReport::Unknown { kind });
                }
            }
        }
    }

    /// Does what is due by now.
    pub fn poll(&mut self, now: Timestamp) {
        match &self.stage {
            Stage::Failed | Stage::Closed => return,
            Stage::Waiting { until } if *until <= now => self.start_connecting(now),
            Stage::Connecting { until } if *until <= now => {
                self.commands.push(Command::Disconnect);
                let reason = "no answer to the handshake".to_owned();
                self.judge(
                    Verdict::Again {
                        reason,
                        after: None,
                    },
                    now,
                );
            }
            Stage::Open(_) => self.poll_open(now),
            Stage::Waiting { .. } | Stage::Connecting { .. } => {}
        }
        let nothing_left = !matches!(self.stage, Stage::Open(_)) && self.replay.unsettled() == 0;
        if self
            .closing
            .is_some_and(|until| until <= now || nothing_left)
        {
            self.commands.push(Command::Disconnect);
            self.over();
        }
    }

    /// Tells when [`Self::poll`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        let stage = match &self.stage {
            Stage::Failed | Stage::Closed => return None,
            Stage::Connecting { until } | Stage::Waiting { until } => Some(*until),
            Stage::Open(open) => self.open_deadline(open),
        };
        [stage, self.closing].into_iter().flatten().min()
    }

    fn poll_open(&mut self, now: Timestamp) {
        if self.deaf_at().is_some_and(|at| at <= now) {
            self.deaf += 1;
            self.commands.push(Command::Disconnect);
            let reason = "it gets sound and says nothing".to_owned();
            return self.judge(
                Verdict::Again {
                    reason,
                    after: None,
                },
                now,
            );
        }
        if self.next_portion().is_some_and(|at| at <= now) {
            self.send_waiting(PORTION_BYTES * CATCH_UP_PERCENT / 100, now);
        }
        let Stage::Open(open) = &mut self.stage else {
            return;
        };
        if open.close_stream == CloseStream::Sent {
            return;
        }
        if self.closing.is_some() && self.replay.unsent() == 0 {
            open.close_stream = CloseStream::Sent;
            self.closing = Some(now + LAST_WORDS_PATIENCE);
            self.commands.push(Command::Text(TEXT_CLOSE_STREAM));
            return;
        }
        if !open.primed && open.since + PRIMER_AFTER <= now {
            open.primed = true;
            open.last_sent = now;
            open.base -= position(PRIMER.len() as u64);
            self.commands.push(Command::Sound(PRIMER.to_vec()));
        }
        if open.primed && open.last_sent + KEEP_ALIVE <= now {
            open.last_sent = now;
            self.commands.push(Command::Text(TEXT_KEEP_ALIVE));
        }
        if self.finalize_at().is_some_and(|at| at <= now) {
            self.finalize();
        }
    }

    fn open_deadline(&self, open: &Open) -> Option<Timestamp> {
        if open.close_stream == CloseStream::Sent {
            return None;
        }
        let alive = if open.primed {
            open.last_sent + KEEP_ALIVE
        } else {
            open.since + PRIMER_AFTER
        };
        [
            Some(alive),
            self.next_portion(),
            self.finalize_at(),
            self.deaf_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When waiting sound goes out although no sound comes in.
    fn next_portion(&self) -> Option<Timestamp> {
        let Stage::Open(open) = &self.stage else {
            return None;
        };
        let (came, _) = self.last_sound?;
        let at = (open.last_sent + PORTION).max(came + LULL);
        (self.replay.unsent() > 0).then_some(at)
    }

    /// When pending words are asked for, because no sound comes in.
    fn finalize_at(&self) -> Option<Timestamp> {
        let Stage::Open(open) = &self.stage else {
            return None;
        };
        let (at, _) = self.last_sound?;
        let pending = self.replay.unsent() == 0
            && self.replay.is_unsettled()
            && open.finalized < self.replay.sent();
        pending.then(|| at + FINALIZE_AFTER)
    }

    /// When a connection that got sound and said nothing counts as dead.
    fn deaf_at(&self) -> Option<Timestamp> {
        let Stage::Open(open) = &self.stage else {
            return None;
        };
        let patience = DEAF_AFTER * (1 << self.deaf.min(MAX_DEAF_DOUBLINGS));
        let (at, sent) = open.last_heard;
        let got = clock::seconds(self.replay.sent().saturating_sub(sent));
        (got >= patience.as_secs_f64()).then(|| at + patience)
    }

    fn send_waiting(&mut self, most: u64, now: Timestamp) {
        let sound = self.replay.take_unsent(most);
        if let Stage::Open(open) = &mut self.stage
            && !sound.is_empty()
        {
            open.last_sent = now;
            open.primed = true;
            self.commands.push(Command::Sound(sound));
        }
    }

    fn start_connecting(&mut self, now: Timestamp) {
        self.link += 1;
        let request = self.options.request();
        self.stage = Stage::Connecting {
            until: now + request.deadline,
        };
        self.commands.push(Command::Connect {
            link: self.link,
            request: Box::new(request),
        });
    }

    fn judge(&mut self, verdict: Verdict, now: Timestamp) {
        match verdict {
            Verdict::Never { reason } => {
                self.stage = Stage::Failed;
                self.reports.push(SttReport::Failed { reason });
            }
            Verdict::Again { reason, after } => self.wait(reason, after, now),
        }
    }

    fn wait(&mut self, reason: String, after: Option<RetryAfter>, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let policy = retry::policy(LISTEN);
        let seed = self.seed.wrapping_add(u64::from(self.failures));
        let wait = retry::delay(&policy, self.failures, seed, after).unwrap_or(policy.max);
        self.stage = Stage::Waiting { until: now + wait };
        self.reports.push(SttReport::Reconnecting {
            reason,
            attempt: self.failures,
        });
    }

    fn over(&mut self) {
        self.stage = Stage::Closed;
        let unsent = self.replay.unsent();
        if unsent > 0 {
            let seconds = clock::seconds(unsent);
            self.reports.push(SttReport::Lost { seconds });
        }
        self.reports.push(SttReport::Closed);
    }

    fn results(&mut self, results: &Results<'_>, base: i64) {
        let (is_final, closes) = (
            results.is_final,
            results.speech_final || results.from_finalize,
        );
        let window_end = results.start + results.duration;
        let until = self.at(base, window_end);
        let segments = words::segments(results, |seconds| self.at(base, seconds));
        if !is_final {
            let partial = segments.into_iter().next();
            self.reports
                .extend(partial.map(|segment| SttReport::Partial { segment }));
            return;
        }
        let settled = place(base, window_end);
        self.replay.settle(settled);
        self.clock.forget_before(settled);
        if let Some(last) = segments.last() {
            self.pending_since = (!closes).then_some(last.end);
            self.reports.push(SttReport::Final {
                session: self.sessions,
                segments,
                until,
                ends_utterance: closes,
            });
        } else if closes {
            self.utterance_ended(until);
        }
    }

    /// The vendor's rule: what ends an utterance counts once, and only if words came since the last end.
    fn utterance_ended(&mut self, end: f64) {
        if let Some(words_end) = self.pending_since.take() {
            let end = end.min(words_end).max(0.0);
            self.reports.push(SttReport::UtteranceEnd { end });
        }
    }

    /// Turns a connection's seconds into seconds since listening began.
    fn at(&self, base: i64, seconds: f64) -> f64 {
        self.clock.at(place(base, seconds))
    }

    fn is_repeated(&self, sound: &[u8], stamp: Option<f64>) -> bool {
        let last = self.last_sound.and_then(|(_, stamp)| stamp);
        stamp.is_some() && last == stamp && self.replay.ends_with(sound)
    }
}

/// The position in the sound at so many seconds of a connection.
fn place(base: i64, seconds: f64) -> u64 {
    u64::try_from(base.saturating_add(position(clock::bytes(seconds)))).unwrap_or(0)
}

fn position(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
