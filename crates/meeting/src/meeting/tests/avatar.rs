//! The avatar's sessions, one test for each way they can go.

use std::time::Duration;

use serde_json::json;

use crate::{
    http::{CallError, FailureKind},
    ids::UtteranceId,
    meeting::{
        Answer, AvatarOrder, AvatarState, Booking, Event, GreetingState, LiveEvent, PageOrder,
        Presence, Refusal, SpeechFormat, Step, UtteranceState, Via, limits,
        tests::room::{Room, audio, booking, bot_created, down, refused, seconds},
    },
    page::{FromPage, ToPage},
    secret::Secret,
    vendors::{
        avatar::{AvatarProvider, AvatarSession, AvatarSessionId, Opening, Viewer},
        liveavatar::{Beginning, CutReason, LinkReport},
    },
};

pub(super) fn opening(provider: AvatarProvider, id: &str) -> Opening {
    serde_json::from_value(json!({
        "provider": provider,
        "session_id": id,
        "grant": {"kind": "token", "token": "fake-session-token"},
    }))
    .unwrap()
}

pub(super) fn started(provider: AvatarProvider, id: &str, max_seconds: Option<u64>) -> Answer {
    let has_socket = provider == AvatarProvider::LiveAvatar;
    Answer::AvatarStarted {
        session: AvatarSession {
            provider,
            session_id: AvatarSessionId(id.to_owned()),
            viewer: Viewer {
                url: "wss://rooms.example".to_owned(),
                token: Secret::new("fake-viewer-token"),
            },
            socket_url: has_socket.then(|| Secret::new("wss://sound.example/fake")),
            max_seconds,
        },
    }
}

/// A meeting with an avatar whose bot is in the call; its page is not there yet.
pub(super) fn in_call(provider: AvatarProvider) -> Room {
    let mut room = Room::of(Booking {
        presence: Presence::Avatar,
        avatar_provider: Some(provider),
        ..booking(None)
    });
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.answer("directory.record_bot", Ok(Answer::Done));
    answer(&mut room, "elevenlabs.synthesize_full", audio(2000));
    room.status("in_call_recording");
    room
}

fn answer(room: &mut Room, operation: &str, result: Result<Answer, CallError>) -> Step {
    let order = room.take(operation);
    room.finish(order.id, result)
}

fn id(session: &str) -> AvatarSessionId {
    AvatarSessionId(session.to_owned())
}

fn page(room: &mut Room, report: FromPage) -> Step {
    room.send(Event::PageReported { report })
}

fn link(room: &mut Room, session: &str, report: LinkReport) -> Step {
    room.send(Event::AvatarReported {
        session_id: id(session),
        report,
    })
}

fn load(room: &mut Room) -> Step {
    room.send(Event::PageConnected);
    page(room, FromPage::Ready)
}

fn tracks(room: &mut Room, session: &str) -> Step {
    page(
        room,
        FromPage::AvatarTracks {
            session: session.to_owned(),
            first_frame_ms: 500,
        },
    )
}

fn sound(room: &mut Room, session: &str) -> Step {
    let session = session.to_owned();
    page(room, FromPage::AvatarHeard { session })
}

fn is_written(room: &Room) -> bool {
    room.open().contains(&"recall.send_chat_message")
}

fn start(room: &mut Room, session: &str, max_seconds: Option<u64>) -> Step {
    let provider = AvatarProvider::LiveAvatar;
    let opening = opening(provider, session);
    answer(
        room,
        "liveavatar.create_token",
        Ok(Answer::AvatarOpened { opening }),
    );
    answer(
        room,
        "liveavatar.start",
        Ok(started(provider, session, max_seconds)),
    )
}

/// The avatar is up, and the greeting is its to say.
fn up() -> (Room, UtteranceId) {
    let mut room = in_call(AvatarProvider::LiveAvatar);
    load(&mut room);
    let step = start(&mut room, "s1", Some(1200));
    assert_eq!(
        step.avatar,
        [AvatarOrder::Connect {
            session_id: id("s1"),
            beginning: Beginning::Fresh
        }]
    );
    assert_eq!(
        step.page,
        [PageOrder::JoinAvatar {
            session_id: id("s1")
        }]
    );
    tracks(&mut room, "s1");
    let step = link(&mut room, "s1", LinkReport::Ready { connections: 1 });
    let said = step.avatar.iter().find_map(|order| match order {
        AvatarOrder::Speak { utterance_id, .. } => Some(utterance_id.clone()),
        _ => None,
    });
    (room, said.unwrap())
}

fn greeted() -> Room {
    let (mut room, greeting) = up();
    speaking(&mut room, "s1", &greeting);
    room.now += seconds(2);
    spoken(&mut room, "s1", &greeting, 2000);
    room
}

fn speaking(room: &mut Room, session: &str, utterance: &UtteranceId) -> Step {
    let event_id = utterance.as_str().to_owned();
    link(
        room,
        session,
        LinkReport::Speaking {
            event_id,
            after_ms: 200,
        },
    )
}

fn spoken(room: &mut Room, session: &str, utterance: &UtteranceId, heard_ms: u64) -> Step {
    let event_id = utterance.as_str().to_owned();
    link(room, session, LinkReport::Spoken { event_id, heard_ms })
}

fn cut(
    room: &mut Room,
    session: &str,
    utterance: &UtteranceId,
    reason: CutReason,
    heard_ms: u64,
) -> Step {
    let event_id = utterance.as_str().to_owned();
    link(
        room,
        session,
        LinkReport::Cut {
            event_id,
            reason,
            heard_ms,
            sent_ms: heard_ms + 500,
            unsent_ms: 0,
        },
    )
}

fn say(room: &mut Room, number: u128) -> (UtteranceId, Step) {
    let utterance_id = UtteranceId::mint(room.now, number);
    room.send(Event::SayRequested {
        utterance_id: utterance_id.clone(),
        text: "hello".to_owned(),
        interrupt: false,
    });
    let step = answer(room, "elevenlabs.synthesize_full", audio(3000));
    (utterance_id, step)
}

fn ends(room: &Room, utterance: &UtteranceId) -> Vec<(UtteranceState, Option<Via>, Option<u64>)> {
    let ends = room.live.iter().filter_map(|event| match event {
        LiveEvent::Utterance {
            utterance_id,
            state,
            via,
            heard_ms,
            ..
        } if utterance_id == utterance => Some((*state, *via, *heard_ms)),
        _ => None,
    });
    ends.filter(|(state, ..)| !matches!(state, UtteranceState::Queued | UtteranceState::Speaking))
        .collect()
}

fn state(room: &Room) -> AvatarState {
    room.meeting.view().avatar.state
}

/// Lets time pass while the page shows signs of life.
fn pass(room: &mut Room, time: Duration) {
    let until = room.now + time;
    while room.now < until {
        page(room, FromPage::Pong);
        let step = until.duration_since(room.now);
        room.wait(seconds(20).min(step.unsigned_abs()));
    }
}

fn stopped(room: &mut Room) {
    answer(room, "liveavatar.stop", Ok(Answer::Done));
    answer(
        room,
        "liveavatar.get_session",
        Ok(Answer::AvatarChecked { live: false }),
    );
}

#[test]
fn the_avatar_greets_once_it_is_up() {
    let (mut room, greeting) = up();
    assert_eq!(state(&room), AvatarState::Ready);
    speaking(&mut room, "s1", &greeting);
    assert_eq!(state(&room), AvatarState::Speaking);
    let view = room.meeting.view().greeting;
    assert_eq!(
        (view.state, view.via),
        (GreetingState::Sent, Some(Via::Avatar))
    );
    spoken(&mut room, "s1", &greeting, 2000);
    assert_eq!(
        ends(&room, &greeting),
        [(UtteranceState::Spoken, Some(Via::Avatar), Some(2000))]
    );
    let details = room.meeting.avatar_details();
    assert_eq!(details.session_id.as_deref(), Some("s1"));
    assert_eq!(
        details.rotates_at,
        details.started_at.map(|at| at + seconds(1140))
    );
    assert!(room.warnings().is_empty());
}

#[test]
fn no_session_is_begun_before_the_page_is_there() {
    let room = in_call(AvatarProvider::LiveAvatar);
    assert!(room.open().is_empty(), "{:?}", room.open());
    assert_eq!(state(&room), AvatarState::Starting);
}

#[test]
fn a_session_that_is_slow_to_come_up_is_not_waited_for() {
    let mut room = in_call(AvatarProvider::LiveAvatar);
    let step = load(&mut room);
    assert!(
        !step
            .page
            .iter()
            .any(|o| matches!(o, PageOrder::Speak { .. }))
    );
    room.now += limits::AVATAR_PATIENCE;
    let step = room.send(Event::Woke);
    assert!(matches!(
        step.page[..],
        [PageOrder::Speak {
            format: SpeechFormat::Pcm24000,
            from_ms: 0,
            ..
        }]
    ));
    // The page speaks, so it enters no room yet.
    let step = start(&mut room, "s1", None);
    assert!(step.page.is_empty(), "{:?}", step.page);
}

#[test]
fn without_the_vendor_the_page_speaks_at_once_and_the_meeting_says_why() {
    let mut room = in_call(AvatarProvider::LiveAvatar);
    load(&mut room);
    let refused = refused(401, FailureKind::Unauthorized);
    let step = answer(&mut room, "liveavatar.create_token", Err(refused));
    assert!(
        matches!(step.page[..], [PageOrder::Speak { .. }]),
        "{:?}",
        step.page
    );
    assert_eq!(room.warnings(), ["avatar_failed"]);
    assert_eq!(state(&room), AvatarState::Failed);
    pass(&mut room, seconds(3600));
    assert!(!room.open().contains(&"liveavatar.create_token"));
}

#[test]
fn a_start_whose_answer_was_lost_is_followed_by_another_session() {
    let mut room = in_call(AvatarProvider::LiveAvatar);
    load(&mut room);
    let opening = opening(AvatarProvider::LiveAvatar, "s1");
    let opened = Ok(Answer::AvatarOpened { opening });
    answer(&mut room, "liveavatar.create_token", opened);
    let started_before = CallError {
        maybe_done: true,
        ..refused(400, FailureKind::InvalidRequest)
    };
    answer(&mut room, "liveavatar.start", Err(started_before));
    stopped(&mut room);
    pass(&mut room, limits::AVATAR_PAUSE);
    assert!(room.open().contains(&"liveavatar.create_token"));
}

#[test]
fn what_the_avatar_cannot_say_to_its_end_the_page_says_from_there_on() {
    for reason in [
        CutReason::SocketLost,
        CutReason::FellSilent,
        CutReason::SessionOver,
    ] {
        let mut room = greeted();
        let (utterance, step) = say(&mut room, 7);
        assert!(matches!(step.avatar[..], [AvatarOrder::Speak { .. }]));
        speaking(&mut room, "s1", &utterance);
        let step = cut(&mut room, "s1", &utterance, reason, 1200);
        assert!(
            matches!(
                &step.page[..],
                [
                    PageOrder::Send(ToPage::AvatarLeave { .. }),
                    PageOrder::Speak { from_ms: 1200, .. }
                ]
            ),
            "{reason:?}: {:?}",
            step.page
        );
        page(
            &mut room,
            FromPage::Spoken {
                utterance_id: utterance.clone(),
            },
        );
        assert_eq!(
            ends(&room, &utterance),
            [(UtteranceState::Spoken, Some(Via::Page), Some(3000))]
        );
        assert_eq!(room.warnings(), ["avatar_failed"]);
        // Another session is begun only once this one is known to be over.
        pass(&mut room, seconds(30));
        assert!(!room.open().contains(&"liveavatar.create_token"));
        stopped(&mut room);
        room.send(Event::Woke);
        assert!(
            room.open().contains(&"liveavatar.create_token"),
            "{:?}",
            room.open()
        );
    }
}

#[test]
fn an_interrupted_avatar_says_how_much_was_heard() {
    let mut room = greeted();
    let (utterance, _) = say(&mut room, 7);
    speaking(&mut room, "s1", &utterance);
    let step = room.send(Event::InterruptRequested);
    assert_eq!(
        step.avatar,
        [AvatarOrder::Interrupt {
            session_id: id("s1")
        }]
    );
    cut(&mut room, "s1", &utterance, CutReason::Interrupted, 900);
    assert_eq!(
        ends(&room, &utterance),
        [(UtteranceState::Interrupted, Some(Via::Avatar), Some(900))]
    );
    assert_eq!(state(&room), AvatarState::Ready);
}

#[test]
fn before_its_limit_a_session_is_replaced_and_let_go_of_once_it_is_silent() {
    let mut room = greeted();
    pass(&mut room, seconds(1130));
    let (utterance, _) = say(&mut room, 7);
    speaking(&mut room, "s1", &utterance);
    pass(&mut room, seconds(10));
    assert!(
        room.open().contains(&"liveavatar.create_token"),
        "{:?}",
        room.open()
    );
    start(&mut room, "s2", Some(1200));
    assert_eq!(state(&room), AvatarState::Speaking);
    tracks(&mut room, "s2");
    let step = link(&mut room, "s2", LinkReport::Ready { connections: 1 });
    assert!(
        !room.open().contains(&"liveavatar.stop"),
        "{:?}",
        step.avatar
    );
    let step = spoken(&mut room, "s1", &utterance, 3000);
    assert!(step.avatar.contains(&AvatarOrder::Close {
        session_id: id("s1")
    }));
    assert!(room.open().contains(&"liveavatar.stop"));
    stopped(&mut room);
    assert_eq!(
        room.meeting.avatar_details().session_id.as_deref(),
        Some("s2")
    );
    assert!(!room.warnings().contains(&"avatar_failed".to_owned()));
}

#[test]
fn a_session_is_replaced_when_somebody_asks_and_only_where_there_is_one() {
    let mut room = greeted();
    assert!(room.send(Event::RotationRequested).refusal.is_none());
    assert_eq!(state(&room), AvatarState::Rotating);
    assert_eq!(room.open(), ["liveavatar.create_token"]);
    room.send(Event::RotationRequested);
    assert_eq!(room.open(), ["liveavatar.create_token"]);
    let mut early = in_call(AvatarProvider::LiveAvatar);
    assert_eq!(
        early.send(Event::RotationRequested).refusal,
        Some(Refusal::NoSession)
    );
}

#[test]
fn a_page_that_was_loaded_anew_is_told_of_the_same_session() {
    let mut room = greeted();
    room.send(Event::PageDisconnected);
    room.now += seconds(1);
    let step = load(&mut room);
    assert_eq!(
        step.page,
        [PageOrder::JoinAvatar {
            session_id: id("s1")
        }]
    );
    assert!(room.open().is_empty());
    tracks(&mut room, "s1");
    assert_eq!(state(&room), AvatarState::Ready);
    assert!(room.warnings().is_empty());
}

#[test]
fn after_a_restart_the_socket_is_opened_again_and_nothing_is_begun_twice() {
    let mut room = greeted();
    let (first, _) = say(&mut room, 7);
    speaking(&mut room, "s1", &first);
    let (second, _) = say(&mut room, 8);
    room.now += seconds(1);
    let step = room.send(Event::Restored {
        page_connected: true,
    });
    assert!(step.avatar.contains(&AvatarOrder::Connect {
        session_id: id("s1"),
        beginning: Beginning::Resumed
    }));
    assert_eq!(
        ends(&room, &first),
        [(UtteranceState::Interrupted, Some(Via::Avatar), Some(1000))]
    );
    assert!(ends(&room, &second).is_empty());
}

#[test]
fn however_long_a_restart_takes_a_greeting_that_may_have_been_heard_is_not_spoken_again() {
    for outage in [1, 8, 60] {
        let (mut room, _) = up();
        room.now += seconds(outage);
        room.send(Event::Restored {
            page_connected: false,
        });
        assert!(!is_written(&room), "the page may know more");
        let told = load(&mut room).page;
        let spoken = told
            .iter()
            .any(|order| matches!(order, PageOrder::Speak { .. }));
        assert!(!spoken, "after {outage} s: {told:?}");
        tracks(&mut room, "s1");
        assert!(!is_written(&room), "it may begin in this moment");
        room.wait(limits::AVATAR_DOUBT_PATIENCE);
        assert!(is_written(&room), "after {outage} s: {:?}", room.open());
        answer(&mut room, "recall.send_chat_message", Ok(Answer::Done));
        assert_eq!(room.meeting.view().greeting.via, Some(Via::Chat));
    }
}

#[test]
fn a_greeting_is_not_written_any_more_once_the_page_tells_that_it_was_heard() {
    let (mut room, greeting) = up();
    room.send(Event::Restored {
        page_connected: false,
    });
    room.wait(limits::PAGE_READY_PATIENCE);
    let refusal = Err(down("recall.send_chat_message"));
    answer(&mut room, "recall.send_chat_message", refusal);
    load(&mut room);
    sound(&mut room, "s1");
    room.wait(seconds(60));
    assert!(!is_written(&room));
    let told = room.meeting.view().greeting;
    assert_eq!(
        (told.state, told.via, told.reason),
        (GreetingState::Sent, Some(Via::Avatar), None)
    );
    assert_eq!(
        ends(&room, &greeting),
        [(UtteranceState::Interrupted, Some(Via::Avatar), None)]
    );
}

#[test]
fn a_greeting_that_the_page_heard_from_the_avatar_is_not_written_after_a_restart() {
    let restart = |room: &mut Room, page_connected| {
        room.send(Event::Restored { page_connected });
    };
    let before_it = |room: &mut Room| {
        sound(room, "s1");
        restart(room, false);
    };
    let as_the_page_comes_back = |room: &mut Room| {
        restart(room, false);
        load(room);
        sound(room, "s1");
        tracks(room, "s1");
    };
    let a_moment_later = |room: &mut Room| {
        restart(room, false);
        load(room);
        tracks(room, "s1");
        room.wait(seconds(1));
        sound(room, "s1");
    };
    let from_a_page_that_stayed = |room: &mut Room| {
        restart(room, true);
        sound(room, "s1");
    };
    let ways: [&dyn Fn(&mut Room); 4] = [
        &before_it,
        &as_the_page_comes_back,
        &a_moment_later,
        &from_a_page_that_stayed,
    ];
    for heard in ways {
        let (mut room, greeting) = up();
        heard(&mut room);
        room.wait(seconds(60));
        assert!(!is_written(&room));
        assert_eq!(room.meeting.view().greeting.via, Some(Via::Avatar));
        assert_eq!(
            ends(&room, &greeting),
            [(UtteranceState::Interrupted, Some(Via::Avatar), None)]
        );
    }
}

#[test]
fn a_page_that_does_not_come_back_is_asked_no_longer_and_the_chat_greets() {
    let (mut room, _) = up();
    for _ in 0..2 {
        room.send(Event::Restored {
            page_connected: false,
        });
        room.wait(limits::PAGE_READY_PATIENCE.saturating_sub(seconds(1)));
        assert!(!is_written(&room), "each restart may be what kept it away");
    }
    room.wait(seconds(1));
    assert!(is_written(&room));
}

#[test]
fn a_greeting_that_was_heard_is_not_begun_again_where_the_vendor_told_nothing_of_it() {
    let (mut silent, greeting) = up();
    let (mut heard, _) = up();
    sound(&mut heard, "s1");
    for room in [&mut silent, &mut heard] {
        cut(room, "s1", &greeting, CutReason::NotBegun, 0);
    }
    assert_eq!(silent.meeting.view().greeting.state, GreetingState::Pending);
    assert_eq!(heard.meeting.view().greeting.via, Some(Via::Avatar));
}

#[test]
fn whatever_the_end_finds_is_stopped() {
    let mut room = greeted();
    room.send(Event::RotationRequested);
    room.status("call_ended");
    let opening = opening(AvatarProvider::LiveAvatar, "s2");
    answer(
        &mut room,
        "liveavatar.create_token",
        Ok(Answer::AvatarOpened { opening }),
    );
    assert_eq!(
        room.open()
            .iter()
            .filter(|o| **o == "liveavatar.stop")
            .count(),
        2
    );
    assert_eq!(state(&room), AvatarState::Stopped);
}

#[test]
fn a_refusal_to_stop_a_session_is_not_the_last_word() {
    let mut room = greeted();
    room.status("call_ended");
    for _ in 1..limits::MAX_AVATAR_STOPS {
        let refusal = Err(refused(403, FailureKind::Forbidden));
        answer(&mut room, "liveavatar.stop", refusal);
        assert!(!room.open().contains(&"liveavatar.stop"));
        room.wait(limits::AVATAR_REFUSED_STOP_PAUSE);
    }
    assert_eq!(room.warnings(), Vec::<&str>::new());
    let refusal = Err(refused(403, FailureKind::Forbidden));
    answer(&mut room, "liveavatar.stop", refusal);
    assert_eq!(room.warnings(), ["avatar_failed"]);
}

/// A meeting with HeyGen's avatar, which is told to greet.
fn up_by_text() -> Room {
    let mut room = in_call(AvatarProvider::HeyGen);
    load(&mut room);
    let opening = opening(AvatarProvider::HeyGen, "h1");
    answer(
        &mut room,
        "heygen.new",
        Ok(Answer::AvatarOpened { opening }),
    );
    answer(
        &mut room,
        "heygen.start",
        Ok(started(AvatarProvider::HeyGen, "h1", Some(3600))),
    );
    tracks(&mut room, "h1");
    room
}

#[test]
fn a_greeting_that_an_avatar_may_have_said_is_written_if_the_page_heard_nothing() {
    let (mut room, mut heard) = (up_by_text(), up_by_text());
    for room in [&mut room, &mut heard] {
        answer(room, "heygen.speak", Err(down("heygen.speak")));
        assert!(!is_written(room));
    }
    sound(&mut heard, "h1");
    assert_eq!(heard.meeting.view().greeting.via, Some(Via::Avatar));
    assert!(heard.open().contains(&"heygen.interrupt"));
    heard.wait(seconds(60));
    assert!(!is_written(&heard));
    room.wait(limits::AVATAR_DOUBT_PATIENCE);
    assert_eq!(room.warnings(), ["greeting_failed", "avatar_failed"]);
    answer(&mut room, "recall.send_chat_message", Ok(Answer::Done));
    let greeting = room.meeting.view().greeting;
    assert_eq!(greeting.via, Some(Via::Chat));
    assert!(greeting.reason.is_some());
}

#[test]
fn a_greeting_that_is_taken_as_the_bot_leaves_was_heard_by_nobody() {
    let mut room = up_by_text();
    room.send(Event::CancelRequested);
    let says = Answer::AvatarSays { duration_ms: 1500 };
    answer(&mut room, "heygen.speak", Ok(says));
    assert_eq!(room.meeting.view().greeting.state, GreetingState::Pending);
    room.status("call_ended");
    let greeting = room.meeting.view().greeting;
    assert_eq!(greeting.state, GreetingState::Failed);
    assert!(greeting.reason.is_some());
}

#[test]
fn a_greeting_that_was_taken_as_a_text_is_given_once_it_is_heard() {
    let taken = || {
        let mut room = up_by_text();
        let says = Answer::AvatarSays { duration_ms: 2500 };
        answer(&mut room, "heygen.speak", Ok(says));
        assert_eq!(room.meeting.view().greeting.state, GreetingState::Pending);
        room
    };
    let greeted = |room: &Room| room.meeting.view().greeting.via == Some(Via::Avatar);
    let mut heard = taken();
    sound(&mut heard, "h1");
    assert!(greeted(&heard));
    let mut unmeasured = taken();
    unmeasured.wait(limits::AVATAR_TEXT_HEARD);
    assert!(greeted(&unmeasured));
    let mut short = up_by_text();
    let says = Answer::AvatarSays { duration_ms: 300 };
    answer(&mut short, "heygen.speak", Ok(says));
    short.wait(Duration::from_millis(300) + limits::UTTERANCE_GAP);
    assert!(greeted(&short));
    let mut left = taken();
    left.status("call_ended");
    let greeting = left.meeting.view().greeting;
    assert_eq!(greeting.state, GreetingState::Failed);
    assert!(greeting.reason.is_some());
}

#[test]
fn a_text_that_has_just_begun_is_not_said_again_when_its_session_fails() {
    let mut room = up_by_text();
    let says = Answer::AvatarSays { duration_ms: 1500 };
    answer(&mut room, "heygen.speak", Ok(says));
    let session = id("h1").0;
    page(&mut room, FromPage::VideoFrozen { session });
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Avatar));
    assert!(!room.open().contains(&"recall.send_chat_message"));
    room.wait(seconds(60));
    assert!(!room.open().contains(&"recall.send_chat_message"));
}

#[test]
fn a_session_that_is_not_wanted_any_more_is_not_asked_for_again() {
    let asking = || {
        let mut room = in_call(AvatarProvider::HeyGen);
        load(&mut room);
        assert!(room.open().contains(&"heygen.new"));
        room
    };
    let mut refused_for_now = asking();
    answer(&mut refused_for_now, "heygen.new", Err(down("heygen.new")));
    let mut restarted = asking();
    for room in [&mut refused_for_now, &mut restarted] {
        room.status("call_ended");
    }
    restarted.send(Event::Restored {
        page_connected: true,
    });
    for room in [&mut refused_for_now, &mut restarted] {
        room.wait(seconds(20));
        assert!(!room.open().contains(&"heygen.new"));
        assert_eq!(state(room), AvatarState::Stopped);
    }
}

#[test]
fn a_vendor_that_is_given_text_says_it_by_call() {
    let mut room = up_by_text();
    answer(
        &mut room,
        "heygen.speak",
        Ok(Answer::AvatarSays { duration_ms: 1500 }),
    );
    assert_eq!(state(&room), AvatarState::Speaking);
    room.wait(seconds(2));
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Avatar));
    assert_eq!(state(&room), AvatarState::Ready);
    room.send(Event::SayRequested {
        utterance_id: UtteranceId::mint(room.now, 9),
        text: "hello".to_owned(),
        interrupt: false,
    });
    assert_eq!(room.open(), ["heygen.speak"]);
}
