//! Sessions and avatars as the vendor shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::refusals::{coded, extra, invalid, wrong};
use crate::answer::Answer;
use crate::avatar::{AvatarProvider, Avatars, Session};

/// Pages are no longer than this.
const LONGEST_PAGE: u64 = 100;
const DEFAULT_PAGE: u64 = 20;
/// The avatar everybody sees in the list.
const PUBLIC_AVATAR: &str = "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a";

/// The envelope of every success. The schema says 100 for the code, the vendor's own client wants 1000.
pub(super) fn ok(status: u16, message: &str, data: &Value) -> Answer {
    Answer::json(
        status,
        &json!({ "code": 1000, "data": data, "message": message }),
    )
}

pub(super) fn started(session: &Session, socket_origin: &str) -> Value {
    let terms = session.terms();
    json!({
        "session_id": terms.id,
        "livekit_url": format!("{socket_origin}/livekit"),
        "livekit_client_token": terms.viewer_token,
        "livekit_agent_token": format!("{}.agent", terms.viewer_token),
        "max_session_duration": terms.longest.as_secs(),
        "ws_url": format!("{socket_origin}/v2-alpha/interactive-avatar/session/{}", terms.id),
    })
}

/// A session in a list.
pub(super) fn entry(session: &Session, now: Timestamp) -> Value {
    let terms = session.terms();
    let ended = session.ended();
    let until = ended.map_or(now, |ended| ended.at);
    let started_at = session.started_at().unwrap_or(until);
    let mut entry = json!({
        "id": terms.id, "created_at": session.created_at().to_string(), "updated_at": until.to_string(),
        "duration": until.duration_since(started_at).as_secs(), "source": "API", "mode": "LITE",
        "is_sandbox": terms.free, "credits_consumed": f64::from(session.credits()),
    });
    if let Some(ended) = ended {
        entry["end_at"] = ended.at.to_string().into();
        entry["end_reason"] = ended.reason.name().into();
    }
    entry
}

/// The sessions of one type, newest first.
pub(super) fn list(avatars: &Avatars, query: &str, now: Timestamp) -> Result<Answer, Answer> {
    let page = Page::read(query, &["type", "avatar_id", "embed_id", "context_id"])?;
    let active = match page.value("type") {
        Some("active") => true,
        Some("historic") => false,
        Some(_) => {
            let text = "Input should be 'active' or 'historic'";
            return Err(invalid(&[wrong(&["query", "type"], "enum", text)]));
        }
        None => {
            return Err(invalid(&[wrong(
                &["query", "type"],
                "missing",
                "Field required",
            )]));
        }
    };
    let sessions = avatars.streams().iter().rev().filter_map(|stream| {
        let session = stream.lock();
        let terms = session.terms();
        let listed = terms.provider == AvatarProvider::LiveAvatar
            && session.started_at().is_some()
            && session.is_live() == active
            && page
                .value("avatar_id")
                .is_none_or(|avatar| avatar == terms.avatar);
        listed.then(|| entry(&session, now))
    });
    Ok(page.answer(sessions.collect()))
}

pub(super) fn avatars(query: &str) -> Answer {
    match Page::read(query, &[]) {
        Ok(page) => page.answer(vec![avatar(PUBLIC_AVATAR)]),
        Err(refusal) => refusal,
    }
}

pub(super) fn avatar(id: &str) -> Value {
    json!({ "id": id, "type": "VIDEO", "status": "ACTIVE", "name": "Wayne", "is_expired": false,
        "is_1080p": false, "created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:00:00Z",
        "error_message": "" })
}

/// A query for one page of something.
struct Page {
    pairs: Vec<(String, String)>,
    number: u64,
    size: u64,
}

impl Page {
    fn read(query: &str, known: &[&str]) -> Result<Self, Answer> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let own = ["page", "page_size"];
        let unknown = pairs
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()) && !own.contains(&name.as_str()));
        if let Some((name, _)) = unknown {
            return Err(invalid(&[extra(&["query", name])]));
        }
        let mut page = Self {
            pairs,
            number: 1,
            size: DEFAULT_PAGE,
        };
        page.number = page.whole_number("page", 1, u64::MAX, 1)?;
        page.size = page.whole_number("page_size", 1, LONGEST_PAGE, DEFAULT_PAGE)?;
        Ok(page)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn whole_number(&self, name: &str, min: u64, max: u64, default: u64) -> Result<u64, Answer> {
        let Some(text) = self.value(name) else {
            return Ok(default);
        };
        let number = text
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| {
            let text = format!("Input should be a number from {min} to {max}");
            invalid(&[wrong(&["query", name], "int_parsing", &text)])
        })
    }

    fn answer(&self, entries: Vec<Value>) -> Answer {
        let count = entries.len();
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let skipped = usize::try_from(self.number - 1)
            .unwrap_or(usize::MAX)
            .saturating_mul(size);
        if skipped > 0 && skipped >= count {
            return coded(404, "Invalid page");
        }
        let results: Vec<Value> = entries.into_iter().skip(skipped).take(size).collect();
        let neighbour = |number: u64| format!("?page={number}&page_size={}", self.size);
        let next = (skipped + results.len() < count).then(|| neighbour(self.number + 1));
        let previous = (self.number > 1).then(|| neighbour(self.number - 1));
        ok(
            200,
            "ok",
            &json!({ "count": count, "next": next, "previous": previous, "results": results }),
        )
    }
}
