//! What happens to the page that a bot shows.

use serde_json::Value;

/// Something that happened to a page.
#[derive(Clone, Debug, PartialEq)]
pub enum PageNews {
    /// There is no browser: the stand-in plays the page.
    NoBrowser(String),
    /// It was loaded, with this HTTP status.
    Loaded(u16),
    /// It could not be opened, or came to grief.
    Failed(String),
    /// It complained, as its console shows.
    Complained(String),
    /// Its socket was opened.
    SocketOpened,
    /// Its socket is gone.
    SocketClosed,
    /// Something was told to it on its socket; this is the message's type.
    Told(String),
    /// It said something on its socket.
    Said(Value),
    /// It began to make a sound that the room can hear.
    SoundBegan,
    /// It was silent again.
    SoundEnded {
        /// How long it was heard.
        duration_ms: u64,
    },
    /// It was loaded again.
    Reloaded,
    /// It was closed.
    Closed,
}

impl std::fmt::Display for PageNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoBrowser(why) => write!(f, "no browser, the stand-in plays it: {why}"),
            Self::Loaded(status) => write!(f, "loaded: {status}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Complained(what) => write!(f, "complains: {what}"),
            Self::SocketOpened => f.write_str("socket opened"),
            Self::SocketClosed => f.write_str("socket closed"),
            Self::Told(kind) => write!(f, "is told {kind}"),
            Self::Said(message) => write!(f, "says {message}"),
            Self::SoundBegan => f.write_str("makes a sound"),
            Self::SoundEnded { duration_ms } => write!(f, "was heard for {duration_ms} ms"),
            Self::Reloaded => f.write_str("reloaded"),
            Self::Closed => f.write_str("closed"),
        }
    }
}
