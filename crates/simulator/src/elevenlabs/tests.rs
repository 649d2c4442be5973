//! The model without sockets: what it refuses and how, and the speech it gives.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Model, Settings};
use crate::answer::{Answer, Request};
use crate::audio::mp3;
use crate::operation::route;
use crate::recall::ids::sha256_hex;
use crate::spoken::Spoken;

const KEY: (&str, &str) = ("xi-api-key", "fake-elevenlabs-key");
const JSON: (&str, &str) = ("content-type", "application/json");
const FLASH: &str = "/v1/text-to-speech/voice1/stream?output_format=mp3_22050_32";

fn model(change: impl FnOnce(&mut Settings)) -> (Model, Arc<Spoken>) {
    let mut settings = Settings {
        api_key: "fake-elevenlabs-key".to_owned(),
        unknown_voices: vec!["missing".to_owned()],
        concurrency: None,
        legacy_errors: false,
        seed: 7,
    };
    change(&mut settings);
    let spoken = Arc::new(Spoken::default());
    (Model::new(settings, spoken.clone()), spoken)
}

fn ask(model: &mut Model, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = axum::http::Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request: Request = request.body(Bytes::from(body.to_string())).unwrap();
    let route = route(request.method(), request.uri().path()).unwrap();
    model.handle(&route, &request, None)
}

fn speak(path: &str, body: &Value) -> Answer {
    ask(&mut model(|_| ()).0, path, &[KEY, JSON], body)
}

fn hello() -> Value {
    json!({ "text": "Hello there.", "model_id": "eleven_flash_v2_5" })
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer
        .headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.to_str().unwrap())
}

#[test]
fn speech_is_a_valid_mp3_that_is_remembered_by_its_hash() {
    let (mut model, spoken) = model(|_| ());
    let answer = ask(&mut model, FLASH, &[KEY, JSON], &hello());
    assert_eq!(answer.status, 200);
    assert!(answer.streamed);
    assert!(!mp3::inspect(&answer.body).unwrap().truncated);
    assert_eq!(
        spoken.text(&sha256_hex(&answer.body)).as_deref(),
        Some("Hello there.")
    );
    assert_eq!(header(&answer, "content-type"), Some("audio/mpeg"));
    assert_eq!(header(&answer, "character-cost"), Some("6"));
    assert!(header(&answer, "request-id").is_some());
}

#[test]
fn the_schema_is_checked_before_the_key() {
    let (mut model, _) = model(|_| ());
    let answer = ask(
        &mut model,
        FLASH,
        &[JSON],
        &json!({ "model_id": "eleven_flash_v2_5" }),
    );
    assert_eq!(answer.status, 422);
    let detail = json_of(&answer)["detail"].clone();
    assert_eq!(
        detail,
        json!([{ "loc": ["body", "text"], "msg": "Field required", "type": "missing" }])
    );
    assert_eq!(ask(&mut model, FLASH, &[JSON], &hello()).status, 401);
}

#[test]
fn everything_the_schema_refuses_is_422_with_its_place() {
    for (path, body, place) in [
        (FLASH, json!({ "text": "hi" }), json!(["body", "model_id"])),
        (
            FLASH,
            json!({ "text": 5, "model_id": "eleven_flash_v2_5" }),
            json!(["body", "text"]),
        ),
        (
            FLASH,
            json!({ "text": "hi", "model_id": "eleven_flash_v2_5", "voice": "x" }),
            json!(["body", "voice"]),
        ),
        (
            FLASH,
            json!({ "text": "hi", "model_id": "eleven_flash_v2_5", "seed": -1 }),
            json!(["body", "seed"]),
        ),
        (
            FLASH,
            json!({ "text": "hi", "model_id": "eleven_flash_v2_5", "voice_settings": { "stability": 1.5 } }),
            json!(["body", "voice_settings", "stability"]),
        ),
        (
            FLASH,
            json!({ "text": "hi", "model_id": "eleven_flash_v2_5", "previous_request_ids": ["a", "b", "c", "d"] }),
            json!(["body", "previous_request_ids"]),
        ),
        (
            "/v1/text-to-speech/voice1?output_format=mp3_22050_64",
            hello(),
            json!(["query", "output_format"]),
        ),
        (
            "/v1/text-to-speech/voice1?format=mp3_22050_32",
            hello(),
            json!(["query", "format"]),
        ),
        (FLASH, json!("a string"), json!(["body"])),
    ] {
        let answer = speak(path, &body);
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(json_of(&answer)["detail"][0]["loc"], place, "{body}");
    }
}

#[test]
fn keys_are_told_apart() {
    let (mut model, _) = model(|_| ());
    for (header, code) in [
        (("xi-api-key", "wrong"), "invalid_api_key"),
        (
            ("authorization", "Bearer fake-elevenlabs-key"),
            "invalid_authorization_header",
        ),
        (("x-nothing", ""), "missing_api_key"),
    ] {
        let answer = ask(&mut model, FLASH, &[header, JSON], &hello());
        assert_eq!(answer.status, 401);
        assert_eq!(json_of(&answer)["detail"]["code"], code);
    }
}

#[test]
fn what_only_the_service_knows_has_its_own_codes() {
    let with = |model_id: &str, text: &str| json!({ "text": text, "model_id": model_id });
    for (path, body, status, code) in [
        (
            "/v1/text-to-speech/missing",
            hello(),
            404,
            "voice_not_found",
        ),
        (FLASH, with("eleven_flash_v9", "hi"), 404, "model_not_found"),
        (
            FLASH,
            with("eleven_v3_conversational", "hi"),
            400,
            "unsupported_model",
        ),
        (FLASH, with("eleven_flash_v2_5", "  "), 400, "empty_text"),
        (
            FLASH,
            with("eleven_v3", &"x".repeat(5_001)),
            400,
            "text_too_long",
        ),
        (
            "/v1/text-to-speech/voice1/stream?output_format=wav_16000",
            hello(),
            400,
            "invalid_output_format",
        ),
        (
            "/v1/text-to-speech/voice1?enable_logging=false",
            hello(),
            403,
            "feature_not_available",
        ),
        (
            FLASH,
            json!({ "text": "hi", "model_id": "eleven_flash_v2_5", "voice_settings": { "speed": 2.0 } }),
            400,
            "invalid_voice_settings",
        ),
    ] {
        let answer = speak(path, &body);
        assert_eq!(
            (answer.status.as_u16(), &json_of(&answer)["detail"]["code"]),
            (status, &json!(code)),
            "{body}"
        );
    }
}

#[test]
fn the_older_error_shape_has_a_status_and_no_code() {
    let (mut model, _) = model(|settings| settings.legacy_errors = true);
    let answer = ask(
        &mut model,
        "/v1/text-to-speech/missing",
        &[KEY, JSON],
        &hello(),
    );
    let detail = json_of(&answer)["detail"].clone();
    assert_eq!(detail["status"], "voice_not_found");
    assert!(detail.get("code").is_none());
}

#[test]
fn more_running_requests_than_the_plan_allows_are_refused() {
    let (mut model, _) = model(|settings| settings.concurrency = Some(1));
    model.started();
    assert_eq!(ask(&mut model, FLASH, &[KEY, JSON], &hello()).status, 200);
    model.started();
    let answer = ask(&mut model, FLASH, &[KEY, JSON], &hello());
    assert_eq!(answer.status, 429);
    assert_eq!(
        json_of(&answer)["detail"]["status"],
        "too_many_concurrent_requests"
    );
    model.done();
    assert_eq!(ask(&mut model, FLASH, &[KEY, JSON], &hello()).status, 200);
}

#[test]
fn each_format_has_its_type_and_its_length() {
    for (format, content_type, bytes) in [
        ("pcm_16000", "audio/pcm", 32_000),
        ("pcm_24000", "audio/pcm", 48_000),
        ("mp3_44100_128", "audio/mpeg", 16_000),
        ("mp3_22050_32", "audio/mpeg", 4_000),
        ("wav_16000", "audio/wav", 32_000),
    ] {
        let body = json!({ "text": "x".repeat(150), "model_id": "eleven_flash_v2_5" });
        let answer = speak(
            &format!("/v1/text-to-speech/voice1?output_format={format}"),
            &body,
        );
        assert_eq!(
            header(&answer, "content-type"),
            Some(content_type),
            "{format}"
        );
        let per_second = answer.body.len() / 10;
        assert!(
            per_second.abs_diff(bytes) < bytes / 50,
            "{format}: {per_second} bytes a second"
        );
    }
}

#[test]
fn a_format_without_a_recording_is_honest_about_it() {
    let answer = speak(
        "/v1/text-to-speech/voice1?output_format=opus_48000_64",
        &hello(),
    );
    assert_eq!(answer.status, 501);
}
