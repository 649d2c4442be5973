//! What the avatar says.
//!
//! The avatar has one utterance at a time. Where it is given sound, its socket tells when it begins and ends; where it
//! is given text, by a call, it is taken at the length that the vendor answers. What it does not say to its end the
//! page says from there on, in the same voice; nothing is begun again that may have been heard.

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
        self.heard_greeting_by_avatar(first);
    }

    fn heard_greeting_by_avatar(&mut self, utterance: &Utterance) {
        if utterance.purpose == Purpose::Greeting && self.meeting.owes_greeting() {
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
        self.page_goes_on(heard_ms);
        self.session_failed(id, why);
    }

    /// What a session that failed was saying, the page says from there on.
    pub(super) fn rescue_speech(&mut self, id: &AvatarSessionId) {
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
                    self.end_on_avatar(UtteranceState::Failed, None);
                }
                None => self.page_goes_on(heard),
            }
        }
    }

    fn page_goes_on(&mut self, heard_ms: u64) {
        let first = self.meeting.speech.front();
        let Some(SpeechStage::OnAvatar { duration_ms, .. }) = first.map(|u| u.progress.clone())
        else {
            return;
        };
        let rest = Duration::from_millis(duration_ms.saturating_sub(heard_ms));
        if heard_ms > 0 && rest < limits::WORTH_SAYING {
            return self.end_on_avatar(UtteranceState::Spoken, Some(heard_ms));
        }
        if self.meeting.is_given_text() && heard_ms > 0 {
            // There is no sound of ours that could go on there.
            return self.end_on_avatar(UtteranceState::Interrupted, Some(heard_ms));
        }
        if let Some(first) = self.meeting.speech.front_mut() {
            first.from_ms = heard_ms;
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
            session_id, effect, ..
        } = first.progress
        else {
            return;
        };
        if effect != Some(id) {
            return;
        }
        if !error.maybe_done {
            self.page_goes_on(0);
        }
        self.session_failed(&session_id, &error.reason);
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
        if until > self.now {
            return;
        }
        if halting {
            let heard = heard_from_avatar(&first.progress, self.now);
            self.end_on_avatar(UtteranceState::Interrupted, Some(heard));
        } else if self.meeting.is_given_text() && effect.is_none() && since.is_some() {
            self.end_on_avatar(UtteranceState::Spoken, Some(duration_ms));
        } else {
            let id = session_id.clone();
            self.session_failed(&id, "it did not speak in time");
            // A session that is not there any more can say nothing.
            if self.says(Some(&id)) {
                self.page_goes_on(heard_from_avatar(&first.progress, self.now));
            }
        }
    }

    /// After a restart nobody knows how far the avatar came, and its socket is told to be silent.
    pub(super) fn resume_avatar_speech(&mut self) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        let SpeechStage::OnAvatar { effect, since, .. } = first.progress else {
            return;
        };
        if effect.is_some() || self.meeting.is_given_text() {
            return;
        }
        if since.is_some() {
            let heard = heard_from_avatar(&first.progress, self.now);
            self.end_on_avatar(UtteranceState::Interrupted, Some(heard));
        } else if first.purpose == Purpose::Greeting && self.meeting.owes_greeting() {
            // What was sent of it may have been heard; the chat greets for certain.
            self.fall_back_to_chat(0, "nobody knows whether the avatar said it");
        } else {
            self.end_on_avatar(UtteranceState::Interrupted, None);
        }
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
