//! How a bot lives: the script's steps, the timers after which it leaves, and the webhooks that
//! tell of both.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Services;
use super::bot::{
    Action, Artifact, Bot, Line, Participant, Phase, Recording, Status, StatusChange, Word,
};
use super::create::Delayed;
use super::outbox::{Lane, Message};
use super::payloads::{self, reference};
use super::recording_config::Retention;
use crate::audio::speech::CHARS_PER_SECOND;
use crate::journal::What;
use crate::script::{ArtifactKind, Code, Event, Person};
use crate::signing::HeaderFamily;

/// How late real-time transcripts are in the accurate mode: the low end of "3 to 10 minutes".
const SLOW_TRANSCRIPT: Duration = Duration::from_secs(180);
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
            .chain(self.timeout(scale).map(|(due, _)| due))
            .min()
    }

    /// Does what is due at `at`, and nothing else.
    pub(crate) fn step(&mut self, at: Timestamp, services: &mut Services) {
        let scale = services.settings.time_scale;
        if let Some((_, sub_code)) = self.timeout(scale).filter(|(due, _)| *due <= at) {
            self.call_ended(sub_code, at, services);
            return;
        }
        if self.holding_until.is_some_and(|until| until <= at) {
            self.holding_until = None;
            self.last_step_at = at;
            return;
        }
        if let Some((_, action)) = self.queue.pop_front() {
            self.last_step_at = at;
            self.perform(action, at, services);
        }
    }

    /// Makes an event happen now, whatever the script says.
    pub(crate) fn perform_event(&mut self, event: Event, at: Timestamp, services: &mut Services) {
        self.perform(Action::Event(event), at, services);
    }

    fn perform(&mut self, action: Action, at: Timestamp, services: &mut Services) {
        let event = match action {
            Action::Event(event) => event,
            Action::SpeechOn { name } => {
                return self.participant_event(&name, "speech_on", &Value::Null, at, services);
            }
            Action::SpeechOff { name } => {
                return self.participant_event(&name, "speech_off", &Value::Null, at, services);
            }
            Action::Partial { name, line } => {
                return self.transcript("transcript.partial_data", &name, &line, at, services);
            }
            Action::Final { name, line } => return self.spoken(&name, line, at, services),
        };
        match event {
            Event::JoiningCall => self.enter(Phase::Joining, "joining_call", at, services),
            Event::InWaitingRoom => {
                self.timers.in_waiting_room = Some(at);
                self.enter(Phase::WaitingRoom, "in_waiting_room", at, services);
            }
            Event::InCallNotRecording => self.in_call_not_recording(at, services),
            Event::RecordingPermissionAllowed => {
                self.timers.permission_denied = None;
                self.status_change("recording_permission_allowed", None, at, services);
            }
            Event::RecordingPermissionDenied(sub_code) => {
                self.timers.permission_denied = Some(at);
                self.status_change("recording_permission_denied", Some(&sub_code), at, services);
            }
            Event::InCallRecording => self.in_call_recording(at, services),
            Event::Joins(person) => self.joins(person, at, services),
            Event::Leaves(name) => self.leaves(&name, at, services),
            Event::Says { name, text } => self.says(&name, &text, at, services.settings.time_scale),
            Event::Chats { name, text } => self.chats(&name, &text, at, services),
            Event::WaitUntilHeard { at_most } => {
                self.hold(at, at_most.div_f64(services.settings.time_scale))
            }
            Event::CallEnded(sub_code) => self.call_ended(&sub_code, at, services),
            Event::Done => {
                self.phase = Phase::Over;
                self.status_change("done", None, at, services);
            }
            Event::Fatal(sub_code) => {
                self.over(at);
                self.status_change("fatal", Some(&sub_code), at, services);
                let after_fatal = self.script.after_fatal.clone();
                self.continue_with(&after_fatal, at);
            }
            Event::Recording(code) => self.recording_status(&code, at, services),
            Event::Artifact(kind, code) => self.artifact_status(kind, &code, at, services),
            Event::OtherStatus { code, sub_code } => {
                self.status_change(&code, sub_code.as_deref(), at, services);
            }
        }
    }

    fn enter(&mut self, phase: Phase, code: &str, at: Timestamp, services: &mut Services) {
        self.phase = phase;
        self.status_change(code, None, at, services);
    }

    fn in_call_not_recording(&mut self, at: Timestamp, services: &mut Services) {
        self.joined(at, services);
        self.timers.not_recording = Some(at);
        self.timers.recording = None;
        self.enter(
            Phase::InCall { recording: false },
            "in_call_not_recording",
            at,
            services,
        );
    }

    fn in_call_recording(&mut self, at: Timestamp, services: &mut Services) {
        self.joined(at, services);
        self.timers.not_recording = None;
        self.timers.recording = Some(at);
        self.timers.silent = Some(at);
        let first = self.recordings.is_empty();
        if first {
            self.begin_recording(at, services);
        }
        self.enter(
            Phase::InCall { recording: true },
            "in_call_recording",
            at,
            services,
        );
        if first {
            self.recording_event("processing", None, at, services);
            self.play_automatic_audio(at, services);
        }
    }

    /// The first time the bot is in the call.
    fn joined(&mut self, at: Timestamp, services: &mut Services) {
        self.timers.in_waiting_room = None;
        if self.timers.in_call.is_none() {
            self.timers.in_call = Some(at);
            self.send_automatic_chat(at, services);
        }
    }

    fn begin_recording(&mut self, at: Timestamp, services: &mut Services) {
        let config = &self.request.recording;
        let processing = || Status {
            code: "processing",
            sub_code: None,
            at,
        };
        let mut artifacts = std::collections::BTreeMap::new();
        if config.retention != Retention::None {
            for (kind, metadata) in &config.artifacts {
                let artifact = Artifact {
                    id: services.ids.uuid(),
                    created_at: at,
                    status: processing(),
                    metadata: metadata.clone(),
                    provider: None,
                    diarization: None,
                };
                artifacts.insert(*kind, artifact);
            }
        }
        if let Some(transcript) = &config.transcript {
            let artifact = Artifact {
                id: services.ids.uuid(),
                created_at: at,
                status: processing(),
                metadata: transcript.metadata.clone(),
                provider: Some(transcript.provider.clone()),
                diarization: Some(transcript.diarization.clone()),
            };
            artifacts.insert(ArtifactKind::Transcript, artifact);
        }
        self.recordings.push(Recording {
            id: services.ids.uuid(),
            started_at: at,
            completed_at: None,
            status: processing(),
            artifacts,
            extra_transcripts: Vec::new(),
            lines: Vec::new(),
            events: Vec::new(),
        });
    }

    fn joins(&mut self, person: Person, at: Timestamp, services: &mut Services) {
        let name = person.name.clone();
        match self
            .participants
            .iter_mut()
            .find(|known| known.name == name)
        {
            Some(known) => known.present = true,
            None => {
                let id = self.next_participant_id();
                let Person { name, is_host } = person;
                self.participants.push(Participant {
                    id,
                    name,
                    is_host,
                    present: true,
                });
            }
        }
        self.timers.everyone_left = None;
        self.watch_for_bots(at);
        self.participant_event(&name, "join", &Value::Null, at, services);
    }

    fn next_participant_id(&self) -> u64 {
        100 * (self.participants.len() as u64 + 1)
    }

    fn leaves(&mut self, name: &str, at: Timestamp, services: &mut Services) {
        self.participant_event(name, "leave", &Value::Null, at, services);
        for participant in self
            .participants
            .iter_mut()
            .filter(|known| known.name == name)
        {
            participant.present = false;
        }
        if self.present().next().is_none() {
            self.timers.everyone_left = Some(at);
        }
        self.watch_for_bots(at);
    }

    fn watch_for_bots(&mut self, at: Timestamp) {
        let Some((_, names)) = &self.request.leave.only_bots else {
            return;
        };
        let is_bot = |participant: &Participant| {
            let name = participant.name.to_lowercase();
            names.iter().any(|part| name.contains(&part.to_lowercase()))
        };
        let only_bots = self.present().next().is_some() && self.present().all(is_bot);
        self.timers.only_bots = only_bots.then(|| self.timers.only_bots.unwrap_or(at));
    }

    /// Spreads what is said over the time it takes.
    fn says(&mut self, name: &str, text: &str, at: Timestamp, scale: f64) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let seconds =
            |chars: usize| Duration::from_millis((chars * 1000 / CHARS_PER_SECOND) as u64);
        let total = seconds(text.chars().count());
        let begin = self.relative(at, scale);
        let mut start = begin;
        let timed: Vec<Word> = words
            .iter()
            .map(|word| {
                let end = start + seconds(word.chars().count() + 1).as_secs_f64();
                let timed = Word {
                    text: (*word).to_owned(),
                    start,
                    end,
                };
                start = end;
                timed
            })
            .collect();
        let name = name.to_owned();
        let mut actions = vec![(Duration::ZERO, Action::SpeechOn { name: name.clone() })];
        for part in 1..=2 {
            let count = words.len() * part / 3;
            if count > 0 {
                let line = Line {
                    words: timed[..count].to_vec(),
                };
                actions.push((
                    total / 3,
                    Action::Partial {
                        name: name.clone(),
                        line,
                    },
                ));
            }
        }
        let spent: Duration = actions.iter().map(|(after, _)| *after).sum();
        let rest = total.saturating_sub(spent);
        actions.push((
            rest,
            Action::Final {
                name: name.clone(),
                line: Line { words: timed },
            },
        ));
        actions.push((Duration::from_millis(100), Action::SpeechOff { name }));
        for action in actions.into_iter().rev() {
            self.queue.push_front(action);
        }
    }

    fn spoken(&mut self, name: &str, line: Line, at: Timestamp, services: &mut Services) {
        self.timers.silent = Some(at);
        services.note(
            at,
            What::Said {
                bot_id: self.id.clone(),
                name: name.to_owned(),
                text: line.text(),
            },
        );
        self.transcript("transcript.data", name, &line, at, services);
        let speaker = self
            .participants
            .iter()
            .find(|known| known.name == name)
            .map(|known| known.id);
        if let (Some(speaker), true, Some(recording)) =
            (speaker, self.is_recording(), self.recordings.last_mut())
        {
            recording.lines.push((speaker, line));
        }
    }

    fn chats(&mut self, name: &str, text: &str, at: Timestamp, services: &mut Services) {
        services.note(
            at,
            What::Said {
                bot_id: self.id.clone(),
                name: format!("{name} (chat)"),
                text: text.to_owned(),
            },
        );
        self.participant_event(
            name,
            "chat_message",
            &json!({ "text": text, "to": "everyone" }),
            at,
            services,
        );
    }

    /// The bot's own chat message comes back like anybody's, with nothing that marks it.
    pub(crate) fn own_chat(
        &mut self,
        text: &str,
        to: &str,
        at: Timestamp,
        services: &mut Services,
    ) {
        let own = Participant {
            id: 1,
            name: self.request.bot_name.clone(),
            is_host: false,
            present: true,
        };
        self.event_of(
            &own,
            "chat_message",
            &json!({ "text": text, "to": to }),
            at,
            services,
        );
    }

    fn hold(&mut self, at: Timestamp, at_most: Duration) {
        let heard_until = self
            .heard
            .iter()
            .filter(|heard| !heard.automatic())
            .map(super::Heard::ends_at)
            .max();
        self.holding_until = Some(heard_until.map_or(at + at_most, |until| until.max(at)));
    }

    /// The script may go on once what was just heard is over.
    pub(crate) fn heard_until(&mut self, end: Timestamp) {
        if self.holding_until.is_some() {
            self.holding_until = Some(end);
        }
    }

    /// Accepts `leave_call`: the bot is gone a moment later.
    pub(crate) fn leave(&mut self, at: Timestamp) {
        self.phase = Phase::Leaving;
        let step = crate::script::Step {
            after: LEAVING,
            event: Event::CallEnded("bot_received_leave_call".to_owned()),
        };
        self.continue_with(&[step], at);
    }

    fn call_ended(&mut self, sub_code: &str, at: Timestamp, services: &mut Services) {
        self.over(at);
        self.status_change("call_ended", Some(sub_code), at, services);
        let ending = self.script.ending.clone();
        self.continue_with(&ending, at);
    }

    /// Nothing of the call goes on: not the sound, not the timers, not the recording.
    fn over(&mut self, at: Timestamp) {
        self.phase = Phase::Over;
        self.timers = super::bot::Timers::default();
        self.stop_audio(at);
        if let Some(recording) = self.recordings.last_mut() {
            recording.completed_at.get_or_insert(at);
        }
    }

    fn recording_status(&mut self, code: &Code, at: Timestamp, services: &mut Services) {
        let Some(recording) = self.recordings.last_mut() else {
            return;
        };
        let sub_code = code.sub_code().map(str::to_owned);
        recording.status = Status {
            code: code.name(),
            sub_code: sub_code.clone(),
            at,
        };
        self.recording_event(code.name(), sub_code.as_deref(), at, services);
    }

    pub(crate) fn artifact_status(
        &mut self,
        kind: ArtifactKind,
        code: &Code,
        at: Timestamp,
        services: &mut Services,
    ) {
        let Some(artifact) = self
            .recordings
            .last_mut()
            .and_then(|recording| recording.artifacts.get_mut(&kind))
        else {
            return;
        };
        let sub_code = code.sub_code().map(str::to_owned);
        artifact.status = Status {
            code: code.name(),
            sub_code: sub_code.clone(),
            at,
        };
        let artifact = reference(&artifact.id, &artifact.metadata);
        self.artifact_event(
            kind,
            &artifact,
            code.name(),
            sub_code.as_deref(),
            at,
            services,
        );
    }

    pub(crate) fn artifact_event(
        &mut self,
        kind: ArtifactKind,
        artifact: &Value,
        code: &str,
        sub_code: Option<&str>,
        at: Timestamp,
        services: &mut Services,
    ) {
        let mut data = json!({
            "data": payloads::status(code, sub_code, at),
            "recording": self.recording_reference(),
            "bot": self.reference(),
        });
        data[kind.name()] = artifact.clone();
        self.workspace(&format!("{}.{code}", kind.name()), &data, at, services);
    }

    pub(crate) fn recording_event(
        &mut self,
        code: &str,
        sub_code: Option<&str>,
        at: Timestamp,
        services: &mut Services,
    ) {
        let data = json!({
            "data": payloads::status(code, sub_code, at),
            "recording": self.recording_reference(),
            "bot": self.reference(),
        });
        self.workspace(&format!("recording.{code}"), &data, at, services);
    }

    fn status_change(
        &mut self,
        code: &str,
        sub_code: Option<&str>,
        at: Timestamp,
        services: &mut Services,
    ) {
        self.status_changes.push(StatusChange {
            code: code.to_owned(),
            sub_code: sub_code.map(str::to_owned),
            at,
        });
        services.note(
            at,
            What::Status {
                bot_id: self.id.clone(),
                meeting_url: self.request.meeting_url.raw.clone(),
                code: code.to_owned(),
                sub_code: sub_code.map(str::to_owned),
            },
        );
        if self.script.delivery.legacy_status {
            let recording = self
                .recordings
                .last()
                .map(|recording| recording.id.as_str());
            let data = payloads::legacy_status(&self.id, code, sub_code, recording, at);
            return self.workspace("bot.status_change", &data, at, services);
        }
        let data = json!({ "data": payloads::status(code, sub_code, at), "bot": self.reference() });
        self.workspace(&format!("bot.{code}"), &data, at, services);
    }

    /// Queues a workspace webhook, through whatever the script does to it on the way.
    fn workspace(&mut self, event: &str, data: &Value, at: Timestamp, services: &mut Services) {
        let index = self.webhooks_sent;
        self.webhooks_sent += 1;
        let delivery = &self.script.delivery;
        if delivery.drop.contains(&index) {
            services.note(
                at,
                What::Note(format!("webhook {event} is dropped by the script")),
            );
            return;
        }
        let late = delivery.reorder.map_or(Duration::ZERO, |reorder| {
            reorder
                .window
                .mul_f64(super::ids::fraction(reorder.seed, index as u64))
        });
        let message = self.message(event, data, Lane::Workspace, services);
        services.send(message, delivery.duplicate, at + delivery.delay + late);
    }

    fn message(&self, event: &str, data: &Value, lane: Lane, services: &mut Services) -> Message {
        let delivery = &self.script.delivery;
        let headers = if lane == Lane::Workspace {
            delivery.headers
        } else {
            HeaderFamily::Webhook
        };
        Message {
            id: services.ids.message(),
            event: event.to_owned(),
            bot_id: Some(self.id.clone()),
            body: json!({ "event": event, "data": data }).to_string().into(),
            headers,
            rotated_secret: delivery.rotated_secret.clone(),
            lane,
        }
    }

    fn participant_event(
        &mut self,
        name: &str,
        action: &str,
        inner: &Value,
        at: Timestamp,
        services: &mut Services,
    ) {
        let Some(participant) = self
            .participants
            .iter()
            .find(|known| known.name == name)
            .cloned()
        else {
            services.note(
                at,
                What::Note(format!("{name} is not in the call, so no {action}")),
            );
            return;
        };
        self.event_of(&participant, action, inner, at, services);
    }

    fn event_of(
        &mut self,
        participant: &Participant,
        action: &str,
        inner: &Value,
        at: Timestamp,
        services: &mut Services,
    ) {
        let moment = payloads::moment(self.relative(at, services.settings.time_scale), at);
        let event = json!({ "action": action, "participant": self.person(participant), "timestamp": moment, "data": inner });
        if let (true, Some(recording)) = (self.is_recording(), self.recordings.last_mut()) {
            let mut logged = event.clone();
            logged["id"] = json!(recording.events.len() + 1);
            recording.events.push(logged);
        }
        let artifact = self.artifact_reference(ArtifactKind::ParticipantEvents);
        let name = format!("participant_events.{action}");
        self.realtime(
            &name,
            &json!({ "data": event, "participant_events": artifact }),
            Duration::ZERO,
            at,
            services,
        );
    }

    fn transcript(
        &mut self,
        event: &str,
        name: &str,
        line: &Line,
        at: Timestamp,
        services: &mut Services,
    ) {
        let Some(config) = &self.request.recording.transcript else {
            return;
        };
        let scale = services.settings.time_scale;
        let late = if config.slow {
            SLOW_TRANSCRIPT.div_f64(scale)
        } else {
            Duration::ZERO
        };
        let Some(participant) = self.participants.iter().find(|known| known.name == name) else {
            return;
        };
        let words: Vec<Value> = line
            .words
            .iter()
            .map(|word| {
                json!({ "text": word.text,
                    "start_timestamp": { "relative": payloads::rounded(word.start) },
                    "end_timestamp": { "relative": payloads::rounded(word.end) } })
            })
            .collect();
        let data = json!({ "words": words, "language_code": "en", "participant": self.person(participant) });
        let artifact = self.artifact_reference(ArtifactKind::Transcript);
        self.realtime(
            event,
            &json!({ "data": data, "transcript": artifact }),
            late,
            at,
            services,
        );
    }

    /// Queues a real-time event for every endpoint that asked for it. They flow only while recording.
    fn realtime(
        &mut self,
        event: &str,
        data: &Value,
        late: Duration,
        at: Timestamp,
        services: &mut Services,
    ) {
        if !self.is_recording() {
            return;
        }
        for endpoint in &self.endpoints {
            if endpoint.failed
                || endpoint.kind != "webhook"
                || !endpoint.events.iter().any(|name| name == event)
            {
                continue;
            }
            let mut data = data.clone();
            data["realtime_endpoint"] = reference(&endpoint.id, &endpoint.metadata);
            data["recording"] = self.recording_reference();
            data["bot"] = self.reference();
            let lane = Lane::Realtime {
                endpoint_id: endpoint.id.clone(),
                url: endpoint.url.clone(),
            };
            let message = self.message(event, &data, lane, services);
            let delivery = &self.script.delivery;
            services.send(message, delivery.duplicate, at + late + delivery.delay);
        }
    }

    pub(crate) fn is_recording(&self) -> bool {
        self.phase == Phase::InCall { recording: true }
    }

    pub(crate) fn reference(&self) -> Value {
        reference(&self.id, &self.request.metadata)
    }

    fn recording_reference(&self) -> Value {
        self.recordings.last().map_or(Value::Null, |recording| {
            reference(&recording.id, &self.request.recording.metadata)
        })
    }

    fn artifact_reference(&self, kind: ArtifactKind) -> Value {
        let artifact = self
            .recordings
            .last()
            .and_then(|recording| recording.artifacts.get(&kind));
        artifact.map_or(Value::Null, |artifact| {
            reference(&artifact.id, &artifact.metadata)
        })
    }

    pub(crate) fn person(&self, participant: &Participant) -> Value {
        json!({ "id": participant.id, "name": participant.name, "is_host": participant.is_host,
            "platform": "desktop", "extra_data": null, "email": null })
    }

    /// Seconds of meeting time since the recording began.
    fn relative(&self, at: Timestamp, scale: f64) -> f64 {
        self.recordings.last().map_or(0.0, |recording| {
            at.duration_since(recording.started_at).as_secs_f64() * scale
        })
    }

    /// The next of the reasons to leave by itself.
    fn timeout(&self, scale: f64) -> Option<(Timestamp, &'static str)> {
        if !matches!(self.phase, Phase::WaitingRoom | Phase::InCall { .. }) {
            return None;
        }
        let (timers, leave) = (&self.timers, &self.request.leave);
        let after =
            |since: Option<Timestamp>, timeout: Duration| Some(since? + timeout.div_f64(scale));
        let armed = |since: Option<Timestamp>, timer: Delayed| {
            let earliest = timers.in_call? + timer.activate_after.div_f64(scale);
            Some(since?.max(earliest) + timer.timeout.div_f64(scale))
        };
        let noone = if self.participants.is_empty() {
            timers.in_call
        } else {
            None
        };
        let only_bots = leave
            .only_bots
            .as_ref()
            .and_then(|(timer, _)| armed(timers.only_bots, *timer));
        let recorded = leave
            .in_call_recording
            .and_then(|timeout| after(timers.recording, timeout));
        [
            (
                after(timers.in_waiting_room, leave.waiting_room),
                "timeout_exceeded_waiting_room",
            ),
            (
                after(noone, leave.noone_joined),
                "timeout_exceeded_noone_joined",
            ),
            (
                armed(timers.everyone_left, leave.everyone_left),
                "timeout_exceeded_everyone_left",
            ),
            (
                after(timers.not_recording, leave.in_call_not_recording),
                "timeout_exceeded_in_call_not_recording",
            ),
            (recorded, "timeout_exceeded_in_call_recording"),
            (
                after(timers.permission_denied, leave.permission_denied),
                "timeout_exceeded_recording_permission_denied",
            ),
            (
                armed(timers.silent, leave.silence),
                "timeout_exceeded_silence_detected",
            ),
            (
                only_bots,
                "timeout_exceeded_only_bots_detected_using_participant_names",
            ),
        ]
        .into_iter()
        .filter_map(|(due, sub_code)| Some((due?, sub_code)))
        .min()
    }
}
