//! The calls, as the vendor answers them.

use std::time::Duration;

use axum::http::Method;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{Answer, Request};
use crate::avatar::AvatarHabits;
use crate::avatar::tests::Desk;
use crate::operation::route;

const AVATAR: &str = "1c690fe7-23e0-49f9-bfba-14344450285b";
const KEY: (&str, &str) = ("x-api-key", "fake-liveavatar-key");

fn call(desk: &mut Desk, method: Method, path: &str, header: (&str, &str), body: &Value) -> Answer {
    let path = format!("/liveavatar/v1{path}");
    let mut request = Request::new(Bytes::from(if body.is_null() {
        String::new()
    } else {
        body.to_string()
    }));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    let name: axum::http::HeaderName = header.0.parse().unwrap();
    request
        .headers_mut()
        .insert(name, header.1.parse().unwrap());
    let route = route(request.method(), request.uri().path()).unwrap();
    desk.avatars.tick(desk.now);
    super::handle(&mut desk.avatars, &route, &request, None, None, desk.now)
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn post(desk: &mut Desk, path: &str, header: (&str, &str), body: &Value) -> (u16, Value) {
    let answer = call(desk, Method::POST, path, header, body);
    (answer.status.as_u16(), json_of(&answer))
}

fn get(desk: &mut Desk, path: &str) -> (u16, Value) {
    let answer = call(desk, Method::GET, path, KEY, &Value::Null);
    (answer.status.as_u16(), json_of(&answer))
}

fn token(desk: &mut Desk) -> (String, String) {
    let (status, body) = post(
        desk,
        "/sessions/token",
        KEY,
        &json!({ "mode": "LITE", "avatar_id": AVATAR }),
    );
    assert_eq!(status, 200, "{body}");
    let field = |name: &str| body["data"][name].as_str().unwrap().to_owned();
    (field("session_id"), field("session_token"))
}

fn start(desk: &mut Desk) -> (String, (u16, Value)) {
    let (id, token) = token(desk);
    let bearer = format!("Bearer {token}");
    (
        id,
        post(
            desk,
            "/sessions/start",
            ("authorization", &bearer),
            &json!({}),
        ),
    )
}

#[test]
fn a_session_is_asked_for_started_kept_alive_and_stopped() {
    let mut desk = Desk::new(AvatarHabits::default());
    let (id, (status, body)) = start(&mut desk);
    assert_eq!((status, &body["code"]), (201, &json!(1000)));
    let data = &body["data"];
    assert_eq!(data["session_id"], id.as_str());
    assert_eq!(data["max_session_duration"], 1200);
    assert!(data["ws_url"].as_str().unwrap().ends_with(&id));
    assert_eq!(
        data["livekit_client_token"]
            .as_str()
            .unwrap()
            .split('.')
            .count(),
        3
    );
    let named = json!({ "session_id": id });
    assert_eq!(post(&mut desk, "/sessions/keep-alive", KEY, &named).0, 200);
    desk.now += Duration::from_secs(90);
    let (_, list) = get(&mut desk, "/sessions?type=active");
    assert_eq!(list["data"]["count"], 1);
    assert_eq!(list["data"]["results"][0]["duration"], 90);
    assert_eq!(list["data"]["results"][0]["credits_consumed"], 2.0);
    let stop = json!({ "session_id": id, "reason": "USER_CLOSED" });
    assert_eq!(post(&mut desk, "/sessions/stop", KEY, &stop).0, 200);
    assert_eq!(post(&mut desk, "/sessions/stop", KEY, &stop).0, 400);
    assert_eq!(
        get(&mut desk, "/sessions?type=active").1["data"]["count"],
        0
    );
    let (_, entry) = get(&mut desk, &format!("/sessions/{id}"));
    assert_eq!(entry["data"]["end_reason"], "USER_CLOSED");
    let (_, list) = get(&mut desk, "/sessions?type=historic&page=1&page_size=5");
    assert_eq!(list["data"]["results"][0], entry["data"]);
}

#[test]
fn the_key_mints_and_the_token_starts_and_not_the_other_way_round() {
    let mut desk = Desk::new(AvatarHabits::default());
    let wanted = json!({ "avatar_id": AVATAR });
    let (_, session) = token(&mut desk);
    let bearer = format!("Bearer {session}");
    let refused = json!({ "code": 4003, "data": null, "message": "Not authenticated" });
    for (path, header) in [
        ("/sessions/token", ("authorization", bearer.as_str())),
        ("/sessions/start", KEY),
    ] {
        assert_eq!(
            post(&mut desk, path, header, &wanted),
            (403, refused.clone()),
            "{path}"
        );
    }
    let other_vendor = ("x-api-key", "fake-heygen-key");
    assert_eq!(
        post(&mut desk, "/sessions/token", other_vendor, &wanted).0,
        401
    );
    let twice = ("authorization", bearer.as_str());
    assert_eq!(post(&mut desk, "/sessions/start", twice, &json!({})).0, 201);
    assert_eq!(post(&mut desk, "/sessions/start", twice, &json!({})).0, 400);
    assert_eq!(post(&mut desk, "/sessions/stop", twice, &json!({})).0, 200);
}

#[test]
fn what_is_wrong_with_a_request_is_listed() {
    let mut desk = Desk::new(AvatarHabits::default());
    for (body, field) in [
        (json!({}), "avatar_id"),
        (json!({ "avatar_id": "ada" }), "avatar_id"),
        (
            json!({ "avatar_id": AVATAR, "video_settings": { "quality": "best" } }),
            "quality",
        ),
        (
            json!({ "avatar_id": AVATAR, "video_quality": "high" }),
            "video_quality",
        ),
        (
            json!({ "avatar_id": AVATAR, "max_session_duration": "600" }),
            "max_session_duration",
        ),
    ] {
        let (status, answer) = post(&mut desk, "/sessions/token", KEY, &body);
        assert_eq!(status, 422, "{body}");
        let place = answer["detail"][0]["loc"].as_array().unwrap();
        assert_eq!(place.last().unwrap(), field, "{answer}");
    }
    let too_long = json!({ "avatar_id": AVATAR, "max_session_duration": 7200 });
    assert_eq!(post(&mut desk, "/sessions/token", KEY, &too_long).0, 400);
    let sandbox = json!({ "avatar_id": AVATAR, "is_sandbox": true });
    assert_eq!(post(&mut desk, "/sessions/token", KEY, &sandbox).0, 400);
    assert_eq!(get(&mut desk, "/sessions").0, 422);
    assert_eq!(get(&mut desk, &format!("/sessions/{AVATAR}")).0, 404);
}

#[test]
fn the_limits_of_the_account_refuse_a_start() {
    let mut desk = Desk::new(AvatarHabits {
        concurrency: Some(1),
        ..AvatarHabits::default()
    });
    let (first, _) = start(&mut desk);
    let (_, (status, body)) = start(&mut desk);
    assert_eq!(
        (status, body["message"].as_str()),
        (403, Some("Session concurrency limit reached"))
    );
    post(
        &mut desk,
        "/sessions/stop",
        KEY,
        &json!({ "session_id": first }),
    );
    assert_eq!(start(&mut desk).1.0, 201);
    let mut poor = Desk::new(AvatarHabits {
        credits: Some(0),
        ..AvatarHabits::default()
    });
    let (_, (status, body)) = start(&mut poor);
    assert_eq!(
        (status, body["message"].as_str()),
        (403, Some("Insufficient credits"))
    );
    assert_eq!(
        get(&mut poor, "/users/credits").1["data"]["credits_left"],
        "0"
    );
}

#[test]
fn the_sandbox_costs_nothing_and_lasts_a_minute() {
    let mut desk = Desk::new(AvatarHabits {
        credits: Some(0),
        ..AvatarHabits::default()
    });
    let wayne = json!({ "avatar_id": "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a", "is_sandbox": true });
    let (_, body) = post(&mut desk, "/sessions/token", KEY, &wayne);
    let bearer = format!("Bearer {}", body["data"]["session_token"].as_str().unwrap());
    let (status, body) = post(
        &mut desk,
        "/sessions/start",
        ("authorization", &bearer),
        &Value::Null,
    );
    assert_eq!(
        (status, &body["data"]["max_session_duration"]),
        (201, &json!(60))
    );
    desk.now += Duration::from_mins(1);
    let (_, list) = get(&mut desk, "/sessions?type=historic");
    assert_eq!(
        list["data"]["results"][0]["end_reason"],
        "MAX_DURATION_REACHED"
    );
}
