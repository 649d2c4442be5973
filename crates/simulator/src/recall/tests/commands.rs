//! The calls on bots and when they are refused.

use serde_json::{Value, json};

use super::{Desk, MEET, ZOOM, clip_bot, mp3};
use crate::script::Event;

#[test]
fn a_bot_more_than_ten_minutes_ahead_is_scheduled_and_can_be_changed_and_deleted() {
    let mut desk = Desk::instant();
    let at = |minutes: i64| {
        format!(
            "2026-11-22T{:02}:{:02}:00Z",
            10 + minutes / 60,
            minutes % 60
        )
    };
    let id = desk.create(&json!({ "meeting_url": MEET, "join_at": at(60) }));
    let path = format!("/bot/{id}/");
    assert_eq!(
        desk.call("PATCH", &path, &json!({ "bot_name": "Ada" })).1["bot_name"],
        "Ada"
    );
    assert_eq!(
        desk.call("PATCH", &path, &json!({ "join_at": at(90) })).0,
        200
    );
    let (status, refusal) = desk.call("PATCH", &path, &json!({ "join_at": at(5) }));
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!("update_bot_failed"))
    );
    let (status, refusal) = desk.call("POST", &format!("{path}leave_call/"), &Value::Null);
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!("cannot_command_unstarted_bot"))
    );
    assert_eq!(desk.call("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(desk.call("GET", &path, &Value::Null).0, 404);
    desk.wait(7200);
    assert!(desk.model.bots().is_empty());
}

#[test]
fn in_the_last_ten_minutes_a_scheduled_bot_can_only_be_left() {
    let mut desk = Desk::instant();
    let id = desk.create(&json!({ "meeting_url": MEET, "join_at": "2026-11-22T11:00:00Z" }));
    desk.wait(51 * 60);
    let path = format!("/bot/{id}/");
    assert_eq!(desk.call("DELETE", &path, &Value::Null).0, 405);
    let (status, refusal) = desk.call(
        "PATCH",
        &path,
        &json!({ "join_at": "2026-11-22T12:00:00Z" }),
    );
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!("update_bot_failed"))
    );
    assert_eq!(
        desk.call("PATCH", &path, &json!({ "bot_name": "Ada" })).0,
        200
    );
    assert_eq!(
        desk.call("POST", &format!("{path}leave_call/"), &Value::Null)
            .0,
        200
    );
    desk.wait(3600);
    let bot = desk.model.bot(&id).unwrap();
    let codes: Vec<_> = bot
        .status_changes
        .iter()
        .map(|(code, _)| code.as_str())
        .collect();
    assert_eq!(codes, ["call_ended", "done"]);
}

#[test]
fn an_ad_hoc_bot_cannot_be_changed_or_deleted_and_not_left_before_it_starts() {
    let mut desk = Desk::manual();
    let id = desk.create(&json!({ "meeting_url": MEET, "join_at": "2026-11-22T10:10:00Z" }));
    let path = format!("/bot/{id}/");
    assert!(!desk.model.bot(&id).unwrap().scheduled);
    assert_eq!(desk.call("DELETE", &path, &Value::Null).0, 405);
    assert_eq!(
        desk.call("PATCH", &path, &json!({ "bot_name": "Ada" })).0,
        400
    );
    let (_, refusal) = desk.call("POST", &format!("{path}leave_call/"), &Value::Null);
    assert_eq!(refusal["code"], "cannot_command_unstarted_bot");
    desk.model
        .advance(&id, Event::JoiningCall, desk.now)
        .unwrap();
    assert_eq!(
        desk.call("POST", &format!("{path}leave_call/"), &Value::Null)
            .0,
        200
    );
}

#[test]
fn output_audio_needs_a_clip_at_creation_a_call_and_a_real_mp3() {
    let mut desk = Desk::manual();
    let clip = json!({ "kind": "mp3", "b64_data": mp3() });
    let without = desk.create(&json!({ "meeting_url": MEET }));
    let (status, refusal) = desk.call("POST", &format!("/bot/{without}/output_audio/"), &clip);
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!("automatic_audio_output_required"))
    );
    let id = desk.create(&clip_bot());
    let path = format!("/bot/{id}/output_audio/");
    assert_eq!(
        desk.call("POST", &path, &clip).1["code"],
        "cannot_command_unstarted_bot"
    );
    desk.model
        .advance(&id, Event::InCallNotRecording, desk.now)
        .unwrap();
    assert_eq!(desk.call("POST", &path, &clip).0, 200);
    assert_eq!(
        desk.call("POST", &path, &json!({ "kind": "mp3" })).1,
        json!({ "b64_data": ["This field is required."] })
    );
    assert_eq!(
        desk.call("POST", &path, &json!({ "kind": "wav", "b64_data": mp3() }))
            .0,
        400
    );
    desk.model
        .advance(
            &id,
            Event::CallEnded("call_ended_by_host".to_owned()),
            desk.now,
        )
        .unwrap();
    assert_eq!(
        desk.call("POST", &path, &clip).1["code"],
        "cannot_command_completed_bot"
    );
}

#[test]
fn output_audio_is_refused_while_a_page_is_shown() {
    let mut desk = Desk::instant();
    let page =
        json!({ "camera": { "kind": "webpage", "config": { "url": "https://a.example/" } } });
    let id = desk.create(&json!({ "meeting_url": MEET, "output_media": page }));
    let clip = json!({ "kind": "mp3", "b64_data": mp3() });
    let (status, refusal) = desk.call("POST", &format!("/bot/{id}/output_audio/"), &clip);
    assert_eq!(
        (status, &refusal["code"]),
        (400, &json!("output_media_active"))
    );
    let stop = json!({ "camera": true });
    assert_eq!(
        desk.call("DELETE", &format!("/bot/{id}/output_media/"), &stop)
            .0,
        200
    );
    assert_eq!(
        desk.call("POST", &format!("/bot/{id}/output_media/"), &page)
            .0,
        200
    );
}

#[test]
fn a_repeated_clip_with_the_same_key_is_heard_once() {
    let mut desk = Desk::instant();
    let id = desk.create(&clip_bot());
    let clip = json!({ "kind": "mp3", "b64_data": mp3() });
    for _ in 0..3 {
        assert_eq!(
            desk.keyed(&format!("/bot/{id}/output_audio/"), "greeting", &clip)
                .0,
            200
        );
    }
    let heard = desk.model.bot(&id).unwrap().heard;
    assert_eq!(heard.iter().filter(|heard| !heard.automatic()).count(), 1);
}

#[test]
fn chat_has_the_platforms_limits_and_recipients() {
    let mut desk = Desk::instant();
    let meet = desk.create(&json!({ "meeting_url": MEET }));
    let zoom = desk.create(&json!({ "meeting_url": ZOOM }));
    let webex = desk.create(&json!({ "meeting_url": "https://acme.webex.com/meet/dana" }));
    let mut chat = |id: &str, to: &str, length: usize| {
        let body = json!({ "to": to, "message": "x".repeat(length) });
        desk.call("POST", &format!("/bot/{id}/send_chat_message/"), &body)
            .0
    };
    assert_eq!(chat(&meet, "everyone", 500), 200);
    assert_eq!(chat(&meet, "everyone", 501), 400);
    assert_eq!(chat(&meet, "host", 5), 400);
    assert_eq!(chat(&zoom, "host", 4096), 200);
    assert_eq!(chat(&zoom, "everyone", 4097), 400);
    assert_eq!(chat(&webex, "everyone", 5), 400);
}

#[test]
fn bots_are_found_by_their_metadata_and_paged() {
    let mut desk = Desk::manual();
    for n in 0..105 {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        desk.create(
            &json!({ "meeting_url": MEET, "metadata": { "n": n.to_string(), "parity": parity } }),
        );
    }
    let (_, one) = desk.call(
        "GET",
        "/bot/?metadata__n=42&metadata__parity=even",
        &Value::Null,
    );
    assert_eq!(
        (&one["count"], &one["results"][0]["metadata"]["n"]),
        (&json!(1), &json!("42"))
    );
    let (_, none) = desk.call(
        "GET",
        "/bot/?metadata__n=42&metadata__parity=odd",
        &Value::Null,
    );
    assert_eq!(none["count"], 0);
    let (_, first) = desk.call("GET", "/bot/", &Value::Null);
    assert_eq!(
        (
            first["results"].as_array().unwrap().len(),
            &first["previous"]
        ),
        (100, &Value::Null)
    );
    let next = first["next"]
        .as_str()
        .unwrap()
        .split_once("/api/v1")
        .unwrap()
        .1
        .to_owned();
    let (_, second) = desk.call("GET", &next, &Value::Null);
    assert_eq!(
        (second["results"].as_array().unwrap().len(), &second["next"]),
        (5, &Value::Null)
    );
    assert_eq!(desk.call("GET", "/bot/?metadata_n=42", &Value::Null).0, 400);
}
