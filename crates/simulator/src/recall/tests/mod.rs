//! The model without sockets: what it refuses, what it answers, what it remembers.

mod audio;
mod commands;
mod create;
mod gate;
mod life;
mod media;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Model, Settings};
use crate::answer::{Answer, Request};
use crate::audio::voices::Voices;
use crate::operation::route;
use crate::script::MeetingScript;
use crate::spoken::Spoken;

pub(super) const MEET: &str = "https://meet.google.com/abc-defg-hij";
pub(super) const ZOOM: &str = "https://us02web.zoom.us/j/1234567890?pwd=abc";
pub(super) const KEY: &str = "Token fake-recall-key";

/// A model, its clock, and a way to talk to it.
pub(super) struct Desk {
    pub(super) model: Model,
    pub(super) now: Timestamp,
}

impl Desk {
    pub(super) fn with(script: MeetingScript, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            api_key: "fake-recall-key".to_owned(),
            base_url: "http://127.0.0.1:9".to_owned(),
            time_scale: 1.0,
            rate_limits: false,
            adhoc_limit: None,
            workspace_retry_scale: 1.0,
            realtime_retry_scale: 1.0,
            download_lifetime: Duration::from_hours(6),
            audio_frame: Duration::from_millis(100),
            seed: 7,
        };
        change(&mut settings);
        let model = Model::new(
            settings,
            script,
            Arc::new(Spoken::default()),
            Arc::new(Voices::default()),
        );
        Self {
            model,
            now: "2026-11-22T10:00:00Z".parse().unwrap(),
        }
    }

    pub(super) fn manual() -> Self {
        Self::with(MeetingScript::manual(), |_| ())
    }

    pub(super) fn instant() -> Self {
        Self::with(MeetingScript::instant(), |_| ())
    }

    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request: Request = request.body(Bytes::from(body.to_owned())).unwrap();
        self.model.tick(self.now);
        let route = route(request.method(), request.uri().path()).unwrap();
        let answer = self.model.handle(&route, &request, None, self.now);
        self.model.tick(self.now);
        answer
    }

    pub(super) fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let headers = [("authorization", KEY), ("content-type", "application/json")];
        read(&self.request(method, &format!("/api/v1{path}"), &headers, &text))
    }

    pub(super) fn keyed(&mut self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let headers = [
            ("authorization", KEY),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        read(&self.request(
            "POST",
            &format!("/api/v1{path}"),
            &headers,
            &body.to_string(),
        ))
    }

    pub(super) fn create(&mut self, body: &Value) -> String {
        let (status, bot) = self.call("POST", "/bot/", body);
        assert_eq!(status, 201, "{bot}");
        bot["id"].as_str().unwrap().to_owned()
    }

    /// What a create call with these fields is refused for.
    pub(super) fn refused(&mut self, fields: &Value) -> Value {
        let mut body = json!({ "meeting_url": MEET });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let (status, answer) = self.call("POST", "/bot/", &body);
        assert_eq!(status, 400, "{body} was not refused: {answer}");
        answer
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.model.tick(self.now);
    }
}

pub(super) fn read(answer: &Answer) -> (u16, Value) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    (
        answer.status.as_u16(),
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub(super) fn mp3() -> String {
    STANDARD.encode(&crate::audio::speech::MP3_22050_32[..313])
}

pub(super) fn jpeg() -> String {
    STANDARD.encode(include_bytes!("../../../assets/still.jpeg"))
}

pub(super) fn clip_bot() -> Value {
    json!({ "meeting_url": MEET, "automatic_audio_output": {
        "in_call_recording": { "data": { "kind": "mp3", "b64_data": mp3() } } } })
}

pub(super) fn everything(bot: &mut Value) {
    bot["recording_config"] = json!({ "transcript": { "provider": { "recallai_streaming": {
        "mode": "prioritize_low_latency", "language_code": "en" } } }, "audio_mixed_mp3": {},
        "realtime_endpoints": [{ "type": "webhook", "url": "http://127.0.0.1:9/rt/", "events": ["transcript.data"] }] });
}
