//! The browser's remote protocol: calls with answers, and notices that nobody asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

/// The slowest call is a page that is being loaded on a busy machine.
const ANSWER: Duration = Duration::from_secs(30);
/// Notices that wait for a slow reader: ten a second for each page that is listened to.
const NOTICES: usize = 8_192;
/// Calls that wait to be sent.
const CALLS: usize = 256;

/// Something the browser tells by itself.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The page's session, empty for the browser itself.
    pub(crate) session: String,
    /// What it is about, for example `Network.webSocketCreated`.
    pub method: String,
    /// The rest.
    pub params: Arc<Value>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

#[derive(Debug)]
pub(crate) struct Devtools {
    next: AtomicU64,
    calls: mpsc::Sender<Message>,
    waiting: Waiting,
    notices: broadcast::Sender<Notice>,
    tasks: Vec<JoinHandle<()>>,
}

impl Devtools {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let parsed = Url::parse(url)?;
        let host = parsed.host_str().context("no host")?;
        let port = parsed.port().context("no port")?;
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // Pictures of pages are large.
        let unlimited = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let request = url.into_client_request()?;
        let (socket, _) = client_async_with_config(request, stream, Some(unlimited)).await?;
        let (mut out, incoming) = socket.split();
        let (calls, mut to_send) = mpsc::channel(CALLS);
        let (notices, _) = broadcast::channel(NOTICES);
        let waiting = Waiting::default();
        let writer = tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if out.send(message).await.is_err() {
                    return;
                }
            }
        });
        let reader = tokio::spawn(read(incoming, waiting.clone(), notices.clone()));
        Ok(Self {
            next: AtomicU64::new(1),
            calls,
            waiting,
            notices,
            tasks: vec![writer, reader],
        })
    }

    /// Notices from now on.
    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Makes a call, of a page's session or of the browser.
    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: &Value,
    ) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let (answered, answer) = oneshot::channel();
        self.lock().insert(id, answered);
        let sent = self.calls.send(Message::text(message.to_string())).await;
        sent.map_err(|_| anyhow!("the browser is gone"))?;
        let answer = tokio::time::timeout(ANSWER, answer).await;
        self.lock().remove(&id);
        let mut answer = answer
            .with_context(|| format!("no answer to {method}"))?
            .map_err(|_| anyhow!("the browser is gone"))?;
        if let Some(error) = answer["error"]["message"].as_str() {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// Makes a call whose answer nobody waits for.
    pub(crate) async fn begin(&self, session: &str, method: &str, params: &Value) -> Result<()> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = json!({ "id": id, "sessionId": session, "method": method, "params": params });
        let sent = self.calls.send(Message::text(message.to_string())).await;
        sent.map_err(|_| anyhow!("the browser is gone"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Value>>> {
        self.waiting.lock().expect("no panic holds the calls")
    }
}

impl Drop for Devtools {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn read(
    mut incoming: SplitStream<WebSocketStream<TcpStream>>,
    waiting: Waiting,
    notices: broadcast::Sender<Notice>,
) {
    while let Some(Ok(message)) = incoming.next().await {
        let Ok(text) = message.to_text() else {
            continue;
        };
        let mut message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        if let Some(id) = message["id"].as_u64() {
            let caller = waiting
                .lock()
                .expect("no panic holds the calls")
                .remove(&id);
            if let Some(caller) = caller {
                let _ = caller.send(message);
            }
        } else if let Some(method) = message["method"].as_str() {
            let notice = Notice {
                session: message["sessionId"].as_str().unwrap_or_default().to_owned(),
                method: method.to_owned(),
                params: Arc::new(message["params"].take()),
            };
            // Nobody listens, then.
            let _ = notices.send(notice);
        }
    }
    // Whoever still waits is told by the end of its channel.
    waiting.lock().expect("no panic holds the calls").clear();
}
