//! Whether a meeting went as it must, whatever was killed: judged from the vendors' books and the public API.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use attache_simulator::{AvatarSession, BotState, Heard};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::branch::{Branch, Kind};
use crate::ledger::{Tally, Trace};
use crate::life::Lived;
use crate::plan::End;

/// How much more than its length an utterance may be heard in each of its parts: until news of a loss are there, an
/// avatar speaks on.
const SLACK_MS: u64 = 700;

/// What an avatar's vendor says where a runtime was killed in the middle of an utterance: nobody feeds it any more.
const STARVED: &str = "the sound ran out before agent.speak_end";

/// What was wrong with a meeting, and what it looked like.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) meeting: String,
    pub(crate) what: Vec<String>,
    pub(crate) story: String,
}

/// What the run proves, in numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proof {
    pub(crate) meetings: usize,
    pub(crate) statuses: BTreeMap<String, usize>,
    pub(crate) bots: usize,
    pub(crate) spoken_greetings: usize,
    pub(crate) written_greetings: usize,
    pub(crate) ungreeted: usize,
    /// Greeted in the chat, as nobody knew that the room had heard it aloud already.
    pub(crate) in_doubt: usize,
    pub(crate) sessions: usize,
    /// Sessions at `HeyGen` that no meeting knows.
    pub(crate) strays: usize,
    known_sessions: BTreeSet<String>,
    pub(crate) segments: usize,
    pub(crate) entries: usize,
    pub(crate) transcripts: usize,
    /// How often a fresh instance took a meeting over.
    pub(crate) restored: usize,
}

/// The sessions of a branch that no meeting knows, and what is wrong with that.
///
/// A kill may swallow the answer to the call that makes a session. `LiveAvatar` has not begun one by then. `HeyGen` has,
/// takes no key of ours and tells no one whose it is, so it is left to end by itself after two minutes.
pub(crate) fn judge_strays(branch: &Branch, proof: &mut Proof) -> Vec<String> {
    let sessions = branch.simulator.avatar_sessions();
    let unknown = sessions.into_iter().filter(|session| {
        session.started_at.is_some() && !proof.known_sessions.contains(&session.id)
    });
    let unknown: Vec<String> = unknown.map(|session| session.id).collect();
    if branch.kind == Kind::HeyGen {
        proof.strays += unknown.len();
        return Vec::new();
    }
    let wrong = unknown.iter();
    wrong
        .map(|id| format!("no meeting knows session {id}"))
        .collect()
}

/// Everything that is known of one meeting.
struct Case<'a> {
    branch: &'a Branch,
    lived: &'a Lived,
    meeting: Value,
    timeline: Vec<Value>,
    live: Vec<String>,
    bots: Vec<BotState>,
    wrong: Vec<String>,
}

/// Judges one meeting and counts it in.
pub(crate) async fn judge(
    branch: &Branch,
    lived: &Lived,
    proof: &mut Proof,
) -> Result<Option<Violation>> {
    proof.meetings += 1;
    if lived.id.is_empty() {
        let what = lived.problem.clone().unwrap_or_default();
        return Ok(Some(Violation {
            meeting: lived.plan.agent.clone(),
            what: vec![what],
            story: String::new(),
        }));
    }
    // What is accepted from here on need not be in what is read next.
    let accepted = branch.ledger.tallies(&lived.id);
    let api = &branch.api;
    let mut case = Case {
        branch,
        lived,
        meeting: api.meeting(&lived.id).await?.expect(200)?,
        timeline: pages(branch, &lived.id, "timeline", "entries").await?,
        live: texts(branch, &lived.id, "live").await?,
        bots: branch.simulator.bots_for(&lived.plan.meeting_url),
        wrong: lived.problem.iter().cloned().collect(),
    };
    let sent = branch.ledger.tallies(&lived.id);
    case.end();
    case.bots(proof);
    case.greeting(proof).await?;
    case.utterances();
    case.sessions(proof);
    case.webhooks(&accepted, &sent, proof);
    case.artifacts(proof).await?;
    let restored = case
        .timeline
        .iter()
        .filter(|entry| entry["name"] == "restored");
    proof.restored += restored.count();
    let status = word(&case.meeting["status"]);
    *proof.statuses.entry(status).or_default() += 1;
    if case.wrong.is_empty() {
        return Ok(None);
    }
    Ok(Some(Violation {
        meeting: format!("{} ({}, {:?})", lived.id, lived.plan.agent, branch.kind),
        story: case.story(),
        what: case.wrong,
    }))
}

impl Case<'_> {
    fn holds(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }

    /// The status is an end, and the one that was to be expected.
    fn end(&mut self) {
        let expected: &[&str] = match self.lived.plan.end {
            End::ByHost => &["ended"],
            End::CalledOff(_) => &["ended", "cancelled"],
            End::Fails => &["failed"],
        };
        let status = word(&self.meeting["status"]);
        self.holds(expected.contains(&status.as_str()), || {
            format!("the status is {status}, not one of {expected:?}")
        });
    }

    /// There was one bot, none if it was called off before there was one, and it is gone.
    fn bots(&mut self, proof: &mut Proof) {
        let count = self.branch.ledger.bots_made(&self.lived.plan.meeting_url);
        let left = self.bots.iter().filter(|bot| !bot.over).count();
        proof.bots += count;
        let called_off = matches!(self.lived.plan.end, End::CalledOff(_));
        self.holds(count == 1 || count == 0 && called_off, || {
            format!("{count} bots were made")
        });
        self.holds(left == 0, || format!("{left} bots are left"));
    }

    /// The greeting was heard at most once, and if not at all, there is a reason.
    async fn greeting(&mut self, proof: &mut Proof) -> Result<()> {
        let greeting = self.lived.plan.greeting();
        let heard = self.heard(&greeting);
        let length = length_ms(self.branch, &greeting).await?;
        proof.spoken_greetings += usize::from(heard.spoken());
        proof.written_greetings += heard.chats;
        let most = length + SLACK_MS * heard.parts;
        self.holds(
            heard.clips <= 1 && heard.chats <= 1 && heard.page_ms <= most,
            || format!("the greeting of {length} ms was heard more than once: {heard:?}"),
        );
        let ways = heard.clips + heard.chats + usize::from(heard.page_ms > SLACK_MS);
        if ways == 2 && heard.chats == 1 && self.speech_is_in_doubt() {
            proof.in_doubt += 1;
        } else {
            self.holds(ways <= 1, || format!("greeted in two ways: {heard:?}"));
        }
        let entered = self.bots.iter().any(|bot| {
            let mut statuses = bot.status_changes.iter();
            statuses.any(|(code, _)| code.starts_with("in_call"))
        });
        let greeted = heard.spoken() || heard.chats > 0 || self.began_to_speak(&greeting);
        if !entered || greeted {
            return Ok(());
        }
        proof.ungreeted += 1;
        let told = &self.meeting["greeting"];
        let excused = told["state"] != "sent" && !told["reason"].is_null();
        let told = told.to_string();
        self.holds(excused, || format!("not greeted, and no reason: {told}"));
        Ok(())
    }

    /// Whether the meeting says that the greeting could not be spoken. Where a kill swallowed the news that it was, the
    /// chat greets for certain.
    fn speech_is_in_doubt(&self) -> bool {
        let warnings = self.meeting["warnings"].as_array();
        let mut warnings = warnings.into_iter().flatten();
        warnings.any(|warning| warning["code"] == "greeting_failed")
    }

    /// Whether something was begun that the call's end cut off: that is not counted as heard, as it has no end.
    fn began_to_speak(&self, words: &str) -> bool {
        let mut bots = self.bots.iter();
        let mut sessions = self
            .branch
            .simulator
            .avatar_sessions_for(&self.lived.id)
            .into_iter();
        bots.any(|bot| self.branch.ledger.has_played(&bot.id))
            || sessions.any(|session| {
                let mut utterances = session.utterances.iter();
                utterances.any(|utterance| {
                    utterance.text.as_deref() == Some(words) && utterance.began_at.is_some()
                })
            })
    }

    /// What the delegate was asked to say has one end, and was said once.
    fn utterances(&mut self) {
        for asked in &self.lived.asked {
            let heard = self.heard(&asked.text);
            self.holds(heard.clips + heard.chats <= 1, || {
                format!("{:?} was said more than once: {heard:?}", asked.text)
            });
            let Some(id) = &asked.utterance_id else {
                continue;
            };
            let ends = self.timeline.iter().filter(|entry| {
                entry["name"] == "utterance" && entry["data"]["utterance_id"] == json!(id)
            });
            let ends = ends.count();
            self.holds(ends == 1, || format!("{:?} has {ends} ends", asked.text));
        }
    }

    /// No two sessions at once, and none left: of those that the meeting knows, as only it can tell whose they are.
    fn sessions(&mut self, proof: &mut Proof) {
        let own: BTreeSet<String> = self
            .timeline
            .iter()
            .filter_map(|entry| entry["data"]["session_id"].as_str())
            .map(str::to_owned)
            .collect();
        let simulator = &self.branch.simulator;
        let sessions: Vec<AvatarSession> = own
            .iter()
            .filter_map(|id| simulator.avatar_session(id))
            .collect();
        proof.known_sessions.extend(own);
        let now = simulator.now();
        let mut lives: Vec<(Timestamp, Timestamp)> = sessions
            .iter()
            .filter_map(|session| {
                let until = session.ended.map_or(now, |ended| ended.at);
                Some((session.started_at?, until))
            })
            .collect();
        proof.sessions += lives.len();
        lives.sort_unstable();
        let overlap = lives.windows(2).any(|pair| pair[1].0 < pair[0].1);
        self.holds(!overlap, || format!("two sessions at once: {lives:?}"));
        for session in sessions {
            self.holds(!session.is_live(), || {
                format!("session {} is left", session.id)
            });
            let objections: Vec<&String> = session
                .violations
                .iter()
                .filter(|objection| *objection != STARVED)
                .collect();
            self.holds(objections.is_empty(), || {
                format!("session {}: {objections:?}", session.id)
            });
        }
    }

    /// Every accepted webhook took effect once: its trace is there as often as it was accepted, and never more often
    /// than it was sent.
    fn webhooks(
        &mut self,
        accepted: &BTreeMap<Trace, Tally>,
        sent: &BTreeMap<Trace, Tally>,
        proof: &mut Proof,
    ) {
        let mut found: BTreeMap<Trace, usize> = BTreeMap::new();
        for trace in self.timeline.iter().filter_map(trace) {
            *found.entry(trace).or_default() += 1;
        }
        if self.branch.kind.listens() {
            for token in &self.lived.plan.tokens {
                let told = self.live.iter().filter(|text| names(text, token)).count();
                self.holds(told <= 1, || format!("{token} was told {told} times"));
            }
        } else {
            for text in &self.live {
                *found.entry(Trace::Segment(text.clone())).or_default() += 1;
            }
        }
        for (trace, tally) in sent {
            let least = accepted.get(trace).map_or(0, |tally| tally.accepted);
            let is = found.remove(trace).unwrap_or_default();
            match trace {
                Trace::Segment(_) if self.branch.kind.listens() => {}
                // A status that is no news any more is noted no more.
                Trace::Status(_) => self.holds(is <= tally.sent, || {
                    format!(
                        "{trace:?} was noted {is} times, and sent {} times",
                        tally.sent
                    )
                }),
                Trace::Segment(_) | Trace::Participant { .. } | Trace::Chat { .. } => {
                    let count = if matches!(trace, Trace::Segment(_)) {
                        &mut proof.segments
                    } else {
                        &mut proof.entries
                    };
                    *count += is;
                    self.holds(least <= is && is <= tally.sent, || {
                        format!(
                            "{trace:?}: {least} accepted, {is} took effect, {} sent",
                            tally.sent
                        )
                    });
                }
            }
        }
        found.retain(|trace, _| !matches!(trace, Trace::Status(_)));
        self.holds(found.is_empty(), || format!("never sent: {found:?}"));
    }

    /// What was recorded is fetched.
    async fn artifacts(&mut self, proof: &mut Proof) -> Result<()> {
        let recorded = self.bots.iter().any(|bot| {
            let mut statuses = bot.status_changes.iter();
            statuses.any(|(code, _)| code == "in_call_recording")
        });
        if !recorded || self.meeting["status"] != "ended" {
            return Ok(());
        }
        for artifact in ["transcript", "recording"] {
            let state = word(&self.meeting[artifact]["state"]);
            self.holds(state == "ready", || format!("the {artifact} is {state}"));
        }
        if self.meeting["transcript"]["state"] == "ready" {
            proof.transcripts += 1;
            let last = texts(self.branch, &self.lived.id, "final").await?;
            for token in &self.lived.plan.tokens {
                let told = last.iter().filter(|text| names(text, token)).count();
                self.holds(told <= 1, || {
                    format!("{token} is {told} times in the final transcript")
                });
            }
        }
        Ok(())
    }

    /// How the room heard or read these words.
    fn heard(&self, words: &str) -> HeardWords {
        let mut sum = HeardWords::default();
        for heard in self.bots.iter().flat_map(|bot| &bot.heard) {
            if heard.text() != Some(words) || heard.automatic() {
                continue;
            }
            match heard {
                Heard::Audio(_) => sum.clips += 1,
                Heard::Chat { .. } => sum.chats += 1,
                Heard::Page(page) => {
                    sum.page_ms += page.duration_ms;
                    sum.parts += 1;
                }
            }
        }
        sum
    }

    fn story(&self) -> String {
        let entries = self.timeline.iter().map(|entry| {
            let (at, kind) = (word(&entry["at"]), word(&entry["kind"]));
            let (name, summary) = (word(&entry["name"]), word(&entry["summary"]));
            format!("  {at} {kind:<8}{name}: {summary} {}", entry["data"])
        });
        let mut lines = vec![format!("  {}", self.meeting)];
        lines.extend(entries);
        lines.push("  the vendors saw:".to_owned());
        let shorts: Vec<&str> = self.bots.iter().filter_map(|bot| bot.id.get(..8)).collect();
        let sessions = self.branch.simulator.avatar_sessions_for(&self.lived.id);
        let sessions: Vec<String> = sessions
            .iter()
            .filter_map(|session| session.id.get(..8).map(str::to_owned))
            .collect();
        for entry in self.branch.simulator.journal() {
            let line = entry.to_string();
            let about_it = shorts.iter().any(|short| line.contains(short))
                || sessions.iter().any(|short| line.contains(short.as_str()))
                || line.contains(&self.lived.id)
                || entry.what.webhook().is_some_and(|sent| {
                    let id = sent.bot_id.as_deref().unwrap_or_default();
                    self.bots.iter().any(|bot| bot.id == id)
                })
                || entry.what.request().is_some_and(|request| {
                    request.meeting_url.as_deref() == Some(&self.lived.plan.meeting_url)
                });
            if about_it {
                lines.push(format!("  {line}"));
            }
        }
        lines.join("\n")
    }
}

/// How the room heard some words.
#[derive(Clone, Copy, Debug, Default)]
struct HeardWords {
    clips: usize,
    chats: usize,
    page_ms: u64,
    parts: u64,
}

impl HeardWords {
    fn spoken(&self) -> bool {
        self.clips > 0 || self.page_ms > 0
    }
}

/// What a webhook would have left behind that left this.
fn trace(entry: &Value) -> Option<Trace> {
    let data = &entry["data"];
    match entry["name"].as_str()? {
        "participant" => Some(Trace::Participant {
            action: word(&data["action"]),
            id: word(&data["participant"]),
        }),
        "chat" => Some(Trace::Chat {
            from: word(&data["from"]),
        }),
        "bot_status" => Some(Trace::Status(word(&data["code"]))),
        _ => None,
    }
}

/// Whether a text holds this word.
fn names(text: &str, token: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric())
        .any(|word| word == token)
}

/// All entries of a list that comes in pages.
async fn pages(branch: &Branch, id: &str, path: &str, field: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::from("0");
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("/v1/meetings/{id}/{path}{separator}limit=100&cursor={cursor}");
        let page = branch.api.get(&path).await?;
        if page.status == 404 {
            return Ok(all);
        }
        let page = page.expect(200).with_context(|| path)?;
        all.extend(page[field].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(all),
        }
    }
}

/// The texts of a transcript; none if there is none.
async fn texts(branch: &Branch, id: &str, source: &str) -> Result<Vec<String>> {
    let path = format!("transcript?source={source}");
    let segments = pages(branch, id, &path, "segments").await?;
    Ok(segments
        .iter()
        .map(|segment| word(&segment["text"]))
        .collect())
}

/// How long the speech for these words is.
async fn length_ms(branch: &Branch, words: &str) -> Result<u64> {
    let origin = branch.simulator.elevenlabs_base_url();
    let url = format!("{origin}/v1/text-to-speech/fake-voice?output_format=pcm_24000");
    let asked = reqwest::Client::new()
        .post(url)
        .header("xi-api-key", "fake-elevenlabs-key")
        .json(&json!({ "text": words, "model_id": "eleven_flash_v2_5" }));
    let pcm = asked.send().await?.error_for_status()?.bytes().await?;
    Ok(u64::try_from(pcm.len())? / 48)
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
