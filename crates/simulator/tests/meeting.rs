//! Whole meetings through the sockets: what a bot does, what is told about it, what it leaves behind.

mod support;

use std::time::Duration;

use attache_simulator::{Event, Heard, MeetingScript, SimulatorConfig};
use serde_json::json;
use support::{Bench, MEET, SOON, speaking_bot};

#[tokio::test]
async fn a_demo_meeting_runs_from_the_lobby_to_its_artifacts() {
    let config = SimulatorConfig {
        time_scale: 50.0,
        ..SimulatorConfig::default()
    };
    let bench = Bench::start(config).await;
    let bot_id = bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench.wait_for_event("transcript.done").await;
    let workspace: Vec<_> = bench
        .inbox
        .all()
        .into_iter()
        .filter(|arrived| arrived.path == "/workspace")
        .map(|a| a.event())
        .collect();
    let mut statuses: Vec<_> = workspace
        .iter()
        .filter(|event| event.starts_with("bot."))
        .cloned()
        .collect();
    statuses.sort();
    assert_eq!(
        statuses,
        [
            "bot.call_ended",
            "bot.done",
            "bot.in_call_not_recording",
            "bot.in_call_recording",
            "bot.in_waiting_room",
            "bot.joining_call",
        ]
    );
    for event in [
        "recording.done",
        "transcript.processing",
        "video_mixed.done",
        "participant_events.done",
    ] {
        assert!(
            workspace.iter().any(|name| name == event),
            "{event} is missing in {workspace:?}"
        );
    }
    let (_, bot) = bench.get(&format!("/bot/{bot_id}/")).await;
    let codes: Vec<_> = bot["status_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["code"].clone())
        .collect();
    assert_eq!(
        codes,
        [
            "joining_call",
            "in_waiting_room",
            "in_call_not_recording",
            "in_call_recording",
            "call_ended",
            "done",
        ]
    );
    assert_eq!(bot["status_changes"][4]["sub_code"], "call_ended_by_host");
    let url = bot["recordings"][0]["media_shortcuts"]["transcript"]["data"]["download_url"]
        .as_str()
        .unwrap();
    let transcript: serde_json::Value = bench
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(transcript.as_array().unwrap().len(), 4);
    assert_eq!(transcript[0]["participant"]["name"], "Dana Whitfield");
    assert_eq!(transcript[0]["words"][0]["text"], "Welcome,");
    bench.sim.stop().await;
}

#[tokio::test]
async fn real_time_events_arrive_in_order_and_end_with_the_final_transcript() {
    let config = SimulatorConfig {
        time_scale: 50.0,
        ..SimulatorConfig::default()
    };
    let bench = Bench::start(config).await;
    bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench.wait_for_event("bot.done").await;
    bench.wait_for_event("participant_events.leave").await;
    let realtime: Vec<_> = bench
        .inbox
        .all()
        .into_iter()
        .filter(|arrived| arrived.path == "/realtime/?meeting=1")
        .collect();
    let events: Vec<_> = realtime.iter().map(support::Arrived::event).collect();
    let line = [
        "transcript.partial_data",
        "transcript.partial_data",
        "transcript.data",
    ];
    let expected = ["participant_events.join", "participant_events.join"]
        .into_iter()
        .chain(line)
        .chain(line)
        .chain(line)
        .chain(["participant_events.chat_message"])
        .chain(line)
        .chain(["participant_events.leave"]);
    assert_eq!(events, expected.collect::<Vec<_>>());
    let last = realtime[4].json();
    let words: Vec<_> = last["data"]["data"]["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["text"].as_str().unwrap())
        .collect();
    assert_eq!(words.join(" "), "Welcome, good to have you with us.");
    assert_eq!(last["data"]["bot"]["metadata"]["meeting_id"], "mtg_1");
}

#[tokio::test]
async fn the_room_hears_what_was_synthesized_and_the_words_are_known() {
    let bench = Bench::instant().await;
    let bot_id = bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench
        .sim
        .wait_for_status(MEET, "in_call_recording", SOON)
        .await
        .unwrap();
    let greeting = "Hi, this is Ada joining from Acme.";
    let clip = bench.clip(greeting).await;
    let body = json!({ "kind": "mp3", "b64_data": clip });
    let (status, _) = bench
        .post(&format!("/bot/{bot_id}/output_audio/"), &body)
        .await;
    assert_eq!(status, 200);
    let heard = bench.sim.heard(MEET);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].automatic());
    let audio = heard[1].audio().unwrap();
    assert_eq!(audio.text.as_deref(), Some(greeting));
    assert_eq!(
        bench.sim.spoken_text(&audio.sha256).as_deref(),
        Some(greeting)
    );
    assert!(!audio.overlapping && !audio.truncated && !audio.stopped);
    assert!((2200..2400).contains(&audio.duration_ms));
}

#[tokio::test]
async fn a_second_clip_at_once_overlaps_and_a_stop_cuts_both() {
    let bench = Bench::instant().await;
    let bot_id = bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench
        .sim
        .wait_for_status(MEET, "in_call_recording", SOON)
        .await
        .unwrap();
    for text in ["The first of two sentences.", "The second one, too early."] {
        let body = json!({ "kind": "mp3", "b64_data": bench.clip(text).await });
        bench
            .post(&format!("/bot/{bot_id}/output_audio/"), &body)
            .await;
    }
    let (status, _) = bench.delete(&format!("/bot/{bot_id}/output_audio/")).await;
    assert_eq!(status, 200);
    let spoken: Vec<_> = bench
        .sim
        .heard(MEET)
        .into_iter()
        .filter(|heard| !heard.automatic())
        .collect();
    let overlapping: Vec<_> = spoken
        .iter()
        .map(|heard| heard.audio().unwrap().overlapping)
        .collect();
    assert_eq!(overlapping, [false, true]);
    assert!(spoken.iter().all(|heard| heard.audio().unwrap().stopped));
}

#[tokio::test]
async fn leave_call_ends_the_call_and_says_who_asked() {
    let bench = Bench::instant().await;
    let bot_id = bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench
        .sim
        .wait_for_status(MEET, "in_call_recording", SOON)
        .await
        .unwrap();
    let (status, _) = bench
        .post(&format!("/bot/{bot_id}/leave_call/"), &json!({}))
        .await;
    assert_eq!(status, 200);
    bench.sim.wait_for_status(MEET, "done", SOON).await.unwrap();
    let bot = bench.sim.bot(&bot_id).unwrap();
    let ended = bot
        .status_changes
        .iter()
        .find(|(code, _)| code == "call_ended")
        .unwrap();
    assert_eq!(ended.1.as_deref(), Some("bot_received_leave_call"));
    let (status, refusal) = bench
        .post(&format!("/bot/{bot_id}/leave_call/"), &json!({}))
        .await;
    assert_eq!(
        (status, refusal["code"].as_str().unwrap()),
        (400, "cannot_command_completed_bot")
    );
}

#[tokio::test]
async fn the_bots_own_chat_message_comes_back_unmarked() {
    let bench = Bench::instant().await;
    let bot_id = bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench
        .sim
        .wait_for_status(MEET, "in_call_recording", SOON)
        .await
        .unwrap();
    let body = json!({ "to": "everyone", "message": "Hello from Ada" });
    let (status, _) = bench
        .post(&format!("/bot/{bot_id}/send_chat_message/"), &body)
        .await;
    assert_eq!(status, 200);
    bench
        .wait_for_event("participant_events.chat_message")
        .await;
    let chat = bench
        .inbox
        .all()
        .into_iter()
        .find(|a| a.event() == "participant_events.chat_message")
        .unwrap()
        .json();
    assert_eq!(chat["data"]["data"]["participant"]["name"], "Ada (Acme)");
    assert_eq!(chat["data"]["data"]["data"]["text"], "Hello from Ada");
    assert!(
        matches!(&bench.sim.heard(MEET)[1], Heard::Chat { text, automatic: false, .. } if text == "Hello from Ada")
    );
}

#[tokio::test]
async fn a_manual_meeting_moves_only_when_told() {
    let bench = Bench::manual().await;
    let bot_id = bench.create(&json!({ "meeting_url": MEET })).await;
    assert_eq!(bench.sim.bot(&bot_id).unwrap().status(), None);
    bench.sim.advance(&bot_id, Event::JoiningCall).unwrap();
    bench
        .sim
        .advance(&bot_id, Event::Fatal("meeting_not_found".to_owned()))
        .unwrap();
    bench.wait_for_event("bot.fatal").await;
    assert!(bench.sim.bot(&bot_id).unwrap().over);
    assert!(bench.sim.advance("nobody", Event::Done).is_err());
}

#[tokio::test]
async fn a_scheduled_bot_joins_when_the_clock_reaches_its_time() {
    let bench = Bench::instant().await;
    let join_at = bench.sim.now() + Duration::from_hours(1);
    let bot_id = bench
        .create(&json!({ "meeting_url": MEET, "join_at": join_at.to_string() }))
        .await;
    assert!(bench.sim.bot(&bot_id).unwrap().scheduled);
    bench.sim.skip(Duration::from_secs(3590));
    assert_eq!(bench.sim.bot(&bot_id).unwrap().status(), None);
    bench.sim.skip(Duration::from_secs(11));
    bench
        .sim
        .wait_for_status(MEET, "in_call_recording", SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_bot_nobody_admits_leaves_when_its_patience_ends() {
    let bench = Bench::start(SimulatorConfig {
        time_scale: 600.0,
        default_script: MeetingScript::never_admitted(),
        ..SimulatorConfig::default()
    })
    .await;
    let body = json!({ "meeting_url": MEET, "automatic_leave": { "waiting_room_timeout": 300 } });
    let bot_id = bench.create(&body).await;
    bench.sim.wait_for_status(MEET, "done", SOON).await.unwrap();
    let changes = bench.sim.bot(&bot_id).unwrap().status_changes;
    assert_eq!(
        changes[2],
        (
            "call_ended".to_owned(),
            Some("timeout_exceeded_waiting_room".to_owned())
        )
    );
}

#[tokio::test]
async fn three_hundred_bots_run_side_by_side() {
    let bench = Bench::instant().await;
    let creates = (0..300).map(|n| {
        let body = json!({ "meeting_url": format!("https://meet.google.com/abc-{n:04}-xyz") });
        {
            let bench = &bench;
            async move { bench.create(&body).await }
        }
    });
    let ids = futures_util::future::join_all(creates).await;
    for id in &ids {
        bench
            .post(&format!("/bot/{id}/leave_call/"), &json!({}))
            .await;
    }
    let mut done = 0;
    let count_done = |entry: &attache_simulator::Entry| {
        done += usize::from(
            entry
                .what
                .webhook()
                .is_some_and(|sent| sent.event == "bot.done"),
        );
        done == 300
    };
    bench
        .sim
        .wait_for(count_done, Duration::from_secs(30))
        .await
        .unwrap();
}
