use proptest::prelude::*;

use super::*;
use crate::http::{Response, RetryAfter, TransportError};

fn tts() -> ElevenLabsTts {
    ElevenLabsTts::new("https://voices.example.com/", Secret::new("fake-key"))
}

fn speech() -> SpeechRequest {
    SpeechRequest {
        voice_id: "voice/1".to_owned(),
        text: "Hi, this is \"Ada\".".to_owned(),
        format: AudioFormat::Mp3_22050_32,
        language: Some("de-DE".to_owned()),
    }
}

fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        body: body.as_bytes().to_vec(),
        ..Response::default()
    }
}

fn refused(status: u16, body: &str) -> CallError {
    ElevenLabsTts::speech(Ok(answer(status, body))).unwrap_err()
}

#[test]
fn the_request_names_model_format_and_language_and_hides_the_key() {
    let request = tts().synthesize_full(&speech());
    assert_eq!(
        request.url,
        "https://voices.example.com/v1/text-to-speech/voice%2F1?output_format=mp3_22050_32"
    );
    let body: serde_json::Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
    assert_eq!(
        body,
        json!({"text": "Hi, this is \"Ada\".", "model_id": "eleven_flash_v2_5", "language_code": "de"})
    );
    assert!(!format!("{request:?}").contains("fake-key"));
    assert!(
        matches!(&request.headers[0], ("xi-api-key", HeaderValue::Secret(key)) if key.matches("fake-key"))
    );
}

#[test]
fn streaming_asks_the_same_of_another_path() {
    let full = tts().synthesize_full(&speech());
    let stream = tts().synthesize_stream(&SpeechRequest {
        format: AudioFormat::Pcm24000,
        ..speech()
    });
    assert_eq!(
        stream.url,
        "https://voices.example.com/v1/text-to-speech/voice%2F1/stream?output_format=pcm_24000"
    );
    assert_eq!(stream.body, full.body);
    assert!(crate::retry::is_listed(full.operation) && crate::retry::is_listed(stream.operation));
    assert!(stream.max_response_bytes > full.max_response_bytes);
}

#[test]
fn a_language_that_is_no_iso_639_1_code_is_left_to_the_vendor() {
    for language in [
        None,
        Some(String::new()),
        Some("deu".to_owned()),
        Some("1!".to_owned()),
    ] {
        let request = tts().synthesize_full(&SpeechRequest {
            language,
            ..speech()
        });
        let body = String::from_utf8(request.body.unwrap()).unwrap();
        assert!(!body.contains("language_code"), "{body}");
    }
}

#[test]
fn sound_is_given_back_and_silence_is_an_error_worth_retrying() {
    assert_eq!(
        ElevenLabsTts::speech(Ok(answer(200, "sound"))).unwrap(),
        b"sound"
    );
    let empty = refused(200, "");
    assert_eq!(empty.kind, FailureKind::UnexpectedAnswer);
    assert_eq!(empty.advice, Advice::Retry { after: None });
}

#[test]
fn a_spent_quota_is_told_from_a_wrong_key_although_both_may_be_401() {
    for (status, body, kind) in [
        (
            401,
            r#"{"detail":{"status":"quota_exceeded","message":"x"}}"#,
            FailureKind::InsufficientCredit,
        ),
        (
            402,
            r#"{"detail":{"code":"insufficient_credits","message":"x"}}"#,
            FailureKind::InsufficientCredit,
        ),
        (
            402,
            r#"{"detail":{"code":"subscription_required","message":"x"}}"#,
            FailureKind::InsufficientCredit,
        ),
        (
            401,
            r#"{"detail":{"code":"unauthorized","status":"invalid_api_key","message":"x"}}"#,
            FailureKind::Unauthorized,
        ),
    ] {
        let error = refused(status, body);
        assert_eq!((error.kind, error.advice), (kind, Advice::GiveUp), "{body}");
    }
}

#[test]
fn all_three_shapes_of_detail_are_understood() {
    let current = refused(
        429,
        r#"{"detail":{"type":"rate_limit_error","code":"concurrent_limit_exceeded","message":"Too many.","status":"too_many_concurrent_requests"}}"#,
    );
    assert_eq!(
        current.reason,
        "HTTP 429, concurrent_limit_exceeded: Too many."
    );
    let legacy = refused(
        400,
        r#"{"detail":{"status":"voice_not_found","message":"No such voice."}}"#,
    );
    assert_eq!(legacy.reason, "HTTP 400, voice_not_found: No such voice.");
    assert_eq!(legacy.kind, FailureKind::NotFound);
    let fields = refused(
        422,
        r#"{"detail":[{"loc":["body","text",0],"msg":"Field required","type":"missing"}]}"#,
    );
    assert_eq!(fields.reason, "HTTP 422: body.text.0: Field required");
    assert_eq!(fields.kind, FailureKind::InvalidRequest);
    assert_eq!(
        refused(400, r#"{"detail":"Bad."}"#).reason,
        "HTTP 400: Bad."
    );
}

#[test]
fn bodies_that_explain_nothing_still_give_an_error() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"detail":null}"#,
        r#"{"detail":[]}"#,
        r#"{"detail":{}}"#,
    ] {
        let error = refused(500, body);
        assert_eq!(error.kind, FailureKind::Unavailable, "{body}");
        assert!(error.reason.starts_with("HTTP 500: "), "{body}");
    }
}

#[test]
fn what_passes_is_retried_and_the_vendors_wait_is_kept() {
    for status in [408, 409, 429, 500, 503] {
        let mut response = answer(status, "{}");
        response
            .headers
            .insert("retry-after".to_owned(), "2".to_owned());
        let error = ElevenLabsTts::speech(Ok(response)).unwrap_err();
        assert_eq!(
            error.advice,
            Advice::Retry {
                after: Some(RetryAfter(2_000))
            },
            "{status}"
        );
    }
    for status in [302, 400, 403, 404, 422] {
        assert_eq!(refused(status, "{}").advice, Advice::GiveUp, "{status}");
    }
    let timeout = ElevenLabsTts::speech(Err(TransportError::Timeout)).unwrap_err();
    assert_eq!(timeout.kind, FailureKind::NoAnswer);
}

proptest! {
    #[test]
    fn no_refusal_panics(
        status in 300..600_u16,
        body in "(\\{\"detail\":)?[\\[\\]{}\":,0-9a-z. ]{0,60}\\}?",
    ) {
        let error = refused(status, &body);
        prop_assert!(error.reason.chars().count() < 300);
    }
}
