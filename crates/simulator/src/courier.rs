//! Drives the Recall model through time and carries its webhooks.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

use crate::clock::real_now;
use crate::journal::{WebhookSent, What};
use crate::recall::{Attempt, Lane};
use crate::signing::{HeaderFamily, sign};
use crate::world::World;

/// The vendor waits this long for an answer to a workspace webhook; for real-time webhooks it does
/// not say, so the same.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Webhooks under way at once: enough for hundreds of meetings, few enough for one machine.
const CONCURRENT: usize = 64;
/// Without anything due, look again this often: the clock may have been moved.
const IDLE: Duration = Duration::from_secs(1);

/// One signed request to a webhook receiver.
pub(crate) struct Parcel<'a> {
    pub(crate) url: &'a str,
    pub(crate) id: &'a str,
    pub(crate) timestamp: i64,
    pub(crate) headers: HeaderFamily,
    pub(crate) signature: String,
    pub(crate) body: bytes::Bytes,
}

pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(ANSWER_TIMEOUT)
        .build()?)
}

/// Posts a parcel and says which status came back.
pub(crate) async fn post(client: &reqwest::Client, parcel: Parcel<'_>) -> Result<u16, String> {
    let [id, timestamp, signature] = parcel.headers.names();
    let sent = client
        .post(parcel.url)
        .header("content-type", "application/json")
        .header("user-agent", "Recall.ai/Webhooks")
        .header(id, parcel.id)
        .header(timestamp, parcel.timestamp)
        .header(signature, parcel.signature)
        .body(parcel.body)
        .send()
        .await;
    let answer = sent.map_err(|error| error.without_url().to_string())?;
    let status = answer.status().as_u16();
    // The whole answer is read, as the vendor does before it counts a delivery.
    answer
        .bytes()
        .await
        .map_err(|error| error.without_url().to_string())?;
    Ok(status)
}

/// Runs until it is aborted.
pub(crate) async fn run(world: Arc<World>, client: reqwest::Client) {
    let slots = Arc::new(Semaphore::new(CONCURRENT));
    let mut deliveries = JoinSet::new();
    loop {
        let changed = world.changed.notified();
        let (attempts, url, pause) = step(&world);
        for attempt in attempts {
            let (world, client, slots, url) =
                (world.clone(), client.clone(), slots.clone(), url.clone());
            deliveries.spawn(async move {
                let _slot = slots.acquire().await;
                deliver(&world, &client, attempt, url).await;
            });
        }
        while deliveries.try_join_next().is_some() {}
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes what is due and says how long nothing else will be.
fn step(world: &World) -> (Vec<Attempt>, Option<Url>, Duration) {
    world.look(|models, now| {
        let attempts = models.recall.attempts(now);
        let pause = models.recall.deadline().map_or(IDLE, |due| {
            Duration::try_from(due.duration_since(now))
                .unwrap_or(Duration::ZERO)
                .min(IDLE)
        });
        (attempts, models.webhook_url.clone(), pause)
    })
}

async fn deliver(
    world: &World,
    client: &reqwest::Client,
    attempt: Attempt,
    workspace_url: Option<Url>,
) {
    let message = &attempt.message;
    let url = match &message.lane {
        Lane::Realtime { url, .. } => Some(url.clone()),
        Lane::Workspace => workspace_url.map(String::from),
    };
    let Some(url) = url else {
        let note = format!(
            "webhook {} has nowhere to go: no webhook url",
            message.event
        );
        let news = What::Note(note);
        return world.with(|models, now| models.recall.finish(&attempt, true, news, now));
    };
    let result = match signed(world, &attempt, &url) {
        Ok(parcel) => post(client, parcel).await,
        Err(error) => Err(error.to_string()),
    };
    let delivered = result
        .as_ref()
        .is_ok_and(|status| (200..300).contains(status));
    let news = What::Webhook(WebhookSent {
        id: message.id.clone(),
        event: message.event.clone(),
        bot_id: message.bot_id.clone(),
        url: without_query(&url).to_owned(),
        attempt: attempt.number,
        status: result.as_ref().ok().copied(),
        error: result.err(),
        body: serde_json::from_slice(&message.body).unwrap_or(Value::Null),
    });
    world.with(|models, now| models.recall.finish(&attempt, delivered, news, now));
}

/// Each attempt is signed anew, with the time it is made at.
fn signed<'a>(world: &World, attempt: &'a Attempt, url: &'a str) -> anyhow::Result<Parcel<'a>> {
    let message = &attempt.message;
    let timestamp = real_now().as_second();
    let mut signature = sign(&world.webhook_secret, &message.id, timestamp, &message.body)?;
    if let Some(secret) = &message.rotated_secret {
        let rotated = sign(secret, &message.id, timestamp, &message.body)?;
        signature = format!("{rotated} {signature}");
    }
    Ok(Parcel {
        url,
        id: &message.id,
        timestamp,
        headers: message.headers,
        signature,
        body: message.body.clone(),
    })
}

fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}
