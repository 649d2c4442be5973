//! `GET /v1/meetings/{id}/live`: the meeting as it happens, over a WebSocket.

use attache_meeting::{
    api::Problem,
    ids::{MeetingId, TenantId},
};
use worker::{Headers, Method, Request, RequestInit};

use super::{Answer, Call, auth, problems};
use crate::objects::{
    LIVE_PATH, TENANT_HEADER,
    calls::{MeetingAsk, MeetingCall, call_meeting, meeting_stub},
};

/// Watches a meeting over a WebSocket: the first frame is the meeting as it is, then events as they happen.
///
/// Every frame is one `LiveEvent`, with `at` (RFC 3339, UTC) and `meeting_id` added. `transcript.partial` may change,
/// `transcript.final` is stored; both have the id that the stored segment has or would have. Times of segments,
/// `speech.started` and `utterance.end` are seconds since listening began. Types may be added: ignore unknown ones.
#[utoipa::path(get, path = "/v1/meetings/{id}/live", tag = "meetings",
    params(("id" = String, Path, description = "The meeting's id"),
        ("Sec-WebSocket-Protocol" = Option<String>, Header,
            description = "`attache, <key>` from browsers, which cannot set `Authorization`")),
    responses((status = 101, description = "JSON text frames, each a LiveEvent with `at` and `meeting_id`; \
            `ping` is answered with `pong`"),
        (status = 426, description = "Not a WebSocket request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn open(call: &Call<'_>, request: &Request, meeting_id: &MeetingId) -> Answer {
    let tenant_id = auth::watcher(call, request).await?;
    let header = |name: &str| request.headers().get(name).ok().flatten();
    if !header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        let read = MeetingCall {
            tenant_id,
            ask: MeetingAsk::Read,
        };
        call_meeting(call.env, meeting_id, &read).await?;
        return Err(Problem::new(
            426,
            "upgrade_required",
            "this path is a WebSocket",
        ));
    }
    let stub = meeting_stub(call.env, meeting_id)?;
    let forwarded = forward(&tenant_id).map_err(|error| problems::internal(&error))?;
    let answer = stub.fetch_with_request(forwarded).await;
    let answer = answer.map_err(|error| problems::internal(&error))?;
    match answer.status_code() {
        101 => {}
        429 => return Err(Problem::new(429, "too_many_watchers", "too many watchers")),
        _ => return Err(Problem::meeting_not_found()),
    }
    if !auth::offers_subprotocol(request.headers()) {
        return Ok(answer);
    }
    // A browser closes the socket unless one of the subprotocols it offered is chosen.
    let headers = Headers::new();
    let chosen = headers.set("sec-websocket-protocol", auth::SUBPROTOCOL);
    chosen.map_err(|error| problems::internal(&error))?;
    let socket = answer.websocket().ok_or_else(Problem::internal)?;
    worker::Response::from_websocket(socket)
        .map(|response| response.with_headers(headers))
        .map_err(|error| problems::internal(&error))
}

fn forward(tenant_id: &TenantId) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(TENANT_HEADER, tenant_id.as_str())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    Request::new_with_init(&format!("https://object{LIVE_PATH}"), &init)
}
