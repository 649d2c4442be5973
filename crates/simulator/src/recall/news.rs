//! What the workspace is told about a bot, its recording and its artifacts, and what the script
//! does to these webhooks on their way.

use std::time::Duration;

use serde_json::{Value, json};

use super::bot::{Bot, StatusChange};
use super::outbox::{Lane, Message};
use super::payloads::{self, reference};
use super::{Services, ids};
use crate::journal::What;
use crate::script::{ArtifactKind, Code};
use crate::signing::HeaderFamily;

impl Bot {
    pub(crate) fn status_change(
        &mut self,
        code: &str,
        sub_code: Option<&str>,
        services: &mut Services,
    ) {
        self.status_changes.push(StatusChange {
            code: code.to_owned(),
            sub_code: sub_code.map(str::to_owned),
            at: services.now,
        });
        services.note(What::Status {
            bot_id: self.id.clone(),
            meeting_url: self.request.meeting_url.raw.clone(),
            code: code.to_owned(),
            sub_code: sub_code.map(str::to_owned),
        });
        if self.script.delivery.legacy_status {
            let recording = self
                .recordings
                .last()
                .map(|recording| recording.id.as_str());
            let status = payloads::legacy_status(code, sub_code, recording, services.now);
            let data = json!({ "bot_id": self.id, "status": status });
            return self.workspace("bot.status_change", &data, services);
        }
        let status = payloads::status(code, sub_code, services.now);
        let data = json!({ "data": status, "bot": self.reference() });
        self.workspace(&format!("bot.{code}"), &data, services);
    }

    pub(crate) fn recording_event(
        &mut self,
        code: &str,
        sub_code: Option<&str>,
        services: &mut Services,
    ) {
        let data = json!({
            "data": payloads::status(code, sub_code, services.now),
            "recording": self.recording_reference(),
            "bot": self.reference(),
        });
        self.workspace(&format!("recording.{code}"), &data, services);
    }

    pub(crate) fn artifact_event(
        &mut self,
        kind: ArtifactKind,
        artifact: &Value,
        code: &Code,
        services: &mut Services,
    ) {
        let mut data = json!({
            "data": payloads::status(code.name(), code.sub_code(), services.now),
            "recording": self.recording_reference(),
            "bot": self.reference(),
        });
        data[kind.name()] = artifact.clone();
        self.workspace(&format!("{}.{}", kind.name(), code.name()), &data, services);
    }

    /// Queues a workspace webhook, through whatever the script does to it on the way.
    fn workspace(&mut self, event: &str, data: &Value, services: &mut Services) {
        let index = self.webhooks_sent;
        self.webhooks_sent += 1;
        let delivery = &self.script.delivery;
        if delivery.drop.contains(&index) {
            services.note(What::Note(format!(
                "webhook {event} is dropped by the script"
            )));
            return;
        }
        let late = delivery.reorder.map_or(Duration::ZERO, |reorder| {
            reorder
                .window
                .mul_f64(ids::fraction(reorder.seed, index as u64))
        });
        let (due, duplicate) = (services.now + delivery.delay + late, delivery.duplicate);
        let message = self.message(event, data, Lane::Workspace, services);
        match &mut self.held_back {
            Some(held) => held.messages.push((message, duplicate, due)),
            None => services.send(message, duplicate, due),
        }
    }

    pub(crate) fn message(
        &self,
        event: &str,
        data: &Value,
        lane: Lane,
        services: &mut Services,
    ) -> Message {
        let delivery = &self.script.delivery;
        let headers = match lane {
            Lane::Workspace => delivery.headers,
            Lane::Realtime { .. } => HeaderFamily::Webhook,
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

    pub(crate) fn reference(&self) -> Value {
        reference(&self.id, &self.request.metadata)
    }

    pub(crate) fn recording_reference(&self) -> Value {
        self.recordings.last().map_or(Value::Null, |recording| {
            reference(&recording.id, &self.request.recording.metadata)
        })
    }
}
