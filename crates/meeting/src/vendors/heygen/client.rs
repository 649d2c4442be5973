//! The calls: requests as values, and readers of their answers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    http::{Advice, CallError, HeaderValue, Outcome, Request},
    secret::Secret,
    vendors::avatar::{
        self, ActivePage, ActiveSession, AvatarOptions, AvatarProvider, AvatarSession,
        AvatarSessionId, Grant, Opening, PageToken, Viewer,
    },
};

const NEW: &str = "heygen.new";
const START: &str = "heygen.start";
const KEEP_ALIVE: &str = "heygen.keep_alive";
const LIST_ACTIVE: &str = "heygen.list_active";
const SPEAK: &str = "heygen.speak";
const REACT: &str = "heygen.react";
const INTERRUPT: &str = "heygen.interrupt";
const START_LISTENING: &str = "heygen.start_listening";
const STOP_LISTENING: &str = "heygen.stop_listening";

/// How long a session lasts with nothing to do: twice the interval of keep-alives, so that a session whose id was
/// lost ends soon.
const IDLE_SECONDS: u64 = 120;
/// As many sessions as an account may have at once.
const PAGE_SIZE: &str = "100";
/// The longest speech that is believed to come of a thousand characters.
const MAX_SPEECH: Duration = Duration::from_mins(10);

/// Something the avatar does while it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gesture {
    /// Nods.
    Nod,
    /// Looks interested.
    Interested,
    /// Looks as if it thought.
    Thinking,
}

impl Gesture {
    fn as_str(self) -> &'static str {
        match self {
            Self::Nod => "nod",
            Self::Interested => "interested",
            Self::Thinking => "thinking",
        }
    }
}

/// A text that the avatar has begun to say, or will when it has said the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenTask {
    /// The vendor's id of it.
    pub task_id: Option<String>,
    /// How long it takes to say, in milliseconds.
    pub duration_ms: u64,
}

/// Builds requests under one key.
#[derive(Clone, Debug)]
pub struct HeyGenClient {
    base_url: String,
    api_key: Secret,
}

/// The envelope of every answer but the list's.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct New {
    session_id: AvatarSessionId,
    url: String,
    access_token: String,
    session_duration_limit: Option<f64>,
}

#[derive(Deserialize)]
struct Task {
    duration_ms: Option<f64>,
    task_id: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Entry>,
    next_pagination_token: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    session_id: AvatarSessionId,
    status: Option<String>,
    /// In seconds since 1970.
    created_at: Option<i64>,
    avatar_id: Option<String>,
}

impl HeyGenClient {
    pub(in crate::vendors) const STOP: &str = "heygen.stop";

    /// Takes the base URL, `/v1` included, and a key.
    pub fn new(base_url: &str, api_key: Secret) -> Self {
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key,
        }
    }

    /// Says a text of at most [`super::MAX_TEXT_CHARACTERS`] after what was given before; see [`super::parts`].
    pub fn speak(&self, session: &AvatarSessionId, text: &str) -> Request {
        let body = json!({
            "session_id": session, "text": text, "task_type": "repeat", "task_mode": "sync",
        });
        self.post(SPEAK, "/streaming.task", &body)
    }

    /// Reads the answer to [`Self::speak`]. A call that may have been obeyed is not to be tried again: it would be
    /// said twice.
    pub fn spoken(outcome: Outcome) -> Result<SpokenTask, CallError> {
        let Answer { data }: Answer<Task> = avatar::read(SPEAK, outcome).map_err(|mut error| {
            if error.maybe_done {
                error.advice = Advice::GiveUp;
            }
            error
        })?;
        let longest = MAX_SPEECH.as_secs_f64() * 1_000.0;
        let ms = data.duration_ms.filter(|ms| ms.is_finite()).unwrap_or(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value is clamped to what fits"
        )]
        let duration_ms = ms.clamp(0.0, longest).round() as u64;
        Ok(SpokenTask {
            task_id: data.task_id,
            duration_ms,
        })
    }

    /// Makes a gesture, while the avatar is silent.
    pub fn react(&self, session: &AvatarSessionId, gesture: Gesture) -> Request {
        let body = json!({
            "session_id": session, "text": gesture.as_str(), "task_type": "talk", "task_mode": "async",
        });
        self.post(REACT, "/streaming.task", &body)
    }

    /// Stops what is being said and drops what is waiting; without effect on an avatar that is silent.
    pub fn interrupt(&self, session: &AvatarSessionId) -> Request {
        self.command(INTERRUPT, "interrupt", session)
    }

    /// Takes the attentive pose.
    pub fn start_listening(&self, session: &AvatarSessionId) -> Request {
        self.command(START_LISTENING, "start_listening", session)
    }

    /// Leaves the attentive pose.
    pub fn stop_listening(&self, session: &AvatarSessionId) -> Request {
        self.command(STOP_LISTENING, "stop_listening", session)
    }

    pub(in crate::vendors) fn open(&self, options: &AvatarOptions) -> Request {
        let mut body = json!({
            "version": "v2",
            "avatar_id": options.avatar_id,
            "quality": options.quality.as_str(),
            "video_encoding": options.encoding.as_str(),
            "disable_idle_timeout": false,
            "activity_idle_timeout": IDLE_SECONDS,
            "source": format!("attache meeting_id:{}", options.reference),
        });
        if let Some(voice) = &options.voice_id {
            body["voice"] = json!({"voice_id": voice, "rate": 1.0});
        }
        self.post(NEW, "/streaming.new", &body)
    }

    pub(in crate::vendors) fn opened(outcome: Outcome) -> Result<Opening, CallError> {
        let Answer { data }: Answer<New> = avatar::read(NEW, outcome)?;
        let limit = data
            .session_duration_limit
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Opening {
            provider: AvatarProvider::HeyGen,
            session_id: data.session_id,
            grant: Grant::Room {
                viewer: Viewer {
                    url: data.url,
                    token: Secret::new(data.access_token),
                },
                max_seconds: limit
                    .map(|limit| limit.as_secs())
                    .filter(|limit| *limit > 0),
            },
        })
    }

    pub(in crate::vendors) fn start(&self, opening: &Opening) -> Request {
        self.command(START, "start", &opening.session_id)
    }

    pub(in crate::vendors) fn started(
        opening: &Opening,
        outcome: Outcome,
    ) -> Result<AvatarSession, CallError> {
        let response = avatar::success(START, outcome)?;
        match &opening.grant {
            Grant::Room {
                viewer,
                max_seconds,
            } => Ok(AvatarSession {
                provider: opening.provider,
                session_id: opening.session_id.clone(),
                viewer: viewer.clone(),
                socket_url: None,
                max_seconds: *max_seconds,
            }),
            Grant::Token { .. } => {
                let reason = "the session was opened at another vendor";
                Err(CallError::unreadable(START, response.status, reason))
            }
        }
    }

    pub(in crate::vendors) fn stop(&self, session: &AvatarSessionId) -> Request {
        self.command(Self::STOP, "stop", session)
    }

    pub(in crate::vendors) fn keep_alive(&self, session: &AvatarSessionId) -> Request {
        self.command(KEEP_ALIVE, "keep_alive", session)
    }

    pub(in crate::vendors) fn list_active(&self, page: Option<&PageToken>) -> Request {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("page_size", PAGE_SIZE);
        if let Some(page) = page {
            query.append_pair("token", &page.0);
        }
        // Only its second version tells of more than the first page.
        let host = self.base_url.strip_suffix("/v1").unwrap_or(&self.base_url);
        let url = format!("{host}/v2/streaming.list?{}", query.finish());
        avatar::request(LIST_ACTIVE, url, self.key(), None)
    }

    pub(in crate::vendors) fn active(outcome: Outcome) -> Result<ActivePage, CallError> {
        let page: Page = avatar::read(LIST_ACTIVE, outcome)?;
        let next = page.next_pagination_token.filter(|next| !next.is_empty());
        Ok(ActivePage {
            sessions: page.data.into_iter().filter_map(Entry::live).collect(),
            next: next.map(PageToken),
        })
    }

    fn command(&self, operation: &'static str, name: &str, session: &AvatarSessionId) -> Request {
        let path = format!("/streaming.{name}");
        self.post(operation, &path, &json!({"session_id": session}))
    }

    fn post(&self, operation: &'static str, path: &str, body: &Value) -> Request {
        let url = format!("{}{path}", self.base_url);
        avatar::request(operation, url, self.key(), Some(body))
    }

    fn key(&self) -> (&'static str, HeaderValue) {
        ("x-api-key", HeaderValue::Secret(self.api_key.clone()))
    }
}

impl Entry {
    fn live(self) -> Option<ActiveSession> {
        let over = matches!(self.status.as_deref(), Some("closing" | "closed"));
        (!over).then(|| ActiveSession {
            id: self.session_id,
            created_at: self
                .created_at
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
            avatar_id: self.avatar_id,
        })
    }
}
