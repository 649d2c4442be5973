//! The sound of a call on its way to a socket, on a clock that only the test moves.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Desk, MEET};
use crate::audio_script::{AudioClose, AudioDelivery, AudioFault};
use crate::recall::{AudioEnd, AudioSent, DialOrder, Order, SocketId};
use crate::script::{Delivery, Event, MeetingScript};

const DANA: &str = "Dana Whitfield";

fn listening_bot() -> Value {
    json!({ "meeting_url": MEET, "recording_config": {
        "audio_mixed_raw": {},
        "realtime_endpoints": [{ "type": "websocket", "url": "ws://127.0.0.1:9/in/",
            "events": ["audio_mixed_raw.data"] }],
    } })
}

/// A bot in a call with one person; nothing is dialled yet.
fn call_with(delivery: Delivery) -> (Desk, String) {
    let script = MeetingScript::instant().with_delivery(delivery);
    let mut desk = Desk::with(script, |_| ());
    let id = desk.create(&listening_bot());
    (desk, id)
}

/// The same with an open socket.
fn open_call() -> (Desk, String, SocketId) {
    let (mut desk, id) = call_with(Delivery::default());
    let socket = desk.dial().socket;
    desk.model.socket_opened(socket, desk.now);
    (desk, id, socket)
}

impl Desk {
    fn dial(&mut self) -> DialOrder {
        let mut dials = self.model.dials(self.now);
        assert_eq!(dials.len(), 1, "{dials:?}");
        dials.remove(0)
    }

    fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.model.tick(self.now);
    }

    fn happens(&mut self, id: &str, event: Event) {
        self.model.advance(id, event, self.now).unwrap();
        self.model.tick(self.now);
    }

    fn says(&mut self, id: &str, name: &str, text: &str) {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.happens(id, Event::Says { name, text });
    }

    /// Takes everything that is due; says when there is more, or how it ends.
    fn drain(&mut self, socket: SocketId) -> Order {
        loop {
            match self.model.socket_order(socket, self.now) {
                Order::Send(_) => {}
                other @ (Order::Wait(_) | Order::Close(_) | Order::Abort) => return other,
            }
        }
    }

    fn sent(&self) -> Vec<AudioSent> {
        self.model.audio_sent(MEET)
    }

    fn sound(&self) -> Vec<u8> {
        let frames = self.sent().into_iter().map(|frame| frame.bytes);
        frames.collect::<Vec<_>>().concat()
    }

    fn lost(&self) -> Duration {
        self.model.audio_lost(MEET, self.now)
    }

    fn line(&self, name: &str, text: &str) -> Vec<u8> {
        self.model.services.voices.line(name, text).pcm.clone()
    }
}

fn wait(order: &Order) -> Timestamp {
    if let Order::Wait(until) = order {
        *until
    } else {
        panic!("{order:?}")
    }
}

#[test]
fn an_endpoint_for_audio_needs_a_bot_that_records_it() {
    let mut desk = Desk::manual();
    let endpoint = |kind: &str, url: &str| json!([{ "type": kind, "url": url, "events": ["audio_mixed_raw.data"] }]);
    let mut refused = |endpoints: Value, raw: Value| {
        let config = json!({ "realtime_endpoints": endpoints, "audio_mixed_raw": raw });
        desk.refused(&json!({ "recording_config": config }))["recording_config"].clone()
    };
    let missing = refused(endpoint("websocket", "wss://a.example/in/"), Value::Null);
    assert!(missing["audio_mixed_raw"].is_array(), "{missing}");
    for (kind, url) in [
        ("websocket", "https://a.example/in/"),
        ("websocket", "wss://a.example/in?token=1"),
        ("websocket", "not a url"),
    ] {
        let errors = refused(endpoint(kind, url), json!({}));
        assert!(errors["realtime_endpoints"][0]["url"].is_array(), "{url}");
    }
    let posted = refused(endpoint("webhook", "https://a.example/in/"), json!({}));
    assert!(posted["realtime_endpoints"][0]["events"].is_array());
}

#[test]
fn nothing_is_dialled_before_the_recording_or_without_an_endpoint_for_it() {
    let mut desk = Desk::manual();
    let id = desk.create(&listening_bot());
    let deaf = desk.create(&json!({ "meeting_url": MEET }));
    for event in [Event::JoiningCall, Event::InCallNotRecording] {
        desk.happens(&id, event.clone());
        desk.happens(&deaf, event);
    }
    assert!(desk.model.dials(desk.now).is_empty());
    desk.happens(&deaf, Event::InCallRecording);
    assert!(desk.model.dials(desk.now).is_empty());
    desk.happens(&id, Event::InCallRecording);
    assert_eq!(desk.dial().url, "ws://127.0.0.1:9/in/");
    assert!(desk.model.dials(desk.now).is_empty());
}

#[test]
fn an_endpoint_that_an_update_brings_is_dialled() {
    let mut desk = Desk::instant();
    let join_at = desk.now + Duration::from_hours(1);
    let id = desk.create(&json!({ "meeting_url": MEET, "join_at": join_at.to_string() }));
    let config = listening_bot()["recording_config"].clone();
    let update = json!({ "recording_config": config });
    let (status, bot) = desk.call("PATCH", &format!("/bot/{id}/"), &update);
    assert_eq!(status, 200, "{bot}");
    desk.later(3_600_000);
    assert_eq!(desk.dial().url, "ws://127.0.0.1:9/in/");
}

#[test]
fn frames_are_due_at_fixed_times_however_late_the_sender_is() {
    let (mut desk, _, socket) = open_call();
    let start = desk.now;
    let after = |milliseconds| start + Duration::from_millis(milliseconds);
    assert_eq!(wait(&desk.drain(socket)), after(100));
    desk.later(537);
    assert_eq!(wait(&desk.drain(socket)), after(600));
    let times: Vec<_> = desk.sent().iter().map(|frame| frame.relative).collect();
    assert_eq!(times, [0.0, 0.1, 0.2, 0.3, 0.4]);
    assert!(desk.sent().iter().all(|frame| frame.bytes.len() == 3_200));
    desk.later(59_463);
    assert_eq!(wait(&desk.drain(socket)), after(60_100));
    assert_eq!(desk.sent().len(), 600);
}

#[test]
fn a_faster_meeting_sends_more_frames_of_the_same_size() {
    let script = MeetingScript::instant();
    let mut desk = Desk::with(script, |settings| settings.time_scale = 10.0);
    desk.create(&listening_bot());
    let socket = desk.dial().socket;
    desk.model.socket_opened(socket, desk.now);
    desk.later(100);
    desk.drain(socket);
    let sent = desk.sent();
    assert_eq!(sent.len(), 10);
    assert!(sent.iter().all(|frame| frame.bytes.len() == 3_200));
}

#[test]
fn a_call_that_ends_sends_its_last_samples_before_it_closes() {
    let (mut desk, id, socket) = open_call();
    desk.says(&id, DANA, "That was all.");
    let line = desk.line(DANA, "That was all.");
    let lasts = u64::try_from(line.len() / 32 + 1).unwrap();
    desk.later(lasts);
    desk.happens(&id, Event::CallEnded("call_ended_by_host".to_owned()));
    assert_eq!(desk.drain(socket), Order::Close(1000));
    assert!(desk.sound().starts_with(&line));
    assert_eq!(desk.sound().len() / 32, usize::try_from(lasts).unwrap());
    assert_eq!(desk.lost(), Duration::ZERO);
}

#[test]
fn people_who_speak_at_once_are_mixed() {
    let (mut desk, id, socket) = open_call();
    let pat = crate::script::Person {
        name: "Pat".to_owned(),
        is_host: false,
    };
    desk.happens(&id, Event::Joins(pat));
    desk.says(&id, DANA, "One two three.");
    desk.says(&id, "Pat", "Four five six.");
    desk.later(1_500);
    desk.drain(socket);
    let (dana, pat) = (
        desk.line(DANA, "One two three."),
        desk.line("Pat", "Four five six."),
    );
    let sample = |bytes: &[u8]| i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
    let sums = dana.chunks(2).zip(pat.chunks(2));
    let sums: Vec<i32> = sums
        .map(|(a, b)| (sample(a) + sample(b)).clamp(-32_768, 32_767))
        .collect();
    let sound = desk.sound();
    let heard: Vec<i32> = sound.chunks(2).map(sample).take(sums.len()).collect();
    assert_eq!(heard, sums);
}

#[test]
fn who_mutes_in_the_middle_of_a_line_is_not_heard_to_its_end() {
    let (mut desk, id, socket) = open_call();
    desk.says(&id, DANA, "I would rather not say this.");
    desk.later(450);
    desk.happens(&id, Event::Mutes(DANA.to_owned()));
    desk.later(1_000);
    desk.says(&id, DANA, "Nobody hears this.");
    desk.later(2_000);
    desk.happens(&id, Event::Unmutes(DANA.to_owned()));
    desk.later(100);
    desk.drain(socket);
    let line = desk.line(DANA, "I would rather not say this.");
    let sound = desk.sound();
    assert_eq!(sound[..14_400], line[..14_400]);
    assert!(sound[14_400..].iter().all(|byte| *byte == 0));
    let times: Vec<_> = desk.sent().iter().map(|frame| frame.relative).collect();
    assert_eq!(times, [0.0, 0.1, 0.2, 0.3, 0.4, 3.4]);
}

#[test]
fn what_the_bot_says_is_not_in_the_mix() {
    let mut desk = Desk::instant();
    let mut bot = super::clip_bot();
    bot["recording_config"] = listening_bot()["recording_config"].clone();
    let id = desk.create(&bot);
    let socket = desk.dial().socket;
    desk.model.socket_opened(socket, desk.now);
    let clip = json!({ "kind": "mp3", "b64_data": super::mp3() });
    let (status, _) = desk.call("POST", &format!("/bot/{id}/output_audio/"), &clip);
    assert_eq!(status, 200);
    desk.later(1_000);
    desk.drain(socket);
    assert_eq!(desk.sound(), vec![0; 32_000]);
}

#[test]
fn a_paused_recording_sends_nothing() {
    let (mut desk, id, socket) = open_call();
    desk.later(200);
    desk.happens(&id, Event::InCallNotRecording);
    desk.later(5_000);
    desk.happens(&id, Event::InCallRecording);
    desk.later(200);
    desk.drain(socket);
    let times: Vec<_> = desk.sent().iter().map(|frame| frame.relative).collect();
    assert_eq!(times, [0.0, 0.1, 5.2, 5.3]);
    assert_eq!(desk.lost(), Duration::ZERO);
    assert!(desk.model.dials(desk.now).is_empty());
}

#[test]
fn thirty_retries_three_seconds_apart_then_never_again() {
    let (mut desk, id) = call_with(Delivery::default());
    let start = desk.now;
    let mut times = Vec::new();
    while let Some(due) = desk.model.dial_deadline() {
        desk.now = due;
        times.push(due.duration_since(start).as_secs());
        let socket = desk.dial().socket;
        let error = "refused".to_owned();
        desk.model.socket_refused(socket, Some(502), error, due);
    }
    assert_eq!(times, (0..=30).map(|retry| retry * 3).collect::<Vec<_>>());
    assert_eq!(desk.model.bot(&id).unwrap().failed_endpoints.len(), 1);
    desk.later(3_600_000);
    assert!(desk.model.dials(desk.now).is_empty());
    assert_eq!(desk.lost(), Duration::from_secs(3_690));
}

#[test]
fn each_loss_is_an_incident_of_its_own() {
    let (mut desk, _, mut socket) = open_call();
    for _ in 0..3 {
        let end = AudioEnd::Broken("gone".to_owned());
        desk.model.socket_gone(socket, end, 0, desk.now);
        for _ in 1..30 {
            desk.later(3_000);
            let refused = desk.dial().socket;
            desk.model
                .socket_refused(refused, None, "no".to_owned(), desk.now);
        }
        desk.later(3_000);
        socket = desk.dial().socket;
        desk.model.socket_opened(socket, desk.now);
    }
    desk.later(100);
    desk.drain(socket);
    assert_eq!(desk.sent().last().unwrap().connection, 90);
}

#[test]
fn sound_is_lost_while_there_is_no_connection_and_so_is_what_did_not_leave() {
    let (mut desk, _, socket) = open_call();
    desk.later(1_000);
    let Order::Send(frames) = desk.model.socket_order(socket, desk.now) else {
        panic!("ten frames are due");
    };
    assert_eq!(frames.len(), 10);
    let end = AudioEnd::Broken("gone".to_owned());
    desk.model.socket_gone(socket, end, 4, desk.now);
    assert_eq!(desk.sent().len(), 6);
    desk.later(3_000);
    let socket = desk.dial().socket;
    desk.later(50);
    desk.model.socket_opened(socket, desk.now);
    assert_eq!(desk.lost(), Duration::from_millis(400 + 3_050));
    desk.later(150);
    desk.drain(socket);
    let sent = desk.sent();
    let (relative, length) = (sent[6].relative, sent[6].bytes.len());
    assert_eq!((sent[6].connection, length), (1, 50 * 32));
    assert!((relative - 4.05).abs() < 1e-9, "{relative}");
    assert_eq!(desk.lost(), Duration::from_millis(400 + 3_050));
}

#[test]
fn a_clock_that_is_moved_loses_the_time_between() {
    let (mut desk, _, socket) = open_call();
    desk.later(100);
    desk.drain(socket);
    desk.now += Duration::from_mins(10);
    desk.model.tick(desk.now);
    desk.model.clock_was_moved(desk.now);
    desk.later(100);
    desk.drain(socket);
    assert_eq!(desk.sent().len(), 2);
    assert_eq!(desk.lost(), Duration::from_mins(10));
}

#[test]
fn the_end_is_told_once_the_socket_is_closed_or_does_not_answer() {
    for answers in [true, false] {
        let (mut desk, id, socket) = open_call();
        desk.model.attempts(desk.now);
        desk.happens(&id, Event::CallEnded("call_ended_by_host".to_owned()));
        desk.later(1_000);
        assert!(desk.model.attempts(desk.now).is_empty());
        assert!(!desk.model.all_delivered());
        assert_eq!(desk.drain(socket), Order::Close(1000));
        if answers {
            let end = AudioEnd::Bot {
                code: 1000,
                answer: Some(1000),
            };
            desk.model.socket_gone(socket, end, 0, desk.now);
        } else {
            desk.later(2_000);
        }
        let attempts = desk.model.attempts(desk.now);
        let events: Vec<_> = attempts.iter().map(|a| a.message.event.as_str()).collect();
        assert!(
            events.starts_with(&["bot.call_ended", "bot.done"]),
            "{events:?}"
        );
    }
}

#[test]
fn the_end_waits_for_nobody_where_the_script_closes_later() {
    let close = AudioClose::After(Duration::from_secs(2));
    let (mut desk, id) = call_with(Delivery {
        audio: AudioDelivery {
            close,
            ..AudioDelivery::default()
        },
        ..Delivery::default()
    });
    let socket = desk.dial().socket;
    desk.model.socket_opened(socket, desk.now);
    desk.model.attempts(desk.now);
    desk.happens(&id, Event::CallEnded("call_ended_by_host".to_owned()));
    assert!(!desk.model.attempts(desk.now).is_empty());
    assert_eq!(wait(&desk.drain(socket)), desk.now + Duration::from_secs(2));
    desk.later(2_000);
    assert_eq!(desk.drain(socket), Order::Close(1000));
    assert!(desk.sent().is_empty());
}

#[test]
fn an_endpoint_that_is_still_dialled_when_the_call_ends_is_closed_at_once() {
    let (mut desk, id) = call_with(Delivery::default());
    let socket = desk.dial().socket;
    desk.happens(&id, Event::CallEnded("call_ended_by_host".to_owned()));
    desk.later(100);
    desk.model.socket_opened(socket, desk.now);
    assert_eq!(desk.drain(socket), Order::Close(1000));
    assert!(desk.sent().is_empty());
    assert_eq!(desk.model.dial_deadline(), None);
}

#[test]
fn ten_minutes_of_sound_are_all_there_afterwards() {
    let (mut desk, id, socket) = open_call();
    desk.says(&id, DANA, "The first words.");
    for _ in 0..10 {
        desk.later(60_000);
        desk.drain(socket);
    }
    let sound = desk.sound();
    assert_eq!(sound.len(), 600 * 32_000);
    let line = desk.line(DANA, "The first words.");
    assert_eq!(sound[..line.len()], line);
}

#[test]
fn faults_wait_for_each_other() {
    let (mut desk, _, socket) = open_call();
    for fault in [
        AudioFault::Gap(2),
        AudioFault::Repeat,
        AudioFault::Sizes(vec![100, 200]),
        AudioFault::Repeat,
    ] {
        desk.model.audio_fault(MEET, &fault).unwrap();
    }
    desk.later(600);
    desk.drain(socket);
    let sent = desk.sent();
    let frames: Vec<_> = sent
        .iter()
        .map(|frame| (frame.bytes.len(), frame.repeated))
        .collect();
    let (whole, rest) = (3_200, 3_200 - 300);
    assert_eq!(
        frames,
        [
            (whole, false),
            (whole, true),
            (100, false),
            (200, false),
            (rest, false),
            (rest, true),
            (whole, false),
            (whole, false),
        ]
    );
}
