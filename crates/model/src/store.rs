//! What survives a crash: the tables of one meeting's object, its alarm, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use attache_meeting::{
    ids::UtteranceId,
    meeting::{Meeting, Step},
    transcript::Segment,
};
use jiff::Timestamp;

/// The stored form of a meeting, as the object's SQLite keeps it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub snapshot: Option<String>,
    /// Segments as they are stored, as text.
    pub segments: Vec<String>,
    /// Webhooks that took effect.
    pub webhooks: BTreeSet<u64>,
    /// The length of each stored utterance.
    pub clips: BTreeMap<UtteranceId, u64>,
    /// The participants that the event log tells of.
    pub participants: Vec<String>,
    /// When the alarm rings.
    pub alarm: Option<Timestamp>,
    pub final_transcript: bool,
}

impl Store {
    /// Reads the meeting, as a fresh instance does.
    pub(crate) fn load(&self) -> Result<Option<Meeting>, String> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(None);
        };
        let mut meeting = Meeting::from_snapshot(snapshot).map_err(|error| error.to_string())?;
        if let Some(last) = self.segments.last() {
            let last: Segment = serde_json::from_str(last).map_err(|error| error.to_string())?;
            meeting.recall(self.segments.len() as u64, &last);
        }
        Ok(Some(meeting))
    }

    /// Stores everything that one event brought.
    pub(crate) fn save(&mut self, snapshot: Option<String>, step: &Step, webhook: Option<u64>) {
        if let Some(snapshot) = snapshot {
            self.snapshot = Some(snapshot);
        }
        self.webhooks.extend(webhook);
        for entry in &step.timeline {
            if entry.name == "participant"
                && let Some(id) = entry.data["participant"].as_str()
            {
                self.participants.push(id.to_owned());
            }
        }
        for segment in &step.segments {
            let text = serde_json::to_string(segment).expect("a segment can be written");
            self.segments.push(text);
        }
        if step.utterance_ended
            && let Some(last) = self.segments.last_mut()
        {
            let mut segment: Segment =
                serde_json::from_str(last).expect("what was written can be read");
            segment.ends_utterance = true;
            *last = serde_json::to_string(&segment).expect("a segment can be written");
        }
        for utterance in &step.clips_done {
            self.clips.remove(utterance);
        }
    }

    /// Forgets everything, the alarm included.
    pub(crate) fn wipe(&mut self) {
        *self = Self::default();
    }
}
