//! What happens to a bot by itself.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Desk, MEET, everything};
use crate::recall::{HeardPage, PageVoice};
use crate::script::{Event, MeetingScript};

#[test]
fn someone_who_leaves_alone_with_the_bot_sets_its_timer() {
    let mut desk = Desk::instant();
    let leave = json!({ "everyone_left_timeout": { "timeout": 30, "activate_after": 0 } });
    let id = desk.create(&json!({ "meeting_url": MEET, "automatic_leave": leave }));
    desk.model
        .advance(&id, Event::Leaves("Dana Whitfield".to_owned()), desk.now)
        .unwrap();
    desk.wait(29);
    assert!(desk.model.bot(&id).unwrap().in_call);
    desk.wait(1);
    let changes = desk.model.bot(&id).unwrap().status_changes;
    let ended = (
        "call_ended".to_owned(),
        Some("timeout_exceeded_everyone_left".to_owned()),
    );
    assert!(changes.contains(&ended), "{changes:?}");
}

#[test]
fn accurate_transcripts_are_minutes_late() {
    let mut desk = Desk::instant();
    let mut body = json!({ "meeting_url": MEET });
    everything(&mut body);
    body["recording_config"]["transcript"]["provider"] = json!({ "recallai_streaming": {} });
    let id = desk.create(&body);
    let line = Event::Says {
        name: "Dana Whitfield".to_owned(),
        text: "Hello there.".to_owned(),
    };
    desk.model.advance(&id, line, desk.now).unwrap();
    desk.wait(2);
    let events = |desk: &mut Desk| -> Vec<String> {
        desk.model
            .attempts(desk.now)
            .into_iter()
            .map(|attempt| attempt.message.event)
            .collect()
    };
    assert!(
        !events(&mut desk)
            .iter()
            .any(|event| event == "transcript.data")
    );
    desk.wait(181);
    assert_eq!(events(&mut desk), ["transcript.data"]);
}

#[test]
fn a_fatal_end_is_final_unless_the_script_adds_a_late_done() {
    for (script, expected) in [
        (
            MeetingScript::fatal("meeting_not_found"),
            vec!["joining_call", "fatal"],
        ),
        (
            MeetingScript::fatal("meeting_not_found").with_late_done_after_fatal(),
            vec!["joining_call", "fatal", "done"],
        ),
    ] {
        let mut desk = Desk::with(script, |_| ());
        let id = desk.create(&json!({ "meeting_url": MEET }));
        desk.wait(3600);
        let changes = desk.model.bot(&id).unwrap().status_changes;
        assert_eq!(
            changes
                .iter()
                .map(|(code, _)| code.as_str())
                .collect::<Vec<_>>(),
            expected
        );
    }
}

#[test]
fn a_page_that_was_heard_is_not_answered_in_the_past() {
    let script = MeetingScript::empty()
        .then(Duration::ZERO, Event::InCallNotRecording)
        .then(
            Duration::ZERO,
            Event::WaitUntilHeard {
                at_most: Duration::from_mins(1),
            },
        )
        .then(
            Duration::ZERO,
            Event::CallEnded("call_ended_by_host".to_owned()),
        );
    let mut desk = Desk::with(script, |_| ());
    let bot = desk.create(&json!({ "meeting_url": MEET }));
    desk.wait(10);
    let heard = HeardPage {
        duration_ms: 500,
        text: None,
        voice: PageVoice::Page,
        stopped: false,
        measured: true,
        at: desk.now - Duration::from_secs(2),
    };
    desk.model.page_was_heard(&bot, heard, desk.now);
    desk.wait(1);
    let (_, seen) = desk.call("GET", &format!("/bot/{bot}/"), &Value::Null);
    let changes = seen["status_changes"].as_array().unwrap();
    let ended = changes.iter().find(|change| change["code"] == "call_ended");
    let ended: Timestamp = ended.unwrap()["created_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(ended >= desk.now - Duration::from_secs(1), "{seen}");
}
