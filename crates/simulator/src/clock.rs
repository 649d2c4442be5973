//! The one clock of the simulator.
//!
//! It shows real time, moved forward by as much as a test asked for, so that a bot booked for
//! next week joins when the test says so. The models never read it: time is an argument there.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

/// Real time plus an offset that only grows.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead: Mutex<Duration>,
}

impl Clock {
    /// What the simulated vendors believe the time to be.
    pub(crate) fn now(&self) -> Timestamp {
        real_now() + *self.ahead.lock().expect("no panic holds the clock")
    }

    /// Moves the vendors' time forward.
    pub(crate) fn skip(&self, by: Duration) {
        *self.ahead.lock().expect("no panic holds the clock") += by;
    }
}

/// The time of this machine: what signatures carry, whatever the simulated time is.
pub(crate) fn real_now() -> Timestamp {
    Timestamp::now()
}
