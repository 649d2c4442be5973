//! Transcripts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::vendors::recall::{Speaker, SpokenSegment};

/// One transcribed piece of speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Its id.
    pub id: String,
    /// Who spoke.
    #[schema(value_type = Object)]
    pub speaker: Speaker,
    /// Start in seconds.
    pub start: f64,
    /// End in seconds.
    pub end: f64,
    /// What was said.
    pub text: String,
    /// How sure the transcriber is, 0 to 1.
    pub confidence: Option<f64>,
}

impl Segment {
    /// Makes a segment of what a vendor heard.
    pub fn from_spoken(id: String, spoken: SpokenSegment) -> Self {
        Self {
            id,
            speaker: spoken.speaker,
            start: spoken.start,
            end: spoken.end,
            text: spoken.text,
            confidence: None,
        }
    }
}
