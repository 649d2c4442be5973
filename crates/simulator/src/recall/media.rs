//! Recordings, artifacts and downloads: the calls that read what a meeting left behind.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::bot::{Artifact, Bot, Recording, Status};
use super::fields::{Fields, boolean, dictionary, metadata};
use super::payloads::reference;
use super::{Model, refusals, views};
use crate::answer::Answer;
use crate::script::{ArtifactKind, Code};

/// The vendor's limit of transcripts per recording.
const MAX_TRANSCRIPTS: usize = 10;

impl Model {
    pub(super) fn list_recordings(&mut self, query: &[(String, String)], now: Timestamp) -> Answer {
        let wanted = |name: &str| {
            query
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        let (bot_id, status) = (wanted("bot_id"), wanted("status_code"));
        let mut results = Vec::new();
        for bot in self
            .bots
            .values()
            .filter(|bot| bot_id.is_none_or(|id| bot.id == id))
        {
            for found in bot
                .recordings
                .iter()
                .filter(|found| status.is_none_or(|code| found.status.code == code))
            {
                results.push(views::recording(
                    bot,
                    found,
                    &mut self.services.presigner,
                    now,
                ));
            }
        }
        Answer::json(
            200,
            &json!({ "next": null, "previous": null, "results": results }),
        )
    }

    pub(super) fn retrieve_recording(&mut self, id: &str, now: Timestamp) -> Answer {
        let found = find(self.bots.values(), |recording| recording.id == id);
        let Some((bot, recording)) = found else {
            return refusals::not_found();
        };
        Answer::json(
            200,
            &views::recording(bot, recording, &mut self.services.presigner, now),
        )
    }

    pub(super) fn delete_recording(&mut self, id: &str) -> Answer {
        let bot = self
            .bots
            .values_mut()
            .find(|bot| bot.recordings.iter().any(|found| found.id == id));
        let Some(bot) = bot else {
            return refusals::not_found();
        };
        bot.delete_media(&mut self.services);
        Answer::empty(204)
    }

    pub(super) fn list_artifacts(
        &mut self,
        kind: &str,
        query: &[(String, String)],
        now: Timestamp,
    ) -> Answer {
        let wanted = query
            .iter()
            .find(|(key, _)| key == "recording_id")
            .map(|(_, value)| value.as_str());
        let mut results = Vec::new();
        for bot in self.bots.values() {
            for recording in bot
                .recordings
                .iter()
                .filter(|found| wanted.is_none_or(|id| found.id == id))
            {
                for (_, kind, found) in artifacts(recording).filter(|(name, _, _)| *name == kind) {
                    let presigner = &mut self.services.presigner;
                    results.push(views::artifact_alone(
                        bot, recording, kind, found, presigner, now,
                    ));
                }
            }
        }
        Answer::json(
            200,
            &json!({ "next": null, "previous": null, "results": results }),
        )
    }

    pub(super) fn retrieve_artifact(&mut self, kind: &str, id: &str, now: Timestamp) -> Answer {
        let found = self
            .find_artifact(id)
            .filter(|(_, _, found, _)| found.name() == kind);
        let Some((bot_id, recording_id, kind, _)) = found else {
            return refusals::not_found();
        };
        let bot = &self.bots[&bot_id];
        let recording = bot.recordings.iter().find(|found| found.id == recording_id);
        let recording = recording.expect("it was just found");
        let (_, _, artifact) = artifacts(recording)
            .find(|(_, _, artifact)| artifact.id == id)
            .expect("it was just found");
        let presigner = &mut self.services.presigner;
        Answer::json(
            200,
            &views::artifact_alone(bot, recording, kind, artifact, presigner, now),
        )
    }

    pub(super) fn find_artifact(&self, id: &str) -> Option<(u64, String, ArtifactKind, &Artifact)> {
        self.bots.iter().find_map(|(number, bot)| {
            bot.recordings.iter().find_map(|recording| {
                artifacts(recording)
                    .find(|(_, _, artifact)| artifact.id == id)
                    .map(|(_, kind, artifact)| (*number, recording.id.clone(), kind, artifact))
            })
        })
    }

    pub(super) fn list_endpoints(&self, query: &[(String, String)]) -> Answer {
        let wanted = query
            .iter()
            .find(|(key, _)| key == "recording_id")
            .map(|(_, value)| value.as_str());
        let results: Vec<Value> = self
            .bots
            .values()
            .filter(|bot| wanted.is_none_or(|id| bot.recordings.iter().any(|found| found.id == id)))
            .flat_map(|bot| {
                bot.endpoints
                    .iter()
                    .filter_map(|found| views::endpoint(bot, found))
            })
            .collect();
        Answer::json(
            200,
            &json!({ "next": null, "previous": null, "results": results }),
        )
    }

    pub(super) fn retrieve_endpoint(&self, id: &str) -> Answer {
        self.bots
            .values()
            .find_map(|bot| {
                let endpoint = bot.endpoints.iter().find(|found| found.id == id)?;
                views::endpoint(bot, endpoint)
            })
            .map_or_else(refusals::not_found, |view| Answer::json(200, &view))
    }

    /// Starts a transcript of a finished recording; it is done at once.
    pub(super) fn create_transcript(&mut self, id: &str, body: &Value, now: Timestamp) -> Answer {
        let bot = self
            .bots
            .values_mut()
            .find(|bot| bot.recordings.iter().any(|found| found.id == id));
        let Some(bot) = bot else {
            return refusals::not_found();
        };
        let read = read_transcript_request(body);
        let (provider, diarization, own) = match read {
            Ok(read) => read,
            Err(errors) => return refusals::fields(&errors),
        };
        let services = &mut self.services;
        let artifact = Artifact {
            id: services.ids.uuid(),
            created_at: now,
            status: Status::new(&Code::Done, now),
            metadata: own,
            provider: Some(provider),
            diarization: Some(diarization),
        };
        let shown = reference(&artifact.id, &artifact.metadata);
        let recording = bot
            .recordings
            .iter_mut()
            .find(|found| found.id == id)
            .expect("it was just found");
        if recording.completed_at.is_none() {
            return refusals::coded(
                400,
                "recording_not_done",
                "The recording is not finished yet.",
            );
        }
        if recording.extra_transcripts.len() >= MAX_TRANSCRIPTS {
            return refusals::coded(
                400,
                "too_many_transcripts",
                "A recording has at most 10 transcripts.",
            );
        }
        recording.extra_transcripts.push(artifact);
        for code in [Code::Processing, Code::Done] {
            bot.artifact_event(ArtifactKind::Transcript, &shown, &code, services);
        }
        let recording = bot
            .recordings
            .iter()
            .find(|found| found.id == id)
            .expect("it was just found");
        let artifact = recording
            .extra_transcripts
            .last()
            .expect("it was just pushed");
        let mut view = views::artifact_alone(
            bot,
            recording,
            ArtifactKind::Transcript,
            artifact,
            &mut services.presigner,
            now,
        );
        view["status"]["code"] = json!("processing");
        view["data"]["download_url"] = Value::Null;
        Answer::json(200, &view)
    }

    /// The transcript as API version 1.10 gave it.
    pub(super) fn legacy_transcript(bot: &Bot) -> Answer {
        let lines: Vec<Value> = bot
            .recordings
            .iter()
            .filter(|recording| recording.artifacts.get(&ArtifactKind::Transcript).is_some_and(has_media))
            .flat_map(|recording| &recording.lines)
            .map(|(speaker, line)| {
                let name = bot.participants.iter().find(|known| known.id == *speaker).map(|known| &known.name);
                let words: Vec<Value> = line
                    .words
                    .iter()
                    .map(|word| json!({ "text": word.text, "start_time": word.start, "end_time": word.end }))
                    .collect();
                json!({ "speaker": name, "speaker_id": speaker, "language": "en", "words": words })
            })
            .collect();
        Answer::json(200, &json!(lines))
    }
}

type TranscriptRequest = (Value, Value, serde_json::Map<String, Value>);

fn read_transcript_request(body: &Value) -> Result<TranscriptRequest, Value> {
    let mut fields = Fields::of(body)?;
    let provider =
        fields.read_required("provider", |value| match dictionary(value)?.keys().next() {
            Some(name) if name.ends_with("_async") && dictionary(value)?.len() == 1 => {
                Ok(value.clone())
            }
            _ => Err(
                json!({ "non_field_errors": ["Exactly one asynchronous provider is required."] }),
            ),
        });
    let diarization = fields.read("diarization", |value| {
        let mut fields = Fields::of(value)?;
        fields.read("use_separate_streams_when_available", boolean);
        fields.finish()?;
        Ok(value.clone())
    });
    let own = fields.read("metadata", metadata).unwrap_or_default();
    fields.finish()?;
    let provider = provider.expect("a missing provider is an error above");
    Ok((provider, diarization.unwrap_or(Value::Null), own))
}

fn find<'a>(
    mut bots: impl Iterator<Item = &'a Bot>,
    wanted: impl Fn(&Recording) -> bool,
) -> Option<(&'a Bot, &'a Recording)> {
    bots.find_map(|bot| {
        bot.recordings
            .iter()
            .find(|recording| wanted(recording))
            .map(|found| (bot, found))
    })
}

fn artifacts(
    recording: &Recording,
) -> impl Iterator<Item = (&'static str, ArtifactKind, &Artifact)> {
    let extra = recording
        .extra_transcripts
        .iter()
        .map(|artifact| (ArtifactKind::Transcript, artifact));
    recording
        .artifacts
        .iter()
        .map(|(kind, artifact)| (*kind, artifact))
        .chain(extra)
        .map(|(kind, artifact)| (kind.name(), kind, artifact))
}

pub(super) fn has_media(artifact: &Artifact) -> bool {
    artifact.status.code == "done"
}

impl Bot {
    /// Deletes everything that was recorded and tells of it.
    pub(crate) fn delete_media(&mut self, services: &mut super::Services) {
        if std::mem::replace(&mut self.media_deleted, true) || self.recordings.is_empty() {
            return;
        }
        let deleted = Status::new(&Code::Deleted, services.now);
        let mut kinds = Vec::new();
        for recording in &mut self.recordings {
            recording.status = deleted.clone();
            for artifact in &mut recording.extra_transcripts {
                artifact.status = deleted.clone();
            }
            kinds.extend(recording.artifacts.keys().copied());
        }
        for kind in kinds {
            self.artifact_status(kind, &Code::Deleted, services);
        }
        self.recording_event("deleted", None, services);
    }
}
