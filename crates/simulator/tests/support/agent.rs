//! Whoever owns the page that a bot shows: serves it, and holds the other end of its socket.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

use super::MEET;

/// What is sent to the page.
#[derive(Clone, Debug)]
pub(crate) enum ToPage {
    Text(String),
    Sound(Vec<u8>),
    HangUp,
}

#[derive(Clone)]
struct Ends {
    page: &'static str,
    to_page: broadcast::Sender<ToPage>,
    from_page: mpsc::UnboundedSender<Value>,
}

pub(crate) struct Agent {
    origin: String,
    to_page: broadcast::Sender<ToPage>,
    from_page: mpsc::UnboundedReceiver<Value>,
}

impl Agent {
    /// Serves this page.
    pub(crate) async fn start(page: &'static str) -> Self {
        Self::with_script(page, String::new()).await
    }

    /// Serves this page and `/script.js`.
    pub(crate) async fn with_script(page: &'static str, script: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (to_page, _) = broadcast::channel(64);
        let (said, from_page) = mpsc::unbounded_channel();
        let ends = Ends {
            page,
            to_page: to_page.clone(),
            from_page: said,
        };
        let policy = "default-src 'self' 'unsafe-inline'; connect-src 'self' wss:";
        let page = move |State(ends): State<Ends>| async move {
            (
                [
                    (CONTENT_TYPE, "text/html"),
                    (CONTENT_SECURITY_POLICY, policy),
                ],
                ends.page,
            )
        };
        let script = move || async move { ([(CONTENT_TYPE, "text/javascript")], script) };
        let app = Router::new()
            .route("/bot/", get(page))
            .route("/script.js", get(script))
            .route("/bot/socket", get(upgrade))
            .with_state(ends);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            origin,
            to_page,
            from_page,
        }
    }

    /// A bot that shows the page.
    pub(crate) fn bot(&self) -> Value {
        let url = format!(
            "{}/bot/?meeting_id=mtg_1&tenant_id=default&t=sealed-page-token",
            self.origin
        );
        json!({
            "meeting_url": MEET,
            "metadata": { "meeting_id": "mtg_1" },
            "output_media": { "camera": { "kind": "webpage", "config": { "url": url } } },
            "variant": { "google_meet": "web_4_core" },
        })
    }

    pub(crate) fn tell(&self, message: &Value) {
        self.to_page
            .send(ToPage::Text(message.to_string()))
            .unwrap();
    }

    pub(crate) fn hang_up(&self) {
        self.to_page.send(ToPage::HangUp).unwrap();
    }

    /// Sends an utterance: its start, its sound and its end.
    pub(crate) fn speak(&self, utterance_id: &str, format: &str, sound: &[u8]) {
        self.begin_to_speak(utterance_id, format, sound);
        self.tell(&json!({ "type": "speak.end", "utterance_id": utterance_id }));
    }

    /// Sends an utterance without its end.
    pub(crate) fn begin_to_speak(&self, utterance_id: &str, format: &str, sound: &[u8]) {
        self.tell(&json!({ "type": "speak.start", "utterance_id": utterance_id, "format": format, "text": "…" }));
        for piece in sound.chunks(4_800) {
            self.to_page.send(ToPage::Sound(piece.to_vec())).unwrap();
        }
    }

    /// The next message of the page of this type.
    pub(crate) async fn hears(&mut self, kind: &str) -> Value {
        let next = async {
            loop {
                let said = self.from_page.recv().await.unwrap();
                if said["type"] == kind {
                    return said;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(40), next).await;
        heard.unwrap_or_else(|_| panic!("the page does not say {kind}"))
    }
}

async fn upgrade(State(ends): State<Ends>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| attend(socket, ends))
}

async fn attend(mut socket: WebSocket, ends: Ends) {
    let mut to_page = ends.to_page.subscribe();
    let hello = json!({ "type": "hello", "agent": { "name": "Ada" } });
    let _ = socket.send(Message::text(hello.to_string())).await;
    loop {
        tokio::select! {
            order = to_page.recv() => {
                let sent = match order {
                    Ok(ToPage::Text(text)) => socket.send(Message::text(text)).await,
                    Ok(ToPage::Sound(bytes)) => socket.send(Message::binary(bytes)).await,
                    Ok(ToPage::HangUp) | Err(_) => return,
                };
                if sent.is_err() {
                    return;
                }
            }
            said = socket.recv() => {
                let Some(Ok(said)) = said else { return };
                if let Ok(text) = said.to_text()
                    && let Ok(message) = serde_json::from_str(text)
                {
                    let _ = ends.from_page.send(message);
                }
            }
        }
    }
}
