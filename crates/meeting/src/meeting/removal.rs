//! Sending bots away: the meeting's own on request, and any that should not be there.
//!
//! A bot that was not dispatched yet is deleted, any other one is told to leave; when Recall says that it is
//! the other way round, the other way is taken, and kept to until Recall says otherwise.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{
    after,
    bot_manager::BotManager,
    effect::Effect,
    limits,
    state::{Meeting, Removal, Status},
};
use crate::{
    http::{CallError, FailureKind},
    ids::BotId,
};

impl BotManager<'_> {
    /// Sends a bot away and keeps at it until Recall has confirmed it.
    pub(super) fn remove(&mut self, bot_id: &BotId, why: &str) {
        let under_way = self
            .meeting
            .removals
            .values()
            .filter(|removal| !removal.done);
        if self.meeting.removals.contains_key(bot_id) || under_way.count() >= limits::MAX_REMOVALS {
            return;
        }
        self.note(
            "bot_sent_away",
            format!("a bot is sent away: {why}"),
            &json!({ "bot_id": bot_id }),
        );
        let removal = Removal {
            since: self.now,
            attempts: 0,
            retry_at: None,
            done: false,
            not_started: self.is_undispatched(bot_id),
        };
        self.meeting.removals.insert(bot_id.clone(), removal);
        self.try_removal(bot_id);
    }

    /// A bot that was sent away still reports from the call: leaving takes some seconds, but not longer.
    pub(super) fn remove_again(&mut self, bot_id: &BotId) {
        let Some(removal) = self.meeting.removals.get_mut(bot_id) else {
            return;
        };
        if removal.done && after(removal.since, limits::LEAVING_TIME) <= self.now {
            removal.done = false;
            removal.not_started = false;
            removal.since = self.now;
            removal.retry_at = Some(self.now);
        }
    }

    /// A bot that was sent away has reported its end itself.
    pub(super) fn removal_seen(&mut self, bot_id: &BotId) {
        self.removal_done(bot_id);
        let delete = Effect::DeleteBot {
            bot_id: bot_id.clone(),
        };
        let leave = Effect::LeaveCall {
            bot_id: bot_id.clone(),
        };
        let effects = &mut self.meeting.effects;
        effects.retain(|_, waiting| waiting.effect != delete && waiting.effect != leave);
    }

    fn is_undispatched(&self, bot_id: &BotId) -> bool {
        let own = self.meeting.bot.as_ref().filter(|bot| bot.id == *bot_id);
        own.is_some_and(|bot| bot.code.is_none() && bot.join_at.is_some_and(|at| at > self.now))
    }

    fn try_removal(&mut self, bot_id: &BotId) {
        let bot_id = bot_id.clone();
        if let Some(removal) = self.meeting.removals.get_mut(&bot_id) {
            removal.attempts += 1;
            removal.retry_at = None;
            let effect = if removal.not_started {
                Effect::DeleteBot { bot_id }
            } else {
                Effect::LeaveCall { bot_id }
            };
            self.order(effect);
        }
    }

    /// Tries again what is due.
    pub(super) fn retry_removals(&mut self) {
        let due = |removal: &Removal| removal.retry_at.is_some_and(|at| at <= self.now);
        let due: Vec<BotId> = self
            .meeting
            .removals
            .iter()
            .filter(|(_, removal)| due(removal))
            .map(|(id, _)| id.clone())
            .collect();
        for bot_id in due {
            self.try_removal(&bot_id);
        }
    }

    /// Recall has confirmed that a bot is gone, or on its way out.
    pub(super) fn removal_done(&mut self, bot_id: &BotId) {
        if let Some(removal) = self.meeting.removals.get_mut(bot_id) {
            removal.done = true;
            removal.retry_at = None;
        }
        let own = self.meeting.bot_id() == Some(bot_id);
        if own && self.meeting.rejoin && !self.meeting.status.is_over() {
            self.scheduled_bot_gone();
        }
    }

    /// Decides how to go on sending a bot away.
    pub(super) fn removal_failed(&mut self, effect: &Effect, bot_id: &BotId, error: &CallError) {
        let own = self.meeting.bot_id() == Some(bot_id);
        match (effect, error.kind) {
            (_, FailureKind::NotFound) => self.removal_done(bot_id),
            (_, FailureKind::AlreadyOver) => {
                self.removal_done(bot_id);
                if own && self.meeting.status == Status::InProgress {
                    self.meeting.next_poll = Some(self.now);
                }
            }
            (Effect::DeleteBot { .. }, FailureKind::AlreadyDispatched) => {
                self.take_the_other_way(bot_id, false);
            }
            (Effect::LeaveCall { .. }, FailureKind::NotStarted) => {
                self.take_the_other_way(bot_id, true);
            }
            _ => self.retry_removal_at(bot_id, limits::REMOVAL_PAUSE),
        }
    }

    /// At once the first time; after that Recall may be between the two states, so after a pause.
    fn take_the_other_way(&mut self, bot_id: &BotId, not_started: bool) {
        let Some(removal) = self.meeting.removals.get_mut(bot_id) else {
            return;
        };
        removal.not_started = not_started;
        if removal.attempts <= 2 {
            self.try_removal(bot_id);
        } else {
            self.retry_removal_at(bot_id, limits::DISPATCH_PAUSE);
        }
    }

    fn retry_removal_at(&mut self, bot_id: &BotId, pause: Duration) {
        let Some(removal) = self.meeting.removals.get_mut(bot_id) else {
            return;
        };
        let at = after(self.now, pause);
        if at > after(removal.since, limits::REMOVAL_PATIENCE) {
            removal.done = true;
            self.note(
                "bot_not_removed",
                "Recall did not confirm that the bot is gone; its own time limits end it",
                &json!({ "bot_id": bot_id }),
            );
        } else {
            removal.retry_at = Some(at);
        }
    }
}

impl Meeting {
    /// When the next attempt to send a bot away is due.
    pub(super) fn removal_deadline(&self) -> Option<Timestamp> {
        self.removals.values().filter_map(|r| r.retry_at).min()
    }
}
