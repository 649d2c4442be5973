//! `GET /bot/socket`: the WebSocket of the bot's page.

use attache_meeting::{
    api::Problem,
    ids::{MeetingId, TenantId},
};
use serde_json::json;
use worker::{Headers, Method, Request, RequestInit};

use super::{Answer, Call, problems};
use crate::{
    clock, log,
    objects::{PAGE_PATH, TENANT_HEADER, calls::meeting_stub},
};

/// Lets the bot's page in, with the token that its URL carried.
#[utoipa::path(get, path = "/bot/socket", tag = "operations", security(()),
    params(("meeting_id" = String, Query, description = "The meeting's id"),
        ("t" = String, Query, description = "The sealed token")),
    responses((status = 101, description = "JSON text frames with a `type`; binary frames are sound"),
        (status = 401, description = "The token is missing, forged, expired or another meeting's", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "The meeting is over, or has no avatar", body = Problem,
            content_type = "application/problem+json"),
        (status = 426, description = "Not a WebSocket request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn open(call: &Call<'_>, request: &Request) -> Answer {
    let unauthorized = || Problem::new(401, "invalid_page_token", "the page token is not valid");
    let query = call.query();
    let value = |wanted: &str| {
        let found = query.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let meeting_id: MeetingId = value("meeting_id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(unauthorized)?;
    let token = value("t").ok_or_else(unauthorized)?;
    let opened = call
        .config
        .page_tokens
        .open(token, &meeting_id, clock::now());
    let claims = opened.map_err(|error| {
        log::warn(
            "a page was refused",
            json!({ "meeting_id": meeting_id, "reason": error.to_string() }),
        );
        unauthorized()
    })?;
    let upgrade = request.headers().get("upgrade").ok().flatten();
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        let detail = "this path is a WebSocket";
        return Err(Problem::new(426, "upgrade_required", detail));
    }
    let stub = meeting_stub(call.env, &meeting_id)?;
    let forwarded = forward(&claims.tenant_id).map_err(|error| problems::internal(&error))?;
    let answer = stub.fetch_with_request(forwarded).await;
    let answer = answer.map_err(|error| problems::internal(&error))?;
    match answer.status_code() {
        101 => Ok(answer),
        409 => Err(Problem::conflict("no_page", "the meeting has no page now")),
        404 => Err(Problem::meeting_not_found()),
        _ => Err(Problem::internal()),
    }
}

fn forward(tenant_id: &TenantId) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(TENANT_HEADER, tenant_id.as_str())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    Request::new_with_init(&format!("https://object{PAGE_PATH}"), &init)
}
