//! Webhooks, up to the meeting: every body is understood or refused for a reason, and a meeting in whatever status
//! takes in what it says, twice.

use std::cell::OnceCell;

use attache_meeting::{
    meeting::Event,
    vendors::recall::{ParseError, RecallEvent, RecallWebhook, parse_webhook, route},
};
use serde_json::Value;

use crate::{
    room::{Room, everywhere},
    script::expand,
};

thread_local! {
    static ROOMS: OnceCell<Vec<Room>> = const { OnceCell::new() };
}

/// Checks one input: the body of a webhook.
pub fn check(data: &[u8]) {
    let body = match std::str::from_utf8(data) {
        Ok(text) => expand(text).into_bytes(),
        Err(_) => data.to_vec(),
    };
    let parsed = parse_webhook(&body);
    is_refused_for_a_reason(&body, parsed.as_ref().err());
    let routed = route(&body);
    match (parsed, routed) {
        (Err(error), Err(same)) => assert_eq!(error, same),
        (Ok(webhook), Ok(route)) => {
            assert_eq!(webhook.event_name, route.event_name);
            assert_eq!(webhook.bot_id, route.bot_id);
            assert_eq!(webhook.meeting_id, route.meeting_id);
            takes_effect(&webhook);
        }
        (parsed, routed) => panic!("{parsed:?} and {routed:?}"),
    }
}

fn is_refused_for_a_reason(body: &[u8], error: Option<&ParseError>) {
    let value = serde_json::from_slice::<Value>(body);
    let reason = match &value {
        Err(_) => Some("not valid JSON"),
        Ok(Value::Object(fields)) => match fields.get("event") {
            Some(Value::String(_)) => None,
            _ => Some("no text field"),
        },
        Ok(_) => Some("not a JSON object"),
    };
    match (error.map(ToString::to_string), reason) {
        (None, None) => {}
        (Some(said), Some(reason)) => assert!(said.contains(reason), "{said:?} for {reason:?}"),
        (said, reason) => panic!("{said:?} for {reason:?}"),
    }
}

fn takes_effect(webhook: &RecallWebhook) {
    let stored = serde_json::to_string(webhook).expect("a webhook can be stored");
    let read: RecallWebhook = serde_json::from_str(&stored).expect("a stored webhook can be read");
    assert_eq!(&read, webhook);
    if let RecallEvent::Transcript { segment, .. } = &webhook.event {
        assert!(segment.start <= segment.end && !segment.text.is_empty());
    }
    let event = Event::RecallReported {
        bot_id: webhook.bot_id.clone(),
        name: webhook.event_name.clone(),
        report: webhook.event.clone(),
    };
    let unknown = matches!(webhook.event, RecallEvent::Unknown { .. });
    ROOMS.with(|rooms| {
        let rooms = rooms.get_or_init(everywhere);
        for room in &rooms[..if unknown { 1 } else { rooms.len() }] {
            let mut room = room.clone();
            room.send(&event);
            room.send(&event);
        }
    });
}
