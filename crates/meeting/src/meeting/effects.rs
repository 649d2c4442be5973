//! Orders and what comes of them: ids, attempts, retries, and taking up again what a crash cut off.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    after,
    bot_manager::BotManager,
    effect::{Effect, EffectId, Order, Outstanding, Phase, TimelineEntry, TimelineKind},
    event::Answer,
    limits,
    state::Meeting,
};
use crate::{
    http::{CallError, FailureKind, TransportError},
    retry,
};

impl BotManager<'_> {
    /// Gives an order and remembers it until its result is in.
    pub(super) fn order(&mut self, effect: Effect) -> EffectId {
        let id = EffectId(self.meeting.next_effect);
        self.meeting.next_effect += 1;
        self.start(id, 1, effect);
        id
    }

    fn start(&mut self, id: EffectId, attempt: u32, effect: Effect) {
        if matches!(effect, Effect::OpenAvatar { .. }) && self.gives_up_opening(id) {
            return;
        }
        let until = after(self.now, lease(&effect));
        self.meeting.effects.insert(
            id,
            Outstanding {
                effect: effect.clone(),
                attempt,
                phase: Phase::Running { until },
            },
        );
        self.step.orders.push(Order {
            id,
            attempt,
            effect,
        });
    }

    /// Forgets an order; its result, should it still come, changes nothing.
    pub(super) fn forget(&mut self, id: EffectId) {
        self.meeting.effects.remove(&id);
    }

    pub(super) fn is_outstanding(&self, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.meeting.effects.values().any(|o| wanted(&o.effect))
    }

    /// After a restart: what was under way is ordered again, except that a create call is in doubt.
    pub(super) fn resume_effects(&mut self) {
        let lost = self.running(|_| true);
        if !lost.is_empty() {
            self.note(
                "restored",
                "a fresh instance took the meeting over",
                &json!({ "orders_resumed": lost.len() }),
            );
        }
        for id in lost {
            let Some(Outstanding {
                effect, attempt, ..
            }) = self.meeting.effects.remove(&id)
            else {
                continue;
            };
            if matches!(effect, Effect::CreateBot { .. }) {
                self.create_failed(&lost_result(&effect));
            } else if matches!(effect, Effect::AvatarSay { .. }) {
                self.avatar_not_saying(id, &lost_result(&effect));
            } else {
                self.start(id, attempt, effect);
            }
        }
    }

    /// Starts the next attempt of what waits for it, and counts as failed what is overdue.
    pub(super) fn start_due_effects(&mut self) {
        for id in self.running(|until| until <= self.now) {
            if let Some(Outstanding { effect, .. }) = self.meeting.effects.get(&id) {
                let error = lost_result(effect);
                self.effect_finished(id, Err(error));
            }
        }
        let waiting: Vec<EffectId> = self
            .meeting
            .effects
            .iter()
            .filter(|(_, o)| matches!(o.phase, Phase::Waiting { until } if until <= self.now))
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            if let Some(Outstanding {
                effect, attempt, ..
            }) = self.meeting.effects.remove(&id)
            {
                self.start(id, attempt + 1, effect);
            }
        }
    }

    fn running(&self, wanted: impl Fn(Timestamp) -> bool) -> Vec<EffectId> {
        let running =
            |o: &Outstanding| matches!(o.phase, Phase::Running { until } if wanted(until));
        let effects = self.meeting.effects.iter();
        effects
            .filter(|(_, o)| running(o))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Takes in what came of an order. A result nobody waits for changes nothing, except that a bot that
    /// was made exists, and that audio that was made takes space.
    pub(super) fn effect_finished(&mut self, id: EffectId, result: Result<Answer, CallError>) {
        let Some(outstanding) = self.meeting.effects.remove(&id) else {
            match result {
                Ok(Answer::BotCreated {
                    bot_id,
                    delivers_sound,
                }) => self.bot_made(&bot_id, delivers_sound),
                Ok(Answer::Synthesized { utterance_id, .. }) => self.drop_clip(utterance_id),
                Ok(Answer::AvatarOpened { opening }) => self.stop_stray(&opening.session_id),
                Ok(Answer::AvatarStarted { session }) => self.stop_stray(&session.session_id),
                Ok(_) | Err(_) => {}
            }
            return;
        };
        let Outstanding {
            effect, attempt, ..
        } = outstanding;
        match result {
            Ok(answer) => {
                self.log(&effect, attempt, None);
                self.effect_done(id, effect, answer);
            }
            Err(error) => {
                self.log(&effect, attempt, Some(&error));
                let creates = matches!(effect, Effect::CreateBot { .. });
                // A text that may have been said is not said again.
                let says = matches!(effect, Effect::AvatarSay { .. }) && error.maybe_done;
                let wait = if creates || says {
                    None
                } else {
                    retry::wait(&error, attempt, id.0)
                };
                match wait {
                    Some(wait) => {
                        let phase = Phase::Waiting {
                            until: after(self.now, wait),
                        };
                        self.meeting.effects.insert(
                            id,
                            Outstanding {
                                effect,
                                attempt,
                                phase,
                            },
                        );
                    }
                    None => self.effect_failed(id, &effect, &error),
                }
            }
        }
    }

    fn effect_done(&mut self, id: EffectId, effect: Effect, answer: Answer) {
        match (effect, answer) {
            (
                Effect::CreateBot { .. },
                Answer::BotCreated {
                    bot_id,
                    delivers_sound,
                },
            ) => self.bot_made(&bot_id, delivers_sound),
            (Effect::FindBots, Answer::BotsFound { bots }) => self.bots_found(bots),
            (Effect::ReadBot { .. }, Answer::BotRead { bot }) => self.bot_read(&bot),
            (Effect::DeleteBot { bot_id } | Effect::LeaveCall { bot_id }, _) => {
                self.removal_done(&bot_id);
            }
            (Effect::Synthesize { .. }, Answer::Synthesized { duration_ms, .. }) => {
                self.synthesized(id, duration_ms);
            }
            (Effect::OpenAvatar { .. }, Answer::AvatarOpened { opening }) => {
                self.avatar_opened(id, opening);
            }
            (Effect::StartAvatar { .. }, Answer::AvatarStarted { session }) => {
                self.avatar_started(id, session);
            }
            (Effect::StopAvatar { .. }, _) => self.avatar_stopped(id),
            (Effect::CheckAvatar { .. }, Answer::AvatarChecked { live }) => {
                self.avatar_checked(id, live);
            }
            (Effect::AvatarSay { .. }, Answer::AvatarSays { duration_ms }) => {
                self.avatar_says(id, duration_ms);
            }
            (Effect::PlayAudio { .. }, _) => self.playing(id),
            (Effect::StopAudio { .. }, _) => self.audio_stopped(id),
            (Effect::SendChat { .. }, _) => self.chat_sent(id),
            (Effect::FetchTranscript { .. }, Answer::TranscriptStored { segments }) => {
                self.transcript_stored(segments);
            }
            (Effect::DeleteMedia { .. }, _) => self.wipe(),
            (Effect::UpdateIndex, _) => self.update_index(),
            (
                Effect::CreateBot { .. }
                | Effect::FindBots
                | Effect::ReadBot { .. }
                | Effect::Synthesize { .. }
                | Effect::FetchTranscript { .. }
                | Effect::OpenAvatar { .. }
                | Effect::StartAvatar { .. }
                | Effect::CheckAvatar { .. }
                | Effect::AvatarSay { .. }
                | Effect::AvatarInterrupt { .. }
                | Effect::AvatarReact { .. }
                | Effect::KeepAvatarAlive { .. }
                | Effect::RecordBot { .. }
                | Effect::Wipe,
                _,
            ) => {}
        }
    }

    fn effect_failed(&mut self, id: EffectId, effect: &Effect, error: &CallError) {
        match effect {
            Effect::CreateBot { .. } => self.create_failed(error),
            Effect::DeleteBot { bot_id } | Effect::LeaveCall { bot_id } => {
                self.removal_failed(effect, bot_id, error);
            }
            Effect::ReadBot { .. } if error.kind == FailureKind::NotFound => self.bot_lost(),
            Effect::Synthesize { .. } | Effect::PlayAudio { .. } => self.speech_failed(id, error),
            Effect::OpenAvatar { .. } | Effect::StartAvatar { .. } => {
                self.avatar_not_started(id, error);
            }
            Effect::StopAvatar { .. } => self.avatar_stop_failed(id, error),
            // What was stopped and cannot be looked up counts as stopped.
            Effect::CheckAvatar { .. } => self.avatar_checked(id, false),
            Effect::AvatarSay { .. } => self.avatar_not_saying(id, error),
            Effect::StopAudio { .. } => self.audio_stopped(id),
            Effect::SendChat { .. } => self.chat_failed(id, error),
            Effect::DeleteMedia { .. } => self.purge_failed(error),
            Effect::UpdateIndex => self.meeting.index_stale = true,
            Effect::FindBots
            | Effect::ReadBot { .. }
            | Effect::RecordBot { .. }
            | Effect::FetchTranscript { .. }
            | Effect::AvatarInterrupt { .. }
            | Effect::AvatarReact { .. }
            | Effect::KeepAvatarAlive { .. }
            | Effect::Wipe => {}
        }
    }

    /// Brings the tenant's index up to date, one update at a time.
    pub(super) fn update_index(&mut self) {
        if self.meeting.index_stale && !self.is_outstanding(|e| *e == Effect::UpdateIndex) {
            self.meeting.index_stale = false;
            self.order(Effect::UpdateIndex);
        }
    }

    /// Writes what came of an order into the event log; inner book-keeping only when it failed.
    fn log(&mut self, effect: &Effect, attempt: u32, error: Option<&CallError>) {
        let quiet = matches!(
            effect,
            Effect::UpdateIndex | Effect::RecordBot { .. } | Effect::ReadBot { .. }
        );
        let (summary, data) = match error {
            None if quiet => return,
            None => ("done".to_owned(), json!({ "attempt": attempt })),
            Some(error) => (
                format!("failed: {}", error.reason),
                json!({
                    "attempt": attempt,
                    "status": error.status,
                    "code": error.code,
                    "kind": serde_json::to_value(error.kind).unwrap_or(Value::Null),
                }),
            ),
        };
        self.step.timeline.push(TimelineEntry {
            kind: TimelineKind::Effect,
            name: effect.operation().to_owned(),
            summary,
            data,
        });
    }
}

impl Meeting {
    /// When an attempt is due or overdue; while anything is under way, soon, so that a crash is noticed.
    pub(super) fn effects_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let soon = after(now, limits::WORK_BEAT);
        self.effects
            .values()
            .map(|outstanding| match outstanding.phase {
                Phase::Running { until } => until.min(soon),
                Phase::Waiting { until } => until,
            })
            .min()
    }
}

fn lease(effect: &Effect) -> Duration {
    if matches!(effect, Effect::AvatarSay { .. }) {
        // A long text is said in many calls.
        return limits::AVATAR_CALL_PATIENCE;
    }
    retry::policy(effect.operation()).deadline + limits::LEASE_MARGIN
}

/// The result of an order that the shell never answered.
fn lost_result(effect: &Effect) -> CallError {
    CallError::unanswered(effect.operation(), &TransportError::Timeout)
}
