//! A WebSocket server that keeps everything it gets.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What the server does to the next connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manners {
    /// It listens.
    #[default]
    Polite,
    /// It answers the upgrade with this status.
    Refuses(u16),
    /// It closes after so many messages, with this code.
    Closes { after: usize, code: u16 },
    /// It breaks the connection after so many messages.
    Breaks { after: usize },
    /// It sends a text, a binary message and a ping after each message it gets.
    Talks,
}

/// A connection as it was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) texts: Vec<String>,
    pub(crate) binaries: Vec<Vec<u8>>,
    pub(crate) pongs: usize,
    /// The code it was closed with, if it was closed with one.
    pub(crate) close: Option<u16>,
    /// It is over, closed or not.
    pub(crate) over: bool,
}

/// Where a connection is written down.
struct Notes {
    seen: Arc<Mutex<Vec<Seen>>>,
    number: usize,
    changed: Arc<watch::Sender<()>>,
}

impl Notes {
    fn write(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap()[self.number]);
        self.changed.send_replace(());
    }
}

/// A server on a port of its own.
pub(crate) struct Listener {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    manners: Arc<Mutex<Vec<Manners>>>,
    changed: Arc<watch::Sender<()>>,
}

impl Listener {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server that treats its first connections like this and all others politely.
    pub(crate) async fn with(manners: &[Manners]) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Self {
            url: format!("ws://{}", tcp.local_addr().unwrap()),
            seen: Arc::default(),
            manners: Arc::new(Mutex::new(manners.iter().rev().copied().collect())),
            changed: Arc::new(watch::Sender::new(())),
        };
        let (seen, manners, changed) = (
            listener.seen.clone(),
            listener.manners.clone(),
            listener.changed.clone(),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(Seen::default());
                    seen.len() - 1
                };
                let manners = manners.lock().unwrap().pop().unwrap_or_default();
                let notes = Notes {
                    seen: seen.clone(),
                    number,
                    changed: changed.clone(),
                };
                tokio::spawn(async move {
                    serve(stream, manners, &notes).await;
                    notes.write(|seen| seen.over = true);
                });
            }
        });
        listener
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn seen(&self, number: usize) -> Seen {
        self.seen.lock().unwrap()[number].clone()
    }

    /// Waits until a connection was seen like this.
    pub(crate) async fn until(&self, number: usize, wanted: impl Fn(&Seen) -> bool) {
        let mut changed = self.changed.subscribe();
        let search = async {
            while !self.seen.lock().unwrap().get(number).is_some_and(&wanted) {
                changed.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(super::SOON, search).await;
        assert!(found.is_ok(), "connection {number} was never like that");
    }

    /// Waits until a connection is over.
    pub(crate) async fn closed(&self, number: usize) {
        self.until(number, |seen| seen.over).await;
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the library's own type of an answer"
)]
async fn serve(stream: TcpStream, manners: Manners, notes: &Notes) {
    let upgrade = |request: &Request, response: Response| {
        notes.write(|seen| {
            seen.target = request.uri().to_string();
            seen.headers = request.headers().clone();
        });
        let Manners::Refuses(status) = manners else {
            return Ok(response);
        };
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = status.try_into().unwrap();
        Err(refusal)
    };
    let Ok(mut socket) = accept_hdr_async(stream, upgrade).await else {
        return;
    };
    let mut messages = 0;
    loop {
        if manners == (Manners::Breaks { after: messages }) {
            return;
        }
        if let Manners::Closes { after, code } = manners
            && messages == after
        {
            let frame = CloseFrame {
                code: code.into(),
                reason: "enough".into(),
            };
            let _ = socket.close(Some(frame)).await;
        }
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                notes.write(|seen| seen.texts.push(text.as_str().to_owned()));
            }
            Some(Ok(Message::Binary(bytes))) => {
                notes.write(|seen| seen.binaries.push(bytes.to_vec()));
            }
            Some(Ok(Message::Pong(_))) => notes.write(|seen| seen.pongs += 1),
            Some(Ok(Message::Close(frame))) => {
                notes.write(|seen| seen.close = frame.map(|frame| frame.code.into()));
            }
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => {}
            Some(Err(_)) | None => return,
        }
        messages += 1;
        if manners == Manners::Talks {
            for message in [
                Message::text("{\"type\":\"hello\"}"),
                Message::binary(vec![1, 2, 3]),
                Message::Ping("still there?".into()),
            ] {
                let _ = socket.send(message).await;
            }
        }
    }
}
