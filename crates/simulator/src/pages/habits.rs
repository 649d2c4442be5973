//! How a page behaves, where a page may behave in several ways.

use std::time::Duration;

/// The habits of a page; a real browser only has those of time. Times are real ones, whatever the meetings' time scale is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHabits {
    /// From the bot's coming into the call to the page's being opened.
    pub opens_after: Duration,
    /// Whether it ever does what it is told. A page that does not opens its socket, and never says a word.
    pub alive: bool,
    /// Whether the browser refuses to play its sound. That is told; nothing is heard, and speech waits.
    pub sound_blocked: bool,
}

impl Default for PageHabits {
    fn default() -> Self {
        Self {
            opens_after: Duration::ZERO,
            alive: true,
            sound_blocked: false,
        }
    }
}
