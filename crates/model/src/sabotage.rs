//! Known faults, put in on purpose: they show that the checks bite.

/// A fault of the shell or of what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The ids of webhooks are not remembered.
    ForgetWebhooks,
    /// A webhook is answered before it is stored, and a crash loses it.
    AcceptEarly,
    /// Each attempt to make a bot carries a key of its own.
    NewKeyForEachBot,
    /// Each attempt to play or write carries a key of its own.
    NewKeyForEachWord,
    /// A session's stop is taken for done without being carried out.
    DropStops,
    /// A bot's removal is taken for done without being carried out.
    DropRemovals,
    /// A restart finds what was stored one step earlier.
    LoseLastWrite,
    /// The alarm is not stored.
    ForgetAlarm,
    /// What is heard is stored only together with a new snapshot.
    SkipSegments,
    /// A chat message is taken for written without being written.
    DropChat,
    /// What the page is to say is sent to it once more.
    SpeakTwice,
    /// A transcript is taken for fetched and stored without being so.
    DropTranscript,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ForgetWebhooks,
        Self::AcceptEarly,
        Self::NewKeyForEachBot,
        Self::NewKeyForEachWord,
        Self::DropStops,
        Self::DropRemovals,
        Self::LoseLastWrite,
        Self::ForgetAlarm,
        Self::SkipSegments,
        Self::DropChat,
        Self::SpeakTwice,
        Self::DropTranscript,
    ];
}
