//! `LiveAvatar` in LITE mode as a model: requests and the time in, answers out.
//!
//! What a session is made to say comes on its socket, see `avatar`.

mod refusals;
#[cfg(test)]
mod tests;
mod token;
mod views;

use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::refusals::for_status;
use self::refusals::{coded, invalid};
use crate::answer::{Answer, Request};
use crate::avatar::{AvatarEnd, AvatarProvider, Avatars, NotStarted, Stream, bearer};
use crate::deepgram::Side;
use crate::operation::{Operation, Route};

/// Answers a call. `forced` replaces the call's own work and its answer; `meeting_id` is the meeting a
/// new session is for, where that is known.
pub(crate) fn handle(
    avatars: &mut Avatars,
    route: &Route,
    request: &Request,
    forced: Option<Answer>,
    meeting_id: Option<String>,
    now: Timestamp,
) -> Answer {
    let desk = Desk {
        avatars,
        request,
        forced,
        now,
    };
    desk.answer(route, meeting_id)
        .unwrap_or_else(|refusal| refusal)
}

struct Desk<'a> {
    avatars: &'a mut Avatars,
    request: &'a Request,
    forced: Option<Answer>,
    now: Timestamp,
}

/// Who may speak for a session.
enum Caller {
    Key,
    Session(Arc<Stream>),
}

impl Desk<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only this vendor's calls come here"
    )]
    fn answer(mut self, route: &Route, meeting_id: Option<String>) -> Result<Answer, Answer> {
        match route.operation {
            Operation::LiveAvatarPublicAvatars => Ok(self
                .forced()
                .unwrap_or_else(|| views::avatars(self.query()))),
            Operation::LiveAvatarToken => {
                self.need_key()?;
                let body = self.body()?;
                self.done_by_force()?;
                self.token(&body, meeting_id)
            }
            Operation::LiveAvatarStart => {
                let stream = self.need_session()?;
                self.done_by_force()?;
                self.start(&stream)
            }
            Operation::LiveAvatarStop => {
                let stream = self.named_session()?;
                self.done_by_force()?;
                self.stop(&stream)
            }
            Operation::LiveAvatarKeepAlive => {
                let stream = self.named_session()?;
                self.done_by_force()?;
                self.keep_alive(&stream)
            }
            operation => {
                self.need_key()?;
                self.done_by_force()?;
                self.look_up(operation, &route.id)
            }
        }
    }

    /// The answer that a fault asks for.
    fn forced(&mut self) -> Option<Answer> {
        self.forced.take()
    }

    /// Ends the call with the answer that a fault asks for.
    fn done_by_force(&mut self) -> Result<(), Answer> {
        self.forced().map_or(Ok(()), Err)
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    fn body(&self) -> Result<Value, Answer> {
        if self.request.body().is_empty() {
            return Ok(json!({}));
        }
        let read = serde_json::from_slice(self.request.body());
        read.map_err(|_| {
            invalid(&[refusals::wrong(
                &["body"],
                "json_invalid",
                "JSON decode error",
            )])
        })
    }

    fn has_key(&self) -> Result<bool, Answer> {
        match self.headers().get("x-api-key") {
            None => Ok(false),
            Some(key)
                if key.as_bytes() == self.avatars.settings().liveavatar_api_key.as_bytes() =>
            {
                Ok(true)
            }
            Some(_) => Err(coded(401, "Invalid API key")),
        }
    }

    fn need_key(&self) -> Result<(), Answer> {
        if self.has_key()? {
            Ok(())
        } else {
            Err(refusals::not_authenticated())
        }
    }

    fn bearer_session(&self) -> Result<Option<Arc<Stream>>, Answer> {
        let Some(token) = bearer(self.headers()) else {
            return Ok(None);
        };
        let stream = self.avatars.by_session_token(token).cloned();
        stream
            .map(Some)
            .ok_or_else(|| coded(401, "Invalid session token"))
    }

    fn need_session(&self) -> Result<Arc<Stream>, Answer> {
        self.bearer_session()?
            .ok_or_else(refusals::not_authenticated)
    }

    fn caller(&self) -> Result<Caller, Answer> {
        if self.has_key()? {
            return Ok(Caller::Key);
        }
        Ok(Caller::Session(self.need_session()?))
    }

    /// The session that the body names, if the caller may speak for it, or the caller's own.
    fn named_session(&self) -> Result<Arc<Stream>, Answer> {
        let caller = self.caller()?;
        let body = self.body()?;
        let named = body.get("session_id").filter(|id| !id.is_null());
        let named = match named {
            None => None,
            Some(Value::String(id)) if token::is_uuid(id) => Some(id.as_str()),
            Some(_) => return Err(invalid(&[token::not_a_uuid(&["body", "session_id"])])),
        };
        match (caller, named) {
            (Caller::Session(own), None) => Ok(own),
            (Caller::Session(own), Some(id)) if own.lock().id() == id => Ok(own),
            (Caller::Session(_), Some(_)) => Err(refusals::not_authenticated()),
            (Caller::Key, Some(id)) => self.session(id),
            (Caller::Key, None) => Err(coded(400, "session_id is required")),
        }
    }

    fn session(&self, id: &str) -> Result<Arc<Stream>, Answer> {
        let found = self.avatars.by_id(id).filter(|stream| {
            let session = stream.lock();
            session.terms().provider == AvatarProvider::LiveAvatar && session.started_at().is_some()
        });
        found
            .cloned()
            .ok_or_else(|| coded(404, "Session not found"))
    }

    fn token(&mut self, body: &Value, meeting_id: Option<String>) -> Result<Answer, Answer> {
        let wanted = token::read(body, self.avatars.habits())?;
        let stream = self.avatars.mint(wanted.for_meeting(meeting_id), self.now);
        let session = stream.lock();
        let data =
            json!({ "session_id": session.id(), "session_token": session.terms().session_token });
        Ok(views::ok(200, "Session token created", &data))
    }

    fn start(&mut self, stream: &Arc<Stream>) -> Result<Answer, Answer> {
        if stream.lock().started_at().is_some() {
            return Err(coded(400, "Session has already been started"));
        }
        self.avatars
            .start(stream, self.now)
            .map_err(|refused| match refused {
                NotStarted::TooMany => coded(403, "Session concurrency limit reached"),
                NotStarted::NoCredits => coded(403, "Insufficient credits"),
            })?;
        let data = views::started(&stream.lock(), &self.avatars.settings().socket_origin);
        Ok(views::ok(201, "ok", &data))
    }

    fn stop(&self, stream: &Stream) -> Result<Answer, Answer> {
        let body = self.body()?;
        let name = body.get("reason").and_then(Value::as_str);
        let default = if body.get("session_id").is_some() {
            "UNKNOWN"
        } else {
            "USER_CLOSED"
        };
        let reason = AvatarEnd::parse(name.unwrap_or(default)).ok_or_else(|| {
            invalid(&[refusals::wrong(
                &["body", "reason"],
                "enum",
                "Input should be one of the end reasons",
            )])
        })?;
        only(&body, &["session_id", "reason"])?;
        let mut session = stream.lock();
        if !session.is_live() {
            return Err(coded(400, "Session is already closed"));
        }
        session.end(reason, Side::Client, false, self.now);
        Ok(views::ok(200, "Session stopped", &Value::Null))
    }

    fn keep_alive(&self, stream: &Stream) -> Result<Answer, Answer> {
        only(&self.body()?, &["session_id"])?;
        let mut session = stream.lock();
        if !session.is_live() {
            return Err(coded(400, "Session is already closed"));
        }
        session.keep_alive(self.now);
        Ok(views::ok(200, "ok", &Value::Null))
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only this vendor's calls come here"
    )]
    fn look_up(&self, operation: Operation, id: &str) -> Result<Answer, Answer> {
        match operation {
            Operation::LiveAvatarList => views::list(self.avatars, self.query(), self.now),
            Operation::LiveAvatarGet => {
                let stream = self.session(id)?;
                let entry = views::entry(&stream.lock(), self.now);
                Ok(views::ok(200, "ok", &entry))
            }
            Operation::LiveAvatarTranscript => {
                let active = self.session(id)?.lock().is_live();
                let data = json!({ "session_active": active, "next_timestamp": null, "transcript_data": [] });
                Ok(views::ok(200, "ok", &data))
            }
            Operation::LiveAvatarDeleteEvents => {
                self.session(id)?;
                Ok(views::ok(200, "ok", &Value::Null))
            }
            Operation::LiveAvatarAvatars => Ok(views::avatars(self.query())),
            Operation::LiveAvatarAvatar => {
                if !token::is_uuid(id)
                    || self
                        .avatars
                        .habits()
                        .unknown_avatars
                        .iter()
                        .any(|unknown| unknown == id)
                {
                    return Err(coded(404, "Avatar not found"));
                }
                Ok(views::ok(200, "ok", &views::avatar(id)))
            }
            _ => {
                let left = self
                    .avatars
                    .habits()
                    .credits
                    .map_or_else(|| "1000".to_owned(), |left| left.to_string());
                Ok(views::ok(200, "ok", &json!({ "credits_left": left })))
            }
        }
    }
}

/// Refuses fields nobody knows, so that a typo shows.
fn only(body: &Value, known: &[&str]) -> Result<(), Answer> {
    let errors: Vec<Value> = body
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, _)| refusals::extra(&["body", name]))
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(invalid(&errors))
    }
}
