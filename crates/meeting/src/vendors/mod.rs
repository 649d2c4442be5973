//! What the vendors say on the wire: per vendor, requests as values and readers of answers and events.
//!
//! Everything here is pure; the vendors' words stop at these modules.

pub mod avatar;
pub mod deepgram;
pub mod elevenlabs;
pub mod heygen;
pub mod liveavatar;
pub(crate) mod reason;
pub mod recall;
