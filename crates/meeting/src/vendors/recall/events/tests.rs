use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::vendors::recall::Speaker;

/// One payload per line, one line per kind of event that is known to exist.
const WEBHOOKS: &str = include_str!("../fixtures/webhooks.jsonl");
const MEETING: &str = "mtg_01jd7v8xq0c4m2t5w9z3b6n1kp";

fn parse(payload: &Value) -> RecallWebhook {
    parse_webhook(payload.to_string().as_bytes()).unwrap()
}

fn fixture(event: &str) -> RecallWebhook {
    let start = format!("{{\"event\": \"{event}\"");
    let line = WEBHOOKS
        .lines()
        .find(|line| line.starts_with(&start))
        .unwrap();
    parse_webhook(line.as_bytes()).unwrap()
}

fn unknown_reason(payload: &Value) -> String {
    let RecallEvent::Unknown { reason } = parse(payload).event else {
        panic!("understood: {payload}");
    };
    reason
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[test]
fn every_known_payload_is_read_and_only_other_products_are_unknown() {
    let mut unknown = Vec::new();
    for line in WEBHOOKS.lines() {
        let webhook = parse_webhook(line.as_bytes()).unwrap();
        assert_eq!(
            route(line.as_bytes()).unwrap().event_name,
            webhook.event_name
        );
        if let RecallEvent::Unknown { .. } = webhook.event {
            unknown.push(webhook.event_name);
        } else {
            assert_eq!(webhook.bot_id, Some(BotId("bot_123".to_owned())), "{line}");
        }
    }
    assert_eq!(WEBHOOKS.lines().count(), 44);
    assert_eq!(
        unknown,
        [
            "calendar.sync_events",
            "calendar.update",
            "sdk_upload.complete",
            "sdk_upload.failed",
            "sdk_upload.recording_ended",
            "sdk_upload.recording_started",
            "transcript.provider_data",
        ]
    );
}

#[test]
fn a_status_carries_code_cause_and_time() {
    assert_eq!(
        fixture("bot.call_ended").event,
        RecallEvent::BotStatus(BotStatusChange {
            code: BotCode::CallEnded,
            sub_code: Some("meeting_ended".to_owned()),
            message: None,
            updated_at: time("2026-02-12T10:30:00Z"),
        })
    );
}

#[test]
fn times_come_with_any_precision_and_offset() {
    for (text, expected) in [
        (
            "2026-11-22T10:31:00.505440+00:00",
            time("2026-11-22T10:31:00.505440Z"),
        ),
        ("2026-11-22T12:31:00+02:00", time("2026-11-22T10:31:00Z")),
        ("2026-11-22T10:31:00.505", time("2026-11-22T10:31:00.505Z")),
        ("yesterday", None),
    ] {
        let webhook = parse(&json!({"event": "bot.done", "data": {"data": {"updated_at": text}}}));
        let RecallEvent::BotStatus(status) = webhook.event else {
            panic!("{text}")
        };
        assert_eq!(status.updated_at, expected, "{text}");
    }
}

#[test]
fn a_new_status_is_kept_in_the_vendors_words() {
    let webhook =
        parse(&json!({"event": "bot.levitating", "data": {"data": {"code": "levitating"}}}));
    let RecallEvent::BotStatus(status) = webhook.event else {
        panic!("no status")
    };
    assert_eq!(status.code, BotCode::Other("levitating".to_owned()));
    assert_eq!(
        unknown_reason(
            &json!({"event": "bot.log", "data": {"bot_id": "b", "log": {"level": "info"}}})
        ),
        "an event about a bot that is no status"
    );
}

#[test]
fn the_older_status_event_is_understood() {
    let webhook = parse(&json!({"event": "bot.status_change", "data": {
        "bot_id": "bot_9",
        "status": {"code": "in_call_recording", "created_at": "2026-11-22T10:00:43Z", "sub_code": null, "message": "hm", "recording_id": "r"},
    }}));
    assert_eq!(webhook.bot_id, Some(BotId("bot_9".to_owned())));
    assert_eq!(
        webhook.event,
        RecallEvent::BotStatus(BotStatusChange {
            code: BotCode::InCallRecording,
            sub_code: None,
            message: Some("hm".to_owned()),
            updated_at: time("2026-11-22T10:00:43Z"),
        })
    );
    assert_eq!(
        unknown_reason(&json!({"event": "bot.status_change", "data": {"bot_id": "bot_9"}})),
        "a status change without a code"
    );
}

#[test]
fn somebody_else_in_the_lobby_does_not_move_the_bot_there() {
    let webhook = parse(&json!({"event": "bot.status_change", "data": {
        "bot_id": "bot_9", "status": {"code": "participant_in_waiting_room"},
    }}));
    let RecallEvent::BotStatus(status) = webhook.event else {
        panic!("no status")
    };
    assert!(!status.code.is_known());
}

#[test]
fn artifacts_name_themselves_and_their_recording() {
    assert_eq!(
        fixture("transcript.failed").event,
        RecallEvent::Artifact(ArtifactChange {
            artifact: Artifact::Transcript,
            code: ArtifactCode::Failed,
            sub_code: Some("provider_connection_failed".to_owned()),
            recording_id: Some("rec_123".to_owned()),
            artifact_id: Some("tr_123".to_owned()),
            updated_at: time("2026-02-12T10:58:00Z"),
        })
    );
    let RecallEvent::Artifact(recording) = fixture("recording.done").event else {
        panic!("no artifact")
    };
    assert_eq!(
        (recording.artifact, recording.artifact_id),
        (Artifact::Recording, None)
    );
    let RecallEvent::Artifact(events) = fixture("participant_events.done").event else {
        panic!("no artifact")
    };
    assert_eq!(
        events.artifact,
        Artifact::Other("participant_events".to_owned())
    );
}

#[test]
fn speech_carries_speaker_words_and_times() {
    let RecallEvent::Transcript { partial, segment } = fixture("transcript.data").event else {
        panic!("no speech")
    };
    assert!(!partial);
    assert_eq!(
        segment.speaker,
        Speaker {
            id: Some("201".to_owned()),
            name: Some("Grace Hopper".to_owned())
        }
    );
    assert_eq!(segment.text, "hello world");
    assert_eq!((segment.start, segment.end), (10.1, 10.8));
    assert_eq!(segment.words.len(), 2);

    let RecallEvent::Transcript { partial, segment } = fixture("transcript.partial_data").event
    else {
        panic!("no speech")
    };
    assert!(partial);
    assert_eq!((segment.start, segment.end), (20.1, 20.1));
}

#[test]
fn missing_word_times_are_filled_from_the_neighbours() {
    let words = json!([
        {"text": " How ", "start_timestamp": {"relative": 12.0}, "end_timestamp": null},
        {"text": "", "start_timestamp": {"relative": 12.1}},
        {"text": null},
        {"text": "are", "start_timestamp": {"relative": 12.3}, "end_timestamp": {"relative": 11.0}},
        {"text": "you?", "end_timestamp": {"relative": 12.9}},
        "noise",
    ]);
    let webhook = parse(
        &json!({"event": "transcript.data", "data": {"data": {"words": words, "language_code": "en"}}}),
    );
    let RecallEvent::Transcript { segment, .. } = webhook.event else {
        panic!("no speech")
    };
    let times: Vec<_> = segment
        .words
        .iter()
        .map(|word| (word.text.as_str(), word.start, word.end))
        .collect();
    assert_eq!(
        times,
        [
            ("How", 12.0, 12.3),
            ("are", 12.3, 12.3),
            ("you?", 12.3, 12.9)
        ]
    );
    assert_eq!(
        (segment.text.as_str(), segment.start, segment.end),
        ("How are you?", 12.0, 12.9)
    );
    assert_eq!(segment.speaker, Speaker::default());
    assert_eq!(segment.language.as_deref(), Some("en"));
}

#[test]
fn participants_come_and_go() {
    let RecallEvent::Participant(event) = fixture("participant_events.leave").event else {
        panic!("no participant")
    };
    assert_eq!(event.action, ParticipantAction::Leave);
    assert_eq!(
        event.participant,
        Participant {
            id: Some("101".to_owned()),
            name: Some("Ada Lovelace".to_owned()),
            is_host: Some(true),
            platform: Some("google_meet".to_owned()),
        }
    );
    assert_eq!(
        (event.at, event.relative),
        (time("2026-02-12T10:02:00Z"), Some(121.2))
    );
    let RecallEvent::Participant(event) = fixture("participant_events.speech_on").event else {
        panic!("no participant")
    };
    assert_eq!(
        event.action,
        ParticipantAction::Other("speech_on".to_owned())
    );
}

#[test]
fn chat_messages_carry_text_and_sender() {
    let RecallEvent::Chat(chat) = fixture("participant_events.chat_message").event else {
        panic!("no chat")
    };
    assert_eq!(
        (chat.text.as_str(), chat.to.as_deref()),
        ("Hello team", Some("all"))
    );
    assert_eq!(chat.from.name.as_deref(), Some("Ada Lovelace"));
}

#[test]
fn a_known_event_without_what_matters_is_unknown_with_the_reason() {
    for (event, reason) in [
        ("transcript.data", "a transcript event without words"),
        (
            "participant_events.join",
            "a participant event without a participant",
        ),
        (
            "participant_events.chat_message",
            "a chat message without text",
        ),
        ("something", "an event we do not know"),
        ("", "an event we do not know"),
    ] {
        for data in [
            json!(null),
            json!(7),
            json!([]),
            json!({}),
            json!({"data": "x"}),
            json!({"data": {"words": {}, "data": 1}}),
        ] {
            assert_eq!(
                unknown_reason(&json!({"event": event, "data": data})),
                reason,
                "{event} {data}"
            );
        }
    }
}

#[test]
fn the_meeting_is_found_in_any_metadata_we_wrote() {
    let tagged = json!({"id": "x", "metadata": {"meeting_id": MEETING, "n": 1}});
    for place in ["bot", "recording", "realtime_endpoint"] {
        let payload = json!({"event": "bot.done", "data": {"bot": null, place: tagged}});
        let route = route(payload.to_string().as_bytes()).unwrap();
        assert_eq!(
            route.meeting_id.as_ref().map(MeetingId::as_str),
            Some(MEETING),
            "{place}"
        );
    }
    for metadata in [
        json!({"meeting_id": "mtg_nonsense"}),
        json!({"meeting_id": 7}),
        json!("x"),
        json!(null),
    ] {
        let payload =
            json!({"event": "bot.done", "data": {"bot": {"id": 12, "metadata": metadata}}});
        let route = route(payload.to_string().as_bytes()).unwrap();
        assert_eq!(
            (route.meeting_id, route.bot_id),
            (None, Some(BotId("12".to_owned())))
        );
    }
}

#[test]
fn what_is_no_event_says_why() {
    for (body, reason) in [
        ("", "the body is not valid JSON (line 1, column 0)"),
        (
            "{\"event\": \"bot.done\"",
            "the body is not valid JSON (line 1, column 20)",
        ),
        ("[]", "the body is not a JSON object"),
        ("{}", "the body has no text field `event`"),
        ("{\"event\": 1}", "the body has no text field `event`"),
    ] {
        assert_eq!(
            parse_webhook(body.as_bytes()).unwrap_err().to_string(),
            reason
        );
        assert_eq!(route(body.as_bytes()).unwrap_err().to_string(), reason);
    }
    assert!(matches!(
        route(b"\xff\xfe"),
        Err(ParseError::NotJson { .. })
    ));
    assert!(matches!(
        route("[".repeat(100_000).as_bytes()),
        Err(ParseError::NotJson { .. })
    ));
}

#[test]
fn a_webhook_survives_being_stored() {
    for line in WEBHOOKS.lines() {
        let webhook = parse_webhook(line.as_bytes()).unwrap();
        let stored = serde_json::to_string(&webhook).unwrap();
        assert_eq!(
            serde_json::from_str::<RecallWebhook>(&stored).unwrap(),
            webhook
        );
    }
}

/// Any small JSON, to be put where the vendor never puts it.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!(MEETING)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("(id|text|words|code|relative|data)", inner, 0..3)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Replaces the node that is `at` steps into the tree, counted in order.
fn replace(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| replace(field, at, with)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, at, with)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn payloads_with_a_wrong_part_are_read_or_refused_for_their_event_only(
        line in 0..44_usize, at in 1..30_usize, with in json_value(),
    ) {
        let mut payload: Value = serde_json::from_str(WEBHOOKS.lines().nth(line).unwrap()).unwrap();
        replace(&mut payload, &mut { at }, &with);
        let parsed = parse_webhook(payload.to_string().as_bytes());
        if let Value::String(name) = &payload["event"] {
            prop_assert_eq!(&parsed.unwrap().event_name, name);
        } else {
            prop_assert_eq!(parsed, Err(ParseError::NoEvent));
        }
    }

    #[test]
    fn damaged_bytes_never_panic(
        line in 0..44_usize, at in any::<prop::sample::Index>(), byte in any::<u8>(), end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = WEBHOOKS.lines().nth(line).unwrap().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let end = end.index(bytes.len() + 1);
        prop_assert_eq!(parse_webhook(&bytes[..end]).is_ok(), route(&bytes[..end]).is_ok());
    }
}
