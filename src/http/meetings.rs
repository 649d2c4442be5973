//! `/v1/meetings`: book, read, list, and command meetings.

use attache_meeting::{
    api::{
        ChatRequest, CreateMeeting, ListQuery, PageQuery, Problem, ReactionRequest, RecordingView,
        SayRequest, TenantSettings, TimelinePage, TranscriptFormat, TranscriptPage,
        TranscriptQuery, Utterance, parse_body, purge_query,
    },
    ids::{MeetingId, TenantId},
    meeting::{Booking, Presence},
    vendors::avatar::AvatarProvider,
    view::{AvatarDetails, MeetingView},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use url::Url;
use utoipa::ToSchema;
use worker::{Method, Request, Response};

use super::{
    Answer, Call, auth, directory, json_response, live, no_such_path, problems,
    rate_limits::{self, Brake},
    read_body,
};
use crate::{
    clock,
    objects::calls::{
        Idempotency, MeetingAsk, MeetingCall, MeetingReply, TenantAsk, TenantReply, call_meeting,
        call_tenant,
    },
};

/// How long a recording's URL works at least: the vendor signs for about six hours, five were measured.
const RECORDING_URL_SECONDS: u32 = 5 * 60 * 60;

/// The avatar that HeyGen gives those who name none.
const HEYGEN_DEFAULT_AVATAR: &str = "default";
/// What is wrong with a booking for which LiveAvatar has no avatar.
const NO_LIVEAVATAR: &str =
    "is missing, and neither the tenant's liveavatar_avatar_id nor LIVEAVATAR_AVATAR_ID is set";

/// The longest `Idempotency-Key`.
const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;

/// A page of meetings.
#[derive(Serialize, ToSchema)]
pub(super) struct MeetingPage {
    /// The meetings, newest first.
    meetings: Vec<MeetingView>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// The table of routes below `/v1/meetings`.
pub(super) async fn route(
    call: &Call<'_>,
    request: &mut Request,
    method: Method,
    path: &[&str],
) -> Answer {
    let parse = |id: &str| {
        id.parse::<MeetingId>()
            .map_err(|_| Problem::meeting_not_found())
    };
    if let (Method::Get, [id, "live"]) = (&method, path) {
        return match parse(id) {
            Ok(id) => live::open(call, request, &id).await,
            Err(problem) => auth::watcher(call, request).await.and(Err(problem)),
        };
    }
    let tenant = auth::tenant(call, request).await?;
    let [id, rest @ ..] = path else {
        return if method == Method::Post {
            rate_limits::count(call, Brake::Bookings, tenant.as_str()).await?;
            create_meeting(call, request, &tenant).await
        } else if method == Method::Get {
            list_meetings(call, &tenant).await
        } else {
            Err(Problem::method_not_allowed("GET, POST"))
        };
    };
    let id = parse(id)?;
    let caller = Caller {
        call,
        tenant,
        meeting: id,
    };
    match (method, rest) {
        (Method::Get, []) => get_meeting(&caller).await,
        (Method::Delete, []) => delete_meeting(&caller).await,
        (Method::Post, ["join"]) => join_meeting(&caller).await,
        (Method::Post, ["say"]) => say(&caller, request).await,
        (Method::Post, ["interrupt"]) => interrupt(&caller).await,
        (Method::Post, ["chat"]) => chat(&caller, request).await,
        (Method::Get, ["transcript"]) => get_transcript(&caller).await,
        (Method::Get, ["recording"]) => get_recording(&caller, request).await,
        (Method::Get, ["timeline"]) => get_timeline(&caller).await,
        (Method::Post, ["reaction"]) => react(&caller, request).await,
        (Method::Get, ["avatar"]) => get_avatar(&caller).await,
        (Method::Post, ["avatar", "rotate"]) => rotate_avatar(&caller).await,
        (Method::Post, ["panic"]) if call.config.fault_injection => {
            caller.ask(MeetingAsk::Panic).await?;
            Err(Problem::internal())
        }
        (_, []) => Err(Problem::method_not_allowed("GET, DELETE")),
        (_, ["join" | "say" | "interrupt" | "chat" | "reaction"] | ["avatar", "rotate"]) => {
            Err(Problem::method_not_allowed("POST"))
        }
        (_, ["transcript" | "recording" | "timeline" | "live" | "avatar"]) => {
            Err(Problem::method_not_allowed("GET"))
        }
        _ => Err(no_such_path()),
    }
}

/// A tenant that asks something of one meeting.
struct Caller<'a> {
    call: &'a Call<'a>,
    tenant: TenantId,
    meeting: MeetingId,
}

impl Caller<'_> {
    async fn ask(&self, ask: MeetingAsk) -> Result<MeetingReply, Problem> {
        let call = MeetingCall {
            tenant_id: self.tenant.clone(),
            ask,
        };
        call_meeting(self.call.env, &self.meeting, &call).await
    }

    /// Sends a command; the answer is the meeting as it is now.
    async fn command(&self, ask: MeetingAsk) -> Answer {
        self.answer_meeting(202, ask).await
    }

    async fn answer_meeting(&self, status: u16, ask: MeetingAsk) -> Answer {
        let MeetingReply::Meeting(view) = self.ask(ask).await? else {
            return Err(Problem::internal());
        };
        json_response(status, &view)
    }

    /// What is wrong with a request is said only to those who may see the meeting.
    async fn check<T>(&self, parsed: Result<T, Problem>) -> Result<T, Problem> {
        if parsed.is_err() {
            self.ask(MeetingAsk::Read).await?;
        }
        parsed
    }
}

/// Books a meeting.
#[utoipa::path(post, path = "/v1/meetings", tag = "meetings", request_body = CreateMeeting,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "The same key and body give the same meeting, the same key with another body 409")),
    responses((status = 201, description = "The meeting was booked", body = MeetingView),
        (status = 200, description = "It was booked before under this idempotency key", body = MeetingView),
        (status = 409, description = "The idempotency key was used with another body", body = Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "Fields are wrong; each is named", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn create_meeting(
    call: &Call<'_>,
    request: &mut Request,
    tenant: &TenantId,
) -> Answer {
    let body = read_body(request).await?;
    let idempotency = idempotency(request, &body)?;
    let known = match &idempotency {
        Some(idempotency) => reserved(call, tenant, idempotency).await?,
        None => None,
    };
    let (booking, created) = match (known, idempotency) {
        (Some(booking), _) => (booking, false),
        (None, None) => (new_booking(call, tenant, &body).await?, true),
        (None, Some(idempotency)) => {
            let booking = new_booking(call, tenant, &body).await?;
            reserve(call, tenant, idempotency, booking).await?
        }
    };
    let caller = Caller {
        call,
        tenant: tenant.clone(),
        meeting: booking.id.clone(),
    };
    let status = if created { 201 } else { 200 };
    let booked = caller.ask(MeetingAsk::Book(Box::new(booking))).await?;
    let MeetingReply::Meeting(view) = booked else {
        return Err(Problem::internal());
    };
    // The meeting tells the index itself; telling it here too lets the caller find the meeting in the next list.
    let update = TenantAsk::Update {
        view: view.clone(),
        revision: 0,
    };
    call_tenant(call.env, tenant, update).await.ok();
    json_response(status, &view)
}

/// Checks what is asked for and fills in the tenant's defaults.
async fn new_booking(call: &Call<'_>, tenant: &TenantId, body: &[u8]) -> Result<Booking, Problem> {
    let settings = tenant_settings(call, tenant).await?;
    let wanted: CreateMeeting = parse_body(body)?;
    let mut booking = wanted.into_booking(
        clock::meeting_id(),
        tenant.clone(),
        &settings,
        call.config.early_join_minutes,
        clock::now(),
    )?;
    choose_avatar(&mut booking, call.config.avatar_provider, &settings)?;
    booking.page_microphone = call.config.page_microphone
        && call.config.deepgram_api_key.is_some()
        && booking.presence == Presence::Avatar;
    Ok(booking)
}

/// Settles who makes the avatar's picture and of whom. `LiveAvatar` has no avatar for those who name none, so that is
/// an error now and not a failure in the call.
fn choose_avatar(
    booking: &mut Booking,
    provider: Option<AvatarProvider>,
    settings: &TenantSettings,
) -> Result<(), Problem> {
    let Some(provider) = provider.filter(|_| booking.presence == Presence::Avatar) else {
        return Ok(());
    };
    let asked = booking.agent.avatar_id.take();
    let avatar_id = match provider {
        AvatarProvider::LiveAvatar => {
            let known = asked.or_else(|| settings.liveavatar_avatar_id.clone());
            known.ok_or_else(|| Problem::invalid_field("agent.avatar_id", NO_LIVEAVATAR))?
        }
        AvatarProvider::HeyGen => asked
            .or_else(|| settings.heygen_avatar_id.clone())
            .unwrap_or_else(|| HEYGEN_DEFAULT_AVATAR.to_owned()),
    };
    booking.avatar_provider = Some(provider);
    booking.agent.avatar_id = Some(avatar_id);
    Ok(())
}

fn idempotency(request: &Request, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    let key = request.headers().get("idempotency-key").ok().flatten();
    let Some(key) = key else { return Ok(None) };
    if key.is_empty() || key.chars().count() > MAX_IDEMPOTENCY_KEY_CHARS {
        let message = "must have 1 to 255 characters";
        return Err(Problem::invalid_field("Idempotency-Key", message));
    }
    Ok(Some(Idempotency {
        key,
        body_hash: directory::hex(&Sha256::digest(body)),
    }))
}

/// A tenant's settings; what it has not set comes from the installation's defaults.
async fn tenant_settings(call: &Call<'_>, tenant: &TenantId) -> Result<TenantSettings, Problem> {
    let reply = call_tenant(call.env, tenant, TenantAsk::Settings).await?;
    let TenantReply::Settings(settings) = reply else {
        return Err(Problem::internal());
    };
    Ok(settings.or(&call.config.defaults))
}

/// Finds what the idempotency key was used for before.
async fn reserved(
    call: &Call<'_>,
    tenant: &TenantId,
    idempotency: &Idempotency,
) -> Result<Option<Booking>, Problem> {
    let ask = TenantAsk::FindReserved {
        idempotency: idempotency.clone(),
    };
    let TenantReply::Found(booking) = call_tenant(call.env, tenant, ask).await? else {
        return Err(Problem::internal());
    };
    Ok(booking.map(|booking| *booking))
}

/// Ties the idempotency key to the booking before the meeting exists, so that a retry after a crash finds it.
async fn reserve(
    call: &Call<'_>,
    tenant: &TenantId,
    idempotency: Idempotency,
    booking: Booking,
) -> Result<(Booking, bool), Problem> {
    let ask = TenantAsk::Reserve {
        idempotency,
        booking: Box::new(booking),
    };
    let TenantReply::Reserved { booking, created } = call_tenant(call.env, tenant, ask).await?
    else {
        return Err(Problem::internal());
    };
    Ok((*booking, created))
}

/// Lists the tenant's meetings, newest first.
#[utoipa::path(get, path = "/v1/meetings", tag = "meetings",
    params(("status" = Option<attache_meeting::meeting::Status>, Query, description = "Only meetings in this status"),
        ("limit" = Option<u32>, Query, description = "1 to 100, 20 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page of meetings", body = MeetingPage),
        (status = 422, description = "Parameters are wrong", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn list_meetings(call: &Call<'_>, tenant: &TenantId) -> Answer {
    let query = ListQuery::parse(&call.query())?;
    let reply = call_tenant(call.env, tenant, TenantAsk::List(query)).await?;
    let TenantReply::Page {
        meetings,
        next_cursor,
    } = reply
    else {
        return Err(Problem::internal());
    };
    let page = MeetingPage {
        meetings,
        next_cursor,
    };
    json_response(200, &page)
}

/// Reads a meeting.
#[utoipa::path(get, path = "/v1/meetings/{id}", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id, `mtg_…`")),
    responses((status = 200, description = "The meeting", body = MeetingView),
        (status = 404, description = "No such meeting", body = Problem, content_type = "application/problem+json")))]
async fn get_meeting(caller: &Caller<'_>) -> Answer {
    caller.answer_meeting(200, MeetingAsk::Read).await
}

/// Calls a meeting off, or leaves the call; with `purge`, deletes the content of a meeting that is over.
#[utoipa::path(delete, path = "/v1/meetings/{id}", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id"),
        ("purge" = Option<bool>, Query, description = "Delete the content for good; only after the end")),
    responses((status = 202, description = "The meeting as it is now", body = MeetingView),
        (status = 409, description = "Not over yet (with purge)", body = Problem,
            content_type = "application/problem+json")))]
async fn delete_meeting(caller: &Caller<'_>) -> Answer {
    if caller.check(purge_query(&caller.call.query())).await? {
        caller.command(MeetingAsk::Purge).await
    } else {
        caller.command(MeetingAsk::Cancel).await
    }
}

/// Sends the bot in now, whatever the schedule says.
#[utoipa::path(post, path = "/v1/meetings/{id}/join", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 202, description = "The meeting as it is now", body = MeetingView),
        (status = 409, description = "The meeting is over", body = Problem,
            content_type = "application/problem+json")))]
async fn join_meeting(caller: &Caller<'_>) -> Answer {
    caller.command(MeetingAsk::Join).await
}

/// Says something in the call.
#[utoipa::path(post, path = "/v1/meetings/{id}/say", tag = "meetings", request_body = SayRequest,
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 202, description = "The utterance was queued", body = Utterance),
        (status = 409, description = "Not in progress, or the queue is full", body = Problem,
            content_type = "application/problem+json")))]
async fn say(caller: &Caller<'_>, request: &mut Request) -> Answer {
    let body = read_body(request).await;
    let parsed = body.and_then(|body| parse_body::<SayRequest>(&body));
    let wanted = caller.check(parsed.and_then(SayRequest::checked)).await?;
    let utterance_id = clock::utterance_id();
    let ask = MeetingAsk::Say {
        utterance_id: utterance_id.clone(),
        text: wanted.text,
        interrupt: wanted.interrupt,
    };
    caller.ask(ask).await?;
    let accepted = Utterance {
        utterance_id: utterance_id.to_string(),
    };
    json_response(202, &accepted)
}

/// Stops speaking and drops what is queued.
#[utoipa::path(post, path = "/v1/meetings/{id}/interrupt", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 202, description = "The meeting as it is now", body = MeetingView)))]
async fn interrupt(caller: &Caller<'_>) -> Answer {
    caller.command(MeetingAsk::Interrupt).await
}

/// Writes to the call's chat.
#[utoipa::path(post, path = "/v1/meetings/{id}/chat", tag = "meetings", request_body = ChatRequest,
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 202, description = "The meeting as it is now", body = MeetingView),
        (status = 409, description = "Not in progress, or the platform's chat does not take it", body = Problem,
            content_type = "application/problem+json")))]
async fn chat(caller: &Caller<'_>, request: &mut Request) -> Answer {
    let body = read_body(request).await;
    let parsed = body.and_then(|body| parse_body::<ChatRequest>(&body));
    let wanted = caller.check(parsed.and_then(ChatRequest::checked)).await?;
    caller.command(MeetingAsk::Chat { text: wanted.text }).await
}

/// Makes the avatar react visibly.
#[utoipa::path(post, path = "/v1/meetings/{id}/reaction", tag = "meetings", request_body = ReactionRequest,
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 202, description = "The meeting as it is now", body = MeetingView),
        (status = 409, description = "Not in progress, or without an avatar", body = Problem,
            content_type = "application/problem+json")))]
async fn react(caller: &Caller<'_>, request: &mut Request) -> Answer {
    let body = read_body(request).await;
    let parsed = body.and_then(|body| parse_body::<ReactionRequest>(&body));
    let ReactionRequest { reaction } = caller.check(parsed).await?;
    caller.command(MeetingAsk::React { reaction }).await
}

/// Reads the avatar in detail.
#[utoipa::path(get, path = "/v1/meetings/{id}/avatar", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 200, description = "The avatar, without credentials", body = AvatarDetails)))]
async fn get_avatar(caller: &Caller<'_>) -> Answer {
    let MeetingReply::Avatar(avatar) = caller.ask(MeetingAsk::Avatar).await? else {
        return Err(Problem::internal());
    };
    json_response(200, &avatar)
}

/// Replaces the avatar's session by a fresh one.
#[utoipa::path(post, path = "/v1/meetings/{id}/avatar/rotate", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 202, description = "The meeting as it is now", body = MeetingView),
        (status = 409, description = "There is no session, as with the builtin face, or no avatar", body = Problem,
            content_type = "application/problem+json")))]
async fn rotate_avatar(caller: &Caller<'_>) -> Answer {
    caller.command(MeetingAsk::Rotate).await
}

/// Reads the transcript.
#[utoipa::path(get, path = "/v1/meetings/{id}/transcript", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id"),
        ("format" = Option<TranscriptFormat>, Query, description = "`json` by default"),
        ("source" = Option<attache_meeting::api::TranscriptSource>, Query,
            description = "`final` by default if it is there, else `live`"),
        ("words" = Option<bool>, Query,
            description = "Whether segments come with `words` and `ends_utterance` (json only)"),
        ("limit" = Option<u32>, Query, description = "Segments a page, 1 to 100, 100 by default (json only)"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "The transcript",
        content((TranscriptPage = "application/json"), (String = "text/plain"), (String = "text/vtt"),
            (String = "application/x-subrip")))))]
async fn get_transcript(caller: &Caller<'_>) -> Answer {
    let query = caller
        .check(TranscriptQuery::parse(&caller.call.query()))
        .await?;
    let reply = caller.ask(MeetingAsk::Transcript(query)).await?;
    if let MeetingReply::Transcript(page) = reply {
        return json_response(200, &page);
    }
    let MeetingReply::Text { format, text } = reply else {
        return Err(Problem::internal());
    };
    let content_type = match format {
        TranscriptFormat::Vtt => "text/vtt; charset=utf-8",
        TranscriptFormat::Srt => "application/x-subrip; charset=utf-8",
        TranscriptFormat::Text | TranscriptFormat::Json => "text/plain; charset=utf-8",
    };
    let response = Response::ok(text).map_err(|error| problems::internal(&error))?;
    let set = response.headers().set("content-type", content_type);
    set.map_err(|error| problems::internal(&error))?;
    Ok(response)
}

/// Finds the recording.
#[utoipa::path(get, path = "/v1/meetings/{id}/recording", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id")),
    responses((status = 302, description = "To a fresh URL"),
        (status = 200, description = "With `Accept: application/json`", body = RecordingView),
        (status = 404, description = "Not ready", body = Problem, content_type = "application/problem+json")))]
async fn get_recording(caller: &Caller<'_>, request: &Request) -> Answer {
    let MeetingReply::Recording { url } = caller.ask(MeetingAsk::Recording).await? else {
        return Err(Problem::internal());
    };
    let accept = request
        .headers()
        .get("accept")
        .ok()
        .flatten()
        .unwrap_or_default();
    let response = if accept.contains("application/json") {
        json_response(
            200,
            &RecordingView {
                url,
                expires_in_s: RECORDING_URL_SECONDS,
            },
        )?
    } else {
        let url = Url::parse(&url)
            .map_err(|_| Problem::new(502, "vendor_error", "the recording's URL cannot be read"))?;
        Response::redirect_with_status(url, 302).map_err(|error| problems::internal(&error))?
    };
    Ok(response)
}

/// Reads the meeting's event log, of which the newest 5,000 entries are kept.
#[utoipa::path(get, path = "/v1/meetings/{id}/timeline", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id"),
        ("limit" = Option<u32>, Query, description = "Entries a page, 1 to 100, 100 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "A page of entries, oldest first", body = TimelinePage)))]
async fn get_timeline(caller: &Caller<'_>) -> Answer {
    let page = caller.check(PageQuery::parse(&caller.call.query())).await?;
    let MeetingReply::Timeline(page) = caller.ask(MeetingAsk::Timeline(page)).await? else {
        return Err(Problem::internal());
    };
    json_response(200, &page)
}
