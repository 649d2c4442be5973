//! Joins a stream to its WebSocket. It decides nothing itself.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderValue, Response};
use jiff::Timestamp;

use super::Stream;
use super::session::{Out, Turn};
use super::state::ListeningDrop;
use crate::answer::Request;
use crate::journal::What;
use crate::world::World;

/// How long a client has to answer a close frame, or to take a frame at all.
const CLOSING: Duration = Duration::from_secs(5);
/// How long a half-open connection is held: longer than any watchdog takes to notice.
const HALF_OPEN: Duration = Duration::from_mins(5);
/// Without a deadline, look again this often.
const IDLE: Duration = Duration::from_secs(1);

/// Answers a handshake that the model has accepted.
pub(crate) async fn upgrade(
    world: Arc<World>,
    stream: Arc<Stream>,
    request: Request,
) -> Response<Body> {
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade.protocols(["token"]),
        Err(rejection) => {
            stream.lock().cut();
            write_news(&world, &stream);
            return axum::response::IntoResponse::into_response(rejection);
        }
    };
    let id = HeaderValue::from_str(stream.lock().id()).expect("ids are plain text");
    let mut response = upgrade.on_upgrade(async move |socket| run(socket, &world, &stream).await);
    response.headers_mut().insert("dg-request-id", id);
    response
}

/// Writes down what happened to a stream.
pub(crate) fn write_news(world: &World, stream: &Stream) {
    let mut session = stream.lock();
    for news in session.take_news() {
        let id = session.id().to_owned();
        let meeting_id = session.meeting_id().map(str::to_owned);
        world.write(What::Listening {
            id,
            meeting_id,
            news,
        });
    }
}

async fn run(mut socket: WebSocket, world: &World, stream: &Stream) {
    let mut running = world.running.clone();
    tokio::select! {
        () = drive(&mut socket, world, stream) => {}
        // The sender is never used: this is the simulator's end.
        _ = running.changed() => stream.lock().cut(),
    }
    write_news(world, stream);
}

async fn drive(socket: &mut WebSocket, world: &World, stream: &Stream) {
    loop {
        let turn = turn(world, stream);
        match turn.broken {
            Some(ListeningDrop::HalfOpen) => {
                tokio::time::sleep(HALF_OPEN).await;
                return stream.lock().cut();
            }
            Some(_) => return stream.lock().cut(),
            None => {}
        }
        if send(socket, turn.out).await.is_err() {
            return stream.lock().client_left(None);
        }
        if turn.closed {
            let _ = tokio::time::timeout(CLOSING, listen_to_the_end(socket, world, stream)).await;
            return;
        }
        let pause = turn
            .deadline
            .map_or(IDLE, |deadline| until(deadline, world.clock.now()));
        tokio::select! {
            frame = socket.recv() => {
                if !receive(frame, world, stream) {
                    return;
                }
            }
            () = stream.changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Brings the stream up to now and takes what is to be done.
fn turn(world: &World, stream: &Stream) -> Turn {
    let turn = stream.lock().turn(world.clock.now());
    write_news(world, stream);
    turn
}

async fn send(
    socket: &mut WebSocket,
    out: Vec<Out>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for frame in out {
        let message = match frame {
            Out::Text(value) => Message::text(value.to_string()),
            Out::Close { code, reason } => Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            })),
        };
        tokio::time::timeout(CLOSING, socket.send(message)).await??;
    }
    Ok(())
}

/// After its own close frame the vendor still reads what is under way.
async fn listen_to_the_end(socket: &mut WebSocket, world: &World, stream: &Stream) {
    while receive(socket.recv().await, world, stream) {}
}

/// Hands a frame to the stream. Without one the connection is over.
fn receive(frame: Option<Result<Message, axum::Error>>, world: &World, stream: &Stream) -> bool {
    let now = world.clock.now();
    let mut session = stream.lock();
    match frame {
        Some(Ok(Message::Binary(bytes))) => session.hear(&bytes, now),
        Some(Ok(Message::Text(text))) => session.read(text.as_str(), now),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
        Some(Ok(Message::Close(frame))) => {
            session.client_left(
                frame
                    .map(|frame| (frame.code, frame.reason.to_string()))
                    .or(Some((1005, String::new()))),
            );
        }
        Some(Err(_)) | None => {
            session.client_left(None);
            return false;
        }
    }
    true
}

fn until(deadline: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(deadline.duration_since(now))
        .unwrap_or(Duration::ZERO)
        .min(IDLE)
}
