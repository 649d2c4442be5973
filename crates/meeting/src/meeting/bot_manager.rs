//! The bot's whole life: made ahead or on the spot, joining early, in the call, gone.
//!
//! [`BotManager`] carries one event through a meeting; this file holds the way into the call and out of it.
//! The making of the bot is in `creation.rs`, its removal in `removal.rs`.

use jiff::Timestamp;
use serde_json::json;

use super::{
    after, between,
    effect::{Effect, LiveEvent, LiveParticipant, Refusal, Step},
    event::{BotState, Event},
    limits,
    state::{ArtifactState, Creation, Ended, EndedBy, GreetingState, Meeting, Status, WarningCode},
};
use crate::{
    ids::BotId,
    vendors::recall::{BotCode, BotStatusChange, RecallEvent},
};

/// The reason of an end that only `done` told of.
const UNEXPLAINED_END: &str = "done";

/// Carries one event through a meeting: the meeting, the time, and what follows so far.
#[derive(Debug)]
pub struct BotManager<'m> {
    pub(super) meeting: &'m mut Meeting,
    pub(super) step: &'m mut Step,
    pub(super) now: Timestamp,
}

impl<'m> BotManager<'m> {
    pub(super) fn new(meeting: &'m mut Meeting, step: &'m mut Step, now: Timestamp) -> Self {
        Self { meeting, step, now }
    }

    /// Gives every kind of event to the part that owns it.
    pub(super) fn take_in(&mut self, event: Event) {
        match event {
            Event::Restored { page_connected } => {
                if !page_connected {
                    self.resume_page();
                }
                self.resume_effects();
                self.resume_listening();
                self.resume_avatar();
            }
            Event::Woke => {}
            Event::JoinRequested => self.join_now(),
            Event::CancelRequested => self.cancel(),
            Event::PurgeRequested => self.purge(),
            Event::SayRequested {
                utterance_id,
                text,
                interrupt,
            } => self.say(utterance_id, text, interrupt),
            Event::InterruptRequested => self.interrupt(),
            Event::ChatRequested { text } => self.chat(text),
            Event::RecallReported {
                bot_id,
                name,
                report,
            } => self.recall_reported(bot_id, &name, report),
            Event::ReactionRequested { reaction } => self.react(reaction),
            Event::RotationRequested => self.rotate_avatar(),
            Event::PageConnected => self.page_connected(),
            Event::PageDisconnected => self.page_disconnected(),
            Event::PageReported { report } => self.page_reported(report),
            Event::AvatarReported { session_id, report } => {
                self.avatar_reported(&session_id, report);
            }
            Event::MediaConnected => self.media_connected(),
            Event::MediaDisconnected => self.media_disconnected(),
            Event::MediaFrameIgnored { kind } => self.note(
                "media_frame_ignored",
                "the audio socket brought something that is no sound",
                &json!({ "kind": kind.chars().take(limits::MAX_NOTED_CHARS).collect::<String>() }),
            ),
            Event::SttReported { report } => self.stt_reported(report),
            Event::EffectFinished { id, result } => self.effect_finished(id, result),
        }
    }

    /// Does everything that is due by now; running it again right away changes nothing.
    pub(super) fn settle(&mut self) {
        self.start_due_effects();
        self.join_meeting_early();
        self.ask_again();
        self.watch();
        self.watch_listening();
        self.poll();
        self.sweep();
        self.retry_removals();
        self.watch_page();
        self.watch_avatar_speech();
        self.watch_avatar();
        self.advance_speech();
        self.continue_purge();
    }

    /// Takes in one webhook, after it was verified and parsed.
    fn recall_reported(&mut self, bot_id: Option<BotId>, name: &str, report: RecallEvent) {
        let stray = match (&bot_id, self.meeting.bot_id()) {
            (Some(id), Some(own)) => id != own,
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        if stray && !matches!(report, RecallEvent::BotStatus(_)) {
            return self.note(
                "ignored",
                "Recall reported something of a bot that is not the meeting's own",
                &json!({ "event": name, "bot_id": bot_id }),
            );
        }
        match report {
            RecallEvent::BotStatus(change) => self.handle_bot_event(bot_id, change),
            RecallEvent::Artifact(change) => self.artifact_reported(&change),
            RecallEvent::Transcript { partial, segment } => self.heard(partial, segment),
            RecallEvent::Participant(event) => {
                self.note(
                    "participant",
                    format!("a participant: {}", event.action),
                    &json!({ "action": event.action.as_str(), "participant": event.participant.id }),
                );
                self.step.live.push(LiveEvent::Participant {
                    action: event.action.to_string(),
                    participant: LiveParticipant::from(event.participant),
                });
            }
            RecallEvent::Chat(chat) => {
                self.note(
                    "chat",
                    "a chat message in the call",
                    &json!({ "from": chat.from.id }),
                );
                self.step.live.push(LiveEvent::Chat {
                    from: LiveParticipant::from(chat.from),
                    text: chat.text,
                });
            }
            RecallEvent::Unknown { .. } => self.note(
                "unknown_event",
                "Recall sent an event this version does not know",
                &json!({ "event": name }),
            ),
        }
    }

    /// Takes in a status of a bot: ours, one we do not know yet, or one that should not be there.
    pub(super) fn handle_bot_event(&mut self, bot_id: Option<BotId>, change: BotStatusChange) {
        if let Some(id) = bot_id
            && !self.is_own_bot(&id, &change)
        {
            return;
        }
        let Some(bot) = &mut self.meeting.bot else {
            return self.note("bot_status", "a status of no known bot", &json!({}));
        };
        if in_call(&change.code) {
            bot.entered_at.get_or_insert(self.now);
            bot.recorded |= change.code == BotCode::InCallRecording;
            if self.meeting.greeting.state == GreetingState::Skipped {
                self.meeting.greeting.state = GreetingState::Failed;
                self.meeting.greeting.reason =
                    Some("we learned that the bot was in the call only after the end".to_owned());
            }
        }
        self.explain_end(&change);
        if self.is_news(&change) {
            self.apply(change);
        }
    }

    /// Decides whose bot a status is about, adopting one that reports before our create call was answered.
    fn is_own_bot(&mut self, id: &BotId, change: &BotStatusChange) -> bool {
        let own = self.meeting.bot_id() == Some(id);
        let over = self.meeting.status.is_over();
        let gone = is_final(&change.code);
        if self.meeting.removals.contains_key(id) {
            if gone {
                self.removal_seen(id);
            } else if over || !own || self.meeting.leaving {
                self.remove_again(id);
            }
            // A bot that was replaced by one that joins now has left; that is not the end of the meeting.
            return self.meeting.bot_id() == Some(id);
        }
        if own {
            if over && !gone && self.is_news(change) {
                self.remove(id, "its meeting is over");
            }
            return true;
        }
        if gone {
            return false;
        }
        if self.meeting.bot.is_none() && !over && self.meeting.creation.is_asking() {
            self.bot_created(id.clone());
            return true;
        }
        self.remove(id, "a bot of this meeting that should not be there");
        false
    }

    /// Tells whether a status says more than we know: later by the vendor's clock, and where that does not tell,
    /// further along.
    ///
    /// No time stamp can hide the two that matter most: the way in, and the end.
    fn is_news(&self, change: &BotStatusChange) -> bool {
        let Some(bot) = &self.meeting.bot else {
            return false;
        };
        let Some(known) = &bot.code else { return true };
        let waiting = matches!(self.meeting.status, Status::Scheduled | Status::BotJoining);
        if waiting && in_call(&change.code)
            || is_final(&change.code) && !self.meeting.status.is_over()
        {
            return true;
        }
        match (bot.updated_at, change.updated_at) {
            (Some(old), Some(new)) if old != new => new > old,
            _ => rank(&change.code) > rank(known),
        }
    }

    /// Moves the meeting along with a status that is news.
    fn apply(&mut self, change: BotStatusChange) {
        let code = change.code.clone();
        let sub_code = change.sub_code.clone();
        let at = change.updated_at.unwrap_or(self.now);
        self.note(
            "bot_status",
            format!("the bot is now {}", code.as_str()),
            &json!({ "code": code.as_str(), "sub_code": sub_code, "updated_at": change.updated_at }),
        );
        let Some(bot) = &mut self.meeting.bot else {
            return;
        };
        if bot.code != Some(BotCode::Fatal) && code.is_known() {
            bot.code = Some(change.code);
            bot.sub_code = change.sub_code;
            // What says nothing about the way in or out must not make those look old.
            if rank(&code) > 0 {
                bot.updated_at = change.updated_at.or(bot.updated_at);
            }
        }
        self.meeting.next_poll = self.next_regular_poll();
        match code {
            BotCode::JoiningCall | BotCode::InWaitingRoom => self.joining(),
            BotCode::InCallNotRecording => self.entered(),
            BotCode::InCallRecording => {
                self.entered();
                self.expect_media();
                if self.meeting.status == Status::InProgress
                    && self.meeting.recording == ArtifactState::None
                {
                    self.meeting.recording = ArtifactState::Live;
                }
            }
            BotCode::CallEnded => self.call_ended(sub_code.as_deref(), "call_ended", at),
            BotCode::Done => self.call_ended(sub_code.as_deref(), UNEXPLAINED_END, at),
            BotCode::Fatal => {
                let reason = sub_code.as_deref().unwrap_or("fatal");
                self.end(Status::Failed, reason, ended_by_vendor_word(reason), at);
            }
            BotCode::RecordingPermissionAllowed
            | BotCode::RecordingPermissionDenied
            | BotCode::BreakoutRoomEntered
            | BotCode::BreakoutRoomLeft
            | BotCode::BreakoutRoomOpened
            | BotCode::BreakoutRoomClosed
            | BotCode::Other(_) => {}
        }
    }

    /// The bot is on its way in.
    pub(super) fn joining(&mut self) {
        if self.meeting.status == Status::Scheduled {
            self.meeting.status = Status::BotJoining;
        }
        if self.meeting.status == Status::BotJoining {
            self.send_entrance_greeting();
        }
    }

    fn entered(&mut self) {
        if matches!(self.meeting.status, Status::Scheduled | Status::BotJoining) {
            self.meeting.status = Status::InProgress;
            self.expect_page();
            if between(self.meeting.join_at, self.now) > limits::LATE_ENTRY {
                self.warn(
                    WarningCode::LateJoin,
                    "the bot was let in later than it should have been",
                );
            }
            self.send_entrance_greeting();
        }
    }

    fn call_ended(&mut self, sub_code: Option<&str>, otherwise: &str, at: Timestamp) {
        let reason = sub_code.unwrap_or(otherwise);
        self.end(Status::Ended, reason, ended_by_vendor_word(reason), at);
    }

    /// Ends the meeting, unless it is over already: the first end is the one that counts.
    pub(super) fn end(&mut self, status: Status, reason: &str, by: EndedBy, at: Timestamp) {
        if self.meeting.status.is_over() {
            return;
        }
        self.note(
            status.as_str(),
            format!("the meeting is over: {reason}"),
            &json!({ "reason": reason, "by": by }),
        );
        self.meeting.status = status;
        self.meeting.ended = Some(Ended {
            reason: reason.to_owned(),
            by,
            at,
        });
        self.meeting.over_since = Some(self.now);
        if self.meeting.creation.is_asking() {
            self.sweep_later();
        }
        self.meeting.creation = Creation::Closed;
        self.meeting.next_poll = None;
        self.close_speech();
        self.close_avatar();
        self.close_page();
        self.end_listening();
        if status != Status::Cancelled {
            self.retrieve_meeting_artifacts();
        }
    }

    /// A `done` that overtook what it follows has ended the meeting without a cause; this is the cause.
    fn explain_end(&mut self, change: &BotStatusChange) {
        let unexplained = |ended: &&mut Ended| ended.reason == UNEXPLAINED_END;
        let Some(ended) = self.meeting.ended.as_mut().filter(unexplained) else {
            return;
        };
        let (status, otherwise) = match change.code {
            BotCode::CallEnded => (Status::Ended, "call_ended"),
            BotCode::Fatal => (Status::Failed, "fatal"),
            BotCode::JoiningCall
            | BotCode::InWaitingRoom
            | BotCode::InCallNotRecording
            | BotCode::InCallRecording
            | BotCode::RecordingPermissionAllowed
            | BotCode::RecordingPermissionDenied
            | BotCode::Done
            | BotCode::BreakoutRoomEntered
            | BotCode::BreakoutRoomLeft
            | BotCode::BreakoutRoomOpened
            | BotCode::BreakoutRoomClosed
            | BotCode::Other(_) => return,
        };
        let reason = change.sub_code.as_deref().unwrap_or(otherwise);
        ended.by = ended_by_vendor_word(reason);
        ended.at = change.updated_at.unwrap_or(ended.at);
        reason.clone_into(&mut ended.reason);
        self.meeting.status = status;
        self.note(
            "end_explained",
            format!("the meeting had ended because of {}", change.code.as_str()),
            &json!({ "code": change.code.as_str(), "sub_code": change.sub_code }),
        );
    }

    /// `join`: whatever the schedule says, the bot is to come now.
    fn join_now(&mut self) {
        if self.meeting.status.is_over() {
            self.step.refusal = Some(Refusal::Over);
            return;
        }
        if self.meeting.status != Status::Scheduled || self.meeting.join_at <= self.now {
            return;
        }
        self.note(
            "join_requested",
            "somebody asked the bot to join now",
            &json!({}),
        );
        self.meeting.join_at = self.now;
        if let Creation::Planned { at } = &mut self.meeting.creation {
            *at = self.now;
            return;
        }
        self.meeting.rejoin = true;
        self.replace_scheduled_bot();
    }

    /// `DELETE`: before the call the bot is called off, in the call it is told to leave.
    fn cancel(&mut self) {
        match self.meeting.status {
            Status::Scheduled | Status::BotJoining => {
                self.note(
                    "cancel_requested",
                    "somebody called the meeting off",
                    &json!({}),
                );
                self.end(Status::Cancelled, "cancelled", EndedBy::Api, self.now);
                if let Some(id) = self.meeting.bot_id().cloned() {
                    self.remove(&id, "the meeting was cancelled");
                }
            }
            Status::InProgress if !self.meeting.leaving => {
                self.note(
                    "leave_requested",
                    "somebody asked the bot to leave",
                    &json!({}),
                );
                self.meeting.leaving = true;
                self.meeting.next_poll = self.next_regular_poll();
                if let Some(id) = self.meeting.bot_id().cloned() {
                    self.remove(&id, "somebody asked the bot to leave");
                }
            }
            Status::InProgress | Status::Ended | Status::Failed | Status::Cancelled => {}
        }
    }

    /// Gives up on a bot that never gets in and ends a call that never ends.
    fn watch(&mut self) {
        if self.meeting.watchdog().is_none_or(|at| at > self.now) {
            return;
        }
        let (status, reason, by) = if self.meeting.bot.is_none() {
            (Status::Failed, "bot_creation_timed_out", EndedBy::Vendor)
        } else if self.meeting.status == Status::InProgress {
            (Status::Ended, "call_timed_out", EndedBy::Timeout)
        } else {
            (Status::Failed, "join_timed_out", EndedBy::Timeout)
        };
        self.end(status, reason, by, self.now);
        if let Some(id) = self.meeting.bot_id().cloned() {
            self.remove(&id, "the meeting ran out of time");
        }
    }

    /// Asks Recall for the bot's state when its webhooks have been silent for too long.
    fn poll(&mut self) {
        if self.meeting.next_poll.is_none_or(|at| at > self.now) {
            return;
        }
        let Some(bot_id) = self.meeting.bot_id().cloned() else {
            self.meeting.next_poll = None;
            return;
        };
        self.meeting.next_poll = if self.meeting.status.is_over() {
            self.next_artifact_poll()
        } else {
            self.next_regular_poll()
        };
        if !self.is_outstanding(|effect| matches!(effect, Effect::ReadBot { .. })) {
            self.order(Effect::ReadBot { bot_id });
        }
    }

    fn next_regular_poll(&self) -> Option<Timestamp> {
        let wait = match self.meeting.status {
            Status::Scheduled | Status::BotJoining => limits::POLL_JOINING,
            Status::InProgress if self.meeting.leaving => limits::POLL_LEAVING,
            Status::InProgress => limits::POLL_IN_CALL,
            Status::Ended | Status::Failed | Status::Cancelled => return self.meeting.next_poll,
        };
        Some(after(self.now, wait))
    }

    /// Takes in the bot's state as Recall tells it: every status that no webhook brought, then the artifacts.
    pub(super) fn bot_read(&mut self, bot: &BotState) {
        if self.meeting.bot_id() != Some(&bot.id) {
            return;
        }
        for change in &bot.statuses {
            self.handle_bot_event(Some(bot.id.clone()), change.clone());
        }
        let final_word =
            |change: &BotStatusChange| matches!(change.code, BotCode::Done | BotCode::Fatal);
        self.artifacts_read(&bot.recordings, bot.statuses.iter().any(final_word));
    }

    /// Recall does not know the bot any more: nothing more is to be had from it.
    pub(super) fn bot_lost(&mut self) {
        let own = self.meeting.bot_id().cloned();
        let sent_away = own
            .as_ref()
            .is_some_and(|id| self.meeting.removals.contains_key(id));
        if !sent_away || self.meeting.leaving {
            self.end(Status::Failed, "bot_not_found", EndedBy::Vendor, self.now);
            self.give_up_artifacts();
            self.meeting.next_poll = None;
            if let Some(id) = own {
                self.remove(&id, "Recall did not find it, which may pass");
            }
        }
    }
}

impl Meeting {
    /// When the meeting has gone on for longer than it can.
    pub(super) fn watchdog(&self) -> Option<Timestamp> {
        match self.status {
            Status::Scheduled | Status::BotJoining => match (&self.bot, &self.creation) {
                (Some(_), _) => Some(after(self.join_at, limits::JOIN_WATCHDOG)),
                (None, Creation::Asking(asking)) => {
                    let from = asking.since.max(self.join_at);
                    Some(after(from, limits::CREATION_PATIENCE))
                }
                (None, Creation::Planned { .. } | Creation::Made | Creation::Closed) => None,
            },
            Status::InProgress => {
                let entered = self.bot.as_ref().and_then(|bot| bot.entered_at);
                entered.map(|at| after(at, limits::CALL_WATCHDOG))
            }
            Status::Ended | Status::Failed | Status::Cancelled => None,
        }
    }

    /// Tells whether the bot can be heard and read in the call right now.
    pub(super) fn is_in_call(&self) -> bool {
        let code = self.bot.as_ref().and_then(|bot| bot.code.as_ref());
        self.status == Status::InProgress && code.is_some()
    }

    /// Tells whether the greeting is still owed.
    pub(super) fn owes_greeting(&self) -> bool {
        self.greeting.state == GreetingState::Pending
    }
}

/// How far along its life a status puts the bot.
fn rank(code: &BotCode) -> u8 {
    match code {
        BotCode::JoiningCall => 1,
        BotCode::InWaitingRoom => 2,
        BotCode::InCallNotRecording => 3,
        BotCode::InCallRecording => 4,
        BotCode::CallEnded => 5,
        BotCode::Fatal => 6,
        BotCode::Done => 7,
        BotCode::RecordingPermissionAllowed
        | BotCode::RecordingPermissionDenied
        | BotCode::BreakoutRoomEntered
        | BotCode::BreakoutRoomLeft
        | BotCode::BreakoutRoomOpened
        | BotCode::BreakoutRoomClosed
        | BotCode::Other(_) => 0,
    }
}

/// Tells whether a bot with this status is out of the call for good.
pub(super) fn is_final(code: &BotCode) -> bool {
    matches!(code, BotCode::CallEnded | BotCode::Fatal | BotCode::Done)
}

fn in_call(code: &BotCode) -> bool {
    matches!(code, BotCode::InCallNotRecording | BotCode::InCallRecording)
}

/// Tells who ended a call from Recall's sub-code (<https://docs.recall.ai/docs/sub-codes>).
fn ended_by_vendor_word(reason: &str) -> EndedBy {
    match reason {
        "call_ended_by_host" | "bot_kicked_from_call" | "bot_kicked_from_waiting_room" => {
            EndedBy::Host
        }
        "bot_received_leave_call" => EndedBy::Api,
        "bot_errored" | "failed_to_launch_in_time" => EndedBy::Vendor,
        other => {
            let starts = |prefixes: &[&str]| prefixes.iter().any(|p| other.starts_with(p));
            if starts(&["timeout_exceeded_"]) {
                EndedBy::Timeout
            } else if starts(&[
                "call_ended_by_platform_",
                "meeting_",
                "google_meet_",
                "zoom_",
                "microsoft_teams_",
                "webex_",
            ]) {
                EndedBy::Platform
            } else {
                EndedBy::Unknown
            }
        }
    }
}
