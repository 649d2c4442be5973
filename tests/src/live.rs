//! The live events of a meeting, and waiting on them.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::api::Api;

/// Between two attempts to reach a Worker that is being restarted.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// An open live socket.
#[derive(Debug)]
pub struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Live {
    /// Opens the live socket of a meeting, with the key in the header.
    pub async fn connect(api: &Api, id: &str) -> Result<Self> {
        let origin = api.base_url().replacen("http", "ws", 1);
        let mut request = format!("{origin}/v1/meetings/{id}/live").into_client_request()?;
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {}", api.key()).parse()?);
        Self::open(request).await
    }

    /// Opens the live socket as a browser does, with the key as a subprotocol.
    pub async fn connect_as_browser(api: &Api, id: &str) -> Result<Self> {
        let origin = api.base_url().replacen("http", "ws", 1);
        let mut request = format!("{origin}/v1/meetings/{id}/live").into_client_request()?;
        request.headers_mut().insert(
            "sec-websocket-protocol",
            format!("attache, {}", api.key()).parse()?,
        );
        Self::open(request).await
    }

    /// The next event; an error when the socket closes or nothing comes in time.
    pub async fn next_event(&mut self, at_most: Duration) -> Result<Value> {
        match self.next_event_until(Instant::now() + at_most).await? {
            Some(event) => Ok(event),
            None => bail!("the live socket closed"),
        }
    }

    /// Sends a text frame.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        self.socket
            .send(Message::text(text))
            .await
            .context("could not send on the live socket")
    }

    /// The next text frame as it is: `pong` is not JSON.
    pub async fn next_text(&mut self, at_most: Duration) -> Result<String> {
        match self.next_text_until(Instant::now() + at_most).await? {
            Some(text) => Ok(text),
            None => bail!("the live socket closed"),
        }
    }

    async fn open(
        request: tokio_tungstenite::tungstenite::handshake::client::Request,
    ) -> Result<Self> {
        let (socket, _response) = connect_async(request)
            .await
            .context("could not open the live socket")?;
        Ok(Self { socket })
    }

    /// The next event, or nothing when the socket closed.
    async fn next_event_until(&mut self, deadline: Instant) -> Result<Option<Value>> {
        match self.next_text_until(deadline).await? {
            Some(text) => {
                Ok(Some(serde_json::from_str(&text).with_context(|| {
                    format!("a live event is not JSON: {text}")
                })?))
            }
            None => Ok(None),
        }
    }

    async fn next_text_until(&mut self, deadline: Instant) -> Result<Option<String>> {
        loop {
            let frame = timeout_at(deadline, self.socket.next())
                .await
                .map_err(|_| anyhow!("no live event in time"))?;
            match frame {
                Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
                Some(Ok(Message::Binary(bytes))) => {
                    bail!("a binary live frame of {} bytes", bytes.len())
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            }
        }
    }
}

/// Waits until the meeting, as the live socket shows it, is as wanted.
pub(crate) async fn wait_until(
    api: &Api,
    id: &str,
    wanted: &impl Fn(&Value) -> bool,
    at_most: Duration,
) -> Result<Value> {
    let deadline = Instant::now() + at_most;
    let mut last = Value::Null;
    loop {
        match follow(api, id, wanted, &mut last, deadline).await {
            Ok(Some(meeting)) => return Ok(meeting),
            // Closed, or refused while the Worker is down.
            Ok(None) | Err(_) if Instant::now() + RECONNECT_PAUSE < deadline => {
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
            Ok(None) => {
                bail!("waited {at_most:?}, the live socket kept closing; last seen: {last}")
            }
            Err(error) => {
                return Err(error.context(format!("waited {at_most:?}; last seen: {last}")));
            }
        }
    }
}

async fn follow(
    api: &Api,
    id: &str,
    wanted: &impl Fn(&Value) -> bool,
    last: &mut Value,
    deadline: Instant,
) -> Result<Option<Value>> {
    let mut live = timeout_at(deadline, Live::connect(api, id))
        .await
        .map_err(|_| anyhow!("no live socket in time"))??;
    while let Some(event) = live.next_event_until(deadline).await? {
        if event["type"] != "meeting" {
            continue;
        }
        *last = event["meeting"].clone();
        if wanted(last) {
            return Ok(Some(last.take()));
        }
    }
    Ok(None)
}
