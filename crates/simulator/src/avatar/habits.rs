//! How the avatar vendors behave, as far as their documentation leaves it open or a plan decides it.

use std::time::Duration;

/// The habits of both avatar vendors. Times are real ones, whatever the meetings' time scale is.
#[derive(Clone, Debug, PartialEq)]
pub struct AvatarHabits {
    /// Which events tell that the avatar speaks.
    pub dialect: AvatarDialect,
    /// From the opening of a session's socket to `connected`; without it that never comes.
    pub connects_after: Option<Duration>,
    /// From the first sound to the avatar's first word.
    pub reaction: Duration,
    /// How many sessions may be live at once, if that is limited.
    pub concurrency: Option<usize>,
    /// Credits left, one for each begun minute of a session, if they are counted.
    pub credits: Option<u32>,
    /// The plan's longest session.
    pub longest_session: Duration,
    /// How long a `LiveAvatar` session lasts without a command.
    pub idle_window: Duration,
    /// How long a session lasts without a viewer in its room, if that matters.
    pub unwatched: Option<Duration>,
    /// The end of the longest session is told and the room closed, as the documentation has it. As
    /// measured, nothing is told: the avatar falls silent.
    pub announces_limit: bool,
    /// Avatars nobody knows.
    pub unknown_avatars: Vec<String>,
}

/// Which events tell that the avatar speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AvatarDialect {
    /// `agent.state_updated` and `agent.audio_buffer_*`, as sessions do since September 2026.
    #[default]
    States,
    /// `agent.speak_started`, `agent.speak_ended` and `agent.speak_interrupted`.
    Speaking,
    /// All of them.
    Both,
}

impl AvatarDialect {
    pub(crate) fn states(self) -> bool {
        self != Self::Speaking
    }

    pub(crate) fn speaking(self) -> bool {
        self != Self::States
    }
}

impl Default for AvatarHabits {
    fn default() -> Self {
        Self {
            dialect: AvatarDialect::default(),
            connects_after: Some(Duration::from_millis(50)),
            reaction: Duration::from_millis(200),
            concurrency: None,
            credits: None,
            longest_session: Duration::from_mins(20),
            idle_window: Duration::from_mins(5),
            unwatched: Some(Duration::from_secs(200)),
            announces_limit: false,
            unknown_avatars: Vec::new(),
        }
    }
}
