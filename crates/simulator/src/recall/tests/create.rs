//! What a create call is refused for, and how a bot comes back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Desk, ZOOM, clip_bot, jpeg, mp3};

#[test]
fn a_create_call_is_refused_for_every_field_that_is_wrong() {
    let mut desk = Desk::manual();
    let (status, answer) = desk.call("POST", "/bot/", &json!({ "bot_name": "" }));
    assert_eq!(status, 400);
    assert_eq!(answer["meeting_url"], json!(["This field is required."]));
    assert_eq!(answer["bot_name"], json!(["This field may not be blank."]));
    for (fields, wrong) in [
        (
            json!({ "meeting_url": "https://example.com/x" }),
            "meeting_url",
        ),
        (json!({ "bot_name": "x".repeat(101) }), "bot_name"),
        (json!({ "join_at": "tomorrow" }), "join_at"),
        (json!({ "join_at": "2026-11-22 10:00" }), "join_at"),
        (json!({ "metadata": { "attempt": 1 } }), "metadata"),
        (json!({ "variant": { "zoom": "web_8_core" } }), "variant"),
        (
            json!({ "real_time_transcription": {} }),
            "real_time_transcription",
        ),
        (json!({ "recording_mode": "audio_only" }), "recording_mode"),
        (json!({ "bot_image": "x" }), "bot_image"),
        (
            json!({ "chat": { "on_bot_join": { "send_to": "host", "message": "hi" } } }),
            "chat",
        ),
        (
            json!({ "chat": { "on_bot_join": { "send_to": "everyone", "message": "x".repeat(501) } } }),
            "chat",
        ),
        (json!({ "output_media": {} }), "non_field_errors"),
        (
            json!({ "output_media": { "camera": { "kind": "webpage", "config": {} } } }),
            "output_media",
        ),
        (
            json!({ "automatic_video_output": { "in_call_recording": { "kind": "png", "b64_data": jpeg() } } }),
            "automatic_video_output",
        ),
        (
            json!({ "automatic_video_output": { "in_call_recording": { "kind": "jpeg", "b64_data": mp3() } } }),
            "automatic_video_output",
        ),
    ] {
        let answer = desk.refused(&fields);
        let found = answer
            .get(wrong)
            .or_else(|| answer["output_media"].get(wrong));
        assert!(found.is_some(), "{fields}: {answer}");
    }
}

#[test]
fn clips_have_to_be_standard_base64_of_a_real_mp3() {
    let mut desk = Desk::manual();
    let mut clip = |data: &str| {
        let clip = json!({ "automatic_audio_output": { "in_call_recording": { "data": { "kind": "mp3", "b64_data": data } } } });
        desk.refused(&clip)["automatic_audio_output"]["in_call_recording"]["data"]["b64_data"][0]
            .clone()
    };
    assert_eq!(clip("not base64!"), "Invalid base64 string.");
    assert_eq!(clip(&mp3().replace('/', "_")), "Invalid base64 string.");
    assert_eq!(clip(mp3().trim_end_matches('=')), "Invalid base64 string.");
    assert_eq!(
        clip(&STANDARD.encode("a text")),
        "The data is not a valid mp3 file."
    );
}

#[test]
fn a_page_and_automatic_output_rule_each_other_out() {
    let mut desk = Desk::manual();
    let mut body = clip_bot();
    body["output_media"] =
        json!({ "camera": { "kind": "webpage", "config": { "url": "https://a.example/" } } });
    assert!(desk.refused(&body).get("output_media").is_some());
}

#[test]
fn leaving_times_have_the_platforms_limits() {
    let mut desk = Desk::manual();
    let lobby = |seconds: u64| json!({ "automatic_leave": { "waiting_room_timeout": seconds } });
    let answer = desk.refused(&lobby(601));
    let text = "Ensure this value is less than or equal to 600.";
    assert_eq!(
        answer["automatic_leave"]["waiting_room_timeout"],
        json!([text])
    );
    let mut on_zoom = lobby(601);
    on_zoom["meeting_url"] = json!(ZOOM);
    desk.create(&on_zoom);
    let bare = json!({ "automatic_leave": { "everyone_left_timeout": 30 } });
    assert!(desk.refused(&bare)["automatic_leave"]["everyone_left_timeout"].is_array());
    let typo = json!({ "automatic_leave": { "everyone_left": { "timeout": 30 } } });
    assert_eq!(
        desk.refused(&typo)["automatic_leave"]["everyone_left"],
        json!(["Unknown field."])
    );
}

#[test]
fn the_recording_configuration_is_checked_down_to_the_events() {
    let mut desk = Desk::manual();
    let mut wrong = |config: Value| {
        desk.refused(&json!({ "recording_config": config }))["recording_config"].clone()
    };
    let endpoint = |kind: &str, url: &str, event: &str| json!({ "realtime_endpoints": [{ "type": kind, "url": url, "events": [event] }] });
    let at = |errors: Value, field: &str| errors["realtime_endpoints"][0][field].clone();
    let url = |text: &str| endpoint("webhook", text, "transcript.data");
    let slash = at(wrong(url("https://a.example/rt?token=1")), "url");
    assert_eq!(
        slash,
        json!(["The path must end with a slash when the URL has a query."])
    );
    assert!(at(wrong(url("wss://a.example/rt/")), "url").is_array());
    assert!(
        at(
            wrong(endpoint(
                "webhook",
                "https://a.example/",
                "audio_mixed_raw.data"
            )),
            "events"
        )
        .is_array()
    );
    assert!(
        at(
            wrong(endpoint(
                "webhook",
                "https://a.example/",
                "transcript.final"
            )),
            "events"
        )
        .is_array()
    );
    assert!(
        at(
            wrong(endpoint("hook", "https://a.example/", "transcript.data")),
            "type"
        )
        .is_array()
    );
    let two = json!({ "transcript": { "provider": { "meeting_captions": {}, "deepgram_streaming": {} } } });
    assert!(wrong(two)["transcript"]["provider"]["non_field_errors"].is_array());
    let none = json!({ "transcript": { "provider": {} } });
    assert!(wrong(none)["transcript"]["provider"]["non_field_errors"].is_array());
    let german = json!({ "transcript": { "provider": { "recallai_streaming": {
        "mode": "prioritize_low_latency", "language_code": "de" } } } });
    assert!(
        wrong(german)["transcript"]["provider"]["recallai_streaming"]["language_code"].is_array()
    );
    assert!(wrong(json!({ "retention": { "type": "timed" } }))["retention"]["hours"].is_array());
    assert!(wrong(json!({ "retention": { "type": "days" } }))["retention"]["type"].is_array());
    assert!(wrong(json!({ "start_recording_on": "later" }))["start_recording_on"].is_array());
}

#[test]
fn a_bot_comes_back_without_its_media_and_with_an_object_for_its_link() {
    let mut desk = Desk::manual();
    let (_, bot) = desk.call("POST", "/bot/", &clip_bot());
    assert_eq!(
        bot["meeting_url"],
        json!({ "meeting_id": "abc-defg-hij", "platform": "google_meet" })
    );
    assert_eq!(
        bot["automatic_audio_output"],
        json!({ "in_call_recording": { "data": { "kind": "mp3" } } })
    );
    assert_eq!(bot["bot_name"], "Meeting Notetaker");
    assert_eq!(bot["status_changes"], json!([]));
    assert!(bot.get("status").is_none());
}
