//! The life of one meeting as a pure state machine.
//!
//! The shell owns a [`Meeting`] and repeats one loop: take an event, call [`Meeting::handle`], save the
//! meeting, set the alarm to [`Meeting::deadline`], and only then start the orders.
//! `handle` never fails, never waits and reads no clock; the same meeting, event and time give the same step.
//!
//! | Status | Event | Next | Orders |
//! | --- | --- | --- | --- |
//! | (booked) | start more than [`limits::AHEAD`] away | `scheduled` | `CreateBot` with `join_at` |
//! | (booked) | start nearer | `scheduled` | none until `join_at` |
//! | `scheduled` | `join_at` reached, or join requested | same | `CreateBot` now; a bot made ahead is deleted first when the join was requested |
//! | `scheduled` | a bot that joins now was made | `bot_joining` | `Synthesize` the greeting |
//! | `scheduled`, `bot_joining` | a create call in doubt | same | `FindBots`, then the same key again |
//! | `scheduled`, `bot_joining` | no bot within [`limits::CREATION_PATIENCE`], or refused | `failed` | look for strays |
//! | `scheduled` | first bot status | `bot_joining` | `Synthesize` the greeting |
//! | `bot_joining` | first `in_call_*` | `in_progress` | `PlayAudio` the greeting, or let the page play it |
//! | `scheduled`, `bot_joining` | cancel requested | `cancelled` | `DeleteBot`, else `LeaveCall` |
//! | `in_progress` | cancel requested | same | `LeaveCall` |
//! | any of these | `call_ended`, `done` | `ended` | `ReadBot` until the artifacts are there |
//! | any of these | `fatal` | `failed` | as above if it ever recorded |
//! | over | anything late | same | a bot that still lives is removed |
//!
//! The parts: `bot_manager` owns the bot's way into the call and out of it, `creation` its making, `removal` its
//! going, `speech` what is said, `face` the bot's page, `page_speech` what the page plays, `listening` what is heard,
//! `artifacts` what is kept, `effects` the orders and their retries.

mod artifacts;
mod avatar;
mod avatar_speech;
mod bot_manager;
mod creation;
mod effect;
mod effects;
mod event;
mod face;
pub mod limits;
mod listening;
mod page_speech;
mod removal;
mod snapshot;
mod speech;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};

pub use bot_manager::BotManager;
pub use effect::{
    AvatarOrder, EarsOrder, Effect, EffectId, ListenPlan, LiveEvent, LiveParticipant, Order,
    PageOrder, Refusal, SpeechFormat, Step, TimelineEntry, TimelineKind,
};
pub use event::{Answer, ArtifactStatus, BotState, Event, FoundBot, RecordingState};
pub use snapshot::SnapshotError;
pub use state::{
    Agent, ArtifactState, AvatarState, Booking, Ended, EndedBy, GreetingState, ListeningState,
    Meeting, Platform, Presence, Status, UtteranceState, Via, Warning, WarningCode,
};
use state::{Avatar, Bot, Creation, Greeting, Listening, Page, SNAPSHOT_VERSION};

impl Meeting {
    /// Makes a meeting out of a booking at `now`, and gives what is to be done at once.
    pub fn book(booking: Booking, now: Timestamp) -> (Self, Step) {
        let join_at = booking.join_at();
        let mut meeting = Self {
            version: SNAPSHOT_VERSION,
            status: Status::Scheduled,
            join_at,
            creation: Creation::Planned { at: join_at },
            keys_used: 0,
            bot: None,
            rejoin: false,
            leaving: false,
            purging: false,
            greeting: Greeting {
                state: GreetingState::Pending,
                via: None,
                at: None,
                reason: None,
            },
            speech: VecDeque::new(),
            avatar: Avatar::default(),
            stopping: None,
            listening: Listening::default(),
            page: Page::default(),
            segments: 0,
            transcript: ArtifactState::None,
            recording: ArtifactState::None,
            ended: None,
            over_since: None,
            warnings: Vec::new(),
            removals: BTreeMap::new(),
            effects: BTreeMap::new(),
            next_effect: 1,
            next_poll: None,
            artifacts_unknown: false,
            artifact_polls: 0,
            sweep_at: None,
            sweeps_left: 0,
            index_stale: false,
            revision: 1,
            updated_at: now,
            booking: Arc::new(booking),
        };
        let mut step = Step::default();
        let mut manager = BotManager::new(&mut meeting, &mut step, now);
        manager.note(
            "booked",
            "the meeting was booked",
            &json!({ "join_at": join_at }),
        );
        manager.create_meeting_bot();
        manager.settle();
        manager.meeting.index_stale = true;
        manager.update_index();
        (meeting, step)
    }

    /// Takes in one event that happened at `now` and gives everything that follows from it.
    ///
    /// Orders and segments count only once the meeting as it is now has been saved.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Step {
        let mut step = Step::default();
        let (before, segments) = (self.summary(), self.segments);
        let mut manager = BotManager::new(self, &mut step, now);
        manager.take_in(event);
        manager.settle();
        let changed = self.summary() != before;
        if step.refusal.is_none() && (changed || self.segments != segments) {
            self.revision += 1;
            self.updated_at = now;
            step.live.push(LiveEvent::Meeting {
                meeting: Box::new(self.view()),
            });
        }
        if step.refusal.is_none() && changed {
            self.index_stale = true;
            BotManager::new(self, &mut step, now).update_index();
        }
        step
    }

    /// What of a meeting the tenant's index has to follow. The number of segments is not in it: it changes with
    /// every sentence, and the index learns of it with the next change of anything else.
    fn summary(&self) -> Summary {
        Summary {
            status: self.status,
            join_at: self.join_at,
            bot: self.bot.clone(),
            greeting: self.greeting.clone(),
            listening: self.listening.state,
            avatar: self.avatar_state(),
            transcript: self.transcript,
            recording: self.recording,
            ended: self.ended.clone(),
            warnings: self.warnings.len(),
        }
    }

    /// Tells, right after an event that happened at `now`, when [`Event::Woke`] is due at the latest; `None`
    /// when nothing is left to do.
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let planned = match self.creation {
            Creation::Planned { at } if !self.status.is_over() => Some(at),
            Creation::Planned { .. } | Creation::Asking(_) | Creation::Made | Creation::Closed => {
                None
            }
        };
        [
            planned,
            self.next_poll,
            self.sweep_at,
            self.speech_deadline(),
            self.avatar_deadline(now),
            self.removal_deadline(),
            self.effects_deadline(now),
            self.create_deadline(),
            self.watchdog(),
            self.listening_deadline(now),
            self.page_deadline(),
            self.page_ping_deadline(),
            self.beat(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Gives the booking the meeting was made from.
    pub fn booking(&self) -> &Booking {
        &self.booking
    }

    /// Tells until when the bot's page may need to be let in.
    pub fn page_expires_at(&self) -> Timestamp {
        let join = after(self.join_at, limits::JOIN_WATCHDOG);
        after(join, limits::CALL_WATCHDOG)
    }

    /// Tells where the meeting is in its life.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Tells whether the call's sound is being delivered.
    pub fn has_media(&self) -> bool {
        self.listening.media
    }

    /// Gives the bot's id, if there is a bot.
    pub fn bot_id(&self) -> Option<&crate::ids::BotId> {
        self.bot.as_ref().map(|bot| &bot.id)
    }

    /// Tells which change of the meeting this is; later ones are higher.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// While a call is on the object stays awake and looks after itself.
    fn beat(&self, now: Timestamp) -> Option<Timestamp> {
        match self.status {
            Status::BotJoining | Status::InProgress => Some(after(now, limits::BEAT)),
            Status::Scheduled | Status::Ended | Status::Failed | Status::Cancelled => None,
        }
    }
}

/// What of a meeting can change, short of the number of segments.
#[derive(PartialEq)]
struct Summary {
    status: Status,
    join_at: Timestamp,
    bot: Option<Bot>,
    greeting: Greeting,
    listening: ListeningState,
    avatar: AvatarState,
    transcript: ArtifactState,
    recording: ArtifactState,
    ended: Option<Ended>,
    warnings: usize,
}

impl Booking {
    /// Gives the time the bot is to join: some minutes early, and never before the booking was made.
    pub fn join_at(&self) -> Timestamp {
        let early = Duration::from_secs(u64::from(self.early_join_minutes) * 60);
        let wanted = self
            .starts_at
            .map(|start| start.checked_sub(early).unwrap_or(Timestamp::MIN));
        wanted.map_or(self.created_at, |at| at.max(self.created_at))
    }
}

/// Adds a wait to a time, staying within what a timestamp can hold.
fn after(at: Timestamp, wait: Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// The time between two moments, zero if `to` is not after `from`.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

impl BotManager<'_> {
    /// Writes a fact into the event log.
    fn note(&mut self, name: &str, summary: impl Into<String>, data: &Value) {
        self.step.timeline.push(TimelineEntry {
            kind: TimelineKind::Event,
            name: name.to_owned(),
            summary: summary.into(),
            data: data.clone(),
        });
    }

    /// Records something that was degraded, once per kind and message.
    fn warn(&mut self, code: WarningCode, message: impl Into<String>) {
        let message = message.into();
        let known = self.meeting.warnings.iter();
        if self.meeting.warnings.len() >= limits::MAX_WARNINGS
            || known
                .clone()
                .any(|w| w.code == code && w.message == message)
        {
            return;
        }
        let warning = Warning {
            code,
            message: message.clone(),
            at: self.now,
        };
        self.meeting.warnings.push(warning.clone());
        self.step.live.push(LiveEvent::Warning { warning });
        self.step.timeline.push(TimelineEntry {
            kind: TimelineKind::Warning,
            name: serde_json::to_value(code)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default(),
            summary: message,
            data: Value::Null,
        });
    }
}
