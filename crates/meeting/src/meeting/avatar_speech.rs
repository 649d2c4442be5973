//! What the avatar says.
//!
//! The avatar has one utterance at a time. Where it is given sound, its socket tells when it begins and ends; where it
//! is given text, by a call, it is taken at the length that the vendor answers. What it does not say to its end the
//! page says from there on, in the same voice; nothing is begun again that may have been heard. Where only the page
//! can know whether the avatar has said the greeting, the page is asked, and it is written if nobody heard it.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    after,
    avatar::is_said_by,
    between,
    bot_manager::BotManager,
    effect::{AvatarOrder, Effect, EffectId},
    limits,
    state::{Meeting, Purpose, SpeechStage, Utterance, UtteranceState, Via},
};
use crate::{
    http::CallError,
    page::Reaction,
    vendors::{
        avatar::{AvatarProvider, AvatarSessionId},
        liveavatar::CutReason,
    },
};

/// Who says the first utterance.
pub(super) enum Speaker {
    /// The page, with the face that it draws.
    Page,
    /// The avatar, in this session.
    Avatar(AvatarSessionId),
    /// The avatar, if it comes up in time.
    Soon,
}

impl Meeting {
    /// When a greeting that was taken as a text counts as heard.
    pub(super) fn text_heard_at(&self) -> Option<Timestamp> {
        let first = self.speech.front()?;
        let SpeechStage::OnAvatar { since, .. } = first.progress else {
            return None;
        };
        let owed = first.purpose == Purpose::Greeting && self.owes_greeting();
        since
            .filter(|_| owed)
            .map(|since| after(since, limits::AVATAR_TEXT_HEARD))
    }

    pub(super) fn speaker_of(&self, utterance: &Utterance, now: Timestamp) -> Speaker {
        // The page goes on where the avatar stopped.
        if self.booking.avatar_provider.is_none() || utterance.from_ms > 0 {
            return Speaker::Page;
        }
        if let Some(id) = self.current_session().and_then(|session| session.id()) {
            return Speaker::Avatar(id.clone());
        }
        match self.avatar.patience {
            Some(until) if until > now => Speaker::Soon,
            Some(_) | None => Speaker::Page,
        }
    }

    /// Whether the avatar is given text, and so needs no sound of ours.
    pub(super) fn is_given_text(&self) -> bool {
        self.booking.avatar_provider == Some(AvatarProvider::HeyGen)
    }
}

impl BotManager<'_> {
    /// Whether this session is saying something.
    pub(super) fn says(&self, id: Option<&AvatarSessionId>) -> bool {
        let first = self.meeting.speech.front();
        first
            .zip(id)
            .is_some_and(|(first, id)| is_said_by(first, id))
    }

    /// Lets the avatar say the first utterance.
    pub(super) fn say_by_avatar(&mut self, session_id: AvatarSessionId, duration_ms: u64) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        let text = first.text.clone();
        let (effect, patience) = if self.meeting.is_given_text() {
            let say = self.order(Effect::AvatarSay {
                provider: AvatarProvider::HeyGen,
                session_id: session_id.clone(),
                text,
            });
            (Some(say), limits::AVATAR_CALL_PATIENCE)
        } else {
            self.step.avatar.push(AvatarOrder::Speak {
                session_id: session_id.clone(),
                utterance_id: first.id,
            });
            (None, limits::AVATAR_BEGIN_PATIENCE)
        };
        self.set_progress(
            0,
            SpeechStage::OnAvatar {
                session_id,
                effect,
                duration_ms,
                since: None,
                until: after(self.now, patience),
                halting: false,
            },
        );
    }

    fn first_on_avatar(&self, id: &AvatarSessionId, event_id: &str) -> Option<Utterance> {
        let first = self.meeting.speech.front()?;
        let same = first.id.as_str() == event_id && is_said_by(first, id);
        same.then(|| first.clone())
    }

    /// The avatar has begun to say an utterance.
    pub(super) fn avatar_speaks(&mut self, id: &AvatarSessionId, event_id: &str) {
        let Some(first) = self.first_on_avatar(id, event_id) else {
            return;
        };
        if let SpeechStage::OnAvatar {
            duration_ms,
            since: None,
            halting: false,
            ..
        } = first.progress
        {
            self.begun(&first, id.clone(), duration_ms);
        }
    }

    fn begun(&mut self, first: &Utterance, session_id: AvatarSessionId, duration_ms: u64) {
        // That a text was taken is no sound yet.
        let is_heard = !self.meeting.is_given_text() || self.was_heard(&session_id);
        let length = Duration::from_millis(duration_ms);
        let margin = if self.meeting.is_given_text() {
            limits::UTTERANCE_GAP
        } else {
            limits::AVATAR_END_PATIENCE
        };
        self.set_progress(
            0,
            SpeechStage::OnAvatar {
                session_id,
                effect: None,
                duration_ms,
                since: Some(self.now),
                until: after(self.now, length + margin),
                halting: false,
            },
        );
        let (speaking, heard) = (UtteranceState::Speaking, Some(0));
        self.tell(first, speaking, Some(Via::Avatar), heard);
        if is_heard {
            self.heard_greeting_by_avatar(first);
        }
    }

    /// The greeting that was taken as a text is heard, for all that is known.
    fn text_is_heard(&mut self) {
        if let Some(first) = self.meeting.speech.front().cloned()
            && matches!(first.progress, SpeechStage::OnAvatar { since: Some(_), .. })
        {
            self.heard_greeting_by_avatar(&first);
        }
    }

    fn heard_greeting_by_avatar(&mut self, utterance: &Utterance) {
        if self.is_owed_greeting(utterance) {
            self.greeted(Via::Avatar);
        }
    }

    /// The avatar has said an utterance to its end.
    pub(super) fn avatar_spoke(&mut self, id: &AvatarSessionId, event_id: &str, heard_ms: u64) {
        if let Some(first) = self.first_on_avatar(id, event_id) {
            self.heard_greeting_by_avatar(&first);
            self.end_on_avatar(UtteranceState::Spoken, Some(heard_ms));
        }
    }

    /// The avatar has stopped before the end of an utterance.
    pub(super) fn avatar_cut(
        &mut self,
        id: &AvatarSessionId,
        event_id: &str,
        reason: CutReason,
        heard_ms: u64,
    ) {
        let Some(first) = self.first_on_avatar(id, event_id) else {
            return;
        };
        let halting = matches!(first.progress, SpeechStage::OnAvatar { halting: true, .. });
        if halting || reason == CutReason::Interrupted {
            return self.end_on_avatar(UtteranceState::Interrupted, Some(heard_ms));
        }
        let why = match reason {
            CutReason::Interrupted | CutReason::Closed => return,
            CutReason::NotReady | CutReason::Empty | CutReason::Starved => {
                return self.page_goes_on(heard_ms);
            }
            CutReason::EndUntold => {
                self.heard_greeting_by_avatar(&first);
                self.end_on_avatar(UtteranceState::Spoken, Some(heard_ms));
                return self.session_failed(id, "it did not tell the end of what it said");
            }
            CutReason::SocketLost => "its socket was lost while it spoke",
            CutReason::NotBegun => "it did not begin to speak",
            CutReason::FellSilent => "it fell silent while it spoke",
            CutReason::Refused => "it refused what it was to say",
            CutReason::SessionOver => "its session ended while it spoke",
        };
        self.page_goes_on_unless_heard(heard_ms);
        self.session_failed(id, why);
    }

    /// What a session that failed was saying, the page says from there on.
    pub(super) fn rescue_speech(&mut self, id: &AvatarSessionId) {
        if self.in_doubt(id).is_some() {
            return self.doubt_is_silence();
        }
        let Some(first) = self
            .meeting
            .speech
            .front()
            .filter(|u| is_said_by(u, id))
            .cloned()
        else {
            return;
        };
        if let SpeechStage::OnAvatar {
            effect, halting, ..
        } = first.progress
        {
            let heard = heard_from_avatar(&first.progress, self.now);
            if halting {
                return self.end_on_avatar(UtteranceState::Interrupted, Some(heard));
            }
            match effect {
                // Whether the vendor says it is not known, and it must not be said twice.
                Some(effect) => {
                    self.forget(effect);
                    if !self.is_owed_greeting(&first) {
                        self.end_on_avatar(UtteranceState::Failed, None);
                    } else if self.was_heard(id) {
                        self.greeted_by_avatar();
                    } else {
                        self.doubt_is_silence();
                    }
                }
                None => self.page_goes_on_unless_heard(heard),
            }
        }
    }

    /// Lets the page go on, unless it has heard the greeting begin where the vendor told nothing of that.
    fn page_goes_on_unless_heard(&mut self, heard_ms: u64) {
        let first = self.meeting.speech.front().cloned();
        if let Some(first) = first
            && let SpeechStage::OnAvatar { session_id, .. } = &first.progress
            && self.is_owed_greeting(&first)
            && self.was_heard(session_id)
        {
            return self.greeted_by_avatar();
        }
        self.page_goes_on(heard_ms);
    }

    fn page_goes_on(&mut self, heard_ms: u64) {
        let first = self.meeting.speech.front();
        let Some(SpeechStage::OnAvatar {
            duration_ms, since, ..
        }) = first.map(|u| u.progress.clone())
        else {
            return;
        };
        let rest = Duration::from_millis(duration_ms.saturating_sub(heard_ms));
        if heard_ms > 0 && rest < limits::WORTH_SAYING {
            return self.end_on_avatar(UtteranceState::Spoken, Some(heard_ms));
        }
        if self.meeting.is_given_text() && since.is_some() {
            // There is no sound of ours that could go on there, not even in the moment in which it began.
            self.text_is_heard();
            return self.end_on_avatar(UtteranceState::Interrupted, Some(heard_ms));
        }
        if let Some(first) = self.meeting.speech.front_mut() {
            // What has begun goes on, and is not begun again, however little of it was heard.
            first.from_ms = heard_ms.max(u64::from(since.is_some()));
            first.progress = if duration_ms == 0 {
                SpeechStage::Text
            } else {
                SpeechStage::Ready { duration_ms }
            };
        }
    }

    /// The vendor has taken a text, and says how long it takes to say.
    pub(super) fn avatar_says(&mut self, id: EffectId, duration_ms: u64) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        if let SpeechStage::OnAvatar {
            ref session_id,
            effect,
            ..
        } = first.progress
            && effect == Some(id)
            // Nobody hears what a session says that was let go of, as the bot leaves.
            && self.live(session_id).is_some()
        {
            self.begun(&first, session_id.clone(), duration_ms);
        }
    }

    /// The vendor did not take a text, or took it and nobody knows.
    pub(super) fn avatar_not_saying(&mut self, id: EffectId, error: &CallError) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        let SpeechStage::OnAvatar {
            ref session_id,
            effect,
            ..
        } = first.progress
        else {
            return;
        };
        if effect != Some(id) {
            return;
        }
        if !error.maybe_done {
            self.page_goes_on(0);
        } else if self.is_owed_greeting(&first) {
            return self.doubt(session_id);
        }
        self.session_failed(session_id, &error.reason);
    }

    /// Silences the avatar if it has this utterance, and gives it back, with whether more is to be known of it.
    pub(super) fn halt_on_avatar(&mut self, utterance: Utterance) -> (Utterance, bool) {
        let SpeechStage::OnAvatar {
            session_id,
            effect,
            duration_ms,
            since,
            halting,
            ..
        } = utterance.progress.clone()
        else {
            return (utterance, false);
        };
        if halting {
            return (utterance, true);
        }
        if self.meeting.is_given_text() {
            if let Some(effect) = effect {
                self.forget(effect);
            }
            self.order(Effect::AvatarInterrupt {
                provider: AvatarProvider::HeyGen,
                session_id,
            });
            return (utterance, false);
        }
        self.step.avatar.push(AvatarOrder::Interrupt {
            session_id: session_id.clone(),
        });
        let utterance = Utterance {
            progress: SpeechStage::OnAvatar {
                session_id,
                effect,
                duration_ms,
                since,
                until: after(self.now, limits::PAGE_HALT_PATIENCE),
                halting: true,
            },
            ..utterance
        };
        (utterance, true)
    }

    /// Lets the avatar react, where the vendor has a call for that.
    pub(super) fn react_by_avatar(&mut self, reaction: Reaction) {
        let session = self.meeting.current_session().and_then(|s| s.id()).cloned();
        if let (true, Some(session_id)) = (self.meeting.is_given_text(), session) {
            self.order(Effect::AvatarReact {
                provider: AvatarProvider::HeyGen,
                session_id,
                reaction,
            });
        }
    }

    /// Does something about an utterance of which the avatar has not told what it should have.
    pub(super) fn watch_avatar_speech(&mut self) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        if let SpeechStage::InDoubt { session_id, until } = &first.progress
            && *until <= self.now
        {
            if self.meeting.is_given_text() {
                self.session_failed(session_id, "it did not tell whether it speaks");
            }
            // A session that is not there any more has nothing to fail at.
            if self.in_doubt(session_id).is_some() {
                self.doubt_is_silence();
            }
            return;
        }
        let SpeechStage::OnAvatar {
            ref session_id,
            effect,
            duration_ms,
            since,
            until,
            halting,
        } = first.progress
        else {
            return;
        };
        if self
            .meeting
            .text_heard_at()
            .is_some_and(|at| at <= self.now)
        {
            self.text_is_heard();
        }
        if until > self.now {
            return;
        }
        if halting {
            let heard = heard_from_avatar(&first.progress, self.now);
            self.end_on_avatar(UtteranceState::Interrupted, Some(heard));
        } else if self.meeting.is_given_text() && effect.is_none() && since.is_some() {
            self.text_is_heard();
            self.end_on_avatar(UtteranceState::Spoken, Some(duration_ms));
        } else {
            let id = session_id.clone();
            self.session_failed(&id, "it did not speak in time");
            // A session that is not there any more can say nothing.
            if self.says(Some(&id)) {
                self.page_goes_on_unless_heard(heard_from_avatar(&first.progress, self.now));
            }
        }
    }

    /// After a restart nobody knows how far the avatar came, and its socket is told to be silent.
    pub(super) fn resume_avatar_speech(&mut self) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        if let SpeechStage::InDoubt { session_id, .. } = &first.progress {
            return self.doubt(session_id);
        }
        let SpeechStage::OnAvatar {
            ref session_id,
            effect,
            since,
            ..
        } = first.progress
        else {
            return;
        };
        if effect.is_some() || self.meeting.is_given_text() {
            return;
        }
        if since.is_some() {
            let heard = heard_from_avatar(&first.progress, self.now);
            self.end_on_avatar(UtteranceState::Interrupted, Some(heard));
        } else if self.is_owed_greeting(&first) {
            self.doubt(session_id);
        } else {
            // It may have been heard, so it is not said again.
            self.end_on_avatar(UtteranceState::Interrupted, None);
        }
    }

    fn is_owed_greeting(&self, utterance: &Utterance) -> bool {
        utterance.purpose == Purpose::Greeting && self.meeting.owes_greeting()
    }

    /// Whether the page has heard a session; before the greeting it has nothing to say.
    fn was_heard(&self, id: &AvatarSessionId) -> bool {
        let mut sessions = self.meeting.avatar.sessions.iter();
        sessions.any(|session| session.id() == Some(id) && session.heard)
    }

    /// Whether the avatar says the greeting only the page can tell: it is asked, for a while.
    fn doubt(&mut self, id: &AvatarSessionId) {
        let session_id = id.clone();
        let until = after(self.now, limits::PAGE_READY_PATIENCE);
        self.set_progress(0, SpeechStage::InDoubt { session_id, until });
        if self.was_heard(id) {
            self.doubt_is_heard(id);
        } else if self
            .meeting
            .current_session()
            .is_some_and(|s| s.id() == Some(id))
        {
            self.doubt_is_seen(id);
        }
    }

    /// Until when it is in doubt whether the greeting was heard from this session.
    fn in_doubt(&self, id: &AvatarSessionId) -> Option<Timestamp> {
        let SpeechStage::InDoubt { session_id, until } = &self.meeting.speech.front()?.progress
        else {
            return None;
        };
        (session_id == id).then_some(*until)
    }

    /// The page is there again, and would have told first what it has heard.
    pub(super) fn doubt_is_seen(&mut self, id: &AvatarSessionId) {
        if let Some(until) = self.in_doubt(id) {
            let session_id = id.clone();
            let until = until.min(after(self.now, limits::AVATAR_DOUBT_PATIENCE));
            self.set_progress(0, SpeechStage::InDoubt { session_id, until });
        }
    }

    /// The greeting that was in doubt was heard; or it was given up meanwhile, and need not be written any more.
    pub(super) fn doubt_is_heard(&mut self, id: &AvatarSessionId) {
        if self.says(Some(id)) {
            return self.text_is_heard();
        }
        if self.in_doubt(id).is_none() {
            let greeting = self.take_from_chat(|u| u.purpose == Purpose::Greeting);
            if let Some(greeting) = greeting {
                self.greeted(Via::Avatar);
                self.finish(
                    &greeting,
                    UtteranceState::Interrupted,
                    Some(Via::Avatar),
                    None,
                );
            }
            return;
        }
        if self.meeting.is_given_text() {
            // How long it goes on is not known, and the next utterance must not be said into it.
            self.order(Effect::AvatarInterrupt {
                provider: AvatarProvider::HeyGen,
                session_id: id.clone(),
            });
        }
        self.greeted_by_avatar();
    }

    /// Nobody joins silently: what was not heard as far as anybody knows is written.
    fn doubt_is_silence(&mut self) {
        self.fall_back_to_chat(0, "nobody knows whether the avatar said it");
    }

    /// The room was greeted, and how much of the greeting it heard is not known.
    fn greeted_by_avatar(&mut self) {
        self.greeted(Via::Avatar);
        self.end_on_avatar(UtteranceState::Interrupted, None);
    }

    fn end_on_avatar(&mut self, state: UtteranceState, heard_ms: Option<u64>) {
        if let Some(first) = self.meeting.speech.pop_front() {
            self.finish(&first, state, Some(Via::Avatar), heard_ms);
        }
    }
}

/// How much of an utterance the avatar has said by `now`, as far as is known.
pub(super) fn heard_from_avatar(progress: &SpeechStage, now: Timestamp) -> u64 {
    let SpeechStage::OnAvatar {
        duration_ms,
        since: Some(since),
        ..
    } = *progress
    else {
        return 0;
    };
    let heard = u64::try_from(between(since, now).as_millis());
    heard.map_or(duration_ms, |heard| heard.min(duration_ms))
}
