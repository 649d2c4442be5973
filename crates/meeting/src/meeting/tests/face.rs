//! The bot's page, one test for each way it can go.

use std::time::Duration;

use crate::{
    ids::UtteranceId,
    meeting::{
        AvatarState, Booking, Event, GreetingState, LiveEvent, Meeting, PageOrder, Presence,
        Refusal, Step, UtteranceState, Via, limits,
        tests::room::{Room, audio, booking, bot_created, down, seconds, start_of_time},
    },
    page::{FromPage, Reaction, ToPage},
};

/// A meeting with a face whose bot is in the call; its page is not there yet.
pub(super) fn in_call() -> Room {
    let mut room = Room::of(Booking {
        presence: Presence::Avatar,
        ..booking(None)
    });
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.answer("directory.record_bot", Ok(crate::meeting::Answer::Done));
    room.answer("elevenlabs.synthesize_full", audio(2000));
    room.status("in_call_recording");
    room
}

#[test]
fn the_microphone_goes_with_its_page_and_comes_back_with_it() {
    let mut room = Room::of(Booking {
        presence: Presence::Avatar,
        page_microphone: true,
        ..booking(None)
    });
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.status("in_call_recording");
    let hello = room.send(Event::PageConnected);
    assert!(matches!(
        hello.page[0],
        PageOrder::Send(ToPage::Hello {
            microphone: true,
            ..
        })
    ));
    report(&mut room, FromPage::Ready);
    assert!(room.send(Event::MediaConnected).ears.is_some());
    assert!(room.meeting.has_media());
    room.send(Event::PageDisconnected);
    assert!(!room.meeting.has_media());
    load(&mut room);
    room.send(Event::MediaConnected);
    assert!(room.meeting.has_media());
}

fn report(room: &mut Room, report: FromPage) -> Step {
    room.send(Event::PageReported { report })
}

fn load(room: &mut Room) -> Step {
    let hello = room.send(Event::PageConnected);
    assert!(matches!(
        &hello.page[..],
        [
            PageOrder::Send(ToPage::Hello { .. }),
            ..,
            PageOrder::Send(ToPage::Ping),
        ]
    ));
    report(room, FromPage::Ready)
}

/// Moves the clock on; gives what the page is told meanwhile.
fn wait_told(room: &mut Room, time: Duration) -> Vec<PageOrder> {
    let until = room.now + time;
    let mut told = Vec::new();
    while let Some(at) = room.meeting.deadline(room.now).filter(|at| *at <= until) {
        room.now = at.max(room.now);
        told.extend(room.send(Event::Woke).page);
    }
    room.now = until;
    told
}

/// How much of the last utterance that ended was heard.
fn heard(room: &Room) -> Option<u64> {
    let told = room.live.iter().rev();
    let mut ends = told.filter_map(|event| match event {
        LiveEvent::Utterance { heard_ms, .. } => Some(*heard_ms),
        _ => None,
    });
    ends.next().flatten()
}

const INTERRUPT: PageOrder = PageOrder::Send(ToPage::Interrupt);

fn greeting() -> UtteranceId {
    UtteranceId::mint(start_of_time(), 0)
}

fn spoken_on_page(page: &[PageOrder]) -> Vec<UtteranceId> {
    let orders = page.iter().filter_map(|order| match order {
        PageOrder::Speak { utterance_id, .. } => Some(utterance_id.clone()),
        _ => None,
    });
    orders.collect()
}

/// A meeting that has greeted through its page.
fn greeted() -> Room {
    let mut room = in_call();
    load(&mut room);
    playing(&mut room, greeting());
    report(
        &mut room,
        FromPage::Spoken {
            utterance_id: greeting(),
        },
    );
    room.live.clear();
    room
}

fn playing(room: &mut Room, utterance_id: UtteranceId) {
    plays(room, utterance_id, 0);
}

fn plays(room: &mut Room, utterance_id: UtteranceId, played_ms: u64) {
    let interrupted = false;
    report(
        room,
        FromPage::Playing {
            utterance_id,
            played_ms,
            interrupted,
        },
    );
}

fn halted(room: &mut Room, utterance_id: UtteranceId, played_ms: u64) -> Step {
    let interrupted = true;
    report(
        room,
        FromPage::Playing {
            utterance_id,
            played_ms,
            interrupted,
        },
    )
}

/// Something is being said through the page.
fn speaking() -> (Room, UtteranceId) {
    let mut room = greeted();
    let id = UtteranceId::mint(room.now, 5);
    room.say(5, "hello", false);
    room.answer("elevenlabs.synthesize_full", audio(2000));
    playing(&mut room, id.clone());
    room.live.clear();
    (room, id)
}

fn interrupted(text: &str) -> (String, UtteranceState) {
    (text.to_owned(), UtteranceState::Interrupted)
}

fn avatar(room: &Room) -> AvatarState {
    room.meeting.view().avatar.state
}

#[test]
fn the_room_is_greeted_through_the_page_as_soon_as_it_is_ready() {
    let mut room = in_call();
    assert_eq!(avatar(&room), AvatarState::Starting);
    assert!(room.open().is_empty(), "no clip is played through Recall");
    let step = load(&mut room);
    assert_eq!(spoken_on_page(&step.page), [greeting()]);
    assert_eq!(room.meeting.view().greeting.state, GreetingState::Pending);
    playing(&mut room, greeting());
    assert_eq!(avatar(&room), AvatarState::Speaking);
    let view = room.meeting.view().greeting;
    assert_eq!(
        (view.state, view.via),
        (GreetingState::Sent, Some(Via::Page))
    );
    report(
        &mut room,
        FromPage::Spoken {
            utterance_id: greeting(),
        },
    );
    assert_eq!(avatar(&room), AvatarState::Ready);
    assert!(room.warnings().is_empty());
}

#[test]
fn without_a_page_the_room_is_greeted_in_the_chat() {
    let mut room = in_call();
    room.wait(limits::PAGE_READY_PATIENCE);
    room.answer("recall.send_chat_message", Ok(crate::meeting::Answer::Done));
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Chat));
    assert_eq!(room.warnings(), ["page_not_ready", "greeting_failed"]);
    let step = load(&mut room);
    assert_eq!(avatar(&room), AvatarState::Ready);
    assert!(
        spoken_on_page(&step.page).is_empty(),
        "the greeting is not repeated"
    );
}

#[test]
fn a_page_that_does_not_play_leaves_the_words_to_the_chat() {
    let mut room = in_call();
    load(&mut room);
    room.wait(limits::PAGE_PATIENCE);
    room.take("recall.send_chat_message");
    assert_eq!(room.warnings(), ["greeting_failed"]);
}

#[test]
fn a_page_that_reloads_before_it_plays_is_given_the_words_again() {
    let mut room = in_call();
    load(&mut room);
    room.send(Event::PageDisconnected);
    let step = load(&mut room);
    assert!(spoken_on_page(&step.page).is_empty(), "it may play on");
    let told = wait_told(&mut room, limits::PAGE_RESUME_PATIENCE);
    assert_eq!(told[0], INTERRUPT);
    assert_eq!(spoken_on_page(&told), [greeting()]);
}

#[test]
fn a_page_that_reloads_while_it_plays_has_cut_off_what_it_played() {
    let (mut room, _) = speaking();
    room.wait(seconds(1));
    room.send(Event::PageDisconnected);
    room.wait(seconds(1));
    load(&mut room);
    let told = wait_told(&mut room, limits::PAGE_RESUME_PATIENCE);
    assert_eq!(told, [INTERRUPT]);
    assert_eq!(room.utterances(), [interrupted("hello")]);
    assert_eq!(heard(&room), Some(1_000));
}

#[test]
fn a_page_that_plays_on_without_its_socket_is_let_play() {
    for restored in [false, true] {
        let (mut room, id) = speaking();
        room.wait(seconds(1));
        if restored {
            room.send(Event::Restored {
                page_connected: false,
            });
        } else {
            room.send(Event::PageDisconnected);
        }
        assert_eq!(avatar(&room), AvatarState::Starting);
        let step = room.send(Event::PageConnected);
        assert!(!step.page.contains(&INTERRUPT), "{:?}", step.page);
        report(&mut room, FromPage::Ready);
        plays(&mut room, id.clone(), 1_250);
        let told = wait_told(&mut room, limits::PAGE_RESUME_PATIENCE);
        assert!(told.is_empty(), "{told:?}");
        assert_eq!(avatar(&room), AvatarState::Speaking);
        report(&mut room, FromPage::Spoken { utterance_id: id });
        assert_eq!(
            room.utterances(),
            [("hello".to_owned(), UtteranceState::Spoken)]
        );
    }
}

#[test]
fn words_whose_beginning_was_not_reported_are_not_said_again() {
    let mut room = in_call();
    load(&mut room);
    room.send(Event::PageDisconnected);
    load(&mut room);
    plays(&mut room, greeting(), 400);
    let told = wait_told(&mut room, seconds(1));
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Page));
}

#[test]
fn a_page_that_does_not_come_back_has_cut_off_what_it_played_and_leaves_the_rest_to_the_chat() {
    let (mut room, _) = speaking();
    room.say(6, "and more", false);
    room.answer("elevenlabs.synthesize_full", audio(500));
    room.send(Event::PageDisconnected);
    room.live.clear();
    room.wait(limits::PAGE_READY_PATIENCE);
    assert_eq!(room.utterances(), [interrupted("hello")]);
    room.take("recall.send_chat_message");
    assert_eq!(room.warnings(), ["page_not_ready"]);
}

#[test]
fn a_greeting_that_played_on_through_a_long_restart_is_neither_repeated_nor_written() {
    let mut room = in_call();
    load(&mut room);
    room.now += seconds(60);
    room.send(Event::Restored {
        page_connected: false,
    });
    assert!(!room.open().contains(&"recall.send_chat_message"));
    let mut told = load(&mut room).page;
    let utterance_id = greeting();
    told.extend(report(&mut room, FromPage::Spoken { utterance_id }).page);
    told.extend(wait_told(&mut room, seconds(20)));
    assert!(spoken_on_page(&told).is_empty());
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Page));
    assert!(!room.open().contains(&"recall.send_chat_message"));
}

#[test]
fn a_greeting_is_not_written_any_more_once_its_page_is_back_and_has_played_it() {
    let mut room = in_call();
    load(&mut room);
    room.send(Event::PageDisconnected);
    room.wait(limits::GREETING_PATIENCE);
    let chat = room.take("recall.send_chat_message");
    load(&mut room);
    let utterance_id = greeting();
    report(&mut room, FromPage::Spoken { utterance_id });
    room.finish(chat.id, Err(down("recall.send_chat_message")));
    room.wait(seconds(60));
    assert!(!room.open().contains(&"recall.send_chat_message"));
    let greeting = room.meeting.view().greeting;
    assert_eq!(
        (greeting.state, greeting.via),
        (GreetingState::Sent, Some(Via::Page))
    );
}

#[test]
fn a_greeting_that_was_heard_is_not_repeated_after_a_restart() {
    let mut room = in_call();
    load(&mut room);
    playing(&mut room, greeting());
    room.send(Event::Restored {
        page_connected: false,
    });
    load(&mut room);
    let told = wait_told(&mut room, seconds(5));
    assert!(spoken_on_page(&told).is_empty());
    assert_eq!(room.meeting.view().greeting.state, GreetingState::Sent);
}

#[test]
fn utterances_follow_each_other() {
    let (mut room, id) = speaking();
    room.say(6, "and more", false);
    room.answer("elevenlabs.synthesize_full", audio(500));
    let step = report(&mut room, FromPage::Spoken { utterance_id: id });
    assert_eq!(spoken_on_page(&step.page), [UtteranceId::mint(room.now, 6)]);
}

#[test]
fn an_interruption_reaches_the_page_which_says_how_much_was_heard() {
    let (mut room, id) = speaking();
    room.wait(seconds(1));
    room.say(6, "and more", true);
    room.answer("elevenlabs.synthesize_full", audio(500));
    plays(&mut room, id.clone(), 1_250);
    let step = halted(&mut room, id, 1_234);
    assert_eq!(
        spoken_on_page(&step.page),
        [UtteranceId::mint(room.now, 6)],
        "the next one waits for the end of the last"
    );
    assert!(room.utterances().contains(&interrupted("hello")));
    assert_eq!(heard(&room), Some(1_234));
}

#[test]
fn a_page_that_does_not_answer_an_interruption_is_not_waited_for() {
    let (mut room, _) = speaking();
    room.wait(seconds(1));
    let step = room.send(Event::InterruptRequested);
    assert_eq!(step.page, [INTERRUPT]);
    assert!(room.send(Event::InterruptRequested).page.is_empty());
    assert!(wait_told(&mut room, limits::PAGE_HALT_PATIENCE).is_empty());
    assert_eq!(room.utterances(), [interrupted("hello")]);
    assert_eq!(heard(&room), Some(2_000));
}

#[test]
fn what_was_interrupted_before_it_began_was_not_heard() {
    let mut room = greeted();
    let id = UtteranceId::mint(room.now, 5);
    room.say(5, "hello", false);
    room.answer("elevenlabs.synthesize_full", audio(2000));
    room.send(Event::InterruptRequested);
    halted(&mut room, id, 0);
    assert_eq!(heard(&room), Some(0));
}

#[test]
fn an_interruption_does_not_cost_the_room_its_greeting() {
    let mut room = in_call();
    load(&mut room);
    let step = room.send(Event::InterruptRequested);
    assert!(step.page.is_empty());
    playing(&mut room, greeting());
    assert_eq!(room.meeting.view().greeting.state, GreetingState::Sent);
}

#[test]
fn what_the_page_cannot_play_is_written_to_the_chat() {
    let mut room = in_call();
    load(&mut room);
    let reason = "x".repeat(1_000);
    report(
        &mut room,
        FromPage::SpeakFailed {
            utterance_id: greeting(),
            reason,
            played_ms: 0,
        },
    );
    room.answer("recall.send_chat_message", Ok(crate::meeting::Answer::Done));
    let view = room.meeting.view().greeting;
    assert_eq!(view.via, Some(Via::Chat));
    assert!(view.reason.unwrap().len() < 200);
}

#[test]
fn what_the_page_cannot_play_to_its_end_is_cut_off() {
    let (mut room, utterance_id) = speaking();
    room.wait(seconds(1));
    let reason = "the connection was lost".to_owned();
    report(
        &mut room,
        FromPage::SpeakFailed {
            utterance_id,
            reason,
            played_ms: 0,
        },
    );
    assert_eq!(room.utterances(), [interrupted("hello")]);
    assert_eq!(heard(&room), Some(1_000));
}

#[test]
fn a_greeting_that_was_cut_off_with_the_connection_was_heard_as_far_as_the_page_says() {
    let mut room = in_call();
    load(&mut room);
    room.send(Event::Restored {
        page_connected: false,
    });
    load(&mut room);
    report(
        &mut room,
        FromPage::SpeakFailed {
            utterance_id: greeting(),
            reason: "the connection was lost".to_owned(),
            played_ms: 700,
        },
    );
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Page));
    assert_eq!(heard(&room), Some(700));
    room.wait(seconds(60));
    assert!(!room.open().contains(&"recall.send_chat_message"));
}

#[test]
fn progress_as_expected_changes_nothing_and_a_pause_is_taken_in() {
    let (mut room, id) = speaking();
    room.wait(seconds(1));
    plays(&mut room, id.clone(), 900);
    let before = room.meeting.clone();
    plays(&mut room, id.clone(), 1_000);
    assert_eq!(room.meeting, before, "nothing is written");
    room.wait(seconds(3));
    plays(&mut room, id.clone(), 1_100);
    room.wait(limits::PAGE_PATIENCE);
    assert!(
        room.utterances().is_empty(),
        "it is given the time it takes"
    );
    report(&mut room, FromPage::Spoken { utterance_id: id });
    assert_eq!(heard(&room), Some(2_000));
}

#[test]
fn a_page_is_asked_for_signs_of_life_and_dropped_without() {
    let mut room = greeted();
    let ping = PageOrder::Send(ToPage::Ping);
    for _ in 0..3 {
        report(&mut room, FromPage::Pong);
        assert_eq!(
            wait_told(&mut room, limits::PAGE_PING),
            std::slice::from_ref(&ping)
        );
    }
    assert_eq!(
        wait_told(&mut room, limits::PAGE_PING),
        [PageOrder::Close],
        "it has not answered"
    );
    assert_eq!(avatar(&room), AvatarState::Starting);
    load(&mut room);
    assert_eq!(avatar(&room), AvatarState::Ready);
}

#[test]
fn news_of_avatar_sessions_change_nothing_yet() {
    let mut room = greeted();
    let before = room.meeting.clone();
    let session = || "session".to_owned();
    let reason = String::new();
    for news in [
        FromPage::AvatarTracks {
            session: session(),
            first_frame_ms: 1,
        },
        FromPage::VideoFrozen { session: session() },
        FromPage::AvatarDisconnected {
            session: session(),
            reason,
        },
        FromPage::Unknown,
    ] {
        let step = report(&mut room, news);
        assert!(step.page.is_empty() && room.meeting == before);
    }
}

#[test]
fn a_builtin_face_has_no_session_to_rotate() {
    let mut room = greeted();
    let refusal = room.send(Event::RotationRequested).refusal;
    assert_eq!(refusal, Some(Refusal::NoSession));
    let refusal = Room::in_call().send(Event::RotationRequested).refusal;
    assert_eq!(refusal, Some(Refusal::NoAvatar));
}

#[test]
fn a_page_that_never_ends_does_not_hold_up_the_queue() {
    let (mut room, _) = speaking();
    let told = wait_told(&mut room, seconds(2) + limits::PAGE_PATIENCE);
    assert_eq!(told, [INTERRUPT]);
    assert_eq!(room.utterances(), [interrupted("hello")]);
}

#[test]
fn reactions_need_a_face() {
    let (mut room, _) = speaking();
    let reaction = Reaction::Nod;
    let step = room.send(Event::ReactionRequested { reaction });
    assert_eq!(step.page, [PageOrder::Send(ToPage::React { reaction })]);

    let mut voice = Room::in_call();
    let step = voice.send(Event::ReactionRequested { reaction });
    assert_eq!(step.refusal, Some(Refusal::NoAvatar));
    assert!(voice.send(Event::PageConnected).refusal.is_some());
}

#[test]
fn the_page_is_let_go_when_the_call_is_over() {
    let (mut room, _) = speaking();
    let step = room.send(Event::PageReported {
        report: FromPage::SoundBlocked,
    });
    assert!(step.page.is_empty());
    assert_eq!(room.warnings(), ["sound_blocked"]);
    room.live.clear();
    room.status("call_ended");
    assert_eq!(avatar(&room), AvatarState::Stopped);
    assert_eq!(
        room.utterances(),
        [("hello".to_owned(), UtteranceState::Interrupted)]
    );
    assert!(room.send(Event::PageConnected).refusal.is_some());
    assert!(room.meeting.deadline(room.now) != Some(room.now));
}

#[test]
fn a_token_is_good_for_as_long_as_the_meeting_can_last() {
    let (meeting, _) = Meeting::book(booking(None), start_of_time());
    let last = start_of_time() + limits::JOIN_WATCHDOG + limits::CALL_WATCHDOG;
    assert_eq!(meeting.page_expires_at(), last);
}
