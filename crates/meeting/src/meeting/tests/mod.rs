//! Tests of the state machine: single paths by hand, whole lives at random.

#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::unnecessary_wraps,
    reason = "a test names what it is about and fails on everything else"
)]

mod avatar;
mod avatar_lives;
mod face;
mod listening;
mod lives;
mod page_lives;
mod paths;
mod room;
mod stored;
mod world;
