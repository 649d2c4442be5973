//! The making of the bot: never two for one meeting, and never none without saying so.
//!
//! A create call is repeated under the same idempotency key unless that key is known to have made nothing;
//! after a call in doubt the bot is looked for by the meeting's id before anything is asked again;
//! and a bot that turns up beside the one we know is sent away.

use jiff::Timestamp;
use serde_json::json;

use super::{
    after, between,
    bot_manager::{BotManager, is_final},
    effect::Effect,
    event::FoundBot,
    limits,
    state::{Asking, Bot, Creation, EndedBy, Meeting, Status, WarningCode},
};
use crate::{
    http::{Advice, CallError, FailureKind},
    ids::BotId,
    retry,
};

impl BotManager<'_> {
    /// Asks Recall for a scheduled bot if the start is far enough away; otherwise the bot is made on the spot
    /// at `join_at`.
    pub(super) fn create_meeting_bot(&mut self) {
        let start = self.meeting.booking.starts_at;
        if start.is_some_and(|start| between(self.now, start) > limits::AHEAD) {
            self.ask();
        }
    }

    /// Makes the bot on the spot once its time has come.
    pub(super) fn join_meeting_early(&mut self) {
        if let Creation::Planned { at } = self.meeting.creation
            && at <= self.now
        {
            self.ask();
        }
    }

    /// Starts asking for a bot.
    pub(super) fn ask(&mut self) {
        self.meeting.keys_used += 1;
        self.meeting.creation = Creation::Asking(Asking {
            since: self.now,
            key: self.meeting.keys_used,
            key_since: self.now,
            join_at: self.meeting.future_join(self.now),
            attempts: 0,
            answered: false,
            doubt: false,
            renew: false,
            retry_at: None,
        });
        self.send_create();
    }

    /// Sends the next create call when its time has come and no search for bots is under way.
    ///
    /// The key changes only once it is certain that no bot was made under the old one.
    pub(super) fn ask_again(&mut self) {
        if self
            .meeting
            .create_deadline()
            .is_none_or(|at| at > self.now)
        {
            return;
        }
        let Creation::Asking(asking) = &mut self.meeting.creation else {
            return;
        };
        let expired = between(asking.key_since, self.now) > limits::KEY_LIFETIME;
        if !expired && !asking.renew {
            self.send_create();
        } else if asking.doubt {
            asking.retry_at = Some(after(self.now, limits::CREATION_PAUSE));
            self.order(Effect::FindBots);
        } else {
            self.use_new_key();
            self.send_create();
        }
    }

    fn send_create(&mut self) {
        let Creation::Asking(asking) = &mut self.meeting.creation else {
            return;
        };
        asking.attempts += 1;
        asking.retry_at = None;
        let key = format!("{}-bot-{}", self.meeting.booking.id, asking.key);
        let join_at = asking.join_at.filter(|at| *at > self.now);
        self.order(Effect::CreateBot { key, join_at });
    }

    fn use_new_key(&mut self) {
        let join_at = self.meeting.future_join(self.now);
        if let Creation::Asking(asking) = &mut self.meeting.creation {
            self.meeting.keys_used += 1;
            asking.key = self.meeting.keys_used;
            asking.key_since = self.now;
            asking.join_at = join_at;
            asking.attempts = 0;
            asking.renew = false;
        }
    }

    /// Takes in the answer of a call that made a bot.
    pub(super) fn bot_made(&mut self, bot_id: &BotId, delivers_sound: bool) {
        self.bot_created(bot_id.clone());
        if let Some(bot) = self.meeting.bot.as_mut().filter(|bot| bot.id == *bot_id) {
            bot.delivers_sound = delivers_sound;
        }
    }

    /// Takes in a bot of whose making we learned.
    pub(super) fn bot_created(&mut self, bot_id: BotId) {
        if self.meeting.bot_id() == Some(&bot_id) || self.meeting.removals.contains_key(&bot_id) {
            return;
        }
        if self.meeting.bot.is_some() {
            self.remove(&bot_id, "a second bot of this meeting");
        } else if self.meeting.status.is_over() {
            self.remove(&bot_id, "the meeting was over before its bot was made");
        } else {
            self.adopt(bot_id);
        }
    }

    fn adopt(&mut self, bot_id: BotId) {
        let join_at = match &self.meeting.creation {
            Creation::Asking(asking) => asking.join_at,
            Creation::Planned { .. } | Creation::Made | Creation::Closed => None,
        };
        self.note(
            "bot_created",
            "Recall made the bot",
            &json!({ "bot_id": bot_id, "join_at": join_at }),
        );
        let joins = join_at.unwrap_or(self.now).max(self.now);
        if between(self.meeting.join_at, joins) > limits::LATE {
            self.warn(
                WarningCode::LateJoin,
                "the bot was made later than it should have joined",
            );
        }
        self.meeting.creation = Creation::Made;
        self.meeting.next_poll = Some(after(joins, limits::POLL_JOINING));
        self.meeting.bot = Some(Bot {
            id: bot_id.clone(),
            code: None,
            sub_code: None,
            updated_at: None,
            join_at,
            entered_at: None,
            recorded: false,
            delivers_sound: false,
        });
        self.order(Effect::RecordBot { bot_id });
        if join_at.is_none_or(|at| at <= self.now) {
            self.joining();
        }
        if self.meeting.rejoin {
            self.replace_scheduled_bot();
        }
    }

    /// A bot made ahead cannot be moved to now, so it is deleted and another one is made once it is gone.
    pub(super) fn replace_scheduled_bot(&mut self) {
        let Some(bot) = &self.meeting.bot else { return };
        let soon = after(self.now, limits::ABOUT_TO_JOIN);
        if bot.join_at.is_some_and(|at| at > soon) && bot.code.is_none() {
            let id = bot.id.clone();
            self.remove(&id, "it is replaced by one that joins now");
        } else {
            self.meeting.rejoin = false;
        }
    }

    /// The bot made ahead is gone: now the one that joins at once is asked for.
    pub(super) fn scheduled_bot_gone(&mut self) {
        self.meeting.rejoin = false;
        self.meeting.bot = None;
        self.meeting.next_poll = None;
        self.ask();
    }

    /// Decides what follows from a create call that gave no bot.
    pub(super) fn create_failed(&mut self, error: &CallError) {
        if self.meeting.status.is_over() || !self.meeting.creation.is_asking() {
            if error.maybe_done {
                self.sweep_later();
            }
            return;
        }
        let in_doubt = error.maybe_done || self.meeting.creation.is_in_doubt();
        if error.advice == Advice::GiveUp && !in_doubt {
            return self.create_refused(error);
        }
        self.warn(
            WarningCode::BotCreationRetried,
            "making the bot took more than one attempt",
        );
        self.schedule_create(error);
        if self.meeting.creation.is_in_doubt() {
            self.order(Effect::FindBots);
        }
    }

    /// Plans the next create call.
    fn schedule_create(&mut self, error: &CallError) {
        let join_at = self.meeting.join_at;
        let Creation::Asking(asking) = &mut self.meeting.creation else {
            return;
        };
        asking.answered = error.status.is_some() && error.kind != FailureKind::InFlight;
        asking.doubt |= error.maybe_done;
        asking.renew |= matches!(error.advice, Advice::RetryWithNewKey { .. });
        let seed = u64::from(self.meeting.keys_used);
        let wait = retry::wait(error, asking.attempts.max(1), seed);
        // The further away the join, the less hurry there is.
        let pause = between(self.now, join_at) / 20;
        let pause = pause.clamp(limits::CREATION_PAUSE, limits::LONGEST_CREATION_PAUSE);
        asking.retry_at = Some(after(self.now, wait.unwrap_or(pause)));
    }

    /// A refusal that repeating cannot change. A bot asked for ahead gets one more chance at its join time,
    /// as credit or keys may be in order by then.
    fn create_refused(&mut self, error: &CallError) {
        let join_at = self.meeting.join_at;
        if join_at > self.now && error.kind != FailureKind::InvalidRequest {
            self.warn(
                WarningCode::BotCreationRetried,
                format!("Recall refused to book the bot ahead: {}", error.reason),
            );
            self.meeting.creation = Creation::Planned { at: join_at };
            return;
        }
        let reason = error.code.as_deref().unwrap_or("bot_creation_refused");
        self.end(Status::Failed, reason, EndedBy::Vendor, self.now);
    }

    /// Takes in which bots carry this meeting's id.
    pub(super) fn bots_found(&mut self, bots: Vec<FoundBot>) {
        let mut none = true;
        for FoundBot { id, newest } in bots {
            if newest.as_ref().is_some_and(|change| is_final(&change.code)) {
                continue;
            }
            none = false;
            self.bot_created(id.clone());
            if let Some(change) = newest {
                self.handle_bot_event(Some(id), change);
            }
        }
        if let Creation::Asking(asking) = &mut self.meeting.creation
            && none
        {
            asking.doubt = false;
            asking.renew |= asking.answered && asking.attempts >= limits::ATTEMPTS_PER_KEY;
        }
    }

    /// Plans to look for bots that a create call in doubt may have left behind.
    pub(super) fn sweep_later(&mut self) {
        self.meeting.sweeps_left = limits::SWEEPS.len();
        self.plan_sweep();
    }

    fn plan_sweep(&mut self) {
        let next = self.meeting.sweeps_left.checked_sub(1);
        self.meeting.sweep_at = next
            .and_then(|index| limits::SWEEPS.get(index))
            .map(|wait| after(self.now, *wait));
    }

    /// Looks for bots left behind, some times at growing distance.
    pub(super) fn sweep(&mut self) {
        if self.meeting.sweep_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.meeting.sweeps_left = self.meeting.sweeps_left.saturating_sub(1);
        self.plan_sweep();
        self.order(Effect::FindBots);
    }
}

impl Meeting {
    /// When the bot is to join, if that is not now.
    fn future_join(&self, now: Timestamp) -> Option<Timestamp> {
        (self.join_at > now).then_some(self.join_at)
    }

    /// When the next create call is due; none while bots are being searched for.
    pub(super) fn create_deadline(&self) -> Option<Timestamp> {
        let searching = self.effects.values().any(|o| o.effect == Effect::FindBots);
        match &self.creation {
            Creation::Asking(asking) if !searching => asking.retry_at,
            Creation::Asking(_) | Creation::Planned { .. } | Creation::Made | Creation::Closed => {
                None
            }
        }
    }
}

impl Creation {
    /// Tells whether Recall was asked and a bot may exist that we do not know of.
    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::Asking(_) => true,
            Self::Planned { .. } | Self::Made | Self::Closed => false,
        }
    }

    /// Tells whether a create call may have made a bot that no search has ruled out since.
    fn is_in_doubt(&self) -> bool {
        match self {
            Self::Asking(asking) => asking.doubt,
            Self::Planned { .. } | Self::Made | Self::Closed => false,
        }
    }
}
