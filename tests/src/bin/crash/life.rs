//! One meeting from booking to end, through the public API, by a customer who asks again until there is an answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use attache_tests::{Answer, Api};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::branch::Branch;
use crate::plan::{Deed, End, Plan, Start};

/// The pause before a customer asks again.
const AGAIN: Duration = Duration::from_millis(100);
/// A Worker that is killed every second or two still answers within this time.
const ANSWER_PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked whether the meeting is over.
const LOOK: Duration = Duration::from_secs(1);
/// The longest life that is planned has a minute; kills may put its beginning off by some, as a bot in doubt is asked
/// for at growing intervals; and artifacts whose webhooks are lost are looked for for two more.
const LONGEST_LIFE: Duration = Duration::from_mins(7);
/// How far before its start a meeting is joined.
const EARLY: SignedDuration = SignedDuration::from_mins(3);
/// Further ahead than what Recall books by itself.
const FAR_AHEAD: SignedDuration = SignedDuration::from_mins(30);

/// Something the delegate was asked to say.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) text: String,
    /// The utterance's id; none where the answer was lost.
    pub(crate) utterance_id: Option<String>,
}

/// A meeting that has been lived.
#[derive(Clone, Debug)]
pub(crate) struct Lived {
    pub(crate) branch: usize,
    pub(crate) plan: Plan,
    pub(crate) id: String,
    pub(crate) asked: Vec<Asked>,
    /// Why it did not come to its end.
    pub(crate) problem: Option<String>,
}

/// Plays a meeting; `accepted` counts what the Worker accepted.
pub(crate) async fn play(
    branches: Arc<Vec<Branch>>,
    branch: usize,
    plan: Plan,
    key: String,
    accepted: Arc<watch::Sender<u64>>,
) -> Lived {
    let mut lived = Lived {
        branch,
        plan,
        id: String::new(),
        asked: Vec::new(),
        problem: None,
    };
    let played = lived.play(&branches[branch], &key, &accepted).await;
    lived.problem = played.err().map(|error| format!("{error:#}"));
    lived
}

impl Lived {
    async fn play(
        &mut self,
        branch: &Branch,
        key: &str,
        accepted: &watch::Sender<u64>,
    ) -> Result<()> {
        let api = &branch.api;
        let url = &self.plan.meeting_url;
        branch
            .simulator
            .script_meeting(url, self.plan.script.clone());
        let booking = self.booking();
        let booked = until_answered(|| api.create_meeting_once(&booking, key)).await?;
        ensure!(
            [200, 201].contains(&booked.status),
            "the booking: {} {}",
            booked.status,
            booked.text
        );
        let id = booked.body["id"].as_str().unwrap_or_default();
        id.clone_into(&mut self.id);
        accepted.send_modify(|count| *count += 1);
        let begin = Instant::now();
        let deeds = self.plan.deeds.clone();
        let end = self.plan.end;
        let called_off = async {
            let End::CalledOff(after) = end else {
                return Ok(());
            };
            sleep(after).await;
            let id = &self.id;
            let answer = until_answered(|| api.delete_meeting(id)).await?;
            accepted.send_modify(|count| *count += 1);
            ensure!(
                [200, 202, 204, 409].contains(&answer.status),
                "calling off: {} {}",
                answer.status,
                answer.text
            );
            Ok(())
        };
        let (asked, called_off) = tokio::join!(do_all(api, &self.id, deeds, accepted), called_off);
        self.asked = asked;
        called_off?;
        self.until_over(api, begin + LONGEST_LIFE).await
    }

    fn booking(&self) -> Value {
        let mut booking = json!({
            "meeting_url": self.plan.meeting_url,
            "agent": { "name": self.plan.agent },
            "presence": self.plan.presence,
        });
        let now = Timestamp::now();
        let starts_at = match self.plan.start {
            Start::AtOnce => return booking,
            Start::Soon(after) => now + EARLY + after,
            Start::Ahead => now + FAR_AHEAD,
        };
        booking["starts_at"] = json!(starts_at.to_string());
        booking
    }

    async fn until_over(&self, api: &Api, deadline: Instant) -> Result<()> {
        let mut last = Value::Null;
        loop {
            if let Ok(answer) = api.meeting(&self.id).await
                && answer.status == 200
            {
                if is_over(&answer.body) {
                    return Ok(());
                }
                last = answer.body;
            }
            if Instant::now() > deadline {
                bail!("it is not over after {LONGEST_LIFE:?}: {last}");
            }
            sleep(LOOK).await;
        }
    }
}

/// Whether nothing more is expected of a meeting.
fn is_over(meeting: &Value) -> bool {
    let decided = |artifact: &str| {
        let state = meeting[artifact]["state"].as_str().unwrap_or_default();
        ["ready", "failed", "none"].contains(&state)
    };
    match meeting["status"].as_str().unwrap_or_default() {
        "ended" => {
            let explained = meeting["ended"]["reason"] != "done";
            explained && decided("transcript") && decided("recording")
        }
        "failed" | "cancelled" => true,
        _ => false,
    }
}

async fn do_all(
    api: &Api,
    id: &str,
    deeds: Vec<(Duration, Deed)>,
    accepted: &watch::Sender<u64>,
) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (pause, deed) in deeds {
        sleep(pause).await;
        let answer = match &deed {
            Deed::Say(text) => api.say(id, text).await,
            Deed::Chat(text) => api.chat(id, text).await,
        };
        let Deed::Say(text) = deed else { continue };
        match answer {
            Ok(answer) if answer.status == 202 => {
                accepted.send_modify(|count| *count += 1);
                let utterance_id = answer.body["utterance_id"].as_str().map(str::to_owned);
                asked.push(Asked { text, utterance_id });
            }
            // Refused: there is no call now.
            Ok(_) => {}
            // It may have been taken in before the answer was lost.
            Err(_) => asked.push(Asked {
                text,
                utterance_id: None,
            }),
        }
    }
    asked
}

/// Asks until there is an answer that is not the server's fault.
async fn until_answered<F: Future<Output = Result<Answer>>>(ask: impl Fn() -> F) -> Result<Answer> {
    let deadline = Instant::now() + ANSWER_PATIENCE;
    loop {
        let outcome = ask().await;
        match outcome {
            Ok(answer) if answer.status < 500 => return Ok(answer),
            Ok(answer) if Instant::now() > deadline => {
                bail!("still answered {} {}", answer.status, answer.text)
            }
            Err(error) if Instant::now() > deadline => return Err(error),
            Ok(_) | Err(_) => sleep(AGAIN).await,
        }
    }
}
