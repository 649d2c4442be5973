//! Streams to Deepgram through real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a broken socket fails the test that uses it"
)]

mod support;

use std::time::Duration;

use attache_simulator::{
    Fault, ListeningDrop, ListeningNews, Operation, Side, Simulator, SimulatorConfig,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::{Bench, MEET, SOON};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const QUERY: &str = "model=nova-3&encoding=linear16&sample_rate=16000&interim_results=true&endpointing=300\
    &punctuate=true&diarize_model=latest";
const CLOSE_STREAM: &str = r#"{"type":"CloseStream"}"#;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn dial(sim: &Simulator, meeting_id: &str, key: &str) -> Result<(Socket, Response), Error> {
    let origin = sim.deepgram_base_url().replacen("http", "ws", 1);
    let url = format!("{origin}/v1/listen?{QUERY}&extra=meeting_id:{meeting_id}");
    let mut request = url.into_client_request()?;
    let token = format!("Token {key}").parse().unwrap();
    request.headers_mut().insert("authorization", token);
    request
        .headers_mut()
        .insert("user-agent", "test/1".parse().unwrap());
    connect_async(request).await
}

async fn open(sim: &Simulator, meeting_id: &str) -> Socket {
    dial(sim, meeting_id, "fake-deepgram-key").await.unwrap().0
}

async fn refused(sim: &Simulator, meeting_id: &str, key: &str) -> Response {
    match dial(sim, meeting_id, key).await {
        Err(Error::Http(response)) => response.map(|body| body),
        other => panic!("not refused: {other:?}"),
    }
}

async fn instant() -> Simulator {
    Simulator::start(SimulatorConfig::default()).await.unwrap()
}

/// Everything that comes until the socket is over; the close frame as `{"close": code}`.
async fn read_to_the_end(socket: &mut Socket) -> Vec<Value> {
    let mut messages = Vec::new();
    while let Some(Ok(message)) = timeout(SOON, socket.next()).await.unwrap() {
        if let Message::Close(Some(frame)) = message {
            messages.push(json!({ "close": u16::from(frame.code) }));
        } else {
            messages.push(serde_json::from_str(message.to_text().unwrap()).unwrap());
        }
    }
    messages
}

async fn closed(sim: &Simulator, meeting_id: &str) -> (u16, Side) {
    let ends = |id: Option<&str>, news: &ListeningNews| {
        id == Some(meeting_id) && matches!(news, ListeningNews::Closed { .. })
    };
    let session = sim.wait_for_listening(ends, SOON).await.unwrap();
    (session.closed.unwrap().0, session.closed_by.unwrap())
}

async fn heard_audio(sim: &Simulator, meeting_id: &str) {
    let first = |id: Option<&str>, news: &ListeningNews| {
        id == Some(meeting_id) && *news == ListeningNews::FirstAudio
    };
    sim.wait_for_listening(first, SOON).await.unwrap();
}

#[tokio::test]
async fn a_line_goes_in_and_its_text_comes_out() {
    let sim = instant().await;
    let line = sim.line("Bob", "Shall we begin?");
    let (mut socket, response) = dial(&sim, "mtg_1", "fake-deepgram-key").await.unwrap();
    for frame in [line.pcm.clone(), vec![0; 32_000]].concat().chunks(640) {
        socket.send(Message::binary(frame.to_vec())).await.unwrap();
    }
    socket.send(Message::text(CLOSE_STREAM)).await.unwrap();
    let messages = read_to_the_end(&mut socket).await;
    let spoken = messages
        .iter()
        .find(|message| message["speech_final"] == true)
        .unwrap();
    assert_eq!(
        spoken["channel"]["alternatives"][0]["transcript"],
        line.text
    );
    assert_eq!(messages[messages.len() - 2]["type"], "Metadata");
    assert_eq!(messages[messages.len() - 1]["close"], 1000);
    let [session] = &sim.listening_sessions_for("mtg_1")[..] else {
        panic!("one stream")
    };
    assert_eq!(response.headers()["dg-request-id"], session.id.as_str());
    assert_eq!(session.violations, Vec::<String>::new());
    assert_eq!(session.texts[0].audio_bytes, session.audio_bytes);
    assert_eq!(closed(&sim, "mtg_1").await, (1000, Side::Vendor));
    assert_eq!(sim.listening_finals("mtg_1"), [line.text.as_str()]);
    let found = sim.wait_for_listening_final("mtg_1", "begin", SOON).await;
    assert_eq!(found.unwrap().id, session.id);
}

#[tokio::test]
async fn a_wrong_key_and_faults_are_answered_before_the_upgrade() {
    let sim = instant().await;
    assert_eq!(
        refused(&sim, "mtg_1", "another").await.status(),
        StatusCode::UNAUTHORIZED
    );
    for status in [400, 401, 402, 403, 429, 503] {
        sim.fault(Operation::Listen, Fault::status(status));
        let response = refused(&sim, "mtg_1", "fake-deepgram-key").await;
        assert_eq!(response.status(), status);
        let body: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
        assert_eq!(
            body["request_id"],
            response.headers()["dg-request-id"].to_str().unwrap()
        );
        assert_eq!(
            body["err_msg"],
            response.headers()["dg-error"].to_str().unwrap()
        );
    }
    assert!(sim.listening_sessions().is_empty());
    let refusals = sim
        .journal()
        .into_iter()
        .filter(|entry| entry.to_string().contains("refused with"));
    assert_eq!(refusals.count(), 7);
    let journal = format!("{:?}", sim.journal());
    assert!(!journal.contains("fake-deepgram-key") && !journal.contains("another"));
}

#[tokio::test]
async fn a_handshake_can_be_late_never_answered_or_cut() {
    let sim = instant().await;
    let soon = Duration::from_millis(300);
    sim.fault(
        Operation::Listen,
        Fault::Latency(Duration::from_millis(100)),
    );
    let started = tokio::time::Instant::now();
    open(&sim, "mtg_1").await;
    assert!(started.elapsed() >= Duration::from_millis(100));
    sim.fault(Operation::Listen, Fault::TimeoutAfterAccept);
    assert!(
        timeout(soon, dial(&sim, "mtg_1", "fake-deepgram-key"))
            .await
            .is_err()
    );
    sim.fault(Operation::Listen, Fault::CloseWithoutAnswer);
    assert!(dial(&sim, "mtg_1", "fake-deepgram-key").await.is_err());
    assert_eq!(sim.listening_sessions().len(), 1);
    sim.fault(Operation::Listen, Fault::CloseAfterAccept);
    let mut cut = open(&sim, "mtg_2").await;
    assert!(read_to_the_end(&mut cut).await.is_empty());
    assert_eq!(closed(&sim, "mtg_2").await, (1006, Side::Vendor));
}

#[tokio::test]
async fn a_fault_is_for_the_meeting_of_the_bot_that_names_it() {
    let bench = Bench::instant().await;
    bench
        .create(&json!({ "meeting_url": MEET, "metadata": { "meeting_id": "mtg_1" } }))
        .await;
    bench
        .sim
        .fault_for(MEET, Operation::Listen, Fault::status(503));
    open(&bench.sim, "mtg_2").await;
    let response = refused(&bench.sim, "mtg_1", "fake-deepgram-key").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn streams_break_one_meeting_at_a_time_and_in_every_way() {
    let sim = instant().await;
    let mut first = open(&sim, "mtg_1").await;
    let mut second = open(&sim, "mtg_2").await;
    assert_eq!(
        sim.drop_listening_for("mtg_1", &ListeningDrop::internal()),
        1
    );
    assert_eq!(
        read_to_the_end(&mut first).await,
        [json!({ "close": 1011 })]
    );
    assert_eq!(sim.drop_listening(&ListeningDrop::Abort), 1);
    assert!(read_to_the_end(&mut second).await.is_empty());
    assert_eq!(closed(&sim, "mtg_2").await, (1006, Side::Vendor));
    let mut third = open(&sim, "mtg_3").await;
    sim.drop_listening(&ListeningDrop::HalfOpen);
    third.send(Message::text(CLOSE_STREAM)).await.unwrap();
    assert!(
        timeout(Duration::from_millis(200), third.next())
            .await
            .is_err()
    );
    assert!(sim.listening_sessions_for("mtg_3")[0].texts.is_empty());
}

#[tokio::test]
async fn time_that_is_skipped_runs_out_for_streams_too() {
    let sim = instant().await;
    let mut socket = open(&sim, "mtg_1").await;
    socket.send(Message::binary(vec![0; 640])).await.unwrap();
    heard_audio(&sim, "mtg_1").await;
    sim.skip(Duration::from_secs(11));
    assert_eq!(
        read_to_the_end(&mut socket).await,
        [json!({ "close": 1011 })]
    );
}

#[tokio::test]
async fn a_client_that_closes_or_vanishes_frees_its_place() {
    let config = SimulatorConfig {
        deepgram_concurrency: Some(1),
        ..SimulatorConfig::default()
    };
    let sim = Simulator::start(config).await.unwrap();
    let mut socket = open(&sim, "mtg_1").await;
    assert_eq!(
        refused(&sim, "mtg_2", "fake-deepgram-key").await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    socket.close(None).await.unwrap();
    assert_eq!(closed(&sim, "mtg_1").await, (1005, Side::Client));
    let socket = open(&sim, "mtg_2").await;
    drop(socket);
    assert_eq!(closed(&sim, "mtg_2").await, (1006, Side::Client));
    open(&sim, "mtg_2").await;
    let again = sim
        .wait_for_listening_session("mtg_2", 2, SOON)
        .await
        .unwrap();
    assert_eq!(again.id, sim.listening_sessions_for("mtg_2")[1].id);
}

#[tokio::test]
async fn a_simulator_that_stops_takes_its_streams_along() {
    let sim = instant().await;
    let mut socket = open(&sim, "mtg_1").await;
    sim.stop().await;
    assert!(read_to_the_end(&mut socket).await.is_empty());
}
