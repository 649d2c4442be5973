//! One test for each way a meeting can go.

use crate::{
    http::{Advice, CallError, FailureKind, RetryAfter},
    ids::BotId,
    meeting::{
        Answer, ArtifactState, BotState, Effect, EndedBy, Event, FoundBot, GreetingState,
        LiveEvent, Meeting, RecordingState, Refusal, Status, UtteranceState, Via, WarningCode,
        limits,
        tests::room::{
            Room, artifact_done, audio, booking, bot_created, down, minutes, refused, seconds,
            start_of_time,
        },
    },
    vendors::recall::{BotCode, BotStatusChange, RecallEvent},
};

fn create_of(room: &mut Room) -> (String, Option<jiff::Timestamp>) {
    match room.take("recall.create_bot").effect {
        Effect::CreateBot { key, join_at } => (key, join_at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_meeting_well_ahead_books_one_bot_that_joins_early() {
    for starts_in in [minutes(12), minutes(60)] {
        let mut room = Room::book(Some(starts_in));
        let join_at = start_of_time() + starts_in - minutes(3);
        let order = room.answer("recall.create_bot", bot_created("bot-1"));
        assert!(
            matches!(order.effect, Effect::CreateBot { join_at: Some(at), .. } if at == join_at)
        );
        room.take("directory.record_bot");
        assert_eq!(room.meeting.status(), Status::Scheduled);
        assert_eq!(room.meeting.view().join_at, join_at);
        room.wait(starts_in);
        assert!(!room.open().contains(&"recall.create_bot"));
    }
}

#[test]
fn a_meeting_minutes_ahead_gets_its_bot_when_it_is_time() {
    let mut room = Room::book(Some(minutes(8)));
    assert!(room.open().is_empty());
    room.wait(minutes(5).checked_sub(seconds(1)).unwrap());
    assert!(room.open().is_empty());
    room.wait(seconds(1));
    assert_eq!(create_of(&mut room).1, None);
}

#[test]
fn a_meeting_in_the_past_or_without_a_start_gets_its_bot_now() {
    let past = booking(None).created_at - minutes(30);
    for starts_at in [None, Some(past)] {
        let (_, step) = Meeting::book(
            crate::meeting::Booking {
                starts_at,
                ..booking(None)
            },
            start_of_time(),
        );
        let orders: Vec<_> = step.orders.into_iter().map(|order| order.effect).collect();
        assert!(
            matches!(
                &orders[..],
                [Effect::CreateBot { join_at: None, .. }, Effect::UpdateIndex]
            ),
            "{orders:?}"
        );
    }
}

#[test]
fn the_whole_life_of_a_meeting() {
    let mut room = Room::joining();
    assert_eq!(room.meeting.status(), Status::BotJoining);
    room.status("joining_call");
    room.status("in_waiting_room");
    room.answer("elevenlabs.synthesize_full", audio(2000));
    assert!(room.open().is_empty(), "nothing is played in the lobby");
    room.status("in_call_not_recording");
    assert_eq!(room.meeting.status(), Status::InProgress);
    room.answer("recall.send_audio", Ok(Answer::Done));
    let greeting = room.meeting.view().greeting;
    assert_eq!(
        (greeting.state, greeting.via),
        (GreetingState::Sent, Some(Via::OutputAudio))
    );
    room.status("in_call_recording");
    room.wait(seconds(5));
    room.status_of("bot-1", "call_ended", Some("call_ended_by_host"));
    let ended = room.meeting.view().ended.unwrap();
    assert_eq!(
        (ended.reason.as_str(), ended.by),
        ("call_ended_by_host", EndedBy::Host)
    );
    room.status("done");
    room.artifact("video_mixed", "done");
    room.artifact("transcript", "done");
    room.answer(
        "recall.get_transcript",
        Ok(Answer::TranscriptStored { segments: 3 }),
    );
    let view = room.meeting.view();
    assert_eq!(view.status, Status::Ended);
    assert_eq!(view.transcript.state, ArtifactState::Ready);
    assert_eq!(view.recording.state, ArtifactState::Ready);
    assert_eq!(view.warnings, []);
    assert_eq!(
        room.meeting.deadline(room.now),
        None,
        "nothing is left to do"
    );
}

#[test]
fn the_greeting_is_ordered_once_whatever_is_repeated() {
    let mut room = Room::joining();
    room.answer("elevenlabs.synthesize_full", audio(2000));
    for code in [
        "in_call_recording",
        "in_call_not_recording",
        "in_call_recording",
    ] {
        room.status(code);
        room.send(Event::Restored {
            page_connected: false,
        });
    }
    let ids: std::collections::BTreeSet<_> = room.orders.iter().map(|o| o.id).collect();
    assert_eq!(
        ids.len(),
        1,
        "every restart orders the same thing under the same id"
    );
    room.answer("recall.send_audio", Ok(Answer::Done));
    room.wait(minutes(2));
    room.status("in_call_recording");
    assert!(
        !room
            .orders
            .iter()
            .any(|o| !ids.contains(&o.id) && o.effect.operation() != "recall.get_bot")
    );
}

#[test]
fn chat_greets_when_speech_cannot_be_made() {
    let mut room = Room::joining();
    room.answer(
        "elevenlabs.synthesize_full",
        Err(CallError {
            operation: "elevenlabs.synthesize_full".to_owned(),
            ..refused(401, FailureKind::Unauthorized)
        }),
    );
    assert!(room.open().is_empty(), "there is no chat before the call");
    room.status("in_call_not_recording");
    room.answer("recall.send_chat_message", Ok(Answer::Done));
    let greeting = room.meeting.view().greeting;
    assert_eq!(
        (greeting.state, greeting.via),
        (GreetingState::Sent, Some(Via::Chat))
    );
    assert_eq!(room.warnings(), ["greeting_failed"]);
    assert_eq!(room.meeting.status(), Status::InProgress);
}

#[test]
fn chat_greets_when_speech_cannot_be_played() {
    let mut room = Room::joining();
    room.answer("elevenlabs.synthesize_full", audio(2000));
    room.status("in_call_not_recording");
    room.fail_for_good("recall.send_audio", &down("recall.send_audio"));
    room.answer("recall.send_chat_message", Ok(Answer::Done));
    assert_eq!(room.meeting.view().greeting.via, Some(Via::Chat));
    assert_eq!(room.warnings(), ["greeting_failed"]);
}

#[test]
fn chat_greets_when_speech_takes_too_long() {
    let mut room = Room::joining();
    room.status("in_call_not_recording");
    let late = room.take("elevenlabs.synthesize_full");
    room.wait(limits::GREETING_PATIENCE);
    room.answer("recall.send_chat_message", Ok(Answer::Done));
    room.finish(late.id, audio(2000));
    room.wait(seconds(30));
    assert!(
        !room.open().contains(&"recall.send_audio"),
        "the room is not greeted twice"
    );
}

#[test]
fn a_greeting_that_fails_altogether_says_why() {
    let mut room = Room::joining();
    room.answer(
        "elevenlabs.synthesize_full",
        Err(refused(401, FailureKind::Unauthorized)),
    );
    room.status("in_call_not_recording");
    room.answer(
        "recall.send_chat_message",
        Err(refused(403, FailureKind::Forbidden)),
    );
    let greeting = room.meeting.view().greeting;
    assert_eq!(greeting.state, GreetingState::Failed);
    assert_eq!(greeting.reason.as_deref(), Some("refused"));
    assert_eq!(room.meeting.status(), Status::InProgress);
}

#[test]
fn a_bot_that_never_gets_in_skips_the_greeting() {
    let mut room = Room::joining();
    room.status("in_waiting_room");
    room.status_of("bot-1", "call_ended", Some("timeout_exceeded_waiting_room"));
    let view = room.meeting.view();
    assert_eq!(view.greeting.state, GreetingState::Skipped);
    assert_eq!(view.ended.unwrap().by, EndedBy::Timeout);
    assert_eq!(view.transcript.state, ArtifactState::None);
}

#[test]
fn who_ended_the_meeting_is_told_from_the_sub_code() {
    for (code, sub_code, status, by) in [
        (
            "call_ended",
            Some("bot_kicked_from_call"),
            Status::Ended,
            EndedBy::Host,
        ),
        (
            "call_ended",
            Some("call_ended_by_platform_idle"),
            Status::Ended,
            EndedBy::Platform,
        ),
        (
            "call_ended",
            Some("timeout_exceeded_everyone_left"),
            Status::Ended,
            EndedBy::Timeout,
        ),
        (
            "call_ended",
            Some("bot_received_leave_call"),
            Status::Ended,
            EndedBy::Api,
        ),
        (
            "call_ended",
            Some("brand_new_reason"),
            Status::Ended,
            EndedBy::Unknown,
        ),
        ("done", None, Status::Ended, EndedBy::Unknown),
        (
            "fatal",
            Some("bot_errored"),
            Status::Failed,
            EndedBy::Vendor,
        ),
        (
            "fatal",
            Some("google_meet_bot_blocked"),
            Status::Failed,
            EndedBy::Platform,
        ),
        (
            "fatal",
            Some("meeting_not_found"),
            Status::Failed,
            EndedBy::Platform,
        ),
        ("fatal", None, Status::Failed, EndedBy::Unknown),
    ] {
        let mut room = Room::joining();
        room.status_of("bot-1", code, sub_code);
        let view = room.meeting.view();
        assert_eq!(
            (view.status, view.ended.unwrap().by),
            (status, by),
            "{code} {sub_code:?}"
        );
    }
}

#[test]
fn done_after_fatal_stays_failed() {
    let mut room = Room::joining();
    room.status_of("bot-1", "fatal", Some("meeting_not_found"));
    room.status("done");
    let view = room.meeting.view();
    assert_eq!(view.status, Status::Failed);
    assert_eq!(view.ended.unwrap().reason, "meeting_not_found");
}

#[test]
fn a_done_that_overtakes_the_cause_is_explained_by_it() {
    for (code, sub_code, status, by) in [
        (
            "call_ended",
            "call_ended_by_host",
            Status::Ended,
            EndedBy::Host,
        ),
        ("fatal", "bot_errored", Status::Failed, EndedBy::Vendor),
    ] {
        let mut room = Room::joining();
        let early = room.now;
        room.status("done");
        room.status_at("bot-1", code, Some(sub_code), early);
        let view = room.meeting.view();
        let ended = view.ended.unwrap();
        assert_eq!(
            (view.status, ended.reason.as_str(), ended.by),
            (status, sub_code, by)
        );
        assert_eq!(ended.at, early);
    }
}

#[test]
fn old_statuses_change_nothing() {
    let mut room = Room::joining();
    let early = room.now;
    room.status("in_call_recording");
    room.status_at("bot-1", "in_waiting_room", None, early);
    assert_eq!(room.meeting.status(), Status::InProgress);
    room.status("call_ended");
    let ended = room.meeting.clone();
    room.status_at("bot-1", "in_call_recording", None, early);
    assert_eq!(room.meeting.view(), ended.view());
}

#[test]
fn a_status_that_arrives_after_the_end_it_preceded_does_not_greet() {
    let mut room = Room::joining();
    room.orders.clear();
    let early = room.now;
    room.status("call_ended");
    room.status_at("bot-1", "in_call_not_recording", None, early);
    assert_eq!(room.meeting.status(), Status::Ended);
    assert!(!room.open().contains(&"recall.send_chat_message"));
    assert!(!room.open().contains(&"recall.leave_call"));
}

#[test]
fn a_create_call_in_doubt_is_looked_into_before_it_is_repeated_under_the_same_key() {
    let mut room = Room::book(None);
    let timeout = CallError {
        status: None,
        kind: FailureKind::NoAnswer,
        ..down("recall.create_bot")
    };
    let first = room.answer("recall.create_bot", Err(timeout));
    room.wait(seconds(9));
    assert_eq!(
        room.open(),
        ["recall.find_bots"],
        "nothing is asked while the search is under way"
    );
    room.answer("recall.find_bots", Ok(Answer::BotsFound { bots: vec![] }));
    room.wait(seconds(5));
    let second = room.take("recall.create_bot");
    assert_eq!(first.effect, second.effect);
    assert_eq!(room.warnings(), ["bot_creation_retried"]);
}

#[test]
fn a_bot_found_after_a_create_call_in_doubt_is_the_bot() {
    let mut room = Room::book(None);
    room.answer("recall.create_bot", Err(down("recall.create_bot")));
    let bots = vec![FoundBot {
        id: BotId("bot-1".to_owned()),
        newest: None,
    }];
    room.answer("recall.find_bots", Ok(Answer::BotsFound { bots }));
    assert_eq!(room.meeting.bot_id(), Some(&BotId("bot-1".to_owned())));
    room.wait(seconds(30));
    assert!(!room.open().contains(&"recall.create_bot"));
}

#[test]
fn a_restart_in_the_middle_of_creating_looks_for_the_bot_first() {
    let mut room = Room::book(None);
    room.orders.clear();
    room.send(Event::Restored {
        page_connected: false,
    });
    assert_eq!(room.open(), ["recall.find_bots"]);
}

#[test]
fn an_empty_pool_is_asked_again_under_a_new_key() {
    let mut room = Room::book(None);
    let empty = CallError {
        kind: FailureKind::PoolEmpty,
        advice: Advice::RetryWithNewKey {
            after: Some(RetryAfter(30_000)),
        },
        maybe_done: false,
        ..down("recall.create_bot")
    };
    let Effect::CreateBot { key: first, .. } = room.answer("recall.create_bot", Err(empty)).effect
    else {
        panic!("not a create call");
    };
    room.wait(seconds(29));
    assert!(room.open().is_empty());
    room.wait(seconds(2));
    assert_ne!(create_of(&mut room).0, first);
}

#[test]
fn without_a_bot_in_time_the_meeting_fails_and_leaves_none_behind() {
    let mut room = Room::book(None);
    for _ in 0..200 {
        if room.meeting.status().is_over() {
            break;
        }
        if room.open().contains(&"recall.create_bot") {
            room.answer("recall.create_bot", Err(down("recall.create_bot")));
        }
        if room.open().contains(&"recall.find_bots") {
            room.answer("recall.find_bots", Ok(Answer::BotsFound { bots: vec![] }));
        }
        room.wait(seconds(5));
    }
    let view = room.meeting.view();
    assert_eq!(view.status, Status::Failed);
    assert_eq!(view.ended.unwrap().reason, "bot_creation_timed_out");
    room.wait(minutes(2));
    let bots = vec![FoundBot {
        id: BotId("late".to_owned()),
        newest: None,
    }];
    room.answer("recall.find_bots", Ok(Answer::BotsFound { bots }));
    assert!(room.open().contains(&"recall.leave_call"));
}

#[test]
fn a_refused_bot_fails_the_meeting_with_the_vendors_code() {
    let mut room = Room::book(None);
    room.answer(
        "recall.create_bot",
        Err(refused(402, FailureKind::InsufficientCredit)),
    );
    let view = room.meeting.view();
    assert_eq!(view.status, Status::Failed);
    assert_eq!(view.ended.unwrap().reason, "refused");
    assert_eq!(view.greeting.state, GreetingState::Skipped);
}

#[test]
fn a_bot_refused_ahead_gets_another_chance_at_its_time() {
    let mut room = Room::book(Some(minutes(60)));
    room.answer(
        "recall.create_bot",
        Err(refused(402, FailureKind::InsufficientCredit)),
    );
    assert_eq!(room.meeting.status(), Status::Scheduled);
    room.wait(minutes(57));
    assert_eq!(create_of(&mut room).1, None);
}

#[test]
fn a_webhook_before_the_create_answer_brings_the_bot() {
    let mut room = Room::book(None);
    room.status("joining_call");
    assert_eq!(room.meeting.bot_id(), Some(&BotId("bot-1".to_owned())));
    room.answer("recall.create_bot", bot_created("bot-1"));
    assert!(!room.open().contains(&"recall.leave_call"));
    assert_eq!(room.meeting.status(), Status::BotJoining);
}

#[test]
fn a_second_bot_is_sent_away() {
    let mut room = Room::joining();
    room.status_of("bot-2", "joining_call", None);
    let order = room.take("recall.leave_call");
    assert!(matches!(order.effect, Effect::LeaveCall { bot_id } if bot_id.0 == "bot-2"));
    assert_eq!(room.meeting.bot_id(), Some(&BotId("bot-1".to_owned())));
}

#[test]
fn calling_off_before_the_join_deletes_the_scheduled_bot() {
    let mut room = Room::book(Some(minutes(60)));
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.send(Event::CancelRequested);
    room.send(Event::CancelRequested);
    let view = room.meeting.view();
    assert_eq!(
        (view.status, view.ended.unwrap().by),
        (Status::Cancelled, EndedBy::Api)
    );
    room.answer("recall.delete_bot", Ok(Answer::Done));
    room.orders
        .retain(|o| o.effect.operation() != "directory.record_bot");
    assert!(room.open().is_empty());
}

#[test]
fn calling_off_while_the_bot_is_being_made_removes_it_when_it_turns_up() {
    let mut room = Room::book(None);
    room.send(Event::CancelRequested);
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.answer(
        "recall.leave_call",
        Err(CallError {
            operation: "recall.leave_call".to_owned(),
            ..refused(400, FailureKind::NotStarted)
        }),
    );
    room.answer("recall.delete_bot", Ok(Answer::Done));
    room.status("joining_call");
    assert_eq!(room.meeting.status(), Status::Cancelled);
}

#[test]
fn a_bot_booked_ahead_is_deleted_however_often_that_fails_at_first() {
    let mut room = Room::book(Some(minutes(60)));
    let join_at = start_of_time() + minutes(57);
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.send(Event::CancelRequested);
    let not_now = refused(403, FailureKind::Forbidden);
    room.answer("recall.delete_bot", Err(not_now.clone()));
    room.wait(limits::REMOVAL_PAUSE);
    room.answer("recall.delete_bot", Err(not_now.clone()));
    room.wait(limits::REMOVAL_PAUSE);
    assert!(room.now < join_at);
    room.answer("recall.delete_bot", Ok(Answer::Done));
    assert!(!room.open().contains(&"recall.leave_call"));

    // The same for one that turned up late, of which nobody knows when it joins.
    let mut room = Room::book(Some(minutes(60)));
    let lost = room.take("recall.create_bot");
    room.send(Event::CancelRequested);
    room.finish(lost.id, bot_created("bot-1"));
    let unstarted = refused(400, FailureKind::NotStarted);
    room.answer("recall.leave_call", Err(unstarted));
    room.answer("recall.delete_bot", Err(not_now));
    room.wait(limits::REMOVAL_PAUSE);
    room.answer("recall.delete_bot", Ok(Answer::Done));
}

#[test]
fn a_bot_that_was_dispatched_already_is_told_to_leave() {
    let mut room = Room::book(Some(minutes(60)));
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.send(Event::CancelRequested);
    room.answer(
        "recall.delete_bot",
        Err(CallError {
            operation: "recall.delete_bot".to_owned(),
            ..refused(405, FailureKind::AlreadyDispatched)
        }),
    );
    room.answer("recall.leave_call", Ok(Answer::Done));
}

#[test]
fn leaving_is_tried_until_recall_has_confirmed_it() {
    let mut room = Room::in_call();
    room.send(Event::CancelRequested);
    for _ in 0..3 {
        room.fail_for_good("recall.leave_call", &down("recall.leave_call"));
        room.wait(limits::REMOVAL_PAUSE);
    }
    room.answer("recall.leave_call", Ok(Answer::Done));
    assert_eq!(room.meeting.status(), Status::InProgress);
    room.status_of("bot-1", "call_ended", Some("bot_received_leave_call"));
    let view = room.meeting.view();
    assert_eq!(
        (view.status, view.ended.unwrap().by),
        (Status::Ended, EndedBy::Api)
    );
}

#[test]
fn join_now_replaces_a_bot_made_ahead_only_once_it_is_gone() {
    let mut room = Room::book(Some(minutes(60)));
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.send(Event::JoinRequested);
    assert!(!room.open().contains(&"recall.create_bot"));
    room.answer("recall.delete_bot", Ok(Answer::Done));
    assert_eq!(create_of(&mut room).1, None);
}

#[test]
fn join_now_makes_a_booted_bot_leave_before_another_is_made() {
    let mut room = Room::book(Some(minutes(60)));
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.send(Event::JoinRequested);
    let dispatched = refused(405, FailureKind::AlreadyDispatched);
    room.answer("recall.delete_bot", Err(dispatched));
    assert!(!room.open().contains(&"recall.create_bot"));
    room.answer("recall.leave_call", Ok(Answer::Done));
    assert_eq!(create_of(&mut room).1, None);
}

#[test]
fn join_now_lets_a_bot_that_is_about_to_join_come() {
    let mut room = Room::book(Some(minutes(60)));
    room.answer("recall.create_bot", bot_created("bot-1"));
    room.wait(seconds(57 * 60 - 20));
    room.send(Event::JoinRequested);
    room.status("joining_call");
    room.status("in_call_recording");
    assert_eq!(room.meeting.status(), Status::InProgress);
    assert!(!room.open().contains(&"recall.delete_bot"));
    assert!(!room.open().contains(&"recall.leave_call"));
}

#[test]
fn utterances_are_played_one_after_the_other() {
    let mut room = Room::in_call();
    room.say(1, "one", false);
    room.say(2, "two", false);
    room.answer("elevenlabs.synthesize_full", audio(4000));
    room.answer("elevenlabs.synthesize_full", audio(1000));
    room.answer("recall.send_audio", Ok(Answer::Done));
    room.wait(seconds(4));
    assert!(room.open().is_empty(), "the second waits for the first");
    room.wait(seconds(1));
    room.answer("recall.send_audio", Ok(Answer::Done));
    room.wait(seconds(2));
    let states: Vec<_> = room.utterances();
    let of = |text: &str| -> Vec<UtteranceState> {
        states
            .iter()
            .filter(|(t, _)| t == text)
            .map(|(_, s)| *s)
            .collect()
    };
    let spoken = [
        UtteranceState::Queued,
        UtteranceState::Speaking,
        UtteranceState::Spoken,
    ];
    assert_eq!(of("one"), spoken);
    assert_eq!(of("two"), spoken);
}

#[test]
fn interrupting_stops_what_is_said_and_drops_what_waits() {
    let mut room = Room::in_call();
    room.say(1, "one", false);
    room.say(2, "two", false);
    room.answer("elevenlabs.synthesize_full", audio(4000));
    room.answer("recall.send_audio", Ok(Answer::Done));
    room.wait(seconds(1));
    room.say(3, "three", true);
    room.answer("elevenlabs.synthesize_full", audio(100));
    room.orders
        .retain(|o| !matches!(&o.effect, Effect::Synthesize { text, .. } if text == "two"));
    let third = room
        .orders
        .iter()
        .find(|o| o.effect.operation() == "elevenlabs.synthesize_full");
    if let Some(id) = third.map(|o| o.id) {
        room.finish(id, audio(100));
    }
    assert!(
        !room.open().contains(&"recall.send_audio"),
        "the stop comes first"
    );
    room.answer("recall.stop_audio", Ok(Answer::Done));
    room.answer("recall.send_audio", Ok(Answer::Done));
    room.wait(seconds(1));
    let states = room.utterances();
    assert!(states.contains(&("one".to_owned(), UtteranceState::Interrupted)));
    assert!(states.contains(&("two".to_owned(), UtteranceState::Interrupted)));
    assert!(states.contains(&("three".to_owned(), UtteranceState::Spoken)));
}

#[test]
fn interrupting_does_not_drop_a_greeting_that_is_owed() {
    let mut room = Room::joining();
    room.answer("elevenlabs.synthesize_full", audio(2000));
    room.status("in_call_not_recording");
    room.send(Event::InterruptRequested);
    room.answer("recall.send_audio", Ok(Answer::Done));
    assert_eq!(room.meeting.view().greeting.state, GreetingState::Sent);
}

#[test]
fn words_that_cannot_be_spoken_are_written() {
    let mut room = Room::in_call();
    room.say(1, "hello", false);
    room.fail_for_good(
        "elevenlabs.synthesize_full",
        &down("elevenlabs.synthesize_full"),
    );
    let order = room.answer("recall.send_chat_message", Ok(Answer::Done));
    assert!(matches!(order.effect, Effect::SendChat { text, .. } if text == "hello"));
    assert_eq!(
        room.utterances().last(),
        Some(&("hello".to_owned(), UtteranceState::Spoken))
    );
}

#[test]
fn commands_that_do_not_fit_are_refused() {
    let mut room = Room::joining();
    assert_eq!(
        room.say(1, "x", false).refusal,
        Some(Refusal::NotInProgress)
    );
    let chat = |text: &str| Event::ChatRequested {
        text: text.to_owned(),
    };
    assert_eq!(room.send(chat("x")).refusal, Some(Refusal::NotInProgress));
    assert_eq!(
        room.send(Event::PurgeRequested).refusal,
        Some(Refusal::NotOver)
    );
    let mut room = Room::in_call();
    assert_eq!(
        room.send(chat(&"x".repeat(501))).refusal,
        Some(Refusal::ChatTooLong)
    );
    for n in 0..limits::MAX_UTTERANCES {
        assert_eq!(room.say(n as u128, "x", false).refusal, None);
    }
    assert_eq!(room.say(99, "x", false).refusal, Some(Refusal::QueueFull));
    room.status("call_ended");
    assert_eq!(room.send(Event::JoinRequested).refusal, Some(Refusal::Over));
}

fn bot_state(codes: &[(&str, u64)], recordings: Vec<RecordingState>) -> Answer {
    let statuses = codes.iter().map(|(code, second)| BotStatusChange {
        code: BotCode::from((*code).to_owned()),
        sub_code: None,
        message: None,
        updated_at: Some(start_of_time() + seconds(*second)),
    });
    Answer::BotRead {
        bot: BotState {
            id: BotId("bot-1".to_owned()),
            statuses: statuses.collect(),
            recordings,
        },
    }
}

#[test]
fn statuses_that_no_webhook_brought_are_asked_for() {
    let mut room = Room::joining();
    room.orders.clear();
    room.wait(limits::POLL_JOINING);
    room.answer(
        "recall.get_bot",
        Ok(bot_state(
            &[("joining_call", 1), ("in_call_recording", 9)],
            vec![],
        )),
    );
    assert_eq!(room.meeting.status(), Status::InProgress);
    room.orders.clear();
    room.wait(limits::POLL_IN_CALL);
    let end = [
        ("joining_call", 1),
        ("in_call_recording", 9),
        ("call_ended", 100),
        ("done", 110),
    ];
    room.answer("recall.get_bot", Ok(bot_state(&end, vec![])));
    assert_eq!(room.meeting.status(), Status::Ended);
    assert_eq!(room.meeting.view().ended.unwrap().reason, "call_ended");
}

#[test]
fn a_bot_that_was_said_to_be_gone_and_is_still_in_the_call_is_told_to_leave_again() {
    for word in [Ok(Answer::Done), Err(refused(404, FailureKind::NotFound))] {
        let mut room = Room::in_call();
        room.send(Event::CancelRequested);
        room.answer("recall.leave_call", word);
        room.wait(limits::POLL_LEAVING);
        assert!(!room.open().contains(&"recall.leave_call"));
        let statuses = [("joining_call", 1), ("in_call_recording", 9)];
        room.answer("recall.get_bot", Ok(bot_state(&statuses, vec![])));
        room.answer("recall.leave_call", Ok(Answer::Done));
        room.status_of("bot-1", "call_ended", Some("bot_received_leave_call"));
        assert_eq!(room.meeting.status(), Status::Ended);
    }
}

#[test]
fn a_call_that_was_over_before_the_greeting_is_a_warning() {
    let mut room = Room::joining();
    room.status("in_call_recording");
    room.status("call_ended");
    let view = room.meeting.view();
    assert_eq!(view.greeting.state, GreetingState::Failed);
    let warned = view.warnings.iter().map(|warning| warning.code);
    assert_eq!(warned.collect::<Vec<_>>(), [WarningCode::GreetingFailed]);
}

/// Answers the look that the meeting has ordered: everything is there.
fn finds_what_is_kept(room: &mut Room) {
    let done = RecordingState {
        transcript: artifact_done(),
        video: artifact_done(),
        audio: None,
    };
    room.answer("recall.get_bot", Ok(bot_state(&[], vec![done])));
    room.answer(
        "recall.get_transcript",
        Ok(Answer::TranscriptStored { segments: 1 }),
    );
    let view = room.meeting.view();
    assert_eq!(view.transcript.state, ArtifactState::Ready);
    assert_eq!(view.recording.state, ArtifactState::Ready);
}

#[test]
fn artifacts_that_no_webhook_brought_are_asked_for() {
    let mut room = Room::in_call();
    room.status("call_ended");
    assert_eq!(room.meeting.view().transcript.state, ArtifactState::Pending);
    room.wait(limits::ARTIFACT_POLLS[0]);
    finds_what_is_kept(&mut room);
}

#[test]
fn artifacts_whose_word_overtakes_the_end_of_the_call_are_fetched_at_once() {
    let mut room = Room::in_call();
    room.artifact("transcript", "done");
    room.status("call_ended");
    room.status("done");
    assert_eq!(room.meeting.view().transcript.state, ArtifactState::Pending);
    finds_what_is_kept(&mut room);
}

#[test]
fn artifacts_whose_word_comes_without_the_end_of_the_call_tell_of_it() {
    let mut room = Room::in_call();
    room.artifact("participant_events", "done");
    assert!(!room.open().contains(&"recall.get_bot"));
    room.artifact("recording", "done");
    let end = [("joining_call", 1), ("call_ended", 100), ("done", 110)];
    room.answer("recall.get_bot", Ok(bot_state(&end, vec![])));
    assert_eq!(room.meeting.status(), Status::Ended);
}

#[test]
fn artifacts_that_never_come_are_given_up_with_a_warning() {
    let mut room = Room::in_call();
    room.status("call_ended");
    for _ in 0..200 {
        room.wait(minutes(10));
        while room.open().contains(&"recall.get_bot") {
            room.answer("recall.get_bot", Ok(bot_state(&[], vec![])));
        }
    }
    let view = room.meeting.view();
    assert_eq!(view.transcript.state, ArtifactState::Failed);
    assert_eq!(view.recording.state, ArtifactState::Failed);
    assert_eq!(room.warnings(), ["artifact_missing", "artifact_missing"]);
    assert_eq!(room.meeting.deadline(room.now), None);
}

#[test]
fn a_transcript_that_could_not_be_read_is_tried_again_later() {
    let mut room = Room::in_call();
    room.status("call_ended");
    room.artifact("transcript", "done");
    room.fail_for_good("recall.get_transcript", &down("recall.get_transcript"));
    assert_eq!(room.meeting.view().transcript.state, ArtifactState::Pending);
    room.wait(minutes(2));
    let done = RecordingState {
        transcript: artifact_done(),
        video: None,
        audio: None,
    };
    room.answer("recall.get_bot", Ok(bot_state(&[], vec![done])));
    room.answer(
        "recall.get_transcript",
        Ok(Answer::TranscriptStored { segments: 1 }),
    );
    assert_eq!(room.meeting.view().transcript.state, ArtifactState::Ready);
}

#[test]
fn a_call_that_never_ends_is_ended() {
    let mut room = Room::in_call();
    for _ in 0..600 {
        room.wait(minutes(1));
        while room.open().contains(&"recall.get_bot") {
            room.answer(
                "recall.get_bot",
                Err(refused(401, FailureKind::Unauthorized)),
            );
        }
        if room.meeting.status().is_over() {
            break;
        }
    }
    let ended = room.meeting.view().ended.unwrap();
    assert_eq!(
        (ended.reason.as_str(), ended.by),
        ("call_timed_out", EndedBy::Timeout)
    );
    assert!(room.open().contains(&"recall.leave_call"));
}

#[test]
fn purging_deletes_the_vendors_media_before_our_own_content() {
    let mut room = Room::in_call();
    room.status("call_ended");
    room.send(Event::PurgeRequested);
    room.send(Event::PurgeRequested);
    room.answer("recall.delete_media", Ok(Answer::Done));
    room.take("meeting.wipe");
}

#[test]
fn the_stored_form_is_pinned() {
    let (meeting, _) = Meeting::book(booking(Some(minutes(60))), start_of_time());
    let stored: serde_json::Value = serde_json::from_str(&meeting.to_snapshot().unwrap()).unwrap();
    let pinned: serde_json::Value = serde_json::from_str(include_str!("snapshot_v1.json")).unwrap();
    assert_eq!(
        stored, pinned,
        "old code must be able to read what new code writes: raise the version"
    );
}

#[test]
fn a_snapshot_of_a_newer_version_is_refused() {
    let (meeting, _) = Meeting::book(booking(None), start_of_time());
    let newer = meeting
        .to_snapshot()
        .unwrap()
        .replacen("\"version\":1", "\"version\":2", 1);
    let error = Meeting::from_snapshot(&newer).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn a_search_that_never_answers_does_not_keep_a_meeting_alive() {
    let mut room = Room::book(None);
    room.answer("recall.create_bot", Err(down("recall.create_bot")));
    for _ in 0..200 {
        while room.open().contains(&"recall.find_bots") {
            room.answer(
                "recall.find_bots",
                Err(refused(403, FailureKind::Forbidden)),
            );
        }
        while room.open().contains(&"recall.create_bot") {
            let empty = CallError {
                advice: Advice::RetryWithNewKey { after: None },
                ..refused(507, FailureKind::PoolEmpty)
            };
            room.answer("recall.create_bot", Err(empty));
        }
        room.wait(seconds(10));
    }
    let ended = room.meeting.view().ended.unwrap();
    assert_eq!(ended.reason, "bot_creation_timed_out");
}

#[test]
fn a_conflict_does_not_count_as_an_answer_that_calls_for_a_new_key() {
    let mut room = Room::book(None);
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..8 {
        keys.insert(create_of_answered(&mut room));
        room.answer("recall.find_bots", Ok(Answer::BotsFound { bots: vec![] }));
        room.wait(seconds(45));
    }
    assert_eq!(keys.len(), 1, "{keys:?}");
}

fn create_of_answered(room: &mut Room) -> String {
    let conflict = CallError {
        status: Some(409),
        kind: FailureKind::InFlight,
        ..down("recall.create_bot")
    };
    let order = room.answer("recall.create_bot", Err(conflict));
    match order.effect {
        Effect::CreateBot { key, .. } => key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_time_stamp_hides_the_way_in_or_the_end() {
    for (code, at) in [
        ("recording_permission_denied", "2026-12-01T12:30:00Z"),
        ("levitating", "2026-12-01T13:30:00Z"),
        ("joining_call", "9999-12-30T00:00:00Z"),
    ] {
        let mut room = Room::joining();
        room.status_at("bot-1", code, None, at.parse().unwrap());
        room.status("in_call_not_recording");
        assert_eq!(room.meeting.status(), Status::InProgress, "{code}");
        room.status_of("bot-1", "call_ended", Some("call_ended_by_host"));
        assert_eq!(room.meeting.status(), Status::Ended, "{code}");
    }
}

#[test]
fn purging_waits_until_no_bot_can_be_left_behind() {
    let mut room = Room::book(None);
    room.send(Event::CancelRequested);
    room.send(Event::PurgeRequested);
    room.wait(seconds(20));
    assert!(
        !room.open().contains(&"meeting.wipe"),
        "a bot is still being made"
    );
    room.answer("recall.create_bot", bot_created("bot-1"));
    assert!(
        !room.open().contains(&"meeting.wipe"),
        "the bot is still there"
    );
    room.answer("recall.leave_call", Ok(Answer::Done));
    room.wait(minutes(15));
    while room.open().contains(&"recall.find_bots") {
        room.answer("recall.find_bots", Ok(Answer::BotsFound { bots: vec![] }));
        room.wait(minutes(11));
    }
    room.take("meeting.wipe");
}

#[test]
fn a_bot_that_turns_up_after_it_was_not_found_is_sent_away() {
    let mut room = Room::joining();
    room.wait(limits::POLL_JOINING);
    room.answer("recall.get_bot", Err(refused(404, FailureKind::NotFound)));
    assert_eq!(room.meeting.status(), Status::Failed);
    room.answer(
        "recall.leave_call",
        Err(refused(404, FailureKind::NotFound)),
    );
    room.wait(seconds(30));
    room.status("in_call_recording");
    room.take("recall.leave_call");
}

#[test]
fn a_greeting_that_was_being_played_at_a_crash_is_not_written_as_well() {
    let mut room = Room::joining();
    room.answer("elevenlabs.synthesize_full", audio(2000));
    room.status("in_call_not_recording");
    let before = room.take("recall.send_audio");
    room.now += seconds(20);
    room.send(Event::Restored {
        page_connected: false,
    });
    let again = room.take("recall.send_audio");
    assert_eq!(
        before.id, again.id,
        "the same key tells whether it was heard"
    );
    assert!(!room.open().contains(&"recall.send_chat_message"));
    room.finish(again.id, Ok(Answer::Done));
    assert_eq!(room.meeting.view().greeting.via, Some(Via::OutputAudio));
}

#[test]
fn what_is_about_to_be_played_is_stopped_once_it_plays() {
    let mut room = Room::in_call();
    room.say(1, "one", false);
    room.answer("elevenlabs.synthesize_full", audio(4000));
    let first = room.take("recall.send_audio");
    room.say(2, "two", true);
    room.answer("elevenlabs.synthesize_full", audio(1000));
    assert!(
        room.open().is_empty(),
        "stopping what does not play stops nothing"
    );
    room.finish(first.id, Ok(Answer::Done));
    room.answer("recall.stop_audio", Ok(Answer::Done));
    room.answer("recall.send_audio", Ok(Answer::Done));
    assert!(
        room.utterances()
            .contains(&("one".to_owned(), UtteranceState::Interrupted))
    );
}

#[test]
fn a_bot_that_has_left_is_not_told_to_leave_again() {
    let mut room = Room::in_call();
    room.send(Event::CancelRequested);
    room.answer(
        "recall.leave_call",
        Err(refused(400, FailureKind::InvalidRequest)),
    );
    room.status_of("bot-1", "call_ended", Some("bot_received_leave_call"));
    room.wait(minutes(10));
    assert!(!room.open().contains(&"recall.leave_call"));
}

#[test]
fn what_a_stray_bot_reports_of_the_call_is_not_ours() {
    let mut room = Room::in_call();
    room.status_of("bot-2", "in_call_recording", None);
    let segment = crate::vendors::recall::SpokenSegment {
        speaker: crate::vendors::recall::Speaker {
            id: None,
            name: None,
        },
        start: 1.0,
        end: 2.0,
        text: "hello".to_owned(),
        words: Vec::new(),
        language: None,
    };
    let heard = |segment: &crate::vendors::recall::SpokenSegment| RecallEvent::Transcript {
        partial: false,
        segment: segment.clone(),
    };
    assert!(room.report("bot-2", heard(&segment)).segments.is_empty());
    assert_eq!(room.report("bot-1", heard(&segment)).segments.len(), 1);
}

#[test]
fn a_sentence_is_told_to_watchers_and_not_to_the_index() {
    let mut room = Room::in_call();
    let spoken = crate::vendors::recall::SpokenSegment {
        speaker: crate::vendors::recall::Speaker {
            id: None,
            name: None,
        },
        start: 1.0,
        end: 2.0,
        text: "hello".to_owned(),
        words: Vec::new(),
        language: None,
    };
    let heard = |text: &str| RecallEvent::Transcript {
        partial: false,
        segment: crate::vendors::recall::SpokenSegment {
            text: text.to_owned(),
            ..spoken.clone()
        },
    };
    room.report(
        "bot-1",
        heard("the first changes the state of the transcript"),
    );
    let step = room.report("bot-1", heard("the second only adds to it"));
    assert!(step.orders.is_empty(), "{:?}", step.orders);
    assert!(matches!(step.live.last(), Some(LiveEvent::Meeting { .. })));
    assert_eq!(room.meeting.view().listening.segments, 2);
}
