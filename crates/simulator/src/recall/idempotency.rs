//! Remembers the answers to requests with an `Idempotency-Key`, per key and path, for an hour.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::answer::Answer;

/// How long an answer is replayed; after that the same key does the work again.
const REMEMBERED: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    records: HashMap<(String, String), Record>,
}

#[derive(Debug)]
enum Record {
    InFlight,
    Answered { answer: Answer, at: Timestamp },
}

/// What is known about a key.
pub(crate) enum Known {
    Nothing,
    InFlight,
    Answered(Answer),
}

impl Idempotency {
    pub(crate) fn look_up(&mut self, key: &str, path: &str, now: Timestamp) -> Known {
        self.records.retain(|_, record| match record {
            Record::InFlight => true,
            Record::Answered { at, .. } => now < *at + REMEMBERED,
        });
        match self.records.get(&(key.to_owned(), path.to_owned())) {
            None => Known::Nothing,
            Some(Record::InFlight) => Known::InFlight,
            Some(Record::Answered { answer, .. }) => Known::Answered(answer.clone()),
        }
    }

    /// Marks a key as being worked on.
    pub(crate) fn begin(&mut self, key: &str, path: &str) {
        self.records
            .insert((key.to_owned(), path.to_owned()), Record::InFlight);
    }

    /// Forgets that a key was being worked on, unless it was answered meanwhile.
    pub(crate) fn release(&mut self, key: &str, path: &str) {
        let name = (key.to_owned(), path.to_owned());
        if matches!(self.records.get(&name), Some(Record::InFlight)) {
            self.records.remove(&name);
        }
    }

    /// Stores an answer, if it is one that is replayed.
    ///
    /// A stored 507 is, which is why it must be retried with a new key. Load shedding, rate limits
    /// and failed authentication happen before the key is looked at, so the same key may be retried.
    pub(crate) fn store(&mut self, key: &str, path: &str, answer: &Answer, now: Timestamp) {
        let replayed = match answer.status.as_u16() {
            401 | 403 | 409 | 429 => false,
            507 => true,
            status => status < 500,
        };
        if replayed {
            let record = Record::Answered {
                answer: answer.clone(),
                at: now,
            };
            self.records
                .insert((key.to_owned(), path.to_owned()), record);
        }
    }
}
