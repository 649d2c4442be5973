//! Sessions on a virtual clock.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    http::{Response, TransportError},
    secret::Secret,
    vendors::deepgram::Diarization,
};

const SECOND: usize = BYTES_PER_SECOND as usize;
const FRAME: usize = SECOND / 50;

/// A session, its clock, and everything that was sent over each connection.
struct Line {
    stt: DeepgramStt,
    now: Timestamp,
    /// Everything that came in.
    sound: Vec<u8>,
    wires: Vec<Wire>,
    reports: Vec<SttReport>,
    asked: u32,
    /// Whether the vendor says something each second, as it does while it gets sound.
    talks: bool,
}

/// One connection as the vendor sees it.
#[derive(Default)]
struct Wire {
    link: u64,
    sound: Vec<u8>,
    texts: Vec<&'static str>,
    closed_by_us: bool,
}

impl Line {
    fn new() -> Self {
        let options = ListenOptions {
            base_url: "https://api.deepgram.com".to_owned(),
            api_key: Secret::new("fake"),
            model: "nova-3".to_owned(),
            language: "en-US".to_owned(),
            diarization: Diarization::Latest,
            keyterms: Vec::new(),
            reference: "mtg_1".to_owned(),
        };
        let now: Timestamp = "2026-12-01T12:00:00Z".parse().unwrap();
        let mut line = Self {
            stt: DeepgramStt::connect(options, None, 0, 7, now),
            now,
            sound: Vec::new(),
            wires: Vec::new(),
            reports: Vec::new(),
            asked: 0,
            talks: true,
        };
        line.carry_out();
        line
    }

    fn open() -> Self {
        let mut line = Self::new();
        assert!(line.answer());
        line
    }

    fn carry_out(&mut self) {
        for command in self.stt.take_commands() {
            match command {
                Command::Connect { link, .. } => {
                    self.asked += 1;
                    self.wires.push(Wire {
                        link,
                        ..Wire::default()
                    });
                }
                Command::Sound(sound) => self.send(&sound),
                Command::Text(text) => {
                    let wire = self.wires.last_mut().unwrap();
                    assert!(!wire.texts.contains(&TEXT_CLOSE_STREAM), "{text}");
                    wire.texts.push(text);
                }
                Command::Disconnect => self.wires.last_mut().unwrap().closed_by_us = true,
            }
        }
        self.reports.extend(self.stt.take_reports());
    }

    fn send(&mut self, sound: &[u8]) {
        let wire = self.wires.last_mut().unwrap();
        assert!(!sound.is_empty(), "an empty frame was sent");
        assert!(
            !wire.texts.contains(&TEXT_CLOSE_STREAM) && !wire.closed_by_us,
            "sound was sent after the end"
        );
        wire.sound.extend(sound);
    }

    fn wire(&self) -> &Wire {
        self.wires.last().unwrap()
    }

    fn link(&self) -> u64 {
        self.wire().link
    }

    /// The vendor accepts the newest handshake.
    fn answer(&mut self) -> bool {
        let accepted = self.stt.connected(self.link(), self.now);
        self.carry_out();
        accepted
    }

    /// Time passes, with everything done when it is due.
    fn pass(&mut self, wait: Duration) {
        let until = self.now + wait;
        while let Some(due) = self.stt.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.stt.poll(self.now);
            self.carry_out();
        }
        self.now = until;
    }

    /// One frame comes in, different from all others, and its time passes.
    fn frame(&mut self) {
        let number = u16::try_from(self.sound.len() / FRAME + 1).unwrap();
        let frame: Vec<u8> = number.to_le_bytes().repeat(FRAME / 2);
        let stamp = clock::seconds(self.sound.len() as u64) + 3.0;
        self.hear(&frame, Some(stamp));
        self.sound.extend(frame);
        self.pass(Duration::from_millis(20));
        if self.talks && self.sound.len().is_multiple_of(SECOND) {
            self.say(&json!({"type": "Results", "start": 0.0, "duration": 1.0}));
        }
    }

    fn frames(&mut self, seconds: usize) {
        for _ in 0..seconds * 50 {
            self.frame();
        }
    }

    fn hear(&mut self, frame: &[u8], stamp: Option<f64>) {
        let passage = match self.stt.send_audio(frame, stamp, self.now) {
            Passage::Now(sound) => Some(sound.to_vec()),
            Passage::Waiting(sound) => Some(sound),
            Passage::Kept => None,
        };
        if let Some(sound) = passage {
            self.send(&sound);
        }
        self.carry_out();
    }

    fn say(&mut self, message: &serde_json::Value) {
        let (link, now) = (self.link(), self.now);
        self.stt.message(link, &message.to_string(), now);
        self.carry_out();
    }

    /// Everything up to so many seconds of this connection is settled, with these words.
    fn settle(&mut self, seconds: f64, text: &str) {
        let words: Vec<_> = text
            .split_whitespace()
            .map(|word| json!({"word": word, "start": seconds - 0.5, "end": seconds - 0.1, "speaker": 0}))
            .collect();
        self.say(&json!({
            "type": "Results", "channel_index": [0, 1], "start": 0.0, "duration": seconds,
            "is_final": true, "speech_final": false,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": words}]},
            "metadata": {"request_id": "r"},
        }));
    }

    fn lose(&mut self, code: u16, reason: &str) {
        let (link, now) = (self.link(), self.now);
        self.stt.disconnected(link, code, reason, now);
        self.carry_out();
    }

    fn told(&self, wanted: impl Fn(&SttReport) -> bool) -> usize {
        self.reports.iter().filter(|report| wanted(report)).count()
    }

    fn finals(&self) -> Vec<(f64, String)> {
        let finals = self.reports.iter().filter_map(|report| {
            if let SttReport::Final { segments, .. } = report {
                Some(segments.iter().map(|s| (s.start, s.text.clone())))
            } else {
                None
            }
        });
        finals.flatten().collect()
    }

    fn lost(&self) -> f64 {
        let lost = self.reports.iter().filter_map(|report| {
            if let SttReport::Lost { seconds } = report {
                Some(*seconds)
            } else {
                None
            }
        });
        lost.sum()
    }
}

/// Compares without printing a million numbers.
fn same_sound(got: &[u8], expected: &[u8]) {
    let differ = got.iter().zip(expected).position(|(a, b)| a != b);
    let lengths = (got.len(), expected.len());
    assert!(
        differ.is_none() && lengths.0 == lengths.1,
        "{lengths:?}, first difference at {differ:?}"
    );
}

#[test]
fn sound_goes_through_byte_for_byte_and_frame_by_frame() {
    let mut line = Line::open();
    line.frames(60);
    same_sound(&line.wire().sound, &line.sound);
    assert_eq!(line.wires.len(), 1);
}

#[test]
fn what_came_during_the_handshake_goes_first() {
    let mut line = Line::new();
    for _ in 0..20 {
        line.frame();
    }
    assert!(line.wire().sound.is_empty());
    assert!(line.answer());
    same_sound(&line.wire().sound, &line.sound);
}

#[test]
fn after_a_long_gap_waiting_sound_is_caught_up_with_at_the_vendors_speed() {
    let mut line = Line::open();
    line.frames(1);
    line.settle(1.0, "");
    line.lose(1006, "");
    line.frames(9);
    while !line.answer() {
        line.pass(Duration::from_millis(100));
    }
    let (from, began) = (line.wire().sound.len(), line.sound.len());
    line.frames(8);
    let (sent, came) = (line.wire().sound.len() - from, line.sound.len() - began);
    assert!(sent > came, "nothing is caught up with: {sent} of {came}");
    assert!(sent <= came * 5 / 4, "too fast: {sent} for {came}");
    line.frames(40);
    same_sound(&line.wire().sound, &line.sound[SECOND..]);
    assert!(line.lost() < f64::EPSILON);
}

#[test]
fn without_further_sound_the_rest_is_caught_up_with_by_the_clock() {
    let mut line = Line::open();
    line.lose(1006, "");
    line.frames(5);
    while !line.answer() {
        line.pass(Duration::from_millis(100));
    }
    let before = line.wire().sound.len();
    line.pass(Duration::from_secs(3));
    let sent = line.wire().sound.len() - before;
    assert!(sent <= 3 * SECOND * 5 / 4 + SECOND / 4, "{sent}");
    line.pass(Duration::from_secs(5));
    same_sound(&line.wire().sound, &line.sound);
}

#[test]
fn what_is_not_settled_is_sent_again_and_times_go_on() {
    let mut line = Line::open();
    line.frames(4);
    line.settle(3.0, "one two");
    line.lose(1011, "NET-0000");
    line.frames(1);
    line.pass(Duration::from_secs(2));
    assert!(line.answer());
    line.frames(20);
    same_sound(&line.wire().sound, &line.sound[3 * SECOND..]);
    line.settle(2.0, "three");
    assert_eq!(line.finals().len(), 2);
    let (start, text) = line.finals().pop().unwrap();
    assert_eq!(text, "three");
    assert!((start - 4.5).abs() < 0.01, "{start}");
}

#[test]
fn beyond_the_bound_the_oldest_is_lost_and_it_is_said_how_much() {
    let mut line = Line::open();
    line.lose(1006, "");
    line.frames(40);
    while !line.answer() {
        line.pass(Duration::from_millis(100));
    }
    assert!((line.lost() - 10.0).abs() < 0.05, "{}", line.lost());
}

#[test]
fn silence_and_muted_calls_are_kept_alive() {
    let mut line = Line::open();
    line.frames(1);
    line.settle(1.0, "");
    line.pass(Duration::from_mins(2));
    let kept = line.wire().texts.iter().filter(|t| **t == TEXT_KEEP_ALIVE);
    assert!((29..=30).contains(&kept.count()));
    same_sound(&line.wire().sound, &line.sound);

    let mut muted = Line::open();
    muted.pass(Duration::from_mins(2));
    same_sound(&muted.wire().sound, &PRIMER);
    assert!(muted.wire().texts.len() >= 28);
    muted.frames(1);
    muted.settle(1.02, "hello");
    let (start, _) = muted.finals()[0];
    assert!((start - 0.5).abs() < 0.01, "{start}");
}

#[test]
fn a_call_that_falls_silent_at_once_is_asked_for_its_last_words_once() {
    let mut line = Line::open();
    line.frames(2);
    line.pass(Duration::from_secs(30));
    let asked = line.wire().texts.iter().filter(|t| **t == TEXT_FINALIZE);
    assert_eq!(asked.count(), 1);
}

#[test]
fn the_end_waits_for_the_last_words_and_sends_nothing_after_close_stream() {
    let mut line = Line::open();
    line.frames(2);
    line.stt.close(line.now);
    line.carry_out();
    assert_eq!(line.wire().texts, [TEXT_CLOSE_STREAM]);
    line.frame();
    line.stt.finalize();
    line.pass(Duration::from_secs(5));
    line.settle(2.0, "good bye");
    line.lose(1000, "");
    assert_eq!(line.finals().len(), 1);
    assert!(line.stt.is_closed());
    assert_eq!(line.told(|r| *r == SttReport::Closed), 1);
    assert_eq!(line.asked, 1);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let mut line = Line::open();
    line.frames(2);
    line.stt.close(line.now);
    line.carry_out();
    line.pass(LAST_WORDS_PATIENCE);
    assert!(line.stt.is_closed() && line.wire().closed_by_us);

    let mut unreachable = Line::new();
    unreachable.frames(2);
    unreachable.stt.close(unreachable.now);
    unreachable.carry_out();
    unreachable.pass(DRAIN_PATIENCE);
    assert!(unreachable.stt.is_closed());
    assert!((unreachable.lost() - 2.0).abs() < 0.01);
}

#[test]
fn a_session_that_heard_nothing_ends_at_once() {
    let mut line = Line::new();
    line.stt.close(line.now);
    line.carry_out();
    assert!(line.stt.is_closed());
    assert!(!line.answer());
}

#[test]
fn a_connection_that_is_lost_while_the_session_ends_is_made_again_for_the_last_words() {
    let mut line = Line::open();
    line.frames(2);
    line.lose(1006, "");
    line.stt.close(line.now);
    line.carry_out();
    line.pass(Duration::from_secs(2));
    assert!(line.answer());
    line.pass(Duration::from_secs(5));
    same_sound(&line.wire().sound, &line.sound);
    assert_eq!(line.wire().texts, [TEXT_CLOSE_STREAM]);
}

#[test]
fn a_fault_of_configuration_is_told_and_not_tried_again() {
    for fault in 0..2 {
        let mut line = Line::new();
        if fault == 0 {
            assert!(line.answer());
            line.frames(1);
            line.lose(1008, "DATA-0000");
        } else {
            let failure = HandshakeFailure::Refused(Response {
                status: 401,
                ..Response::default()
            });
            line.stt.not_connected(1, &failure, line.now);
            line.carry_out();
        }
        line.pass(Duration::from_mins(10));
        line.frames(1);
        assert_eq!(line.asked, 1);
        assert_eq!(line.told(|r| matches!(r, SttReport::Failed { .. })), 1);
        assert!(line.stt.deadline().is_none());
    }
}

#[test]
fn what_may_pass_is_tried_again_with_growing_waits_for_as_long_as_it_takes() {
    let mut line = Line::new();
    let mut waits = Vec::new();
    for attempt in 1..40 {
        let failure = HandshakeFailure::Unanswered(TransportError::Connection);
        line.stt.not_connected(line.link(), &failure, line.now);
        line.carry_out();
        assert_eq!(line.asked, attempt);
        let due = line.stt.deadline().unwrap();
        waits.push(due.duration_since(line.now).as_secs_f64());
        line.pass(Duration::try_from(due.duration_since(line.now)).unwrap());
    }
    assert!(waits[0] < 2.0, "{waits:?}");
    assert!(
        waits.iter().all(|wait| (0.2..=10.0).contains(wait)),
        "{waits:?}"
    );
    assert!(line.answer());
}

#[test]
fn a_handshake_that_is_never_answered_is_given_up() {
    let mut line = Line::new();
    line.pass(Duration::from_secs(12));
    assert_eq!(line.asked, 2);
    assert!(
        !line.stt.connected(1, line.now),
        "an answer that comes too late counts"
    );
}

#[test]
fn a_connection_that_gets_sound_and_says_nothing_is_replaced_and_nothing_is_lost() {
    let mut line = Line::open();
    line.frames(2);
    line.settle(2.0, "one");
    line.talks = false;
    line.frames(21);
    line.talks = true;
    assert!(line.wire().closed_by_us || line.wires.len() == 2);
    line.pass(Duration::from_secs(1));
    assert!(line.answer());
    line.frames(100);
    same_sound(&line.wire().sound, &line.sound[2 * SECOND..]);
    assert!(line.lost() < f64::EPSILON);
}

#[test]
fn a_quiet_call_is_not_taken_for_a_dead_connection() {
    let mut line = Line::open();
    line.frames(10);
    line.pass(Duration::from_mins(5));
    line.frames(5);
    assert_eq!(line.wires.len(), 1);
}

#[test]
fn a_repeated_frame_is_left_out_and_equal_sound_at_another_time_is_not() {
    let mut line = Line::open();
    let silence = [0; FRAME];
    for stamp in [1.0, 1.0, 1.02, 1.04, 1.04] {
        line.hear(&silence, Some(stamp));
    }
    line.hear(&[], Some(1.06));
    line.hear(&silence, None);
    line.hear(&silence, None);
    assert_eq!(line.wire().sound.len(), 5 * FRAME);
}

#[test]
fn several_speakers_make_several_segments() {
    let mut line = Line::open();
    line.frames(3);
    let word = |word: &str, start: f64, speaker: u32| {
        json!({"word": word.to_lowercase(), "punctuated_word": word, "start": start,
            "end": start + 0.2, "confidence": 0.8, "speaker": speaker})
    };
    line.say(&json!({
        "type": "Results", "start": 0.0, "duration": 3.0, "is_final": true, "speech_final": true,
        "channel": {"alternatives": [{"transcript": "Ready? Yes, sir.", "confidence": 0.9,
            "words": [word("Ready?", 0.5, 0), word("Yes,", 1.0, 1), word("sir.", 1.3, 1)]}]},
    }));
    let Some(SttReport::Final {
        segments,
        ends_utterance,
        ..
    }) = line.reports.last()
    else {
        panic!("{:?}", line.reports)
    };
    let said: Vec<_> = segments
        .iter()
        .map(|s| (s.speaker, s.text.as_str(), s.start))
        .collect();
    assert_eq!(
        said,
        [(Some(0), "Ready?", 0.5), (Some(1), "Yes, sir.", 1.0)]
    );
    assert!(ends_utterance);
    assert_eq!(segments[1].words.len(), 2);
    assert!((segments[1].end - 1.5).abs() < 1e-9);
}

#[test]
fn an_utterance_ends_once() {
    let mut line = Line::open();
    line.frames(5);
    let end = json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.9});
    line.say(&end);
    line.settle(2.0, "one two");
    line.say(&json!({"type": "UtteranceEnd", "last_word_end": -1}));
    line.say(&end);
    line.say(&end);
    let ends = line.told(|r| matches!(r, SttReport::UtteranceEnd { .. }));
    assert_eq!(ends, 1);
}

#[test]
fn partial_words_are_told_and_settle_nothing() {
    let mut line = Line::open();
    line.frames(2);
    line.say(&json!({"type": "Results", "start": 0.0, "duration": 1.0,
        "channel": {"alternatives": [{"transcript": "hel", "words": []}]}}));
    line.say(&json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.4}));
    assert_eq!(line.told(SttReport::is_passing), 2);
    line.lose(1006, "");
    line.pass(Duration::from_secs(1));
    assert!(line.answer());
    line.pass(Duration::from_secs(2));
    same_sound(&line.wire().sound, &line.sound);
}

/// Types and fields that the vendor's SDKs know and its specification does not, and some that nobody knows.
#[test]
fn unknown_messages_and_fields_change_nothing() {
    let plain = |line: &mut Line| {
        line.frames(2);
        line.settle(2.0, "one");
    };
    let mut expected = Line::open();
    plain(&mut expected);

    let mut line = Line::open();
    for message in [
        json!({"type": "ConfigureSuccess", "request_id": "r", "keyterms": ["Acme"]}),
        json!({"type": "ConfigureFailure", "code": "CONFIGURE_INTERNAL_ERROR", "description": "no"}),
        json!({"type": "Error", "variant": "SchemaError", "description": "could not parse", "message": "{}"}),
        json!({"type": "Telepathy", "thoughts": [1, 2]}),
        json!({"type": "Metadata", "duration": "long"}),
        json!({"type": "Results", "start": "soon"}),
        json!({"type": "Results"}),
        json!({"no": "type"}),
        json!([]),
    ] {
        line.say(&message);
    }
    let number = line.link();
    line.stt.message(number, "not json", line.now);
    line.carry_out();
    plain(&mut line);

    let known = |line: &Line| -> Vec<SttReport> {
        let reports = line.reports.iter();
        let known = reports.filter(|r| !matches!(r, SttReport::Unknown { .. }));
        known.cloned().collect()
    };
    assert_eq!(known(&line), known(&expected));
    same_sound(&line.wire().sound, &expected.wire().sound);
    let unknown = line.told(|r| matches!(r, SttReport::Unknown { .. }));
    assert_eq!(unknown, 6, "{:?}", line.reports);

    line.say(&json!({"type": "Results", "start": 2.0, "duration": 0.0, "is_final": true, "entities": [],
        "channel": {"alternatives": [{"transcript": "two", "languages": ["en"],
            "words": [{"word": "two", "start": 1.0, "end": 1.5, "language": "en", "mood": "good"}]}],
            "search": []},
        "metadata": {"extra": {"a": "b"}, "diarize_info": {}}}));
    assert_eq!(line.finals().len(), 2);
}

#[test]
fn a_flood_of_unknown_types_is_bounded() {
    let mut line = Line::open();
    for number in 0..1_000 {
        line.say(&json!({"type": format!("Novelty{number}")}));
    }
    assert_eq!(line.reports.len(), 1 + MAX_UNKNOWN);
}

#[derive(Clone, Copy, Debug)]
enum Chance {
    Frames(usize),
    Wait(u64),
    Settle,
    Lose,
    Answer,
    Refuse,
}

fn chance() -> impl Strategy<Value = Chance> {
    prop_oneof![
        4 => (1_usize..100).prop_map(Chance::Frames),
        1 => (1_u64..8_000).prop_map(Chance::Wait),
        2 => Just(Chance::Settle),
        1 => Just(Chance::Lose),
        3 => Just(Chance::Answer),
        1 => Just(Chance::Refuse),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is lost, refused and late: what the vendor got, each connection from where words were settled, covers
    /// the sound without a hole, and a hole that the bound makes is told in full.
    #[test]
    fn what_the_vendor_gets_covers_the_sound(chances in prop::collection::vec(chance(), 1..60)) {
        let mut line = Line::new();
        for chance in chances {
            match chance {
                Chance::Frames(count) => (0..count).for_each(|_| line.frame()),
                Chance::Wait(ms) => line.pass(Duration::from_millis(ms)),
                Chance::Settle if !line.wire().closed_by_us => {
                    let heard = clock::seconds(line.wire().sound.len() as u64);
                    line.settle((heard - 0.7).max(0.0), "");
                }
                Chance::Lose => line.lose(1006, ""),
                Chance::Answer => { line.answer(); }
                Chance::Refuse => {
                    let failure = HandshakeFailure::Unanswered(TransportError::Timeout);
                    line.stt.not_connected(line.link(), &failure, line.now);
                    line.carry_out();
                }
                Chance::Settle => {}
            }
        }
        line.stt.close(line.now);
        line.carry_out();
        for _ in 0..100 {
            line.answer();
            line.pass(Duration::from_millis(400));
        }
        prop_assert!(line.stt.is_closed());
        let mut covered = 0;
        let mut holes = 0;
        for wire in &line.wires {
            let sound = wire.sound.strip_prefix(PRIMER.as_slice()).unwrap_or(&wire.sound);
            if sound.is_empty() {
                continue;
            }
            // Frames differ, so the first whole one tells where the connection began.
            let from = (0..line.sound.len())
                .step_by(2)
                .find(|at| line.sound[*at..].starts_with(sound))
                .expect("what was sent is what came in");
            holes += from.saturating_sub(covered);
            covered = covered.max(from + sound.len());
        }
        holes += line.sound.len() - covered;
        let (missing, lost) = (clock::seconds(holes as u64), line.lost());
        prop_assert!(missing <= lost + 0.001, "{} s missing, {} s told", missing, lost);
    }
}
