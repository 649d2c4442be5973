//! Both vendors through the one interface, with the vendors' own sample answers.

use serde_json::{Value, json};

use super::*;
use crate::{
    http::{Advice, Response, RetryAfter, TransportError},
    retry::{self, is_listed},
    secret::Secret,
    vendors::heygen::Gesture,
};

const SESSION: &str = "5b7f6c1e-4a0d-4a57-9d0e-2f6f5f1c8a10";

const TOKEN_ANSWER: &str = r#"{"code":1000,"message":"Session token created","data":{
    "session_id":"5b7f6c1e-4a0d-4a57-9d0e-2f6f5f1c8a10","session_token":"fake-session-token"}}"#;
const START_ANSWER: &str = r#"{"code":1000,"message":"ok","data":{
    "session_id":"5b7f6c1e-4a0d-4a57-9d0e-2f6f5f1c8a10",
    "livekit_url":"wss://example.livekit.cloud",
    "livekit_client_token":"fake-viewer-token","livekit_agent_token":"fake-agent-token",
    "max_session_duration":1200,
    "ws_url":"wss://sockets.example.com/v2-alpha/interactive-avatar/session/fake-path"}}"#;
const NEW_ANSWER: &str = r#"{"code":100,"message":"success","data":{
    "session_id":"5b7f6c1e-4a0d-4a57-9d0e-2f6f5f1c8a10",
    "url":"wss://example.livekit.cloud",
    "access_token":"fake-viewer-token",
    "livekit_agent_token":"fake-agent-token",
    "realtime_endpoint":"wss://sockets.example.com/v2-alpha/interactive-avatar/session/fake-path",
    "session_duration_limit":600,"is_paid":false}}"#;

fn liveavatar() -> AvatarVendor {
    AvatarVendor::LiveAvatar(LiveAvatarClient::new(
        "https://api.liveavatar.com/v1/",
        Secret::new("fake-key"),
    ))
}

fn heygen() -> AvatarVendor {
    AvatarVendor::HeyGen(HeyGenClient::new(
        "https://api.heygen.com/v1",
        Secret::new("fake-key"),
    ))
}

fn both() -> [AvatarVendor; 2] {
    [liveavatar(), heygen()]
}

fn options() -> AvatarOptions {
    AvatarOptions {
        avatar_id: "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a".to_owned(),
        voice_id: Some("voice_1".to_owned()),
        quality: VideoQuality::High,
        encoding: VideoEncoding::Vp8,
        max_duration: Some(Duration::from_mins(20)),
        sandbox: false,
        reference: "mtg_1".to_owned(),
    }
}

fn id() -> AvatarSessionId {
    AvatarSessionId(SESSION.to_owned())
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is an outcome, as the shell has it"
)]
fn answer(status: u16, body: &str) -> Outcome {
    Ok(Response {
        status,
        body: body.as_bytes().to_vec(),
        ..Response::default()
    })
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(request.body.as_deref().expect("a body")).unwrap()
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    let (_, value) = request.headers.iter().find(|(n, _)| *n == name).unwrap();
    match value {
        HeaderValue::Plain(value) => value,
        HeaderValue::Secret(value) => value.expose(),
    }
}

fn opening(vendor: &AvatarVendor) -> Opening {
    match vendor.provider() {
        AvatarProvider::LiveAvatar => vendor.opened(answer(200, TOKEN_ANSWER)),
        AvatarProvider::HeyGen => vendor.opened(answer(200, NEW_ANSWER)),
    }
    .unwrap()
}

fn session(vendor: &AvatarVendor) -> AvatarSession {
    let started = match vendor.provider() {
        AvatarProvider::LiveAvatar => answer(201, START_ANSWER),
        AvatarProvider::HeyGen => answer(200, r#"{"code":100,"message":"success","data":null}"#),
    };
    vendor.started(&opening(vendor), started).unwrap()
}

#[test]
fn liveavatar_is_asked_for_a_lite_session_with_our_key() {
    let request = liveavatar().open(&options());
    assert_eq!(request.url, "https://api.liveavatar.com/v1/sessions/token");
    assert_eq!(request.method, Method::Post);
    assert_eq!(header(&request, "x-api-key"), "fake-key");
    assert_eq!(
        body(&request),
        json!({
            "mode": "LITE", "avatar_id": "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a",
            "video_settings": {"quality": "high", "encoding": "VP8"},
            "max_session_duration": 1200,
        })
    );
    let free = AvatarOptions {
        sandbox: true,
        max_duration: None,
        encoding: VideoEncoding::default(),
        ..options()
    };
    assert_eq!(
        body(&liveavatar().open(&free)),
        json!({
            "mode": "LITE", "avatar_id": "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a", "is_sandbox": true,
            "video_settings": {"quality": "high", "encoding": "H264"},
        })
    );
}

#[test]
fn liveavatar_is_started_by_the_sessions_token_and_stopped_by_the_key() {
    let start = liveavatar().start(&opening(&liveavatar()));
    assert_eq!(start.url, "https://api.liveavatar.com/v1/sessions/start");
    assert_eq!(header(&start, "authorization"), "Bearer fake-session-token");
    assert!(start.headers.iter().all(|(name, _)| *name != "x-api-key"));
    assert_eq!(body(&start), json!({}));

    let stop = liveavatar().stop(&id());
    assert_eq!(header(&stop, "x-api-key"), "fake-key");
    assert_eq!(
        body(&stop),
        json!({"session_id": SESSION, "reason": "USER_CLOSED"})
    );
    let keep = liveavatar().keep_alive(&id());
    assert_eq!(
        keep.url,
        "https://api.liveavatar.com/v1/sessions/keep-alive"
    );
    assert_eq!(body(&keep), json!({"session_id": SESSION}));
}

#[test]
fn heygen_is_asked_for_a_session_of_the_second_version() {
    let request = heygen().open(&options());
    assert_eq!(request.url, "https://api.heygen.com/v1/streaming.new");
    assert_eq!(
        body(&request),
        json!({
            "version": "v2", "avatar_id": "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a", "quality": "high",
            "video_encoding": "VP8", "voice": {"voice_id": "voice_1", "rate": 1.0},
            "disable_idle_timeout": false, "activity_idle_timeout": 120,
            "source": "attache meeting_id:mtg_1",
        })
    );
    let start = heygen().start(&opening(&heygen()));
    assert_eq!(start.url, "https://api.heygen.com/v1/streaming.start");
    assert_eq!(header(&start, "x-api-key"), "fake-key");
    assert_eq!(body(&start), json!({"session_id": SESSION}));
}

#[test]
fn a_started_session_has_what_page_and_object_need() {
    for vendor in both() {
        let session = session(&vendor);
        assert_eq!(session.provider, vendor.provider());
        assert_eq!(session.session_id, id());
        assert_eq!(session.viewer.url, "wss://example.livekit.cloud");
        assert!(session.viewer.token.matches("fake-viewer-token"));
    }
    let live = session(&liveavatar());
    assert_eq!(live.max_duration(), Some(Duration::from_mins(20)));
    assert!(
        live.socket_url
            .unwrap()
            .matches("wss://sockets.example.com/v2-alpha/interactive-avatar/session/fake-path")
    );
    let heygen = session(&heygen());
    assert_eq!(heygen.max_duration(), Some(Duration::from_mins(10)));
    assert!(heygen.socket_url.is_none());
}

#[test]
fn a_session_without_a_socket_is_a_failure_that_may_have_happened() {
    let mut without: Value = serde_json::from_str(START_ANSWER).unwrap();
    without["data"].as_object_mut().unwrap().remove("ws_url");
    let outcome = answer(201, &without.to_string());
    let error = liveavatar()
        .started(&opening(&liveavatar()), outcome)
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::UnexpectedAnswer);
    assert_eq!(error.status, Some(201));
    assert!(error.maybe_done);
}

#[test]
fn what_is_stored_comes_back_with_its_secrets_and_printing_shows_none() {
    for vendor in both() {
        let stored = serde_json::to_string(&opening(&vendor)).unwrap();
        let restored: Opening = serde_json::from_str(&stored).unwrap();
        let requests = [&restored, &opening(&vendor)].map(|o| format!("{:?}", vendor.start(o)));
        assert_eq!(requests[0], requests[1]);
        let session = session(&vendor);
        let stored = serde_json::to_string(&session).unwrap();
        let again: AvatarSession = serde_json::from_str(&stored).unwrap();
        assert!(again.viewer.token.matches("fake-viewer-token"));
        assert_eq!(
            again.socket_url.map(|url| url.expose().to_owned()),
            session
                .socket_url
                .as_ref()
                .map(|url| url.expose().to_owned())
        );
        let printed = format!("{vendor:?} {restored:?} {session:?} {requests:?}");
        for secret in [
            "fake-key",
            "fake-session-token",
            "fake-viewer-token",
            "fake-path",
        ] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
    }
}

/// Sessions that an older version stored are read by this one.
#[test]
fn the_stored_form_is_pinned() {
    let stored = serde_json::to_value(opening(&liveavatar())).unwrap();
    assert_eq!(
        stored,
        json!({"provider": "liveavatar", "session_id": SESSION,
            "grant": {"kind": "token", "token": "fake-session-token"}})
    );
    let viewer = json!({"url": "wss://example.livekit.cloud", "token": "fake-viewer-token"});
    assert_eq!(
        serde_json::to_value(opening(&heygen())).unwrap(),
        json!({"provider": "heygen", "session_id": SESSION,
            "grant": {"kind": "room", "viewer": viewer, "max_seconds": 600}})
    );
    assert_eq!(
        serde_json::to_value(session(&heygen())).unwrap(),
        json!({"provider": "heygen", "session_id": SESSION, "viewer": viewer, "socket_url": null,
            "max_seconds": 600})
    );
}

#[test]
fn a_session_that_is_gone_counts_as_stopped() {
    for (vendor, status, said) in [
        (
            liveavatar(),
            200,
            r#"{"code":1000,"data":null,"message":"Session stopped"}"#,
        ),
        (
            liveavatar(),
            404,
            r#"{"code":4004,"data":null,"message":"Session not found"}"#,
        ),
        (
            liveavatar(),
            400,
            r#"{"code":4000,"data":null,"message":"Session is already closed"}"#,
        ),
        (
            heygen(),
            404,
            r#"{"code":10006,"message":"session not found"}"#,
        ),
        (
            heygen(),
            400,
            r#"{"code":10005,"message":"session state wrong: closed"}"#,
        ),
    ] {
        assert_eq!(vendor.stopped(answer(status, said)), Ok(()), "{said}");
    }
    for vendor in both() {
        let refused = vendor.stopped(answer(
            403,
            r#"{"code":4003,"message":"Not authenticated"}"#,
        ));
        assert_eq!(refused.unwrap_err().kind, FailureKind::Unauthorized);
        let error = vendor.stopped(Err(TransportError::Timeout)).unwrap_err();
        let waits = (1..).map_while(|attempt| retry::wait(&error, attempt, 7));
        let all: Duration = waits.sum();
        assert!(
            all > Duration::from_mins(45),
            "stopping is given up after {all:?}"
        );
    }
}

#[test]
fn live_sessions_are_listed_page_by_page() {
    let first = liveavatar().list_active(None);
    assert_eq!(
        first.url,
        "https://api.liveavatar.com/v1/sessions?type=active&page=1&page_size=100"
    );
    assert_eq!((first.method, first.body.as_ref()), (Method::Get, None));
    let entry = json!({"id": SESSION, "created_at": "2026-12-01T12:00:00Z",
        "updated_at": "2026-12-01T12:01:00Z", "duration": 60, "source": "API", "mode": "LITE",
        "is_sandbox": false, "credits_consumed": 1.0});
    let said = json!({"code": 1000, "message": "ok", "data": {"count": 101,
        "next": "?page=2&page_size=100", "previous": null, "results": [entry]}});
    let page = liveavatar().active(answer(200, &said.to_string())).unwrap();
    assert_eq!(page.sessions.len(), 1);
    assert_eq!(page.sessions[0].id, id());
    let second = liveavatar().list_active(page.next.as_ref());
    assert!(second.url.contains("page=2&"), "{}", second.url);
    for (next, expected) in [
        (
            json!("https://api.liveavatar.com/v1/sessions?type=active&page=3"),
            Some("3"),
        ),
        (json!("nonsense"), None),
        (json!(null), None),
    ] {
        let mut said = said.clone();
        said["data"]["next"] = next;
        let page = liveavatar().active(answer(200, &said.to_string())).unwrap();
        assert_eq!(page.next, expected.map(|page| PageToken(page.to_owned())));
    }
}

#[test]
fn heygens_live_sessions_come_from_the_second_version_of_its_list() {
    let first = heygen().list_active(None);
    assert_eq!(
        first.url,
        "https://api.heygen.com/v2/streaming.list?page_size=100"
    );
    let said = json!({"error": null, "total": 3, "page": 1, "page_size": 100,
    "next_pagination_token": "a b", "data": [
        {"session_id": SESSION, "status": "connected", "created_at": 1_796_126_400,
            "api_key_type": "paid", "duration": 7, "avatar_id": "default", "voice_name": "v"},
        {"session_id": "other", "status": "closed", "created_at": 1_796_126_400},
    ]});
    let page = heygen().active(answer(200, &said.to_string())).unwrap();
    assert_eq!(
        page.sessions,
        [ActiveSession {
            id: id(),
            created_at: Some("2026-12-01T12:00:00Z".parse().unwrap()),
            avatar_id: Some("default".to_owned()),
        }]
    );
    let second = heygen().list_active(page.next.as_ref());
    assert!(second.url.ends_with("&token=a+b"), "{}", second.url);

    let info = |id: &str| {
        let id = AvatarSessionId(id.to_owned());
        heygen().info(&id, answer(200, &said.to_string())).unwrap()
    };
    assert!(info(SESSION).is_some());
    assert!(info("other").is_none() && info("unknown").is_none());
}

#[test]
fn a_liveavatar_session_is_live_until_it_has_an_end() {
    let request = liveavatar().session_info(&AvatarSessionId("a/../b".to_owned()));
    assert_eq!(
        request.url,
        "https://api.liveavatar.com/v1/sessions/a%2F%2E%2E%2Fb"
    );
    let mut entry = json!({"code": 100, "data": {"id": SESSION}, "message": "ok"});
    let info = |entry: &Value| {
        let outcome = answer(200, &entry.to_string());
        liveavatar().info(&id(), outcome).unwrap()
    };
    assert_eq!(info(&entry).unwrap().id, id());
    entry["data"]["end_reason"] = json!("IDLE_TIMEOUT");
    assert!(info(&entry).is_none());
    let unknown = answer(
        404,
        r#"{"code":4004,"data":null,"message":"Session not found"}"#,
    );
    assert_eq!(liveavatar().info(&id(), unknown), Ok(None));
    let down = liveavatar().info(&id(), answer(503, ""));
    assert_eq!(down.unwrap_err().kind, FailureKind::Unavailable);
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn refusals_mean_the_same_whoever_the_vendor_is() {
    use FailureKind as Kind;
    let validation = r#"{"detail":[{"loc":["body","LITE","avatar_id"],"msg":"Input should be a valid UUID","type":"uuid_parsing"}]}"#;
    let field = r#"{"detail":[{"loc":["body","LITE","video_settings","quality"],"msg":"Input should be 'high'","type":"enum"}]}"#;
    for (status, said, kind) in [
        (
            401,
            r#"{"code":4001,"data":null,"message":"Invalid API key"}"#,
            Kind::Unauthorized,
        ),
        (
            401,
            r#"{"code":400112,"message":"Unauthorized"}"#,
            Kind::Unauthorized,
        ),
        (
            403,
            r#"{"code":4003,"data":null,"message":"Not authenticated"}"#,
            Kind::Unauthorized,
        ),
        (
            403,
            r#"{"code":400599,"message":"This account has no access to the API"}"#,
            Kind::Forbidden,
        ),
        (
            403,
            r#"{"code":4003,"data":null,"message":"Session concurrency limit reached"}"#,
            Kind::ConcurrencyReached,
        ),
        (
            400,
            r#"{"code":10007,"message":"Concurrent limit reached"}"#,
            Kind::ConcurrencyReached,
        ),
        (
            400,
            r#"{"code":10004,"message":"Concurrent limit reached"}"#,
            Kind::ConcurrencyReached,
        ),
        (
            403,
            r#"{"code":4003,"data":null,"message":"Insufficient credits"}"#,
            Kind::InsufficientCredit,
        ),
        (
            400,
            r#"{"code":10015,"message":"Quota reached"}"#,
            Kind::InsufficientCredit,
        ),
        (402, "", Kind::InsufficientCredit),
        (
            404,
            r#"{"code":4004,"data":null,"message":"Avatar not found"}"#,
            Kind::AvatarUnknown,
        ),
        (
            404,
            r#"{"code":10012,"message":"avatar not found"}"#,
            Kind::AvatarUnknown,
        ),
        (
            400,
            r#"{"code":10003,"message":"avatar version is deprecated"}"#,
            Kind::AvatarUnknown,
        ),
        (422, validation, Kind::AvatarUnknown),
        (422, field, Kind::InvalidRequest),
        (
            404,
            r#"{"code":10006,"message":"session not found"}"#,
            Kind::SessionGone,
        ),
        (
            400,
            r#"{"code":10005,"message":"session state wrong: closed"}"#,
            Kind::SessionGone,
        ),
        (
            400,
            r#"{"code":10002,"message":"session state wrong: connecting"}"#,
            Kind::NotStarted,
        ),
        (
            400,
            r#"{"code":10003,"message":"session state wrong: connected"}"#,
            Kind::InvalidRequest,
        ),
        (
            429,
            r#"{"code":400123,"message":"Rate limit reached"}"#,
            Kind::RateLimited,
        ),
        (
            500,
            r#"{"code":5000,"data":null,"message":"Internal server error"}"#,
            Kind::Unavailable,
        ),
        (503, r#"{"message":"concurrency"}"#, Kind::Unavailable),
        (400, "<html>", Kind::InvalidRequest),
        (400, "[]", Kind::InvalidRequest),
        (302, "", Kind::InvalidRequest),
    ] {
        let error = liveavatar().opened(answer(status, said)).unwrap_err();
        assert_eq!(error.kind, kind, "{status} {said}");
        let again = matches!(
            kind,
            Kind::ConcurrencyReached | Kind::RateLimited | Kind::Unavailable | Kind::NotStarted
        );
        assert_eq!(error.advice != Advice::GiveUp, again, "{status} {said}");
        let other = heygen().opened(answer(status, said)).unwrap_err();
        assert_eq!((other.kind, other.advice), (error.kind, error.advice));
    }
}

#[test]
fn the_vendors_wait_is_passed_on_and_its_words_are_kept_short_and_clean() {
    let mut response = answer(
        429,
        r#"{"code":400123,"message":"slow down, fake-0123456789abcdef0123456789abcdef01"}"#,
    )
    .unwrap();
    response
        .headers
        .insert("retry-after".to_owned(), "7".to_owned());
    let error = heygen().opened(Ok(response)).unwrap_err();
    let after = Some(RetryAfter(7_000));
    assert_eq!(error.advice, Advice::Retry { after });
    assert_eq!(error.reason, "HTTP 429, 400123: slow down, fake-***");
    let token = r#"{"data":{"session_id":"s","session_token":["fake-secret"]}}"#;
    let error = liveavatar().opened(answer(200, token)).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("fake-secret"));
}

#[test]
fn a_start_that_was_done_before_may_have_left_a_session() {
    let said = r#"{"code":4000,"data":null,"message":"Session has already been started"}"#;
    let error = liveavatar()
        .started(&opening(&liveavatar()), answer(400, said))
        .unwrap_err();
    assert!(error.maybe_done);
    assert_eq!(error.advice, Advice::GiveUp);
}

#[test]
fn the_start_is_tried_three_times_within_seconds() {
    for operation in [
        "liveavatar.create_token",
        "liveavatar.start",
        "heygen.new",
        "heygen.start",
    ] {
        let error = CallError::unanswered(operation, &TransportError::Connection);
        let waits: Vec<_> = (1..)
            .map_while(|attempt| retry::wait(&error, attempt, 7))
            .collect();
        assert_eq!(waits.len(), 2, "{operation}");
        let bounds = Duration::from_millis(800)..=Duration::from_secs(3);
        assert!(waits.iter().all(|wait| bounds.contains(wait)), "{waits:?}");
        assert_eq!(retry::policy(operation).deadline, Duration::from_secs(10));
    }
}

#[test]
fn heygen_says_texts_and_makes_gestures_by_task() {
    let vendor = heygen();
    let client = vendor.heygen().unwrap();
    let speak = client.speak(&id(), "Hi, this is Ada.");
    assert_eq!(speak.url, "https://api.heygen.com/v1/streaming.task");
    assert_eq!(
        body(&speak),
        json!({"session_id": SESSION, "text": "Hi, this is Ada.", "task_type": "repeat",
            "task_mode": "sync"})
    );
    for (gesture, word) in [
        (Gesture::Nod, "nod"),
        (Gesture::Interested, "interested"),
        (Gesture::Thinking, "thinking"),
    ] {
        assert_eq!(
            body(&client.react(&id(), gesture)),
            json!({"session_id": SESSION, "text": word, "task_type": "talk", "task_mode": "async"})
        );
    }
    for (request, path) in [
        (client.interrupt(&id()), "interrupt"),
        (client.start_listening(&id()), "start_listening"),
        (client.stop_listening(&id()), "stop_listening"),
        (vendor.keep_alive(&id()), "keep_alive"),
        (vendor.stop(&id()), "stop"),
    ] {
        assert_eq!(
            request.url,
            format!("https://api.heygen.com/v1/streaming.{path}")
        );
        assert_eq!(body(&request), json!({"session_id": SESSION}));
    }
    assert!(liveavatar().heygen().is_none());
}

#[test]
fn the_length_of_a_spoken_text_is_read_and_bounded() {
    for (ms, expected) in [
        (json!(2_345.6), 2_346),
        (json!(-1), 0),
        (json!(null), 0),
        (json!(1e300), 600_000),
    ] {
        let said = json!({"code": 100, "message": "success",
            "data": {"duration_ms": ms, "task_id": "t-1"}});
        let task = HeyGenClient::spoken(answer(200, &said.to_string())).unwrap();
        assert_eq!(task.duration_ms, expected, "{ms}");
        assert_eq!(task.task_id.as_deref(), Some("t-1"));
    }
}

#[test]
fn a_text_that_may_have_been_said_is_not_said_again() {
    for outcome in [
        Err(TransportError::Timeout),
        answer(502, ""),
        answer(200, "not JSON"),
    ] {
        let error = HeyGenClient::spoken(outcome).unwrap_err();
        assert_eq!(error.advice, Advice::GiveUp, "{error:?}");
    }
    let connecting = answer(
        400,
        r#"{"code":10002,"message":"session state wrong: connecting"}"#,
    );
    let error = HeyGenClient::spoken(connecting).unwrap_err();
    assert!(retry::wait(&error, 1, 7).is_some());
}

#[test]
fn every_operation_has_its_row_in_the_table_of_retries() {
    let vendor = heygen();
    let client = vendor.heygen().unwrap();
    let own = [
        client.speak(&id(), "a"),
        client.react(&id(), Gesture::Nod),
        client.interrupt(&id()),
        client.start_listening(&id()),
        client.stop_listening(&id()),
    ];
    let shared = both().into_iter().flat_map(|vendor| {
        [
            vendor.open(&options()),
            vendor.start(&opening(&vendor)),
            vendor.stop(&id()),
            vendor.keep_alive(&id()),
            vendor.list_active(None),
            vendor.session_info(&id()),
        ]
    });
    for request in own.into_iter().chain(shared) {
        assert!(is_listed(request.operation), "{}", request.operation);
        assert!(!format!("{request:?}").contains("fake-"), "{request:?}");
    }
}
