//! The calls around a session: requests as values, and readers of their answers.
//!
//! Reference: <https://docs.liveavatar.com/api-reference/sessions>.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::{
    http::{CallError, FailureKind, HeaderValue, Outcome, Request},
    secret::Secret,
    vendors::avatar::{
        self, ActivePage, ActiveSession, AvatarOptions, AvatarProvider, AvatarSession,
        AvatarSessionId, Grant, Opening, PageToken, Viewer,
    },
};

const CREATE_TOKEN: &str = "liveavatar.create_token";
const START: &str = "liveavatar.start";
const KEEP_ALIVE: &str = "liveavatar.keep_alive";
const LIST_ACTIVE: &str = "liveavatar.list_active";
const GET_SESSION: &str = "liveavatar.get_session";

/// The vendor's largest page.
const PAGE_SIZE: &str = "100";
/// What may stand in a path segment unencoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Builds requests under one key.
#[derive(Clone, Debug)]
pub struct LiveAvatarClient {
    base_url: String,
    api_key: Secret,
}

/// The envelope of every answer.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Token {
    session_id: AvatarSessionId,
    session_token: String,
}

/// A started session. The vendor requires only the first two of itself, but without a socket it cannot speak.
#[derive(Deserialize)]
struct Started {
    livekit_url: String,
    livekit_client_token: String,
    ws_url: Option<String>,
    max_session_duration: Option<u64>,
}

#[derive(Deserialize)]
struct Page {
    results: Vec<Entry>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    id: AvatarSessionId,
    created_at: Option<Timestamp>,
    /// Only what is over has them.
    end_at: Option<Value>,
    end_reason: Option<Value>,
}

impl LiveAvatarClient {
    pub(in crate::vendors) const STOP: &str = "liveavatar.stop";

    /// Takes the base URL, `/v1` included, and a key.
    pub fn new(base_url: &str, api_key: Secret) -> Self {
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key,
        }
    }

    pub(in crate::vendors) fn open(&self, options: &AvatarOptions) -> Request {
        let mut body = json!({
            "mode": "LITE",
            "avatar_id": options.avatar_id,
            "video_settings": {
                "quality": options.quality.as_str(),
                "encoding": options.encoding.as_str(),
            },
        });
        if options.sandbox {
            body["is_sandbox"] = json!(true);
        }
        if let Some(longest) = options.max_duration {
            body["max_session_duration"] = json!(longest.as_secs());
        }
        self.post(CREATE_TOKEN, "/sessions/token", &body)
    }

    pub(in crate::vendors) fn opened(outcome: Outcome) -> Result<Opening, CallError> {
        let Answer { data }: Answer<Token> = avatar::read(CREATE_TOKEN, outcome)?;
        Ok(Opening {
            provider: AvatarProvider::LiveAvatar,
            session_id: data.session_id,
            grant: Grant::Token {
                token: Secret::new(data.session_token),
            },
        })
    }

    /// Starts by the session's own token: with the key the vendor would refuse it.
    pub(in crate::vendors) fn start(&self, opening: &Opening) -> Request {
        let token = match &opening.grant {
            Grant::Token { token } => token.expose(),
            // An opening of the other vendor's; it is refused there.
            Grant::Room { .. } => "",
        };
        let bearer = HeaderValue::Secret(Secret::new(format!("Bearer {token}")));
        let url = format!("{}/sessions/start", self.base_url);
        avatar::request(START, url, ("authorization", bearer), Some(&json!({})))
    }

    pub(in crate::vendors) fn started(
        opening: &Opening,
        outcome: Outcome,
    ) -> Result<AvatarSession, CallError> {
        let status = outcome.as_ref().map_or(0, |response| response.status);
        let Answer { data }: Answer<Started> = avatar::read(START, outcome)?;
        let Some(socket_url) = data.ws_url.filter(|url| !url.is_empty()) else {
            let reason = "a session without a socket, which cannot be made to speak";
            return Err(CallError::unreadable(START, status, reason));
        };
        Ok(AvatarSession {
            provider: opening.provider,
            session_id: opening.session_id.clone(),
            viewer: Viewer {
                url: data.livekit_url,
                token: Secret::new(data.livekit_client_token),
            },
            socket_url: Some(Secret::new(socket_url)),
            max_seconds: data.max_session_duration,
        })
    }

    /// Stops by our key, which does not expire as the session's token may.
    pub(in crate::vendors) fn stop(&self, session: &AvatarSessionId) -> Request {
        let body = json!({"session_id": session, "reason": "USER_CLOSED"});
        self.post(Self::STOP, "/sessions/stop", &body)
    }

    pub(in crate::vendors) fn keep_alive(&self, session: &AvatarSessionId) -> Request {
        let body = json!({"session_id": session});
        self.post(KEEP_ALIVE, "/sessions/keep-alive", &body)
    }

    pub(in crate::vendors) fn list_active(&self, page: Option<&PageToken>) -> Request {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("type", "active")
            .append_pair("page", page.map_or("1", |page| &page.0))
            .append_pair("page_size", PAGE_SIZE)
            .finish();
        self.get(LIST_ACTIVE, &format!("/sessions?{query}"))
    }

    pub(in crate::vendors) fn active(outcome: Outcome) -> Result<ActivePage, CallError> {
        let Answer { data }: Answer<Page> = avatar::read(LIST_ACTIVE, outcome)?;
        Ok(ActivePage {
            sessions: data.results.into_iter().filter_map(Entry::live).collect(),
            next: data.next.as_deref().and_then(page_token),
        })
    }

    pub(in crate::vendors) fn get_session(&self, session: &AvatarSessionId) -> Request {
        let id = utf8_percent_encode(&session.0, SEGMENT);
        self.get(GET_SESSION, &format!("/sessions/{id}"))
    }

    pub(in crate::vendors) fn session(
        outcome: Outcome,
    ) -> Result<Option<ActiveSession>, CallError> {
        match avatar::read::<Answer<Entry>>(GET_SESSION, outcome) {
            Ok(Answer { data }) => Ok(data.live()),
            Err(error) if error.kind == FailureKind::SessionGone => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn post(&self, operation: &'static str, path: &str, body: &Value) -> Request {
        let url = format!("{}{path}", self.base_url);
        avatar::request(operation, url, self.key(), Some(body))
    }

    fn get(&self, operation: &'static str, path: &str) -> Request {
        let url = format!("{}{path}", self.base_url);
        avatar::request(operation, url, self.key(), None)
    }

    fn key(&self) -> (&'static str, HeaderValue) {
        ("x-api-key", HeaderValue::Secret(self.api_key.clone()))
    }
}

impl Entry {
    fn live(self) -> Option<ActiveSession> {
        let over = self.end_at.is_some() || self.end_reason.is_some();
        (!over).then_some(ActiveSession {
            id: self.id,
            created_at: self.created_at,
            avatar_id: None,
        })
    }
}

/// The next page's number, out of its address, which may be relative.
fn page_token(next: &str) -> Option<PageToken> {
    let base = Url::parse("https://relative.invalid").ok()?;
    let url = base.join(next).ok()?;
    let (_, page) = url.query_pairs().find(|(name, _)| name == "page")?;
    let number: u32 = page.parse().ok()?;
    Some(PageToken(number.to_string()))
}
