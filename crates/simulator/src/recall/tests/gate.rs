//! What every request passes: firewall, key, limits, idempotency.

use bytes::Bytes;
use serde_json::json;

use super::{Desk, KEY, MEET, read};
use crate::answer::Request;
use crate::operation::route;
use crate::recall::for_status;
use crate::script::MeetingScript;

#[test]
fn a_request_without_a_good_key_is_refused_and_says_which_kind_of_bad() {
    let mut desk = Desk::manual();
    let (status, body) = read(&desk.request("GET", "/api/v1/bot/", &[], ""));
    assert_eq!((status, &body["code"]), (401, &json!("not_authenticated")));
    let (status, body) = read(&desk.request(
        "GET",
        "/api/v1/bot/",
        &[("authorization", "Token nope")],
        "",
    ));
    assert_eq!(
        (status, &body["code"]),
        (401, &json!("authentication_failed"))
    );
    let bare = desk.request(
        "GET",
        "/api/v1/bot/",
        &[("authorization", "fake-recall-key")],
        "",
    );
    assert_eq!(bare.status, 200);
}

#[test]
fn a_body_on_a_get_is_stopped_by_the_firewall_with_a_page() {
    let mut desk = Desk::manual();
    let answer = desk.request("GET", "/api/v1/bot/", &[("authorization", KEY)], "null");
    let (status, body) = read(&answer);
    assert_eq!(status, 403);
    assert!(body.as_str().unwrap().starts_with("<!DOCTYPE HTML>"));
}

#[test]
fn localhost_in_a_payload_is_stopped_by_the_firewall() {
    let mut desk = Desk::manual();
    let body = json!({ "meeting_url": MEET, "recording_config": { "realtime_endpoints": [
        { "type": "webhook", "url": "http://localhost:8787/", "events": ["transcript.data"] }] } });
    assert_eq!(desk.call("POST", "/bot/", &body).0, 403);
}

#[test]
fn the_same_key_replays_the_answer_for_an_hour_and_not_longer() {
    let mut desk = Desk::manual();
    let body = json!({ "meeting_url": MEET });
    let (_, first) = desk.keyed("/bot/", "k1", &body);
    desk.wait(3599);
    let (status, second) = desk.keyed("/bot/", "k1", &body);
    assert_eq!((status, &second["id"]), (201, &first["id"]));
    assert_eq!(desk.model.bots().len(), 1);
    desk.wait(1);
    let (_, third) = desk.keyed("/bot/", "k1", &body);
    assert_ne!(third["id"], first["id"]);
    assert_eq!(desk.model.bots().len(), 2);
}

#[test]
fn a_key_belongs_to_its_path() {
    let mut desk = Desk::instant();
    let id = desk.create(&json!({ "meeting_url": MEET }));
    let chat = json!({ "message": "hello" });
    assert_eq!(
        desk.keyed(&format!("/bot/{id}/send_chat_message/"), "k1", &chat)
            .0,
        200
    );
    assert_eq!(
        desk.keyed(&format!("/bot/{id}/send_chat_message/"), "k1", &chat)
            .0,
        200
    );
    assert_eq!(
        desk.keyed("/bot/", "k1", &json!({ "meeting_url": MEET })).0,
        201
    );
    assert_eq!(desk.model.bots()[0].heard.len(), 1);
}

#[test]
fn a_stored_507_is_replayed_and_a_503_is_not() {
    let mut desk = Desk::manual();
    let request = |key: &str| -> Request {
        axum::http::Request::post("/api/v1/bot/")
            .header("authorization", KEY)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Bytes::from(json!({ "meeting_url": MEET }).to_string()))
            .unwrap()
    };
    let mut ask = |key: &str, forced: Option<u16>| {
        let request = request(key);
        let route = route(request.method(), request.uri().path()).unwrap();
        let forced = forced.map(for_status);
        desk.model
            .handle(&route, &request, forced, desk.now)
            .status
            .as_u16()
    };
    assert_eq!(ask("a", Some(507)), 507);
    assert_eq!(ask("a", None), 507);
    assert_eq!(ask("b", None), 201);
    assert_eq!(ask("c", Some(503)), 503);
    assert_eq!(ask("c", None), 201);
}

#[test]
fn a_key_in_flight_answers_409_until_it_is_released() {
    let mut desk = Desk::manual();
    let request: Request = axum::http::Request::post("/api/v1/bot/")
        .header("authorization", KEY)
        .header("content-type", "application/json")
        .header("idempotency-key", "k1")
        .body(Bytes::from(json!({ "meeting_url": MEET }).to_string()))
        .unwrap();
    desk.model.begin(&request, desk.now).unwrap();
    assert_eq!(
        desk.keyed("/bot/", "k1", &json!({ "meeting_url": MEET })).0,
        409
    );
    desk.model.release(&request);
    assert_eq!(
        desk.keyed("/bot/", "k1", &json!({ "meeting_url": MEET })).0,
        201
    );
}

#[test]
fn rate_limits_tell_when_to_come_back() {
    let mut desk = Desk::with(MeetingScript::manual(), |settings| {
        settings.rate_limits = true;
    });
    for _ in 0..60 {
        desk.create(&json!({ "meeting_url": MEET }));
    }
    desk.wait(20);
    let headers = [("authorization", KEY), ("content-type", "application/json")];
    let body = json!({ "meeting_url": MEET }).to_string();
    let answer = desk.request("POST", "/api/v1/bot/", &headers, &body);
    assert_eq!(answer.status, 429);
    let retry_after = answer
        .headers
        .iter()
        .find(|(name, _)| name == "retry-after")
        .unwrap();
    assert_eq!(retry_after.1, "41");
    desk.wait(41);
    desk.create(&json!({ "meeting_url": MEET }));
}

#[test]
fn too_many_ad_hoc_bots_at_once_are_refused_in_the_vendors_words() {
    let mut desk = Desk::with(MeetingScript::manual(), |settings| {
        settings.adhoc_limit = Some(1);
    });
    desk.create(&json!({ "meeting_url": MEET }));
    let (status, refusal) = desk.call("POST", "/bot/", &json!({ "meeting_url": MEET }));
    assert_eq!(status, 429);
    assert!(
        refusal["detail"]
            .as_str()
            .unwrap()
            .contains("concurrent adhoc bots allowed")
    );
    desk.create(&json!({ "meeting_url": MEET, "join_at": "2026-11-22T12:00:00Z" }));
}
