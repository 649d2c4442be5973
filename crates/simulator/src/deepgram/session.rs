//! One stream, without its socket: frames and the time in, frames and the end out.

mod telling;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::control::{self, Control};
use super::messages::{Stamp, schema_error};
use super::query::check_keyterms;
use super::received::Received;
use super::state::{
    ControlMessage, DATA_0000, ListeningDrop, ListeningNews, ListeningSession, NET_0001,
    ScriptedResult, Side,
};
use super::transcriber::Transcriber;

/// Of a message that cannot be read, this much comes back.
const ECHO: usize = 500;
/// More violations than this are one and the same mistake over and over.
const KEPT_VIOLATIONS: usize = 100;
/// What the browser's and the runtime's side calls a connection that ended without a close frame.
const NO_CLOSE_FRAME: u16 = 1006;

/// A frame for the client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Out {
    Text(Value),
    Close { code: u16, reason: String },
}

/// What a connection is to do, all as of one moment: what happens later is the next turn's.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Frames to send.
    pub(crate) out: Vec<Out>,
    /// When to look again.
    pub(crate) deadline: Option<Timestamp>,
    /// How the connection is to break, where that is not a frame.
    pub(crate) broken: Option<ListeningDrop>,
    /// The stream is over with these frames.
    pub(crate) closed: bool,
}

/// How a stream is set up besides its query.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// How long the vendor waits for audio or a sign of life.
    pub(crate) patience: Duration,
    pub(crate) keep_audio: bool,
    pub(crate) measure_pace: bool,
}

/// What the handshake told.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) meeting_id: Option<String>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) user_agent: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Session {
    rules: Rules,
    stamp: Stamp,
    handshake: Handshake,
    opened_at: Timestamp,
    transcriber: Transcriber,
    script: Option<VecDeque<ScriptedResult>>,
    /// The names of the speakers, in the order of their numbers.
    speakers: HashMap<Option<String>, usize>,
    keyterms: Vec<String>,
    received: Received,
    texts: Vec<ControlMessage>,
    violations: Vec<String>,
    broken_words: Vec<String>,
    results: usize,
    newcomers: usize,
    last_sign: Timestamp,
    close_stream: bool,
    mute: bool,
    drop: Option<ListeningDrop>,
    closed: Option<(u16, String)>,
    closed_by: Option<Side>,
    out: Vec<Out>,
    news: Vec<ListeningNews>,
}

impl Session {
    pub(crate) fn new(
        rules: Rules,
        stamp: Stamp,
        handshake: Handshake,
        transcriber: Transcriber,
        script: Option<Vec<ScriptedResult>>,
        now: Timestamp,
    ) -> Self {
        let mut session = Self {
            rules,
            keyterms: stamp.parameters.keyterms.clone(),
            stamp,
            handshake,
            opened_at: now,
            transcriber,
            script: script.map(VecDeque::from),
            speakers: HashMap::new(),
            received: Received::default(),
            texts: Vec::new(),
            violations: Vec::new(),
            broken_words: Vec::new(),
            results: 0,
            newcomers: 0,
            last_sign: now,
            close_stream: false,
            mute: false,
            drop: None,
            closed: None,
            closed_by: None,
            out: Vec::new(),
            news: vec![ListeningNews::Opened],
        };
        if session.handshake.user_agent.is_none() {
            session.violation(
                "the handshake has no user-agent, which the vendor's firewall may reject"
                    .to_owned(),
            );
        }
        session
    }

    /// A binary frame came.
    pub(crate) fn hear(&mut self, bytes: &[u8], now: Timestamp) {
        self.watch_for_late(&format!("{} bytes of audio", bytes.len()));
        if self.closed.is_some() {
            return;
        }
        if bytes.is_empty() {
            self.violation("an empty binary frame".to_owned());
            return self.close(1008, DATA_0000);
        }
        if is_control(bytes) {
            self.violation("a control message in a binary frame".to_owned());
            return self.close(1008, DATA_0000);
        }
        if self.stamp.parameters.encoding.is_empty() {
            self.violation("raw audio without `encoding`".to_owned());
            return self.close(1008, DATA_0000);
        }
        if self.received.bytes() == 0 {
            self.news.push(ListeningNews::FirstAudio);
        }
        self.last_sign = now;
        self.keep(bytes, now);
        let outcomes = self.transcriber.hear(bytes);
        self.tell_all(outcomes);
        self.follow_script();
    }

    fn keep(&mut self, bytes: &[u8], now: Timestamp) {
        self.received.add(bytes);
        if self.rules.keep_audio {
            self.received.keep(bytes);
        }
        if self.rules.measure_pace {
            let seconds = self.stamp.seconds(bytes.len() as u64);
            self.received.measure(seconds, now);
        }
    }

    /// A text frame came.
    pub(crate) fn read(&mut self, text: &str, now: Timestamp) {
        self.watch_for_late(text);
        let audio_bytes = self.received.bytes();
        self.texts.push(ControlMessage {
            text: text.to_owned(),
            audio_bytes,
            at: now,
        });
        self.news
            .push(ListeningNews::Told(text.chars().take(ECHO).collect()));
        if self.closed.is_some() {
            return;
        }
        self.last_sign = now;
        match control::read(text) {
            Ok(Control::KeepAlive) => {}
            Ok(Control::Finalize) => {
                let outcomes = self.transcriber.finalize();
                self.tell_all(outcomes);
            }
            Ok(Control::CloseStream) => self.close_stream(),
            Ok(Control::Configure(keyterms)) => self.configure(keyterms),
            Err(problem) => {
                self.violation(format!("a text message that cannot be read: {problem}"));
                let echo: String = text.chars().take(ECHO).collect();
                self.say(schema_error(&problem, &echo));
            }
        }
    }

    fn close_stream(&mut self) {
        self.close_stream = true;
        let outcomes = self.transcriber.finish();
        self.tell_all(outcomes);
        let sha256 = self.received.sha256();
        let summary = self
            .stamp
            .summary(&sha256, self.opened_at, self.received.bytes());
        self.say(summary);
        if !self.mute {
            self.close(1000, "");
        }
    }

    fn configure(&mut self, keyterms: Option<Vec<String>>) {
        let keyterms = keyterms.unwrap_or_else(|| self.keyterms.clone());
        let answer = if !self.stamp.parameters.is_nova_3() {
            self.stamp.not_configured(
                "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
                "only nova-3 takes keyterms",
            )
        } else if let Err(problem) = check_keyterms(&keyterms) {
            self.stamp
                .not_configured("CONFIGURE_KEYTERM_LIMIT_EXCEEDED", &problem)
        } else {
            self.keyterms = keyterms;
            self.stamp.configured(&self.keyterms)
        };
        self.say(answer);
    }

    /// The client sent a close frame, or its connection ended without one.
    pub(crate) fn client_left(&mut self, close: Option<(u16, String)>) {
        let (code, reason) = close.unwrap_or((NO_CLOSE_FRAME, String::new()));
        self.end(code, reason, Side::Client);
    }

    /// The vendor's end cut the connection.
    pub(crate) fn cut(&mut self) {
        self.end(NO_CLOSE_FRAME, String::new(), Side::Vendor);
    }

    /// When [`Self::tick`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let since = if self.received.bytes() == 0 {
            self.opened_at
        } else {
            self.last_sign
        };
        self.closed.is_none().then(|| since + self.rules.patience)
    }

    /// Ends the stream if the client was silent for too long. Early and repeated calls do nothing.
    fn tick(&mut self, now: Timestamp) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.close(1011, NET_0001);
        }
    }

    /// Breaks the stream, if it is open.
    pub(crate) fn break_off(&mut self, how: &ListeningDrop) -> bool {
        if self.closed.is_some() {
            return false;
        }
        self.news.push(ListeningNews::Dropped(how.clone()));
        match how {
            ListeningDrop::Mute => self.mute = true,
            ListeningDrop::Close { code, reason } => self.close(*code, reason),
            ListeningDrop::Abort | ListeningDrop::HalfOpen => self.drop = Some(how.clone()),
        }
        true
    }

    /// Whether it counts as a running stream.
    pub(crate) fn is_running(&self) -> bool {
        self.closed.is_none() && self.drop.is_none()
    }

    /// Brings the stream up to now and takes what its connection is to do.
    pub(crate) fn turn(&mut self, now: Timestamp) -> Turn {
        self.tick(now);
        Turn {
            out: std::mem::take(&mut self.out),
            deadline: self.deadline(),
            broken: self.drop.clone(),
            closed: self.closed.is_some(),
        }
    }

    /// Takes what the journal should know.
    pub(crate) fn take_news(&mut self) -> Vec<ListeningNews> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn id(&self) -> &str {
        &self.stamp.request_id
    }

    pub(crate) fn meeting_id(&self) -> Option<&str> {
        self.handshake.meeting_id.as_deref()
    }

    pub(crate) fn state(&self) -> ListeningSession {
        ListeningSession {
            id: self.stamp.request_id.clone(),
            meeting_id: self.handshake.meeting_id.clone(),
            opened_at: self.opened_at,
            parameters: self.handshake.parameters.clone(),
            user_agent: self.handshake.user_agent.clone(),
            audio: self.received.kept(),
            audio_bytes: self.received.bytes(),
            texts: self.texts.clone(),
            results: self.results,
            broken_words: self.broken_words.clone(),
            violations: self.violations.clone(),
            too_fast: self.received.too_fast(),
            closed: self.closed.clone(),
            closed_by: self.closed_by,
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.out.push(Out::Close {
            code,
            reason: reason.to_owned(),
        });
        self.end(code, reason.to_owned(), Side::Vendor);
    }

    fn end(&mut self, code: u16, reason: String, by: Side) {
        if self.closed.is_some() {
            return;
        }
        if self.received.bytes() % 2 == 1 {
            self.violation(format!(
                "{} bytes are no whole number of samples",
                self.received.bytes()
            ));
        }
        self.closed = Some((code, reason.clone()));
        self.closed_by = Some(by);
        self.news.push(ListeningNews::Closed { code, reason, by });
    }

    /// After `CloseStream` nothing may come.
    fn watch_for_late(&mut self, what: &str) {
        if self.close_stream {
            let what: String = what.chars().take(ECHO).collect();
            self.violation(format!("after CloseStream: {what}"));
        }
    }

    fn violation(&mut self, what: String) {
        if self.violations.len() < KEPT_VIOLATIONS {
            self.news.push(ListeningNews::Violation(what.clone()));
            self.violations.push(what);
        }
    }
}

/// Whether audio bytes are a control message that should have been text.
fn is_control(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{")
        && serde_json::from_slice::<Value>(bytes).is_ok_and(|message| message["type"].is_string())
}
