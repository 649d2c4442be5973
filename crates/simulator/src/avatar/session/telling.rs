//! What a session tells its client, in the dialect it speaks.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Session;
use crate::avatar::state::AvatarNews;

impl Session {
    pub(super) fn tell_session_state(&mut self, state: &str) {
        let event_id = self.ids.uuid();
        self.wire
            .say(json!({ "type": "session.state_updated", "event_id": event_id, "state": state }));
    }

    /// The last words: the session is over and its socket with it.
    pub(super) fn tell_end(&mut self) {
        let states = self.terms.habits.dialect.states();
        self.tell_session_state(if states { "disconnected" } else { "closed" });
        self.close(1000, "");
    }

    /// Sound was taken in.
    pub(super) fn tell_appended(&mut self, utterance: usize, event_id: Option<&str>) {
        if self.terms.habits.dialect.states() {
            self.tell("agent.audio_buffer_appended", event_id, Some(utterance));
        }
    }

    pub(super) fn tell_committed(&mut self, utterance: usize, event_id: Option<&str>) {
        if self.terms.habits.dialect.states() {
            self.tell("agent.audio_buffer_committed", event_id, Some(utterance));
        }
    }

    pub(super) fn tell_begins(&mut self, utterance: usize) {
        self.tell_of_speech("agent.speak_started", utterance);
    }

    pub(super) fn tell_ends(&mut self, utterance: usize) {
        self.tell_of_speech("agent.speak_ended", utterance);
    }

    pub(super) fn tell_interrupted(&mut self, cut: &[usize], event_id: Option<&str>) {
        let dialect = self.terms.habits.dialect;
        if dialect.speaking()
            && let Some(first) = cut.first()
        {
            self.tell("agent.speak_interrupted", event_id, Some(*first));
        }
        if dialect.states() {
            self.tell("agent.audio_buffer_cleared", event_id, None);
        }
    }

    pub(super) fn tell_error(&mut self, kind: &str, message: &str, event_id: Option<&str>) {
        let own_id = self.ids.uuid();
        self.wire.say(json!({ "type": "error", "event_id": own_id,
            "error": { "type": kind, "message": message, "event_id": event_id } }));
    }

    /// Changes how the avatar looks, if that is a change.
    pub(super) fn show(&mut self, state: &'static str, source: Option<&str>, at: Timestamp) {
        if self.shown == state {
            return;
        }
        let before = std::mem::replace(&mut self.shown, state);
        self.note(at, AvatarNews::State(state));
        self.livekit.studio.look(&self.terms.id, state);
        if self.terms.habits.dialect.states() {
            let event_id = self.ids.uuid();
            self.wire
                .say(json!({ "type": "agent.state_updated", "event_id": event_id,
                "source_event_id": source, "previous_state": before, "new_state": state }));
        }
    }

    /// The older events name the command's own id.
    fn tell_of_speech(&mut self, kind: &str, utterance: usize) {
        if !self.terms.habits.dialect.speaking() {
            return;
        }
        let source = self.voice.utterances()[utterance].event_id.clone();
        let own_id = source.clone().unwrap_or_else(|| self.ids.uuid());
        self.wire.say(
            json!({ "type": kind, "event_id": own_id, "source_event_id": source,
            "task": self.task(utterance) }),
        );
    }

    fn tell(&mut self, kind: &str, source: Option<&str>, utterance: Option<usize>) {
        let mut message =
            json!({ "type": kind, "event_id": self.ids.uuid(), "source_event_id": source });
        if let Some(utterance) = utterance {
            message["task"] = self.task(utterance);
        }
        self.wire.say(message);
    }

    fn task(&self, utterance: usize) -> Value {
        let session = self.terms.id.get(..8).unwrap_or_default();
        json!({ "id": format!("{session}-{utterance}") })
    }
}
