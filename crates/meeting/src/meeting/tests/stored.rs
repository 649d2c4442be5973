//! What the shell stores of a meeting, so that every event meets a meeting that was loaded.

use crate::{
    meeting::{Meeting, Step},
    transcript::Segment,
};

pub(super) struct Stored {
    snapshot: String,
    segments: u64,
    last: Option<Segment>,
}

impl Stored {
    pub(super) fn new(meeting: &Meeting) -> Self {
        Self {
            snapshot: meeting.to_snapshot().unwrap(),
            segments: 0,
            last: None,
        }
    }

    /// Stores what an event has changed.
    pub(super) fn save(&mut self, before: &Meeting, after: &mut Meeting, step: &Step) {
        if !after.is_recalled_from(before) {
            self.snapshot = after.to_snapshot().unwrap();
        }
        for segment in &step.segments {
            self.segments += 1;
            self.last = Some(segment.clone());
        }
    }

    pub(super) fn load(&self) -> Meeting {
        let mut meeting = Meeting::from_snapshot(&self.snapshot).unwrap();
        if let Some(last) = &self.last {
            meeting.recall(self.segments, last);
        }
        meeting
    }
}
