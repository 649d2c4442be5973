//! `HeyGen`'s streaming API, version 1, as a model: requests and the time in, answers out.
//!
//! A session is made by `streaming.new` and costs from there; `streaming.start` lets the avatar
//! appear. What it says comes as text and is spoken in the simulator's own voice.

mod new;
mod refusals;
#[cfg(test)]
mod tests;
mod views;

use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::refusals::for_status;
use self::refusals::{refuse, wrong};
use crate::answer::{Answer, Request};
use crate::audio::speech;
use crate::avatar::{
    AvatarEnd, AvatarProvider, Avatars, NotStarted, SAMPLE_RATE, Session, Stream, bearer, lasts,
};
use crate::deepgram::Side;
use crate::operation::Operation;
use crate::recall::ids::Ids;

/// Users report this limit.
const LONGEST_TEXT: usize = 1000;
/// What the avatar says when it is asked to make up an answer of its own.
const OWN_WORDS: &str = "That is a good question. Let me think about it.";

/// Tokens that were handed out and not used yet.
#[derive(Debug)]
pub(crate) struct Tokens {
    ids: Ids,
    unused: Vec<String>,
}

impl Tokens {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            ids: Ids::new(seed.wrapping_add(4)),
            unused: Vec::new(),
        }
    }

    fn hand_out(&mut self) -> String {
        let token = self.ids.uuid().replace('-', "");
        self.unused.push(token.clone());
        token
    }

    /// Uses a token up.
    fn take(&mut self, token: &str) -> bool {
        let place = self.unused.iter().position(|unused| unused == token);
        place.map(|place| self.unused.remove(place)).is_some()
    }
}

/// Answers a call. `forced` replaces the call's own work and its answer; `meeting_id` is the meeting a
/// new session is for, where that is known.
pub(crate) fn handle(
    (avatars, tokens): (&mut Avatars, &mut Tokens),
    operation: Operation,
    request: &Request,
    forced: Option<Answer>,
    meeting_id: Option<String>,
    now: Timestamp,
) -> Answer {
    let desk = Desk {
        avatars,
        tokens,
        request,
        forced,
        now,
    };
    desk.answer(operation, meeting_id)
        .unwrap_or_else(|refusal| refusal)
}

struct Desk<'a> {
    avatars: &'a mut Avatars,
    tokens: &'a mut Tokens,
    request: &'a Request,
    forced: Option<Answer>,
    now: Timestamp,
}

/// What a session has to be for a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    New,
    Connected,
    Live,
}

impl Desk<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only this vendor's calls come here"
    )]
    fn answer(
        mut self,
        operation: Operation,
        meeting_id: Option<String>,
    ) -> Result<Answer, Answer> {
        match operation {
            Operation::HeyGenCreateToken => {
                self.need_key()?;
                self.done_by_force()?;
                Ok(views::ok(&json!({ "token": self.tokens.hand_out() })))
            }
            Operation::HeyGenNew => {
                let body = self.body()?;
                let by_token = self.may_make_a_session()?;
                self.done_by_force()?;
                self.new_session(&body, by_token, meeting_id)
            }
            Operation::HeyGenList => {
                self.need_key()?;
                self.done_by_force()?;
                Ok(views::list(self.avatars, self.now))
            }
            Operation::HeyGenListV2 => {
                self.need_key()?;
                self.done_by_force()?;
                views::list_v2(
                    self.avatars,
                    self.request.uri().query().unwrap_or_default(),
                    self.now,
                )
            }
            Operation::HeyGenAvatars => {
                self.need_key()?;
                self.done_by_force()?;
                Ok(views::avatars())
            }
            operation => self.command(operation),
        }
    }

    /// Everything that is about one session.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only this vendor's calls come here"
    )]
    fn command(&mut self, operation: Operation) -> Result<Answer, Answer> {
        let body = self.body()?;
        let known: &[&str] = match operation {
            Operation::HeyGenTask => &["session_id", "text", "task_type", "task_mode"],
            _ => &["session_id"],
        };
        if let Some(unknown) = unknown_field(&body, known) {
            return Err(wrong(&format!("{unknown} is not a known field")));
        }
        let needs = match operation {
            Operation::HeyGenStart => Needs::New,
            Operation::HeyGenStop | Operation::HeyGenKeepAlive => Needs::Live,
            _ => Needs::Connected,
        };
        let stream = self.session(&body)?;
        self.done_by_force()?;
        let mut session = stream.lock();
        self.check(&session, needs)?;
        match operation {
            Operation::HeyGenStart => session.begun_at = Some(self.now),
            Operation::HeyGenTask => return task(&mut session, &body, self.now),
            Operation::HeyGenInterrupt => session.interrupt(None, self.now),
            Operation::HeyGenStartListening => session.listen(true, None, self.now),
            Operation::HeyGenStopListening => session.listen(false, None, self.now),
            Operation::HeyGenKeepAlive => session.keep_alive(self.now),
            _ => session.end(AvatarEnd::UserClosed, Side::Client, false, self.now),
        }
        if operation == Operation::HeyGenStart {
            session.touch(self.now);
        }
        Ok(views::ok(&Value::Null))
    }

    /// Ends the call with the answer that a fault asks for.
    fn done_by_force(&mut self) -> Result<(), Answer> {
        self.forced.take().map_or(Ok(()), Err)
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn body(&self) -> Result<Value, Answer> {
        if self.request.body().is_empty() {
            return Ok(json!({}));
        }
        let body: Option<Value> = serde_json::from_slice(self.request.body()).ok();
        body.filter(Value::is_object)
            .ok_or_else(|| wrong("the body is not a JSON object"))
    }

    fn has_key(&self) -> bool {
        let key = self.headers().get("x-api-key");
        key.is_some_and(|key| key.as_bytes() == self.avatars.settings().heygen_api_key.as_bytes())
    }

    fn need_key(&self) -> Result<(), Answer> {
        if self.has_key() {
            Ok(())
        } else {
            Err(refusals::unauthorized())
        }
    }

    /// The token that allows to make one session; none is needed with the key.
    fn may_make_a_session(&mut self) -> Result<Option<String>, Answer> {
        if self.has_key() {
            return Ok(None);
        }
        let token = bearer(self.request.headers()).unwrap_or_default();
        if self.tokens.take(token) {
            Ok(Some(token.to_owned()))
        } else {
            Err(refusals::unauthorized())
        }
    }

    fn session(&self, body: &Value) -> Result<Arc<Stream>, Answer> {
        let own = bearer(self.headers()).and_then(|token| self.avatars.by_session_token(token));
        if !self.has_key() && own.is_none() {
            return Err(refusals::unauthorized());
        }
        let id = body["session_id"]
            .as_str()
            .ok_or_else(|| wrong("session_id is required"))?;
        let found = self.avatars.by_id(id);
        let found = found.filter(|stream| stream.lock().terms().provider == AvatarProvider::HeyGen);
        let found = found.ok_or_else(|| refuse(404, 10_006, "session not found"))?;
        if own.is_some_and(|own| !Arc::ptr_eq(own, found)) && !self.has_key() {
            return Err(refusals::unauthorized());
        }
        Ok(found.clone())
    }

    /// Whether the session is as far as the call needs it to be.
    fn check(&self, session: &Session, needs: Needs) -> Result<(), Answer> {
        let status = views::status(session, self.now);
        let code = match status {
            "new" => 10_001,
            "connecting" => 10_002,
            "connected" => 10_003,
            _ => 10_005,
        };
        let fits = match needs {
            Needs::New => status == "new",
            Needs::Connected => status == "connected",
            Needs::Live => status != "closed",
        };
        if fits {
            Ok(())
        } else {
            Err(refuse(400, code, &format!("session state wrong: {status}")))
        }
    }

    fn new_session(
        &mut self,
        body: &Value,
        by_token: Option<String>,
        meeting_id: Option<String>,
    ) -> Result<Answer, Answer> {
        let wanted = new::read(body, self.avatars.habits(), meeting_id)?;
        let stream = self.avatars.mint(wanted, self.now);
        if let Some(token) = by_token {
            stream.lock().may_be_commanded_with(token);
        }
        self.avatars
            .start(&stream, self.now)
            .map_err(|refused| match refused {
                NotStarted::TooMany => refuse(400, 10_007, "Concurrent limit reached"),
                NotStarted::NoCredits => refuse(400, 10_015, "Quota reached"),
            })?;
        let data = views::made(&stream.lock(), &self.avatars.settings().socket_origin);
        Ok(views::ok(&data))
    }
}

fn task(session: &mut Session, body: &Value, now: Timestamp) -> Result<Answer, Answer> {
    let text = body["text"].as_str().filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| wrong("text is required"))?;
    if text.chars().count() > LONGEST_TEXT {
        return Err(wrong(&format!(
            "text is longer than {LONGEST_TEXT} characters"
        )));
    }
    one_of(body, "task_mode", &["sync", "async"])?;
    one_of(body, "task_type", &["repeat", "talk", "chat"])?;
    let verbatim = body["task_type"] == "repeat";
    let text = if verbatim { text } else { OWN_WORDS };
    let pcm = speech::pcm(text, SAMPLE_RATE);
    let task = session.next_task();
    session.say_text(text, &task, &pcm, now);
    let milliseconds = lasts(pcm.len()).as_secs_f64() * 1000.0;
    Ok(views::ok(
        &json!({ "duration_ms": milliseconds, "task_id": task }),
    ))
}

/// The field's value must be among these, if it is there.
fn one_of(body: &Value, name: &str, choices: &[&str]) -> Result<(), Answer> {
    let value = &body[name];
    if value.is_null() || value.as_str().is_some_and(|value| choices.contains(&value)) {
        return Ok(());
    }
    Err(wrong(&format!("{name} is {value}, not one of {choices:?}")))
}

fn unknown_field<'a>(body: &'a Value, known: &[&str]) -> Option<&'a str> {
    let names = body.as_object()?.keys();
    let mut unknown = names.filter(|name| !known.contains(&name.as_str()));
    unknown.next().map(String::as_str)
}
