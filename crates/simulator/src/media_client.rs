//! Recall as the client of audio sockets: dials them, sends what the model orders, and reads
//! nothing of what comes back.
//!
//! Frames leave at times counted from the beginning of the recording, so a late one does not
//! delay those after it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use crate::clock::real_now;
use crate::recall::{AudioEnd, DialOrder, Order, Outgoing, SocketId};
use crate::signing::{HeaderFamily, sign};
use crate::world::World;

/// From the first packet to the answer of the handshake; the vendor does not say.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A server that takes nothing for so long is lost.
const STUCK: Duration = Duration::from_secs(10);
/// How long a server may take to answer a close.
const CLOSING: Duration = Duration::from_secs(2);
/// Without anything due, look again this often: the clock may have been moved.
const IDLE: Duration = Duration::from_secs(1);
/// Signs what is to be refused: base64 of "some other secret".
const OTHER_SECRET: &str = "whsec_c29tZSBvdGhlciBzZWNyZXQ=";

type Socket = WebSocketStream<TcpStream>;

/// Why there is no connection.
struct Refusal {
    status: Option<u16>,
    error: String,
}

/// Runs until it is aborted; the connections end with it.
pub(crate) async fn run(world: Arc<World>) {
    let mut changed = world.sockets_changed.subscribe();
    let mut connections = JoinSet::new();
    loop {
        changed.borrow_and_update();
        let (dials, pause) = world.look(|models, now| {
            let dials = models.recall.dials(now);
            (dials, until(models.recall.dial_deadline(), now))
        });
        for dial in dials {
            connections.spawn(connection(world.clone(), dial));
        }
        while connections.try_join_next().is_some() {}
        tokio::select! {
            // The sender lives in the world.
            _ = changed.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How long to sleep before something is due, on a clock that may be moved.
fn until(due: Option<Timestamp>, now: Timestamp) -> Duration {
    due.map_or(IDLE, |due| {
        Duration::try_from(due.duration_since(now))
            .unwrap_or(Duration::ZERO)
            .min(IDLE)
    })
}

async fn connection(world: Arc<World>, dial: DialOrder) {
    let id = dial.socket;
    let opened = timeout(HANDSHAKE, open(&world, &dial)).await;
    let socket = opened.unwrap_or_else(|_| {
        let error = format!("no answer to the handshake within {HANDSHAKE:?}");
        Err(Refusal {
            status: None,
            error,
        })
    });
    match socket {
        Ok(socket) => {
            world.look(|models, now| models.recall.socket_opened(id, now));
            let (end, unsent) = carry(&world, id, socket).await;
            world.with(|models, now| models.recall.socket_gone(id, end, unsent, now));
        }
        Err(Refusal { status, error }) => {
            world.with(|models, now| models.recall.socket_refused(id, status, error, now));
        }
    }
}

async fn open(world: &World, dial: &DialOrder) -> Result<Socket, Refusal> {
    let failed = |error: String| Refusal {
        status: None,
        error,
    };
    let url = Url::parse(&dial.url).map_err(|error| failed(error.to_string()))?;
    if url.scheme() != "ws" {
        return Err(failed("there is no TLS here, only ws works".to_owned()));
    }
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(80);
    let request = signed(world, dial).map_err(|error| failed(error.to_string()))?;
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| failed(error.to_string()))?;
    // Frames are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => Err(Refusal {
            status: Some(answer.status().as_u16()),
            error: "the upgrade was refused".to_owned(),
        }),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The upgrade of the URL as it was given, signed over an empty body.
fn signed(world: &World, dial: &DialOrder) -> anyhow::Result<Request> {
    let timestamp = real_now().as_second();
    let secret = if dial.bad_signature {
        OTHER_SECRET
    } else {
        &world.webhook_secret
    };
    let mut signature = sign(secret, &dial.message_id, timestamp, b"")?;
    if let Some(rotated) = &dial.rotated_secret {
        let rotated = sign(rotated, &dial.message_id, timestamp, b"")?;
        signature = format!("{rotated} {signature}");
    }
    let mut request = dial.url.as_str().into_client_request()?;
    let [id, time, signatures] = HeaderFamily::Webhook.names();
    let headers = request.headers_mut();
    headers.insert("user-agent", "Recall.ai/Realtime".parse()?);
    headers.insert(id, dial.message_id.parse()?);
    headers.insert(time, timestamp.into());
    headers.insert(signatures, signature.parse()?);
    Ok(request)
}

/// Sends until the connection ends; says how, and how many frames with sound were not sent.
async fn carry(world: &World, id: SocketId, mut socket: Socket) -> (AudioEnd, usize) {
    let mut changed = world.sockets_changed.subscribe();
    loop {
        changed.borrow_and_update();
        let (order, now) = world.look(|models, now| (models.recall.socket_order(id, now), now));
        let pause = match order {
            Order::Send(frames) => {
                if let Err((error, unsent)) = send(&mut socket, frames).await {
                    return (AudioEnd::Broken(error), unsent);
                }
                Duration::ZERO
            }
            Order::Wait(due) => until(Some(due), now),
            Order::Close(code) => return (close(socket, code).await, 0),
            Order::Abort => {
                // Without lingering the other side gets a reset.
                let _ = socket.get_ref().set_zero_linger();
                return (AudioEnd::Broken("the bot is gone".to_owned()), 0);
            }
        };
        tokio::select! {
            biased;
            message = socket.next() => match message {
                Some(Ok(Message::Close(frame))) => return (closed_by_server(socket, frame).await, 0),
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    world.look(|models, _| models.recall.socket_received(id));
                }
                // Pings are answered by the library as soon as it is asked for the next message.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return (AudioEnd::Broken(error.to_string()), 0),
                None => return (AudioEnd::Broken("the connection closed".to_owned()), 0),
            },
            // The sender lives in the world.
            _ = changed.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Sends frames in order. The error says how many with sound are left.
async fn send(socket: &mut Socket, frames: Vec<Outgoing>) -> Result<(), (String, usize)> {
    let is_sound = |frame: &Outgoing| matches!(frame, Outgoing::Sound(_));
    let mut left = frames.iter().filter(|frame| is_sound(frame)).count();
    for frame in frames {
        let sound = usize::from(is_sound(&frame));
        let message = match frame {
            Outgoing::Sound(text) | Outgoing::Text(text) => Message::text(text),
            Outgoing::Binary(bytes) => Message::binary(bytes),
        };
        match timeout(STUCK, socket.send(message)).await {
            Ok(Ok(())) => left -= sound,
            Ok(Err(error)) => return Err((error.to_string(), left)),
            Err(_) => return Err((format!("the server took nothing for {STUCK:?}"), left)),
        }
    }
    Ok(())
}

async fn close(mut socket: Socket, code: u16) -> AudioEnd {
    let frame = CloseFrame {
        code: code.into(),
        reason: "".into(),
    };
    let answered = timeout(CLOSING, async {
        socket.close(Some(frame)).await.ok()?;
        let mut answer = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                answer = frame.map(|frame| u16::from(frame.code));
            }
        }
        answer
    });
    AudioEnd::Bot {
        code,
        answer: answered.await.ok().flatten(),
    }
}

/// Answers the server's close, which the library does while it is asked for more.
async fn closed_by_server(mut socket: Socket, frame: Option<CloseFrame>) -> AudioEnd {
    let _ = timeout(CLOSING, async {
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    AudioEnd::Server {
        code: frame.as_ref().map(|frame| frame.code.into()),
        reason: frame.map_or_else(String::new, |frame| frame.reason.as_str().to_owned()),
    }
}
