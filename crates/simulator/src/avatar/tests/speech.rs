//! What is said, when, and what is told of it.

use std::time::Duration;

use serde_json::json;

use super::{Desk, kinds, ms};
use crate::avatar::{AvatarDialect, AvatarHabits, AvatarUtteranceState as State};
use crate::recall::ids::sha256_hex;

/// Two seconds of sound that is no known speech.
const TWO_SECONDS: usize = 96_000;

#[test]
fn commands_before_connected_are_dropped_without_a_word() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.session();
    let before = client.speak("utt-1", &vec![1; 19_200]);
    assert_eq!(kinds(&before), ["session.state_updated connecting"]);
    assert_eq!(
        kinds(&client.wait(ms(50))),
        ["session.state_updated connected"]
    );
    let session = client.view();
    assert!(session.utterances.is_empty());
    assert!(
        session.violations[0].contains("before connected"),
        "{:?}",
        session.violations
    );
}

#[test]
fn an_utterance_is_said_from_its_first_byte_to_its_last() {
    let mut desk = Desk::new(AvatarHabits::default());
    let pcm = desk.speech("Hi, this is Ada joining from Acme.");
    let takes = Duration::from_secs_f64(f64::from(u32::try_from(pcm.len()).unwrap()) / 48_000.0);
    let mut client = desk.connected();
    let acknowledged = kinds(&client.say("utt-1", &pcm));
    assert_eq!(acknowledged.last().unwrap(), "audio_buffer_committed");
    assert!(
        acknowledged[..acknowledged.len() - 1]
            .iter()
            .all(|kind| kind == "audio_buffer_appended")
    );
    assert_eq!(kinds(&client.wait(ms(200))), ["state_updated talking"]);
    assert!(client.wait(takes.checked_sub(ms(2)).unwrap()).is_empty());
    assert_eq!(kinds(&client.wait(ms(4))), ["state_updated idle"]);
    let session = client.view();
    let [said] = &session.utterances[..] else {
        panic!("one utterance")
    };
    assert_eq!(
        said.text.as_deref(),
        Some("Hi, this is Ada joining from Acme.")
    );
    assert!(said.whole);
    assert_eq!(
        (said.bytes, &said.sha256),
        (pcm.len() as u64, &sha256_hex(&pcm))
    );
    assert_eq!(said.state, State::Spoken);
    assert_eq!(said.event_id.as_deref(), Some("utt-1"));
    assert_eq!(session.violations, Vec::<String>::new());
    assert_eq!(session.deviations, Vec::<String>::new());
}

#[test]
fn a_faster_meeting_talks_faster() {
    let mut desk = Desk::at_speed(10.0, AvatarHabits::default());
    let mut client = desk.connected();
    client.say("utt-1", &vec![1; TWO_SECONDS]);
    assert_eq!(kinds(&client.wait(ms(399))), ["state_updated talking"]);
    assert_eq!(kinds(&client.wait(ms(1))), ["state_updated idle"]);
    assert_eq!(client.view().utterances[0].heard, Duration::from_secs(2));
}

#[test]
fn the_older_dialect_tells_each_utterance_and_nothing_else() {
    let habits = AvatarHabits {
        dialect: AvatarDialect::Speaking,
        ..AvatarHabits::default()
    };
    let mut desk = Desk::new(habits);
    let mut client = desk.connected();
    assert!(client.say("utt-1", &vec![1; TWO_SECONDS]).is_empty());
    client.say("utt-2", &vec![1; TWO_SECONDS]);
    let told = client.wait(Duration::from_secs(5));
    assert_eq!(
        kinds(&told),
        [
            "speak_started",
            "speak_ended",
            "speak_started",
            "speak_ended"
        ]
    );
    assert_eq!(told[0]["event_id"], "utt-1");
    assert_eq!(told[2]["source_event_id"], "utt-2");
    assert_eq!(told[0]["task"]["id"], told[1]["task"]["id"]);
    assert_ne!(told[0]["task"]["id"], told[2]["task"]["id"]);
    client.say("utt-3", &vec![1; TWO_SECONDS]);
    client.wait(ms(500));
    assert_eq!(
        kinds(&client.tell("agent.interrupt", "int-1")),
        ["speak_interrupted"]
    );
}

#[test]
fn utterances_in_a_row_are_said_without_idle_between_them() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    client.say("utt-1", &vec![1; TWO_SECONDS]);
    client.say("utt-2", &vec![1; TWO_SECONDS]);
    assert_eq!(kinds(&client.wait(ms(4_199))), ["state_updated talking"]);
    assert_eq!(kinds(&client.wait(ms(1))), ["state_updated idle"]);
}

#[test]
fn an_interrupt_cuts_what_is_said_and_what_waits() {
    let mut desk = Desk::new(AvatarHabits::default());
    let pcm = desk.speech("Let me tell you everything about our company.");
    let mut client = desk.connected();
    client.say("utt-1", &pcm);
    client.say("utt-2", &vec![1; TWO_SECONDS]);
    client.wait(ms(1_200));
    let answers = client.tell("agent.interrupt", "int-1");
    assert_eq!(
        kinds(&answers),
        ["audio_buffer_cleared", "state_updated idle"]
    );
    assert_eq!(answers[0]["source_event_id"], "int-1");
    assert!(client.wait(Duration::from_secs(9)).is_empty());
    let session = client.view();
    let states: Vec<_> = session.utterances.iter().map(|said| said.state).collect();
    assert_eq!(states, [State::Interrupted, State::Interrupted]);
    assert_eq!(session.utterances[0].heard, Duration::from_secs(1));
    assert!(
        session.utterances[0]
            .text
            .as_ref()
            .unwrap()
            .starts_with("Let me tell")
    );
    assert_eq!(session.utterances[1].heard, Duration::ZERO);
    assert_eq!(session.interrupts[0].cut, [0, 1]);
    assert_eq!(session.interrupts[0].last_late_chunk, None);
}

#[test]
fn sound_that_comes_after_its_interruption_is_said_after_all_and_noted() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    client.speak("utt-1", &vec![1; 19_200]);
    client.tell("agent.interrupt", "int-1");
    client.wait(ms(30));
    client.speak("utt-1", &vec![1; 48_000]);
    let late = client.view().interrupts[0].last_late_chunk;
    assert_eq!(late, Some(client.desk.now));
    assert_eq!(client.view().violations.len(), 1);
    client.tell("agent.interrupt", "int-2");
    client.speak("utt-2", &vec![1; 19_200]);
    assert_eq!(client.view().interrupts[1].last_late_chunk, None);
}

#[test]
fn an_utterance_without_end_starves_and_never_comes_to_rest() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    client.speak("utt-1", &vec![1; 19_200]);
    let told = client.wait(Duration::from_mins(1));
    assert_eq!(kinds(&told), ["state_updated talking", "error"]);
    assert_eq!(told[1]["error"]["type"], "video_starvation");
    assert_eq!(client.view().state, "talking");
    client.tell("agent.speak_end", "utt-1");
    assert_eq!(kinds(&client.wait(Duration::ZERO)), ["state_updated idle"]);
}

#[test]
fn pieces_of_unadvised_length_are_noted_and_the_last_may_be_short() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    for piece in [19_200, 48_000, 2_400] {
        client.speak("utt-1", &vec![1; piece]);
    }
    client.tell("agent.speak_end", "utt-1");
    client.speak("utt-2", &[1; 960]);
    client.tell("agent.speak_end", "utt-2");
    assert_eq!(client.view().deviations, Vec::<String>::new());
    for piece in [960, 960, 96_000] {
        client.speak("utt-3", &vec![1; piece]);
    }
    client.tell("agent.speak_end", "utt-3");
    let session = client.view();
    assert_eq!(session.deviations.len(), 3, "{:?}", session.deviations);
    let lengths: Vec<_> = session.utterances[2]
        .chunks
        .iter()
        .map(|chunk| chunk.duration)
        .collect();
    assert_eq!(lengths, [ms(20), ms(20), ms(2_000)]);
    assert_eq!(session.bytes_of("utt-3"), 97_920);
}

#[test]
fn what_is_wrong_is_told_with_the_id_of_the_command() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    let told = client.send(&json!({ "type": "agent.speak", "event_id": "utt-1", "audio": "***" }));
    assert_eq!(told[0]["error"]["type"], "invalid_request_error");
    assert_eq!(told[0]["error"]["event_id"], "utt-1");
    client.stream.lock().read_binary(3, client.desk.now);
    client.tell("agent.speak_end", "utt-1");
    client.speak("utt-2", &[1; 3]);
    client.speak("utt-2", b"RIFF....WAVE");
    assert_eq!(
        client.view().violations.len(),
        5,
        "{:?}",
        client.view().violations
    );
}

#[test]
fn a_message_over_a_megabyte_closes_the_socket_and_the_session_goes_on() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    let told = client.speak("utt-1", &vec![1; 760_000]);
    assert_eq!(told, [json!({ "close": 1009 })]);
    assert!(client.view().is_live());
    assert!(client.view().utterances.is_empty());
}

#[test]
fn speech_made_at_another_rate_is_a_violation() {
    let mut desk = Desk::new(AvatarHabits::default());
    let slow = crate::audio::speech::pcm("Good morning.", 16_000);
    desk.spoken.remember(&slow, "Good morning.", Some(16_000));
    let mut client = desk.connected();
    client.say("utt-1", &slow);
    assert!(client.view().violations[0].contains("16000 Hz"));
}

#[test]
fn the_attentive_pose_is_shown_once_nothing_is_said() {
    let mut desk = Desk::new(AvatarHabits::default());
    let mut client = desk.connected();
    assert_eq!(
        kinds(&client.tell("agent.start_listening", "lis-1")),
        ["state_updated listening"]
    );
    assert!(client.tell("agent.start_listening", "lis-2").is_empty());
    client.say("utt-1", &vec![1; TWO_SECONDS]);
    let told = client.wait(Duration::from_secs(3));
    assert_eq!(
        kinds(&told),
        ["state_updated talking", "state_updated listening"]
    );
    assert_eq!(
        kinds(&client.tell("agent.stop_listening", "lis-3")),
        ["state_updated idle"]
    );
    assert_eq!(client.view().deviations, Vec::<String>::new());
}
