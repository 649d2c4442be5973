//! Avatar sessions through real calls and sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a broken socket fails the test that uses it"
)]

mod support;

use std::time::Duration;

use attache_simulator::{
    AvatarEnd, AvatarFault, AvatarHabits, AvatarNews, AvatarProvider, Fault, Operation, Side,
    Simulator, SimulatorConfig,
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use support::avatar::{Client, connected, next, open, read_until, say, speech, tell};
use support::{Bench, MEET, SOON, answer};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;

fn ended(session_id: &str) -> impl Fn(&str, &AvatarNews) -> bool + use<> {
    let session_id = session_id.to_owned();
    move |id, news| id == session_id && matches!(news, AvatarNews::Ended { .. })
}

#[tokio::test]
async fn speech_made_by_one_vendor_is_said_by_the_other() {
    let bench = Bench::instant().await;
    let client = Client::new(&bench.sim, "mtg_1");
    let session = client.start().await;
    let mut socket = connected(&session).await;
    let pcm = speech(&bench, "Hi, this is Ada.").await;
    say(&mut socket, "utt-1", &pcm).await;
    read_until(&mut socket, |message| message["new_state"] == "talking").await;
    read_until(&mut socket, |message| message["new_state"] == "idle").await;
    let spoken = bench
        .sim
        .wait_for_avatar_speech("mtg_1", "Ada", SOON)
        .await
        .unwrap();
    assert!(spoken.utterances[0].whole);
    assert_eq!(spoken.utterances[0].pcm[..], pcm[..]);
    client.stop(&session).await;
    read_until(&mut socket, |message| message["close"] == 1000).await;
    let [session] = &bench.sim.avatar_sessions_for("mtg_1")[..] else {
        panic!("one session")
    };
    assert_eq!(session.provider, AvatarProvider::LiveAvatar);
    assert_eq!(session.ended.unwrap().by, Side::Client);
    assert_eq!(session.violations, Vec::<String>::new());
    assert_eq!(session.deviations, Vec::<String>::new());
    let balance = bench.sim.avatar_balance();
    assert_eq!((balance.started, balance.stopped, balance.live), (1, 1, 0));
    let journal = format!("{:?}", bench.sim.journal());
    assert!(!journal.contains("fake-liveavatar-key") && !journal.contains("eyJ"));
}

#[tokio::test]
async fn an_interrupt_is_heard_at_once() {
    let bench = Bench::instant().await;
    let client = Client::new(&bench.sim, "mtg_1");
    let session = client.start().await;
    let mut socket = connected(&session).await;
    say(
        &mut socket,
        "utt-1",
        &speech(&bench, "This would take a while to say in full.").await,
    )
    .await;
    read_until(&mut socket, |message| message["new_state"] == "talking").await;
    tell(&mut socket, "agent.interrupt", "int-1").await;
    let cleared = read_until(&mut socket, |message| {
        message["type"] == "agent.audio_buffer_cleared"
    })
    .await;
    assert_eq!(cleared["source_event_id"], "int-1");
    read_until(&mut socket, |message| message["new_state"] == "idle").await;
    let session = &bench.sim.avatar_sessions()[0];
    assert_eq!(session.interrupts[0].cut, [0]);
    assert!(session.utterances[0].heard < Duration::from_secs(1));
}

#[tokio::test]
async fn a_socket_breaks_in_every_way_and_can_be_opened_again() {
    let bench = Bench::instant().await;
    let sim = &bench.sim;
    let client = Client::new(sim, "mtg_1");
    let session = client.start().await;
    let id = session["session_id"].as_str().unwrap();
    let mut socket = connected(&session).await;
    assert!(sim.avatar_fault(id, &AvatarFault::Abort));
    read_until(&mut socket, |message| message["close"] == "cut").await;
    let mut socket = connected(&session).await;
    let close = AvatarFault::Close {
        code: 1011,
        reason: "pong timeout".to_owned(),
    };
    assert_eq!(sim.avatar_fault_for("mtg_1", &close), 1);
    read_until(&mut socket, |message| message["close"] == 1011).await;
    let mut socket = connected(&session).await;
    sim.avatar_fault(id, &AvatarFault::HalfOpen);
    tell(&mut socket, "session.keep_alive", "ka-1").await;
    assert!(
        timeout(Duration::from_millis(200), socket.next())
            .await
            .is_err()
    );
    assert_eq!(sim.avatar_session(id).unwrap().keep_alives.len(), 0);
    drop(socket);
    let mut socket = open(&session).await;
    let end = AvatarFault::End(AvatarEnd::ServerError);
    assert!(sim.avatar_fault(id, &end));
    read_until(&mut socket, |message| message["close"] == 1000).await;
    assert!(
        connect_async(session["ws_url"].as_str().unwrap())
            .await
            .is_err()
    );
    assert_eq!(sim.avatar_session(id).unwrap().sockets, 4);
}

#[tokio::test]
async fn time_that_is_skipped_ends_sessions_with_and_without_sockets() {
    let bench = Bench::instant().await;
    let client = Client::new(&bench.sim, "mtg_1");
    let (first, second) = (client.start().await, client.start().await);
    let mut socket = connected(&first).await;
    bench.sim.skip(Duration::from_mins(3));
    tell(&mut socket, "session.keep_alive", "ka-1").await;
    bench
        .sim
        .wait_for_avatar(|_, news| *news == AvatarNews::KeptAlive, SOON)
        .await
        .unwrap();
    bench.sim.skip(Duration::from_secs(20));
    for session in [&first, &second] {
        let id = session["session_id"].as_str().unwrap();
        let ended = bench.sim.wait_for_avatar(ended(id), SOON).await.unwrap();
        assert_eq!(ended.ended.unwrap().reason, AvatarEnd::ZombieSessionReap);
    }
    read_until(&mut socket, |message| message["close"] == 1000).await;
}

#[tokio::test]
async fn a_rotation_shows_as_the_overlap_it_is() {
    let bench = Bench::instant().await;
    let client = Client::new(&bench.sim, "mtg_1");
    let first = client.start().await;
    let second = client.start().await;
    client.stop(&first).await;
    let third = client.start().await;
    client.stop(&second).await;
    client.stop(&third).await;
    Client::new(&bench.sim, "mtg_2").start().await;
    let overlaps = bench.sim.avatar_overlaps("mtg_1");
    let ids: Vec<_> = overlaps
        .iter()
        .map(|overlap| (overlap.first.as_str(), overlap.second.as_str()))
        .collect();
    let id = |session: &Value| session["session_id"].as_str().unwrap().to_owned();
    assert_eq!(
        ids,
        [
            (id(&first).as_str(), id(&second).as_str()),
            (id(&second).as_str(), id(&third).as_str())
        ]
    );
    assert!(bench.sim.avatar_overlaps("mtg_2").is_empty());
    assert_eq!(
        bench
            .sim
            .wait_for_avatar_session("mtg_1", 3, SOON)
            .await
            .unwrap()
            .id,
        id(&third)
    );
}

#[tokio::test]
async fn calls_fail_as_asked_and_for_the_meeting_asked() {
    let bench = Bench::instant().await;
    let sim = &bench.sim;
    for meeting in ["mtg_1", "mtg_2"] {
        let url = if meeting == "mtg_1" {
            MEET
        } else {
            "https://meet.google.com/xyz-abcd-efg"
        };
        bench
            .create(&json!({ "meeting_url": url, "metadata": { "meeting_id": meeting } }))
            .await;
    }
    sim.fault_for(MEET, Operation::LiveAvatarToken, Fault::status(500));
    let wanted = json!({ "avatar_id": "1c690fe7-23e0-49f9-bfba-14344450285b" });
    Client::new(sim, "mtg_2").start().await;
    let client = Client::new(sim, "mtg_1");
    let (status, body) = client.with_key("/sessions/token", &wanted).await;
    assert_eq!((status, &body["code"]), (500, &json!(5000)));
    let session = client.start().await;
    sim.fault_for(MEET, Operation::LiveAvatarStop, Fault::status(503));
    let named = json!({ "session_id": session["session_id"] });
    assert_eq!(client.with_key("/sessions/stop", &named).await.0, 503);
    assert!(
        sim.avatar_session(session["session_id"].as_str().unwrap())
            .unwrap()
            .is_live()
    );
    sim.fault(Operation::AvatarSocket, Fault::status(503));
    let refused = connect_async(session["ws_url"].as_str().unwrap()).await;
    assert!(refused.unwrap_err().to_string().contains("503"));
    sim.fault(Operation::AvatarSocket, Fault::CloseAfterAccept);
    let mut cut = open(&session).await;
    assert_eq!(next(&mut cut).await["close"], "cut");
}

#[tokio::test]
async fn a_session_is_the_meetings_whose_page_is_shown_or_who_watches_it() {
    let bench = Bench::instant().await;
    let page = json!({ "camera": { "kind": "webpage", "config": { "url": "https://agent.example.com/bot/" } } });
    let create = |url: &str, meeting_id: &str| json!({ "meeting_url": url, "metadata": { "meeting_id": meeting_id }, "output_media": page });
    bench.create(&create(MEET, "mtg_1")).await;
    let anonymous = || async {
        let wanted = json!({ "version": "v2", "quality": "high" });
        let url = format!("{}/streaming.new", bench.sim.heygen_base_url());
        let request = bench.http.post(url).header("x-api-key", "fake-heygen-key");
        let (status, made) = answer(request.json(&wanted)).await;
        assert_eq!(status, 200, "{made}");
        made["data"].clone()
    };
    anonymous().await;
    assert_eq!(
        bench.sim.avatar_sessions()[0].meeting_id.as_deref(),
        Some("mtg_1")
    );
    bench
        .create(&create("https://meet.google.com/xyz-abcd-efg", "mtg_2"))
        .await;
    let made = anonymous().await;
    assert_eq!(bench.sim.avatar_sessions()[1].meeting_id, None);
    let token = made["access_token"].as_str().unwrap();
    let seat = bench.sim.watch_avatar(token, Some("mtg_2")).unwrap();
    let watched = &bench.sim.avatar_sessions_for("mtg_2")[0];
    assert_eq!(
        (watched.provider, watched.viewers.len()),
        (AvatarProvider::HeyGen, 1)
    );
    drop(seat);
    assert!(
        bench.sim.avatar_sessions_for("mtg_2")[0].viewers[0]
            .left_at
            .is_some()
    );
    assert!(bench.sim.watch_avatar("another", None).is_none());
}

#[tokio::test]
async fn habits_can_change_while_it_runs() {
    let sim = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let client = Client::new(&sim, "mtg_1");
    sim.set_avatar_habits(AvatarHabits {
        connects_after: None,
        ..sim.avatar_habits()
    });
    let session = client.start().await;
    let mut socket = open(&session).await;
    assert_eq!(next(&mut socket).await["state"], "connecting");
    tell(&mut socket, "session.keep_alive", "ka-1").await;
    let dropped = sim
        .wait_for_avatar(|_, news| matches!(news, AvatarNews::Violation(_)), SOON)
        .await
        .unwrap();
    assert!(!dropped.connected);
    sim.stop().await;
    assert_eq!(next(&mut socket).await["close"], "cut");
}
