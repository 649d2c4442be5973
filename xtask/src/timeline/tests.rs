//! What the page says, on meetings recorded from the demo and from a run in which the vendors refused.

use serde_json::{Value, json};

use super::render::page;
use super::request::Worker;
use crate::say::Paint;

const GOOD: &str = include_str!("fixtures/good.json");
const TROUBLED: &str = include_str!("fixtures/troubled.json");

fn rendered(recorded: &str) -> String {
    let recorded: Value = serde_json::from_str(recorded).expect("fixtures are JSON");
    let entries = recorded["entries"].as_array().expect("a list of entries");
    page(&recorded["meeting"], entries, Paint::NONE)
}

fn entry(at: &str, kind: &str, name: &str, summary: &str, data: &Value) -> Value {
    json!({ "seq": 1, "at": at, "kind": kind, "name": name, "summary": summary, "data": data })
}

/// The lines of the timeline alone.
fn lines(entries: &[Value]) -> Vec<String> {
    let page = page(&json!({}), entries, Paint::NONE);
    let block = page.split("\n\n").nth(1).expect("a block of entries");
    block.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn a_meeting_that_went_well_reads_from_booking_to_transcript() {
    let page = rendered(GOOD);
    let (_, entries) = page.split_once("\n\n").expect("a header, then the entries");
    let found: Vec<_> = [
        "booked",
        "recall.create_bot",
        "greeted",
        "ended",
        "transcript_ready",
    ]
    .iter()
    .map(|name| {
        entries
            .find(&format!(" {name}  "))
            .unwrap_or_else(|| panic!("no {name}:\n{page}"))
    })
    .collect();
    assert!(found.is_sorted(), "{found:?}\n{page}");
    assert!(page.contains("sent via output_audio"), "{page}");
    assert!(
        page.ends_with("Nothing went wrong, as far as the meeting knows.\n"),
        "{page}"
    );
}

#[test]
fn a_meeting_that_went_badly_ends_with_a_section_of_the_handbook_for_each_warning() {
    let page = rendered(TROUBLED);
    let (_, conclusion) = page.split_once("What went wrong\n").expect("a conclusion");
    for code in [
        "bot_creation_retried",
        "greeting_failed",
        "listening_failed",
    ] {
        assert!(conclusion.contains(&format!("! {code}: ")), "{conclusion}");
        assert!(
            conclusion.contains(&format!("docs/operations.md#{code}\n")),
            "{conclusion}"
        );
    }
    assert!(page.contains("✗ recall.create_bot "), "{page}");
}

#[test]
fn a_meeting_that_nobody_was_let_into_points_to_its_section() {
    let meeting = json!({ "status": "ended", "greeting": { "state": "skipped" },
        "ended": { "reason": "timeout_exceeded_waiting_room", "by": "timeout" } });
    let told = page(&meeting, &[], Paint::NONE);
    assert!(
        told.contains("never in the call: timeout_exceeded_waiting_room"),
        "{told}"
    );
    assert!(
        told.contains("docs/operations.md#the-bot-did-not-join"),
        "{told}"
    );
    let called_off = json!({ "status": "cancelled", "greeting": { "state": "skipped" } });
    assert!(page(&called_off, &[], Paint::NONE).contains("Nothing went wrong"));
}

#[test]
fn repeated_entries_are_folded_and_others_are_not() {
    let failed = |second: u32, attempt: u32| {
        let at = format!("2026-12-01T15:00:{second:02}Z");
        entry(
            &at,
            "effect",
            "recall.create_bot",
            "failed: HTTP 507",
            &json!({ "attempt": attempt }),
        )
    };
    let told = lines(&[failed(0, 1), failed(30, 1), failed(59, 1)]);
    assert_eq!(
        told,
        ["+0:00:00.0 ✗ recall.create_bot           failed: HTTP 507  × 3  until +0:00:59.0"]
    );
    assert_eq!(
        lines(&[failed(0, 1), failed(1, 2)]).len(),
        2,
        "attempts are told apart"
    );
}

#[test]
fn participants_are_counted_by_what_they_did() {
    let did = |what: &str| {
        let summary = format!("a participant: {what}");
        entry(
            "2026-12-01T15:00:00Z",
            "event",
            "participant",
            &summary,
            &json!({ "participant": "100" }),
        )
    };
    let told = lines(&[did("join"), did("speech_on"), did("speech_on")]);
    assert_eq!(
        told,
        [
            "+0:00:00.0 · participant                 participants: join, speech_on × 2  until +0:00:00.0"
        ]
    );
}

#[test]
fn times_count_from_the_first_entry_over_days() {
    let at = |at: &str| entry(at, "event", "restored", "a fresh instance", &Value::Null);
    let told = lines(&[
        at("2026-12-01T15:00:00Z"),
        entry("2026-12-03T16:01:02.345Z", "event", "x", "y", &Value::Null),
    ]);
    assert!(told[1].starts_with("+2d 1:01:02.3 "), "{told:?}");
}

#[test]
fn what_a_terminal_would_obey_is_left_out() {
    let data = json!({ "reason": "\u{1b}[2Jgone" });
    let told = lines(&[entry(
        "2026-12-01T15:00:00Z",
        "event",
        "ignored",
        "a\u{7}b",
        &data,
    )]);
    assert_eq!(
        told,
        ["+0:00:00.0 · ignored                     ab  reason=[2Jgone"]
    );
}

#[test]
fn each_refusal_says_what_to_do() {
    let worker = Worker::new("https://attache.example/", "fake-key").expect("an address and a key");
    let refused = |output: &str| format!("{:#}", worker.read(output).expect_err("it is refused"));
    assert!(refused("{\"code\":\"unauthorized\"}\n401").contains("ATTACHE_API_KEY"));
    assert!(refused("{\"code\":\"meeting_not_found\"}\n404").contains("no such meeting"));
    assert!(refused("<html>\n404").contains("is the address right?"));
    assert!(
        refused("{\"detail\":\"RECALL_API_KEY is not set\"}\n500")
            .contains("RECALL_API_KEY is not set")
    );
    assert_eq!(
        worker.read("{\"id\":\"x\"}\n200").expect("an answer")["id"],
        "x"
    );
}

#[test]
fn nobody_there_is_told_with_the_address() {
    // A port that was free a moment ago and that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("it is bound"));
    drop(free);
    let worker = Worker::new(&url, "fake-key").expect("an address and a key");
    let error = format!("{:#}", worker.get("/healthz").expect_err("nobody listens"));
    assert!(
        error.contains("no Worker answers") && error.contains(&url),
        "{error}"
    );
}
