//! A viewer's signalling socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::Response;
use prost::Message as _;

use super::peers::{Joined, ToViewer, server_info, welcome};
use super::proto::{
    Asked, Pong, ReconnectResponse, SignalRequest, SignalResponse, SignalTarget, Told,
};
use crate::answer::{Answer, Request};
use crate::avatar::AvatarSeat;
use crate::world::World;

/// How long somebody whose socket is lost may take to come back; as long as a server waits for a
/// sign of life.
const COMES_BACK: Duration = Duration::from_secs(15);
/// A viewer that takes nothing for so long is lost.
const STUCK: Duration = Duration::from_secs(5);

/// What a viewer asked for in its URL.
#[derive(Debug, Default)]
struct Wish {
    token: String,
    /// Who is back.
    sid: Option<String>,
}

/// The answer to the call that tells why a socket was refused.
pub(crate) fn validate(world: &World, request: &Request) -> Answer {
    let session = live_session(world, &wish(request).token);
    let answer = session.map_or_else(
        |refusal| refusal,
        |_| Answer::bytes(200, "text/plain", "success"),
    );
    answer.with_header("access-control-allow-origin", "*")
}

/// The path of newer clients, which then take the older one.
pub(crate) fn not_that_new() -> Answer {
    Answer::bytes(404, "text/plain", "Not found").with_header("access-control-allow-origin", "*")
}

/// Lets a viewer in, or says why not.
pub(crate) async fn upgrade(world: Arc<World>, request: Request) -> Result<Response<Body>, Answer> {
    let wish = wish(&request);
    let session_id = live_session(&world, &wish.token)?;
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| Answer::bytes(400, "text/plain", "This is a WebSocket."))?;
    Ok(upgrade.on_upgrade(async move |socket| {
        let mut running = world.running.clone();
        tokio::select! {
            () = attend(socket, &world, &session_id, wish) => {}
            // The sender is never used: this is the simulator's end.
            _ = running.changed() => {}
        }
    }))
}

fn wish(request: &Request) -> Wish {
    let mut wish = Wish::default();
    let mut back = false;
    let mut sid = None;
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "access_token" => wish.token = value.into_owned(),
            "reconnect" => back = value == "1",
            "sid" => sid = Some(value.into_owned()),
            _ => {}
        }
    }
    wish.sid = sid.filter(|_| back);
    wish
}

fn live_session(world: &World, token: &str) -> Result<String, Answer> {
    let refused = |status, text| Answer::bytes(status, "text/plain", text);
    world.look(|models, _| {
        let stream = models.avatars.by_viewer_token(token);
        let stream = stream.ok_or_else(|| refused(401, "invalid token"))?;
        let session = stream.lock();
        if session.has_room() {
            Ok(session.id().to_owned())
        } else {
            Err(refused(404, "requested room does not exist"))
        }
    })
}

async fn attend(mut socket: WebSocket, world: &Arc<World>, session_id: &str, wish: Wish) {
    let _seat = AvatarSeat::take(world, &wish.token, None);
    let back = wish
        .sid
        .as_deref()
        .and_then(|sid| world.livekit.rooms.rejoin(session_id, sid));
    let new = back.is_none();
    let mut joined = back.unwrap_or_else(|| world.livekit.rooms.join(session_id));
    let hello = if new {
        welcome(session_id, joined.peer, world.livekit.studio.is_open())
    } else {
        Told::Reconnect(ReconnectResponse {
            server_info: Some(server_info()),
        })
    };
    let lost = if send(&mut socket, hello.into()).await.is_ok() {
        if new {
            world.livekit.studio.viewer_came(session_id, joined.peer);
        }
        relay(&mut socket, world, &mut joined).await
    } else {
        true
    };
    drop(socket);
    if lost {
        tokio::time::sleep(COMES_BACK).await;
    }
    if world.livekit.rooms.leave(joined.peer, joined.socket) {
        world.livekit.studio.viewer_left(joined.peer);
    }
}

/// Passes messages on until the socket ends; says whether it was lost, so that the viewer may come back.
async fn relay(socket: &mut WebSocket, world: &World, joined: &mut Joined) -> bool {
    loop {
        tokio::select! {
            message = joined.messages.recv() => match message {
                Some(ToViewer::Tell(told)) => {
                    if send(socket, *told).await.is_err() {
                        return true;
                    }
                }
                Some(ToViewer::Dismiss(told)) => {
                    let _ = send(socket, *told).await;
                    return false;
                }
                Some(ToViewer::Cut) => return true,
                // Another socket of the same viewer has taken over.
                None => return false,
            },
            frame = socket.recv() => match frame {
                Some(Ok(Message::Binary(bytes))) => {
                    let Ok(SignalRequest { message: Some(asked) }) = SignalRequest::decode(bytes) else {
                        continue;
                    };
                    match answer(asked, world, joined.peer) {
                        Reply::None => {}
                        Reply::Tell(told) => {
                            if send(socket, told.into()).await.is_err() {
                                return true;
                            }
                        }
                        Reply::Leave => return false,
                    }
                }
                Some(Ok(Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Err(_)) | None => return true,
            },
        }
    }
}

enum Reply {
    None,
    Tell(Told),
    Leave,
}

fn answer(asked: Asked, world: &World, peer: u64) -> Reply {
    let now = world.clock.now().as_millisecond();
    match asked {
        Asked::Answer(answer) => {
            world.livekit.studio.viewer_answers(peer, &answer.sdp);
            Reply::None
        }
        Asked::Trickle(trickle) => {
            if trickle.target == i32::from(SignalTarget::Subscriber)
                && !trickle.candidate_init.is_empty()
            {
                world
                    .livekit
                    .studio
                    .viewer_trickles(peer, &trickle.candidate_init);
            }
            Reply::None
        }
        // What a viewer publishes goes nowhere.
        Asked::Offer(_) => Reply::None,
        Asked::Leave(_) => Reply::Leave,
        Asked::Ping(_) => Reply::Tell(Told::Pong(now)),
        Asked::PingReq(ping) => Reply::Tell(Told::PongResp(Pong {
            last_ping_timestamp: ping.timestamp,
            timestamp: now,
        })),
    }
}

async fn send(socket: &mut WebSocket, told: SignalResponse) -> Result<(), ()> {
    let message = Message::binary(told.encode_to_vec());
    match tokio::time::timeout(STUCK, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}
