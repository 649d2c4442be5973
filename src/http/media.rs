//! `GET /recall/media/{meeting_id}/`: the WebSocket over which Recall delivers a call's sound.

use attache_meeting::{api::Problem, ids::MeetingId};
use serde_json::json;
use worker::{Headers, Method, Request, RequestInit};

use super::{Answer, Call, problems};
use crate::{
    clock, log,
    objects::{MEDIA_PATH, calls::meeting_stub},
};

/// Takes the sound of a call: Recall dials this with a signed upgrade and sends `audio_mixed_raw.data` frames.
///
/// The upgrade is signed like a webhook with an empty body. A second dial for the same meeting replaces the first.
#[utoipa::path(get, path = "/recall/media/{meeting_id}/", tag = "operations", security(()),
    params(("meeting_id" = String, Path, description = "The meeting's id")),
    responses((status = 101, description = "JSON text frames from Recall; nothing is sent back"),
        (status = 401, description = "The signature is missing, wrong or stale", body = Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such meeting", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "The meeting is over, or is not listened to", body = Problem,
            content_type = "application/problem+json"),
        (status = 426, description = "Not a WebSocket request", body = Problem,
            content_type = "application/problem+json")))]
pub(super) async fn open(call: &Call<'_>, request: &Request, meeting_id: &str) -> Answer {
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let verified = call.config.webhooks.verify(header, &[], clock::now());
    verified.map_err(|error| {
        log::warn(
            "an audio socket was refused",
            json!({ "reason": error.to_string() }),
        );
        Problem::new(401, "invalid_signature", error.to_string())
    })?;
    if !header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        let detail = "this path is a WebSocket";
        return Err(Problem::new(426, "upgrade_required", detail));
    }
    if call.config.deepgram_api_key.is_none() {
        let detail = "listening is off: DEEPGRAM_API_KEY is not set";
        return Err(Problem::conflict("listening_off", detail));
    }
    let meeting_id: MeetingId = meeting_id
        .parse()
        .map_err(|_| Problem::meeting_not_found())?;
    let stub = meeting_stub(call.env, &meeting_id)?;
    let forwarded = forward().map_err(|error| problems::internal(&error))?;
    let answer = stub.fetch_with_request(forwarded).await;
    let answer = answer.map_err(|error| problems::internal(&error))?;
    match answer.status_code() {
        101 => Ok(answer),
        409 => {
            let detail = "the meeting is over, or listening has failed for good";
            Err(Problem::conflict("not_listening", detail))
        }
        404 => Err(Problem::meeting_not_found()),
        _ => Err(Problem::internal()),
    }
}

fn forward() -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    Request::new_with_init(&format!("https://object{MEDIA_PATH}"), &init)
}
