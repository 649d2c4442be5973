//! A session on its way and a session that is there, in forms that can be stored.
//!
//! Their secrets are stored with them, since a restart must find the session again; `Debug` prints none of them.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stored;
use crate::secret::Secret;

/// An avatar vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AvatarProvider {
    /// `LiveAvatar`.
    LiveAvatar,
    /// `HeyGen`.
    HeyGen,
}

impl AvatarProvider {
    /// Gives the word that configuration and API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LiveAvatar => "liveavatar",
            Self::HeyGen => "heygen",
        }
    }
}

/// The vendor's id of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AvatarSessionId(pub String);

impl fmt::Display for AvatarSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A session that was opened and not started yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Whose it is.
    pub provider: AvatarProvider,
    /// Its id.
    pub session_id: AvatarSessionId,
    pub(in crate::vendors) grant: Grant,
}

/// What a vendor gives with a session that is not started yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(in crate::vendors) enum Grant {
    /// What allows to start it.
    Token {
        #[serde(with = "stored")]
        token: Secret,
    },
    /// Everything that there will be.
    Room {
        viewer: Viewer,
        max_seconds: Option<u64>,
    },
}

/// A session that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvatarSession {
    /// Whose it is.
    pub provider: AvatarProvider,
    /// Its id.
    pub session_id: AvatarSessionId,
    /// How the page sees and hears it.
    pub viewer: Viewer,
    /// Where it takes sound, at `LiveAvatar`; the address is its own credential.
    #[serde(with = "stored::optional", default)]
    pub socket_url: Option<Secret>,
    /// How long it lasts at most, in seconds, as far as the vendor says.
    pub max_seconds: Option<u64>,
}

impl AvatarSession {
    /// Gives how long it lasts at most, as far as the vendor says.
    pub fn max_duration(&self) -> Option<Duration> {
        self.max_seconds.map(Duration::from_secs)
    }
}

/// What the page joins a session's room with: this and nothing else goes to the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// The room's `LiveKit` server.
    pub url: String,
    /// What opens the room, to one viewer at a time.
    #[serde(with = "stored")]
    pub token: Secret,
}

/// Where the next page of a list begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageToken(pub String);

/// One page of the live sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivePage {
    /// The sessions.
    pub sessions: Vec<ActiveSession>,
    /// Where the next page begins, if there is one. The caller bounds how many it reads.
    pub next: Option<PageToken>,
}

/// A session that is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveSession {
    /// Its id.
    pub id: AvatarSessionId,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// The avatar, where the vendor says.
    pub avatar_id: Option<String>,
}
