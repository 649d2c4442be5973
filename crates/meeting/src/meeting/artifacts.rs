//! What is kept of a call: the transcript, fetched and stored, and the recording, located.
//!
//! Recall's webhooks say when an artifact is done; asking again at growing intervals is the net under them.

use serde_json::json;

use super::{
    after,
    bot_manager::BotManager,
    effect::{Effect, Refusal},
    event::RecordingState,
    limits,
    state::{ArtifactState, WarningCode},
};
use crate::{
    http::{Advice, CallError, FailureKind},
    vendors::recall::{Artifact, ArtifactChange, ArtifactCode},
};
use jiff::Timestamp;

impl BotManager<'_> {
    /// Starts to look for the artifacts of a call that is over.
    pub(super) fn retrieve_meeting_artifacts(&mut self) {
        let Some(bot) = &self.meeting.bot else { return };
        if bot.recorded {
            self.expect_artifacts();
        } else {
            // Webhooks may have been lost, so Recall has the last word on whether there is a recording.
            self.meeting.artifacts_unknown = true;
        }
        self.meeting.artifact_polls = 0;
        self.meeting.next_poll = self.next_artifact_poll();
    }

    fn expect_artifacts(&mut self) {
        self.meeting.artifacts_unknown = false;
        for state in [&mut self.meeting.transcript, &mut self.meeting.recording] {
            if matches!(state, ArtifactState::None | ArtifactState::Live) {
                *state = ArtifactState::Pending;
            }
        }
    }

    /// When to look next; none once nothing is waited for.
    pub(super) fn next_artifact_poll(&mut self) -> Option<Timestamp> {
        let waits = limits::ARTIFACT_POLLS;
        let wait = waits[self.meeting.artifact_polls.min(waits.len() - 1)];
        self.meeting.artifact_polls += 1;
        let next = after(self.now, wait);
        let since = self.meeting.over_since.unwrap_or(self.now);
        if next <= after(since, limits::ARTIFACT_PATIENCE) {
            return Some(next);
        }
        self.give_up_artifacts();
        None
    }

    pub(super) fn give_up_artifacts(&mut self) {
        self.meeting.artifacts_unknown = false;
        if self.meeting.transcript == ArtifactState::Pending {
            self.artifact_missing("transcript", "it did not come");
            self.meeting.transcript = ArtifactState::Failed;
        }
        if self.meeting.recording == ArtifactState::Pending {
            self.artifact_missing("recording", "it did not come");
            self.meeting.recording = ArtifactState::Failed;
        }
    }

    fn artifact_missing(&mut self, which: &str, why: &str) {
        self.warn(
            WarningCode::ArtifactMissing,
            format!("there is no {which}: {why}"),
        );
    }

    /// Takes in a webhook about an artifact.
    pub(super) fn artifact_reported(&mut self, change: &ArtifactChange) {
        self.note(
            "artifact",
            format!("{} is {}", change.artifact.as_str(), change.code.as_str()),
            &json!({ "artifact": change.artifact.as_str(), "code": change.code.as_str(),
                "sub_code": change.sub_code }),
        );
        if self.meeting.bot.is_none() {
            return;
        }
        if self.meeting.status.is_over() {
            if change.code == ArtifactCode::Done {
                self.expect_artifacts();
            }
            self.artifact_is(&change.artifact, &change.code, change.sub_code.as_deref());
            self.stop_polling_when_complete();
            self.start_polling_when_pending();
        } else if change.code == ArtifactCode::Done
            && !matches!(change.artifact, Artifact::Other(_))
        {
            // What is kept of a call is done after it: the word of its end is late or lost, and nobody repeats this one.
            self.meeting.next_poll = Some(self.now);
        }
    }

    fn artifact_is(&mut self, artifact: &Artifact, code: &ArtifactCode, sub_code: Option<&str>) {
        let why = sub_code.unwrap_or("Recall could not make it");
        match (artifact, code) {
            (Artifact::Transcript, ArtifactCode::Done) => self.fetch_transcript(),
            (Artifact::Transcript, ArtifactCode::Failed)
                if self.meeting.transcript != ArtifactState::Ready =>
            {
                self.meeting.transcript = ArtifactState::Failed;
                self.artifact_missing("transcript", why);
            }
            (Artifact::VideoMixed | Artifact::AudioMixed, ArtifactCode::Done) => {
                self.meeting.recording = ArtifactState::Ready;
            }
            (Artifact::Recording, ArtifactCode::Done)
                if self.meeting.recording != ArtifactState::Ready =>
            {
                self.meeting.next_poll = Some(self.now);
            }
            (Artifact::Recording | Artifact::VideoMixed, ArtifactCode::Failed)
                if self.meeting.recording != ArtifactState::Ready =>
            {
                self.meeting.recording = ArtifactState::Failed;
                self.artifact_missing("recording", why);
            }
            (Artifact::Recording | Artifact::VideoMixed, ArtifactCode::Deleted)
                if self.meeting.recording == ArtifactState::Ready =>
            {
                self.meeting.recording = ArtifactState::None;
            }
            _ => {}
        }
    }

    /// Takes in the recordings of a bot that was read.
    pub(super) fn artifacts_read(&mut self, recordings: &[RecordingState], shut_down: bool) {
        if !self.meeting.status.is_over() {
            return;
        }
        if recordings.is_empty() {
            if shut_down && self.meeting.artifacts_unknown {
                self.meeting.artifacts_unknown = false;
                self.stop_polling_when_complete();
            }
            return;
        }
        self.expect_artifacts();
        for recording in recordings {
            for (artifact, status) in [
                (Artifact::Transcript, &recording.transcript),
                (Artifact::VideoMixed, &recording.video),
                (Artifact::AudioMixed, &recording.audio),
            ] {
                if let Some(status) = status {
                    self.artifact_is(&artifact, &status.code, status.sub_code.as_deref());
                }
            }
        }
        let no_transcript = recordings.iter().all(|r| r.transcript.is_none());
        if shut_down && no_transcript && self.meeting.transcript == ArtifactState::Pending {
            // Workspaces of the older API generation list no transcript; the fetch falls back to their endpoint.
            self.fetch_transcript();
        }
        self.stop_polling_when_complete();
    }

    fn fetch_transcript(&mut self) {
        let fetching = self.is_outstanding(|e| matches!(e, Effect::FetchTranscript { .. }));
        if fetching || self.meeting.transcript == ArtifactState::Ready {
            return;
        }
        self.meeting.transcript = ArtifactState::Pending;
        if let Some(bot_id) = self.meeting.bot_id().cloned() {
            self.order(Effect::FetchTranscript { bot_id });
        }
    }

    /// The final transcript is stored.
    pub(super) fn transcript_stored(&mut self, segments: u64) {
        self.note(
            "transcript_ready",
            "the final transcript is stored",
            &json!({ "segments": segments }),
        );
        self.meeting.transcript = ArtifactState::Ready;
        self.stop_polling_when_complete();
    }

    fn stop_polling_when_complete(&mut self) {
        let waiting = [self.meeting.transcript, self.meeting.recording];
        if !waiting.contains(&ArtifactState::Pending) && !self.meeting.artifacts_unknown {
            self.meeting.next_poll = None;
        }
    }

    fn start_polling_when_pending(&mut self) {
        let waiting = [self.meeting.transcript, self.meeting.recording];
        if waiting.contains(&ArtifactState::Pending) && self.meeting.next_poll.is_none() {
            self.meeting.next_poll = self.next_artifact_poll();
        }
    }

    /// `DELETE …?purge=true`: Recall's media first, then everything stored here.
    pub(super) fn purge(&mut self) {
        if !self.meeting.status.is_over() {
            self.step.refusal = Some(Refusal::NotOver);
            return;
        }
        if self.meeting.purging {
            return;
        }
        self.meeting.purging = true;
        self.note(
            "purge_requested",
            "the content is deleted for good",
            &json!({}),
        );
    }

    /// Deletes the content once nothing is left that could leave a bot behind.
    pub(super) fn continue_purge(&mut self) {
        let busy = self.is_outstanding(|effect| match effect {
            Effect::CreateBot { .. }
            | Effect::FindBots
            | Effect::DeleteBot { .. }
            | Effect::LeaveCall { .. }
            | Effect::DeleteMedia { .. }
            | Effect::Wipe => true,
            Effect::RecordBot { .. }
            | Effect::ReadBot { .. }
            | Effect::Synthesize { .. }
            | Effect::PlayAudio { .. }
            | Effect::StopAudio { .. }
            | Effect::SendChat { .. }
            | Effect::FetchTranscript { .. }
            | Effect::OpenAvatar { .. }
            | Effect::StartAvatar { .. }
            | Effect::StopAvatar { .. }
            | Effect::CheckAvatar { .. }
            | Effect::KeepAvatarAlive { .. }
            | Effect::AvatarSay { .. }
            | Effect::AvatarInterrupt { .. }
            | Effect::AvatarReact { .. }
            | Effect::UpdateIndex => false,
        });
        let removing = self.meeting.removals.values().any(|removal| !removal.done);
        if !self.meeting.purging
            || busy
            || removing
            || self.meeting.has_sessions()
            || self.meeting.sweep_at.is_some()
        {
            return;
        }
        match self.meeting.bot_id().cloned() {
            Some(bot_id) => {
                self.order(Effect::DeleteMedia { bot_id });
            }
            None => self.wipe(),
        }
    }

    pub(super) fn wipe(&mut self) {
        self.order(Effect::Wipe);
    }

    /// Media that Recall does not have is as good as deleted; any other failure leaves the content in place
    /// for the caller to try again.
    pub(super) fn purge_failed(&mut self, error: &CallError) {
        let recorded = self.meeting.bot.as_ref().is_some_and(|bot| bot.recorded);
        let nothing_there = error.kind == FailureKind::NotFound
            || !recorded
                && error.advice == Advice::GiveUp
                && error.kind == FailureKind::InvalidRequest;
        if nothing_there {
            return self.wipe();
        }
        self.meeting.purging = false;
        self.note(
            "purge_failed",
            "Recall did not delete its media; the content is still there",
            &json!({ "reason": error.reason }),
        );
    }
}
