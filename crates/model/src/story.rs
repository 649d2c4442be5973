//! A life told line by line: when, who, what.

use std::{fmt::Write as _, time::Duration};

use jiff::Timestamp;

/// What has happened so far, where somebody wants to read it.
#[derive(Debug)]
pub(crate) struct Story {
    began: Timestamp,
    text: Option<String>,
}

impl Story {
    /// A story that is told, or one that costs nothing.
    pub(crate) fn new(began: Timestamp, told: bool) -> Self {
        Self {
            began,
            text: told.then(String::new),
        }
    }

    /// Adds a line; what it says is made only if it is told.
    pub(crate) fn tell(&mut self, now: Timestamp, who: &str, what: impl FnOnce() -> String) {
        if let Some(text) = &mut self.text {
            let since = now.duration_since(self.began);
            let since = Duration::try_from(since).unwrap_or_default();
            let (seconds, millis) = (since.as_secs(), since.subsec_millis());
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            let what = what();
            writeln!(
                text,
                "{hours:>2}:{minutes:02}:{seconds:02}.{millis:03}  {who:<10}  {what}"
            )
            .expect("a string takes any text");
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text.unwrap_or_default()
    }
}
