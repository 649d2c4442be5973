//! Webhooks in: only Recall's own count, each counts once, and none of them breaks anything.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{Delivery, HeaderFamily, MadeUpWebhook, MeetingScript, sign};
use attache_tests::{Answer, read};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::mutation::Mutator;
use crate::world::{Room, World, is_problem, text, vendors};

/// One payload of every kind that Recall documents, a line each.
const SAMPLES: &str =
    include_str!("../../../crates/meeting/src/vendors/recall/fixtures/webhooks.jsonl");

/// A secret that nobody configured.
const STRANGER: &str = "whsec_c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXI=";

pub(crate) fn samples() -> Result<Vec<Value>> {
    let lines = SAMPLES.lines().map(|line| Ok(serde_json::from_str(line)?));
    lines.collect()
}

/// Whether the payload tells that the bot is out of the call.
fn is_end(sample: &Value) -> bool {
    ["bot.call_ended", "bot.done", "bot.fatal"].contains(&&*text(&sample["event"]))
}

/// The payload as if it were about the room's bot.
pub(crate) fn about(room: &Room<'_>, mut payload: Value) -> Result<Value> {
    let bot = room.bot()?;
    if payload["data"]["bot"].is_object() {
        payload["data"]["bot"] = json!({ "id": bot.id, "metadata": bot.metadata });
    }
    Ok(payload)
}

/// What somebody said, each time a little later, as a real-time webhook.
fn spoken(room: &Room<'_>, words: &str) -> Result<Value> {
    static SECONDS: AtomicU32 = AtomicU32::new(1);
    let start = SECONDS.fetch_add(1, Ordering::Relaxed);
    let mut samples = samples()?.into_iter();
    let sample = samples.find(|sample| sample["event"] == "transcript.data");
    let mut payload = about(room, sample.context("a sample")?)?;
    payload["data"]["data"]["words"] = json!([
        { "text": words, "start_timestamp": { "relative": start }, "end_timestamp": { "relative": start + 1 } }
    ]);
    Ok(payload)
}

pub(crate) async fn emit(room: &Room<'_>, webhook: MadeUpWebhook) -> Result<u16> {
    let answered = room.simulator.emit_webhook(webhook).await?;
    answered.first().copied().context("one answer")
}

/// Posts a webhook with these headers.
async fn post(room: &Room<'_>, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
    let url = format!("{}/webhooks/recall", room.api.base_url());
    let mut request = Client::new().post(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request).await
}

pub(crate) async fn what_recall_did_not_sign_is_refused_and_changes_nothing(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    room.book(&room.booking_for_next_week()).await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    let body = spoken(&room, "Transfer the money.")?;
    let before = (room.meeting().await?, room.timeline().await?);
    let good = || MadeUpWebhook::new(&body);
    for (what, webhook) in [
        (
            "signed with another secret",
            MadeUpWebhook {
                secret: Some(STRANGER.to_owned()),
                ..good()
            },
        ),
        (
            "tampered with",
            MadeUpWebhook {
                tampered: true,
                ..good()
            },
        ),
        (
            "six minutes old",
            MadeUpWebhook {
                timestamp_offset: -360,
                ..good()
            },
        ),
        (
            "six minutes early",
            MadeUpWebhook {
                timestamp_offset: 360,
                ..good()
            },
        ),
        (
            "tampered with in the older headers",
            MadeUpWebhook {
                tampered: true,
                headers: HeaderFamily::Svix,
                ..good()
            },
        ),
    ] {
        ensure!(
            emit(&room, webhook).await? == 401,
            "a webhook {what} was taken"
        );
    }

    let secret = vendors().webhook_secret;
    let text = body.to_string();
    let now = Timestamp::now().as_second();
    let time = now.to_string();
    let signature = sign(&secret, "msg_1", now, text.as_bytes())?;
    let unversioned = signature.replacen("v1,", "v2,", 1);
    let [id, at, signed] = HeaderFamily::Webhook.names();
    for headers in [
        vec![],
        vec![(id, "msg_1"), (at, &*time)],
        vec![(id, "msg_1"), (signed, &*signature)],
        vec![(at, &*time), (signed, &*signature)],
        vec![(id, "msg_2"), (at, &*time), (signed, &*signature)],
        vec![(id, "msg_1"), (at, "0"), (signed, &*signature)],
        vec![(id, "msg_1"), (at, "now"), (signed, &*signature)],
        vec![(id, "msg_1"), (at, &*time), (signed, "")],
        vec![(id, "msg_1"), (at, &*time), (signed, "v1,")],
        vec![(id, "msg_1"), (at, &*time), (signed, &*unversioned)],
    ] {
        let answer = post(&room, &headers, &text).await?;
        is_problem(&answer, 401, "invalid_signature").with_context(|| format!("{headers:?}"))?;
    }
    ensure!((room.meeting().await?, room.timeline().await?) == before);

    // The same words with the right signature are taken.
    let headers = [(id, "msg_1"), (at, &*time), (signed, &*signature)];
    ensure!(post(&room, &headers, &text).await?.status == 200);
    ensure!(room.meeting().await?["listening"]["segments"] == 1);
    Ok(())
}

pub(crate) async fn both_families_of_headers_are_understood(world: &World) -> Result<()> {
    let delivery = Delivery {
        headers: HeaderFamily::Svix,
        ..Delivery::default()
    };
    let room = world
        .greeted(MeetingScript::instant().with_delivery(delivery))
        .await?;
    let older = MadeUpWebhook {
        headers: HeaderFamily::Svix,
        ..MadeUpWebhook::new(&spoken(&room, "In the older headers.")?)
    };
    ensure!(emit(&room, older).await? == 200);
    let newer = MadeUpWebhook::new(&spoken(&room, "In the newer headers.")?);
    ensure!(emit(&room, newer).await? == 200);
    ensure!(room.meeting().await?["listening"]["segments"] == 2);
    room.host_ends().await?;
    room.until_settled().await?;
    room.one_bot_and_one_greeting()
}

pub(crate) async fn while_a_secret_is_replaced_either_one_counts(world: &World) -> Result<()> {
    let before = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQ=";
    let system = world
        .start(vendors(), |settings| {
            let now = settings.get("RECALL_WEBHOOK_SECRET").unwrap_or_default();
            let both = format!("{before} {now}");
            settings.with("RECALL_WEBHOOK_SECRET", &both)
        })
        .await?;
    // For a day Recall signs with both; here the first is of no use.
    let delivery = Delivery {
        rotated_secret: Some(STRANGER.to_owned()),
        ..Delivery::default()
    };
    let script = MeetingScript::instant().with_delivery(delivery);
    let room = Room::new(&system).meet(script).await?;
    room.until_greeted().await?;
    for (secret, status) in [(Some(before), 200), (None, 200), (Some(STRANGER), 401)] {
        let webhook = MadeUpWebhook {
            secret: secret.map(str::to_owned),
            ..MadeUpWebhook::new(&spoken(&room, "Which key?")?)
        };
        ensure!(emit(&room, webhook).await? == status, "{secret:?}");
    }
    ensure!(room.meeting().await?["listening"]["segments"] == 2);
    Ok(())
}

pub(crate) async fn every_kind_of_webhook_is_accepted_whoever_it_is_about(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let samples = samples()?;
    ensure!(samples.len() == 44);
    let (ends, others): (Vec<_>, Vec<_>) = samples.into_iter().partition(is_end);
    for sample in others.into_iter().chain(ends) {
        let of_nobody = MadeUpWebhook::new(&sample);
        ensure!(emit(&room, of_nobody).await? == 200, "{sample}");
        let over = room.meeting().await?["ended"].is_object();
        ensure!(!over || is_end(&sample), "over before {sample}");
        let ours = about(&room, sample)?;
        ensure!(
            emit(&room, MadeUpWebhook::new(&ours)).await? == 200,
            "{ours}"
        );
    }
    let meeting = room.meeting().await?;
    ensure!(meeting["status"] == "ended", "{meeting}");
    let transcript = room.api.transcript(&room.id, "").await?.expect(200)?;
    ensure!(
        transcript["segments"][0]["text"] == "hello world",
        "{transcript}"
    );
    Ok(())
}

pub(crate) async fn what_nobody_knows_yet_is_accepted_and_noted(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let bot = room.bot()?;
    let about = json!({ "id": bot.id, "metadata": bot.metadata });
    for payload in [
        json!({ "event": "bot.levitating", "data": { "data": { "code": "levitating" }, "bot": about } }),
        json!({ "event": "mood.changed", "data": { "bot": about, "mood": [1, 2, 3] } }),
        json!({ "event": "transcript.translated", "data": { "data": null, "bot": about } }),
        json!({ "event": "mood.changed", "data": {} }),
        json!({ "event": "mood.changed" }),
        json!({ "event": "bot.done", "data": { "data": { "code": "done" }, "bot": { "id": "of-nobody", "metadata": {} } } }),
        json!({ "event": "bot.done", "data": { "data": { "code": "done" },
            "bot": { "id": "of-nobody", "metadata": { "meeting_id": "mtg_00000000000000000000000000" } } } }),
        json!({ "event": "bot.done", "data": { "data": { "code": "done" },
            "bot": { "id": "of-nobody", "metadata": { "meeting_id": "not an id" } } } }),
    ] {
        ensure!(
            emit(&room, MadeUpWebhook::new(&payload)).await? == 200,
            "{payload}"
        );
    }
    let noted = room
        .timeline()
        .await?
        .into_iter()
        .filter(|entry| entry["name"] == "unknown_event");
    let noted: Vec<String> = noted.map(|entry| text(&entry["data"]["event"])).collect();
    ensure!(noted.contains(&"mood.changed".to_owned()), "{noted:?}");
    ensure!(room.meeting().await?["status"] == "in_progress");
    Ok(())
}

pub(crate) async fn what_is_no_webhook_is_refused_with_a_reason(world: &World) -> Result<()> {
    let room = world.meet(MeetingScript::manual()).await?;
    for body in [
        "",
        "{",
        "not json",
        "[1]",
        "null",
        "\"event\"",
        "{\"event\":}",
    ] {
        let webhook = MadeUpWebhook {
            body: body.to_owned(),
            ..MadeUpWebhook::new(&Value::Null)
        };
        ensure!(emit(&room, webhook).await? == 400, "{body:?}");
    }
    let url = world.system().await?.runtime.webhook_url()?;
    is_problem(
        &read(Client::new().get(url.clone())).await?,
        405,
        "method_not_allowed",
    )?;
    let large = "x".repeat(1024 * 1024 + 1);
    is_problem(
        &read(Client::new().request(Method::POST, url).body(large)).await?,
        413,
        "body_too_large",
    )
}

pub(crate) async fn a_repeated_webhook_takes_effect_once(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let webhook = MadeUpWebhook {
        copies: 5,
        ..MadeUpWebhook::new(&spoken(&room, "Once is enough.")?)
    };
    for _ in 0..2 {
        let answered = room.simulator.emit_webhook(webhook.clone()).await?;
        ensure!(answered == [200; 5], "{answered:?}");
    }
    let transcript = room.api.transcript(&room.id, "").await?.expect(200)?;
    ensure!(
        transcript["segments"].as_array().map(Vec::len) == Some(1),
        "{transcript}"
    );
    // The same words in another message are said again.
    let again = MadeUpWebhook::new(&spoken(&room, "Once is enough.")?);
    ensure!(emit(&room, again).await? == 200);
    ensure!(room.meeting().await?["listening"]["segments"] == 2);
    Ok(())
}

/// How many damaged webhooks are sent, and how many at a time.
const MUTANTS: usize = 1_000;
const AT_A_TIME: usize = 20;

/// The same damage in every run.
const SEED: u64 = 20_261_122;

pub(crate) async fn a_thousand_damaged_webhooks_break_nothing(world: &World) -> Result<()> {
    // Not every damage hides that the bot is out of the call, so ends are aimed at a meeting of their own.
    let (alive, doomed) = (
        world.greeted(MeetingScript::instant()).await?,
        world.greeted(MeetingScript::instant()).await?,
    );
    let mut mutator = Mutator::new(SEED);
    let samples = samples()?;
    let mut bodies = Vec::with_capacity(MUTANTS);
    for index in 0..MUTANTS {
        let sample = samples[index % samples.len()].clone();
        let room = if is_end(&sample) { &doomed } else { &alive };
        bodies.push(mutator.damage(&about(room, sample)?));
    }
    for batch in bodies.chunks(AT_A_TIME) {
        let sent = batch.iter().enumerate().map(async |(place, body)| {
            let id = format!("msg_mutant_{place}_{}", Timestamp::now().as_nanosecond());
            let webhook = MadeUpWebhook {
                body: body.clone(),
                id,
                ..MadeUpWebhook::new(&Value::Null)
            };
            let status = emit(&alive, webhook).await?;
            ensure!([200, 400, 413].contains(&status), "{status} for {body}");
            anyhow::Ok(status)
        });
        try_join_all(sent).await?;
    }

    let meeting = alive.meeting().await?;
    ensure!(meeting["status"] == "in_progress", "{meeting}");
    alive.timeline().await?;
    alive
        .api
        .say(&alive.id, "Is everybody well?")
        .await?
        .expect(202)?;
    alive.api.delete_meeting(&alive.id).await?.expect(202)?;
    let meeting = alive.until_settled().await?;
    ensure!(meeting["ended"]["by"] == "api", "{meeting}");
    ensure!(alive.bot()?.over && alive.greetings_heard() == 1);

    doomed.host_ends().await?;
    doomed.timeline().await?;
    let over = |meeting: &Value| meeting["status"] == "ended" || meeting["status"] == "failed";
    doomed.until_within(Duration::from_secs(45), over).await?;
    doomed.one_bot_and_one_greeting()
}

/// So many entries of a timeline are kept.
const MAX_TIMELINE: usize = 5_000;
/// Few at a time, as the other scenarios share the runtime.
const FLOOD_AT_A_TIME: usize = 4;

pub(crate) async fn a_flood_leaves_the_newest_entries_of_the_timeline(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    room.book(&room.booking_for_next_week()).await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    let before = room.timeline().await?.len();
    ensure!(before > 0);

    let unknown = json!({ "event": "mood.changed", "data": { "bot": {} } });
    let unknown = about(&room, unknown)?;
    for _ in 0..MAX_TIMELINE / FLOOD_AT_A_TIME {
        let sent = (0..FLOOD_AT_A_TIME).map(|_| emit(&room, MadeUpWebhook::new(&unknown)));
        let answered = try_join_all(sent).await?;
        ensure!(answered.iter().all(|status| *status == 200), "{answered:?}");
    }

    let kept = room.timeline().await?;
    ensure!(kept.len() == MAX_TIMELINE, "{}", kept.len());
    let first = usize::try_from(kept[0]["seq"].as_u64().context("a number")?)?;
    ensure!(first == before + 1, "{first} after {before}");
    ensure!(
        kept.iter()
            .enumerate()
            .all(|(place, entry)| entry["seq"] == first + place)
    );
    ensure!(kept.iter().all(|entry| entry["name"] == "unknown_event"));
    ensure!(room.meeting().await?["status"] == "scheduled");
    Ok(())
}
