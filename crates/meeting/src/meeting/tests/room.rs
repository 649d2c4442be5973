//! A meeting on a clock that moves by hand, for tests of single paths.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Map;

use super::stored::Stored;
use crate::{
    http::{Advice, CallError, FailureKind},
    ids::{BotId, MeetingId, TenantId, UtteranceId},
    meeting::{
        Agent, Answer, ArtifactStatus, Booking, Effect, EffectId, Event, LiveEvent, Meeting, Order,
        Platform, Presence, Step, UtteranceState,
    },
    vendors::recall::{
        Artifact, ArtifactChange, ArtifactCode, BotCode, BotStatusChange, RecallEvent,
    },
};

/// A meeting and the orders it has given that were not answered yet.
pub(super) struct Room {
    pub(super) meeting: Meeting,
    stored: Stored,
    pub(super) now: Timestamp,
    pub(super) orders: Vec<Order>,
    pub(super) live: Vec<LiveEvent>,
}

pub(super) fn start_of_time() -> Timestamp {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

pub(super) fn booking(starts_in: Option<Duration>) -> Booking {
    let now = start_of_time();
    Booking {
        id: MeetingId::mint(now, 1),
        tenant_id: TenantId::default_tenant(),
        meeting_url: "https://meet.google.com/abc-defg-hij".to_owned(),
        platform: Platform::GoogleMeet,
        title: None,
        starts_at: starts_in.map(|wait| now + wait),
        presence: Presence::Voice,
        agent: Agent {
            name: "Ada".to_owned(),
            company: Some("Acme".to_owned()),
            greeting: "Hi, this is Ada joining from Acme.".to_owned(),
            voice_id: Some("voice".to_owned()),
            avatar_id: None,
            language: "en-US".to_owned(),
        },
        metadata: Map::new(),
        avatar_provider: None,
        page_microphone: false,
        early_join_minutes: 3,
        created_at: now,
    }
}

pub(super) fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

pub(super) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Room {
    pub(super) fn book(starts_in: Option<Duration>) -> Self {
        Self::of(booking(starts_in))
    }

    pub(super) fn of(booking: Booking) -> Self {
        let (meeting, step) = Meeting::book(booking, start_of_time());
        let mut room = Self {
            stored: Stored::new(&meeting),
            meeting,
            now: start_of_time(),
            orders: Vec::new(),
            live: Vec::new(),
        };
        room.follow(step);
        room
    }

    /// A meeting whose bot is in the call and recording, greeted.
    pub(super) fn in_call() -> Self {
        let mut room = Self::joining();
        room.answer("elevenlabs.synthesize_full", audio(2000));
        room.status("in_call_recording");
        room.answer("recall.send_audio", Ok(Answer::Done));
        room.wait(seconds(3));
        room.live.clear();
        room
    }

    /// A meeting whose bot was made on the spot.
    pub(super) fn joining() -> Self {
        let mut room = Self::book(None);
        room.answer("recall.create_bot", bot_created("bot-1"));
        room.answer("directory.record_bot", Ok(Answer::Done));
        room
    }

    /// Gives the meeting an event, through a save and a load as after an eviction.
    pub(super) fn send(&mut self, event: Event) -> Step {
        self.meeting = self.stored.load();
        let before = self.meeting.clone();
        let step = self.meeting.handle(event, self.now);
        self.stored.save(&before, &mut self.meeting, &step);
        if step.refusal.is_some() {
            assert_eq!(self.meeting, before, "a refused command changes nothing");
        }
        self.follow(step.clone());
        step
    }

    fn follow(&mut self, step: Step) {
        self.live.extend(step.live);
        self.orders.extend(step.orders);
        // Index updates succeed at once; they are of no interest here.
        let (index, rest): (Vec<_>, Vec<_>) = self
            .orders
            .drain(..)
            .partition(|order| order.effect == Effect::UpdateIndex);
        self.orders = rest;
        for order in index {
            self.finish(order.id, Ok(Answer::Done));
        }
    }

    pub(super) fn finish(&mut self, id: EffectId, result: Result<Answer, CallError>) -> Step {
        self.send(Event::EffectFinished { id, result })
    }

    /// Moves the clock on, waking the meeting whenever it asked for it.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            match self.meeting.deadline(self.now) {
                Some(at) if at <= until => {
                    self.now = at.max(self.now);
                    self.send(Event::Woke);
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("the meeting asks to be woken again and again");
    }

    /// The operations that the meeting waits for; attempts it has given up on are forgotten.
    pub(super) fn open(&self) -> Vec<&'static str> {
        let open = self.orders.iter().filter(|order| self.is_open(order));
        open.map(|order| order.effect.operation()).collect()
    }

    fn is_open(&self, order: &Order) -> bool {
        let waits = self.meeting.effects.get(&order.id);
        waits.is_some_and(|waits| waits.attempt == order.attempt)
    }

    /// Takes the oldest open order of an operation.
    pub(super) fn take(&mut self, operation: &str) -> Order {
        let wanted = |o: &&Order| o.effect.operation() == operation && self.is_open(o);
        let found = self.orders.iter().find(wanted).cloned();
        let order = found.unwrap_or_else(|| panic!("no {operation} in {:?}", self.open()));
        self.orders.retain(|o| o.id != order.id);
        order
    }

    /// Answers the oldest open order of an operation.
    pub(super) fn answer(&mut self, operation: &str, result: Result<Answer, CallError>) -> Order {
        let order = self.take(operation);
        self.finish(order.id, result);
        order
    }

    /// Fails an operation until no attempt is left.
    pub(super) fn fail_for_good(&mut self, operation: &str, error: &CallError) {
        for _ in 0..10 {
            if !self.open().contains(&operation) {
                self.wait(seconds(11));
            }
            if !self.open().contains(&operation) {
                return;
            }
            self.answer(operation, Err(error.clone()));
        }
        panic!("{operation} is tried without end");
    }

    pub(super) fn report(&mut self, bot: &str, report: RecallEvent) -> Step {
        self.send(Event::RecallReported {
            bot_id: Some(BotId(bot.to_owned())),
            name: "test".to_owned(),
            report,
        })
    }

    pub(super) fn status(&mut self, code: &str) {
        self.status_of("bot-1", code, None);
    }

    pub(super) fn status_of(&mut self, bot: &str, code: &str, sub_code: Option<&str>) {
        self.now += Duration::from_millis(500);
        let at = self.now;
        self.status_at(bot, code, sub_code, at);
    }

    pub(super) fn status_at(
        &mut self,
        bot: &str,
        code: &str,
        sub_code: Option<&str>,
        at: Timestamp,
    ) {
        self.report(
            bot,
            RecallEvent::BotStatus(BotStatusChange {
                code: BotCode::from(code.to_owned()),
                sub_code: sub_code.map(str::to_owned),
                message: None,
                updated_at: Some(at),
            }),
        );
    }

    pub(super) fn artifact(&mut self, artifact: &str, code: &str) {
        self.report(
            "bot-1",
            RecallEvent::Artifact(ArtifactChange {
                artifact: Artifact::from(artifact.to_owned()),
                code: ArtifactCode::from(code.to_owned()),
                sub_code: None,
                recording_id: None,
                artifact_id: None,
                updated_at: Some(self.now),
            }),
        );
    }

    pub(super) fn say(&mut self, n: u128, text: &str, interrupt: bool) -> Step {
        self.send(Event::SayRequested {
            utterance_id: UtteranceId::mint(self.now, n),
            text: text.to_owned(),
            interrupt,
        })
    }

    /// What watchers were told of utterances, as text and state.
    pub(super) fn utterances(&self) -> Vec<(String, UtteranceState)> {
        let told = self.live.iter().filter_map(|event| match event {
            LiveEvent::Utterance { text, state, .. } => Some((text.clone(), *state)),
            _ => None,
        });
        told.collect()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let warnings = self.meeting.view().warnings;
        let code = |w: crate::meeting::Warning| serde_json::to_value(w.code).unwrap();
        warnings
            .into_iter()
            .map(|w| code(w).as_str().unwrap().to_owned())
            .collect()
    }
}

pub(super) fn bot_created(id: &str) -> Result<Answer, CallError> {
    Ok(Answer::BotCreated {
        delivers_sound: true,
        bot_id: BotId(id.to_owned()),
    })
}

/// Audio of some length; which utterance it is for matters only when nobody waits for it.
pub(super) fn audio(duration_ms: u64) -> Result<Answer, CallError> {
    Ok(Answer::Synthesized {
        utterance_id: UtteranceId::mint(start_of_time(), 99),
        duration_ms,
    })
}

pub(super) fn artifact_done() -> Option<ArtifactStatus> {
    Some(ArtifactStatus {
        code: ArtifactCode::Done,
        sub_code: None,
    })
}

/// A refusal that repeating cannot change.
pub(super) fn refused(status: u16, kind: FailureKind) -> CallError {
    CallError {
        operation: "recall.create_bot".to_owned(),
        status: Some(status),
        code: Some("refused".to_owned()),
        kind,
        reason: "refused".to_owned(),
        advice: Advice::GiveUp,
        maybe_done: false,
    }
}

/// A failure that may pass.
pub(super) fn down(operation: &str) -> CallError {
    CallError {
        operation: operation.to_owned(),
        status: Some(500),
        code: None,
        kind: FailureKind::Unavailable,
        reason: "down".to_owned(),
        advice: Advice::Retry { after: None },
        maybe_done: true,
    }
}
