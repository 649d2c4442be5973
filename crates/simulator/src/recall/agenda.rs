//! Which bot has something to do next, so that a moment with hundreds of bots costs no more than
//! one with a few.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

/// At most one time per bot.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(Timestamp, u64)>,
    by_bot: HashMap<u64, Timestamp>,
}

impl Agenda {
    /// Notes when a bot is next due, or that it is not.
    pub(crate) fn set(&mut self, bot: u64, due: Option<Timestamp>) {
        let before = match due {
            Some(due) => self.by_bot.insert(bot, due),
            None => self.by_bot.remove(&bot),
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, bot));
        }
        if let Some(due) = due {
            self.by_time.insert((due, bot));
        }
    }

    /// The earliest time and its bot.
    pub(crate) fn first(&self) -> Option<(Timestamp, u64)> {
        self.by_time.first().copied()
    }
}
