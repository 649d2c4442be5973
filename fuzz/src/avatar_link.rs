//! The socket of an avatar's session: whatever the vendor says, in either dialect, every utterance ends once, no sound
//! is sent twice, and nothing is sent to a session that is not ready.
//!
//! | Step | Means |
//! | --- | --- |
//! | `begin`, `feed 500`, `done` | an utterance begins, gets so many milliseconds of sound, is complete |
//! | `cut`, `pose`, `rest`, `close` | it is interrupted; the attentive pose; the link ends |
//! | `wait 500` | so many milliseconds pass |
//! | `up`, `no 404 …`, `silent` | the newest handshake succeeds, is refused, is not answered |
//! | `down 1006 …` | the connection is closed with this code and reason |
//! | anything else | a text frame of the vendor's; `ID` stands for the utterance that is on |

use std::time::Duration;

use attache_meeting::{
    http::{HandshakeFailure, TransportError},
    secret::Secret,
    vendors::liveavatar::{
        BYTES_PER_SECOND, Beginning, Command, LinkReport, LiveAvatarLink, NotTaken,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    reason::{is_fit_to_be_told, response},
    script::{expand, number, start_of_time, steps},
};

const MAX_FEED_MS: u64 = 5_000;
const MAX_WAIT_MS: u64 = 600_000;
/// A piece a second, a sign of life each minute, and a few patiences, in ten minutes.
const MAX_POLLS: usize = 2_000;
const SECRET: &str = "fake-socket-token";

/// Checks one input: a story; the first step may be `resumed`.
pub fn check(data: &[u8]) {
    // A vendor that repeats its own secret in words of its own gives it away itself.
    if String::from_utf8_lossy(data).contains(SECRET) {
        return;
    }
    let steps = steps(data);
    let resumed = steps.first().is_some_and(|(word, _)| word == "resumed");
    let mut line = Line::new(if resumed {
        Beginning::Resumed
    } else {
        Beginning::Fresh
    });
    for (word, rest) in &steps {
        line.step(word, &expand(rest));
        line.obey();
    }
    line.end();
}

/// A link with the sockets around it.
struct Line {
    link: LiveAvatarLink,
    now: Timestamp,
    /// The number of the newest handshake.
    number: u64,
    socket: Socket,
    /// The utterances, by the number in their id.
    utterances: Vec<Utterance>,
    /// Whether a report told the end.
    over: bool,
    told: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    None,
    Connecting,
    Open { connected: bool },
}

#[derive(Debug, Default)]
struct Utterance {
    fed: u64,
    sent: u64,
    complete: bool,
    speaking: bool,
    ended: bool,
}

impl Line {
    fn new(beginning: Beginning) -> Self {
        let now = start_of_time();
        let url = Secret::new(format!("wss://avatar.example/{SECRET}"));
        let mut line = Self {
            link: LiveAvatarLink::connect(url, beginning, 7, now),
            now,
            number: 0,
            socket: Socket::None,
            utterances: Vec::new(),
            over: false,
            told: 0,
        };
        line.obey();
        line
    }

    fn step(&mut self, word: &str, rest: &str) {
        match word {
            "begin" => self.begin(),
            "feed" => self.feed(number(rest, MAX_FEED_MS)),
            "done" => self.done(),
            "cut" => {
                let on = self.link.current().is_some();
                assert_eq!(self.link.interrupt(self.now), on);
            }
            "pose" => self.link.listening(true, self.now),
            "rest" => self.link.listening(false, self.now),
            "close" => self.link.close(self.now),
            "wait" => self.wait(Duration::from_millis(number(rest, MAX_WAIT_MS))),
            "up" => self.up(),
            "no" => {
                let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
                let refused = response(&format!("{status}\nretry-after: 7\n\n{body}"));
                self.not_up(&HandshakeFailure::Refused(refused));
            }
            "silent" => self.not_up(&HandshakeFailure::Unanswered(TransportError::Timeout)),
            "down" => {
                let (code, said) = rest.split_once(' ').unwrap_or((rest, ""));
                let code = code.parse().unwrap_or(1006);
                if matches!(self.socket, Socket::Open { .. }) {
                    self.socket = Socket::None;
                }
                self.link.disconnected(self.number, code, said, self.now);
            }
            _ => self.message(&format!("{word} {rest}")),
        }
    }

    fn message(&mut self, text: &str) {
        let id = self.link.current().unwrap_or("utt-0").to_owned();
        let text = text.trim_end().replace("ID", &id);
        let says_connected = serde_json::from_str::<Value>(&text).is_ok_and(|value| {
            value["type"] == "session.state_updated" && value["state"] == "connected"
        });
        if let Socket::Open { connected } = &mut self.socket {
            *connected |= says_connected;
        }
        self.link.message(self.number, &text, self.now);
    }

    fn begin(&mut self) {
        let id = format!("utt-{}", self.utterances.len());
        let begun = self.link.begin(&id, self.now);
        match begun {
            Ok(()) => self.utterances.push(Utterance::default()),
            Err(NotTaken::Busy) => assert!(self.link.current().is_some()),
            Err(NotTaken::Over) => assert!(self.link.is_over()),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn feed(&mut self, ms: u64) {
        let Some(id) = self.link.current().map(str::to_owned) else {
            let taken = self.link.speak("utt-0", &[0, 0], self.now);
            return assert_eq!(taken, Err(NotTaken::NotOpen));
        };
        let utterance = &mut self.utterances[index(&id)];
        let count = ms * u64::from(BYTES_PER_SECOND) / 2_000;
        let first = utterance.fed / 2;
        let sound: Vec<u8> = (first..first + count).flat_map(sample_bytes).collect();
        let complete = utterance.complete;
        match self.link.speak(&id, &sound, self.now) {
            Ok(()) => {
                assert!(!complete);
                self.utterances[index(&id)].fed += sound.len() as u64;
            }
            Err(NotTaken::NotOpen) => assert!(complete),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn done(&mut self) {
        let Some(id) = self.link.current().map(str::to_owned) else {
            return;
        };
        self.utterances[index(&id)].complete = true;
        // A second end is one too many.
        self.link.speak_end(&id, self.now).ok();
    }

    fn up(&mut self) {
        let expected = self.socket == Socket::Connecting;
        let taken = self.link.connected(self.number, self.now);
        assert_eq!(taken, expected, "{:?}", self.socket);
        if taken {
            self.socket = Socket::Open { connected: false };
        }
    }

    fn not_up(&mut self, failure: &HandshakeFailure) {
        if self.socket == Socket::Connecting {
            self.socket = Socket::None;
        }
        self.link.not_connected(self.number, failure, self.now);
    }

    fn wait(&mut self, wait: Duration) {
        let until = self.now + wait;
        for _ in 0..MAX_POLLS {
            let Some(at) = self.link.deadline().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    fn poll(&mut self) {
        self.link.poll(self.now);
        self.obey();
        let next = self.link.deadline();
        // The first look after having been held up only grants the vendor some time.
        let again = next.is_some_and(|at| at <= self.now);
        if again {
            self.link.poll(self.now);
            self.obey();
        }
        let next = self.link.deadline();
        assert!(
            next.is_none_or(|at| at > self.now),
            "the timer would ring for ever"
        );
    }

    fn obey(&mut self) {
        for command in self.link.take_commands() {
            assert!(!format!("{command:?}").contains(SECRET));
            match command {
                Command::Connect { link, .. } => {
                    assert_eq!(self.socket, Socket::None, "two sockets at once");
                    assert!(link > self.number, "a number is used twice");
                    self.number = link;
                    self.socket = Socket::Connecting;
                }
                Command::Text(text) => self.sent(&text),
                Command::Disconnect => self.socket = Socket::None,
            }
        }
        for report in self.link.take_reports() {
            self.heard(&report);
        }
        assert!(!self.link.has_news());
        if self.link.is_ready() {
            assert_eq!(self.socket, Socket::Open { connected: true });
        }
    }

    fn sent(&mut self, text: &str) {
        assert_eq!(self.socket, Socket::Open { connected: true }, "{text}");
        assert!(
            text.len() < 1_000_000,
            "the vendor takes messages up to 1 MB"
        );
        let value: Value = serde_json::from_str(text).expect("a command is JSON");
        let id = value["event_id"].as_str().expect("a command has an id");
        match value["type"].as_str() {
            Some("agent.speak") => {
                let audio = value["audio"].as_str().expect("speech has sound");
                let sound = STANDARD.decode(audio).expect("the sound is base64");
                let utterance = &mut self.utterances[index(id)];
                assert!(!utterance.ended, "sound after the end of {id}");
                assert!(!sound.is_empty() && sound.len().is_multiple_of(2));
                let samples = sound.len() as u64 / 2;
                let first = utterance.sent / 2;
                let expected: Vec<u8> = (first..first + samples).flat_map(sample_bytes).collect();
                assert_eq!(sound, expected, "sound is skipped or repeated");
                utterance.sent += sound.len() as u64;
                assert!(utterance.sent <= utterance.fed);
            }
            Some("agent.speak_end") => {
                let utterance = &self.utterances[index(id)];
                assert!(utterance.complete && utterance.sent == utterance.fed);
            }
            Some(
                "agent.interrupt"
                | "agent.start_listening"
                | "agent.stop_listening"
                | "session.keep_alive",
            ) => {}
            other => panic!("a command that the vendor does not know: {other:?}"),
        }
    }

    fn heard(&mut self, report: &LinkReport) {
        let stored = serde_json::to_string(report).expect("a report can be stored");
        let read: LinkReport = serde_json::from_str(&stored).expect("a stored report can be read");
        assert_eq!(&read, report);
        assert!(!stored.contains(SECRET), "{stored}");
        match report {
            LinkReport::Speaking { event_id, .. } => {
                let utterance = &mut self.utterances[index(event_id)];
                assert!(!utterance.ended && !utterance.speaking && utterance.sent > 0);
                utterance.speaking = true;
            }
            LinkReport::Spoken { event_id, heard_ms } => {
                let utterance = &mut self.utterances[index(event_id)];
                assert!(!utterance.ended && utterance.speaking && utterance.complete);
                assert_eq!(*heard_ms, ms(utterance.sent));
                utterance.ended = true;
            }
            LinkReport::Cut {
                event_id,
                heard_ms,
                sent_ms,
                unsent_ms,
                ..
            } => {
                let utterance = &mut self.utterances[index(event_id)];
                assert!(!utterance.ended, "{event_id} ends twice");
                assert!(
                    heard_ms <= sent_ms && *sent_ms == ms(utterance.sent),
                    "{report:?}"
                );
                assert!(*unsent_ms <= ms(utterance.fed), "{report:?}");
                utterance.ended = true;
            }
            LinkReport::Reconnecting { reason, .. } => is_fit_to_be_told(reason),
            LinkReport::Failed { reason } => {
                is_fit_to_be_told(reason);
                assert!(self.link.is_over());
                self.socket = Socket::None;
            }
            LinkReport::Closed => {
                assert!(!self.over, "it is closed twice");
                self.over = true;
            }
            LinkReport::Trouble { message, .. } => {
                is_fit_to_be_told(message);
                self.told += 1;
            }
            LinkReport::Unknown { kind } => {
                is_fit_to_be_told(kind);
                self.told += 1;
            }
            LinkReport::Ready { connections } => assert!(*connections > 0),
        }
        assert!(self.told <= 40, "the log is flooded");
    }

    /// Left alone, an utterance ends; closed, the link sends nothing more.
    fn end(&mut self) {
        self.wait(Duration::from_mins(2));
        assert_eq!(self.link.current(), None, "an utterance has no end");
        self.link.close(self.now);
        self.obey();
        assert!(self.link.is_over() && self.link.deadline().is_none());
        for (index, utterance) in self.utterances.iter().enumerate() {
            assert!(utterance.ended, "utterance {index} has no end");
        }
        assert!(self.socket == Socket::None, "a socket is left");
        self.link.message(
            self.number,
            r#"{"type":"session.state_updated","state":"connected"}"#,
            self.now,
        );
        assert_eq!(self.link.begin("utt-late", self.now), Err(NotTaken::Over));
        self.poll();
    }
}

fn index(id: &str) -> usize {
    let number = id
        .strip_prefix("utt-")
        .and_then(|number| number.parse().ok());
    number.expect("an id of ours")
}

fn sample_bytes(sample: u64) -> [u8; 2] {
    let number = u16::try_from(sample % u64::from(u16::MAX)).expect("the remainder fits");
    number.to_le_bytes()
}

fn ms(bytes: u64) -> u64 {
    bytes * 1_000 / u64::from(BYTES_PER_SECOND)
}
