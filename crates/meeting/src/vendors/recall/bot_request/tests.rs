use super::*;

/// A bot for a meeting in Google Meet, with nothing special about it.
pub(crate) fn request() -> BotRequest {
    BotRequest {
        meeting_url: "https://meet.google.com/abc-defg-hij".to_owned(),
        bot_name: "Ada".to_owned(),
        company: Some("Acme".to_owned()),
        join_at: None,
        meeting_id: "mtg_01jd7v8xq0c4m2t5w9z3b6n1kp".parse().unwrap(),
        tenant_id: TenantId::default_tenant(),
        presence: Presence::Voice,
        language: "en".to_owned(),
        public_url: "https://attache.example.com/".to_owned(),
        audio_endpoint: None,
        retention_hours: DEFAULT_RETENTION_HOURS,
    }
}

#[test]
fn a_voice_bot_can_play_clips_and_shows_a_still() {
    let body = request().to_json();
    assert_eq!(body["meeting_url"], "https://meet.google.com/abc-defg-hij");
    let clip = &body["automatic_audio_output"]["in_call_recording"]["data"];
    assert_eq!(clip["kind"], "mp3");
    assert_eq!(
        STANDARD.decode(clip["b64_data"].as_str().unwrap()).unwrap(),
        SILENCE
    );
    let still = &body["automatic_video_output"]["in_call_recording"];
    assert_eq!(still["kind"], "jpeg");
    assert_eq!(
        body["automatic_video_output"]["in_call_not_recording"],
        *still
    );
    assert!(
        body.get("output_media").is_none(),
        "the vendor allows one or the other"
    );
    assert!(body.get("join_at").is_none());
}

#[test]
fn the_still_shows_the_agent_and_its_company() {
    let body = request().to_json();
    let still = &body["automatic_video_output"]["in_call_recording"]["b64_data"];
    assert_eq!(
        STANDARD.decode(still.as_str().unwrap()).unwrap(),
        camera_still("Ada", Some("Acme"))
    );
}

#[test]
fn the_bot_reports_to_us_and_says_whose_it_is() {
    let body = request().to_json();
    let metadata = json!({"meeting_id": "mtg_01jd7v8xq0c4m2t5w9z3b6n1kp", "tenant_id": "default"});
    assert_eq!(body["metadata"], metadata);
    let config = &body["recording_config"];
    assert_eq!(config["metadata"], metadata);
    assert_eq!(config["retention"], json!({"type": "timed", "hours": 168}));
    assert_eq!(config["start_recording_on"], "call_join");
    assert_eq!(config["video_mixed_mp4"], json!({}));
    assert_eq!(
        config["realtime_endpoints"],
        json!([{
            "type": "webhook",
            "url": "https://attache.example.com/webhooks/recall",
            "events": [
                "transcript.data", "transcript.partial_data", "participant_events.join",
                "participant_events.leave", "participant_events.update", "participant_events.chat_message",
            ],
            "metadata": metadata,
        }])
    );
    assert!(config.get("audio_mixed_raw").is_none());
}

#[test]
fn the_calls_sound_is_asked_for_only_where_somebody_listens() {
    let url = "wss://attache.example.com/recall/media/mtg_1/".to_owned();
    let body = BotRequest {
        audio_endpoint: Some(AudioEndpoint { url: url.clone() }),
        ..request()
    }
    .to_json();
    let config = &body["recording_config"];
    let endpoint = &config["realtime_endpoints"][1];
    assert_eq!(endpoint["type"], "websocket");
    assert_eq!(endpoint["url"], json!(url));
    assert_eq!(endpoint["events"], json!(["audio_mixed_raw.data"]));
    assert_eq!(config["audio_mixed_raw"], json!({}));
}

#[test]
fn only_english_is_transcribed_fast() {
    for (language, mode, code) in [
        ("en", "prioritize_low_latency", "en"),
        ("en-US", "prioritize_low_latency", "en"),
        ("de-DE", "prioritize_accuracy", "de"),
    ] {
        let body = BotRequest {
            language: language.to_owned(),
            ..request()
        }
        .to_json();
        assert_eq!(
            body["recording_config"]["transcript"],
            json!({"provider": {"recallai_streaming": {"mode": mode, "language_code": code}}})
        );
    }
}

#[test]
fn patience_in_the_lobby_is_what_the_platform_allows() {
    for (url, seconds) in [
        ("https://meet.google.com/abc-defg-hij", 600),
        ("https://us02web.zoom.us/j/1?pwd=x", 1_200),
        ("https://teams.microsoft.com/l/meetup-join/x", 1_200),
        ("not a url", 1_200),
    ] {
        let body = BotRequest {
            meeting_url: url.to_owned(),
            ..request()
        }
        .to_json();
        assert_eq!(
            body["automatic_leave"]["waiting_room_timeout"], seconds,
            "{url}"
        );
    }
}

#[test]
fn no_bot_stays_for_ever() {
    let leave = &request().to_json()["automatic_leave"];
    assert_eq!(
        leave["everyone_left_timeout"],
        json!({"timeout": 30, "activate_after": 0})
    );
    for timer in [
        "noone_joined_timeout",
        "in_call_not_recording_timeout",
        "in_call_recording_timeout",
        "recording_permission_denied_timeout",
    ] {
        assert!(leave[timer].as_u64().unwrap() <= 4 * 3_600, "{timer}");
    }
    assert!(leave["silence_detection"]["timeout"].as_u64().unwrap() < 3_600);
    let names = leave["bot_detection"]["using_participant_names"]["matches"]
        .as_array()
        .unwrap();
    assert!(names.iter().all(|name| {
        !"Abbot Talbot, Roberta Recordon"
            .to_lowercase()
            .contains(name.as_str().unwrap())
    }));
}

#[test]
fn a_schedule_is_written_as_the_vendor_reads_it() {
    let join_at = Some("2026-12-01T14:57:00Z".parse().unwrap());
    let body = BotRequest {
        join_at,
        ..request()
    }
    .to_json();
    assert_eq!(body["join_at"], "2026-12-01T14:57:00Z");
}

#[test]
fn long_names_are_cut_to_the_vendors_limit() {
    let body = BotRequest {
        bot_name: "ä".repeat(150),
        ..request()
    }
    .to_json();
    assert_eq!(body["bot_name"].as_str().unwrap().chars().count(), 100);
}
