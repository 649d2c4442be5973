//! Which handshakes open a stream, and what the others are answered.

use serde_json::Value;

use super::{Desk, QUERY};
use crate::answer::Answer;

const GOOD: [(&str, &str); 2] = [
    ("authorization", "Token fake-deepgram-key"),
    ("upgrade", "websocket"),
];
const MINIMAL: &str = "model=nova-3&encoding=linear16&sample_rate=16000";

fn refused(query: &str, headers: &[(&str, &str)]) -> Answer {
    match Desk::new().handshake(query, headers) {
        Err(answer) => answer,
        Ok(_) => panic!("{query} opened a stream"),
    }
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let found = answer.headers.iter().find(|(key, _)| key == name);
    found.unwrap().1.to_str().unwrap()
}

#[test]
fn a_full_and_a_minimal_query_open_a_stream() {
    for query in [
        QUERY,
        MINIMAL,
        "model=nova-3",
        "model=nova-2&keywords=Acme:2&language=de",
    ] {
        assert!(Desk::new().handshake(query, &GOOD).is_ok(), "{query}");
    }
}

#[test]
fn the_key_comes_as_a_token_or_as_a_subprotocol_and_never_otherwise() {
    let upgrade = ("upgrade", "websocket");
    let protocol = ("sec-websocket-protocol", "token, fake-deepgram-key");
    assert!(Desk::new().handshake(MINIMAL, &[protocol, upgrade]).is_ok());
    for (name, value) in [
        ("authorization", "Token another-key"),
        ("authorization", "Bearer fake-deepgram-key"),
        ("authorization", "fake-deepgram-key"),
        ("sec-websocket-protocol", "bearer, fake-deepgram-key"),
        ("x-nothing", "at all"),
    ] {
        let answer = refused(MINIMAL, &[(name, value), upgrade]);
        assert_eq!(answer.status, 401);
        let body = body(&answer);
        assert_eq!(body["err_code"], "INVALID_AUTH");
        assert_eq!(body["request_id"], header(&answer, "dg-request-id"));
        assert_eq!(body["err_msg"], header(&answer, "dg-error"));
    }
}

#[test]
fn a_wrong_query_is_refused_with_the_parameter_in_the_message() {
    for (query, why) in [
        ("encoding=linear16&sample_rate=16000".to_owned(), "model"),
        (format!("{MINIMAL}&model=nova-2"), "more than once"),
        ("model=nova-4".to_owned(), "model"),
        (
            format!("{MINIMAL}&interim_result=true"),
            "interim_result` is not a parameter",
        ),
        (format!("{MINIMAL}&interim_results=yes"), "interim_results"),
        (
            format!("{MINIMAL}&diarize=true&diarize_model=latest"),
            "together",
        ),
        (format!("{MINIMAL}&diarize_model=v2"), "diarize_model"),
        (format!("{MINIMAL}&keywords=Acme"), "keywords"),
        ("model=nova-2&keyterm=Acme".to_owned(), "keyterm"),
        (
            format!("{MINIMAL}&utterance_end_ms=1000"),
            "interim_results",
        ),
        (
            format!("{MINIMAL}&interim_results=true&utterance_end_ms=999"),
            "utterance_end_ms",
        ),
        (
            format!("{MINIMAL}&interim_results=true&utterance_end_ms=5001"),
            "utterance_end_ms",
        ),
        ("model=nova-3&encoding=linear16".to_owned(), "sample_rate"),
        (
            "model=nova-3&encoding=pcm&sample_rate=16000".to_owned(),
            "encoding",
        ),
        (format!("{MINIMAL}&endpointing=true"), "endpointing"),
        (format!("{MINIMAL}&channels=0"), "channels"),
        (format!("{MINIMAL}&language=english"), "language"),
        (format!("{MINIMAL}&language_hint=de"), "language_hint"),
        (format!("{MINIMAL}&tag={}", "x".repeat(129)), "tag"),
        (format!("{MINIMAL}&extra=meeting_id"), "extra"),
        (format!("{MINIMAL}&extra=a:{}", "x".repeat(2048)), "extra"),
        (format!("{MINIMAL}&redact=names"), "redact"),
        (
            format!("{MINIMAL}{}", "&keyterm=a".repeat(101)),
            "100 keyterms",
        ),
        (
            format!(
                "{MINIMAL}{}",
                "&keyterm=twenty-four-characters-x".repeat(84)
            ),
            "500",
        ),
    ] {
        let answer = refused(&query, &GOOD);
        assert_eq!(answer.status, 400, "{query}");
        let body = body(&answer);
        assert_eq!(body["err_code"], "INVALID_QUERY_PARAMETER");
        assert!(
            body["err_msg"].as_str().unwrap().contains(why),
            "{query}: {body}"
        );
    }
}

#[test]
fn terms_up_to_the_limit_are_fine() {
    let hundred = format!("{MINIMAL}{}", "&keyterm=Acme%20Cloud".repeat(100));
    assert!(Desk::new().handshake(&hundred, &GOOD).is_ok());
}

#[test]
fn the_limit_of_streams_counts_those_that_run() {
    let mut desk = Desk::with(|settings| settings.concurrency = Some(2));
    let mut first = desk.open(QUERY);
    desk.open(QUERY);
    let answer = desk.handshake(QUERY, &GOOD).unwrap_err();
    assert_eq!(
        (answer.status.as_u16(), body(&answer)["err_code"].clone()),
        (429, "TOO_MANY_REQUESTS".into())
    );
    first.text(r#"{"type":"CloseStream"}"#);
    assert!(desk.handshake(QUERY, &GOOD).is_ok());
}

#[test]
fn a_request_that_is_no_upgrade_is_refused() {
    assert_eq!(refused(MINIMAL, &GOOD[..1]).status, 400);
}

#[test]
fn what_cannot_be_heard_here_is_said_and_not_guessed() {
    for query in [
        "model=nova-3&encoding=opus&sample_rate=48000",
        "model=nova-3&encoding=linear16&sample_rate=16000&channels=2",
    ] {
        assert_eq!(refused(query, &GOOD).status, 501);
    }
}

#[test]
fn a_session_tells_its_meeting_its_query_and_its_client() {
    let mut desk = Desk::new();
    let state = desk.open(QUERY).state();
    assert_eq!(state.meeting_id.as_deref(), Some("mtg_1"));
    assert_eq!(state.parameter("endpointing"), Some("300"));
    assert_eq!(state.user_agent.as_deref(), Some("test/1"));
    let stream = desk.handshake(QUERY, &GOOD).unwrap();
    assert!(stream.lock().state().violations[0].contains("user-agent"));
}
