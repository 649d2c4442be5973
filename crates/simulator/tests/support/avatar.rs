//! A client of the simulated `LiveAvatar`.

use attache_simulator::Simulator;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Bench, SOON, answer};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client of `LiveAvatar` for one meeting.
pub(crate) struct Client<'a> {
    sim: &'a Simulator,
    http: reqwest::Client,
    meeting_id: &'a str,
}

impl<'a> Client<'a> {
    pub(crate) fn new(sim: &'a Simulator, meeting_id: &'a str) -> Self {
        Self {
            sim,
            http: reqwest::Client::new(),
            meeting_id,
        }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        header: (&str, &str),
        body: &Value,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.sim.liveavatar_base_url());
        let request = self.http.post(url).header(header.0, header.1);
        answer(request.header("x-meeting-id", self.meeting_id).json(body)).await
    }

    pub(crate) async fn with_key(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post(path, ("X-API-KEY", "fake-liveavatar-key"), body)
            .await
    }

    /// What the start answers.
    pub(crate) async fn start(&self) -> Value {
        let wanted = json!({ "mode": "LITE", "avatar_id": "1c690fe7-23e0-49f9-bfba-14344450285b" });
        let (status, minted) = self.with_key("/sessions/token", &wanted).await;
        assert_eq!(status, 200, "{minted}");
        let bearer = format!(
            "Bearer {}",
            minted["data"]["session_token"].as_str().unwrap()
        );
        let (status, started) = self
            .post("/sessions/start", ("Authorization", &bearer), &json!({}))
            .await;
        assert_eq!(status, 201, "{started}");
        started["data"].clone()
    }

    pub(crate) async fn stop(&self, session: &Value) {
        let body = json!({ "session_id": session["session_id"], "reason": "USER_CLOSED" });
        assert_eq!(self.with_key("/sessions/stop", &body).await.0, 200);
    }
}

pub(crate) async fn open(session: &Value) -> Socket {
    connect_async(session["ws_url"].as_str().unwrap())
        .await
        .unwrap()
        .0
}

pub(crate) async fn connected(session: &Value) -> Socket {
    let mut socket = open(session).await;
    read_until(&mut socket, |message| message["state"] == "connected").await;
    socket
}

pub(crate) async fn next(socket: &mut Socket) -> Value {
    let message = timeout(SOON, socket.next()).await.unwrap();
    match message {
        Some(Ok(Message::Close(frame))) => {
            json!({ "close": frame.map(|frame| u16::from(frame.code)) })
        }
        Some(Ok(message)) => serde_json::from_str(message.to_text().unwrap()).unwrap(),
        Some(Err(_)) | None => json!({ "close": "cut" }),
    }
}

pub(crate) async fn read_until(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let message = next(socket).await;
        if wanted(&message) {
            return message;
        }
        assert!(
            message.get("close").is_none(),
            "closed before what was waited for: {message}"
        );
    }
}

pub(crate) async fn say(socket: &mut Socket, event_id: &str, pcm: &[u8]) {
    let (first, rest) = pcm.split_at(pcm.len().min(19_200));
    for piece in std::iter::once(first).chain(rest.chunks(48_000)) {
        let speak =
            json!({ "type": "agent.speak", "event_id": event_id, "audio": STANDARD.encode(piece) });
        socket.send(Message::text(speak.to_string())).await.unwrap();
    }
    tell(socket, "agent.speak_end", event_id).await;
}

pub(crate) async fn tell(socket: &mut Socket, kind: &str, event_id: &str) {
    let message = json!({ "type": kind, "event_id": event_id });
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

pub(crate) async fn speech(bench: &Bench, text: &str) -> Vec<u8> {
    let body = json!({ "text": text, "model_id": "eleven_flash_v2_5" });
    let path = "/v1/text-to-speech/voice1/stream?output_format=pcm_24000";
    bench
        .speak(path, &body)
        .await
        .bytes()
        .await
        .unwrap()
        .to_vec()
}
