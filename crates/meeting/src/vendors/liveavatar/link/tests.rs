//! Sessions on a virtual clock, against a small model of the vendor that checks every frame.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    http::{Response, TransportError},
    vendors::liveavatar::{
        BYTES_PER_SECOND,
        utterance::{LEAD, lasts},
    },
};

const SECOND: usize = BYTES_PER_SECOND as usize;
const REACTION: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    States,
    Speaking,
    Both,
}

/// A link, its clock and the vendor at the other end.
struct Line {
    link: LiveAvatarLink,
    now: Timestamp,
    vendor: Vendor,
    reports: Vec<LinkReport>,
    asked: Vec<u64>,
    closed: bool,
}

/// What the vendor has, and what it is about to say.
struct Vendor {
    dialect: Dialect,
    wire: Wire,
    /// The vendor's side says nothing.
    silent: bool,
    /// Whether what is sent must fit what the avatar does, as it must when the vendor tells the truth.
    strict: bool,
    /// Commands other than sound, by their type, over all sockets.
    commands: Vec<(Timestamp, String)>,
    /// The pieces of every utterance.
    pieces: BTreeMap<String, Vec<(Timestamp, u64, Vec<u8>)>>,
    said: Option<Said>,
    due: Vec<(Timestamp, Value)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    None,
    Opening(u64),
    Ready(u64),
}

/// The utterance that is being said.
struct Said {
    event_id: String,
    until: Timestamp,
    committed: bool,
}

impl Vendor {
    /// Takes a frame in as strictly as the vendor would, and says what follows from it.
    fn hear(&mut self, text: &str, now: Timestamp) {
        let Wire::Ready(link) = self.wire else {
            panic!("sent on {:?}: {text}", self.wire);
        };
        assert!(text.len() < 1_000_000, "a message of {} bytes", text.len());
        let message: Value = serde_json::from_str(text).unwrap();
        let kind = message["type"].as_str().unwrap().to_owned();
        let id = message["event_id"].as_str().unwrap().to_owned();
        let fields = message.as_object().unwrap().len();
        if kind == "agent.speak" {
            assert_eq!(fields, 3, "{message:.200}");
            let pcm = STANDARD.decode(message["audio"].as_str().unwrap()).unwrap();
            self.append(&id, pcm, link, now);
            return;
        }
        assert_eq!(fields, 2, "{message}");
        self.commands.push((now, kind.clone()));
        match kind.as_str() {
            "agent.speak_end" => {
                let said = self.said.as_mut().expect("an utterance to end");
                assert!(said.event_id == id && !said.committed, "{message}");
                said.committed = true;
                let until = said.until.max(now);
                self.say_if(Dialect::States, now, "agent.audio_buffer_committed", &id);
                self.rest(until, &id);
            }
            "agent.interrupt" => {
                if let Some(said) = self.said.take() {
                    self.due.retain(|(at, _)| *at <= now);
                    self.rest(now, &said.event_id);
                }
            }
            "agent.start_listening" | "agent.stop_listening" => {
                assert!(!self.strict || !self.talks(now), "a pose while it talks");
            }
            "session.keep_alive" => {}
            _ => panic!("{message}"),
        }
    }

    fn append(&mut self, id: &str, pcm: Vec<u8>, link: u64, now: Timestamp) {
        assert!(
            !pcm.is_empty() && pcm.len().is_multiple_of(2),
            "{} bytes",
            pcm.len()
        );
        let length = lasts(pcm.len() as u64);
        let open = matches!(&self.said, Some(said) if !said.committed);
        if open {
            let said = self.said.as_mut().unwrap();
            assert_eq!(said.event_id, id, "an utterance goes on under another id");
            said.until = said.until.max(now) + length;
        } else {
            assert!(!self.pieces.contains_key(id), "{id} is said again");
            assert!(!self.strict || !self.talks(now), "the avatar has not ended");
            self.said = Some(Said {
                event_id: id.to_owned(),
                until: now + REACTION + length,
                committed: false,
            });
            let at = now + REACTION;
            self.say_state(at, "idle", "talking");
            self.say_if(Dialect::Speaking, at, "agent.speak_started", id);
        }
        self.say_if(Dialect::States, now, "agent.audio_buffer_appended", id);
        let pieces = self.pieces.entry(id.to_owned()).or_default();
        if let Some((_, _, last)) = pieces.last() {
            let ms = last.len() * 1_000 / SECOND;
            let fits = match pieces.len() {
                1 => (400..=600).contains(&ms),
                _ => ms <= 1_100,
            };
            assert!(fits, "piece {} of {id} is {ms} ms long", pieces.len());
        }
        pieces.push((now, link, pcm));
        let sent: usize = pieces.iter().map(|(_, _, pcm)| pcm.len()).sum();
        let ahead = lasts(sent as u64).saturating_sub(between(pieces[0].0, now));
        assert!(ahead <= LEAD + Duration::from_secs(2), "{ahead:?} ahead");
    }

    fn talks(&self, now: Timestamp) -> bool {
        self.said
            .as_ref()
            .is_some_and(|said| !said.committed || said.until > now)
    }

    fn rest(&mut self, at: Timestamp, id: &str) {
        self.say_if(Dialect::Speaking, at, "agent.speak_ended", id);
        self.say_state(at, "talking", "idle");
    }

    fn say_state(&mut self, at: Timestamp, before: &str, after: &str) {
        if self.dialect != Dialect::Speaking {
            self.say(
                at,
                json!({"type": "agent.state_updated", "event_id": "e", "source_event_id": null,
                    "previous_state": before, "new_state": after}),
            );
        }
    }

    fn say_if(&mut self, dialect: Dialect, at: Timestamp, kind: &str, id: &str) {
        if self.dialect == dialect || self.dialect == Dialect::Both {
            self.say(
                at,
                json!({"type": kind, "event_id": "e", "source_event_id": id, "task": {"id": "t-1"}}),
            );
        }
    }

    fn say(&mut self, at: Timestamp, message: Value) {
        if !self.silent {
            self.due.push((at, message));
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.due.iter().map(|(at, _)| *at).min()
    }

    fn kinds(&self) -> Vec<&str> {
        self.commands
            .iter()
            .map(|(_, kind)| kind.as_str())
            .collect()
    }

    fn sound(&self, id: &str) -> Vec<u8> {
        let pieces = self.pieces.get(id).into_iter().flatten();
        pieces.flat_map(|(_, _, pcm)| pcm.clone()).collect()
    }
}

impl Line {
    fn new(dialect: Dialect, beginning: Beginning) -> Self {
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let url = Secret::new("wss://sockets.example.com/session/fake-path");
        let mut line = Self {
            link: LiveAvatarLink::connect(url, beginning, 7, now),
            now,
            vendor: Vendor {
                dialect,
                wire: Wire::None,
                silent: false,
                strict: true,
                commands: Vec::new(),
                pieces: BTreeMap::new(),
                said: None,
                due: Vec::new(),
            },
            reports: Vec::new(),
            asked: Vec::new(),
            closed: false,
        };
        line.carry_out();
        line
    }

    fn ready(dialect: Dialect) -> Self {
        let mut line = Self::new(dialect, Beginning::Fresh);
        line.open();
        line.accept();
        line
    }

    fn carry_out(&mut self) {
        for command in self.link.take_commands() {
            assert!(!self.closed, "{command:?} after the end");
            match command {
                Command::Connect { link, .. } => self.asked.push(link),
                Command::Text(text) => self.vendor.hear(&text, self.now),
                Command::Disconnect => self.vendor.wire = Wire::None,
            }
        }
        self.reports.extend(self.link.take_reports());
    }

    fn newest(&self) -> u64 {
        *self.asked.last().unwrap()
    }

    /// The socket opens.
    fn open(&mut self) -> bool {
        let link = self.newest();
        let opened = self.link.connected(link, self.now);
        if opened {
            self.vendor.wire = Wire::Opening(link);
            self.vendor.due.clear();
            self.carry_out();
        }
        opened
    }

    /// The vendor says `connected`.
    fn accept(&mut self) {
        if let Wire::Opening(link) = self.vendor.wire {
            self.vendor.wire = Wire::Ready(link);
            self.say(
                &json!({"type": "session.state_updated", "event_id": "a", "state": "connected"}),
            );
        }
    }

    fn say(&mut self, message: &Value) {
        self.link
            .message(self.newest(), &message.to_string(), self.now);
        self.carry_out();
    }

    fn lose(&mut self) {
        let link = self.newest();
        self.vendor.wire = Wire::None;
        self.link.disconnected(link, 1006, "", self.now);
        self.carry_out();
    }

    /// Time passes, with everything done and said when it is due.
    fn pass(&mut self, wait: Duration) {
        let until = self.now + wait;
        loop {
            let own = self.link.deadline();
            let said = self.vendor.next_due();
            let Some(due) = [own, said]
                .into_iter()
                .flatten()
                .min()
                .filter(|due| *due <= until)
            else {
                break;
            };
            self.now = self.now.max(due);
            if said == Some(due) {
                let place = self
                    .vendor
                    .due
                    .iter()
                    .position(|(at, _)| *at == due)
                    .unwrap();
                let (_, message) = self.vendor.due.remove(place);
                if matches!(self.vendor.wire, Wire::Ready(_)) && !self.vendor.silent {
                    self.say(&message);
                }
            } else {
                self.link.poll(self.now);
                self.carry_out();
            }
        }
        self.now = until;
    }

    fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    fn begin(&mut self, id: &str) {
        self.link.begin(id, self.now).unwrap();
    }

    fn speak(&mut self, id: &str, pcm: &[u8]) -> Result<(), NotTaken> {
        let taken = self.link.speak(id, pcm, self.now);
        self.carry_out();
        taken
    }

    fn end(&mut self, id: &str) {
        let _ = self.link.speak_end(id, self.now);
        self.carry_out();
    }

    /// A whole utterance, as a fast voice gives it.
    fn utter(&mut self, id: &str, seconds: usize) {
        self.begin(id);
        self.speak(id, &sound(seconds * SECOND)).unwrap();
        self.end(id);
    }

    fn interrupt(&mut self) -> bool {
        let interrupted = self.link.interrupt(self.now);
        self.carry_out();
        interrupted
    }

    fn listening(&mut self, on: bool) {
        self.link.listening(on, self.now);
        self.carry_out();
    }

    fn close(&mut self) {
        self.link.close(self.now);
        self.carry_out();
        self.closed = true;
    }

    fn begins_of(&self, id: &str) -> usize {
        let begins =
            |r: &&LinkReport| matches!(r, LinkReport::Speaking { event_id, .. } if event_id == id);
        self.reports.iter().filter(begins).count()
    }

    fn ends_of(&self, id: &str) -> Vec<&LinkReport> {
        let ends = |r: &&LinkReport| match r {
            LinkReport::Spoken { event_id, .. } | LinkReport::Cut { event_id, .. } => {
                event_id == id
            }
            LinkReport::Ready { .. }
            | LinkReport::Speaking { .. }
            | LinkReport::Reconnecting { .. }
            | LinkReport::Failed { .. }
            | LinkReport::Closed
            | LinkReport::Trouble { .. }
            | LinkReport::Unknown { .. } => false,
        };
        self.reports.iter().filter(ends).collect()
    }

    /// Why, and how much was heard, sent and not sent, of an utterance that was cut once.
    fn cut(&self, id: &str) -> (CutReason, [u64; 3]) {
        match self.ends_of(id)[..] {
            [
                LinkReport::Cut {
                    reason,
                    heard_ms,
                    sent_ms,
                    unsent_ms,
                    ..
                },
            ] => (*reason, [*heard_ms, *sent_ms, *unsent_ms]),
            ref other => panic!("{other:?} of {:?}", self.reports),
        }
    }

    fn spoken(&self, id: &str) -> u64 {
        match self.ends_of(id)[..] {
            [LinkReport::Spoken { heard_ms, .. }] => *heard_ms,
            ref other => panic!("{other:?} of {:?}", self.reports),
        }
    }

    fn failed(&self) -> usize {
        let failed = |r: &&LinkReport| matches!(r, LinkReport::Failed { .. });
        self.reports.iter().filter(failed).count()
    }
}

/// Sound of which no two stretches are the same.
fn sound(bytes: usize) -> Vec<u8> {
    (0..=250_u8)
        .map(|n| n.wrapping_mul(31))
        .cycle()
        .take(bytes)
        .collect()
}

#[test]
fn the_handshake_goes_to_the_sessions_address_which_is_not_printed() {
    let url = Secret::new("wss://sockets.example.com/session/fake-path");
    let mut link = LiveAvatarLink::connect(url, Beginning::Fresh, 7, Timestamp::UNIX_EPOCH);
    let commands = link.take_commands();
    assert!(!format!("{link:?} {commands:?}").contains("fake-path"));
    let [Command::Connect { request, .. }] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!(request.url, "https://sockets.example.com/session/fake-path");
    assert!(retry::is_listed(request.operation));
    let local = handshake(&Secret::new("ws://127.0.0.1:1/s")).unwrap();
    assert_eq!(local.url, "http://127.0.0.1:1/s");
}

#[test]
fn an_address_that_is_none_fails_at_once() {
    for url in ["", "sockets.example.com", "ftp://a"] {
        let mut link =
            LiveAvatarLink::connect(Secret::new(url), Beginning::Fresh, 7, Timestamp::UNIX_EPOCH);
        assert!(matches!(
            link.take_reports()[..],
            [LinkReport::Failed { .. }]
        ));
        assert!(link.take_commands().is_empty() && link.deadline().is_none());
    }
}

#[test]
fn nothing_is_sent_before_the_session_is_connected() {
    let mut line = Line::new(Dialect::States, Beginning::Fresh);
    line.utter("utt-1", 1);
    line.listening(true);
    line.open();
    line.say(&json!({"type": "session.state_updated", "state": "connecting"}));
    line.pass_ms(1_500);
    assert!(line.vendor.pieces.is_empty() && !line.link.is_ready());
    line.accept();
    assert_eq!(line.reports, [LinkReport::Ready { connections: 1 }]);
    line.pass_ms(3_000);
    assert_eq!(line.spoken("utt-1"), 1_000);
    assert_eq!(
        line.vendor.kinds(),
        ["agent.speak_end", "agent.start_listening"]
    );
}

#[test]
fn an_utterance_waits_two_seconds_for_a_socket() {
    let mut line = Line::new(Dialect::States, Beginning::Fresh);
    line.utter("utt-1", 1);
    line.pass_ms(1_999);
    assert!(line.ends_of("utt-1").is_empty());
    line.pass_ms(1);
    assert_eq!(line.cut("utt-1"), (CutReason::NotReady, [0, 0, 1_000]));
}

#[test]
fn a_session_that_is_not_connected_within_ten_seconds_has_failed() {
    let mut line = Line::new(Dialect::States, Beginning::Fresh);
    line.open();
    line.pass_ms(9_999);
    assert_eq!(line.failed(), 0);
    line.pass_ms(1);
    assert_eq!(line.failed(), 1);
    assert!(line.link.is_over() && line.link.deadline().is_none());
    assert_eq!(line.link.begin("utt-1", line.now), Err(NotTaken::Over));
}

#[test]
fn every_dialect_gives_one_beginning_and_one_end_and_all_the_sound() {
    for dialect in [Dialect::States, Dialect::Speaking, Dialect::Both] {
        let mut line = Line::ready(dialect);
        line.utter("utt-1", 12);
        line.pass_ms(12_199);
        assert!(line.ends_of("utt-1").is_empty(), "{dialect:?}");
        line.pass_ms(1);
        assert_eq!(line.spoken("utt-1"), 12_000, "{dialect:?}");
        assert_eq!(line.begins_of("utt-1"), 1);
        assert_eq!(line.vendor.sound("utt-1"), sound(12 * SECOND));
        line.utter("utt-2", 1);
        line.pass_ms(5_000);
        assert_eq!((line.begins_of("utt-2"), line.spoken("utt-2")), (1, 1_000));
        assert_eq!(line.vendor.kinds(), ["agent.speak_end"; 2]);
    }
}

#[test]
fn one_who_was_held_up_reads_what_has_come_before_drawing_conclusions() {
    for silent in [false, true] {
        let mut line = Line::ready(Dialect::States);
        line.vendor.silent = silent;
        line.utter("utt_1", 1);
        line.now += Duration::from_secs(3);
        line.link.poll(line.now);
        line.carry_out();
        assert!(line.ends_of("utt_1").is_empty());
        line.pass(Duration::from_secs(3));
        let spoken = matches!(line.ends_of("utt_1")[..], [LinkReport::Spoken { .. }]);
        assert_eq!(spoken, !silent, "{:?}", line.reports);
        assert_eq!(line.ends_of("utt_1").len(), 1);
    }
}

#[test]
fn sound_that_comes_in_odd_parts_goes_out_in_whole_samples() {
    let mut line = Line::ready(Dialect::States);
    line.begin("utt-1");
    let all = sound(3 * SECOND);
    for part in all.chunks(1_001) {
        line.speak("utt-1", part).unwrap();
        line.pass_ms(15);
    }
    line.end("utt-1");
    line.pass_ms(5_000);
    assert_eq!(line.vendor.sound("utt-1"), all);
    line.spoken("utt-1");
}

#[test]
fn one_utterance_at_a_time_and_only_its_own_sound() {
    let mut line = Line::ready(Dialect::States);
    assert_eq!(line.speak("utt-1", &sound(2)), Err(NotTaken::NotOpen));
    line.utter("utt-1", 5);
    assert_eq!(line.link.begin("utt-2", line.now), Err(NotTaken::Busy));
    assert_eq!(line.speak("utt-1", &sound(2)), Err(NotTaken::NotOpen));
    assert_eq!(line.link.current(), Some("utt-1"));
    line.interrupt();
    assert_eq!(line.speak("utt-1", &sound(2)), Err(NotTaken::NotOpen));
    assert_eq!(line.link.begin("utt-2", line.now), Ok(()));
}

#[test]
fn an_interrupt_stops_the_sender_first_and_tells_what_was_heard() {
    let mut line = Line::ready(Dialect::States);
    line.listening(true);
    line.begin("utt-1");
    line.speak("utt-1", &sound(20 * SECOND)).unwrap();
    line.pass_ms(2_200);
    let sent = line.vendor.sound("utt-1").len() / (SECOND / 1_000);
    assert!(line.interrupt());
    assert_eq!(
        line.cut("utt-1"),
        (
            CutReason::Interrupted,
            [2_000, sent as u64, 20_000 - sent as u64]
        )
    );
    assert!(sent <= 6_000, "{sent}");
    assert!(
        line.vendor
            .kinds()
            .ends_with(&["agent.interrupt", "agent.start_listening"])
    );
    line.end("utt-1");
    line.pass_ms(10_000);
    assert_eq!(line.vendor.sound("utt-1").len() / (SECOND / 1_000), sent);
    assert_eq!(line.ends_of("utt-1").len(), 1);
    assert!(!line.interrupt());
}

#[test]
fn an_utterance_that_was_not_sent_is_interrupted_without_a_word() {
    let mut line = Line::ready(Dialect::States);
    line.begin("utt-1");
    line.speak("utt-1", &sound(100)).unwrap();
    assert!(line.interrupt());
    assert_eq!(line.cut("utt-1"), (CutReason::Interrupted, [0, 0, 2]));
    assert!(line.vendor.kinds().is_empty());
}

#[test]
fn an_utterance_without_sound_ends_without_a_frame() {
    let mut line = Line::ready(Dialect::States);
    line.begin("utt-1");
    line.speak("utt-1", &[7]).unwrap();
    line.end("utt-1");
    assert_eq!(line.cut("utt-1").0, CutReason::Empty);
    assert!(line.vendor.kinds().is_empty());
}

#[test]
fn the_pose_waits_until_the_avatar_is_silent() {
    let mut line = Line::ready(Dialect::States);
    line.listening(true);
    line.listening(true);
    line.utter("utt-1", 2);
    line.listening(false);
    line.listening(true);
    line.pass_ms(4_000);
    line.listening(false);
    assert_eq!(
        line.vendor.kinds(),
        [
            "agent.start_listening",
            "agent.speak_end",
            "agent.start_listening",
            "agent.stop_listening"
        ]
    );
}

#[test]
fn a_silent_session_is_kept_alive_a_minute_after_the_last_frame() {
    let mut line = Line::ready(Dialect::States);
    line.utter("utt-1", 1);
    line.pass_ms(59_999);
    assert_eq!(line.vendor.kinds(), ["agent.speak_end"]);
    line.pass(Duration::from_mins(10));
    let kept = line.vendor.kinds().len() - 1;
    assert_eq!(kept, 10);
    assert_eq!(line.reports.len(), 3);
}

#[test]
fn a_lost_socket_is_opened_again_and_nothing_is_said_twice() {
    let mut line = Line::ready(Dialect::States);
    line.utter("utt-1", 20);
    line.pass_ms(5_200);
    line.lose();
    let (reason, [heard, sent, unsent]) = line.cut("utt-1");
    assert_eq!((reason, heard), (CutReason::SocketLost, 5_000));
    assert_eq!(sent + unsent, 20_000);
    assert!((8_000..=9_000).contains(&sent), "{sent}");
    assert!(matches!(
        line.reports.last(),
        Some(LinkReport::Reconnecting { attempt: 1, .. })
    ));
    line.pass_ms(500);
    assert_eq!(line.asked.len(), 2);
    line.open();
    line.accept();
    // What the vendor still had is dropped before anything else is said.
    assert_eq!(line.vendor.kinds(), ["agent.interrupt"]);
    line.utter("utt-2", 1);
    line.pass_ms(3_000);
    assert_eq!(line.spoken("utt-2"), 1_000);
    assert_eq!(
        line.vendor.sound("utt-1").len() / (SECOND / 1_000),
        usize::try_from(sent).unwrap()
    );
}

#[test]
fn an_instance_that_takes_a_socket_over_drops_what_was_left_first() {
    let mut line = Line::new(Dialect::States, Beginning::Resumed);
    line.open();
    line.accept();
    assert_eq!(line.vendor.kinds(), ["agent.interrupt"]);
}

#[test]
fn five_failures_in_a_row_are_the_end_and_the_waits_grow() {
    let mut line = Line::new(Dialect::States, Beginning::Fresh);
    let began = line.now;
    while !line.link.is_over() {
        let failure = HandshakeFailure::Unanswered(TransportError::Connection);
        line.link.not_connected(line.newest(), &failure, line.now);
        line.carry_out();
        if let Some(due) = line.link.deadline() {
            line.pass(between(line.now, due));
        }
    }
    assert_eq!((line.asked.len(), line.failed()), (5, 1));
    let took = between(began, line.now);
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(10)).contains(&took),
        "{took:?}"
    );
}

#[test]
fn a_socket_that_held_for_long_is_no_failure_in_a_row() {
    let mut line = Line::ready(Dialect::States);
    for _ in 0..20 {
        line.pass(Duration::from_secs(10));
        line.lose();
        line.pass_ms(500);
        assert!(line.open());
        line.accept();
    }
    assert_eq!(line.failed(), 0);
    for _ in 0..5 {
        line.lose();
        line.pass_ms(4_000);
        line.open();
        line.accept();
    }
    assert_eq!(line.failed(), 1);
}

#[test]
fn a_handshake_refused_for_good_is_not_tried_again() {
    let mut line = Line::new(Dialect::States, Beginning::Fresh);
    let gone = HandshakeFailure::Refused(Response {
        status: 404,
        ..Response::default()
    });
    line.link.not_connected(line.newest(), &gone, line.now);
    line.carry_out();
    assert_eq!(
        line.reports,
        [LinkReport::Failed {
            reason: "HTTP 404".to_owned()
        }]
    );
}

#[test]
fn a_handshake_without_an_answer_is_given_up_and_its_late_answer_dropped() {
    let mut line = Line::new(Dialect::States, Beginning::Fresh);
    line.pass(Duration::from_secs(12));
    assert_eq!(line.asked.len(), 2);
    assert!(!line.link.connected(line.asked[0], line.now));
    assert!(line.open());
}

#[test]
fn a_session_that_tells_its_end_has_ended() {
    for state in ["disconnected", "closing", "closed", "retired"] {
        let mut line = Line::ready(Dialect::States);
        line.utter("utt-1", 9);
        line.pass_ms(1_200);
        line.say(&json!({"type": "session.state_updated", "state": state}));
        let (reason, [heard, ..]) = line.cut("utt-1");
        assert_eq!((reason, heard), (CutReason::SessionOver, 1_000));
        assert_eq!((line.failed(), line.vendor.wire), (1, Wire::None));
    }
}

#[test]
fn a_session_that_falls_silent_in_mid_utterance_is_noticed_within_a_few_seconds() {
    for (dialect, reason, within) in [
        (Dialect::States, CutReason::FellSilent, 3_000),
        (Dialect::Both, CutReason::FellSilent, 3_000),
        // Without acknowledgements only the end that is not told gives it away.
        (Dialect::Speaking, CutReason::EndUntold, 18_000),
    ] {
        let mut line = Line::ready(dialect);
        line.utter("utt-1", 20);
        line.pass_ms(5_100);
        line.vendor.silent = true;
        line.pass_ms(within);
        let (why, [heard, sent, _]) = line.cut("utt-1");
        assert_eq!(why, reason, "{dialect:?}");
        if reason == CutReason::FellSilent {
            assert!((3_900..=5_100).contains(&heard), "{heard}");
        } else {
            assert_eq!(heard, sent);
        }
        // A new socket shows whether the session is alive.
        assert!(line.asked.len() >= 2 || line.link.deadline().is_some());
        assert_eq!(line.vendor.wire, Wire::None);
    }
}

#[test]
fn an_avatar_that_does_not_begin_is_noticed_and_a_new_socket_tried() {
    let mut line = Line::ready(Dialect::Speaking);
    line.vendor.silent = true;
    line.utter("utt-1", 9);
    line.pass_ms(1_499);
    assert!(line.ends_of("utt-1").is_empty());
    line.pass_ms(1);
    let (reason, [heard, sent, unsent]) = line.cut("utt-1");
    assert_eq!(
        (reason, heard, sent + unsent),
        (CutReason::NotBegun, 0, 9_000)
    );
    assert_eq!(line.vendor.kinds(), ["agent.interrupt"]);
    line.pass_ms(500);
    assert_eq!(line.asked.len(), 2);
}

#[test]
fn an_avatar_that_rests_too_early_fell_silent_and_one_that_pauses_did_not() {
    let rest = |after: &str| json!({"type": "agent.state_updated", "new_state": after});
    let mut line = Line::ready(Dialect::Speaking);
    line.utter("utt-1", 9);
    line.pass_ms(2_000);
    line.say(&rest("idle"));
    line.pass_ms(1_000);
    line.say(&rest("talking"));
    line.pass_ms(2_000);
    line.say(&rest("listening"));
    line.pass_ms(1_500);
    let (reason, [heard, ..]) = line.cut("utt-1");
    assert_eq!((reason, heard), (CutReason::FellSilent, 4_800));
}

#[test]
fn sound_that_comes_late_makes_the_avatar_pause_and_not_end() {
    let mut line = Line::ready(Dialect::Speaking);
    line.begin("utt-1");
    line.speak("utt-1", &sound(2 * SECOND)).unwrap();
    line.pass_ms(2_300);
    line.say(&json!({"type": "agent.state_updated", "new_state": "idle"}));
    line.pass_ms(8_000);
    assert!(line.ends_of("utt-1").is_empty());
    line.speak("utt-1", &sound(SECOND)).unwrap();
    line.say(&json!({"type": "agent.state_updated", "new_state": "talking"}));
    line.end("utt-1");
    line.pass_ms(2_000);
    assert_eq!(line.spoken("utt-1"), 3_000);
    assert_eq!(line.begins_of("utt-1"), 1);
}

#[test]
fn an_end_that_comes_after_the_avatar_rests_is_the_end() {
    let mut line = Line::ready(Dialect::Speaking);
    line.begin("utt-1");
    line.speak("utt-1", &sound(SECOND)).unwrap();
    line.pass_ms(1_300);
    line.say(&json!({"type": "agent.state_updated", "new_state": "idle"}));
    line.pass_ms(500);
    line.end("utt-1");
    assert_eq!(line.spoken("utt-1"), 1_000);
}

#[test]
fn an_utterance_that_gets_no_more_sound_is_given_up() {
    let mut line = Line::ready(Dialect::States);
    line.begin("utt-1");
    line.pass(Duration::from_secs(36));
    assert_eq!(line.cut("utt-1").0, CutReason::Starved);
    line.begin("utt-2");
    line.speak("utt-2", &sound(2 * SECOND)).unwrap();
    line.pass(Duration::from_secs(36));
    assert!(line.ends_of("utt-2").is_empty());
    line.pass(Duration::from_secs(2));
    assert_eq!(line.cut("utt-2"), (CutReason::Starved, [2_000, 2_000, 0]));
    assert!(line.link.is_ready());
}

#[test]
fn an_end_that_is_not_told_is_noticed_when_it_is_overdue() {
    let mut line = Line::ready(Dialect::States);
    line.utter("utt-1", 2);
    line.pass_ms(1_000);
    line.vendor.silent = true;
    line.pass_ms(3_199);
    assert!(line.ends_of("utt-1").is_empty());
    line.pass_ms(1);
    assert_eq!(line.cut("utt-1"), (CutReason::EndUntold, [2_000, 2_000, 0]));
}

#[test]
fn errors_are_classified_and_only_a_refusal_of_this_utterance_ends_it() {
    use TroubleKind::{Other, Refused, Server, Starvation};
    let mut line = Line::ready(Dialect::States);
    line.utter("utt-1", 5);
    line.pass_ms(700);
    let error = |kind: &str, id: Value| {
        json!({"type": "error", "event_id": "a9",
        "error": {"type": kind, "message": "it is so", "event_id": id}})
    };
    for kind in ["server_error", "video_starvation", "news"] {
        line.say(&error(kind, json!("utt-1")));
    }
    line.say(&error("invalid_request_error", json!(null)));
    line.say(&error("invalid_request_error", json!("utt-0")));
    line.say(&json!({"type": "warning", "warning": {"type": "slow", "message": "it is so"}}));
    assert!(line.ends_of("utt-1").is_empty());
    line.say(&error("invalid_request_error", json!("utt-1")));
    assert_eq!(line.cut("utt-1").0, CutReason::Refused);
    let kinds: Vec<TroubleKind> = line
        .reports
        .iter()
        .filter_map(|report| {
            if let LinkReport::Trouble { kind, message } = report {
                assert_eq!(message, "it is so");
                Some(*kind)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        kinds,
        [Server, Starvation, Other, Refused, Refused, Other, Refused]
    );
    for _ in 0..1_000 {
        line.say(&error("server_error", json!(null)));
    }
    assert!(line.reports.len() < 40);
}

#[test]
fn what_nobody_knows_is_told_once_and_changes_nothing() {
    let mut line = Line::ready(Dialect::States);
    line.utter("utt-1", 1);
    for _ in 0..3 {
        line.say(&json!({"type": "agent.dreams", "of": ["sheep"]}));
        line.say(&json!({"type": "agent.state_updated", "new_state": "dreaming"}));
        line.say(&json!("hello"));
    }
    line.pass_ms(3_000);
    assert_eq!(line.spoken("utt-1"), 1_000);
    let unknown = |r: &&LinkReport| matches!(r, LinkReport::Unknown { .. });
    assert_eq!(line.reports.iter().filter(unknown).count(), 3);
    for number in 0..1_000 {
        line.say(&json!({"type": format!("agent.dream_{number}")}));
    }
    assert!(line.reports.len() < 40);
}

#[test]
fn words_of_another_utterance_or_another_socket_are_not_this_ones() {
    let mut line = Line::ready(Dialect::Speaking);
    line.utter("utt-1", 3);
    line.interrupt();
    line.vendor.due.clear();
    line.utter("utt-2", 1);
    for kind in ["agent.speak_started", "agent.speak_ended"] {
        line.say(&json!({"type": kind, "source_event_id": "utt-1"}));
    }
    let old = json!({"type": "agent.speak_started", "source_event_id": "utt-2"}).to_string();
    line.link.message(99, &old, line.now);
    line.carry_out();
    assert_eq!(line.begins_of("utt-2"), 0);
    line.pass_ms(2_000);
    assert_eq!((line.begins_of("utt-2"), line.spoken("utt-2")), (1, 1_000));
}

#[test]
fn closing_cuts_the_utterance_and_ends_everything() {
    let mut line = Line::ready(Dialect::States);
    line.utter("utt-1", 9);
    line.pass_ms(1_200);
    line.close();
    assert_eq!(line.cut("utt-1").0, CutReason::Closed);
    assert_eq!(line.vendor.kinds(), ["agent.interrupt"]);
    assert_eq!(line.vendor.wire, Wire::None);
    assert_eq!(line.reports.last(), Some(&LinkReport::Closed));
    line.close();
    line.listening(true);
    line.pass(Duration::from_mins(10));
    assert_eq!(
        line.reports
            .iter()
            .filter(|r| **r == LinkReport::Closed)
            .count(),
        1
    );
    assert_eq!(line.link.deadline(), None);
}

#[test]
fn reports_survive_being_stored() {
    let report = LinkReport::Cut {
        event_id: "utt-1".to_owned(),
        reason: CutReason::SocketLost,
        heard_ms: 1,
        sent_ms: 2,
        unsent_ms: 3,
    };
    let stored = serde_json::to_value(&report).unwrap();
    assert_eq!(
        stored,
        json!({"report": "cut", "event_id": "utt-1", "reason": "socket_lost", "heard_ms": 1,
            "sent_ms": 2, "unsent_ms": 3})
    );
    assert_eq!(
        serde_json::from_value::<LinkReport>(stored).unwrap(),
        report
    );
}

/// Something that happens to a session.
#[derive(Clone, Debug)]
enum Happening {
    Begin,
    Sound(usize),
    End,
    Interrupt,
    Listening(bool),
    Pass(u64),
    Open,
    Accept,
    Deny,
    Lose,
    Silence(bool),
    Say(usize),
}

/// What the vendor may say at any time, fitting or not.
const SAYINGS: [&str; 9] = [
    r#"{"type":"agent.state_updated","new_state":"talking"}"#,
    r#"{"type":"agent.state_updated","new_state":"idle"}"#,
    r#"{"type":"agent.speak_started","source_event_id":"utt-1"}"#,
    r#"{"type":"agent.speak_ended"}"#,
    r#"{"type":"agent.audio_buffer_committed"}"#,
    r#"{"type":"agent.audio_buffer_appended"}"#,
    r#"{"type":"session.state_updated","state":"connected"}"#,
    r#"{"type":"error","error":{"type":"invalid_request_error","event_id":"utt-2"}}"#,
    "nonsense",
];

fn happening() -> impl Strategy<Value = Happening> {
    use Happening as H;
    prop_oneof![
        3 => Just(H::Begin),
        6 => prop_oneof![1..400_usize, 1_000..200_000_usize].prop_map(H::Sound),
        3 => Just(H::End),
        1 => Just(H::Interrupt),
        1 => any::<bool>().prop_map(H::Listening),
        8 => prop_oneof![1..300_u64, 300..4_000_u64].prop_map(H::Pass),
        4 => Just(H::Open),
        4 => Just(H::Accept),
        1 => Just(H::Deny),
        1 => Just(H::Lose),
        1 => prop_oneof![1 => Just(true), 3 => Just(false)].prop_map(H::Silence),
    ]
}

struct Story {
    line: Line,
    begun: Vec<String>,
    fed: BTreeMap<String, Vec<u8>>,
}

impl Story {
    fn new(dialect: Dialect) -> Self {
        Self {
            line: Line::new(dialect, Beginning::Fresh),
            begun: Vec::new(),
            fed: BTreeMap::new(),
        }
    }

    fn happens(&mut self, happening: &Happening) {
        let line = &mut self.line;
        let current = self.begun.last().cloned().unwrap_or_default();
        match happening {
            Happening::Begin => {
                let id = format!("utt-{}", self.begun.len());
                if line.link.begin(&id, line.now).is_ok() {
                    self.begun.push(id);
                }
            }
            Happening::Sound(bytes) => {
                let so_far = self.fed.entry(current.clone()).or_default();
                let all = sound(so_far.len() + bytes);
                if line.speak(&current, &all[so_far.len()..]).is_ok() {
                    *so_far = all;
                }
            }
            Happening::End => line.end(&current),
            Happening::Interrupt => {
                line.interrupt();
            }
            Happening::Listening(on) => line.listening(*on),
            Happening::Pass(ms) => line.pass_ms(*ms),
            Happening::Open => {
                line.open();
            }
            Happening::Accept => line.accept(),
            Happening::Deny => {
                let failure = HandshakeFailure::Unanswered(TransportError::Timeout);
                line.link.not_connected(line.newest(), &failure, line.now);
                line.carry_out();
            }
            Happening::Lose => line.lose(),
            Happening::Silence(silent) => line.vendor.silent = *silent,
            Happening::Say(place) => {
                let said = SAYINGS[*place];
                if matches!(line.vendor.wire, Wire::Ready(_)) {
                    line.link.message(line.newest(), said, line.now);
                    line.carry_out();
                }
            }
        }
    }

    /// Every utterance ended once, after it began at most once, and what was sent of it is what came in, once.
    fn ends(mut self) -> Result<(), TestCaseError> {
        self.line.close();
        self.line.pass(Duration::from_mins(5));
        let none = Vec::new();
        for id in &self.begun {
            let ends = self.line.ends_of(id);
            prop_assert_eq!(ends.len(), 1, "{} in {:?}", id, self.line.reports);
            prop_assert!(self.line.begins_of(id) <= 1);
            let sent = self.line.vendor.sound(id);
            let fed = self.fed.get(id).unwrap_or(&none);
            prop_assert!(
                fed.starts_with(&sent),
                "{} was sent otherwise than it came",
                id
            );
            let sent_ms = (sent.len() * 1_000 / SECOND) as u64;
            if let LinkReport::Cut {
                heard_ms,
                sent_ms: told,
                ..
            } = ends[0]
            {
                prop_assert_eq!(*told, sent_ms);
                prop_assert!(*heard_ms <= sent_ms);
            } else {
                prop_assert!(sent.len() + 1 >= fed.len());
                prop_assert_eq!(self.line.spoken(id), sent_ms);
            }
        }
        let places = self.line.vendor.pieces.values();
        for pieces in places {
            let links: Vec<u64> = pieces.iter().map(|(_, link, _)| *link).collect();
            prop_assert!(
                links.windows(2).all(|pair| pair[0] == pair[1]),
                "said on two sockets"
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The model checks every frame as it comes.
    #[test]
    fn whatever_happens_every_utterance_ends_once_and_nothing_is_sent_twice(
        dialect in prop_oneof![Just(Dialect::States), Just(Dialect::Speaking), Just(Dialect::Both)],
        happenings in prop::collection::vec(happening(), 1..80),
    ) {
        let mut story = Story::new(dialect);
        for happening in &happenings {
            story.happens(happening);
        }
        story.ends()?;
    }

    /// A vendor out of its mind may make us cut, never repeat.
    #[test]
    fn whatever_the_vendor_says_every_utterance_ends_once(
        sayings in prop::collection::vec((happening(), 0..SAYINGS.len()), 1..60),
    ) {
        let mut story = Story::new(Dialect::States);
        story.line.vendor.strict = false;
        for (happening, place) in &sayings {
            story.happens(happening);
            story.happens(&Happening::Say(*place));
        }
        story.ends()?;
    }
}
