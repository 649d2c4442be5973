//! A webhook receiver, an API client and a simulator wired together.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    reason = "a broken bench fails the test that uses it"
)]

pub(crate) mod agent;
pub(crate) mod avatar;
pub(crate) mod browser;
pub(crate) mod listener;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attache_simulator::{MeetingScript, Simulator, SimulatorConfig};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) const MEET: &str = "https://meet.google.com/abc-defg-hij";
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Arrived {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn event(&self) -> String {
        self.json()["event"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no header {name}"))
            .to_str()
            .unwrap()
    }
}

#[derive(Clone, Default)]
pub(crate) struct Inbox {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    /// Answers for the next webhooks; 200 when it is empty.
    pub(crate) answers: Arc<Mutex<Vec<u16>>>,
}

impl Inbox {
    pub(crate) fn all(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.all().iter().map(Arrived::event).collect()
    }
}

async fn receive(
    State(inbox): State<Inbox>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    inbox.arrived.lock().unwrap().push(Arrived {
        path: uri.to_string(),
        headers,
        body,
    });
    let answer = inbox.answers.lock().unwrap().pop().unwrap_or(200);
    StatusCode::from_u16(answer).unwrap()
}

/// A simulator whose webhooks arrive in an inbox, and a client with its key.
pub(crate) struct Bench {
    pub(crate) sim: Simulator,
    pub(crate) inbox: Inbox,
    pub(crate) inbox_url: String,
    pub(crate) http: reqwest::Client,
}

impl Bench {
    pub(crate) async fn start(config: SimulatorConfig) -> Self {
        let inbox = Inbox::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inbox_url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(receive).with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let webhook_url = Some(format!("{inbox_url}/workspace").parse().unwrap());
        let sim = Simulator::start(SimulatorConfig {
            webhook_url,
            ..config
        })
        .await
        .unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            sim,
            inbox,
            inbox_url,
            http,
        }
    }

    /// Meetings in which everything happens at once.
    pub(crate) async fn instant() -> Self {
        Self::start(SimulatorConfig {
            default_script: MeetingScript::instant(),
            ..SimulatorConfig::default()
        })
        .await
    }

    /// Meetings in which nothing happens by itself.
    pub(crate) async fn manual() -> Self {
        Self::start(SimulatorConfig {
            default_script: MeetingScript::manual(),
            ..SimulatorConfig::default()
        })
        .await
    }

    pub(crate) fn recall(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.sim.recall_base_url());
        self.http
            .request(method, url)
            .header("authorization", "Token fake-recall-key")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.recall(reqwest::Method::POST, path).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.recall(reqwest::Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        answer(self.recall(reqwest::Method::DELETE, path)).await
    }

    pub(crate) async fn create(&self, body: &Value) -> String {
        let (status, bot) = self.post("/bot/", body).await;
        assert_eq!(status, 201, "{bot}");
        bot["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn speak(&self, path: &str, body: &Value) -> reqwest::Response {
        let url = format!("{}{path}", self.sim.elevenlabs_base_url());
        self.http
            .post(url)
            .header("xi-api-key", "fake-elevenlabs-key")
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// A clip of real speech, and its base64.
    pub(crate) async fn clip(&self, text: &str) -> String {
        let body = json!({ "text": text, "model_id": "eleven_flash_v2_5" });
        let answer = self
            .speak(
                "/v1/text-to-speech/voice1?output_format=mp3_22050_32",
                &body,
            )
            .await;
        assert_eq!(answer.status(), 200);
        STANDARD.encode(answer.bytes().await.unwrap())
    }

    pub(crate) async fn wait_for_event(&self, event: &str) {
        let wanted = |entry: &attache_simulator::Entry| {
            entry
                .what
                .webhook()
                .is_some_and(|sent| sent.event == event && sent.status == Some(200))
        };
        self.sim.wait_for(wanted, SOON).await.unwrap();
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// A bot that may speak, with its real-time events going to `inbox_url`.
pub(crate) fn speaking_bot(inbox_url: &str) -> Value {
    let silence = STANDARD.encode(&include_bytes!("../../assets/speech_22050_32.mp3")[..313]);
    json!({
        "meeting_url": MEET,
        "bot_name": "Ada (Acme)",
        "metadata": { "meeting_id": "mtg_1" },
        "automatic_audio_output": { "in_call_recording": { "data": { "kind": "mp3", "b64_data": silence } } },
        "recording_config": {
            "transcript": { "provider": { "recallai_streaming": {
                "mode": "prioritize_low_latency", "language_code": "en" } } },
            "realtime_endpoints": [{
                "type": "webhook",
                "url": format!("{inbox_url}/realtime/?meeting=1"),
                "events": ["transcript.data", "transcript.partial_data", "participant_events.join",
                    "participant_events.leave", "participant_events.chat_message"],
                "metadata": { "meeting_id": "mtg_1" },
            }],
            "retention": { "type": "timed", "hours": 24 },
        },
    })
}
