//! The speech that a page is given: played in order, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::audio::mp3;
use crate::avatar::lasts;
use crate::pages::Job;
use crate::recall::HeardPage;
use crate::recall::ids::sha256_hex;

/// How often the page tells how far it is.
const TELLS_EVERY: Duration = Duration::from_millis(250);
/// More utterances than anybody would listen to; the page has the same bound.
const MOST: usize = 64;

#[derive(Debug)]
pub(super) struct Speaking {
    scale: f64,
    queue: VecDeque<Speech>,
}

#[derive(Debug)]
struct Speech {
    id: String,
    is_mp3: bool,
    sound: Vec<u8>,
    complete: bool,
    began_at: Option<Timestamp>,
    told_at: Option<Timestamp>,
}

impl Speaking {
    pub(super) fn new(scale: f64) -> Self {
        Self {
            scale,
            queue: VecDeque::new(),
        }
    }

    pub(super) fn start(&mut self, message: &Value) -> Vec<Value> {
        let mut facts = self.connection_lost();
        let id = message["utterance_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let is_mp3 = message["format"] == "mp3";
        if self.queue.len() >= MOST {
            facts.push(failed(&id, "too many utterances wait"));
            return facts;
        }
        self.queue.push_back(Speech {
            id,
            is_mp3,
            sound: Vec::new(),
            complete: false,
            began_at: None,
            told_at: None,
        });
        facts
    }

    pub(super) fn hear(&mut self, sound: &[u8]) {
        if let Some(open) = self.queue.back_mut().filter(|last| !last.complete) {
            open.sound.extend_from_slice(sound);
        }
    }

    pub(super) fn end(&mut self, message: &Value) {
        let open = self
            .queue
            .back_mut()
            .filter(|last| message["utterance_id"] == *last.id);
        if let Some(open) = open {
            open.complete = true;
        }
    }

    /// The rest of the open utterance will not come.
    pub(super) fn connection_lost(&mut self) -> Vec<Value> {
        let open = self.queue.pop_back_if(|last| !last.complete);
        let failed = open.map(|open| failed(&open.id, "the rest of it did not come"));
        failed.into_iter().collect()
    }

    /// Falls silent and forgets what waits.
    pub(super) fn interrupt(&mut self, job: &Job, now: Timestamp) -> Vec<Value> {
        let queue = std::mem::take(&mut self.queue);
        let interrupted = queue.into_iter().map(|speech| {
            let played = speech.played(now, self.scale);
            speech.heard(job, played);
            json!({ "type": "playing", "utterance_id": speech.id, "played_ms": millis(played), "interrupted": true })
        });
        interrupted.collect()
    }

    /// When [`Self::tick`] next has something to do.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let first = self.queue.front()?;
        let Some(began_at) = first.began_at else {
            return (first.complete || !first.sound.is_empty()).then_some(Timestamp::UNIX_EPOCH);
        };
        let tells = first.told_at.unwrap_or(began_at) + TELLS_EVERY;
        let ends = first
            .complete
            .then(|| began_at + first.duration().div_f64(self.scale));
        ends.into_iter().chain([tells]).min()
    }

    /// Plays on; returns what is to be told.
    pub(super) fn tick(&mut self, job: &Job, now: Timestamp) -> Vec<Value> {
        let mut facts = Vec::new();
        while self.deadline().is_some_and(|due| due <= now) {
            let Some(first) = self.queue.front_mut() else {
                break;
            };
            let began_at = *first.began_at.get_or_insert(now);
            let played = first.played(now, self.scale);
            if first.complete && began_at + first.duration().div_f64(self.scale) <= now {
                first.heard(job, first.duration());
                facts.push(json!({ "type": "spoken", "utterance_id": first.id }));
                self.queue.pop_front();
            } else {
                first.told_at = Some(now);
                facts.push(json!({ "type": "playing", "utterance_id": first.id, "played_ms": millis(played) }));
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

    /// How much of it was played by then, in meeting time.
    fn played(&self, now: Timestamp, scale: f64) -> Duration {
        let since = self
            .began_at
            .and_then(|began| Duration::try_from(now.duration_since(began)).ok());
        since
            .unwrap_or_default()
            .mul_f64(scale)
            .min(self.duration())
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
            measured: false,
            at,
        });
    }
}

fn failed(id: &str, reason: &str) -> Value {
    json!({ "type": "speak.failed", "utterance_id": id, "reason": reason })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
