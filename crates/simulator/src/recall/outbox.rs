//! Webhooks on their way: which are due, how often they were tried, when they are tried again.
//!
//! Two systems that share nothing but the signature. Workspace webhooks are independent of each
//! other and retried for about a day. Each real-time endpoint gets its events one after the other,
//! 60 attempts a second apart, and is given up for good after that.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::signing::HeaderFamily;

/// How long a workspace webhook waits after each failed attempt.
const WORKSPACE_RETRIES: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];
/// After this many attempts a real-time endpoint is dead.
const REALTIME_ATTEMPTS: u32 = 60;
const REALTIME_PAUSE: Duration = Duration::from_secs(1);
/// A real meeting says less than this in an hour; beyond it the oldest events are lost.
const REALTIME_QUEUE: usize = 10_000;

/// A webhook that has yet to arrive.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) bot_id: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderFamily,
    pub(crate) rotated_secret: Option<String>,
    pub(crate) lane: Lane,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// To the workspace's URL, whatever it is when the attempt is made.
    Workspace,
    /// To one bot's real-time endpoint.
    Realtime { endpoint_id: String, url: String },
}

/// One attempt that has to be made now.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) ticket: u64,
    pub(crate) number: u32,
    pub(crate) message: Message,
}

/// What became of the message after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    Retried,
    /// Tried as often as it is going to be.
    GivenUp,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    workspace_scale: f64,
    realtime_scale: f64,
    next_ticket: u64,
    workspace: BTreeMap<u64, Pending>,
    realtime: BTreeMap<String, VecDeque<(u64, Pending)>>,
}

#[derive(Debug)]
struct Pending {
    message: Message,
    due: Timestamp,
    attempts: u32,
    in_flight: bool,
}

impl Outbox {
    /// The scales multiply the pauses between attempts.
    pub(crate) fn new(workspace_scale: f64, realtime_scale: f64) -> Self {
        Self {
            workspace_scale,
            realtime_scale,
            next_ticket: 0,
            workspace: BTreeMap::new(),
            realtime: BTreeMap::new(),
        }
    }

    pub(crate) fn push(&mut self, message: Message, due: Timestamp) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let lane = message.lane.clone();
        let pending = Pending {
            message,
            due,
            attempts: 0,
            in_flight: false,
        };
        match lane {
            Lane::Workspace => {
                self.workspace.insert(ticket, pending);
            }
            Lane::Realtime { endpoint_id, .. } => {
                let queue = self.realtime.entry(endpoint_id).or_default();
                if queue.len() == REALTIME_QUEUE {
                    queue.remove(1);
                }
                // Later events wait for earlier ones, except that a late transcript holds up nobody.
                let place =
                    queue.partition_point(|(_, other)| other.attempts > 0 || other.due <= due);
                queue.insert(place, (ticket, pending));
            }
        }
    }

    /// Takes every attempt that is due; each has to be [`Self::finish`]ed.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<Attempt> {
        let heads = self
            .realtime
            .values_mut()
            .filter_map(|queue| queue.front_mut());
        let all = self
            .workspace
            .iter_mut()
            .map(|(ticket, pending)| (*ticket, pending));
        all.chain(heads.map(|(ticket, pending)| (*ticket, pending)))
            .filter(|(_, pending)| !pending.in_flight && pending.due <= now)
            .map(|(ticket, pending)| {
                pending.in_flight = true;
                pending.attempts += 1;
                Attempt {
                    ticket,
                    number: pending.attempts,
                    message: pending.message.clone(),
                }
            })
            .collect()
    }

    /// Tells how an attempt went.
    pub(crate) fn finish(&mut self, attempt: &Attempt, delivered: bool, now: Timestamp) -> Fate {
        match &attempt.message.lane {
            Lane::Workspace => self.finish_workspace(attempt, delivered, now),
            Lane::Realtime { endpoint_id, .. } => self.finish_realtime(endpoint_id, delivered, now),
        }
    }

    fn finish_workspace(&mut self, attempt: &Attempt, delivered: bool, now: Timestamp) -> Fate {
        let tried = usize::try_from(attempt.number).unwrap_or(usize::MAX);
        let pause = WORKSPACE_RETRIES.get(tried - 1).filter(|_| !delivered);
        if let (Some(pause), Some(pending)) = (pause, self.workspace.get_mut(&attempt.ticket)) {
            return pending.retry(now + pause.mul_f64(self.workspace_scale));
        }
        self.workspace.remove(&attempt.ticket);
        if delivered {
            Fate::Delivered
        } else {
            Fate::GivenUp
        }
    }

    fn finish_realtime(&mut self, endpoint_id: &str, delivered: bool, now: Timestamp) -> Fate {
        let Some(queue) = self.realtime.get_mut(endpoint_id) else {
            return Fate::GivenUp;
        };
        if delivered {
            queue.pop_front();
            return Fate::Delivered;
        }
        let head = queue
            .front_mut()
            .filter(|(_, head)| head.attempts < REALTIME_ATTEMPTS);
        if let Some((_, pending)) = head {
            return pending.retry(now + REALTIME_PAUSE.mul_f64(self.realtime_scale));
        }
        self.realtime.remove(endpoint_id);
        Fate::GivenUp
    }

    /// When the next attempt is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let heads = self
            .realtime
            .values()
            .filter_map(|queue| queue.front())
            .map(|(_, head)| head);
        self.workspace
            .values()
            .chain(heads)
            .filter(|pending| !pending.in_flight)
            .map(|p| p.due)
            .min()
    }

    /// Whether nothing is waiting or under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.workspace.is_empty() && self.realtime.values().all(VecDeque::is_empty)
    }
}

impl Pending {
    fn retry(&mut self, due: Timestamp) -> Fate {
        self.in_flight = false;
        self.due = due;
        Fate::Retried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(event: &str, lane: Lane) -> Message {
        Message {
            id: format!("msg_{event}"),
            event: event.to_owned(),
            bot_id: None,
            body: Bytes::new(),
            headers: HeaderFamily::Webhook,
            rotated_secret: None,
            lane,
        }
    }

    fn realtime() -> Lane {
        Lane::Realtime {
            endpoint_id: "e".to_owned(),
            url: "http://127.0.0.1/".to_owned(),
        }
    }

    fn start() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_failing_workspace_webhook_is_tried_eight_times_on_the_vendors_schedule() {
        let mut outbox = Outbox::new(1.0, 1.0);
        outbox.push(message("bot.done", Lane::Workspace), start());
        let mut times = Vec::new();
        while let Some(due) = outbox.deadline() {
            let attempt = outbox.take_due(due).remove(0);
            assert_eq!(attempt.message.id, "msg_bot.done");
            times.push(due.duration_since(start()).as_secs());
            outbox.finish(&attempt, false, due);
        }
        let hours = 3600;
        assert_eq!(
            times,
            [
                0,
                5,
                305,
                2105,
                9305,
                9305 + 5 * hours,
                9305 + 15 * hours,
                9305 + 25 * hours
            ]
        );
    }

    #[test]
    fn realtime_events_wait_for_the_one_before_and_die_after_sixty_attempts() {
        let mut outbox = Outbox::new(1.0, 1.0);
        outbox.push(message("first", realtime()), start());
        outbox.push(message("second", realtime()), start());
        let mut now = start();
        for _ in 1..60 {
            let attempts = outbox.take_due(now);
            assert_eq!(attempts.len(), 1);
            assert_eq!(attempts[0].message.event, "first");
            assert_eq!(outbox.finish(&attempts[0], false, now), Fate::Retried);
            now = outbox.deadline().unwrap();
        }
        let last = outbox.take_due(now).remove(0);
        assert_eq!(outbox.finish(&last, false, now), Fate::GivenUp);
        assert_eq!(outbox.deadline(), None);
        assert_eq!(now.duration_since(start()).as_secs(), 59);
    }

    #[test]
    fn workspace_webhooks_do_not_wait_for_each_other() {
        let mut outbox = Outbox::new(1.0, 1.0);
        outbox.push(message("first", Lane::Workspace), start());
        outbox.push(message("second", Lane::Workspace), start());
        assert_eq!(outbox.take_due(start()).len(), 2);
    }
}
