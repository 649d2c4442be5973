//! The face: the bot's page, which with the presence `avatar` is the bot's camera and voice.
//!
//! The page loads, reloads and reconnects when it likes; the meeting follows whether it is there and can play. A page
//! that does not come in time is a warning, and what should be said is written to the chat. What the page plays is
//! `page_speech`'s.

use jiff::Timestamp;
use serde_json::json;

use super::{
    after,
    bot_manager::BotManager,
    effect::{PageOrder, Refusal},
    limits,
    state::{Meeting, Page, Presence, SpeechStage, Status, WarningCode},
};
use crate::{
    page::{FromPage, PageAgent, Pose, Reaction, ToPage},
    vendors::{avatar::AvatarSessionId, reason::tidy},
};

/// The provider whose face the page draws itself.
pub(crate) const BUILTIN: &str = "builtin";

impl BotManager<'_> {
    /// The page's socket is open, for the first time or again.
    pub(super) fn page_connected(&mut self) {
        if self.meeting.booking.presence != Presence::Avatar {
            self.step.refusal = Some(Refusal::NoAvatar);
            return;
        }
        if self.meeting.status.is_over() {
            self.step.refusal = Some(Refusal::Over);
            return;
        }
        self.note("page_connected", "the bot's page is there", &json!({}));
        // A page that was there before has lost its socket.
        self.page_lost();
        let page = &mut self.meeting.page;
        page.connected = true;
        page.pinged_at = None;
        let agent = &self.meeting.booking.agent;
        let hello = ToPage::Hello {
            agent: PageAgent {
                name: agent.name.clone(),
                company: agent.company.clone(),
            },
            pose: Pose::Listening,
            microphone: self.meeting.booking.page_microphone,
        };
        self.tell_page(hello);
        if !self.is_on_page() {
            // Whatever it still plays was given up.
            self.tell_page(ToPage::Interrupt);
        }
    }

    pub(super) fn tell_page(&mut self, frame: ToPage) {
        self.step.page.push(PageOrder::Send(frame));
    }

    /// The page's socket is gone.
    pub(super) fn page_disconnected(&mut self) {
        if !self.meeting.page.connected {
            return;
        }
        self.meeting.page.connected = false;
        self.note("page_disconnected", "the bot's page is gone", &json!({}));
        self.page_lost();
    }

    /// After a restart without the page's socket. Nobody was there to come back to, so the page is waited for anew.
    pub(super) fn resume_page(&mut self) {
        self.page_disconnected();
        if let Some(missing) = &mut self.meeting.page.missing_since {
            *missing = self.now;
        }
        self.await_page_return();
    }

    fn page_lost(&mut self) {
        let page = &mut self.meeting.page;
        if page.ready {
            page.ready = false;
            page.missing_since = Some(self.now);
            self.hide_avatar();
        }
        if self.meeting.booking.page_microphone {
            self.media_disconnected();
        }
        self.await_page_return();
    }

    /// Takes in a report of the page's.
    pub(super) fn page_reported(&mut self, report: FromPage) {
        if !self.meeting.page.connected {
            return;
        }
        self.meeting.page.alive = true;
        match report {
            FromPage::Ready => self.page_ready(),
            FromPage::Playing {
                utterance_id,
                played_ms,
                interrupted: false,
            } => self.page_playing(&utterance_id, played_ms),
            FromPage::Playing {
                utterance_id,
                played_ms,
                interrupted: true,
            } => self.page_halted(&utterance_id, played_ms),
            FromPage::Spoken { utterance_id } => self.page_spoken(&utterance_id),
            FromPage::SpeakFailed {
                utterance_id,
                reason,
                played_ms,
            } => self.page_failed(&utterance_id, &reason, played_ms),
            FromPage::SoundBlocked => self.warn(
                WarningCode::SoundBlocked,
                "the browser of the bot's page does not let it play sound",
            ),
            FromPage::AvatarTracks { session, .. } => {
                self.avatar_seen(&AvatarSessionId(session));
            }
            FromPage::AvatarHeard { session } => self.avatar_heard(&AvatarSessionId(session)),
            FromPage::VideoFrozen { session } => {
                self.session_failed(&AvatarSessionId(session), "its picture stands still");
            }
            FromPage::AvatarDisconnected { session, reason } => {
                let why = format!("the page lost its room: {}", tidy(&reason));
                self.session_failed(&AvatarSessionId(session), &why);
            }
            FromPage::Pong | FromPage::Unknown => {}
        }
    }

    fn page_ready(&mut self) {
        if self.meeting.page.ready {
            return;
        }
        self.meeting.page.ready = true;
        self.meeting.page.missing_since = None;
        self.note("page_ready", "the bot's page can show and play", &json!({}));
        self.show_avatar();
        self.page_returned();
    }

    /// Does something about a page that is not there, or does not play what it should.
    pub(super) fn watch_page(&mut self) {
        if self.meeting.status.is_over() {
            return;
        }
        self.ping_page();
        self.watch_page_speech();
        if self.meeting.page_deadline().is_none_or(|at| at > self.now) {
            return;
        }
        self.warn(
            WarningCode::PageNotReady,
            "the bot's page did not become ready in time",
        );
        for index in 0..self.meeting.speech.len() {
            if matches!(
                self.meeting.speech[index].progress,
                SpeechStage::Ready { .. }
            ) {
                self.fall_back_to_chat(index, "the bot's page is not there");
            }
        }
    }

    /// Asks the page for a sign of life, which is one to the page as well.
    fn ping_page(&mut self) {
        if !self.meeting.page.connected
            || self
                .meeting
                .page_ping_deadline()
                .is_some_and(|at| at > self.now)
        {
            return;
        }
        let page = &mut self.meeting.page;
        if page.pinged_at.is_some() && !page.alive {
            self.step.page.push(PageOrder::Close);
            return self.page_disconnected();
        }
        page.pinged_at = Some(self.now);
        page.alive = false;
        self.tell_page(ToPage::Ping);
    }

    /// `reaction`.
    pub(super) fn react(&mut self, reaction: Reaction) {
        if self.meeting.booking.presence != Presence::Avatar {
            self.step.refusal = Some(Refusal::NoAvatar);
        } else if self.meeting.status != Status::InProgress {
            self.step.refusal = Some(Refusal::NotInProgress);
        } else {
            self.tell_page(ToPage::React { reaction });
            self.react_by_avatar(reaction);
        }
    }

    /// The bot is in the call: its page is due.
    pub(super) fn expect_page(&mut self) {
        let page = &mut self.meeting.page;
        if self.meeting.booking.presence == Presence::Avatar && !page.ready {
            page.missing_since.get_or_insert(self.now);
        }
    }

    /// The call is over: the page has nothing to do any more.
    pub(super) fn close_page(&mut self) {
        if self.meeting.page.connected {
            self.step.page.push(PageOrder::Close);
        }
        self.meeting.page = Page::default();
    }
}

impl Meeting {
    /// When a page that is missing has been waited for long enough. Utterances that come later wait for nothing.
    pub(super) fn page_deadline(&self) -> Option<Timestamp> {
        let missing = self.page.missing_since?;
        let waits = self.status == Status::InProgress
            && (self
                .speech
                .iter()
                .any(|u| matches!(u.progress, SpeechStage::Ready { .. }))
                || !self.has_warned(WarningCode::PageNotReady));
        waits.then(|| after(missing, limits::PAGE_READY_PATIENCE))
    }

    fn has_warned(&self, code: WarningCode) -> bool {
        self.warnings.iter().any(|warning| warning.code == code)
    }

    /// When a page that is there is next asked for a sign of life.
    pub(super) fn page_ping_deadline(&self) -> Option<Timestamp> {
        if !self.page.connected {
            return None;
        }
        let last = self.page.pinged_at?;
        Some(after(last, limits::PAGE_PING))
    }
}
