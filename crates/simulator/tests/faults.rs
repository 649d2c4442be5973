//! Faults through the sockets: what the client sees, and whether the work was done.

mod support;

use std::time::Duration;

use attache_simulator::{Fault, FaultBody, FaultScope, Operation, SimulatorConfig, What};
use serde_json::json;
use support::{Bench, MEET, SOON};

const OTHER_MEET: &str = "https://meet.google.com/xyz-wxyz-xyz";

#[tokio::test]
async fn statuses_come_in_the_order_they_were_queued_and_carry_retry_after() {
    let bench = Bench::manual().await;
    bench
        .sim
        .fault(Operation::CreateBot, Fault::status_retry_after(507, 30));
    bench.sim.fault(Operation::CreateBot, Fault::status(429));
    let body = json!({ "meeting_url": MEET });
    let first = bench
        .recall(reqwest::Method::POST, "/bot/")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(first.status(), 507);
    assert_eq!(first.headers()["retry-after"], "30");
    assert_eq!(bench.post("/bot/", &body).await.0, 429);
    assert_eq!(bench.post("/bot/", &body).await.0, 201);
    assert_eq!(bench.sim.bots().len(), 1);
}

#[tokio::test]
async fn a_fault_for_one_meeting_leaves_the_others_alone() {
    let bench = Bench::manual().await;
    bench
        .sim
        .fault_for(MEET, Operation::CreateBot, Fault::status(402));
    assert_eq!(
        bench
            .post("/bot/", &json!({ "meeting_url": OTHER_MEET }))
            .await
            .0,
        201
    );
    assert_eq!(
        bench.post("/bot/", &json!({ "meeting_url": MEET })).await.0,
        402
    );
}

#[tokio::test]
async fn an_answer_that_never_comes_has_done_its_work_and_the_key_brings_it_back() {
    let bench = Bench::manual().await;
    bench
        .sim
        .fault(Operation::CreateBot, Fault::TimeoutAfterAccept);
    let ask = || {
        let request = bench
            .recall(reqwest::Method::POST, "/bot/")
            .header("idempotency-key", "k1");
        request
            .json(&json!({ "meeting_url": MEET }))
            .timeout(Duration::from_millis(300))
    };
    assert!(ask().send().await.unwrap_err().is_timeout());
    let (status, bot) = support::answer(ask()).await;
    assert_eq!(status, 201);
    let bots = bench.sim.bots();
    assert_eq!(
        (bots.len(), bots[0].id.as_str()),
        (1, bot["id"].as_str().unwrap())
    );
}

#[tokio::test]
async fn while_a_slow_call_runs_its_key_is_in_flight() {
    let bench = Bench::manual().await;
    bench.sim.fault(
        Operation::CreateBot,
        Fault::Latency(Duration::from_millis(400)),
    );
    let ask = || {
        let request = bench
            .recall(reqwest::Method::POST, "/bot/")
            .header("idempotency-key", "k1");
        support::answer(request.json(&json!({ "meeting_url": MEET })))
    };
    // Whichever arrives first takes the slow path.
    let ((one, _), (other, _)) = tokio::join!(ask(), ask());
    let mut statuses = [one, other];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(ask().await.0, 201);
    assert_eq!(bench.sim.bots().len(), 1);
}

#[tokio::test]
async fn a_closed_connection_says_nothing_about_whether_the_work_was_done() {
    let bench = Bench::manual().await;
    for (fault, bots) in [(Fault::CloseWithoutAnswer, 0), (Fault::CloseAfterAccept, 1)] {
        bench.sim.fault(Operation::CreateBot, fault);
        let request = bench
            .recall(reqwest::Method::POST, "/bot/")
            .json(&json!({ "meeting_url": MEET }));
        assert!(request.send().await.is_err());
        assert_eq!(bench.sim.bots().len(), bots);
    }
}

#[tokio::test]
async fn speech_that_breaks_off_is_an_error_after_a_200() {
    let bench = Bench::manual().await;
    bench
        .sim
        .fault(Operation::TextToSpeechStream, Fault::CloseMidBody);
    let body = json!({ "text": "A sentence of some length.", "model_id": "eleven_flash_v2_5" });
    let answer = bench
        .speak(
            "/v1/text-to-speech/v/stream?output_format=mp3_22050_32",
            &body,
        )
        .await;
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn speech_comes_in_pieces_that_are_no_frames() {
    let config = SimulatorConfig {
        speech_chunk_interval: Duration::from_millis(20),
        ..SimulatorConfig::default()
    };
    let bench = Bench::start(config).await;
    let body = json!({ "text": "x".repeat(150), "model_id": "eleven_flash_v2_5" });
    let path = "/v1/text-to-speech/v/stream?output_format=mp3_22050_32";
    let mut answer = bench.speak(path, &body).await;
    let mut pieces = Vec::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        pieces.push(piece.len());
    }
    assert!(pieces.len() > 20, "{pieces:?}");
    assert_eq!(pieces[0], 997);
    let whole = bench.speak(path, &body).await.bytes().await.unwrap();
    assert_eq!(whole.len(), pieces.iter().sum::<usize>());
}

#[tokio::test]
async fn garbage_pages_and_huge_bodies_arrive_as_asked() {
    let bench = Bench::manual().await;
    let body = json!({ "meeting_url": MEET });
    bench.sim.fault(Operation::CreateBot, Fault::Garbage);
    assert_eq!(
        bench.post("/bot/", &body).await,
        (200, json!("this is not {json"))
    );
    bench.sim.fault(Operation::CreateBot, Fault::HtmlError);
    let (status, page) = bench.post("/bot/", &body).await;
    assert!(status == 502 && page.as_str().unwrap().starts_with("<html>"));
    bench
        .sim
        .fault(Operation::CreateBot, Fault::HugeBody(3_000_000));
    let (status, huge) = bench.post("/bot/", &body).await;
    assert_eq!((status, huge[0].as_str().unwrap().len()), (200, 3_000_000));
    let taken = bench.sim.wait_for(
        |entry| matches!(entry.what, What::HugeAnswer { taken, bytes: 3_000_000 } if taken == 3_000_000),
        SOON,
    );
    taken.await.unwrap();
    bench
        .sim
        .fault(Operation::CreateBot, Fault::status_html(403));
    let (status, page) = bench.post("/bot/", &body).await;
    assert!(status == 403 && page.as_str().unwrap().starts_with("<!DOCTYPE html>"));
    let empty = Fault::Status {
        code: 400,
        body: FaultBody::Empty,
        retry_after: None,
    };
    bench.sim.fault(Operation::LeaveCall, empty);
    let id = bench.create(&body).await;
    assert_eq!(
        bench
            .post(&format!("/bot/{id}/leave_call/"), &json!({}))
            .await,
        (400, json!(""))
    );
}

#[tokio::test]
async fn a_redirect_leads_to_another_host_where_credentials_would_be_seen() {
    let bench = Bench::manual().await;
    bench.sim.fault(Operation::RetrieveBot, Fault::Redirect);
    let answer = bench
        .recall(reqwest::Method::GET, "/bot/some-id/")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 307);
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with("http://localhost:")
            && location.ends_with("/elsewhere/api/v1/bot/some-id/")
    );
    let careless = bench
        .http
        .get(location.replace("localhost", "127.0.0.1"))
        .header("authorization", "Token x");
    assert_eq!(careless.send().await.unwrap().status(), 404);
    let trapped = bench.sim.journal().into_iter().find_map(|entry| {
        entry
            .what
            .request()
            .filter(|request| request.path.starts_with("/elsewhere/"))
            .cloned()
    });
    assert!(trapped.unwrap().credentials);
}

#[tokio::test]
async fn a_half_open_connection_does_nothing_and_answers_nothing() {
    let bench = Bench::manual().await;
    bench.sim.fault(Operation::CreateBot, Fault::HalfOpen);
    let asked = bench
        .recall(reqwest::Method::POST, "/bot/")
        .json(&json!({ "meeting_url": MEET }))
        .timeout(Duration::from_millis(300));
    assert!(asked.send().await.unwrap_err().is_timeout());
    assert!(bench.sim.bots().is_empty());
}

#[tokio::test]
async fn a_list_for_a_meeting_is_about_that_meeting_even_before_it_has_a_bot() {
    let bench = Bench::manual().await;
    let scope = FaultScope::MeetingId("mtg_ours".to_owned());
    let fault = Fault::status(500);
    let sim = &bench.sim;
    sim.fault_where(scope.clone(), Operation::ListBots, fault, usize::MAX);
    let list = async |meeting: &str| {
        let path = format!("/bot/?metadata__meeting_id={meeting}");
        let asked = bench.recall(reqwest::Method::GET, &path);
        asked.send().await.unwrap().status().as_u16()
    };
    assert_eq!(list("mtg_theirs").await, 200);
    assert_eq!((list("mtg_ours").await, list("mtg_ours").await), (500, 500));
    sim.lift_faults(&scope);
    assert_eq!(list("mtg_ours").await, 200);
}

#[tokio::test]
async fn the_journal_holds_no_secrets_and_no_media() {
    let bench = Bench::instant().await;
    let id = bench.create(&support::speaking_bot(&bench.inbox_url)).await;
    bench
        .sim
        .wait_for_status(MEET, "in_call_recording", SOON)
        .await
        .unwrap();
    let clip = bench.clip("A secret handshake.").await;
    bench
        .post(
            &format!("/bot/{id}/output_audio/"),
            &json!({ "kind": "mp3", "b64_data": clip }),
        )
        .await;
    let journal = format!("{:?}", bench.sim.journal());
    assert!(!journal.contains("fake-recall-key") && !journal.contains("fake-elevenlabs-key"));
    assert!(!journal.contains(&clip));
    let mut played = bench
        .sim
        .journal()
        .into_iter()
        .filter_map(|entry| entry.what.request().cloned());
    let played = played
        .rfind(|request| request.operation == Some(Operation::OutputAudio))
        .unwrap();
    assert!(
        played.body.unwrap()["b64_data"]
            .as_str()
            .unwrap()
            .contains("sha256")
    );
    assert_eq!(played.meeting_url.as_deref(), Some(MEET));
}

#[tokio::test]
async fn a_wait_that_is_in_vain_shows_what_happened_instead() {
    let bench = Bench::manual().await;
    bench.create(&json!({ "meeting_url": MEET })).await;
    let error = bench
        .sim
        .wait_for(|_| false, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("POST /api/v1/bot/ -> 201"),
        "{error}"
    );
}
