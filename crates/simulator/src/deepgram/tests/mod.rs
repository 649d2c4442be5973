//! The model without sockets, on a clock of the test's own.

mod handshake;
mod life;
mod results;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::session::Out;
use super::{ListeningNews, ListeningSession, Model, Settings, Stream};
use crate::answer::{Answer, Request};
use crate::audio::voices::{SpokenLine, Voices};

/// A query with everything a good client asks for.
pub(super) const QUERY: &str = "model=nova-3&language=en-US&encoding=linear16&sample_rate=16000&channels=1\
    &interim_results=true&endpointing=300&utterance_end_ms=1000&vad_events=true&smart_format=true\
    &diarize_model=latest&extra=meeting_id:mtg_1";
/// 20 ms of audio.
const FRAME: usize = 640;
const FRAME_TIME: Duration = Duration::from_millis(20);

/// A project, its clock and the voices in the call.
pub(super) struct Desk {
    pub(super) model: Model,
    pub(super) voices: Arc<Voices>,
    pub(super) now: Timestamp,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            api_key: "fake-deepgram-key".to_owned(),
            concurrency: None,
            patience: Duration::from_secs(10),
            newer_messages: false,
            keep_audio: true,
            measure_pace: true,
            seed: 7,
        };
        change(&mut settings);
        let voices = Arc::new(Voices::default());
        Self {
            model: Model::new(settings, voices.clone()),
            voices,
            now: "2026-11-22T10:00:00Z".parse().unwrap(),
        }
    }

    pub(super) fn handshake(
        &mut self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<Arc<Stream>, Answer> {
        self.model.open(&handshake(query, headers), self.now)
    }

    pub(super) fn open(&mut self, query: &str) -> Call {
        let headers = [
            ("authorization", "Token fake-deepgram-key"),
            ("upgrade", "websocket"),
            ("user-agent", "test/1"),
        ];
        let stream = self.handshake(query, &headers);
        let stream = stream.unwrap_or_else(|answer| panic!("refused: {answer:?}"));
        Call {
            stream,
            now: self.now,
        }
    }

    pub(super) fn line(&self, speaker: &str, text: &str) -> Arc<SpokenLine> {
        self.voices.line(speaker, text)
    }
}

pub(super) fn handshake(query: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = axum::http::Request::builder().uri(format!("/v1/listen?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).unwrap()
}

/// An open stream and what its client sees.
pub(super) struct Call {
    pub(super) stream: Arc<Stream>,
    pub(super) now: Timestamp,
}

impl Call {
    /// Sends audio in frames of 20 ms in real time and returns what came back.
    pub(super) fn speak(&mut self, audio: &[u8]) -> Vec<Value> {
        audio
            .chunks(FRAME)
            .flat_map(|frame| {
                self.now += FRAME_TIME;
                self.frame(frame)
            })
            .collect()
    }

    pub(super) fn silence(&mut self, ms: usize) -> Vec<Value> {
        self.speak(&vec![0; ms * 32])
    }

    /// Sends one binary frame.
    pub(super) fn frame(&mut self, frame: &[u8]) -> Vec<Value> {
        self.stream.lock().hear(frame, self.now);
        self.answers()
    }

    /// Sends one text frame.
    pub(super) fn text(&mut self, text: &str) -> Vec<Value> {
        self.stream.lock().read(text, self.now);
        self.answers()
    }

    /// Lets time pass without a frame.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Value> {
        self.now += time;
        self.answers()
    }

    /// Text frames as they are, a close frame as `{"close": code, "reason": …}`.
    fn answers(&mut self) -> Vec<Value> {
        let turn = self.stream.lock().turn(self.now);
        turn.out
            .into_iter()
            .map(|out| match out {
                Out::Text(message) => message,
                Out::Close { code, reason } => {
                    serde_json::json!({ "close": code, "reason": reason })
                }
            })
            .collect()
    }

    pub(super) fn state(&self) -> ListeningSession {
        self.stream.lock().state()
    }

    pub(super) fn news(&self) -> Vec<ListeningNews> {
        self.stream.lock().take_news()
    }
}

pub(super) fn of_type<'a>(messages: &'a [Value], kind: &str) -> Vec<&'a Value> {
    messages
        .iter()
        .filter(|message| message["type"] == kind)
        .collect()
}

pub(super) fn finals(messages: &[Value]) -> Vec<&Value> {
    let mut results = of_type(messages, "Results");
    results.retain(|results| results["is_final"] == true);
    results
}

pub(super) fn transcript(results: &Value) -> &str {
    results["channel"]["alternatives"][0]["transcript"]
        .as_str()
        .unwrap()
}

/// The text of all finals.
pub(super) fn said(messages: &[Value]) -> String {
    let texts = finals(messages).into_iter().map(transcript);
    texts
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
