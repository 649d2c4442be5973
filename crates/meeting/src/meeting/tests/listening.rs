//! Listening, one test for each way it can go.

use crate::{
    meeting::{
        ArtifactState, EarsOrder, Event, ListeningState, LiveEvent, Refusal, Status, Step, limits,
        tests::room::{Room, seconds},
    },
    transcript::Segment,
    vendors::{
        deepgram::{HeardSegment, SttReport},
        recall::{RecallEvent, Speaker, SpokenSegment, Word},
    },
};

fn report(room: &mut Room, report: SttReport) -> Step {
    room.send(Event::SttReported { report })
}

fn heard(text: &str, start: f64) -> HeardSegment {
    HeardSegment {
        speaker: Some(1),
        start,
        end: start + 1.0,
        text: text.to_owned(),
        confidence: Some(0.9),
        words: Vec::new(),
    }
}

fn finally(room: &mut Room, session: u32, text: &str, start: f64) -> Step {
    report(
        room,
        SttReport::Final {
            session,
            segments: vec![heard(text, start)],
            until: start + 1.0,
            ends_utterance: true,
        },
    )
}

fn spoken(text: &str, start: f64) -> RecallEvent {
    RecallEvent::Transcript {
        partial: false,
        segment: SpokenSegment {
            speaker: Speaker {
                id: Some("100".to_owned()),
                name: Some("Dana".to_owned()),
            },
            start,
            end: start + 1.0,
            text: text.to_owned(),
            words: vec![Word {
                text: text.to_owned(),
                start,
                end: start + 1.0,
            }],
            language: None,
        },
    }
}

fn listening() -> Room {
    let mut room = Room::in_call();
    let step = room.send(Event::MediaConnected);
    assert!(matches!(step.ears, Some(EarsOrder::Open(_))));
    report(&mut room, SttReport::Began { origin: 7.0 });
    report(&mut room, SttReport::Open { session: 1 });
    room
}

fn state(room: &Room) -> ListeningState {
    room.meeting.view().listening.state
}

fn told(room: &Room) -> Vec<Segment> {
    let told = room.live.iter().filter_map(|event| {
        if let LiveEvent::TranscriptFinal { segment } = event {
            Some(segment.clone())
        } else {
            None
        }
    });
    told.collect()
}

#[test]
fn the_session_opens_when_recall_dials_and_ends_with_the_call() {
    let mut room = Room::in_call();
    assert_eq!(state(&room), ListeningState::Off);
    let step = room.send(Event::MediaConnected);
    let Some(EarsOrder::Open(plan)) = step.ears else {
        panic!("{step:?}")
    };
    assert_eq!(plan.keyterms, ["Ada", "Acme"]);
    assert_eq!(state(&room), ListeningState::Connecting);
    report(&mut room, SttReport::Open { session: 1 });
    assert_eq!(state(&room), ListeningState::Open);
    assert!(room.send(Event::MediaDisconnected).ears.is_none());
    room.status("call_ended");
    finally(&mut room, 1, "good bye", 3.0);
    report(&mut room, SttReport::Closed);
    assert_eq!(state(&room), ListeningState::Off);
    assert_eq!(room.meeting.view().listening.segments, 1);
    assert!(room.warnings().is_empty());
}

#[test]
fn sound_that_comes_after_the_end_is_still_taken_for_a_moment() {
    let mut room = listening();
    room.status("call_ended");
    assert_eq!(state(&room), ListeningState::Open);
    let step = room.send(Event::MediaDisconnected);
    assert_eq!(step.ears, Some(EarsOrder::Close));

    let mut stuck = listening();
    stuck.status("call_ended");
    stuck.wait(limits::LAST_SOUND_PATIENCE + limits::LISTENING_END_PATIENCE);
    assert_eq!(state(&stuck), ListeningState::Off);
}

#[test]
fn a_session_that_is_not_at_its_end_in_time_is_not_waited_for() {
    let mut room = listening();
    room.send(Event::MediaDisconnected);
    room.status("call_ended");
    room.wait(limits::LISTENING_END_PATIENCE);
    assert_eq!(state(&room), ListeningState::Off);
}

#[test]
fn what_is_heard_is_stored_and_told_with_its_speaker() {
    let mut room = listening();
    let step = finally(&mut room, 1, "hello", 2.0);
    assert_eq!(step.segments.len(), 1);
    assert!(step.segments[0].ends_utterance);
    finally(&mut room, 2, "again", 4.0);
    let speakers: Vec<_> = told(&room).into_iter().map(|s| s.speaker.id).collect();
    assert_eq!(speakers, [Some("1".to_owned()), Some("2-1".to_owned())]);
    assert_eq!(told(&room)[1].id, "seg_2");
    assert_eq!(room.meeting.view().transcript.state, ArtifactState::Live);
    let ends = |event: &&LiveEvent| matches!(event, LiveEvent::UtteranceEnd { .. });
    assert_eq!(room.live.iter().filter(ends).count(), 2);
}

#[test]
fn words_that_may_change_are_told_and_not_stored() {
    let mut room = listening();
    let event = Event::SttReported {
        report: SttReport::Partial {
            segment: heard("hel", 1.0),
        },
    };
    assert!(event.is_passing());
    let before = room.meeting.clone();
    let step = room.send(event);
    assert_eq!(room.meeting, before);
    assert!(matches!(
        &step.live[..],
        [LiveEvent::TranscriptPartial { segment }] if segment.id == "seg_1"
    ));
}

#[test]
fn an_utterance_that_ends_later_is_marked() {
    let mut room = listening();
    let step = report(&mut room, SttReport::UtteranceEnd { end: 2.0 });
    assert!(step.utterance_ended);
}

#[test]
fn two_transcribers_do_not_tell_the_same_words() {
    let mut room = listening();
    finally(&mut room, 1, "hello", 2.0);
    room.report("bot-1", spoken("hello", 9.0));
    assert_eq!(told(&room).len(), 1);

    let reason = "closed with 1008".to_owned();
    report(&mut room, SttReport::Failed { reason });
    room.report("bot-1", spoken("hello", 9.1));
    room.report("bot-1", spoken("what now", 15.0));
    let told = told(&room);
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].text, "what now");
    assert!((told[1].start - 8.0).abs() < 1e-9, "one clock for both");
}

#[test]
fn a_transcriber_that_refuses_is_not_asked_again() {
    let mut room = listening();
    let reason = "HTTP 401 INVALID_AUTH".to_owned();
    report(&mut room, SttReport::Failed { reason });
    assert_eq!(state(&room), ListeningState::Failed);
    assert_eq!(room.warnings(), ["listening_failed"]);
    let step = room.send(Event::MediaConnected);
    assert_eq!(step.refusal, Some(Refusal::ListeningFailed));
    room.status("call_ended");
    assert_eq!(state(&room), ListeningState::Failed);
}

#[test]
fn a_connection_that_comes_and_goes_is_a_warning_only_if_it_stays_away() {
    let mut room = listening();
    for attempt in 1..8 {
        let reason = "closed with 1011".to_owned();
        report(&mut room, SttReport::Reconnecting { reason, attempt });
        assert_eq!(state(&room), ListeningState::Reconnecting);
        assert_eq!(room.warnings().is_empty(), attempt < 5, "{attempt}");
    }
    report(&mut room, SttReport::Open { session: 2 });
    assert_eq!(state(&room), ListeningState::Open);
    assert_eq!(room.warnings(), ["listening_failed"]);
}

#[test]
fn lost_sound_is_a_warning() {
    let mut room = listening();
    report(&mut room, SttReport::Lost { seconds: 12.34 });
    let warning = room.meeting.view().warnings.pop().unwrap();
    assert!(warning.message.starts_with("12.3 s"), "{warning:?}");
    assert_eq!(room.warnings(), ["audio_lost"]);
}

#[test]
fn after_a_restart_listening_goes_on_where_it_was_once_recall_dials_again() {
    let mut room = listening();
    finally(&mut room, 1, "hello", 2.0);
    room.send(Event::Restored {
        page_connected: false,
    });
    assert_eq!(state(&room), ListeningState::Reconnecting);
    assert_eq!(room.warnings(), ["audio_lost"]);
    room.wait(seconds(3));
    let step = room.send(Event::MediaConnected);
    let Some(EarsOrder::Open(plan)) = step.ears else {
        panic!("{step:?}")
    };
    assert_eq!((plan.origin, plan.sessions), (Some(7.0), 1));
    report(&mut room, SttReport::Open { session: 2 });
    finally(&mut room, 2, "there", 9.0);
    assert_eq!(told(&room).len(), 2);
    room.wait(limits::MEDIA_PATIENCE * 2);
    assert_eq!(state(&room), ListeningState::Open);
}

#[test]
fn of_a_line_that_was_heard_in_part_only_the_rest_is_taken_from_recall() {
    let mut room = listening();
    finally(&mut room, 1, "good to", 2.0);
    room.status("call_ended");
    report(&mut room, SttReport::Closed);
    let word = |text: &str, start: f64| Word {
        text: text.to_owned(),
        start,
        end: start + 0.5,
    };
    // Our seconds begin seven seconds into the recording, and the last that was heard ends at the third.
    let words = ["good", "to", "see", "you"];
    let words = words
        .into_iter()
        .zip([9.0, 9.5, 10.0, 10.5])
        .map(|(text, start)| word(text, start));
    let line = SpokenSegment {
        words: words.collect(),
        text: "good to see you".to_owned(),
        end: 11.0,
        ..match spoken("", 9.0) {
            RecallEvent::Transcript { segment, .. } => segment,
            other => panic!("{other:?}"),
        }
    };
    let line = RecallEvent::Transcript {
        partial: false,
        segment: line,
    };
    room.report("bot-1", line);
    let told: Vec<(String, f64)> = told(&room).into_iter().map(|s| (s.text, s.start)).collect();
    assert_eq!(
        told,
        [("good to".to_owned(), 2.0), ("see you".to_owned(), 3.0)]
    );
}

#[test]
fn what_is_heard_is_stored_without_the_meeting() {
    let mut room = listening();
    finally(&mut room, 1, "hello", 2.0);
    let before = room.meeting.clone();
    let step = finally(&mut room, 1, "there", 4.0);
    assert!(room.meeting.is_recalled_from(&before));
    let mut recalled = before.clone();
    recalled.recall(2, &step.segments[0]);
    assert_eq!(recalled.segments, 2);
    assert_eq!(recalled.listening, room.meeting.listening);
    room.send(Event::MediaDisconnected);
    assert!(!room.meeting.is_recalled_from(&before));
}

#[test]
fn a_restart_after_the_end_leaves_nothing_on() {
    let mut room = listening();
    room.status("call_ended");
    room.send(Event::Restored {
        page_connected: false,
    });
    assert_eq!(state(&room), ListeningState::Off);
}

#[test]
fn sound_that_does_not_come_back_is_a_failure_until_it_does() {
    let mut room = listening();
    room.send(Event::MediaDisconnected);
    room.wait(limits::MEDIA_PATIENCE);
    assert_eq!(state(&room), ListeningState::Failed);
    assert_eq!(room.warnings(), ["listening_failed"]);
    report(&mut room, SttReport::Closed);
    assert_eq!(state(&room), ListeningState::Failed);
    let step = room.send(Event::MediaConnected);
    assert!(matches!(step.ears, Some(EarsOrder::Open(_))));
    assert_eq!(state(&room), ListeningState::Reconnecting);
}

#[test]
fn a_bot_that_delivers_sound_and_does_not_dial_is_a_warning() {
    let mut room = Room::in_call();
    room.wait(limits::MEDIA_PATIENCE);
    assert_eq!(room.warnings(), ["listening_failed"]);
    assert_eq!(room.meeting.status(), Status::InProgress);
}

#[test]
fn nobody_listens_to_a_meeting_that_is_over() {
    let mut room = Room::in_call();
    room.status("call_ended");
    let step = room.send(Event::MediaConnected);
    assert_eq!(step.refusal, Some(Refusal::Over));
}

#[test]
fn what_nobody_knows_is_noted() {
    let mut room = listening();
    let kind = "Telepathy".to_owned();
    let step = report(&mut room, SttReport::Unknown { kind });
    assert_eq!(step.timeline.len(), 1);
    let kind = "x".repeat(5_000);
    let step = room.send(Event::MediaFrameIgnored { kind });
    assert!(step.timeline[0].data.to_string().len() < 200);
}
