//! One request on its way to an answer: the fault meant for it, the work, the journal.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;

use crate::answer::{Answer, Request};
use crate::avatar::AvatarFault;
use crate::deepgram::{ListeningDrop, ListeningNews};
use crate::faults::{Fault, FaultBody, NEVER_ANSWERED};
use crate::journal::{Entry, RequestSeen, What};
use crate::operation::{Operation, Route, Vendor};
use crate::server::{Aborted, aborted, send};
use crate::world::World;
use crate::{avatar, deepgram, elevenlabs, heygen, liveavatar, livekit, recall};

/// How long the answer to Create Bot waits for a webhook that is to come first.
const WEBHOOK_FIRST: Duration = Duration::from_secs(5);
/// How long the first half of a broken answer has to leave before the connection closes.
const HALF_SENT: Duration = Duration::from_millis(50);

/// What a huge body is made of.
static HUGE_PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
const REFUSED_BY_A_FIREWALL: &str = "<!DOCTYPE html><html><head><title>Access denied</title></head><body><h1>Request blocked</h1></body></html>";

/// How a socket breaks as soon as it is open.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Cut,
    HalfOpen,
}

/// One routed request on its way to an answer.
pub(crate) struct Call {
    pub(crate) world: Arc<World>,
    pub(crate) route: Route,
    pub(crate) request: Request,
    pub(crate) entry: RequestSeen,
}

impl Call {
    /// Answers, with a fault if one is meant for this self.
    pub(crate) async fn answer(self, fault: Option<Fault>) -> Response<Body> {
        let slot = self
            .route
            .operation
            .is_speech()
            .then(|| SpeechSlot::take(&self.world));
        match fault {
            None => {}
            Some(Fault::Status {
                code,
                body,
                retry_after,
            }) => {
                let mut answer = self.forced(code, body);
                if let Some(retry_after) = &retry_after {
                    answer = answer.with_header("retry-after", retry_after);
                }
                let answer = self.work(Some(answer)).await;
                return self.finish(answer, slot);
            }
            Some(Fault::Latency(latency)) => {
                if let Some(answer) = self.wait_in_flight(latency).await {
                    return self.finish(answer, slot);
                }
            }
            Some(Fault::CloseAfterAccept | Fault::CloseMidBody)
                if self.route.operation.is_socket() =>
            {
                return self.open_socket(Some(Broken::Cut)).await;
            }
            Some(Fault::HalfOpen) if self.route.operation.is_socket() => {
                return self.open_socket(Some(Broken::HalfOpen)).await;
            }
            Some(Fault::TimeoutAfterAccept) => {
                self.work(None).await;
                return self.never_answered().await;
            }
            Some(Fault::HalfOpen) => return self.never_answered().await,
            Some(Fault::CloseWithoutAnswer) => {
                self.write_unanswered();
                return aborted();
            }
            Some(Fault::CloseAfterAccept) => {
                self.work(None).await;
                self.write_unanswered();
                return aborted();
            }
            Some(Fault::CloseMidBody) => {
                let answer = self.work(None).await;
                return self.finish_broken(&answer);
            }
            Some(Fault::Garbage) => {
                self.work(None).await;
                return self.finish(
                    Answer::bytes(200, "application/json", "this is not {json"),
                    slot,
                );
            }
            Some(Fault::HtmlError) => {
                let page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>";
                return self.finish(Answer::html(502, page), slot);
            }
            Some(Fault::HugeBody(bytes)) => return self.finish_huge(bytes),
            Some(Fault::Redirect) => {
                let target = format!("{}{}", self.world.elsewhere, self.request.uri().path());
                return self.finish(Answer::empty(307).with_header("location", &target), slot);
            }
        }
        if self.route.operation.is_socket() {
            return self.open_socket(None).await;
        }
        let answer = self.work(None).await;
        self.wait_for_first_webhook(&answer).await;
        self.finish(answer, slot)
    }

    /// Opens a socket, broken from the beginning if that is asked for.
    async fn open_socket(self, broken: Option<Broken>) -> Response<Body> {
        match self.route.operation.vendor() {
            Vendor::Deepgram => {
                let how = broken.map(|broken| match broken {
                    Broken::Cut => ListeningDrop::Abort,
                    Broken::HalfOpen => ListeningDrop::HalfOpen,
                });
                self.listen(how).await
            }
            Vendor::LiveKit => self.open_room_or_studio().await,
            Vendor::Recall | Vendor::ElevenLabs | Vendor::LiveAvatar | Vendor::HeyGen => {
                let how = broken.map(|broken| match broken {
                    Broken::Cut => AvatarFault::Abort,
                    Broken::HalfOpen => AvatarFault::HalfOpen,
                });
                self.open_avatar(how).await
            }
        }
    }

    async fn open_room_or_studio(mut self) -> Response<Body> {
        let (world, request) = (self.world.clone(), self.request.clone());
        let opened = if self.route.operation == Operation::StudioSocket {
            livekit::studio::upgrade(world, request).await
        } else {
            livekit::signal::upgrade(world, request).await
        };
        match opened {
            Ok(response) => {
                self.entry.status = Some(response.status().as_u16());
                self.world.write(What::Request(self.entry));
                response
            }
            Err(refusal) => self.finish(refusal, None),
        }
    }

    async fn open_avatar(mut self, broken: Option<AvatarFault>) -> Response<Body> {
        let id = &self.route.id;
        let live = avatar::driver::with(&self.world, |models, _| {
            let stream = models.avatars.by_id(id).cloned();
            stream.filter(|stream| stream.lock().is_live())
        });
        let Some(stream) = live else {
            return self.finish(liveavatar::for_status(404), None);
        };
        self.entry.status = Some(StatusCode::SWITCHING_PROTOCOLS.as_u16());
        self.world.write(What::Request(self.entry));
        avatar::socket::upgrade(self.world, stream, self.request, broken).await
    }

    async fn listen(mut self, broken: Option<ListeningDrop>) -> Response<Body> {
        let opened = self
            .world
            .with(|models, now| models.deepgram.open(&self.request, now));
        let stream = match opened {
            Ok(stream) => stream,
            Err(refusal) => return self.finish(refusal, None),
        };
        if let Some(broken) = broken {
            stream.lock().break_off(&broken);
        }
        self.entry.status = Some(StatusCode::SWITCHING_PROTOCOLS.as_u16());
        self.world.write(What::Request(self.entry));
        deepgram::socket::upgrade(self.world, stream, self.request).await
    }

    /// Lets the vendor do its work.
    async fn work(&self, forced: Option<Answer>) -> Answer {
        let speech = matches!(
            self.route.operation,
            Operation::TextToSpeech | Operation::TextToSpeechStream
        );
        if speech && !self.world.speech_latency.is_zero() {
            tokio::time::sleep(self.world.speech_latency).await;
        }
        let operation = self.route.operation;
        if operation.is_socket() {
            // What opens a socket is `open_socket`; here there is only a fault's own answer.
            return forced.unwrap_or_else(|| Answer::empty(101));
        }
        match operation.vendor() {
            Vendor::LiveAvatar | Vendor::HeyGen => self.ask_avatars(forced),
            Vendor::LiveKit => forced.unwrap_or_else(|| self.ask_livekit()),
            Vendor::ElevenLabs => self
                .world
                .with(|models, _| models.elevenlabs.handle(&self.route, &self.request, forced)),
            Vendor::Recall | Vendor::Deepgram => self.world.with(|models, now| {
                models
                    .recall
                    .handle(&self.route, &self.request, forced, now)
            }),
        }
    }

    fn ask_livekit(&self) -> Answer {
        if self.route.operation == Operation::Studio {
            livekit::studio::page()
        } else if self.route.id == "v1" {
            livekit::signal::not_that_new()
        } else {
            livekit::signal::validate(&self.world, &self.request)
        }
    }

    fn ask_avatars(&self, forced: Option<Answer>) -> Answer {
        let answer = avatar::driver::with(&self.world, |models, now| {
            let meeting_id = avatar::named_meeting(self.request.headers())
                .or_else(|| models.recall.only_meeting_with_page());
            let avatars = &mut models.avatars;
            if self.route.operation.vendor() == Vendor::LiveAvatar {
                liveavatar::handle(avatars, &self.route, &self.request, forced, meeting_id, now)
            } else {
                let tokens = &mut models.heygen_tokens;
                let operation = self.route.operation;
                heygen::handle(
                    (avatars, tokens),
                    operation,
                    &self.request,
                    forced,
                    meeting_id,
                    now,
                )
            }
        });
        self.world.avatars_changed.notify_one();
        answer
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

    /// What the vendor would answer with a status that a fault asks for.
    fn forced(&self, code: u16, body: FaultBody) -> Answer {
        let operation = self.route.operation;
        let legacy = match body {
            FaultBody::Json(body) => return Answer::json(code, &body),
            FaultBody::Html => return Answer::html(code, REFUSED_BY_A_FIREWALL),
            FaultBody::Empty => return Answer::empty(code),
            FaultBody::VendorLegacy => true,
            FaultBody::VendorDefault => false,
        };
        match operation.vendor() {
            Vendor::Recall => recall::for_status(code),
            Vendor::LiveAvatar => liveavatar::for_status(code),
            Vendor::LiveKit => Answer::bytes(code, "text/plain", "refused"),
            Vendor::HeyGen => heygen::for_status(code),
            Vendor::Deepgram => self
                .world
                .with(|models, _| models.deepgram.for_status(code, legacy)),
            Vendor::ElevenLabs => {
                let shape = if legacy {
                    elevenlabs::Shape::Legacy
                } else {
                    elevenlabs::Shape::Current
                };
                elevenlabs::for_status(code, shape)
            }
        }
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
        let about_this_bot = |entry: &Entry| {
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
        self.note_refused_stream(&answer);
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
            if let Some(half) = half {
                return Some((Ok(half), None));
            }
            tokio::time::sleep(HALF_SENT).await;
            Some((Err(Aborted), None))
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

    /// A JSON string in a list, of as many bytes as nobody needs.
    fn finish_huge(mut self, bytes: usize) -> Response<Body> {
        self.entry.status = Some(200);
        self.world.write(What::Request(self.entry));
        let mut huge = Huge {
            world: self.world,
            taken: 0,
            bytes,
        };
        let pieces = std::iter::from_fn(move || huge.next_piece());
        let frame = |bytes: &'static [u8]| Bytes::from_static(bytes);
        let pieces = [frame(b"[\"")].into_iter().chain(pieces);
        let pieces = pieces.chain([frame(b"\"]")]);
        let body = stream::iter(pieces.map(Ok::<_, Infallible>));
        let mut response = Response::new(Body::from_stream(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    /// Keeps the connection open for as long as anybody may wait.
    async fn never_answered(&self) -> Response<Body> {
        self.write_unanswered();
        tokio::time::sleep(NEVER_ANSWERED).await;
        aborted()
    }

    fn write_unanswered(&self) {
        self.world.write(What::Request(self.entry.clone()));
    }

    fn note_refused_stream(&self, answer: &Answer) {
        if !self.route.operation.is_listening() {
            return;
        }
        let header = |name: &str| {
            let found = answer.headers.iter().find(|(key, _)| key == name);
            found
                .and_then(|(_, value)| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        self.world.write(What::Listening {
            id: header("dg-request-id"),
            meeting_id: deepgram::meeting_id(&self.request),
            news: ListeningNews::Refused {
                status: answer.status.as_u16(),
                why: header("dg-error"),
            },
        });
    }

    fn note_new_bot(&mut self, answer: &Answer) {
        if self.route.operation == Operation::CreateBot {
            let bot: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            self.entry.bot_id = bot["id"].as_str().map(str::to_owned);
        }
    }
}

/// A huge answer on its way; it is noted how much of it was taken.
struct Huge {
    world: Arc<World>,
    taken: usize,
    bytes: usize,
}

impl Huge {
    fn next_piece(&mut self) -> Option<Bytes> {
        let left = self.bytes - self.taken;
        let piece = &HUGE_PIECE[..left.min(HUGE_PIECE.len())];
        self.taken += piece.len();
        (left > 0).then_some(Bytes::from_static(piece))
    }
}

impl Drop for Huge {
    fn drop(&mut self) {
        let (taken, bytes) = (self.taken, self.bytes);
        self.world.write(What::HugeAnswer { taken, bytes });
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
pub(crate) struct SpeechSlot {
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
