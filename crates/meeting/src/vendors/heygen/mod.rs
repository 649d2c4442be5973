//! `HeyGen`'s streaming API, version 1: a face with a voice of its own, which says the text that it is given.
//!
//! Its vendor is retiring it in favour of `LiveAvatar`. What the avatar does, it tells only those in its room, so here
//! the length that [`HeyGenClient::spoken`] reads is all that is known of when it has said something.
//!
//! Reference: <https://docs.heygen.com/reference/new-session>.

mod client;
mod text;

pub use client::{Gesture, HeyGenClient, SpokenTask};
pub use text::{MAX_TEXT_CHARACTERS, parts};
