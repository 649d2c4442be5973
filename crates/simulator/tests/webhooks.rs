//! Webhooks through the sockets: signatures, retries, and everything a script does to them.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use attache_simulator::{
    Delivery, HeaderFamily, MadeUpWebhook, MeetingScript, Reorder, SimulatorConfig, sign,
};
use serde_json::json;
use support::{Arrived, Bench, MEET, SOON, speaking_bot};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn instant_with(delivery: Delivery) -> SimulatorConfig {
    SimulatorConfig {
        default_script: MeetingScript::instant().with_delivery(delivery),
        webhook_retry_scale: 0.001,
        realtime_retry_scale: 0.01,
        ..SimulatorConfig::default()
    }
}

fn is_signed(arrived: &Arrived, family: HeaderFamily, secret: &str) -> bool {
    let [id, timestamp, signature] = family.names().map(|name| arrived.header(name).to_owned());
    let expected = sign(
        secret,
        &id,
        timestamp.parse().expect("a number"),
        &arrived.body,
    )
    .expect("a good secret");
    signature.split(' ').any(|entry| entry == expected)
}

#[tokio::test]
async fn every_webhook_is_signed_over_its_bytes() {
    let bench = Bench::start(instant_with(Delivery::default())).await;
    bench.create(&speaking_bot(&bench.inbox_url)).await;
    bench.wait_for_event("participant_events.join").await;
    bench.wait_for_event("bot.in_call_recording").await;
    let arrived = bench.inbox.all();
    assert!(arrived.len() >= 4);
    assert!(
        arrived
            .iter()
            .all(|webhook| is_signed(webhook, HeaderFamily::Webhook, SECRET))
    );
    let ids: BTreeSet<_> = arrived
        .iter()
        .map(|webhook| webhook.header("webhook-id").to_owned())
        .collect();
    assert_eq!(ids.len(), arrived.len());
}

#[tokio::test]
async fn older_accounts_get_svix_headers_and_rotation_adds_a_signature_in_front() {
    let delivery = Delivery {
        headers: HeaderFamily::Svix,
        rotated_secret: Some(OLD_SECRET.to_owned()),
        ..Delivery::default()
    };
    let bench = Bench::start(instant_with(delivery)).await;
    bench.create(&json!({ "meeting_url": MEET })).await;
    bench.wait_for_event("bot.in_call_recording").await;
    for webhook in bench.inbox.all() {
        assert!(is_signed(&webhook, HeaderFamily::Svix, SECRET));
        assert!(is_signed(&webhook, HeaderFamily::Svix, OLD_SECRET));
        assert!(!webhook.headers.contains_key("webhook-id"));
    }
}

#[tokio::test]
async fn a_refused_webhook_comes_again_with_its_id_and_a_good_signature() {
    let bench = Bench::start(instant_with(Delivery::default())).await;
    bench.inbox.answers.lock().unwrap().extend([500, 401, 503]);
    bench.create(&json!({ "meeting_url": MEET })).await;
    let retried = |entry: &attache_simulator::Entry| {
        entry
            .what
            .webhook()
            .is_some_and(|sent| sent.attempt > 1 && sent.status == Some(200))
    };
    bench.sim.wait_for(retried, SOON).await.unwrap();
    bench.wait_for_event("bot.in_call_recording").await;
    let arrived = bench.inbox.all();
    assert!(
        arrived
            .iter()
            .all(|webhook| is_signed(webhook, HeaderFamily::Webhook, SECRET))
    );
    let mut by_id = std::collections::BTreeMap::<String, BTreeSet<Vec<u8>>>::new();
    for webhook in &arrived {
        by_id
            .entry(webhook.header("webhook-id").to_owned())
            .or_default()
            .insert(webhook.body.to_vec());
    }
    assert!(by_id.len() < arrived.len());
    assert!(by_id.values().all(|bodies| bodies.len() == 1));
}

#[tokio::test]
async fn webhooks_reach_a_receiver_that_comes_back_at_another_address() {
    let bench = Bench::start(instant_with(Delivery::default())).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}/workspace", nobody.local_addr().unwrap());
    drop(nobody);
    bench.sim.set_webhook_url(dead.parse().unwrap());
    bench.create(&json!({ "meeting_url": MEET })).await;
    let failed = |entry: &attache_simulator::Entry| {
        entry
            .what
            .webhook()
            .is_some_and(|sent| sent.error.is_some())
    };
    bench.sim.wait_for(failed, SOON).await.unwrap();
    bench
        .sim
        .set_webhook_url(format!("{}/workspace", bench.inbox_url).parse().unwrap());
    bench.wait_for_event("bot.joining_call").await;
    bench.wait_for_event("bot.in_call_recording").await;
}

#[tokio::test]
async fn a_realtime_endpoint_that_fails_sixty_times_is_dead_for_the_bot() {
    let bench = Bench::start(instant_with(Delivery::default())).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let id = bench.create(&speaking_bot(&dead)).await;
    let given_up = |entry: &attache_simulator::Entry| entry.to_string().contains("is given up");
    bench.sim.wait_for(given_up, SOON).await.unwrap();
    let attempts = bench
        .sim
        .journal()
        .into_iter()
        .filter_map(|entry| entry.what.webhook().map(|sent| sent.attempt));
    assert_eq!(attempts.max(), Some(60));
    assert_eq!(bench.sim.bot(&id).unwrap().failed_endpoints.len(), 1);
}

#[tokio::test]
async fn duplicates_share_their_id() {
    let bench = Bench::start(instant_with(Delivery {
        duplicate: true,
        ..Delivery::default()
    }))
    .await;
    bench.create(&json!({ "meeting_url": MEET })).await;
    bench.wait_for_event("bot.in_call_recording").await;
    bench.sim.settled(SOON).await.unwrap();
    let ids: Vec<_> = bench
        .inbox
        .all()
        .iter()
        .map(|webhook| webhook.header("webhook-id").to_owned())
        .collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len() * 2);
}

#[tokio::test]
async fn dropped_webhooks_never_come_and_the_others_do() {
    let bench = Bench::start(instant_with(Delivery {
        drop: vec![0],
        ..Delivery::default()
    }))
    .await;
    bench.create(&json!({ "meeting_url": MEET })).await;
    bench.wait_for_event("bot.in_call_not_recording").await;
    bench.wait_for_event("bot.in_call_recording").await;
    assert!(
        !bench
            .inbox
            .events()
            .contains(&"bot.joining_call".to_owned())
    );
}

#[tokio::test]
async fn reordering_follows_its_seed() {
    let mut orders = Vec::new();
    for seed in [3, 4, 3] {
        let reorder = Some(Reorder {
            window: Duration::from_millis(400),
            seed,
        });
        let bench = Bench::start(instant_with(Delivery {
            reorder,
            ..Delivery::default()
        }))
        .await;
        bench.create(&json!({ "meeting_url": MEET })).await;
        for event in [
            "bot.joining_call",
            "bot.in_call_not_recording",
            "bot.in_call_recording",
            "recording.processing",
        ] {
            bench.wait_for_event(event).await;
        }
        orders.push(bench.inbox.events());
    }
    assert_eq!(orders[0], orders[2]);
    assert_ne!(orders[0], orders[1]);
}

#[tokio::test]
async fn a_webhook_can_come_before_the_answer_to_the_create_call() {
    let delivery = Delivery {
        before_create_response: true,
        ..Delivery::default()
    };
    let bench = Bench::start(instant_with(delivery)).await;
    bench.create(&json!({ "meeting_url": MEET })).await;
    assert!(!bench.inbox.all().is_empty());
}

#[tokio::test]
async fn the_older_api_version_tells_of_statuses_in_its_own_shape() {
    let bench = Bench::start(instant_with(Delivery {
        legacy_status: true,
        ..Delivery::default()
    }))
    .await;
    let id = bench.create(&json!({ "meeting_url": MEET })).await;
    bench.wait_for_event("bot.status_change").await;
    let arrived = bench.inbox.all();
    let change = arrived
        .iter()
        .find(|webhook| webhook.event() == "bot.status_change")
        .unwrap()
        .json();
    assert_eq!(change["data"]["bot_id"], json!(id));
    assert!(change["data"]["status"]["code"].is_string());
}

#[tokio::test]
async fn a_made_up_webhook_says_how_it_was_answered() {
    let bench = Bench::manual().await;
    bench.inbox.answers.lock().unwrap().push(401);
    let body = json!({ "event": "bot.done", "data": {} });
    let tampered = MadeUpWebhook {
        tampered: true,
        ..MadeUpWebhook::new(&body)
    };
    assert_eq!(bench.sim.emit_webhook(tampered).await.unwrap(), [401]);
    assert!(!is_signed(
        &bench.inbox.all()[0],
        HeaderFamily::Webhook,
        SECRET
    ));
    let twice = MadeUpWebhook {
        copies: 2,
        timestamp_offset: -600,
        ..MadeUpWebhook::new(&body)
    };
    assert_eq!(bench.sim.emit_webhook(twice).await.unwrap(), [200, 200]);
    let [first, second] = [1, 2].map(|n| bench.inbox.all()[n].clone());
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert!(is_signed(&first, HeaderFamily::Webhook, SECRET));
    let age = jiff::Timestamp::now().as_second()
        - first.header("webhook-timestamp").parse::<i64>().unwrap();
    assert!((600..620).contains(&age));
}
