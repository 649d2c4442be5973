//! The avatar vendors behind one interface: how a session is opened, started, kept, looked at and stopped.
//!
//! Both go the same way, in two steps. [`AvatarVendor::open`] names the session, [`AvatarVendor::start`] lets the
//! avatar appear and gives what a viewer needs to see it. How the avatar is made to speak differs: `LiveAvatar` takes
//! sound on a socket ([`crate::vendors::liveavatar::LiveAvatarLink`]), `HeyGen` takes text by call
//! ([`crate::vendors::heygen::HeyGenClient::speak`]).
//!
//! It guarantees that a failure means the same whoever the vendor is ([`crate::http::FailureKind`]), and that no
//! credential is printed. It does not know which sessions a meeting has, and keeps nothing.

mod refusal;
mod session;
mod stored;

pub use session::{
    ActivePage, ActiveSession, AvatarProvider, AvatarSession, AvatarSessionId, Opening, PageToken,
    Viewer,
};

pub(super) use refusal::success;
pub(super) use session::Grant;

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{heygen::HeyGenClient, liveavatar::LiveAvatarClient};
use crate::{
    http::{CallError, FailureKind, HeaderValue, Method, Outcome, Request},
    retry,
};

/// Room for any answer; the longest, a page of a hundred sessions, takes about 50 kB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How good the picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoQuality {
    /// 360 lines.
    Low,
    /// 480 lines.
    Medium,
    /// 720 lines, as the bot's camera has.
    #[default]
    High,
}

impl VideoQuality {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How the picture is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoEncoding {
    /// Both vendors' own choice, and the one that stays.
    #[default]
    H264,
    /// For a viewer without H.264.
    Vp8,
}

impl VideoEncoding {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
        }
    }
}

/// What a session is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvatarOptions {
    /// The vendor's id of the avatar; a UUID at `LiveAvatar`.
    pub avatar_id: String,
    /// The vendor's id of the voice that says texts; `LiveAvatar` is given sound and takes none.
    pub voice_id: Option<String>,
    /// How good the picture is.
    pub quality: VideoQuality,
    /// How the picture is encoded.
    pub encoding: VideoEncoding,
    /// The longest the session may last, where the vendor lets us say; within the plan's limit.
    pub max_duration: Option<Duration>,
    /// Whether it is a free session of a minute, with the one avatar that `LiveAvatar` lends for that.
    pub sandbox: bool,
    /// What the vendor's records call the session where they can, for support: our meeting's id.
    pub reference: String,
}

/// An avatar vendor and our account there.
#[derive(Clone, Debug)]
pub enum AvatarVendor {
    /// `LiveAvatar`, in LITE mode.
    LiveAvatar(LiveAvatarClient),
    /// `HeyGen`'s streaming API, version 1.
    HeyGen(HeyGenClient),
}

impl AvatarVendor {
    /// Tells which vendor it is.
    pub fn provider(&self) -> AvatarProvider {
        match self {
            Self::LiveAvatar(_) => AvatarProvider::LiveAvatar,
            Self::HeyGen(_) => AvatarProvider::HeyGen,
        }
    }

    /// Gives the calls that only `HeyGen` has.
    pub fn heygen(&self) -> Option<&HeyGenClient> {
        match self {
            Self::LiveAvatar(_) => None,
            Self::HeyGen(client) => Some(client),
        }
    }

    /// Asks for a session.
    ///
    /// At `HeyGen` it is live, and costs, from here on, so an answer that is lost leaves a session behind whose id
    /// only [`Self::list_active`] tells; it ends of itself two minutes later.
    pub fn open(&self, options: &AvatarOptions) -> Request {
        match self {
            Self::LiveAvatar(client) => client.open(options),
            Self::HeyGen(client) => client.open(options),
        }
    }

    /// Reads the answer to [`Self::open`].
    pub fn opened(&self, outcome: Outcome) -> Result<Opening, CallError> {
        match self {
            Self::LiveAvatar(_) => LiveAvatarClient::opened(outcome),
            Self::HeyGen(_) => HeyGenClient::opened(outcome),
        }
    }

    /// Lets the avatar of an opened session appear; at `LiveAvatar` it costs from here on.
    pub fn start(&self, opening: &Opening) -> Request {
        match self {
            Self::LiveAvatar(client) => client.start(opening),
            Self::HeyGen(client) => client.start(opening),
        }
    }

    /// Reads the answer to [`Self::start`]. Where [`CallError::maybe_done`] is set the session may be live and is to
    /// be stopped.
    pub fn started(&self, opening: &Opening, outcome: Outcome) -> Result<AvatarSession, CallError> {
        match self {
            Self::LiveAvatar(_) => LiveAvatarClient::started(opening, outcome),
            Self::HeyGen(_) => HeyGenClient::started(opening, outcome),
        }
    }

    /// Ends a session, started or only opened, by our key alone.
    pub fn stop(&self, session: &AvatarSessionId) -> Request {
        match self {
            Self::LiveAvatar(client) => client.stop(session),
            Self::HeyGen(client) => client.stop(session),
        }
    }

    /// Reads the answer to [`Self::stop`]; a session that is gone already counts as stopped.
    pub fn stopped(&self, outcome: Outcome) -> Result<(), CallError> {
        let operation = match self {
            Self::LiveAvatar(_) => LiveAvatarClient::STOP,
            Self::HeyGen(_) => HeyGenClient::STOP,
        };
        match success(operation, outcome) {
            Err(error) if error.kind != FailureKind::SessionGone => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Keeps a session from ending for want of anything to do: after five minutes at `LiveAvatar`, two at `HeyGen`.
    pub fn keep_alive(&self, session: &AvatarSessionId) -> Request {
        match self {
            Self::LiveAvatar(client) => client.keep_alive(session),
            Self::HeyGen(client) => client.keep_alive(session),
        }
    }

    /// Asks for a page of the account's live sessions, those of other meetings included; the first without a token.
    pub fn list_active(&self, page: Option<&PageToken>) -> Request {
        match self {
            Self::LiveAvatar(client) => client.list_active(page),
            Self::HeyGen(client) => client.list_active(page),
        }
    }

    /// Reads the answer to [`Self::list_active`].
    pub fn active(&self, outcome: Outcome) -> Result<ActivePage, CallError> {
        match self {
            Self::LiveAvatar(_) => LiveAvatarClient::active(outcome),
            Self::HeyGen(_) => HeyGenClient::active(outcome),
        }
    }

    /// Asks whether a session is live.
    pub fn session_info(&self, session: &AvatarSessionId) -> Request {
        match self {
            Self::LiveAvatar(client) => client.get_session(session),
            // Its only way to tell; a page holds as many sessions as an account may have at once.
            Self::HeyGen(client) => client.list_active(None),
        }
    }

    /// Reads the answer to [`Self::session_info`]; none if it is over or never was.
    pub fn info(
        &self,
        session: &AvatarSessionId,
        outcome: Outcome,
    ) -> Result<Option<ActiveSession>, CallError> {
        match self {
            Self::LiveAvatar(_) => LiveAvatarClient::session(outcome),
            Self::HeyGen(_) => {
                let page = HeyGenClient::active(outcome)?;
                Ok(page.sessions.into_iter().find(|live| live.id == *session))
            }
        }
    }

    /// Reads the answer to a request of which only success matters, by [`Request::operation`].
    pub fn acknowledged(operation: &str, outcome: Outcome) -> Result<(), CallError> {
        success(operation, outcome).map(|_| ())
    }
}

/// Builds a request with a JSON body, or without any.
pub(super) fn request(
    operation: &'static str,
    url: String,
    credential: (&'static str, HeaderValue),
    body: Option<&serde_json::Value>,
) -> Request {
    let json = || HeaderValue::Plain("application/json".to_owned());
    let mut headers = vec![credential, ("accept", json())];
    if body.is_some() {
        headers.push(("content-type", json()));
    }
    Request {
        operation,
        method: if body.is_some() {
            Method::Post
        } else {
            Method::Get
        },
        url,
        headers,
        body: body.map(|body| body.to_string().into_bytes()),
        deadline: retry::policy(operation).deadline,
        max_response_bytes: MAX_ANSWER_BYTES,
    }
}

/// Reads a successful answer. Its own `code`, 100 or 1000, says no more than the status does.
pub(super) fn read<T: DeserializeOwned>(operation: &str, outcome: Outcome) -> Result<T, CallError> {
    let response = success(operation, outcome)?;
    serde_json::from_slice(&response.body).map_err(|error| {
        // The error's own words may quote a token.
        let reason = format!(
            "an answer that is not the expected JSON (line {}, column {})",
            error.line(),
            error.column()
        );
        CallError::unreadable(operation, response.status, &reason)
    })
}

#[cfg(test)]
mod tests;
