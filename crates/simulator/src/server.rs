//! The HTTP face: one listener for both vendors.
//!
//! It turns sockets into requests the models understand and answers into bytes. It decides nothing
//! itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::answer::{Answer, Request};
use crate::call::{Call, SpeechSlot};
use crate::deepgram;
use crate::faults::Subject;
use crate::journal::What;
use crate::operation::{NoRoute, Route, route};
use crate::world::{Models, World};
use crate::{recall, seen};

/// Larger than any clip, picture or text a vendor takes.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// The size of a piece of streamed audio: aligned to neither samples nor frames, as with the vendor.
const PIECE: usize = 997;

/// Marks a response that must never leave: the connection closes instead.
#[derive(Clone, Copy, Debug)]
struct Abort;

#[derive(Debug)]
pub(crate) struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed on purpose")
    }
}

impl std::error::Error for Aborted {}

/// Serves until it is aborted; its connections end with it.
pub(crate) async fn run(listener: TcpListener, world: Arc<World>) {
    let router = Router::new().fallback(face).with_state(world);
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        // Latency of small answers is measured by tests.
        let _ = socket.set_nodelay(true);
        let router = router.clone();
        connections.spawn(async move {
            let inner = TowerToHyperService::new(router);
            let service = hyper::service::service_fn(move |request| {
                let inner = inner.clone();
                async move {
                    let response: Result<Response<Body>, Infallible> =
                        hyper::service::Service::call(&inner, request).await;
                    let Ok(response) = response;
                    if response.extensions().get::<Abort>().is_some() {
                        Err(Aborted)
                    } else {
                        Ok(response)
                    }
                }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            // An error is a client that went away or an abort that was asked for.
            let _ = http
                .serve_connection(TokioIo::new(socket), service)
                .with_upgrades()
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn face(State(world): State<Arc<World>>, request: axum::extract::Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return send(
            Answer::json(413, &json!({ "detail": "Request body too large." })),
            &world,
            None,
        );
    };
    let request = Request::from_parts(parts, body);
    let json: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
    let mut entry = seen::request(&request, &json);
    let route = match route(request.method(), request.uri().path()) {
        Ok(route) => route,
        Err(no_route) => {
            let answer = no_such_call(&request, no_route);
            entry.refused(&answer);
            world.write(What::Request(entry));
            return send(answer, &world, None);
        }
    };
    let fault = world.with(|models, _| {
        let subject = subject(models, &route, &request, &json);
        let fault = models.faults.take(route.operation, &subject);
        entry.meeting_url = subject.meeting_url;
        entry.bot_id = subject.bot_id;
        entry.avatar = subject.avatar;
        fault
    });
    entry.operation = Some(route.operation);
    entry.fault = fault.as_ref().map(|fault| format!("{fault:?}"));
    let call = Call {
        world,
        route,
        request,
        entry,
    };
    call.answer(fault).await
}

/// What a call is about, as far as the vendors can tell.
fn subject(models: &Models, route: &Route, request: &Request, json: &Value) -> Subject {
    let about_meeting = |meeting_id: Option<String>, avatar: Option<String>| {
        let (bot_id, meeting_url) = models.recall.subject_of_meeting(meeting_id.as_deref());
        Subject {
            meeting_url,
            meeting_id,
            bot_id,
            avatar,
            text: json["text"].as_str().map(str::to_owned),
        }
    };
    if route.operation.is_listening() {
        about_meeting(deepgram::meeting_id(request), None)
    } else if route.operation.is_avatar() {
        let meeting_id = models.avatars.meeting_of(route, request, json);
        let meeting_id = meeting_id.or_else(|| models.recall.only_meeting_with_page());
        about_meeting(meeting_id, models.avatars.avatar_of(route, request, json))
    } else if let Some(meeting_id) = recall::filtered_meeting(route, request) {
        about_meeting(Some(meeting_id), None)
    } else {
        let (bot_id, meeting_url) = models.recall.subject_of(route, json);
        Subject {
            meeting_url,
            bot_id,
            text: json["text"].as_str().map(str::to_owned),
            ..Subject::default()
        }
    }
}

fn no_such_call(request: &Request, no_route: NoRoute) -> Answer {
    match no_route {
        NoRoute::UnknownPath => Answer::json(404, &json!({ "detail": "Not found." })),
        NoRoute::WrongMethod => {
            let detail = format!("Method \"{}\" not allowed.", request.method());
            Answer::json(
                405,
                &json!({ "code": "method_not_allowed", "detail": detail }),
            )
        }
    }
}

pub(crate) fn aborted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Abort);
    response
}

pub(crate) fn send(answer: Answer, world: &World, slot: Option<SpeechSlot>) -> Response<Body> {
    let body = if answer.streamed {
        in_pieces(answer.body, world.speech_chunk_interval, slot)
    } else {
        Body::from(answer.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    response.headers_mut().extend(answer.headers);
    response
}

fn in_pieces(audio: Bytes, interval: Duration, slot: Option<SpeechSlot>) -> Body {
    let pieces = stream::unfold(
        (audio, slot, true),
        move |(mut rest, slot, first)| async move {
            if rest.is_empty() {
                return None;
            }
            if !first && !interval.is_zero() {
                tokio::time::sleep(interval).await;
            }
            let piece = rest.split_to(PIECE.min(rest.len()));
            Some((Ok::<_, Infallible>(piece), (rest, slot, false)))
        },
    );
    Body::from_stream(pieces)
}
