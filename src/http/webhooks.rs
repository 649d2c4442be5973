//! `POST /webhooks/recall`: every webhook of Recall, from the workspace and in real time.
//!
//! The signature over the raw bytes comes before anything else.
//! A signed webhook that is of no use to any meeting is answered with success, as Recall disables endpoints that
//! keep failing.

use attache_meeting::{api::Problem, ids::MeetingId, vendors::recall};
use serde_json::json;
use worker::{Headers, Method, Request, RequestInit, Response, js_sys::Uint8Array};

use super::{Answer, Call, directory, problems, read_body};
use crate::{
    clock, log,
    objects::{MESSAGE_ID_HEADER, WEBHOOK_PATH, calls::meeting_stub},
};

/// Takes one webhook of Recall's, signed as Standard Webhooks or Svix do.
#[utoipa::path(post, path = "/webhooks/recall", tag = "operations", security(()),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, description = "It has taken effect, or is of no use to any meeting"),
        (status = 400, description = "Signed, and no event", body = Problem,
            content_type = "application/problem+json"),
        (status = 401, description = "The signature is missing, wrong or stale", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn recall(call: &Call<'_>, request: &mut Request) -> Answer {
    let body = read_body(request).await?;
    let headers = request.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    let verified = call.config.webhooks.verify(header, &body, clock::now());
    let message_id = verified.map_err(|error| {
        log::warn(
            "a webhook was refused",
            json!({ "reason": error.to_string() }),
        );
        Problem::new(401, "invalid_signature", error.to_string())
    })?;
    let route = recall::route(&body)
        .map_err(|error| Problem::new(400, "malformed_webhook", error.to_string()))?;
    let meeting_id = match (route.meeting_id, &route.bot_id) {
        (Some(meeting_id), _) => Some(meeting_id),
        (None, Some(bot_id)) => directory::find_bot(call.env, bot_id).await?,
        (None, None) => None,
    };
    let Some(meeting_id) = meeting_id else {
        let fields = json!({ "operation": route.event_name, "bot_id": route.bot_id });
        log::info("a webhook of no meeting of ours", fields);
        return ok();
    };
    deliver(call, &meeting_id, message_id.as_str(), &body)
        .await
        .map_err(|error| problems::internal(&error))?;
    ok()
}

/// Hands the webhook to its meeting, as it came; success means that it is stored.
async fn deliver(
    call: &Call<'_>,
    meeting_id: &MeetingId,
    message_id: &str,
    body: &[u8],
) -> worker::Result<()> {
    let failed = |problem: Problem| worker::Error::RustError(problem.to_string());
    let stub = meeting_stub(call.env, meeting_id).map_err(failed)?;
    let headers = Headers::new();
    headers.set(MESSAGE_ID_HEADER, message_id)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_body(Some(Uint8Array::from(body).into()));
    let request = Request::new_with_init(&format!("https://object{WEBHOOK_PATH}"), &init)?;
    let answer = stub.fetch_with_request(request).await?;
    match answer.status_code() {
        200 => Ok(()),
        status => Err(worker::Error::RustError(format!(
            "the meeting answered {status}"
        ))),
    }
}

fn ok() -> Answer {
    Response::ok("ok").map_err(|error| problems::internal(&error))
}
