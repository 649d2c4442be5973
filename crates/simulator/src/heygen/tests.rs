//! The calls, as the vendor answers them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Tokens;
use crate::answer::Request;
use crate::avatar::tests::Desk;
use crate::avatar::{AvatarHabits, AvatarSession, AvatarUtteranceState};
use crate::operation::route;

const KEY: (&str, &str) = ("x-api-key", "fake-heygen-key");

struct Account {
    desk: Desk,
    tokens: Tokens,
}

impl Account {
    fn new(habits: AvatarHabits) -> Self {
        Self {
            desk: Desk::new(habits),
            tokens: Tokens::new(7),
        }
    }

    fn call(&mut self, path: &str, header: (&str, &str), body: &Value) -> (u16, Value) {
        let method = if path.contains(".list") {
            "GET"
        } else {
            "POST"
        };
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = format!("/heygen{path}").parse().unwrap();
        let name: axum::http::HeaderName = header.0.parse().unwrap();
        request
            .headers_mut()
            .insert(name, header.1.parse().unwrap());
        let found = route(request.method(), request.uri().path()).unwrap();
        let desk = &mut self.desk;
        desk.avatars.tick(desk.now);
        let state = (&mut desk.avatars, &mut self.tokens);
        let answer = super::handle(state, found.operation, &request, None, None, desk.now);
        (
            answer.status.as_u16(),
            serde_json::from_slice(&answer.body).unwrap(),
        )
    }

    fn post(&mut self, call: &str, body: &Value) -> (u16, Value) {
        self.call(&format!("/v1/streaming.{call}"), KEY, body)
    }

    fn made(&mut self) -> Value {
        let (status, body) = self.post("new", &json!({ "version": "v2", "quality": "high",
            "avatar_id": "Ada_public", "source": "attache meeting_id:mtg_1", "activity_idle_timeout": 300 }));
        assert_eq!((status, &body["code"]), (200, &json!(100)), "{body}");
        json!({ "session_id": body["data"]["session_id"] })
    }

    /// A session whose avatar has appeared.
    fn connected(&mut self) -> Value {
        let session = self.made();
        assert_eq!(self.post("start", &session).0, 200);
        self.desk.now += Duration::from_millis(50);
        session
    }

    fn view(&mut self) -> AvatarSession {
        self.desk.avatars.tick(self.desk.now);
        self.desk.avatars.streams()[0].lock().view(self.desk.now)
    }
}

fn task(session: &Value, kind: &str, text: &str) -> Value {
    json!({ "session_id": session["session_id"], "text": text, "task_type": kind, "task_mode": "async" })
}

#[test]
fn a_session_goes_from_new_to_closed() {
    let mut account = Account::new(AvatarHabits::default());
    let session = account.made();
    let status = |account: &mut Account| {
        let (_, list) = account.call("/v1/streaming.list", KEY, &Value::Null);
        list["data"]["sessions"][0]["status"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(status(&mut account).as_deref(), Some("new"));
    assert_eq!(
        account.post("task", &task(&session, "repeat", "Hi.")).1["code"],
        10_001
    );
    account.post("start", &session);
    assert_eq!(status(&mut account).as_deref(), Some("connecting"));
    assert_eq!(
        account.post("task", &task(&session, "repeat", "Hi.")).1["code"],
        10_002
    );
    account.desk.now += Duration::from_millis(50);
    assert_eq!(status(&mut account).as_deref(), Some("connected"));
    assert_eq!(account.post("start", &session).1["code"], 10_003);
    assert_eq!(account.post("keep_alive", &session).0, 200);
    assert_eq!(account.post("stop", &session).0, 200);
    assert_eq!(account.post("stop", &session).1["code"], 10_005);
    assert_eq!(status(&mut account), None);
    assert_eq!(account.view().meeting_id.as_deref(), Some("mtg_1"));
}

#[test]
fn a_text_is_repeated_word_for_word_or_answered_in_its_own_words() {
    let mut account = Account::new(AvatarHabits::default());
    let session = account.connected();
    let (status, body) = account.post("task", &task(&session, "repeat", "Hi, this is Ada."));
    assert_eq!(status, 200);
    let takes = body["data"]["duration_ms"].as_f64().unwrap();
    account.desk.now += Duration::from_secs_f64(takes / 1000.0 + 0.21);
    assert_eq!(
        account.view().utterances[0].state,
        AvatarUtteranceState::Spoken
    );
    assert_eq!(
        account.view().utterances[0].event_id.as_deref(),
        body["data"]["task_id"].as_str()
    );
    account.post("task", &task(&session, "talk", "What is the weather like?"));
    account.desk.now += Duration::from_secs(1);
    assert_eq!(account.post("interrupt", &session).0, 200);
    let said = account.view().utterances;
    assert_eq!(said[0].text.as_deref(), Some("Hi, this is Ada."));
    assert_eq!(said[1].text.as_deref(), Some(super::OWN_WORDS));
    assert_eq!(said[1].state, AvatarUtteranceState::Interrupted);
    assert_eq!(account.post("start_listening", &session).0, 200);
    assert_eq!(account.view().state, "listening");
    assert_eq!(account.post("stop_listening", &session).0, 200);
}

#[test]
fn what_is_wrong_is_refused() {
    let mut account = Account::new(AvatarHabits::default());
    let session = account.connected();
    let long = "x".repeat(1001);
    for (call, body, status) in [
        ("new", json!({ "quality": "high" }), 400),
        ("new", json!({ "version": "v2", "quality": "best" }), 400),
        ("new", json!({ "version": "v2", "avatar": "Ada" }), 400),
        (
            "new",
            json!({ "version": "v2", "activity_idle_timeout": 5 }),
            400,
        ),
        (
            "new",
            json!({ "version": "v2", "voice": { "rate": 3 } }),
            400,
        ),
        ("task", task(&session, "repeat", &long), 400),
        ("task", task(&session, "shout", "Hi."), 400),
        ("task", json!({ "session_id": session["session_id"] }), 400),
        ("stop", json!({ "session_id": "nobody" }), 404),
        ("stop", json!({}), 400),
    ] {
        let (answered, answer) = account.post(call, &body);
        assert_eq!(answered, status, "{call} {body} {answer}");
        assert!(answer["message"].is_string());
    }
    let unauthorized = (401, json!({ "code": 400_112, "message": "Unauthorized" }));
    let wrong = ("x-api-key", "fake-liveavatar-key");
    assert_eq!(
        account.call("/v1/streaming.stop", wrong, &session),
        unauthorized
    );
    assert_eq!(
        account.call("/v1/streaming.new", wrong, &json!({ "version": "v2" })),
        unauthorized
    );
}

#[test]
fn a_token_makes_one_session_and_commands_it_alone() {
    let mut account = Account::new(AvatarHabits::default());
    let (_, body) = account.post("create_token", &json!({}));
    let bearer = format!("Bearer {}", body["data"]["token"].as_str().unwrap());
    let bearer = ("authorization", bearer.as_str());
    let wanted = json!({ "version": "v2" });
    let (status, made) = account.call("/v1/streaming.new", bearer, &wanted);
    assert_eq!(status, 200);
    assert_eq!(account.call("/v1/streaming.new", bearer, &wanted).0, 401);
    let own = json!({ "session_id": made["data"]["session_id"] });
    let other = account.made();
    assert_eq!(account.call("/v1/streaming.stop", bearer, &other).0, 401);
    assert_eq!(account.call("/v1/streaming.stop", bearer, &own).0, 200);
}

#[test]
fn limits_refuse_a_new_session_and_silence_ends_one() {
    let mut account = Account::new(AvatarHabits {
        concurrency: Some(1),
        ..AvatarHabits::default()
    });
    account.connected();
    let (status, body) = account.post("new", &json!({ "version": "v2" }));
    assert_eq!((status, &body["code"]), (400, &json!(10_007)));
    account.desk.avatars.streams()[0]
        .lock()
        .watch(account.desk.now);
    account.desk.now += Duration::from_secs(299);
    let (_, list) = account.call("/v2/streaming.list?page_size=1", KEY, &Value::Null);
    assert_eq!(
        (&list["total"], &list["data"][0]["duration"]),
        (&json!(1), &json!(299))
    );
    account.desk.now += Duration::from_secs(1);
    assert!(!account.view().is_live());
}
