//! The HTTP face: one listener for both vendors.
//!
//! It turns requests into what the models understand, applies faults, writes the journal and sends
//! answers. It decides nothing itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::answer::{Answer, Request};
use crate::faults::{Fault, FaultBody, NEVER_ANSWERED, Subject};
use crate::journal::{RequestSeen, What};
use crate::operation::{NoRoute, Operation, Route, route};
use crate::seen;
use crate::world::World;
use crate::{elevenlabs, recall};

/// Larger than any clip, picture or text a vendor takes.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// The size of a piece of streamed audio: aligned to neither samples nor frames, as with the vendor.
const PIECE: usize = 997;
/// How long the answer to Create Bot waits for a webhook that is to come first.
const WEBHOOK_FIRST: Duration = Duration::from_secs(5);

/// Marks a response that must never leave: the connection closes instead.
#[derive(Clone, Copy, Debug)]
struct Abort;

#[derive(Debug)]
struct Aborted;

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
            Answer::json(
                413,
                &serde_json::json!({ "detail": "Request body too large." }),
            ),
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
        let meeting_url = models.recall.meeting_url_of(&route, &json);
        let bot_id = models.recall.bot(&route.id).map(|bot| bot.id);
        let text = json["text"].as_str();
        let subject = Subject {
            meeting_url: meeting_url.as_deref(),
            bot_id: bot_id.as_deref(),
            text,
        };
        let fault = models.faults.take(route.operation, subject);
        (entry.meeting_url, entry.bot_id) = (meeting_url, bot_id);
        fault
    });
    entry.operation = Some(route.operation);
    entry.fault = fault.as_ref().map(|fault| format!("{fault:?}"));
    answer_with(
        Call {
            world,
            route,
            request,
            entry,
        },
        fault,
    )
    .await
}

/// One routed request on its way to an answer.
struct Call {
    world: Arc<World>,
    route: Route,
    request: Request,
    entry: RequestSeen,
}

async fn answer_with(call: Call, fault: Option<Fault>) -> Response<Body> {
    let slot = call
        .route
        .operation
        .is_speech()
        .then(|| SpeechSlot::take(&call.world));
    match fault {
        None => {}
        Some(Fault::Status {
            code,
            body,
            retry_after,
        }) => {
            let mut answer = forced(&call.route, code, body);
            if let Some(retry_after) = &retry_after {
                answer = answer.with_header("retry-after", retry_after);
            }
            let answer = call.work(Some(answer)).await;
            return call.finish(answer, slot);
        }
        Some(Fault::Latency(latency)) => {
            if let Some(answer) = call.wait_in_flight(latency).await {
                return call.finish(answer, slot);
            }
        }
        Some(Fault::TimeoutAfterAccept) => {
            call.work(None).await;
            call.write_unanswered();
            tokio::time::sleep(NEVER_ANSWERED).await;
            return aborted();
        }
        Some(Fault::CloseWithoutAnswer) => {
            call.write_unanswered();
            return aborted();
        }
        Some(Fault::CloseAfterAccept) => {
            call.work(None).await;
            call.write_unanswered();
            return aborted();
        }
        Some(Fault::CloseMidBody) => {
            let answer = call.work(None).await;
            return call.finish_broken(&answer);
        }
        Some(Fault::Garbage) => {
            call.work(None).await;
            return call.finish(
                Answer::bytes(200, "application/json", "this is not {json"),
                slot,
            );
        }
        Some(Fault::HtmlError) => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>";
            return call.finish(Answer::html(502, page), slot);
        }
        Some(Fault::HugeBody(bytes)) => {
            let body = [b"[\"".as_slice(), &vec![b'x'; bytes], b"\"]"].concat();
            return call.finish(Answer::bytes(200, "application/json", body), slot);
        }
        Some(Fault::Redirect) => {
            let target = format!("{}{}", call.world.elsewhere, call.request.uri().path());
            return call.finish(Answer::empty(307).with_header("location", &target), slot);
        }
    }
    let answer = call.work(None).await;
    call.wait_for_first_webhook(&answer).await;
    call.finish(answer, slot)
}

fn forced(route: &Route, code: u16, body: FaultBody) -> Answer {
    let speech = route.operation.is_speech();
    match body {
        FaultBody::Json(body) => Answer::json(code, &body),
        FaultBody::Empty => Answer::empty(code),
        FaultBody::VendorLegacy if speech => {
            elevenlabs::for_status(code, elevenlabs::Shape::Legacy)
        }
        FaultBody::VendorDefault if speech => {
            elevenlabs::for_status(code, elevenlabs::Shape::Current)
        }
        FaultBody::VendorDefault | FaultBody::VendorLegacy => recall::for_status(code),
    }
}

impl Call {
    /// Lets the vendor do its work.
    async fn work(&self, forced: Option<Answer>) -> Answer {
        let speech = matches!(
            self.route.operation,
            Operation::TextToSpeech | Operation::TextToSpeechStream
        );
        if speech && !self.world.speech_latency.is_zero() {
            tokio::time::sleep(self.world.speech_latency).await;
        }
        self.world.with(|models, now| {
            if self.route.operation.is_speech() {
                models.elevenlabs.handle(&self.route, &self.request, forced)
            } else {
                models
                    .recall
                    .handle(&self.route, &self.request, forced, now)
            }
        })
    }

    /// Waits with the idempotency key in flight. An answer means the wait was not even begun.
    async fn wait_in_flight(&self, latency: Duration) -> Option<Answer> {
        if let Err(answer) = self
            .world
            .with(|models, now| models.recall.begin(&self.request, now))
        {
            return Some(answer);
        }
        let _in_flight = InFlight { call: self };
        tokio::time::sleep(latency).await;
        None
    }

    async fn wait_for_first_webhook(&self, answer: &Answer) {
        let created =
            self.route.operation == Operation::CreateBot && answer.status == StatusCode::CREATED;
        let meeting_url = self.entry.meeting_url.clone().unwrap_or_default();
        if !created
            || !self
                .world
                .with(|models, _| models.recall.webhook_before_response(&meeting_url))
        {
            return;
        }
        let bot: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        let about_this_bot = |entry: &crate::Entry| {
            entry.what.webhook().is_some_and(|sent| {
                sent.status.is_some() && sent.bot_id.as_deref() == bot["id"].as_str()
            })
        };
        // When nothing comes the answer goes out all the same: the script may hold no webhook at all.
        let _ = self
            .world
            .journal
            .wait_for(about_this_bot, WEBHOOK_FIRST)
            .await;
    }

    fn finish(mut self, answer: Answer, slot: Option<SpeechSlot>) -> Response<Body> {
        self.entry.refused(&answer);
        self.note_new_bot(&answer);
        self.world.write(What::Request(self.entry));
        send(answer, &self.world, slot)
    }

    /// The first half of the answer, then nothing.
    fn finish_broken(mut self, answer: &Answer) -> Response<Body> {
        self.entry.refused(answer);
        self.note_new_bot(answer);
        self.world.write(What::Request(self.entry));
        let half = answer.body.slice(..answer.body.len() / 2);
        let pieces = stream::unfold(Some(half), async |half| {
            // The pause lets the first half leave before the connection breaks.
            match half {
                Some(half) => Some((Ok(half), None)),
                None => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Some((Err(Aborted), None))
                }
            }
        });
        let mut response = Response::new(Body::from_stream(pieces));
        *response.status_mut() = answer.status;
        response
            .headers_mut()
            .extend(answer.headers.iter().cloned());
        response
            .headers_mut()
            .insert("content-length", answer.body.len().into());
        response
    }

    fn write_unanswered(&self) {
        self.world.write(What::Request(self.entry.clone()));
    }

    fn note_new_bot(&mut self, answer: &Answer) {
        if self.route.operation == Operation::CreateBot {
            let bot: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            self.entry.bot_id = bot["id"].as_str().map(str::to_owned);
        }
    }
}

/// Frees the key whether the wait ends or the client goes away.
struct InFlight<'a> {
    call: &'a Call,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.call
            .world
            .with(|models, _| models.recall.release(&self.call.request));
    }
}

/// A running request to `ElevenLabs`; it runs until its last byte is sent.
struct SpeechSlot {
    world: Arc<World>,
}

impl SpeechSlot {
    fn take(world: &Arc<World>) -> Self {
        world.with(|models, _| models.elevenlabs.started());
        Self {
            world: world.clone(),
        }
    }
}

impl Drop for SpeechSlot {
    fn drop(&mut self) {
        self.world.with(|models, _| models.elevenlabs.done());
    }
}

fn no_such_call(request: &Request, no_route: NoRoute) -> Answer {
    match no_route {
        NoRoute::UnknownPath => Answer::json(404, &serde_json::json!({ "detail": "Not found." })),
        NoRoute::WrongMethod => {
            let detail = format!("Method \"{}\" not allowed.", request.method());
            Answer::json(
                405,
                &serde_json::json!({ "code": "method_not_allowed", "detail": detail }),
            )
        }
    }
}

fn aborted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Abort);
    response
}

fn send(answer: Answer, world: &World, slot: Option<SpeechSlot>) -> Response<Body> {
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
