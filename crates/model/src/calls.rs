//! Orders on their way: what becomes of a call between the object and a vendor.
//!
//! A call is sent, arrives, takes effect or does not, and is answered or is not; a crash of the object in between
//! stops neither the effect nor, where it is too late for that, the next attempt.

use std::time::Duration;

use attache_meeting::{
    http::{Advice, CallError, FailureKind, RetryAfter, TransportError},
    ids::{BotId, UtteranceId},
    meeting::{Answer, Effect, EffectId, Event, Order, Status, Via},
    retry,
    view::MeetingView,
};

use crate::{
    heard::greeting,
    life::{Happening, Life},
    sabotage::Sabotage,
    shell::Delivery,
};

/// An order that has left the building.
#[derive(Debug)]
pub(crate) struct Call {
    pub id: EffectId,
    pub effect: Effect,
    pub key: String,
    instance: u32,
    luck: Luck,
    /// What the tenant's index is told.
    view: Option<(Box<MeetingView>, u64)>,
    /// Whether the audio that is to be played was stored.
    has_clip: bool,
}

/// The answer to a call, on its way back.
#[derive(Debug)]
pub(crate) struct Arrival {
    id: EffectId,
    effect: Effect,
    instance: u32,
    result: Result<Answer, CallError>,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Luck {
    Fine,
    /// It never arrives.
    LostOnTheWay,
    /// It is done, and the answer never comes.
    AnswerLost,
    /// The vendor fails, having done it or not.
    Failed {
        done: bool,
    },
    /// It is done, and the answer cannot be read.
    Garbled,
    /// The vendor refuses.
    Refused(u16, FailureKind),
    /// The answer comes when nobody waits for it any more.
    TooLate,
}

/// How long an answer may take that nobody waits for any more.
const TOO_LATE: Duration = Duration::from_secs(90);

impl Life {
    /// Sends an order on its way.
    pub(crate) fn start(&mut self, order: Order) {
        let Order { id, effect, .. } = order;
        self.check_order(id, &effect);
        let mut key = id.idempotency_key(&self.plan.booking.id);
        let words = matches!(effect, Effect::PlayAudio { .. } | Effect::SendChat { .. });
        if words && self.sabotage == Some(Sabotage::NewKeyForEachWord) {
            key = format!("{key}-{}", self.number());
        }
        let view = (effect == Effect::UpdateIndex)
            .then(|| {
                self.shell
                    .meeting()
                    .map(|m| (Box::new(m.view()), m.revision()))
            })
            .flatten();
        let clips = &self.shell.store.clips;
        let has_clip = !matches!(&effect, Effect::PlayAudio { utterance_id, .. }
            if !clips.contains_key(utterance_id));
        let luck = self.luck(&effect);
        self.story.tell(self.now, "object", || {
            let trouble = if luck == Luck::Fine {
                String::new()
            } else {
                format!("  ({luck:?})")
            };
            format!("{id}: {effect:?}{trouble}")
        });
        if luck != Luck::Fine {
            self.coverage.count(match luck {
                Luck::Fine => "",
                Luck::LostOnTheWay => "fault: a call that never arrives",
                Luck::AnswerLost => "fault: done and never answered",
                Luck::Failed { done: true } => "fault: done and answered with 5xx",
                Luck::Failed { done: false } => "fault: 5xx",
                Luck::Garbled => "fault: done and answered with garbage",
                Luck::Refused(..) => "fault: refused",
                Luck::TooLate => "fault: answered too late",
            });
        }
        self.shell.waits_for += 1;
        let call = Call {
            id,
            effect,
            key,
            instance: self.shell.instance,
            luck,
            view,
            has_clip,
        };
        let wait = self.way(Duration::from_millis(800));
        self.later(wait, Happening::Arrives(Box::new(call)));
    }

    /// How long something is on its way: a moment, and longer in some lives.
    pub(crate) fn way(&mut self, longest: Duration) -> Duration {
        let moment = Duration::from_millis(30);
        if self.plan.trouble > 0 && self.in_trouble() {
            moment + self.choices.time(longest)
        } else {
            moment
        }
    }

    fn luck(&mut self, effect: &Effect) -> Luck {
        let own = matches!(
            effect,
            Effect::UpdateIndex | Effect::Wipe | Effect::RecordBot { .. }
        );
        let percent = if own {
            self.plan.trouble / 4
        } else {
            self.plan.trouble
        };
        if !self.trouble(percent) {
            return Luck::Fine;
        }
        if own {
            return self.choices.pick(&[Luck::LostOnTheWay, Luck::AnswerLost]);
        }
        // The avatars' vendors know no keys, and a conflict of theirs is no attempt under way.
        let operation = effect.operation();
        let conflict = if operation.starts_with("recall.") || operation.starts_with("elevenlabs.") {
            FailureKind::InFlight
        } else {
            FailureKind::InvalidRequest
        };
        let refusals = [
            Luck::Refused(429, FailureKind::RateLimited),
            Luck::Refused(403, FailureKind::Forbidden),
            Luck::Refused(401, FailureKind::Unauthorized),
            Luck::Refused(402, FailureKind::InsufficientCredit),
            Luck::Refused(409, conflict),
            Luck::Refused(422, FailureKind::InvalidRequest),
        ];
        let first = self.choices.pick(&[
            Luck::Failed { done: false },
            Luck::Refused(429, FailureKind::RateLimited),
            Luck::AnswerLost,
            Luck::LostOnTheWay,
            Luck::Failed { done: true },
            Luck::Refused(0, FailureKind::PoolEmpty),
            Luck::Refused(0, FailureKind::Forbidden),
            Luck::Garbled,
            Luck::TooLate,
        ]);
        let is_read = matches!(
            effect,
            Effect::CreateBot { .. }
                | Effect::FindBots
                | Effect::ReadBot { .. }
                | Effect::Synthesize { .. }
                | Effect::FetchTranscript { .. }
                | Effect::OpenAvatar { .. }
                | Effect::StartAvatar { .. }
                | Effect::CheckAvatar { .. }
                | Effect::AvatarSay { .. }
        );
        match first {
            // Where nobody reads the answer it cannot be unreadable.
            Luck::Garbled if !is_read => Luck::AnswerLost,
            Luck::Refused(0, FailureKind::PoolEmpty)
                if matches!(effect, Effect::CreateBot { .. }) =>
            {
                Luck::Refused(507, FailureKind::PoolEmpty)
            }
            Luck::Refused(0, FailureKind::PoolEmpty)
                if matches!(
                    effect,
                    Effect::OpenAvatar { .. } | Effect::StartAvatar { .. }
                ) =>
            {
                Luck::Refused(400, FailureKind::ConcurrencyReached)
            }
            Luck::Refused(0, _) => self.choices.pick(&refusals),
            Luck::Fine
            | Luck::LostOnTheWay
            | Luck::AnswerLost
            | Luck::Failed { .. }
            | Luck::Garbled
            | Luck::Refused(..)
            | Luck::TooLate => first,
        }
    }

    /// A call has come to whoever is to carry it out.
    pub(crate) fn arrives(&mut self, call: Call) {
        let operation = call.effect.operation();
        let deadline = retry::policy(operation).deadline;
        let unanswered = || CallError::unanswered(operation, &TransportError::Timeout);
        let back = self.way(Duration::from_millis(500));
        let (wait, result) = match call.luck {
            Luck::Fine => (back, self.carry_out(&call)),
            Luck::LostOnTheWay => (deadline, Err(unanswered())),
            Luck::AnswerLost => {
                self.carry_out(&call).ok();
                (deadline, Err(unanswered()))
            }
            Luck::Failed { done } => {
                if done {
                    self.carry_out(&call).ok();
                }
                (back, Err(failure(operation, 502, FailureKind::Unavailable)))
            }
            Luck::Garbled => {
                let result = self.carry_out(&call);
                let garbled = |_| Err(CallError::unreadable(operation, 200, "no JSON"));
                (back, result.and_then(garbled))
            }
            Luck::Refused(status, kind) => (back, Err(self.refused(&call, status, kind))),
            Luck::TooLate => {
                let late = self.choices.time(TOO_LATE);
                (deadline + late, self.carry_out(&call))
            }
        };
        let arrival = Arrival {
            id: call.id,
            effect: call.effect,
            instance: call.instance,
            result,
        };
        self.later(wait, Happening::Answered(Box::new(arrival)));
    }

    /// A refusal, unless a key already has its answer.
    fn refused(&mut self, call: &Call, status: u16, kind: FailureKind) -> CallError {
        let error = failure(call.effect.operation(), status, kind);
        if let Effect::CreateBot { key, .. } = &call.effect {
            if self.recall.keys.contains_key(key) && kind == FailureKind::PoolEmpty {
                return failure(call.effect.operation(), 502, FailureKind::Unavailable);
            }
            if kind == FailureKind::PoolEmpty {
                self.recall.refused_keys.insert(key.clone(), self.now);
            }
        }
        error
    }

    /// An answer has come back, if anybody is left to hear it.
    pub(crate) fn answered(&mut self, arrival: Arrival) {
        let Arrival {
            id,
            effect,
            instance,
            result,
        } = arrival;
        if instance != self.shell.instance {
            return;
        }
        self.shell.waits_for = self.shell.waits_for.saturating_sub(1);
        if self.shell.meeting().is_none() {
            return;
        }
        match (&effect, &result) {
            (
                _,
                Ok(Answer::Synthesized {
                    utterance_id,
                    duration_ms,
                }),
            ) => {
                let clips = &mut self.shell.store.clips;
                clips.insert(utterance_id.clone(), *duration_ms);
            }
            (_, Ok(Answer::TranscriptStored { .. })) => {
                let stored = self.sabotage != Some(Sabotage::DropTranscript);
                self.shell.store.final_transcript = stored;
            }
            (Effect::Wipe, Ok(_)) => return self.wiped(),
            _ => {}
        }
        let told = Self::bots_in(&result);
        if let (Effect::CheckAvatar { session_id, .. }, Err(_)) = (&effect, &result) {
            self.never_looked_up(session_id);
        }
        let failed_search = matches!((&effect, &result), (Effect::FindBots, Err(_)));
        let delivery = self.deliver(Event::EffectFinished { id, result }, None);
        if matches!(delivery, Delivery::Taken | Delivery::Unanswered) {
            self.recall.is_told_of(&told);
            if failed_search {
                self.recall.search_failed();
            }
        }
    }

    fn wiped(&mut self) {
        self.story.tell(self.now, "object", || {
            "forgets the meeting for good".to_owned()
        });
        self.check_before_wipe();
        self.marks.wiped = true;
        self.shell.store.wipe();
        self.shell.rings_at = None;
        self.shell.loaded = crate::shell::Loaded::Nothing;
        self.shell.ears = None;
        self.forget_lines();
        self.page_loses_its_socket();
        self.shell.page = None;
    }

    fn carry_out(&mut self, call: &Call) -> Result<Answer, CallError> {
        let operation = call.effect.operation();
        match &call.effect {
            Effect::CreateBot { key, join_at } => self.create_bot(key, *join_at),
            Effect::FindBots => Ok(self.find_bots()),
            Effect::ReadBot { bot_id } => self.read_bot(bot_id),
            Effect::DeleteBot { .. } | Effect::LeaveCall { .. }
                if self.sabotage == Some(Sabotage::DropRemovals) =>
            {
                Ok(Answer::Done)
            }
            Effect::DeleteBot { bot_id } => self.delete_bot(bot_id),
            Effect::LeaveCall { bot_id } => self.leave_call(bot_id),
            Effect::DeleteMedia { bot_id } => self.delete_media(bot_id),
            Effect::FetchTranscript { bot_id } => self.fetch_transcript(bot_id),
            Effect::Synthesize {
                utterance_id, text, ..
            } => Ok(Answer::Synthesized {
                utterance_id: utterance_id.clone(),
                duration_ms: length_ms(text),
            }),
            Effect::PlayAudio {
                bot_id,
                utterance_id,
            } => {
                if !call.has_clip {
                    return Err(failure(operation, 0, FailureKind::UnexpectedAnswer));
                }
                self.in_call(bot_id, operation)?;
                self.hear_once(&call.key, utterance_id, Via::OutputAudio);
                Ok(Answer::Done)
            }
            Effect::StopAudio { bot_id } => {
                self.in_call(bot_id, operation)?;
                Ok(Answer::Done)
            }
            Effect::SendChat { .. } if self.sabotage == Some(Sabotage::DropChat) => {
                Ok(Answer::Done)
            }
            Effect::SendChat { bot_id, text } => {
                self.in_call(bot_id, operation)?;
                match self.room.utterance_of(text) {
                    Some(utterance) => self.hear_once(&call.key, &utterance, Via::Chat),
                    None => self.read_once(&call.key, text),
                }
                Ok(Answer::Done)
            }
            Effect::OpenAvatar { provider } => Ok(self.open_avatar(*provider)),
            Effect::StartAvatar { session_id, .. } => self.start_avatar(session_id),
            Effect::StopAvatar { session_id, .. } => Ok(self.stop_avatar(session_id)),
            Effect::CheckAvatar { session_id, .. } => Ok(self.check_avatar(session_id)),
            Effect::KeepAvatarAlive { session_id, .. } => self.keep_avatar(session_id, operation),
            Effect::AvatarSay {
                session_id, text, ..
            } => self.avatar_says(session_id, text),
            Effect::AvatarInterrupt { .. }
            | Effect::AvatarReact { .. }
            | Effect::RecordBot { .. }
            | Effect::Wipe => Ok(Answer::Done),
            Effect::UpdateIndex => {
                if let Some((view, revision)) = &call.view {
                    self.marks.update_index(view, *revision);
                }
                Ok(Answer::Done)
            }
        }
    }

    /// Which bots an answer tells the meeting of.
    fn bots_in(result: &Result<Answer, CallError>) -> Vec<BotId> {
        match result {
            Ok(Answer::BotCreated { bot_id, .. }) => vec![bot_id.clone()],
            Ok(Answer::BotsFound { bots }) => bots.iter().map(|bot| bot.id.clone()).collect(),
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    /// Which utterance an event tells the meeting to have been begun or written.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only some events tell of what is heard"
    )]
    pub(crate) fn heard_fact(&self, event: &Event) -> Option<UtteranceId> {
        use attache_meeting::{page::FromPage, vendors::liveavatar::LinkReport};
        match event {
            Event::EffectFinished { id, result: Ok(_) } => self.marks.speaks.get(id).cloned(),
            Event::PageReported {
                report:
                    FromPage::Playing {
                        utterance_id,
                        interrupted: false,
                        ..
                    }
                    | FromPage::Spoken { utterance_id },
            } => Some(utterance_id.clone()),
            Event::PageReported {
                report: FromPage::AvatarHeard { session },
            } => self.greeting_from(session),
            Event::AvatarReported {
                report: LinkReport::Speaking { event_id, .. } | LinkReport::Spoken { event_id, .. },
                ..
            } => event_id.parse().ok(),
            _ => None,
        }
    }

    /// The greeting, if it can only be that which was heard from the session that is up and nobody has given it up.
    fn greeting_from(&self, session: &str) -> Option<UtteranceId> {
        let is_up = self.shell.meeting()?.avatar_details().session_id.as_deref() == Some(session);
        let heard = self.room.count(&greeting(), Via::Avatar) > 0;
        (is_up && heard && !self.marks.wrote_greeting).then(greeting)
    }
}

/// How long it takes to say a text.
pub(crate) fn length_ms(text: &str) -> u64 {
    500 + 60 * text.len() as u64
}

pub(crate) fn failure(operation: &str, status: u16, kind: FailureKind) -> CallError {
    let advice = match kind {
        FailureKind::RateLimited => Advice::Retry {
            after: (status == 429).then_some(RetryAfter(2_000)),
        },
        FailureKind::Unavailable
        | FailureKind::InFlight
        | FailureKind::ConcurrencyReached
        | FailureKind::NoAnswer => Advice::Retry { after: None },
        FailureKind::PoolEmpty => Advice::RetryWithNewKey {
            after: Some(RetryAfter(30_000)),
        },
        FailureKind::UnexpectedAnswer
        | FailureKind::InvalidRequest
        | FailureKind::Unauthorized
        | FailureKind::InsufficientCredit
        | FailureKind::Forbidden
        | FailureKind::NotFound
        | FailureKind::AlreadyDispatched
        | FailureKind::NotStarted
        | FailureKind::AlreadyOver
        | FailureKind::AvatarUnknown
        | FailureKind::SessionGone => Advice::GiveUp,
    };
    CallError {
        operation: operation.to_owned(),
        status: (status > 0).then_some(status),
        code: None,
        kind,
        reason: format!("{kind:?}"),
        advice,
        maybe_done: matches!(
            kind,
            FailureKind::Unavailable | FailureKind::InFlight | FailureKind::NoAnswer
        ),
    }
}

/// How far along its life a status is.
pub(crate) fn rank(status: Status) -> u8 {
    match status {
        Status::Scheduled => 0,
        Status::BotJoining => 1,
        Status::InProgress => 2,
        Status::Ended | Status::Failed | Status::Cancelled => 3,
    }
}
