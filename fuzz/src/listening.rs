//! A listening session at Deepgram: whatever the vendor says and the network does, the session keeps the vendor's
//! rules, sends the sound in order, and is over when it says so.
//!
//! | Step | Means |
//! | --- | --- |
//! | `sound 20`, `sound 20 1.5` | so many milliseconds of sound come in, with this time stamp; `odd 3` so many bytes |
//! | `long` | from here on more sound may come in than is kept |
//! | `wait 500` | so many milliseconds pass |
//! | `up`, `late` | the newest handshake, or one before it, succeeds |
//! | `no 429 …`, `silent` | the newest handshake is refused with this status and body, or not answered |
//! | `down 1011 …` | the connection is closed with this code and reason |
//! | `flush`, `close` | words are asked for, the session is to end |
//! | anything else | a text frame of the vendor's |

use std::time::Duration;

use attache_meeting::{
    http::{HandshakeFailure, TransportError},
    secret::Secret,
    vendors::deepgram::{
        BYTES_PER_SECOND, Command, DeepgramStt, Diarization, HeardSegment, ListenOptions, Passage,
        REPLAY_SECONDS, SttReport,
    },
};
use jiff::Timestamp;

use crate::{
    reason::{is_fit_to_be_told, response},
    script::{expand, number, start_of_time, steps},
};

/// The longest piece of sound; a frame of Recall's is 320,000 bytes at most.
const MAX_SOUND_MS: u64 = 10_000;
/// Of all pieces together: enough for anything to happen but an overflow.
const MAX_SOUND_IN_ALL_MS: u64 = 5_000;
/// The same in a long story: somewhat more than is kept, and than a connection may leave without a word.
const MAX_SOUND_IN_LONG_MS: u64 = 45_000;
const MAX_WAIT_MS: u64 = 600_000;
/// How often a session may have to be looked at within one wait of ten minutes: a portion each 200 ms for 30 s.
const MAX_POLLS: usize = 1_000;
const KEY: &str = "fake-deepgram-key";

/// Checks one input: a story.
pub fn check(data: &[u8]) {
    let mut line = Line::new();
    for (word, rest) in steps(data) {
        line.step(&word, &expand(&rest));
        line.obey();
    }
    line.end();
}

/// A session with the sockets around it.
struct Line {
    stt: DeepgramStt,
    now: Timestamp,
    /// The number of the newest handshake.
    link: u64,
    socket: Socket,
    /// How many samples of sound have come in; each is its own number.
    samples: u64,
    bytes: u64,
    /// How much sound may come in, in milliseconds.
    most_sound: u64,
    /// Whether sound came in that is no whole number of samples, or more than is kept.
    out_of_order: bool,
    reconnecting: u32,
    over: bool,
}

#[derive(Debug)]
enum Socket {
    None,
    Connecting,
    Open {
        /// The next sample that is due on this connection, once there was one.
        next: Option<u16>,
        /// Whether `CloseStream` was sent.
        closing: bool,
    },
}

impl Line {
    fn new() -> Self {
        let options = ListenOptions {
            base_url: "https://api.deepgram.com".to_owned(),
            api_key: Secret::new(KEY),
            model: "nova-3".to_owned(),
            language: "en-US".to_owned(),
            diarization: Diarization::Latest,
            keyterms: vec!["Ada".to_owned()],
            reference: "mtg_1".to_owned(),
        };
        let now = start_of_time();
        let mut line = Self {
            stt: DeepgramStt::connect(options, None, 0, 7, now),
            now,
            link: 0,
            socket: Socket::None,
            samples: 0,
            bytes: 0,
            most_sound: MAX_SOUND_IN_ALL_MS,
            out_of_order: false,
            reconnecting: 0,
            over: false,
        };
        line.obey();
        line
    }

    fn step(&mut self, word: &str, rest: &str) {
        match word {
            "long" => self.most_sound = MAX_SOUND_IN_LONG_MS,
            "sound" => self.sound(rest),
            "odd" => self.odd(rest),
            "wait" => self.wait(Duration::from_millis(number(rest, MAX_WAIT_MS))),
            "up" => self.up(),
            "late" => {
                let taken = self.stt.connected(self.link.wrapping_sub(1), self.now);
                assert!(!taken, "a handshake that was given up is taken");
            }
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
                self.stt.disconnected(self.link, code, said, self.now);
            }
            "flush" => self.stt.finalize(),
            "close" => self.stt.close(self.now),
            _ => {
                let text = format!("{word} {rest}");
                self.stt.message(self.link, text.trim_end(), self.now);
            }
        }
    }

    /// Sound in which every sample is its own number, so that a gap or a repetition shows.
    fn sound(&mut self, rest: &str) {
        let so_far = self.samples * 2_000 / u64::from(BYTES_PER_SECOND);
        let ms = number(rest, MAX_SOUND_MS).min(self.most_sound.saturating_sub(so_far));
        let stamp = rest.split(' ').nth(1).and_then(|text| text.parse().ok());
        let first = self.samples;
        let count = ms * u64::from(BYTES_PER_SECOND) / 2_000;
        let sound: Vec<u8> = (first..first + count).flat_map(sample_bytes).collect();
        self.samples += count;
        self.give(&sound, stamp);
    }

    fn odd(&mut self, rest: &str) {
        let count = usize::try_from(number(rest, 1_000)).expect("it is small");
        self.out_of_order = true;
        self.give(&vec![1; count], None);
    }

    fn give(&mut self, sound: &[u8], stamp: Option<f64>) {
        self.bytes += sound.len() as u64;
        if self.bytes > u64::from(REPLAY_SECONDS * BYTES_PER_SECOND) {
            self.out_of_order = true;
        }
        match self.stt.send_audio(sound, stamp, self.now) {
            Passage::Now(same) => {
                assert_eq!(same, sound);
                let now = same.to_vec();
                self.sent(&now);
            }
            Passage::Waiting(waited) => self.sent(&waited),
            Passage::Kept => {}
        }
    }

    fn up(&mut self) {
        let expected = matches!(self.socket, Socket::Connecting);
        let taken = self.stt.connected(self.link, self.now);
        assert_eq!(taken, expected, "{:?}", self.socket);
        if taken {
            self.socket = Socket::Open {
                next: None,
                closing: false,
            };
        }
    }

    fn not_up(&mut self, failure: &HandshakeFailure) {
        if matches!(self.socket, Socket::Connecting) {
            self.socket = Socket::None;
        }
        self.stt.not_connected(self.link, failure, self.now);
    }

    /// Lets time pass, looking at the session whenever that is due.
    fn wait(&mut self, wait: Duration) {
        let until = self.now + wait;
        for _ in 0..MAX_POLLS {
            let Some(at) = self.stt.deadline().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.poll();
        }
        self.now = until;
        self.poll();
    }

    fn poll(&mut self) {
        self.stt.poll(self.now);
        self.obey();
        let next = self.stt.deadline();
        assert!(
            next.is_none_or(|at| at > self.now),
            "the timer would ring for ever"
        );
    }

    /// Does what the session says, and checks that it may say it.
    fn obey(&mut self) {
        for command in self.stt.take_commands() {
            assert!(!format!("{command:?}").contains(KEY));
            match command {
                Command::Connect { link, request } => {
                    assert!(matches!(self.socket, Socket::None), "two sockets at once");
                    assert!(link > self.link, "a number is used twice");
                    assert!(!request.url.contains(KEY));
                    self.link = link;
                    self.socket = Socket::Connecting;
                }
                Command::Sound(sound) => self.sent(&sound),
                Command::Text(text) => self.told(text),
                Command::Disconnect => self.socket = Socket::None,
            }
        }
        for report in self.stt.take_reports() {
            self.heard(&report);
        }
        assert!(!self.stt.has_news());
    }

    fn told(&mut self, text: &str) {
        let Socket::Open { closing, .. } = &mut self.socket else {
            panic!("{text} without a socket");
        };
        assert!(!*closing, "{text} after CloseStream");
        *closing = text.contains("CloseStream");
    }

    fn sent(&mut self, sound: &[u8]) {
        assert!(!sound.is_empty(), "an empty frame");
        assert!(sound.len() <= (REPLAY_SECONDS * BYTES_PER_SECOND) as usize);
        let Socket::Open { next, closing } = &mut self.socket else {
            panic!("sound without a socket");
        };
        assert!(!*closing, "sound after CloseStream");
        // Silence of the session's own keeps a connection open before the first sound.
        let own = next.is_none() && sound.iter().all(|byte| *byte == 0);
        if self.out_of_order || own {
            return;
        }
        assert_eq!(sound.len() % 2, 0, "half a sample");
        for sample in sound
            .chunks(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        {
            assert!(
                next.is_none_or(|next| next == sample),
                "{sample} for {next:?}"
            );
            // The numbers begin anew before 0, which is silence.
            *next = Some(if sample == u16::MAX { 1 } else { sample + 1 });
        }
    }

    fn heard(&mut self, report: &SttReport) {
        assert!(!self.over, "{report:?} after the end");
        let stored = serde_json::to_string(report).expect("a report can be stored");
        let read: SttReport = serde_json::from_str(&stored).expect("a stored report can be read");
        assert_eq!(&read, report);
        match report {
            SttReport::Reconnecting { reason, attempt } => {
                is_fit_to_be_told(reason);
                assert!(*attempt > 0);
                self.reconnecting += 1;
            }
            SttReport::Failed { reason } => {
                is_fit_to_be_told(reason);
                self.socket = Socket::None;
            }
            SttReport::Unknown { kind } => is_fit_to_be_told(kind),
            SttReport::Closed => self.over = true,
            SttReport::Lost { seconds } => assert!(*seconds > 0.0 && seconds.is_finite()),
            SttReport::Partial { segment } => is_a_segment(segment),
            SttReport::Final {
                segments, until, ..
            } => {
                assert!(!segments.is_empty() && until.is_finite());
                segments.iter().for_each(is_a_segment);
            }
            SttReport::UtteranceEnd { end } => assert!(end.is_finite() && *end >= 0.0),
            SttReport::SpeechStarted { start } => assert!(start.is_finite() && *start >= 0.0),
            SttReport::Began { origin } => assert!(origin.is_finite()),
            SttReport::Open { session } => assert!(*session > 0),
        }
    }

    /// A session that is told to end ends by itself, whatever happened before.
    fn end(&mut self) {
        self.stt.close(self.now);
        self.obey();
        self.wait(Duration::from_mins(2));
        assert!(self.stt.is_closed(), "the session has no end");
        assert_eq!(self.stt.deadline(), None);
        self.give(&[1, 2], None);
        self.stt
            .message(self.link, r#"{"type":"Metadata"}"#, self.now);
        self.poll();
        assert!(
            !matches!(self.socket, Socket::Open { .. }),
            "a socket is left"
        );
    }
}

/// The number of a sample as its bytes; never 0, which is silence.
fn sample_bytes(sample: u64) -> [u8; 2] {
    let number = u16::try_from(sample % u64::from(u16::MAX)).expect("the remainder fits") + 1;
    number.to_le_bytes()
}

fn is_a_segment(segment: &HeardSegment) {
    assert!(!segment.text.trim().is_empty(), "{segment:?}");
    assert!(
        segment.start.is_finite() && segment.start >= 0.0,
        "{segment:?}"
    );
    assert!(
        segment.end.is_finite() && segment.start <= segment.end,
        "{segment:?}"
    );
    for word in &segment.words {
        assert!(
            word.start <= word.end && !word.text.is_empty(),
            "{segment:?}"
        );
    }
}
