//! `LiveAvatar` in LITE mode: the delegate's face, which says the sound that it is given.
//!
//! [`LiveAvatarClient`] builds the calls around a session; what it says goes over the session's socket.
//!
//! Reference: <https://docs.liveavatar.com>.

mod client;

pub use client::LiveAvatarClient;
