use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::http::{FailureKind, Response};

const MEETING: &str = "mtg_01jd7v8xq0c4m2t5w9z3b6n1kp";

fn client() -> RecallClient {
    RecallClient::new(
        "https://us-west-2.recall.ai/api/v1/",
        Secret::new("fake-key"),
    )
}

fn bot() -> BotId {
    BotId("6e1f5adb-3340-4f50-900d-9aa2cdc53d6c".to_owned())
}

fn meeting() -> MeetingId {
    MEETING.parse().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "readers take outcomes")]
fn answer(body: &Value) -> Outcome {
    Ok(Response {
        status: 200,
        body: body.to_string().into_bytes(),
        ..Response::default()
    })
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(request.body.as_ref().unwrap()).unwrap()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers
        .iter()
        .find(|(header, _)| *header == name)
        .map(|(_, value)| match value {
            HeaderValue::Plain(value) => value.as_str(),
            HeaderValue::Secret(value) => value.expose(),
        })
}

#[test]
fn every_request_goes_where_the_reference_says() {
    let client = client();
    let bot = bot();
    let page = Secret::new("https://a.example.com/bot/?t=x");
    let requests = [
        client.get_bot(&bot),
        client.find_bots(&meeting(), 2),
        client.send_audio(&bot, b"mp3", "key"),
        client.stop_audio(&bot),
        client.start_output_media(&bot, &page),
        client.stop_output_media(&bot),
        client.send_chat_message(&bot, "Hello", "key"),
        client.leave_call(&bot),
        client.delete_bot(&bot),
        client.delete_media(&bot),
        client.get_recording("rec/1"),
        client.get_legacy_transcript(&bot),
    ];
    let lines: Vec<String> = requests
        .iter()
        .map(|request| {
            let path = request
                .url
                .strip_prefix("https://us-west-2.recall.ai/api/v1")
                .unwrap();
            let path = path.replace(&bot.0, "ID");
            let key = header(request, "idempotency-key").unwrap_or("-");
            let body = request
                .body
                .as_deref()
                .map_or("-".into(), String::from_utf8_lossy);
            format!(
                "{} {:?} {path} {key} {body}",
                request.operation, request.method
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "recall.get_bot Get /bot/ID/ - -",
            "recall.find_bots Get /bot/?metadata__meeting_id=mtg_01jd7v8xq0c4m2t5w9z3b6n1kp&page=2 - -",
            r#"recall.send_audio Post /bot/ID/output_audio/ key {"b64_data":"bXAz","kind":"mp3"}"#,
            "recall.stop_audio Delete /bot/ID/output_audio/ - -",
            r#"recall.start_output_media Post /bot/ID/output_media/ - {"camera":{"config":{"url":"https://a.example.com/bot/?t=x"},"kind":"webpage"}}"#,
            r#"recall.stop_output_media Delete /bot/ID/output_media/ - {"camera":true}"#,
            r#"recall.send_chat_message Post /bot/ID/send_chat_message/ key {"message":"Hello","pin":false,"to":"everyone"}"#,
            "recall.leave_call Post /bot/ID/leave_call/ - -",
            "recall.delete_bot Delete /bot/ID/ - -",
            "recall.delete_media Post /bot/ID/delete_media/ - -",
            "recall.get_recording Get /recording/rec%2F1/ - -",
            "recall.get_legacy_transcript Get /bot/ID/transcript/ - -",
        ]
    );
    for request in &requests {
        assert!(
            crate::retry::is_listed(request.operation),
            "{}",
            request.operation
        );
        assert_eq!(
            header(request, "authorization"),
            Some("Token fake-key"),
            "{}",
            request.operation
        );
        assert!(!format!("{request:?}").contains("fake-key"));
        let typed = header(request, "content-type").is_some();
        assert_eq!(typed, request.body.is_some(), "{}", request.operation);
    }
}

#[test]
fn creating_and_deleting_may_take_longer_than_reading() {
    assert_eq!(
        client().delete_bot(&bot()).deadline,
        Duration::from_secs(30)
    );
    assert_eq!(client().get_bot(&bot()).deadline, Duration::from_secs(10));
}

#[test]
fn a_created_bot_is_known_by_its_id() {
    let created =
        RecallClient::created_bot(answer(&json!({"id": "b1", "status_changes": []}))).unwrap();
    assert_eq!(created.id, BotId("b1".to_owned()));
    for unusable in [json!({}), json!({"id": null}), json!("ok")] {
        let error = RecallClient::created_bot(answer(&unusable)).unwrap_err();
        assert_eq!(error.kind, FailureKind::UnexpectedAnswer, "{unusable}");
        assert!(error.maybe_done, "a bot may well exist");
    }
}

fn full_bot() -> Value {
    json!({
        "id": "b1",
        "meeting_url": {"meeting_id": "abc", "platform": "google_meet"},
        "metadata": {"meeting_id": MEETING, "tenant_id": "default"},
        "status_changes": [
            {"code": "done", "created_at": "2026-11-22T10:31:40.1Z", "sub_code": null, "message": null},
            {"code": "joining_call", "created_at": "2026-11-22T10:00:00Z", "sub_code": null},
            {"code": "ready", "created_at": "2026-11-22T10:31:50Z"},
            {"code": "call_ended", "created_at": "2026-11-22T10:31:00+00:00", "sub_code": "call_ended_by_host"},
            {"created_at": "2026-11-22T10:32:00Z"},
            7,
        ],
        "recordings": [
            {"id": "r1", "status": {"code": "done"}, "media_shortcuts": {
                "video_mixed": {"id": "v1", "status": {"code": "done"}, "data": {"download_url": "https://b.example.com/v1?sig=1"}, "format": "mp4"},
                "transcript": {"id": "t1", "status": {"code": "done"}, "data": {"download_url": "https://b.example.com/t1?sig=1"}},
            }},
            {"id": "r2", "status": {"code": "processing"}, "media_shortcuts": {
                "video_mixed": {"id": "v2", "status": {"code": "processing"}, "data": {"download_url": null}},
                "audio_mixed": null,
            }},
            {"id": null},
        ],
    })
}

#[test]
fn a_snapshot_sorts_statuses_and_finds_fresh_urls() {
    let bot = RecallClient::bot(answer(&full_bot())).unwrap();
    let codes: Vec<_> = bot
        .statuses
        .iter()
        .map(|status| status.code.as_str())
        .collect();
    assert_eq!(codes, ["joining_call", "call_ended", "done", "ready"]);
    assert_eq!(bot.newest().unwrap().code, BotCode::Done);
    assert_eq!(bot.meeting_id, Some(meeting()));
    assert_eq!(bot.recordings.len(), 2);
    assert_eq!(
        bot.recordings[1]
            .video_mixed
            .as_ref()
            .unwrap()
            .status
            .as_deref(),
        Some("processing")
    );
    assert_eq!(
        bot.recording_url().unwrap().expose(),
        "https://b.example.com/v1?sig=1"
    );
    assert_eq!(
        bot.transcript_url().unwrap().expose(),
        "https://b.example.com/t1?sig=1"
    );
    let status = RecallClient::bot_status(answer(&full_bot())).unwrap();
    assert_eq!(status.unwrap().code, BotCode::Done);
}

#[test]
fn signed_urls_are_neither_printed_nor_stored() {
    let bot = RecallClient::bot(answer(&full_bot())).unwrap();
    assert!(!format!("{bot:?}").contains("sig="));
    let stored = serde_json::to_string(&bot).unwrap();
    assert!(!stored.contains("sig="), "{stored}");
    let restored: BotSnapshot = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored.statuses, bot.statuses);
    assert!(restored.recording_url().is_none());
}

#[test]
fn a_bot_without_anything_but_an_id_is_a_bot() {
    let bot = RecallClient::bot(answer(
        &json!({"id": "b1", "status_changes": null, "recordings": "x"}),
    ))
    .unwrap();
    assert!(bot.newest().is_none());
    assert!(bot.recording_url().is_none());
}

#[test]
fn bots_of_other_meetings_are_never_found() {
    let mut other = full_bot();
    other["metadata"]["meeting_id"] = json!("mtg_01jd7v8xq0c4m2t5w9z3b6n1kq");
    let mut unmarked = full_bot();
    unmarked["metadata"] = json!({});
    let page = json!({
        "count": 4,
        "next": "https://us-west-2.recall.ai/api/v1/bot/?metadata__meeting_id=x&page=2",
        "previous": null,
        "results": [other, full_bot(), unmarked, 7],
    });
    let found = RecallClient::found_bots(&meeting(), answer(&page)).unwrap();
    assert_eq!(found.bots.len(), 1);
    assert_eq!(found.next_page, Some(2));
    let last = RecallClient::found_bots(&meeting(), answer(&json!({"next": null, "results": []})))
        .unwrap();
    assert_eq!((last.bots.len(), last.next_page), (0, None));
}

#[test]
fn a_transcript_download_carries_no_credentials() {
    let request = RecallClient::get_transcript(&Secret::new("https://b.example.com/t1?sig=1"));
    assert!(request.headers.is_empty());
    assert_eq!(request.url, "https://b.example.com/t1?sig=1");
}

#[test]
fn both_transcript_formats_are_read_in_the_order_of_speech() {
    let download = json!([
        {"participant": {"id": 200, "name": "Pat"}, "language_code": "en", "words": [
            {"text": "Fine.", "start_timestamp": {"relative": 12.0, "absolute": null}, "end_timestamp": null}]},
        {"participant": {"id": 100, "name": null}, "words": [
            {"text": "How", "start_timestamp": {"relative": 9.5}, "end_timestamp": {"relative": 9.7}},
            {"text": "are you?", "start_timestamp": {"relative": 9.7}, "end_timestamp": {"relative": 10.1}}]},
        {"participant": {"id": 100}, "words": []},
        null,
    ]);
    let legacy = json!([
        {"speaker": "Pat", "speaker_id": 200, "language": "en", "words": [
            {"text": "Fine.", "start_time": 12.0, "end_time": null}]},
        {"speaker": null, "speaker_id": 100, "words": [
            {"text": "How", "start_time": 9.5, "end_time": 9.7},
            {"text": "are you?", "start_time": 9.7, "end_time": 10.1}]},
    ]);
    let download = RecallClient::transcript(answer(&download)).unwrap();
    assert_eq!(
        download,
        RecallClient::legacy_transcript(answer(&legacy)).unwrap()
    );
    let lines: Vec<_> = download
        .iter()
        .map(|segment| {
            (
                segment.start,
                segment.end,
                segment.speaker.id.as_deref(),
                segment.text.as_str(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (9.5, 10.1, Some("100"), "How are you?"),
            (12.0, 12.0, Some("200"), "Fine.")
        ]
    );
    assert_eq!(download[1].speaker.name.as_deref(), Some("Pat"));
    let no_list = RecallClient::transcript(answer(&json!({"detail": "x"}))).unwrap_err();
    assert_eq!(no_list.kind, FailureKind::UnexpectedAnswer);
}

#[test]
fn acknowledgements_need_no_body() {
    let done = Ok(Response {
        status: 204,
        ..Response::default()
    });
    assert_eq!(RecallClient::acknowledged(DELETE_BOT, done), Ok(()));
    let gone = Ok(Response {
        status: 404,
        ..Response::default()
    });
    let error = RecallClient::acknowledged(LEAVE_CALL, gone).unwrap_err();
    assert_eq!(
        (error.kind, error.operation.as_str()),
        (FailureKind::NotFound, "recall.leave_call")
    );
}

#[test]
fn the_page_url_keeps_what_was_configured_and_is_not_printed() {
    let token = Secret::new("a+b/c=");
    let tenant = TenantId::default_tenant();
    let url = build_output_media_url(
        "https://a.example.com/bot/?v=2",
        &meeting(),
        &tenant,
        &token,
    )
    .unwrap();
    assert_eq!(
        url.expose(),
        format!(
            "https://a.example.com/bot/?v=2&meeting_id={MEETING}&tenant_id=default&t=a%2Bb%2Fc%3D"
        )
    );
    assert_eq!(format!("{url:?}"), "***");
    assert!(build_output_media_url("/bot/", &meeting(), &tenant, &token).is_err());
}

#[test]
fn the_vendors_own_sample_answers_are_read() {
    let bot: Value = serde_json::from_str(include_str!("../fixtures/bot.json")).unwrap();
    assert_eq!(RecallClient::bot(answer(&bot)).unwrap().recordings.len(), 1);
    assert!(RecallClient::created_bot(answer(&bot)).is_ok());
    let recording = &bot["recordings"][0];
    assert!(
        RecallClient::recording(answer(recording))
            .unwrap()
            .media_url()
            .is_some()
    );
}

#[test]
fn a_request_to_create_carries_the_key_and_the_bot() {
    let bot = super::super::bot_request::tests::request();
    let request = client().create_bot(&bot, "effect-1");
    assert_eq!(request.url, "https://us-west-2.recall.ai/api/v1/bot/");
    assert_eq!(header(&request, "idempotency-key"), Some("effect-1"));
    assert_eq!(body(&request), bot.to_json());
}

proptest! {
    #[test]
    fn no_answer_panics(
        status in prop_oneof![Just(200_u16), 100..600_u16],
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}\":,0-9a-z. ]{0,80}".prop_map(String::into_bytes),
            Just(full_bot().to_string().into_bytes()),
        ],
        retry_after in prop::option::of("\\PC{0,20}"),
    ) {
        let headers = retry_after.map(|value| ("retry-after".to_owned(), value)).into_iter().collect();
        let outcome: Outcome = Ok(Response { status, headers, body });
        let failed = [
            RecallClient::created_bot(outcome.clone()).is_err(),
            RecallClient::bot(outcome.clone()).is_err(),
            RecallClient::recording(outcome.clone()).is_err(),
            RecallClient::found_bots(&meeting(), outcome.clone()).is_err(),
            RecallClient::transcript(outcome.clone()).is_err(),
            RecallClient::acknowledged(LEAVE_CALL, outcome).is_err(),
        ];
        prop_assert!((200..300).contains(&status) || failed == [true; 6]);
    }
}
