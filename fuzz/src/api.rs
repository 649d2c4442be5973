//! What callers of the API send: a booking that is accepted can be kept, and a refusal names what is wrong.
//!
//! An input begins with a line that is read as a query string, as a meeting's URL and as an id; the rest is the body
//! of every call.

use std::fmt::Debug;

use attache_meeting::{
    api::{
        ChatRequest, CreateMeeting, ListQuery, PageQuery, Problem, ReactionRequest, SayRequest,
        TenantSettings, TranscriptQuery, parse_body, platform_of, purge_query,
    },
    ids::{KeyId, MeetingId, TenantId, UtteranceId},
    meeting::{Booking, Meeting, Platform},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Host, Url, form_urlencoded};

use crate::{
    room::meeting_id,
    script::{expand, start_of_time},
};

/// The hosts that bots are sent to; what is below them counts too, but for the one of Google Meet.
const HOSTS: [(&str, Platform); 8] = [
    ("zoom.us", Platform::Zoom),
    ("zoom.com", Platform::Zoom),
    ("zoomgov.com", Platform::Zoom),
    ("meet.google.com", Platform::GoogleMeet),
    ("teams.microsoft.com", Platform::MicrosoftTeams),
    ("teams.live.com", Platform::MicrosoftTeams),
    ("teams.microsoft.us", Platform::MicrosoftTeams),
    ("webex.com", Platform::Webex),
];

/// Checks one input: a line and a body.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (line, body) = text.split_once('\n').unwrap_or((&text, ""));
    let body = expand(body);
    queries(line);
    meeting_url(line);
    ids(line);
    bodies(body.as_bytes());
}

fn bodies(body: &[u8]) {
    if let Some(request) = parsed::<CreateMeeting>(body) {
        booked(request);
    }
    if let Some(request) = parsed::<SayRequest>(body) {
        let length = request.text.chars().count();
        let blank = request.text.trim().is_empty();
        let taken = request.checked();
        assert_eq!(taken.is_ok(), !blank && length <= 5_000);
        taken.err().iter().for_each(names_what_is_wrong);
    }
    if let Some(request) = parsed::<ChatRequest>(body) {
        let length = request.text.chars().count();
        let blank = request.text.trim().is_empty();
        assert_eq!(request.checked().is_ok(), !blank && length <= 4_096);
    }
    parsed::<ReactionRequest>(body);
    if let Some(settings) = parsed::<TenantSettings>(body) {
        if let Err(problem) = settings.check() {
            names_what_is_wrong(&problem);
        } else {
            let defaults = TenantSettings::default();
            assert_eq!(settings.clone().or(&defaults), settings);
            assert_eq!(defaults.or(&settings), settings);
        }
    }
}

/// Reads a body, and compares with what JSON itself makes of it.
fn parsed<T: DeserializeOwned + Serialize + Debug>(body: &[u8]) -> Option<T> {
    let value: Result<Value, _> = serde_json::from_slice(body);
    let plain = value
        .as_ref()
        .is_ok_and(|value| value.is_object() && serde_json::from_value::<T>(value.clone()).is_ok());
    match parse_body::<T>(body) {
        Ok(read) => {
            assert!(plain, "{read:?} was read from what it is not");
            let written = serde_json::to_vec(&read).expect("a request can be written");
            let again = parse_body::<T>(&written).expect("a written request can be read");
            assert_eq!(format!("{again:?}"), format!("{read:?}"));
            Some(read)
        }
        Err(problem) => {
            names_what_is_wrong(&problem);
            let unknown = problem
                .errors
                .iter()
                .all(|error| error.message == "unknown field");
            assert!(!plain || (problem.status == 422 && unknown), "{problem:?}");
            let malformed = !value.is_ok_and(|value| value.is_object());
            assert_eq!(malformed, problem.status == 400, "{problem:?}");
            None
        }
    }
}

fn names_what_is_wrong(problem: &Problem) {
    assert!(matches!(problem.status, 400 | 422), "{problem:?}");
    assert_eq!(
        problem.errors.is_empty(),
        problem.status == 400,
        "{problem:?}"
    );
    for error in &problem.errors {
        assert!(!error.message.is_empty(), "{problem:?}");
    }
    let written = serde_json::to_string(problem).expect("a problem can be written");
    let read: Problem = serde_json::from_str(&written).expect("a problem can be read");
    assert_eq!(&read, problem);
}

fn booked(request: CreateMeeting) {
    let settings = TenantSettings {
        agent_name: Some("Ada".to_owned()),
        ..TenantSettings::default()
    };
    let now = start_of_time();
    let url = request.meeting_url.clone();
    let booking = request.into_booking(meeting_id(), TenantId::default_tenant(), &settings, 3, now);
    let booking = match booking {
        Ok(booking) => booking,
        Err(problem) => return names_what_is_wrong(&problem),
    };
    assert_eq!(Some(booking.platform), allowed(&url), "{url}");
    let short = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
    assert!(short(&booking.agent.name, 100));
    assert!(
        booking
            .agent
            .company
            .as_deref()
            .is_none_or(|company| short(company, 100))
    );
    // A template of 500 characters with a name of 100 in the place of each 12.
    assert!(
        short(&booking.agent.greeting, 500 * 100 / 12 + 500),
        "{}",
        booking.agent.greeting
    );
    assert!(
        booking
            .title
            .as_deref()
            .is_none_or(|title| short(title, 200))
    );
    assert!(booking.join_at() >= booking.created_at);
    let stored = serde_json::to_string(&booking).expect("a booking can be stored");
    let read: Booking = serde_json::from_str(&stored).expect("a stored booking can be read");
    assert_eq!(read, booking);
    assert!(
        stored.len() < 64 * 1024,
        "a booking of {} bytes",
        stored.len()
    );
    let (meeting, step) = Meeting::book(booking, now);
    assert!(meeting.deadline(now).is_some() || !step.orders.is_empty());
    serde_json::to_string(&meeting.view()).expect("a meeting can be shown");
}

fn meeting_url(text: &str) {
    match platform_of(text) {
        Ok(platform) => {
            assert_eq!(Some(platform), allowed(text), "{text}");
            // However the next parser writes it, it stays what it is.
            let url = Url::parse(text).expect("it was accepted");
            let again = platform_of(url.as_str());
            // Only that it is written out may make it too long.
            let too_long = url.as_str().chars().count() > 2_048 && again.is_err();
            assert!(again == Ok(platform) || too_long, "{text}");
        }
        Err(message) => assert!(message.starts_with("must ")),
    }
}

/// The platform of a URL, worked out plainly.
fn allowed(text: &str) -> Option<Platform> {
    let url = Url::parse(text).ok()?;
    let bare = url.username().is_empty() && url.password().is_none() && url.port().is_none();
    let Some(Host::Domain(host)) = url.host() else {
        return None;
    };
    let below = |domain: &str| host.ends_with(&format!(".{domain}"));
    let (_, platform) = HOSTS
        .iter()
        .find(|(domain, _)| host == *domain || (*domain != "meet.google.com" && below(domain)))?;
    (url.scheme() == "https" && bare && url.path().len() > 1).then_some(*platform)
}

fn queries(line: &str) {
    let query: Vec<(String, String)> = form_urlencoded::parse(line.as_bytes())
        .into_owned()
        .collect();
    if let Some(list) = named(&query, ListQuery::parse(&query)) {
        assert!((1..=100).contains(&list.limit));
    }
    if let Some(page) = named(&query, PageQuery::parse(&query)) {
        assert!((1..=100).contains(&page.limit));
    }
    if let Some(transcript) = named(&query, TranscriptQuery::parse(&query)) {
        assert!((1..=100).contains(&transcript.limit));
    }
    named(&query, purge_query(&query));
}

/// A parameter that is wrong is named, and no other.
fn named<T>(query: &[(String, String)], parsed: Result<T, Problem>) -> Option<T> {
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(problem) => {
            names_what_is_wrong(&problem);
            for error in &problem.errors {
                assert!(
                    query.iter().any(|(name, _)| *name == error.field),
                    "{problem:?}"
                );
            }
            None
        }
    }
}

fn ids(text: &str) {
    is_written_as_it_was::<MeetingId>(text, "mtg_");
    is_written_as_it_was::<UtteranceId>(text, "utt_");
    is_written_as_it_was::<KeyId>(text, "key_");
    is_written_as_it_was::<TenantId>(text, "");
}

fn is_written_as_it_was<T: std::str::FromStr + ToString>(text: &str, prefix: &str) {
    if let Ok(id) = text.parse::<T>() {
        let written = id.to_string();
        assert!(written == text && written.starts_with(prefix) && written.len() <= 64);
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        assert!(written.bytes().all(plain), "{written}");
    }
}
