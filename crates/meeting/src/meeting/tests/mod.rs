//! Tests of the state machine: single paths by hand, whole lives at random.

mod lives;
mod paths;
mod room;
mod world;
