//! Sessions and avatars as the vendor shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::refusals::wrong;
use crate::answer::Answer;
use crate::avatar::{AvatarProvider, Avatars, Session};

/// Pages are no longer than this.
const LONGEST_PAGE: usize = 100;
const DEFAULT_PAGE: usize = 10;

/// The envelope of every success.
pub(super) fn ok(data: &Value) -> Answer {
    Answer::json(
        200,
        &json!({ "code": 100, "message": "success", "data": data }),
    )
}

/// How far a session is.
pub(super) fn status(session: &Session, now: Timestamp) -> &'static str {
    let connected = |begun: Timestamp| {
        let after = session.terms().habits.connects_after;
        after.is_some_and(|after| begun + after <= now)
    };
    match session.begun_at {
        _ if !session.is_live() => "closed",
        None => "new",
        Some(begun) if connected(begun) => "connected",
        Some(_) => "connecting",
    }
}

/// What `streaming.new` answers.
pub(super) fn made(session: &Session, socket_origin: &str) -> Value {
    let terms = session.terms();
    json!({
        "session_id": terms.id,
        "url": format!("{socket_origin}/livekit"),
        "access_token": terms.viewer_token,
        "livekit_agent_token": format!("{}.agent", terms.viewer_token),
        "realtime_endpoint": format!("{socket_origin}/v2-alpha/interactive-avatar/session/{}", terms.id),
        "session_duration_limit": terms.longest.as_secs(),
        "is_paid": true,
    })
}

fn live(avatars: &Avatars, entry: impl Fn(&Session) -> Value) -> Vec<Value> {
    let sessions = avatars.streams().iter().rev();
    sessions
        .filter_map(|stream| {
            let session = stream.lock();
            let listed = session.is_live() && session.terms().provider == AvatarProvider::HeyGen;
            listed.then(|| entry(&session))
        })
        .collect()
}

/// The live sessions, as version 1 lists them.
pub(super) fn list(avatars: &Avatars, now: Timestamp) -> Answer {
    let sessions = live(avatars, |session| {
        json!({ "session_id": session.id(), "status": status(session, now),
            "created_at": session.created_at().as_second() })
    });
    ok(&json!({ "sessions": sessions }))
}

/// The live sessions, as version 2 lists them.
pub(super) fn list_v2(avatars: &Avatars, query: &str, now: Timestamp) -> Result<Answer, Answer> {
    let (mut size, mut from) = (DEFAULT_PAGE, 0);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let number: Option<usize> = value.parse().ok();
        match (&*name, number) {
            ("page_size", Some(asked)) if (1..=LONGEST_PAGE).contains(&asked) => size = asked,
            ("token", Some(token)) => from = token,
            _ => return Err(wrong(&format!("{name} cannot be {value}"))),
        }
    }
    let sessions = live(avatars, |session| {
        let started_at = session.started_at().unwrap_or(now);
        json!({ "session_id": session.id(), "status": status(session, now),
            "created_at": session.created_at().as_second(), "api_key_type": "paid",
            "duration": now.duration_since(started_at).as_secs(), "avatar_id": session.terms().avatar,
            "voice_name": "Simulated voice" })
    });
    let total = sessions.len();
    let page: Vec<Value> = sessions.into_iter().skip(from).take(size).collect();
    let next = (from + page.len() < total).then(|| (from + page.len()).to_string());
    Ok(Answer::json(
        200,
        &json!({ "error": null, "total": total,
        "page": from / size + 1, "page_size": size, "next_pagination_token": next, "data": page }),
    ))
}

/// The avatar everybody can use.
pub(super) fn avatars() -> Answer {
    ok(
        &json!([{ "avatar_id": "default", "status": "ACTIVE", "is_public": true,
        "default_voice": "26b2064088674c80b1e5fc5ab1a068eb" }]),
    )
}
