//! The people in the call: who is there, what they say and write, and the real-time events that
//! tell of it while the recording runs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Services;
use super::bot::{Action, Bot, Line, Participant, Phase, Word};
use super::outbox::Lane;
use super::payloads::{self, reference};
use super::room;
use crate::audio::voices::SpokenLine;
use crate::journal::What;
use crate::script::{ArtifactKind, Person};

/// How late real-time transcripts are in the accurate mode: the low end of "3 to 10 minutes".
const SLOW_TRANSCRIPT: Duration = Duration::from_mins(3);
/// From the last word to `speech_off`.
const SPEECH_TAIL: Duration = Duration::from_millis(100);

impl Bot {
    pub(crate) fn joins(&mut self, person: Person, services: &mut Services) {
        let name = person.name.clone();
        if let Some(known) = self
            .participants
            .iter_mut()
            .find(|known| known.name == name)
        {
            known.present = true;
            known.muted = false;
        } else {
            let id = 100 * (self.participants.len() as u64 + 1);
            let Person { name, is_host } = person;
            self.participants.push(Participant {
                id,
                name,
                is_host,
                present: true,
                muted: false,
            });
        }
        self.timers.everyone_left = None;
        self.watch_for_bots(services.now);
        self.microphones_changed(services.now);
        self.participant_event(&name, "join", &Value::Null, services);
    }

    pub(crate) fn leaves(&mut self, name: &str, services: &mut Services) {
        self.break_off(name, services);
        self.participant_event(name, "leave", &Value::Null, services);
        for participant in self
            .participants
            .iter_mut()
            .filter(|known| known.name == name)
        {
            participant.present = false;
        }
        if self.present().next().is_none() {
            self.timers.everyone_left = Some(services.now);
        }
        self.microphones_changed(services.now);
        self.watch_for_bots(services.now);
    }

    /// Opens or closes somebody's microphone.
    pub(crate) fn mutes(&mut self, name: &str, muted: bool, services: &mut Services) {
        let known = self.participants.iter_mut().find(|p| p.name == name);
        let Some(known) = known.filter(|participant| participant.present) else {
            let note = format!("{name} is not in the call, so has no microphone");
            return services.note(What::Note(note));
        };
        known.muted = muted;
        if muted {
            self.break_off(name, services);
        }
        self.microphones_changed(services.now);
    }

    /// What somebody is saying is not said to its end.
    fn break_off(&mut self, name: &str, services: &mut Services) {
        if let Some(recording) = self.recordings.last_mut() {
            recording.room.cut(name, services.now);
        }
        let before = self.talk.len();
        self.talk
            .retain(|(_, action)| action.speaker() != Some(name));
        if self.talk.len() < before {
            services.note(What::Note(format!("{name} breaks off")));
            self.participant_event(name, "speech_off", &Value::Null, services);
        }
    }

    /// Spreads what is said over the time it takes, and says how long that is in meeting time.
    pub(crate) fn says(&mut self, name: &str, text: &str, services: &mut Services) -> Duration {
        let sound = services.voices.line(name, text);
        let total = room::lasts(sound.pcm.len());
        let takes = total + SPEECH_TAIL;
        if self.participant(name).is_none_or(|p| p.muted || !p.present) {
            let note = format!("nobody hears {name}, who is muted or not in the call");
            services.note(What::Note(note));
            return takes;
        }
        let begin = self.relative(services);
        let line = Line {
            words: timed_words(&sound, begin),
        };
        let first = |part: usize| Line {
            words: line.words[..part].to_vec(),
        };
        let count = line.words.len();
        let name = name.to_owned();
        let mut actions = vec![(Duration::ZERO, Action::SpeechOn { name: name.clone() })];
        for (part, at) in [(count / 3, total / 3), (count * 2 / 3, total * 2 / 3)] {
            if part > 0 {
                let (name, line) = (name.clone(), first(part));
                actions.push((at, Action::Partial { name, line }));
            }
        }
        actions.push((
            total,
            Action::Final {
                name: name.clone(),
                line,
            },
        ));
        actions.push((takes, Action::SpeechOff { name }));
        for (after, action) in actions {
            let due = services.now + after.div_f64(services.settings.time_scale);
            let place = self.talk.partition_point(|(other, _)| *other <= due);
            self.talk.insert(place, (due, action));
        }
        if let Some(recording) = self.recordings.last_mut() {
            recording.room.say(sound, services.now);
        }
        takes
    }

    pub(crate) fn spoken(&mut self, name: &str, line: Line, services: &mut Services) {
        self.timers.silent = Some(services.now);
        let said = What::Said {
            bot_id: self.id.clone(),
            name: name.to_owned(),
            text: line.text(),
        };
        services.note(said);
        self.transcript("transcript.data", name, &line, services);
        let speaker = self.participant(name).map(|speaker| speaker.id);
        let recording = self
            .is_recording()
            .then(|| self.recordings.last_mut())
            .flatten();
        if let (Some(speaker), Some(recording)) = (speaker, recording) {
            recording.lines.push((speaker, line));
        }
    }

    pub(crate) fn chats(&mut self, name: &str, text: &str, services: &mut Services) {
        services.note(What::Said {
            bot_id: self.id.clone(),
            name: format!("{name} (chat)"),
            text: text.to_owned(),
        });
        let message = json!({ "text": text, "to": "everyone" });
        self.participant_event(name, "chat_message", &message, services);
    }

    /// The bot's own chat message comes back like anybody's, with nothing that marks it.
    pub(crate) fn own_chat(&mut self, text: &str, to: &str, services: &mut Services) {
        let name = self.request.bot_name.clone();
        let own = Participant {
            id: 1,
            name,
            is_host: false,
            present: true,
            muted: false,
        };
        self.event_of(
            &own,
            "chat_message",
            &json!({ "text": text, "to": to }),
            services,
        );
    }

    pub(crate) fn participant_event(
        &mut self,
        name: &str,
        action: &str,
        inner: &Value,
        services: &mut Services,
    ) {
        if let Some(participant) = self.participant(name).cloned() {
            self.event_of(&participant, action, inner, services);
        } else {
            services.note(What::Note(format!(
                "{name} is not in the call, so no {action}"
            )));
        }
    }

    fn event_of(
        &mut self,
        participant: &Participant,
        action: &str,
        inner: &Value,
        services: &mut Services,
    ) {
        let event = json!({
            "action": action,
            "participant": participant.view(),
            "timestamp": payloads::moment(self.relative(services), services.now),
            "data": inner,
        });
        if self.is_recording()
            && let Some(recording) = self.recordings.last_mut()
        {
            let mut logged = event.clone();
            logged["id"] = json!(recording.events.len() + 1);
            recording.events.push(logged);
        }
        let artifact = self.artifact_reference(ArtifactKind::ParticipantEvents);
        let data = json!({ "data": event, "participant_events": artifact });
        let name = format!("participant_events.{action}");
        self.realtime(&name, &data, Duration::ZERO, services);
    }

    pub(crate) fn transcript(
        &mut self,
        event: &str,
        name: &str,
        line: &Line,
        services: &mut Services,
    ) {
        let Some(config) = &self.request.recording.transcript else {
            return;
        };
        let slow = if config.slow {
            SLOW_TRANSCRIPT
        } else {
            Duration::ZERO
        };
        let late = slow.div_f64(services.settings.time_scale);
        let Some(participant) = self.participant(name) else {
            return;
        };
        let words: Vec<Value> = line.words.iter().map(Word::view).collect();
        let data = json!({
            "data": { "words": words, "language_code": "en", "participant": participant.view() },
            "transcript": self.artifact_reference(ArtifactKind::Transcript),
        });
        self.realtime(event, &data, late, services);
    }

    /// Queues a real-time event for every endpoint that asked for it. They flow only while recording.
    fn realtime(&self, event: &str, about: &Value, lateness: Duration, services: &mut Services) {
        if !self.is_recording() {
            return;
        }
        let delivery = &self.script.delivery;
        let listening = self
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.wants(event));
        for endpoint in listening {
            let mut body = about.clone();
            body["realtime_endpoint"] = reference(&endpoint.id, &endpoint.metadata);
            body["recording"] = self.recording_reference();
            body["bot"] = self.reference();
            let lane = Lane::Realtime {
                endpoint_id: endpoint.id.clone(),
                url: endpoint.url.clone(),
            };
            let message = self.message(event, &body, lane, services);
            let due = services.now + lateness + delivery.delay;
            services.send(message, delivery.duplicate, due);
        }
    }

    fn participant(&self, name: &str) -> Option<&Participant> {
        self.participants.iter().find(|known| known.name == name)
    }

    fn artifact_reference(&self, kind: ArtifactKind) -> Value {
        let recording = self.recordings.last();
        let artifact = recording.and_then(|recording| recording.artifacts.get(&kind));
        artifact.map_or(Value::Null, |artifact| {
            reference(&artifact.id, &artifact.metadata)
        })
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.phase == Phase::InCall { recording: true }
    }

    /// Seconds of meeting time since the recording began.
    fn relative(&self, services: &Services) -> f64 {
        self.recordings.last().map_or(0.0, |recording| {
            let real = services.now.duration_since(recording.started_at);
            real.as_secs_f64() * services.settings.time_scale
        })
    }

    fn watch_for_bots(&mut self, now: Timestamp) {
        let Some((_, names)) = &self.request.leave.only_bots else {
            return;
        };
        let is_bot = |participant: &Participant| {
            let name = participant.name.to_lowercase();
            names.iter().any(|part| name.contains(&part.to_lowercase()))
        };
        let only_bots = self.present().next().is_some() && self.present().all(is_bot);
        self.timers.only_bots = only_bots.then(|| self.timers.only_bots.unwrap_or(now));
    }
}

impl Action {
    /// Who is speaking, if this is a part of that.
    fn speaker(&self) -> Option<&str> {
        match self {
            Self::SpeechOn { name }
            | Self::Partial { name, .. }
            | Self::Final { name, .. }
            | Self::SpeechOff { name } => Some(name),
            Self::Event(_) | Self::Pause => None,
        }
    }
}

impl Participant {
    pub(crate) fn view(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "is_host": self.is_host, "platform": "desktop",
            "extra_data": null, "email": null })
    }
}

impl Word {
    /// Real-time words carry no time of day.
    fn view(&self) -> Value {
        json!({ "text": self.text,
            "start_timestamp": { "relative": payloads::rounded(self.start) },
            "end_timestamp": { "relative": payloads::rounded(self.end) } })
    }
}

fn timed_words(sound: &SpokenLine, begin: f64) -> Vec<Word> {
    let at = |place: usize| begin + room::lasts(place).as_secs_f64();
    let words = sound.words.iter();
    words
        .map(|word| Word {
            text: word.text.clone(),
            start: at(word.begin),
            end: at(word.end),
        })
        .collect()
}
