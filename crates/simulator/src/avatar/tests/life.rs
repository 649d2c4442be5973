//! How sessions begin, what they cost, and how they end.

use std::time::Duration;

use serde_json::json;

use super::{Desk, kinds, ms};
use crate::avatar::{
    AvatarEnd, AvatarError, AvatarFault, AvatarHabits, AvatarProvider, NotStarted, Wanted,
};
use crate::deepgram::Side;

fn habits(change: impl FnOnce(&mut AvatarHabits)) -> AvatarHabits {
    let mut habits = AvatarHabits {
        unwatched: None,
        ..AvatarHabits::default()
    };
    change(&mut habits);
    habits
}

#[test]
fn a_session_without_commands_ends_after_five_minutes() {
    let mut desk = Desk::new(habits(|_| ()));
    let mut client = desk.connected();
    client.wait(Duration::from_mins(4));
    client.tell("session.keep_alive", "ka-1");
    assert!(client.wait(Duration::from_secs(299)).is_empty());
    let told = client.wait(Duration::from_secs(1));
    assert_eq!(
        kinds(&told),
        ["session.state_updated disconnected", "close"]
    );
    let ended = client.view().ended.unwrap();
    assert_eq!(
        (ended.reason, ended.by),
        (AvatarEnd::IdleTimeout, Side::Vendor)
    );
    assert_eq!(client.view().keep_alives.len(), 1);
}

#[test]
fn the_longest_duration_ends_a_session_in_mid_sentence_and_in_silence() {
    let mut desk = Desk::new(habits(|habits| {
        habits.longest_session = Duration::from_secs(10);
    }));
    let mut client = desk.connected();
    client.wait(ms(8_750));
    client.say("utt-1", &vec![1; 192_000]);
    assert_eq!(
        kinds(&client.wait(Duration::from_secs(9))),
        ["state_updated talking"]
    );
    assert!(client.tell("session.keep_alive", "ka-1").is_empty());
    let session = client.view();
    assert_eq!(session.ended.unwrap().reason, AvatarEnd::MaxDurationReached);
    assert_eq!(session.utterances[0].heard, Duration::from_secs(1));
    assert!(session.violations[0].starts_with("after the session's end"));
}

#[test]
fn an_announced_limit_closes_the_socket() {
    let mut desk = Desk::new(habits(|habits| {
        habits.longest_session = Duration::from_secs(10);
        habits.announces_limit = true;
    }));
    let told = desk.connected().wait(Duration::from_secs(10));
    assert_eq!(
        kinds(&told),
        ["session.state_updated disconnected", "close"]
    );
}

#[test]
fn a_room_nobody_watches_is_given_up() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    let viewer = client.stream.lock().watch(client.desk.now);
    client.wait(Duration::from_secs(250));
    assert!(client.view().is_live());
    client.stream.lock().unwatch(viewer, client.desk.now);
    client.tell("session.keep_alive", "ka-1");
    client.wait(Duration::from_secs(200));
    assert_eq!(
        client.view().ended.unwrap().reason,
        AvatarEnd::ZombieSessionReap
    );
}

#[test]
fn each_begun_minute_costs_a_credit_until_none_is_left() {
    let mut desk = Desk::new(habits(|habits| habits.credits = Some(2)));
    let mut client = desk.connected();
    assert_eq!(client.view().credits, 1);
    client.wait(Duration::from_secs(119));
    assert_eq!(client.view().credits, 2);
    client.wait(Duration::from_secs(1));
    assert_eq!(client.view().ended.unwrap().reason, AvatarEnd::NoCredits);
    let wanted = Wanted {
        provider: AvatarProvider::HeyGen,
        meeting_id: None,
        avatar: "default".to_owned(),
        request: json!({}),
        longest: Duration::from_mins(10),
        idle_window: Duration::from_mins(2),
        free: false,
    };
    let next = desk.avatars.mint(wanted, desk.now);
    assert_eq!(
        desk.avatars.start(&next, desk.now),
        Err(NotStarted::NoCredits)
    );
}

#[test]
fn a_session_that_never_connects_hears_nothing() {
    let mut desk = Desk::new(habits(|habits| habits.connects_after = None));
    let mut client = desk.session();
    client.wait(Duration::from_mins(1));
    client.speak("utt-1", &vec![1; 19_200]);
    assert!(!client.view().connected);
    assert!(client.view().utterances.is_empty());
}

#[test]
fn faults_are_told_or_not_as_they_say() {
    let mut desk = Desk::new(habits(|_| ()));
    let mut client = desk.connected();
    let now = client.desk.now;
    let fault =
        |client: &super::Client<'_>, fault: &AvatarFault| client.stream.lock().fault(fault, now);
    let error = AvatarFault::Error {
        kind: AvatarError::Server,
        message: "oops".to_owned(),
    };
    assert!(fault(&client, &error));
    assert_eq!(
        client.wait(Duration::ZERO)[0]["error"]["type"],
        "server_error"
    );
    assert!(fault(&client, &AvatarFault::Mute));
    assert!(client.speak("utt-1", &vec![1; 19_200]).is_empty());
    assert_eq!(client.view().utterances.len(), 1);
    assert!(fault(&client, &AvatarFault::SilentEnd));
    assert!(!fault(&client, &AvatarFault::SilentEnd));
    assert_eq!(
        client.view().ended.unwrap().reason,
        AvatarEnd::MaxDurationReached
    );
}

#[test]
fn a_socket_that_is_opened_again_is_the_one_that_counts() {
    let mut desk = Desk::new(habits(|_| ()));
    let client = desk.connected();
    let now = client.desk.now;
    let mut session = client.stream.lock();
    session.socket_gone(1, None, Side::Client, now);
    assert_eq!(session.socket_opened(now), 2);
    session.socket_gone(1, None, Side::Client, now);
    assert!(session.is_current(2));
    assert!(session.view(now).violations.is_empty());
    session.socket_opened(now);
    assert!(!session.is_current(2));
    assert_eq!(session.view(now).violations.len(), 1);
}
