//! The pure core of attache: what a meeting is, what the vendors say on the wire, and nothing else.
//!
//! Nothing here performs IO, reads a clock or draws randomness; every input is an argument.
//! The Worker in the workspace root is the shell that owns those.

pub mod api;
pub mod audio;
pub mod http;
pub mod ids;
pub mod meeting;
pub mod page;
pub mod page_token;
pub mod retry;
pub mod secret;
pub mod still;
pub mod transcript;
pub mod vendors;
pub mod view;
pub mod webhook;
