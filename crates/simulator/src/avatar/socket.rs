//! Joins a session to its WebSocket. It decides nothing itself.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::Response;

use super::Stream;
use super::driver::write_news;
use super::session::Out;
use super::state::AvatarFault;
use crate::answer::Request;
use crate::deepgram::Side;
use crate::world::World;

/// How long a client has to answer a close frame, or to take a frame at all.
const CLOSING: Duration = Duration::from_secs(5);
/// How long a half-open connection is held: longer than any watchdog takes to notice.
const HALF_OPEN: Duration = Duration::from_mins(5);
/// Without a deadline, look again this often.
const IDLE: Duration = Duration::from_secs(1);
/// A connection whose client was killed has ended before the client is back, but that may be read a moment later.
const READ_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// Answers a handshake for a session that is live. It is broken at once if that is asked for.
pub(crate) async fn upgrade(
    world: Arc<World>,
    stream: Arc<Stream>,
    request: Request,
    broken: Option<AvatarFault>,
) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.on_upgrade(async move |socket| {
            let ended = async {
                while stream.lock().has_socket() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            // If it has not, opening the second is noted as wrong.
            let _ = tokio::time::timeout(READ_WITHIN, ended).await;
            let number = stream.lock().socket_opened(world.clock.now());
            if let Some(fault) = broken {
                stream.lock().fault(&fault, world.clock.now());
            }
            write_news(&world, &stream);
            run(socket, number, &world, &stream).await;
        }),
        Err(rejection) => axum::response::IntoResponse::into_response(rejection),
    }
}

async fn run(mut socket: WebSocket, number: usize, world: &World, stream: &Stream) {
    let mut running = world.running.clone();
    let (code, by) = tokio::select! {
        end = drive(&mut socket, number, world, stream) => end,
        // The sender is never used: this is the simulator's end.
        _ = running.changed() => (None, Side::Vendor),
    };
    stream
        .lock()
        .socket_gone(number, code, by, world.clock.now());
    write_news(world, stream);
}

/// Runs the connection to its end; says with which code it ended and by whom.
async fn drive(
    socket: &mut WebSocket,
    number: usize,
    world: &World,
    stream: &Stream,
) -> (Option<u16>, Side) {
    loop {
        let turn = turn(number, world, stream);
        match turn.broken {
            Some(AvatarFault::HalfOpen) => {
                tokio::time::sleep(HALF_OPEN).await;
                return (None, Side::Vendor);
            }
            Some(_) => return (None, Side::Vendor),
            None => {}
        }
        for out in turn.out {
            let code = close_code(&out);
            if !matches!(
                tokio::time::timeout(CLOSING, socket.send(message(out))).await,
                Ok(Ok(()))
            ) {
                return (None, Side::Client);
            }
            if code.is_some() {
                let _ = tokio::time::timeout(CLOSING, async {
                    while let Some(Ok(_)) = socket.recv().await {}
                })
                .await;
                return (code, Side::Vendor);
            }
        }
        tokio::select! {
            frame = socket.recv() => {
                if let Received::End(code) = receive(frame, world, stream) {
                    return (code, Side::Client);
                }
            }
            () = stream.changed.notified() => {}
            () = tokio::time::sleep(turn.pause) => {}
        }
    }
}

struct Turn {
    out: Vec<Out>,
    broken: Option<AvatarFault>,
    pause: Duration,
}

/// Brings the session up to now and takes what is to be done.
fn turn(number: usize, world: &World, stream: &Stream) -> Turn {
    let mut session = stream.lock();
    let now = world.clock.now();
    session.tick(now);
    let pause = session.deadline().map_or(IDLE, |due| {
        Duration::try_from(due.duration_since(now))
            .unwrap_or_default()
            .min(IDLE)
    });
    let turn = if session.is_current(number) {
        Turn {
            out: session.take_out(),
            broken: session.broken_off().cloned(),
            pause,
        }
    } else {
        let reason = "another socket took over".to_owned();
        Turn {
            out: vec![Out::Close { code: 1000, reason }],
            broken: None,
            pause,
        }
    };
    drop(session);
    write_news(world, stream);
    turn
}

fn close_code(out: &Out) -> Option<u16> {
    match out {
        Out::Close { code, .. } => Some(*code),
        Out::Text(_) => None,
    }
}

fn message(out: Out) -> Message {
    match out {
        Out::Text(value) => Message::text(value.to_string()),
        Out::Close { code, reason } => Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })),
    }
}

enum Received {
    Frame,
    /// The connection is over, with this code if there was a close frame.
    End(Option<u16>),
}

/// Hands a frame to the session.
fn receive(
    frame: Option<Result<Message, axum::Error>>,
    world: &World,
    stream: &Stream,
) -> Received {
    let now = world.clock.now();
    let mut session = stream.lock();
    match frame {
        Some(Ok(Message::Text(text))) => session.read(text.as_str(), now),
        Some(Ok(Message::Binary(bytes))) => session.read_binary(bytes.len(), now),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
        Some(Ok(Message::Close(frame))) => {
            return Received::End(Some(frame.map_or(1005, |frame| frame.code)));
        }
        Some(Err(_)) | None => return Received::End(None),
    }
    Received::Frame
}
