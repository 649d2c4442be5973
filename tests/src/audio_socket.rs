//! The socket for a call's sound, opened by hand: for what the simulated Recall would not do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use attache_simulator::{HeaderFamily, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::api::Api;

/// An open socket, on which nothing is sent by itself.
#[derive(Debug)]
pub struct AudioSocket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl AudioSocket {
    /// Dials the socket of a meeting, signed with this secret.
    pub async fn dial(api: &Api, meeting_id: &str, secret: &str) -> Result<Self> {
        let origin = api.base_url().replacen("http", "ws", 1);
        let mut request = format!("{origin}{}", path(meeting_id)).into_client_request()?;
        for (name, value) in sign_upgrade(secret, 0)? {
            request.headers_mut().insert(name, value.parse()?);
        }
        let (socket, _response) = connect_async(request)
            .await
            .context("could not open the audio socket")?;
        Ok(Self { socket })
    }

    /// The same upgrade as a plain request, unsigned: for those that are to be refused and have an answer to read.
    pub fn request(api: &Api, meeting_id: &str) -> reqwest::RequestBuilder {
        api.request(Method::GET, &path(meeting_id))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", STANDARD.encode([7; 16]))
    }

    /// Sends sound that began at this second of the recording.
    pub async fn send_sound(&mut self, relative: f64, pcm: &[u8]) -> Result<()> {
        let frame = json!({
            "event": "audio_mixed_raw.data",
            "data": {
                "data": {
                    "buffer": STANDARD.encode(pcm),
                    "timestamp": { "relative": relative, "absolute": Timestamp::now().to_string() },
                },
            },
        });
        self.send(Message::text(frame.to_string())).await
    }

    /// Sends any frame.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        self.socket
            .send(message)
            .await
            .context("could not send on the audio socket")
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
            Err(_) => bail!("the audio socket stayed open for {at_most:?}"),
        }
    }
}

/// The headers that sign an upgrade with this secret, as if it were made so many seconds from now.
pub fn sign_upgrade(secret: &str, seconds_from_now: i64) -> Result<[(&'static str, String); 3]> {
    let now = Timestamp::now();
    let (message_id, at) = (
        format!("msg_{}", now.as_nanosecond()),
        now.as_second() + seconds_from_now,
    );
    let [id, time, signature] = HeaderFamily::Webhook.names();
    Ok([
        (id, message_id.clone()),
        (time, at.to_string()),
        (signature, sign(secret, &message_id, at, b"")?),
    ])
}

fn path(meeting_id: &str) -> String {
    format!("/recall/media/{meeting_id}/")
}
