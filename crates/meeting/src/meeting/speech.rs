//! What the agent says: one queue, one utterance at a time, and chat when speech fails.
//!
//! An utterance goes through text, audio made, audio played. Recall plays clips without saying when they end,
//! so the next one waits for the length of the last. The greeting is the first utterance; its audio is made
//! while the bot is still joining, and it is the one thing that `interrupt` does not drop.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{
    after,
    avatar_speech::{Speaker, heard_from_avatar},
    between,
    bot_manager::BotManager,
    effect::{Effect, EffectId, LiveEvent, Refusal, SpeechFormat},
    limits,
    page_speech::heard_on_page,
    state::{
        GreetingState, Meeting, Platform, Presence, Purpose, SpeechStage, Status, Utterance,
        UtteranceState, Via, WarningCode,
    },
};
use crate::{http::CallError, ids::UtteranceId, vendors::avatar::AvatarProvider};

impl BotManager<'_> {
    /// Queues the greeting, once in a meeting's life.
    pub(super) fn send_entrance_greeting(&mut self) {
        let queued = self
            .meeting
            .speech
            .iter()
            .any(|u| u.purpose == Purpose::Greeting);
        if queued || !self.meeting.owes_greeting() {
            return;
        }
        // The greeting's id needs no randomness: a meeting has one greeting.
        let id = UtteranceId::mint(self.meeting.booking.created_at, 0);
        let text = self.meeting.booking.agent.greeting.clone();
        self.enqueue(id, text, Purpose::Greeting);
    }

    /// `say`.
    pub(super) fn say(&mut self, id: UtteranceId, text: String, interrupt: bool) {
        if self.meeting.status != Status::InProgress {
            self.step.refusal = Some(Refusal::NotInProgress);
        } else if self.meeting.speech.len() >= limits::MAX_UTTERANCES && !interrupt {
            self.step.refusal = Some(Refusal::QueueFull);
        } else {
            if interrupt {
                self.interrupt();
            }
            self.enqueue(id, text, Purpose::Say);
        }
    }

    fn enqueue(&mut self, id: UtteranceId, text: String, purpose: Purpose) {
        let utterance = Utterance {
            id,
            text,
            purpose,
            progress: SpeechStage::Text,
            from_ms: 0,
        };
        self.tell(&utterance, UtteranceState::Queued, None, None);
        self.meeting.speech.push_back(utterance);
    }

    /// `interrupt`: stops what is being said and drops what waits, but not a greeting that is still owed.
    pub(super) fn interrupt(&mut self) {
        let mut kept = Vec::new();
        let mut audible = false;
        while let Some(utterance) = self.meeting.speech.pop_front() {
            if utterance.purpose == Purpose::Greeting && self.meeting.owes_greeting() {
                kept.push(utterance);
                continue;
            }
            // Stopping what Recall has not begun to play stops nothing, so the answer is awaited first.
            if let SpeechStage::Starting { effect, .. } | SpeechStage::Halting { effect } =
                utterance.progress
            {
                kept.push(Utterance {
                    progress: SpeechStage::Halting { effect },
                    ..utterance
                });
                continue;
            }
            let (utterance, on_page) = self.halt_on_page(utterance);
            let (utterance, on_avatar) = self.halt_on_avatar(utterance);
            if on_page || on_avatar {
                kept.push(utterance);
                continue;
            }
            audible |= matches!(utterance.progress, SpeechStage::Playing { .. });
            let heard = self.heard_of(&utterance);
            self.drop_utterance(&utterance, UtteranceState::Interrupted, heard);
        }
        self.meeting.speech.extend(kept);
        if audible {
            self.stop_audio();
        }
    }

    pub(super) fn heard_of(&self, utterance: &Utterance) -> Option<u64> {
        match utterance.progress {
            SpeechStage::Playing { since, until } => {
                let heard = between(since, self.now.min(until));
                Some(u64::try_from(heard.as_millis()).unwrap_or(u64::MAX))
            }
            SpeechStage::OnPage { .. } => {
                Some(utterance.from_ms + heard_on_page(&utterance.progress, self.now))
            }
            SpeechStage::OnAvatar { .. } => Some(heard_from_avatar(&utterance.progress, self.now)),
            SpeechStage::Starting { .. }
            | SpeechStage::Halting { .. }
            | SpeechStage::InDoubt { .. } => None,
            SpeechStage::Text
            | SpeechStage::Synthesizing { .. }
            | SpeechStage::Ready { .. }
            | SpeechStage::Mute
            | SpeechStage::Chatting { .. } => Some(utterance.from_ms),
        }
    }

    /// Takes an utterance out of the world: its order, its audio; and tells what became of it.
    fn drop_utterance(&mut self, utterance: &Utterance, state: UtteranceState, heard: Option<u64>) {
        match utterance.progress {
            SpeechStage::Synthesizing { effect }
            | SpeechStage::Starting { effect, .. }
            | SpeechStage::Halting { effect }
            | SpeechStage::Chatting { effect }
            | SpeechStage::OnAvatar {
                effect: Some(effect),
                ..
            } => self.forget(effect),
            SpeechStage::Text
            | SpeechStage::Ready { .. }
            | SpeechStage::Mute
            | SpeechStage::OnPage { .. }
            | SpeechStage::OnAvatar { effect: None, .. }
            | SpeechStage::InDoubt { .. }
            | SpeechStage::Playing { .. } => {}
        }
        self.finish(utterance, state, via_of(utterance), heard);
    }

    pub(super) fn finish(
        &mut self,
        utterance: &Utterance,
        state: UtteranceState,
        via: Option<Via>,
        heard_ms: Option<u64>,
    ) {
        self.step.clips_done.push(utterance.id.clone());
        self.note(
            "utterance",
            format!("an utterance is {}", state.as_str()),
            &json!({ "utterance_id": utterance.id, "state": state, "via": via, "heard_ms": heard_ms }),
        );
        self.tell(utterance, state, via, heard_ms);
    }

    pub(super) fn tell(
        &mut self,
        utterance: &Utterance,
        state: UtteranceState,
        via: Option<Via>,
        heard_ms: Option<u64>,
    ) {
        self.step.live.push(LiveEvent::Utterance {
            utterance_id: utterance.id.clone(),
            text: utterance.text.clone(),
            state,
            via,
            heard_ms,
        });
    }

    fn stop_audio(&mut self) {
        if self.meeting.stopping.is_none()
            && let Some(bot_id) = self.meeting.bot_id().cloned()
        {
            let stop = self.order(Effect::StopAudio { bot_id });
            self.meeting.stopping = Some(stop);
        }
    }

    /// The stop order is through, or has failed for good: what waits may be played.
    pub(super) fn audio_stopped(&mut self, id: EffectId) {
        if self.meeting.stopping == Some(id) {
            self.meeting.stopping = None;
        }
    }

    /// Moves the queue on: ends what has been heard, makes the audio of the first two, plays the first.
    pub(super) fn advance_speech(&mut self) {
        if self.meeting.status.is_over() {
            return;
        }
        while let Some(utterance) = self.pop_heard() {
            let SpeechStage::Playing { since, until } = utterance.progress else {
                continue;
            };
            let length = between(since, until).saturating_sub(limits::UTTERANCE_GAP);
            let heard = u64::try_from(length.as_millis()).ok();
            self.finish(
                &utterance,
                UtteranceState::Spoken,
                Some(Via::OutputAudio),
                heard,
            );
        }
        for index in 0..self.meeting.speech.len().min(2) {
            self.synthesize(index);
        }
        self.greet_by_chat_when_late();
        self.play_first();
    }

    fn pop_heard(&mut self) -> Option<Utterance> {
        let first = self.meeting.speech.front()?;
        let heard =
            matches!(first.progress, SpeechStage::Playing { until, .. } if until <= self.now);
        if heard {
            self.meeting.speech.pop_front()
        } else {
            None
        }
    }

    fn synthesize(&mut self, index: usize) {
        let utterance = &self.meeting.speech[index];
        if utterance.progress != SpeechStage::Text {
            return;
        }
        if self.meeting.is_given_text()
            && !matches!(self.meeting.speaker_of(utterance, self.now), Speaker::Page)
        {
            return;
        }
        let agent = &self.meeting.booking.agent;
        let Some(voice_id) = agent.voice_id.clone() else {
            return self.fall_back_to_chat(index, "no voice is configured");
        };
        let effect = self.order(Effect::Synthesize {
            utterance_id: self.meeting.speech[index].id.clone(),
            text: self.meeting.speech[index].text.clone(),
            voice_id,
            language: self.meeting.booking.agent.language.clone(),
            format: self.meeting.speech_format(),
        });
        self.meeting.speech[index].progress = SpeechStage::Synthesizing { effect };
    }

    fn play_first(&mut self) {
        if !self.meeting.is_in_call() || self.meeting.stopping.is_some() || self.meeting.leaving {
            return;
        }
        let (Some(bot_id), Some(first)) =
            (self.meeting.bot_id().cloned(), self.meeting.speech.front())
        else {
            return;
        };
        let duration_ms = match first.progress {
            SpeechStage::Ready { duration_ms } => duration_ms,
            SpeechStage::Text if self.meeting.is_given_text() => 0,
            SpeechStage::Text
            | SpeechStage::Synthesizing { .. }
            | SpeechStage::Starting { .. }
            | SpeechStage::Halting { .. }
            | SpeechStage::Playing { .. }
            | SpeechStage::OnPage { .. }
            | SpeechStage::OnAvatar { .. }
            | SpeechStage::InDoubt { .. }
            | SpeechStage::Mute
            | SpeechStage::Chatting { .. } => return,
        };
        let utterance_id = first.id.clone();
        if self.meeting.booking.presence == Presence::Avatar {
            return match self.meeting.speaker_of(first, self.now) {
                Speaker::Soon => {}
                Speaker::Avatar(session) => self.say_by_avatar(session, duration_ms),
                Speaker::Page => self.play_on_page(),
            };
        }
        let effect = self.order(Effect::PlayAudio {
            bot_id,
            utterance_id,
        });
        self.set_progress(
            0,
            SpeechStage::Starting {
                effect,
                duration_ms,
            },
        );
    }

    pub(super) fn set_progress(&mut self, index: usize, progress: SpeechStage) {
        if let Some(utterance) = self.meeting.speech.get_mut(index) {
            utterance.progress = progress;
        }
    }

    fn position(&self, wanted: EffectId) -> Option<usize> {
        self.meeting.speech.iter().position(|u| match u.progress {
            SpeechStage::Synthesizing { effect }
            | SpeechStage::Starting { effect, .. }
            | SpeechStage::Halting { effect }
            | SpeechStage::Chatting { effect } => effect == wanted,
            SpeechStage::Text
            | SpeechStage::Ready { .. }
            | SpeechStage::Mute
            | SpeechStage::OnPage { .. }
            | SpeechStage::OnAvatar { .. }
            | SpeechStage::InDoubt { .. }
            | SpeechStage::Playing { .. } => false,
        })
    }

    /// The audio of an utterance is stored.
    pub(super) fn synthesized(&mut self, id: EffectId, duration_ms: u64) {
        if let Some(index) = self.position(id) {
            self.set_progress(index, SpeechStage::Ready { duration_ms });
        }
    }

    /// Recall has begun to play an utterance.
    pub(super) fn playing(&mut self, id: EffectId) {
        let Some(index) = self.position(id) else {
            return;
        };
        if matches!(
            self.meeting.speech[index].progress,
            SpeechStage::Halting { .. }
        ) {
            self.halted(index);
            return self.stop_audio();
        }
        let SpeechStage::Starting { duration_ms, .. } = self.meeting.speech[index].progress else {
            return;
        };
        let length = Duration::from_millis(duration_ms) + limits::UTTERANCE_GAP;
        self.set_progress(
            index,
            SpeechStage::Playing {
                since: self.now,
                until: after(self.now, length),
            },
        );
        let utterance = self.meeting.speech[index].clone();
        self.tell(
            &utterance,
            UtteranceState::Speaking,
            Some(Via::OutputAudio),
            Some(0),
        );
        if utterance.purpose == Purpose::Greeting {
            self.greeted(Via::OutputAudio);
        }
    }

    /// An utterance that was cut off before it was heard is through.
    fn halted(&mut self, index: usize) {
        if let Some(utterance) = self.meeting.speech.remove(index) {
            self.finish(
                &utterance,
                UtteranceState::Interrupted,
                Some(Via::OutputAudio),
                None,
            );
        }
    }

    /// Making or playing the audio failed for good: the words go to the chat instead.
    pub(super) fn speech_failed(&mut self, id: EffectId, error: &CallError) {
        let Some(index) = self.position(id) else {
            return;
        };
        let progress = &self.meeting.speech[index].progress;
        let playing = matches!(
            progress,
            SpeechStage::Starting { .. } | SpeechStage::Halting { .. }
        );
        if playing && error.maybe_done {
            // Recall may yet play it, and the room would have it twice.
            self.stop_audio();
        }
        if matches!(
            self.meeting.speech[index].progress,
            SpeechStage::Halting { .. }
        ) {
            self.halted(index);
        } else {
            self.fall_back_to_chat(index, &error.reason);
        }
    }

    /// Audio that came too late to be of use is not kept.
    pub(super) fn drop_clip(&mut self, utterance_id: UtteranceId) {
        if !self
            .meeting
            .speech
            .iter()
            .any(|utterance| utterance.id == utterance_id)
        {
            self.step.clips_done.push(utterance_id);
        }
    }

    pub(super) fn fall_back_to_chat(&mut self, index: usize, why: &str) {
        let Some(utterance) = self.meeting.speech.get(index).cloned() else {
            return;
        };
        if utterance.purpose == Purpose::Greeting {
            self.warn(
                WarningCode::GreetingFailed,
                format!("the greeting could not be spoken: {why}"),
            );
            self.meeting.greeting.reason = Some(why.to_owned());
        }
        self.set_progress(index, SpeechStage::Mute);
        self.chat_when_in_call();
    }

    /// Sends what cannot be spoken as chat, as soon as there is a chat to send it to.
    fn chat_when_in_call(&mut self) {
        if !self.meeting.is_in_call() {
            return;
        }
        let Some(bot_id) = self.meeting.bot_id().cloned() else {
            return;
        };
        for index in 0..self.meeting.speech.len() {
            if self.meeting.speech[index].progress != SpeechStage::Mute {
                continue;
            }
            let text = first_chars(
                &self.meeting.speech[index].text,
                chat_limit(self.meeting.booking.platform),
            );
            let effect = self.order(Effect::SendChat {
                bot_id: bot_id.clone(),
                text,
            });
            self.set_progress(index, SpeechStage::Chatting { effect });
        }
    }

    /// Nobody is joined silently: a greeting that is not being heard in time is written.
    fn greet_by_chat_when_late(&mut self) {
        self.chat_when_in_call();
        if self
            .meeting
            .greeting_deadline()
            .is_none_or(|at| at > self.now)
        {
            return;
        }
        let greeting = |u: &Utterance| u.purpose == Purpose::Greeting;
        let Some(index) = self.meeting.speech.iter().position(greeting) else {
            return;
        };
        if let SpeechStage::Synthesizing { effect } = self.meeting.speech[index].progress {
            self.forget(effect);
        }
        self.fall_back_to_chat(index, "speech did not come in time");
    }

    pub(super) fn greeted(&mut self, via: Via) {
        self.note("greeted", "the room was greeted", &json!({ "via": via }));
        let greeting = &mut self.meeting.greeting;
        greeting.state = GreetingState::Sent;
        greeting.via = Some(via);
        greeting.at = Some(self.now);
        if via != Via::Chat {
            // It was heard after all.
            greeting.reason = None;
        }
    }

    /// `chat`.
    pub(super) fn chat(&mut self, text: String) {
        let platform = self.meeting.booking.platform;
        let refusal = if self.meeting.status != Status::InProgress {
            Some(Refusal::NotInProgress)
        } else if platform == Platform::Webex {
            Some(Refusal::NoChat)
        } else if text.chars().count() > chat_limit(platform) {
            Some(Refusal::ChatTooLong)
        } else if self.meeting.effects.len() >= limits::MAX_OUTSTANDING {
            Some(Refusal::QueueFull)
        } else {
            None
        };
        match (refusal, self.meeting.bot_id().cloned()) {
            (None, Some(bot_id)) => {
                self.order(Effect::SendChat { bot_id, text });
            }
            (refusal, _) => self.step.refusal = refusal.or(Some(Refusal::NotInProgress)),
        }
    }

    /// Takes back an utterance that was to be written, as the room has heard it after all.
    pub(super) fn take_from_chat(
        &mut self,
        wanted: impl Fn(&Utterance) -> bool,
    ) -> Option<Utterance> {
        let is_written =
            |u: &Utterance| matches!(u.progress, SpeechStage::Mute | SpeechStage::Chatting { .. });
        let mut speech = self.meeting.speech.iter();
        let index = speech.position(|u| is_written(u) && wanted(u))?;
        let utterance = self.meeting.speech.remove(index)?;
        if let SpeechStage::Chatting { effect } = utterance.progress {
            self.forget(effect);
        }
        Some(utterance)
    }

    /// A chat message was accepted: if it stood in for an utterance, that one is through.
    pub(super) fn chat_sent(&mut self, id: EffectId) {
        let Some(index) = self.position(id) else {
            return;
        };
        if let Some(utterance) = self.meeting.speech.remove(index) {
            if utterance.purpose == Purpose::Greeting {
                self.greeted(Via::Chat);
            }
            self.finish(&utterance, UtteranceState::Spoken, Some(Via::Chat), None);
        }
    }

    /// Chat failed too: there is nothing left to fall back to.
    pub(super) fn chat_failed(&mut self, id: EffectId, error: &CallError) {
        let Some(index) = self.position(id) else {
            return;
        };
        if let Some(utterance) = self.meeting.speech.remove(index) {
            if utterance.purpose == Purpose::Greeting {
                self.meeting.greeting.state = GreetingState::Failed;
                self.meeting.greeting.reason = Some(error.reason.clone());
                self.warn(
                    WarningCode::GreetingFailed,
                    "the room was greeted neither in speech nor in chat",
                );
            }
            self.finish(&utterance, UtteranceState::Failed, None, Some(0));
        }
    }

    /// The call is over: nothing is said any more, and a greeting that is still owed says why.
    pub(super) fn close_speech(&mut self) {
        let entered = self
            .meeting
            .bot
            .as_ref()
            .is_some_and(|bot| bot.entered_at.is_some());
        while let Some(utterance) = self.meeting.speech.pop_front() {
            let begun = matches!(
                utterance.progress,
                SpeechStage::Playing { .. }
                    | SpeechStage::OnPage { since: Some(_), .. }
                    | SpeechStage::OnAvatar { since: Some(_), .. }
            ) || utterance.from_ms > 0;
            let state = if begun {
                UtteranceState::Interrupted
            } else {
                UtteranceState::Failed
            };
            let heard = self.heard_of(&utterance);
            self.drop_utterance(&utterance, state, heard);
        }
        self.meeting.stopping = None;
        if self.meeting.owes_greeting() {
            let (state, reason) = if entered {
                (
                    GreetingState::Failed,
                    "the call was over before the greeting",
                )
            } else {
                (GreetingState::Skipped, "the bot was never in the call")
            };
            self.meeting.greeting.state = state;
            // Without a reason so far there was no warning either.
            if entered && self.meeting.greeting.reason.is_none() {
                self.warn(WarningCode::GreetingFailed, reason);
            }
            self.meeting
                .greeting
                .reason
                .get_or_insert(reason.to_owned());
        }
    }
}

impl Meeting {
    /// In which form utterances are made: an avatar that is given sound takes one form, which the page takes as well.
    pub(super) fn speech_format(&self) -> SpeechFormat {
        match self.booking.avatar_provider {
            Some(AvatarProvider::LiveAvatar) => SpeechFormat::Pcm24000,
            Some(AvatarProvider::HeyGen) | None => SpeechFormat::Mp3,
        }
    }

    /// When the queue needs looking after.
    pub(super) fn speech_deadline(&self) -> Option<Timestamp> {
        let due = [self.greeting_deadline(), self.text_heard_at()];
        let mut due = due.into_iter().flatten().min();
        if let SpeechStage::Playing { until, .. }
        | SpeechStage::OnPage { until, .. }
        | SpeechStage::OnAvatar { until, .. }
        | SpeechStage::InDoubt { until, .. } = self.speech.front()?.progress
        {
            due = Some(due.map_or(until, |at| at.min(until)));
        }
        due
    }

    /// When chat takes over from a greeting that is not being heard.
    fn greeting_deadline(&self) -> Option<Timestamp> {
        let greeting = self
            .speech
            .iter()
            .find(|u| u.purpose == Purpose::Greeting)?;
        // Once Recall was told to play it, only its answer tells whether the room heard it.
        let speech_may_come = matches!(
            greeting.progress,
            SpeechStage::Text | SpeechStage::Synthesizing { .. } | SpeechStage::Ready { .. }
        );
        let entered = self.bot.as_ref()?.entered_at?;
        // The rest of one that was cut off waits for its voice, not for the chat.
        let is_awaited = speech_may_come && self.owes_greeting() && self.is_in_call();
        is_awaited.then(|| after(entered, limits::GREETING_PATIENCE))
    }
}

impl UtteranceState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Speaking => "being spoken",
            Self::Spoken => "through",
            Self::Interrupted => "cut off",
            Self::Failed => "lost",
        }
    }
}

fn via_of(utterance: &Utterance) -> Option<Via> {
    match utterance.progress {
        SpeechStage::Starting { .. }
        | SpeechStage::Halting { .. }
        | SpeechStage::Playing { .. } => Some(Via::OutputAudio),
        SpeechStage::OnPage { .. } => Some(Via::Page),
        SpeechStage::OnAvatar { .. } | SpeechStage::InDoubt { .. } => Some(Via::Avatar),
        SpeechStage::Chatting { .. } => Some(Via::Chat),
        SpeechStage::Text
        | SpeechStage::Synthesizing { .. }
        | SpeechStage::Ready { .. }
        | SpeechStage::Mute => None,
    }
}

/// How many characters a chat message may have (<https://docs.recall.ai/docs/chat-messages>).
fn chat_limit(platform: Platform) -> usize {
    match platform {
        Platform::GoogleMeet => 500,
        Platform::Zoom | Platform::MicrosoftTeams | Platform::Webex => 4096,
    }
}

/// Shortens a text, which then says that it goes on.
pub(super) fn first_chars(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit - 1).collect();
    short.push('…');
    short
}
