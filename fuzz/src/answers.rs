//! Vendors' answers to calls: whatever comes back is read, and a failure says what to do without giving anything away.
//!
//! An input is one answer as text: the status, a line for each header, an empty line, the body. Every reader of every
//! vendor gets it.

use std::{fmt::Debug, time::Duration};

use attache_meeting::{
    http::{CallError, Outcome, Response},
    meeting::{BotState, FoundBot},
    retry,
    secret::Secret,
    transcript,
    vendors::{
        avatar::{ActivePage, AvatarSession, AvatarVendor, Opening},
        elevenlabs::ElevenLabsTts,
        heygen::HeyGenClient,
        liveavatar::LiveAvatarClient,
        recall::{BotPage, BotSnapshot, RecallClient, SpokenSegment},
    },
};
use serde_json::Value;

use crate::{
    reason::{is_fit_to_be_stored, response},
    room::meeting_id,
    script::expand,
};

/// The longest wait that is believed, whatever a vendor asks for.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// What a vendor gives us to keep to ourselves.
const SECRETS: [&str; 6] = [
    "download_url",
    "session_token",
    "livekit_client_token",
    "access_token",
    "ws_url",
    "token",
];

/// Checks one input: an answer.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let answer = response(&expand(&text));
    let after = answer.retry_after();
    assert!(after.is_none() || answer.headers.contains_key("retry-after"));
    recall(&answer);
    elevenlabs(&answer);
    avatars(&answer);
}

fn recall(answer: &Response) {
    let meeting = meeting_id();
    let ok = || -> Outcome { Ok(answer.clone()) };
    read(answer, RecallClient::created_bot(ok()));
    if let Some(bot) = read(answer, RecallClient::bot(ok())) {
        is_a_bot(&bot);
        let times: Vec<_> = bot
            .statuses
            .iter()
            .map(|status| status.updated_at)
            .collect();
        assert!(times.is_sorted(), "statuses are out of order");
        let newest = RecallClient::bot_status(ok()).expect("the bot was read");
        assert_eq!(newest.as_ref(), bot.newest());
        // What goes into the event log holds no address of a recording.
        let addresses = [bot.recording_url(), bot.transcript_url()];
        let addresses: Vec<String> = addresses
            .into_iter()
            .flatten()
            .map(|url| url.expose().to_owned())
            .collect();
        let state = serde_json::to_string(&BotState::from(bot)).expect("a bot can be stored");
        let body = String::from_utf8_lossy(&answer.body);
        for address in addresses {
            let once = address.len() > 12 && body.matches(&address).count() == 1;
            assert!(!once || !state.contains(&address), "an address is stored");
        }
    }
    if let Some(BotPage { bots, .. }) = read(answer, RecallClient::found_bots(&meeting, ok())) {
        for bot in bots {
            assert_eq!(
                bot.meeting_id.as_ref(),
                Some(&meeting),
                "another meeting's bot"
            );
            let found = FoundBot::from(bot);
            assert!(found.newest.is_none_or(|newest| newest.code.is_known()));
        }
    }
    read(answer, RecallClient::recording(ok()));
    for operation in [
        "recall.leave_call",
        "recall.delete_bot",
        "recall.send_audio",
    ] {
        let read = read(answer, RecallClient::acknowledged(operation, ok()));
        assert_eq!(read.is_some(), answer.is_success());
    }
    for spoken in [
        RecallClient::transcript(ok()),
        RecallClient::legacy_transcript(ok()),
    ] {
        if let Some(spoken) = read(answer, spoken) {
            is_speech(&spoken);
            transcript::to_vtt(&transcript::from_final(spoken));
        }
    }
}

fn is_a_bot(bot: &BotSnapshot) {
    for status in &bot.statuses {
        for word in [&status.sub_code, &status.message].into_iter().flatten() {
            assert!(
                word.chars().count() <= 200,
                "a word of the vendor's is not cut"
            );
        }
    }
}

fn is_speech(spoken: &[SpokenSegment]) {
    assert!(spoken.is_sorted_by(|a, b| a.start <= b.start));
    for segment in spoken {
        assert!(!segment.text.trim().is_empty() && !segment.words.is_empty());
        assert!(segment.start <= segment.end, "{segment:?}");
        for word in &segment.words {
            assert!(
                word.start <= word.end && !word.text.is_empty(),
                "{segment:?}"
            );
        }
    }
}

fn elevenlabs(answer: &Response) {
    let speech = read(answer, ElevenLabsTts::speech(Ok(answer.clone())));
    assert!(speech.is_none_or(|sound| sound == answer.body && !sound.is_empty()));
}

fn avatars(answer: &Response) {
    let key = || Secret::new("fake-key");
    let vendors = [
        AvatarVendor::LiveAvatar(LiveAvatarClient::new("https://live.example/v1", key())),
        AvatarVendor::HeyGen(HeyGenClient::new("https://heygen.example/v1", key())),
    ];
    let ok = || -> Outcome { Ok(answer.clone()) };
    for vendor in &vendors {
        if let Some(opening) = read(answer, vendor.opened(ok())) {
            is_stored_as_it_is::<Opening>(&opening);
            let request = vendor.start(&opening);
            assert!(request.url.starts_with("https://"));
            read(answer, vendor.started(&opening, ok()));
        }
        for opening in openings() {
            if let Some(session) = read(answer, vendor.started(&opening, ok())) {
                is_stored_as_it_is::<AvatarSession>(&session);
                assert_eq!(session.session_id, opening.session_id);
                session.max_duration();
            }
            read(answer, vendor.info(&opening.session_id, ok()));
        }
        if let Some(ActivePage { next, .. }) = read(answer, vendor.active(ok())) {
            let request = vendor.list_active(next.as_ref());
            let url = url::Url::parse(&request.url).expect("a request has a URL");
            assert!(
                url.host_str()
                    .is_some_and(|host| host.ends_with(".example"))
            );
        }
        read(answer, vendor.stopped(ok()));
    }
    if let Some(task) = read(answer, HeyGenClient::spoken(ok())) {
        assert!(task.duration_ms <= 600_000);
    }
}

/// An opened session of each vendor.
fn openings() -> [Opening; 2] {
    let live =
        r#"{"provider":"liveavatar","session_id":"s-1","grant":{"kind":"token","token":"fake"}}"#;
    let room = r#"{"provider":"heygen","session_id":"s-2","grant":{"kind":"room",
        "viewer":{"url":"wss://room.example","token":"fake"},"max_seconds":600}}"#;
    [live, room].map(|text| serde_json::from_str(text).expect("a stored session can be read"))
}

fn is_stored_as_it_is<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let stored = serde_json::to_string(value).expect("it can be stored");
    let read: T = serde_json::from_str(&stored).expect("it can be read");
    assert_eq!(&read, value);
}

/// What holds of every reader: success is success, what is read prints no secret, and a failure is fit to be told.
fn read<T: Debug>(answer: &Response, read: Result<T, CallError>) -> Option<T> {
    match read {
        Ok(value) => {
            // A session that is gone is as good as one that was stopped.
            keeps_secrets(answer, &format!("{value:?}"));
            Some(value)
        }
        Err(error) => {
            is_fit_to_be_stored(&error);
            assert!(
                error
                    .status
                    .is_none_or(|status| status == answer.status || status == 201 || status == 200)
            );
            let waits = (1..20).filter_map(|attempt| retry::wait(&error, attempt, 7));
            for wait in waits {
                assert!(wait <= LONGEST_WAIT, "a wait of {wait:?}");
            }
            None
        }
    }
}

fn keeps_secrets(answer: &Response, printed: &str) {
    let Ok(value) = serde_json::from_slice::<Value>(&answer.body) else {
        return;
    };
    let body = String::from_utf8_lossy(&answer.body);
    let mut secrets = Vec::new();
    collect(&value, &mut secrets);
    for secret in secrets {
        let once = secret.len() > 12 && body.matches(secret).count() == 1;
        assert!(
            !once || !printed.contains(secret),
            "{secret:?} is printed: {printed}"
        );
    }
}

fn collect<'a>(value: &'a Value, secrets: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if SECRETS.contains(&name.as_str()) => secrets.push(text),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => collect(value, secrets),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
