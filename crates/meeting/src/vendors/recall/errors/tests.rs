use super::*;
use crate::{
    http::TransportError,
    vendors::recall::client::{
        CREATE_BOT, DELETE_BOT, DELETE_MEDIA, GET_BOT, LEAVE_CALL, SEND_AUDIO,
    },
};

fn refused_with(operation: &str, status: u16, body: &str, headers: &[(&str, &str)]) -> CallError {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let response = Response {
        status,
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
    };
    success(operation, Ok(response)).unwrap_err()
}

fn refused(status: u16, body: &str) -> CallError {
    refused_with(CREATE_BOT, status, body, &[])
}

#[test]
fn each_status_has_its_kind_and_advice() {
    let retry = |after: Option<u64>| Advice::Retry {
        after: after.map(RetryAfter),
    };
    for (status, kind, advice, maybe_done) in [
        (302, FailureKind::InvalidRequest, Advice::GiveUp, false),
        (400, FailureKind::InvalidRequest, Advice::GiveUp, false),
        (401, FailureKind::Unauthorized, Advice::GiveUp, false),
        (402, FailureKind::InsufficientCredit, Advice::GiveUp, false),
        (403, FailureKind::Forbidden, Advice::GiveUp, false),
        (404, FailureKind::NotFound, Advice::GiveUp, false),
        (405, FailureKind::InvalidRequest, Advice::GiveUp, false),
        (409, FailureKind::InFlight, retry(None), true),
        (429, FailureKind::RateLimited, retry(None), false),
        (500, FailureKind::Unavailable, retry(None), true),
        (503, FailureKind::Unavailable, retry(None), true),
        (
            507,
            FailureKind::PoolEmpty,
            Advice::RetryWithNewKey {
                after: Some(POOL_WAIT),
            },
            false,
        ),
    ] {
        let error = refused(status, "{}");
        assert_eq!(
            (error.kind, error.advice, error.maybe_done, error.status),
            (kind, advice, maybe_done, Some(status))
        );
    }
}

#[test]
fn a_bot_that_is_not_found_is_asked_for_again_before_that_is_believed() {
    for operation in [GET_BOT, LEAVE_CALL, DELETE_BOT, DELETE_MEDIA] {
        let error = refused_with(operation, 404, "{}", &[]);
        assert_eq!(
            (error.kind, error.advice),
            (FailureKind::NotFound, Advice::Retry { after: None }),
            "{operation}"
        );
    }
}

#[test]
fn only_the_making_of_a_bot_finds_the_pool_empty() {
    let error = refused_with(SEND_AUDIO, 507, "{}", &[]);
    assert_eq!(
        (error.kind, error.advice),
        (FailureKind::Unavailable, Advice::Retry { after: None })
    );
}

#[test]
fn a_bot_on_its_way_cannot_be_deleted() {
    let error = refused_with(DELETE_BOT, 405, "", &[]);
    assert_eq!(
        (error.kind, error.advice),
        (FailureKind::AlreadyDispatched, Advice::GiveUp)
    );
}

#[test]
fn commands_to_a_bot_outside_its_call_say_which_side_it_is_on() {
    for (code, kind) in [
        ("cannot_command_unstarted_bot", FailureKind::NotStarted),
        ("cannot_command_completed_bot", FailureKind::AlreadyOver),
    ] {
        let body = format!("{{\"code\":\"{code}\",\"detail\":\"Cannot send a command.\"}}");
        let error = refused_with(LEAVE_CALL, 400, &body, &[]);
        assert_eq!(error.kind, kind);
        assert_eq!(error.code.as_deref(), Some(code));
        assert_eq!(
            error.to_string(),
            format!("recall.leave_call failed: HTTP 400, {code}: Cannot send a command.")
        );
    }
}

#[test]
fn the_vendors_wait_is_kept_and_a_full_house_waits_a_minute_at_least() {
    let after = |status, body: &str, seconds: Option<&str>| {
        let headers: Vec<_> = seconds
            .map(|seconds| ("retry-after", seconds))
            .into_iter()
            .collect();
        match refused_with(CREATE_BOT, status, body, &headers).advice {
            Advice::Retry { after } | Advice::RetryWithNewKey { after } => after,
            Advice::GiveUp => panic!("gives up"),
        }
    };
    assert_eq!(after(507, "", Some("12")), Some(RetryAfter(12_000)));
    assert_eq!(after(429, "{}", Some("3")), Some(RetryAfter(3_000)));
    let full = r#"{"detail":"Max number of concurrent adhoc bots allowed reached"}"#;
    assert_eq!(after(429, full, Some("3")), Some(RetryAfter(60_000)));
    assert_eq!(after(429, full, Some("90")), Some(RetryAfter(90_000)));
    assert_eq!(after(429, full, None), Some(RetryAfter(60_000)));
}

#[test]
fn every_shape_of_body_becomes_a_short_reason() {
    for (body, reason) in [
        ("", "HTTP 400: an empty answer"),
        ("null", "HTTP 400: no explanation"),
        ("{}", "HTTP 400: no explanation"),
        (r#"["No."]"#, "HTTP 400: No."),
        ("plain words", "HTTP 400: plain words"),
        (
            "<!DOCTYPE html><title>403</title>",
            "HTTP 400: a web page instead of JSON, as the vendor's firewall sends",
        ),
        (
            r#"{"code":"update_bot_failed","detail":"Too late."}"#,
            "HTTP 400, update_bot_failed: Too late.",
        ),
        (
            r#"{"code":"not a code","detail":["Too","late"]}"#,
            "HTTP 400: Too",
        ),
        (
            r#"{"non_field_errors":["Both given."]}"#,
            "HTTP 400: Both given.",
        ),
        (
            r#"{"meeting_url":["This field is required."]}"#,
            "HTTP 400: meeting_url: This field is required.",
        ),
        (
            r#"{"automatic_leave":{"waiting_room_timeout":["Too large."]},"x":[{},{"url":["Bad."]}]}"#,
            "HTTP 400: automatic_leave.waiting_room_timeout: Too large.; x.1.url: Bad.",
        ),
    ] {
        assert_eq!(refused(400, body).reason, reason, "{body}");
    }
}

#[test]
fn reasons_carry_no_signed_urls_no_keys_and_no_novels() {
    let body = serde_json::json!({"detail": format!(
        "Key 0123456789abcdef0123456789abcdef01234567 cannot reach https://b.example.com/x?sig=abc {}", "bla ".repeat(500)
    )});
    let reason = refused(400, &body.to_string()).reason;
    assert!(
        reason.starts_with("HTTP 400: Key *** cannot reach https://b.example.com/… bla"),
        "{reason}"
    );
    assert!(reason.chars().count() < 220);
}

#[test]
fn deep_and_wide_complaints_are_bounded() {
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert_eq!(refused(400, &deep).reason, "HTTP 400: no explanation");
    let wide: serde_json::Map<_, _> = (0..1_000)
        .map(|n| (format!("field_{n:04}"), serde_json::json!(["Bad."])))
        .collect();
    let reason = refused(400, &Value::from(wide).to_string()).reason;
    assert_eq!(reason.matches("Bad.").count(), MAX_FIELD_ERRORS);
}

#[test]
fn no_answer_may_mean_done() {
    let error = success(CREATE_BOT, Err(TransportError::Timeout)).unwrap_err();
    assert_eq!(
        (error.kind, error.maybe_done),
        (FailureKind::NoAnswer, true)
    );
    assert_eq!(error.advice, Advice::Retry { after: None });
}
