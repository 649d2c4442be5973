//! Calls into the objects, typed once for caller and object alike.
//!
//! A call is a POST with JSON in and JSON out. Old and new code may run side by side for minutes during a
//! deploy, so variants and fields are only ever added.

use attache_meeting::{
    api::{
        KeyView, ListQuery, PageQuery, Problem, TenantSettings, TenantView, TimelinePage,
        TranscriptFormat, TranscriptPage, TranscriptQuery,
    },
    ids::{KeyId, MeetingId, TenantId, UtteranceId},
    meeting::Booking,
    page::Reaction,
    view::{AvatarDetails, MeetingView},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use worker::{Env, Method, Request, RequestInit, Response, Stub};

use crate::log;

/// The binding of the meetings' objects.
const MEETINGS: &str = "MEETINGS";
/// The binding of the tenants' objects.
const TENANTS: &str = "TENANTS";
/// Objects are addressed by binding; the host of the URL means nothing.
const OBJECT_URL: &str = "https://object";

/// A call to a meeting, on behalf of a tenant.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MeetingCall {
    /// Who calls; another tenant's meeting is not found.
    pub(crate) tenant_id: TenantId,
    /// What is asked.
    pub(crate) ask: MeetingAsk,
}

/// What is asked of a meeting.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MeetingAsk {
    /// Start to exist; repeating it is harmless.
    Book(Box<Booking>),
    /// How it stands.
    Read,
    /// Join now.
    Join,
    /// Call off, or leave.
    Cancel,
    /// Delete the content for good.
    Purge,
    /// Say something.
    Say {
        utterance_id: UtteranceId,
        text: String,
        interrupt: bool,
    },
    /// Stop speaking.
    Interrupt,
    /// Write to the call's chat.
    Chat { text: String },
    /// React visibly.
    React { reaction: Reaction },
    /// Replace the avatar's session.
    Rotate,
    /// The avatar in detail.
    Avatar,
    /// The transcript.
    Transcript(TranscriptQuery),
    /// A fresh URL of the recording.
    Recording,
    /// The event log.
    Timeline(PageQuery),
    /// Panic, to show that only this call pays for it.
    Panic,
}

/// A meeting's answer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MeetingReply {
    /// The meeting as it is now.
    Meeting(Box<MeetingView>),
    /// The avatar in detail.
    Avatar(AvatarDetails),
    /// A page of segments.
    Transcript(TranscriptPage),
    /// A transcript, written out.
    Text {
        format: TranscriptFormat,
        text: String,
    },
    /// Where the recording is.
    Recording { url: String },
    /// A page of the event log.
    Timeline(TimelinePage),
}

/// A call to a tenant.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TenantCall {
    /// The tenant, which its object does not know by itself.
    pub(crate) tenant_id: TenantId,
    /// What is asked.
    pub(crate) ask: TenantAsk,
}

/// What is asked of a tenant.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TenantAsk {
    /// Make the tenant, or change its settings.
    Put(TenantSettings),
    /// How it stands.
    Read,
    /// Its settings, empty if it was never made.
    Settings,
    /// Remember a new key by its hash.
    AddKey {
        key_id: KeyId,
        hash: String,
        last_four: String,
    },
    /// Forget a key; answers with its hash.
    RevokeKey { key_id: KeyId },
    /// Whether a key is still good.
    CheckKey { hash: String },
    /// What an idempotency key stands for.
    FindReserved { idempotency: Idempotency },
    /// Remember what an idempotency key stands for, or find what it stood for before.
    Reserve {
        idempotency: Idempotency,
        booking: Box<Booking>,
    },
    /// A page of meetings.
    List(ListQuery),
    /// Bring the index up to date.
    Update {
        view: Box<MeetingView>,
        revision: u64,
    },
    /// A meeting's content is gone; only a tombstone stays.
    Forget { meeting_id: MeetingId },
}

/// An `Idempotency-Key` and what it was used for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Idempotency {
    /// The caller's key.
    pub(crate) key: String,
    /// Hash of the body it came with.
    pub(crate) body_hash: String,
}

/// A tenant's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TenantReply {
    /// Done.
    Done,
    /// The tenant, and whether it was made just now.
    Tenant { view: TenantView, created: bool },
    /// Its settings.
    Settings(TenantSettings),
    /// A key.
    Key(KeyView),
    /// The hash of a key that was revoked.
    Revoked { hash: String },
    /// Whether a key is good.
    KeyIs { good: bool },
    /// What the idempotency key stands for, if it was used before.
    Found(Option<Box<Booking>>),
    /// What the idempotency key stands for, and whether it does so only now.
    Reserved {
        booking: Box<Booking>,
        created: bool,
    },
    /// A page of meetings.
    Page {
        meetings: Vec<MeetingView>,
        next_cursor: Option<String>,
    },
}

/// Calls a meeting's object.
pub(crate) async fn call_meeting(
    env: &Env,
    meeting_id: &MeetingId,
    call: &MeetingCall,
) -> Result<MeetingReply, Problem> {
    let stub = meeting_stub(env, meeting_id)?;
    call_object(&stub, call).await
}

/// Calls a tenant's object.
pub(crate) async fn call_tenant(
    env: &Env,
    tenant_id: &TenantId,
    ask: TenantAsk,
) -> Result<TenantReply, Problem> {
    let stub = env
        .durable_object(TENANTS)
        .and_then(|objects| objects.get_by_name(tenant_id.as_str()))
        .map_err(|error| failed(&error))?;
    let call = TenantCall {
        tenant_id: tenant_id.clone(),
        ask,
    };
    call_object(&stub, &call).await
}

/// Finds a meeting's object.
pub(crate) fn meeting_stub(env: &Env, meeting_id: &MeetingId) -> Result<Stub, Problem> {
    env.durable_object(MEETINGS)
        .and_then(|objects| objects.get_by_name(meeting_id.as_str()))
        .map_err(|error| failed(&error))
}

async fn call_object<C: Serialize, R: DeserializeOwned>(
    stub: &Stub,
    call: &C,
) -> Result<R, Problem> {
    let body = serde_json::to_string(call).map_err(|_| Problem::internal())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(body.into()));
    let request = Request::new_with_init(OBJECT_URL, &init).map_err(|error| failed(&error))?;
    let mut answer = stub
        .fetch_with_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let reply: Result<R, Problem> = answer.json().await.map_err(|error| failed(&error))?;
    reply
}

/// Reads a call inside the object.
pub(crate) async fn read_call<C: DeserializeOwned>(request: &mut Request) -> Result<C, Problem> {
    let body = request.bytes().await.map_err(|error| failed(&error))?;
    serde_json::from_slice(&body).map_err(|error| {
        log::error(
            "a call between our own parts cannot be read",
            json!({ "reason": error.to_string() }),
        );
        Problem::internal()
    })
}

/// Answers a call inside the object.
pub(crate) fn answer<R: Serialize>(reply: &Result<R, Problem>) -> worker::Result<Response> {
    Response::from_json(reply)
}

/// Logs what went wrong between our own parts; the caller learns only that something did.
pub(crate) fn failed(error: &worker::Error) -> Problem {
    log::error(
        "a call between our own parts failed",
        json!({ "reason": error.to_string() }),
    );
    Problem::internal()
}
