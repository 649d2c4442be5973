//! What tests ask of the sound that the simulated Recall sends.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::audio_script::AudioFault;
use crate::recall::{AudioConnection, AudioSent};
use crate::simulator::Simulator;

impl Simulator {
    /// Every dial of an audio endpoint of this meeting and what came of it; of each endpoint, the
    /// last 1,000.
    pub fn audio_connections(&self, meeting_url: &str) -> Vec<AudioConnection> {
        self.world
            .with(|models, _| models.recall.audio_connections(meeting_url))
    }

    /// The sound sent to the audio endpoints of this meeting, frame by frame; of each endpoint, the
    /// last 200,000 frames. What a connection took with it when it broke counts as sent.
    pub fn audio_sent(&self, meeting_url: &str) -> Vec<AudioSent> {
        self.world
            .with(|models, _| models.recall.audio_sent(meeting_url))
    }

    /// How much sound the audio endpoints of this meeting were not sent, because there was no
    /// connection or because frames were skipped on request. Silence from open microphones counts.
    pub fn audio_lost(&self, meeting_url: &str) -> Duration {
        self.world
            .with(|models, now| models.recall.audio_lost(meeting_url, now))
    }

    /// Makes something go wrong with the audio of this meeting, which a bot must be recording.
    /// Faults wait for each other, and for a connection.
    pub fn audio_fault(&self, meeting_url: &str, fault: &AudioFault) -> Result<()> {
        self.world
            .with(|models, _| models.recall.audio_fault(meeting_url, fault))
            .map_err(|_| anyhow!("no bot listens to {meeting_url}"))
    }
}
