//! The stored form of a meeting.

use std::mem;

use super::state::{Meeting, SNAPSHOT_VERSION};
use crate::transcript::Segment;

/// Why a stored meeting cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not what any version wrote.
    #[error("the stored meeting cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("the stored meeting has version {found}, this code reads up to {SNAPSHOT_VERSION}")]
    Newer {
        /// The version found.
        found: u32,
    },
}

impl Meeting {
    /// Writes the meeting as versioned JSON.
    pub fn to_snapshot(&self) -> Result<String, SnapshotError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads a meeting that [`Meeting::to_snapshot`] wrote.
    pub fn from_snapshot(json: &str) -> Result<Self, SnapshotError> {
        #[derive(serde::Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(json)?;
        if version > SNAPSHOT_VERSION {
            return Err(SnapshotError::Newer { found: version });
        }
        Ok(serde_json::from_str(json)?)
    }

    /// Tells whether the snapshot of this meeting as it was before one event, together with the segments that the
    /// event brought, tells all of it. Most of what is heard changes nothing else, and a segment alone is much cheaper
    /// to store.
    pub fn is_recalled_from(&mut self, before: &Self) -> bool {
        // A copy to compare with would cost as much as the event itself, so these are put back instead.
        let segments = mem::replace(&mut self.segments, before.segments);
        let heard_until = mem::replace(
            &mut self.listening.heard_until,
            before.listening.heard_until,
        );
        let revision = mem::replace(&mut self.revision, before.revision);
        let updated_at = mem::replace(&mut self.updated_at, before.updated_at);
        let same = *self == *before;
        self.segments = segments;
        self.listening.heard_until = heard_until;
        self.revision = revision;
        self.updated_at = updated_at;
        same
    }

    /// Takes in the stored segment with the highest number, which a snapshot may not know of.
    pub fn recall(&mut self, number: u64, last: &Segment) {
        self.segments = self.segments.max(number);
        let heard_until = &mut self.listening.heard_until;
        *heard_until = heard_until.max(last.end);
    }
}
