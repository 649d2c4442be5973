//! A meeting whose call is on, and the proof that every webhook about it took effect.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_tests::{API_KEY, Api};
use serde_json::{Value, json};

use crate::subject::Subject;
use crate::vendors::Vendors;
use crate::webhooks::{Addressee, text};

/// Joining takes a fraction of a second, the greeting three; the bound is for a busy machine.
const MEETING_TIMEOUT: Duration = Duration::from_mins(1);

/// The most segments a page has.
const PAGE: usize = 100;

/// Where everybody meets; each meeting has a bot of its own.
pub(crate) const MEETING_URL: &str = "https://meet.google.com/abc-defg-hij";

/// Brings a meeting into its call.
pub(crate) async fn begin(subject: Subject, origin: &str, vendors: &Vendors) -> Result<Addressee> {
    let api = Api::new(origin, API_KEY);
    let booking = json!({
        "meeting_url": MEETING_URL,
        "title": "Launch review",
        "agent": { "name": "Ada", "company": "Acme" },
    });
    let nobody = Addressee {
        meeting_id: "mtg_none".to_owned(),
        bot_id: "c7e1f5ad-3340-4f50-900d-9aa2cdc53d6c".to_owned(),
    };
    match subject {
        Subject::Bare => Ok(nobody),
        Subject::JavaScript => {
            let booked = api.create_meeting(&booking).await?.expect(201)?;
            Ok(Addressee {
                meeting_id: word(&booked["id"])?,
                ..nobody
            })
        }
        Subject::Attache => {
            vendors
                .simulator
                .set_webhook_url(format!("{origin}/webhooks/recall").parse()?);
            let booked = api.create_meeting(&booking).await?.expect(201)?;
            let meeting_id = word(&booked["id"])?;
            let bot_id = greeted(&api, &meeting_id)
                .await
                .context("the meeting did not come into its call")?;
            Ok(Addressee { meeting_id, bot_id })
        }
    }
}

/// Waits until the agent is in the call and has finished greeting, so that nothing but webhooks is going on.
async fn greeted(api: &Api, id: &str) -> Result<String> {
    let mut live = api.live(id).await?;
    let mut meeting = Value::Null;
    let mut spoken = false;
    while !(spoken && meeting["status"] == "in_progress" && meeting["greeting"]["state"] == "sent")
    {
        let event = live.next_event(MEETING_TIMEOUT).await?;
        if event["type"] == "meeting" {
            meeting = event["meeting"].clone();
        }
        spoken |= event["type"] == "utterance" && event["state"] == "spoken";
    }
    word(&meeting["bot"]["id"])
}

/// Checks through the API that exactly the webhooks 0 to `sent` are in the transcript, each once.
pub(crate) async fn check(origin: &str, to: &Addressee, sent: usize) -> Result<()> {
    check_texts(origin, to, (0..sent).map(text).collect()).await
}

/// Checks through the API that exactly these texts are in the transcript, each once.
pub(crate) async fn check_texts(
    origin: &str,
    to: &Addressee,
    mut expected: BTreeSet<String>,
) -> Result<()> {
    let api = Api::new(origin, API_KEY);
    let sent = expected.len();
    let mut cursor = String::from("0");
    loop {
        let query = format!("source=live&limit={PAGE}&cursor={cursor}");
        let page = api.transcript(&to.meeting_id, &query).await?.expect(200)?;
        let segments = page["segments"].as_array().context("a page has segments")?;
        for segment in segments {
            let text = word(&segment["text"])?;
            ensure!(
                expected.remove(&text),
                "stored twice, or never sent: {text}"
            );
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    ensure!(
        expected.is_empty(),
        "{} of {sent} webhooks left no segment",
        expected.len()
    );
    Ok(())
}

fn word(value: &Value) -> Result<String> {
    Ok(value.as_str().context("a text was expected")?.to_owned())
}
