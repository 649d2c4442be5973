//! How a stream lives and ends.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Desk, QUERY, of_type, said};
use crate::deepgram::session::Out;
use crate::deepgram::{ListeningDrop, ListeningNews, Side};
use crate::recall::ids::hex;

const KEEP_ALIVE: &str = r#"{"type":"KeepAlive"}"#;
const CLOSE_STREAM: &str = r#"{"type":"CloseStream"}"#;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn without_audio_in_ten_seconds_the_stream_is_closed_whatever_is_said_meanwhile() {
    let mut call = Desk::new().open(QUERY);
    for _ in 0..3 {
        assert!(call.wait(3 * SECOND).is_empty());
        assert!(call.text(KEEP_ALIVE).is_empty());
    }
    let closed = call.wait(SECOND);
    assert_eq!(closed[0]["close"], 1011);
    assert!(closed[0]["reason"].as_str().unwrap().ends_with("net0001"));
    let state = call.state();
    assert_eq!(
        (state.closed.unwrap().0, state.closed_by),
        (1011, Some(Side::Vendor))
    );
    assert_eq!(state.texts.len(), 3);
}

#[test]
fn after_the_first_audio_a_keep_alive_is_enough() {
    let mut call = Desk::new().open(QUERY);
    call.wait(9 * SECOND);
    call.frame(&[0; 640]);
    for _ in 0..5 {
        assert!(call.wait(9 * SECOND).is_empty());
        call.text(KEEP_ALIVE);
    }
    assert!(call.wait(9 * SECOND).is_empty());
    assert_eq!(call.wait(SECOND)[0]["close"], 1011);
}

#[test]
fn empty_frames_containers_and_control_in_binary_frames_cannot_be_decoded() {
    let raw = "model=nova-3";
    for (query, frame) in [
        (QUERY, &b""[..]),
        (QUERY, KEEP_ALIVE.as_bytes()),
        (raw, &[1, 2, 3, 4]),
    ] {
        let mut call = Desk::new().open(query);
        let closed = call.frame(frame);
        assert_eq!(closed[0]["close"], 1008);
        assert!(closed[0]["reason"].as_str().unwrap().ends_with("data0000"));
        assert_eq!(call.state().violations.len(), 1);
    }
}

#[test]
fn half_a_sample_at_the_end_is_a_violation_and_in_a_frame_it_is_not() {
    let mut call = Desk::new().open(QUERY);
    call.frame(&[0; 641]);
    call.frame(&[0; 639]);
    call.text(CLOSE_STREAM);
    assert!(call.state().violations.is_empty());
    let mut call = Desk::new().open(QUERY);
    call.frame(&[0; 641]);
    call.text(CLOSE_STREAM);
    assert!(call.state().violations[0].contains("641 bytes"));
}

#[test]
fn close_stream_brings_the_last_results_the_metadata_and_the_close() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "That is all for today.");
    let mut call = desk.open(QUERY);
    call.silence(500);
    assert_eq!(said(&call.speak(&line.pcm)), "");
    let last = call.text(CLOSE_STREAM);
    assert_eq!(said(&last), "That is all for today.");
    let [metadata] = of_type(&last, "Metadata")[..] else {
        panic!("{last:?}")
    };
    let audio = [vec![0; 16_000], line.pcm.clone()].concat();
    assert_eq!(metadata["sha256"], hex(&Sha256::digest(&audio)));
    assert_eq!(metadata["request_id"], call.state().id);
    assert_eq!(metadata["channels"], 1);
    let seconds = metadata["duration"].as_f64().unwrap() * 32_000.0;
    assert!((seconds - f64::from(u32::try_from(audio.len()).unwrap())).abs() < 1.0);
    assert_eq!(
        last.last().unwrap(),
        &json!({ "close": 1000, "reason": "" })
    );
    assert_eq!(*call.state().audio, audio);
    call.frame(&[0; 640]);
    call.text(KEEP_ALIVE);
    assert_eq!(
        call.state().violations.len(),
        2,
        "nothing may come after CloseStream"
    );
}

#[test]
fn a_text_that_cannot_be_read_is_answered_and_the_stream_goes_on() {
    let mut call = Desk::new().open(QUERY);
    for text in ["hello", r#"{"type":"Finalise"}"#] {
        let error = call.text(text).remove(0);
        assert_eq!(
            (error["type"].as_str(), error["variant"].as_str()),
            (Some("Error"), Some("SchemaError"))
        );
        assert_eq!(error["message"], text);
    }
    assert_eq!(call.state().violations.len(), 2);
    assert_eq!(call.state().closed, None);
}

#[test]
fn key_terms_can_be_changed_within_the_limits_on_nova_3_only() {
    let mut call = Desk::new().open(QUERY);
    let set = call.text(r#"{"type":"Configure","keyterms":["Acme Cloud","Kubernetes"]}"#);
    assert_eq!(
        (set[0]["type"].as_str(), set[0]["keyterms"][1].as_str()),
        (Some("ConfigureSuccess"), Some("Kubernetes"))
    );
    let kept = call.text(r#"{"type":"Configure","features":{"numerals":true}}"#);
    assert_eq!(kept[0]["keyterms"][0], "Acme Cloud");
    assert_eq!(
        call.text(r#"{"type":"Configure","keyterms":[]}"#)[0]["keyterms"],
        json!([])
    );
    let many = json!({ "type": "Configure", "keyterms": vec!["x"; 101] }).to_string();
    assert_eq!(
        call.text(&many)[0]["code"],
        "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"
    );
    let mut old = Desk::new().open("model=nova-2&encoding=linear16&sample_rate=16000");
    let refused = old.text(r#"{"type":"Configure","keyterms":["x"]}"#);
    assert_eq!(refused[0]["code"], "CONFIGURE_KEYTERMS_NOT_SUPPORTED");
}

#[test]
fn a_backlog_sent_at_once_is_told_and_not_refused() {
    let mut call = Desk::new().open(QUERY);
    call.silence(15_000);
    assert_eq!(call.state().too_fast, None);
    call.frame(&vec![0; 32_000 * 8]);
    assert!(call.state().too_fast.is_some_and(|worst| worst > 2.0));
    assert_eq!(call.state().closed, None);
}

#[test]
fn a_test_can_close_cut_and_silence_a_stream() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "Is anybody there?");
    let mut call = desk.open(QUERY);
    assert!(call.stream.lock().break_off(&ListeningDrop::internal()));
    let closed = call.wait(Duration::ZERO);
    assert!(
        closed[0]["close"] == 1011 && closed[0]["reason"].as_str().unwrap().ends_with("net0000")
    );
    assert!(
        !call.stream.lock().break_off(&ListeningDrop::Abort),
        "it is over already"
    );
    let mut call = desk.open(QUERY);
    call.stream.lock().break_off(&ListeningDrop::Mute);
    call.speak(&line.pcm);
    assert!(call.silence(3000).is_empty());
    assert!(call.text(CLOSE_STREAM).is_empty());
    assert!(call.state().audio_bytes > 96_000, "it still reads");
    let call = desk.open(QUERY);
    call.stream.lock().break_off(&ListeningDrop::Abort);
    let turn = call.stream.lock().turn(call.now);
    assert_eq!(turn.broken, Some(ListeningDrop::Abort));
}

#[test]
fn a_stream_that_is_closed_behind_a_turn_is_open_in_it_and_closed_in_the_next() {
    let call = Desk::new().open(QUERY);
    let turn = || call.stream.lock().turn(call.now);
    let before = turn();
    assert!(call.stream.lock().break_off(&ListeningDrop::internal()));
    assert!(before.out.is_empty() && !before.closed, "{before:?}");
    let after = turn();
    assert!(matches!(&after.out[..], [Out::Close { code: 1011, .. }]));
    assert!(after.closed, "with its close frame, not before");
    let later = turn();
    assert!(later.out.is_empty() && later.closed, "{later:?}");
}

#[test]
fn the_news_tell_the_story_of_a_stream() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "Good morning.");
    let mut call = desk.open(QUERY);
    call.speak(&line.pcm);
    call.silence(1000);
    call.text(CLOSE_STREAM);
    let news: Vec<String> = call.news().iter().map(ListeningNews::to_string).collect();
    let told = format!("told {CLOSE_STREAM}");
    assert_eq!(
        news,
        [
            "opened",
            "first audio",
            "final: Good morning. (speech ends)",
            &told,
            "closed by the Vendor: 1000 "
        ]
    );
}
