//! How a bot lives: the steps of its script, one after the other, and what each does to it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::bot::{Action, Artifact, Bot, Phase, Recording, Status, Timers};
use super::ears::Close;
use super::payloads::reference;
use super::recording_config::Retention;
use super::room::Room;
use super::{Heard, Services};
use crate::script::{ArtifactKind, Code, Event, Step};

/// How long a bot takes to leave when told to.
const LEAVING: Duration = Duration::from_millis(300);

impl Bot {
    /// When something happens next by itself.
    pub(crate) fn next_due(&self, scale: f64) -> Option<Timestamp> {
        let step = self.holding_until.or_else(|| {
            let (after, _) = self.queue.front()?;
            Some(self.last_step_at + after.div_f64(scale))
        });
        step.into_iter()
            .chain(self.talk.front().map(|(due, _)| *due))
            .chain(self.held_back.as_ref().map(|held| held.until))
            .chain(self.runs_out(scale).map(|(due, _)| due))
            .min()
    }

    /// Does the one thing that is due now.
    pub(crate) fn step(&mut self, services: &mut Services) {
        let now = services.now;
        let timeout = self.runs_out(services.settings.time_scale);
        if let Some((_, sub_code)) = timeout.filter(|(due, _)| *due <= now) {
            self.call_ended(sub_code, services);
        } else if self
            .held_back
            .as_ref()
            .is_some_and(|held| held.until <= now)
        {
            self.stop_holding_back(services);
        } else if let Some((_, action)) = self.talk.pop_front_if(|(due, _)| *due <= now) {
            self.perform(action, services);
        } else if self.holding_until.is_some_and(|until| until <= now) {
            self.holding_until = None;
            self.last_step_at = now;
        } else if let Some((_, action)) = self.queue.pop_front() {
            self.last_step_at = now;
            self.perform(action, services);
        }
    }

    fn perform(&mut self, action: Action, services: &mut Services) {
        match action {
            Action::Event(Event::Says { name, text }) => {
                let takes = self.says(&name, &text, services);
                self.queue.push_front((takes, Action::Pause));
            }
            Action::Event(event) => self.happen(event, services),
            Action::Pause => {}
            Action::SpeechOn { name } => {
                self.participant_event(&name, "speech_on", &Value::Null, services);
            }
            Action::SpeechOff { name } => {
                self.participant_event(&name, "speech_off", &Value::Null, services);
            }
            Action::Partial { name, line } => {
                self.transcript("transcript.partial_data", &name, &line, services);
            }
            Action::Final { name, line } => self.spoken(&name, line, services),
        }
    }

    /// Makes an event happen now, whatever the script says.
    pub(crate) fn happen(&mut self, event: Event, services: &mut Services) {
        let now = services.now;
        match event {
            Event::JoiningCall => self.enter(Phase::Joining, "joining_call", services),
            Event::InWaitingRoom => {
                self.timers.in_waiting_room = Some(now);
                self.enter(Phase::WaitingRoom, "in_waiting_room", services);
            }
            Event::InCallNotRecording => self.in_call_not_recording(services),
            Event::RecordingPermissionAllowed => {
                self.timers.permission_denied = None;
                self.status_change("recording_permission_allowed", None, services);
            }
            Event::RecordingPermissionDenied(sub_code) => {
                self.timers.permission_denied = Some(now);
                self.status_change("recording_permission_denied", Some(&sub_code), services);
            }
            Event::InCallRecording => self.in_call_recording(services),
            Event::Joins(person) => self.joins(person, services),
            Event::Leaves(name) => self.leaves(&name, services),
            Event::Says { name, text } | Event::TalksOver { name, text } => {
                self.says(&name, &text, services);
            }
            Event::Mutes(name) => self.mutes(&name, true, services),
            Event::Unmutes(name) => self.mutes(&name, false, services),
            Event::Chats { name, text } => self.chats(&name, &text, services),
            Event::WaitUntilHeard { at_most } => {
                self.hold(now, at_most.div_f64(services.settings.time_scale));
            }
            Event::CallEnded(sub_code) => self.call_ended(&sub_code, services),
            Event::Done => {
                self.phase = Phase::Over;
                self.end_listening(Close::Properly(now), services);
                self.status_change("done", None, services);
            }
            Event::Fatal(sub_code) => {
                self.over(now);
                self.end_listening(Close::Broken, services);
                self.status_change("fatal", Some(&sub_code), services);
                let after_fatal = self.script.after_fatal.clone();
                self.continue_with(&after_fatal, now);
            }
            Event::Recording(code) => self.recording_status(&code, services),
            Event::Artifact(kind, code) => self.artifact_status(kind, &code, services),
            Event::OtherStatus { code, sub_code } => {
                self.status_change(&code, sub_code.as_deref(), services);
            }
        }
    }

    fn enter(&mut self, phase: Phase, code: &str, services: &mut Services) {
        self.phase = phase;
        self.status_change(code, None, services);
    }

    fn in_call_not_recording(&mut self, services: &mut Services) {
        self.timers.not_recording = Some(services.now);
        self.timers.recording = None;
        self.enter(
            Phase::InCall { recording: false },
            "in_call_not_recording",
            services,
        );
        self.microphones_changed(services.now);
        self.joined(services);
    }

    fn in_call_recording(&mut self, services: &mut Services) {
        self.timers.not_recording = None;
        self.timers.recording = Some(services.now);
        self.timers.silent = Some(services.now);
        let first = self.recordings.is_empty();
        if first {
            self.begin_recording(services);
        }
        self.enter(
            Phase::InCall { recording: true },
            "in_call_recording",
            services,
        );
        self.microphones_changed(services.now);
        self.joined(services);
        if first {
            self.recording_event("processing", None, services);
            self.begin_listening(services);
            self.play_automatic_audio(services);
        }
    }

    /// The first time the bot is in the call.
    fn joined(&mut self, services: &mut Services) {
        self.timers.in_waiting_room = None;
        if self.timers.in_call.is_none() {
            self.timers.in_call = Some(services.now);
            self.send_automatic_chat(services);
        }
    }

    fn begin_recording(&mut self, services: &mut Services) {
        let now = services.now;
        let config = &self.request.recording;
        let mut artifact = |metadata: &serde_json::Map<String, Value>| Artifact {
            id: services.ids.uuid(),
            created_at: now,
            status: Status::new(&Code::Processing, now),
            metadata: metadata.clone(),
            provider: None,
            diarization: None,
        };
        let mut artifacts = BTreeMap::new();
        if config.retention != Retention::None {
            for (kind, metadata) in &config.artifacts {
                artifacts.insert(*kind, artifact(metadata));
            }
        }
        if let Some(transcript) = &config.transcript {
            let transcript = Artifact {
                provider: Some(transcript.provider.clone()),
                diarization: Some(transcript.diarization.clone()),
                ..artifact(&transcript.metadata)
            };
            artifacts.insert(ArtifactKind::Transcript, transcript);
        }
        self.recordings.push(Recording {
            id: services.ids.uuid(),
            started_at: now,
            completed_at: None,
            status: Status::new(&Code::Processing, now),
            artifacts,
            extra_transcripts: Vec::new(),
            lines: Vec::new(),
            events: Vec::new(),
            room: Room::new(now, services.settings.time_scale),
        });
    }

    fn hold(&mut self, now: Timestamp, at_most: Duration) {
        let heard = self.heard.iter().filter(|heard| !heard.automatic());
        let heard_until = heard.map(Heard::ends_at).max();
        self.holding_until = Some(heard_until.map_or(now + at_most, |until| until.max(now)));
    }

    /// The script may go on once what was just heard is over.
    pub(crate) fn heard_until(&mut self, end: Timestamp) {
        if self.holding_until.is_some() {
            self.holding_until = Some(end);
        }
    }

    /// Accepts `leave_call`: the bot is gone a moment later.
    pub(crate) fn leave(&mut self, now: Timestamp) {
        self.phase = Phase::Leaving;
        self.microphones_changed(now);
        let event = Event::CallEnded("bot_received_leave_call".to_owned());
        self.continue_with(
            &[Step {
                after: LEAVING,
                event,
            }],
            now,
        );
    }

    fn call_ended(&mut self, sub_code: &str, services: &mut Services) {
        self.over(services.now);
        self.hang_up(services);
        self.status_change("call_ended", Some(sub_code), services);
        let ending = self.script.ending.clone();
        self.continue_with(&ending, services.now);
    }

    /// Nothing of the call goes on: not the sound, not the timers, not the recording.
    fn over(&mut self, now: Timestamp) {
        self.phase = Phase::Over;
        self.timers = Timers::default();
        self.talk.clear();
        self.microphones_changed(now);
        self.stop_audio(now);
        if let Some(recording) = self.recordings.last_mut() {
            recording.completed_at.get_or_insert(now);
        }
    }

    fn recording_status(&mut self, code: &Code, services: &mut Services) {
        let Some(recording) = self.recordings.last_mut() else {
            return;
        };
        recording.status = Status::new(code, services.now);
        self.recording_event(code.name(), code.sub_code(), services);
    }

    pub(crate) fn artifact_status(
        &mut self,
        kind: ArtifactKind,
        code: &Code,
        services: &mut Services,
    ) {
        let recording = self.recordings.last_mut();
        let artifact = recording.and_then(|recording| recording.artifacts.get_mut(&kind));
        let Some(artifact) = artifact else { return };
        artifact.status = Status::new(code, services.now);
        let artifact = reference(&artifact.id, &artifact.metadata);
        self.artifact_event(kind, &artifact, code, services);
    }
}
