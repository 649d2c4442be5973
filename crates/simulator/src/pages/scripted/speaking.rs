//! The speech that a page is given: played in order, one after the other.
//!
//! Every utterance that is started gets one end: spoken, interrupted, or failed.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::audio::mp3;
use crate::avatar::lasts;
use crate::pages::Job;
use crate::recall::ids::sha256_hex;
use crate::recall::{HeardPage, PageVoice};

/// How often the page tells how far it is.
const TELLS_EVERY: Duration = Duration::from_millis(250);
/// More utterances than anybody would listen to; the page has the same bound.
const MOST: usize = 64;

#[derive(Debug)]
pub(super) struct Speaking {
    scale: f64,
    queue: VecDeque<Speech>,
    /// Nothing plays and nothing is told.
    blocked: bool,
    /// It was interrupted while it was blocked.
    clearing: bool,
}

#[derive(Debug)]
struct Speech {
    id: String,
    is_mp3: bool,
    sound: Vec<u8>,
    complete: bool,
    /// Why it does not come whole.
    failed: Option<String>,
    began_at: Option<Timestamp>,
    /// Since when it has been playing, and what was played before.
    since: Option<Timestamp>,
    before: Duration,
    told_at: Option<Timestamp>,
}

impl Speaking {
    pub(super) fn new(scale: f64, blocked: bool) -> Self {
        Self {
            scale,
            queue: VecDeque::new(),
            blocked,
            clearing: false,
        }
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The browser refuses to play sound from now on, or lets it go on; says whether it begins to refuse.
    pub(super) fn block(&mut self, blocked: bool, now: Timestamp) -> bool {
        let begins = blocked && !self.blocked;
        if let Some(first) = self.queue.front_mut()
            && first.began_at.is_some()
        {
            first.before = first.played(now, self.scale);
            first.since = (!blocked).then_some(now);
        }
        self.blocked = blocked;
        begins
    }

    pub(super) fn start(&mut self, message: &Value) -> Vec<Value> {
        let Some(id) = message["utterance_id"].as_str() else {
            return Vec::new();
        };
        let is_mp3 = match message["format"].as_str() {
            Some("mp3") => true,
            Some("pcm_24000") => false,
            _ => return Vec::new(),
        };
        let mut facts = self.cut_off("the next utterance began");
        if self.queue.len() >= MOST {
            facts.push(failed(id, "too many utterances wait", Duration::ZERO));
            return facts;
        }
        self.queue.push_back(Speech {
            id: id.to_owned(),
            is_mp3,
            sound: Vec::new(),
            complete: false,
            failed: None,
            began_at: None,
            since: None,
            before: Duration::ZERO,
            told_at: None,
        });
        facts
    }

    pub(super) fn hear(&mut self, sound: &[u8]) {
        if let Some(open) = self.queue.back_mut().filter(|last| !last.complete) {
            open.sound.extend_from_slice(sound);
        }
    }

    pub(super) fn end(&mut self, message: &Value) -> Vec<Value> {
        let open = self.queue.back_mut();
        let open = open.filter(|last| !last.complete && message["utterance_id"] == *last.id);
        let Some(open) = open else {
            return Vec::new();
        };
        if open.is_mp3 && open.duration().is_zero() {
            return self.cut_off("no mp3 frames in the sound");
        }
        open.complete = true;
        Vec::new()
    }

    /// The rest of the open utterance will not come. What is there is played, and how much that was is told then.
    pub(super) fn cut_off(&mut self, reason: &str) -> Vec<Value> {
        let Some(open) = self.queue.back_mut().filter(|last| !last.complete) else {
            return Vec::new();
        };
        (open.complete, open.failed) = (true, Some(reason.to_owned()));
        if !open.duration().is_zero() {
            return Vec::new();
        }
        let nothing = failed(&open.id, reason, Duration::ZERO);
        self.queue.pop_back();
        vec![nothing]
    }

    /// Falls silent and forgets what waits; blocked sound does so when it is not blocked any more.
    pub(super) fn interrupt(&mut self, job: &Job, now: Timestamp) -> Vec<Value> {
        if self.blocked {
            self.clearing = !self.queue.is_empty();
            return Vec::new();
        }
        self.stop(job, now)
    }

    /// Falls silent and forgets what waits.
    pub(super) fn stop(&mut self, job: &Job, now: Timestamp) -> Vec<Value> {
        let mut facts = Vec::new();
        for speech in std::mem::take(&mut self.queue) {
            let played = speech.played(now, self.scale);
            speech.heard(job, played);
            facts.push(json!({ "type": "playing", "utterance_id": speech.id,
                "played_ms": millis(played), "interrupted": true }));
        }
        facts
    }

    /// How far what plays is, as it is told after a greeting.
    pub(super) fn progress(&self, now: Timestamp) -> Vec<Value> {
        let playing = self.queue.iter().filter(|speech| speech.began_at.is_some());
        playing
            .map(|speech| speech.progress(now, self.scale))
            .collect()
    }

    /// When [`Self::tick`] next has something to do.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let first = self.queue.front().filter(|_| !self.blocked)?;
        let Some(since) = first.since else {
            return (first.complete || !first.sound.is_empty()).then_some(Timestamp::UNIX_EPOCH);
        };
        let tells = first.told_at.unwrap_or(since) + TELLS_EVERY;
        let ends = first.complete.then(|| first.ends_at(since, self.scale));
        ends.into_iter().chain([tells]).min()
    }

    /// Plays on; returns what is to be told.
    pub(super) fn tick(&mut self, job: &Job, now: Timestamp) -> Vec<Value> {
        if !self.blocked && std::mem::take(&mut self.clearing) {
            return self.stop(job, now);
        }
        let mut facts = Vec::new();
        // What follows begins in the moment in which the one before it ends.
        let mut begins = now;
        while self.deadline().is_some_and(|due| due <= now) {
            let Some(first) = self.queue.front_mut() else {
                break;
            };
            let since = *first.since.get_or_insert(begins);
            first.began_at.get_or_insert(since);
            let ends_at = first.ends_at(since, self.scale);
            if first.complete && ends_at <= now {
                first.heard(job, first.duration());
                facts.push(match &first.failed {
                    None => json!({ "type": "spoken", "utterance_id": first.id }),
                    Some(reason) => failed(&first.id, reason, first.duration()),
                });
                begins = ends_at;
                self.queue.pop_front();
            } else {
                first.told_at = Some(now);
                facts.push(first.progress(now, self.scale));
            }
        }
        facts
    }
}

impl Speech {
    fn duration(&self) -> Duration {
        if self.is_mp3 {
            mp3::inspect(&self.sound).map_or(Duration::ZERO, |found| found.duration)
        } else {
            lasts(self.sound.len())
        }
    }

    fn ends_at(&self, since: Timestamp, scale: f64) -> Timestamp {
        since + self.duration().saturating_sub(self.before).div_f64(scale)
    }

    /// How much of it was played by then, in meeting time.
    fn played(&self, now: Timestamp, scale: f64) -> Duration {
        let running = self
            .since
            .and_then(|since| Duration::try_from(now.duration_since(since)).ok());
        let played = self.before + running.unwrap_or_default().mul_f64(scale);
        played.min(self.duration())
    }

    fn progress(&self, now: Timestamp, scale: f64) -> Value {
        let played = millis(self.played(now, scale));
        json!({ "type": "playing", "utterance_id": self.id, "played_ms": played })
    }

    /// The room has heard this much of it.
    fn heard(&self, job: &Job, played: Duration) {
        let Some(at) = self.began_at.filter(|_| !played.is_zero()) else {
            return;
        };
        let spoken = &job.world.spoken;
        let text = spoken
            .text(&sha256_hex(&self.sound))
            .or_else(|| spoken.recognise(&self.sound).text);
        job.heard(HeardPage {
            duration_ms: millis(played),
            text,
            voice: PageVoice::Page,
            stopped: self.failed.is_some() || played < self.duration(),
            measured: false,
            at,
        });
    }
}

fn failed(id: &str, reason: &str, played: Duration) -> Value {
    json!({ "type": "speak.failed", "utterance_id": id, "reason": reason,
        "played_ms": millis(played) })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
