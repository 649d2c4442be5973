//! What the vendors say on the wire: per vendor, requests as values and readers of answers and events.
//!
//! Everything here is pure; the vendors' words stop at these modules.

pub mod deepgram;
pub mod elevenlabs;
mod reason;
pub mod recall;
