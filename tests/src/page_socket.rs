//! The page's socket, opened by hand: for what no page would do, and for who is no page.

use std::time::Duration;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::api::Api;

/// An open socket, on which nothing is said by itself.
#[derive(Debug)]
pub struct PageSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl PageSocket {
    /// Opens the socket of a meeting's page with a token.
    pub async fn open(api: &Api, meeting_id: &str, token: &str) -> Result<Self> {
        let origin = api.base_url().replacen("http", "ws", 1);
        let url = format!("{origin}{}", path(meeting_id, token));
        let (socket, _response) = connect_async(url)
            .await
            .context("could not open the page's socket")?;
        Ok(Self { socket })
    }

    /// The same upgrade as a plain request: for those that are to be refused and have an answer to read.
    pub fn request(api: &Api, meeting_id: &str, token: &str) -> reqwest::RequestBuilder {
        api.request(Method::GET, &path(meeting_id, token))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", STANDARD.encode([7; 16]))
    }

    /// Says something, as JSON.
    pub async fn say(&mut self, message: &Value) -> Result<()> {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .context("could not send on the page's socket")
    }

    /// Sends what the page's microphone hears: 16 kHz, mono, signed 16-bit little-endian samples.
    pub async fn hear(&mut self, sound: &[u8]) -> Result<()> {
        self.socket
            .send(Message::binary(sound.to_vec()))
            .await
            .context("could not send sound on the page's socket")
    }

    /// Waits until something of this type is told, and answers it; sound is passed over.
    pub async fn until_told(&mut self, kind: &str, at_most: Duration) -> Result<Value> {
        let deadline = Instant::now() + at_most;
        loop {
            let frame = timeout_at(deadline, self.socket.next())
                .await
                .map_err(|_| anyhow!("no {kind} in {at_most:?}"))?;
            match frame {
                Some(Ok(Message::Text(text))) => {
                    let told: Value = serde_json::from_str(&text)?;
                    if told["type"] == kind {
                        return Ok(told);
                    }
                }
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => {
                    bail!("the page's socket closed before {kind}")
                }
            }
        }
    }

    /// Waits until the Worker has closed it, and answers the code, if it sent one.
    pub async fn until_closed(&mut self, at_most: Duration) -> Result<Option<u16>> {
        let closed = async {
            while let Some(Ok(message)) = self.socket.next().await {
                if let Message::Close(frame) = message {
                    return frame.map(|frame| frame.code.into());
                }
            }
            None
        };
        match timeout(at_most, closed).await {
            Ok(code) => Ok(code),
            Err(_) => bail!("the page's socket stayed open for {at_most:?}"),
        }
    }
}

/// A token for a meeting's page, sealed under this secret as the Worker seals them.
pub fn seal_page_token(
    secret: &str,
    meeting_id: &str,
    tenant_id: &str,
    expires_at: Timestamp,
) -> Result<String> {
    let key = STANDARD.decode(secret).context("the secret is no base64")?;
    let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| anyhow!("the key is too short"))?;
    let claims =
        json!({ "m": meeting_id, "t": tenant_id, "e": expires_at.as_second() }).to_string();
    let payload = Payload {
        msg: claims.as_bytes(),
        aad: b"attache page token 1",
    };
    // One nonce for all will do for tokens that protect nothing.
    let nonce = [7; 12];
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| anyhow!("could not seal"))?;
    Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
}

fn path(meeting_id: &str, token: &str) -> String {
    format!("/bot/socket?meeting_id={meeting_id}&t={token}")
}
