//! The stored form of a meeting.

use super::state::{Meeting, SNAPSHOT_VERSION};

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
}
