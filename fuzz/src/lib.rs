//! What must hold of everything that outsiders send, whatever they send.
//!
//! Each module is one target: its `check` takes the bytes that the fuzzer made up and panics if a property does not
//! hold. The programs in `fuzz_targets/` only hand the bytes over.
//!
//! Inputs are text wherever the real ones are, one message or step a line, so that a corpus can be read, written and
//! cut down by hand. Every input means something: what a script does not know is skipped.

pub mod answers;
pub mod api;
pub mod avatar_link;
pub mod credentials;
pub mod listening;
pub mod media;
pub mod mp3;
pub mod page;
mod reason;
mod room;
mod script;
pub mod transcript;
pub mod webhook;
