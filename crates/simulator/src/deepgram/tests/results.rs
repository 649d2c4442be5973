//! What the stream tells of the audio.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, QUERY, finals, of_type, said, transcript};
use crate::deepgram::ScriptedResult;

const BARE: &str = "model=nova-3&encoding=linear16&sample_rate=16000";

fn end_of(results: &Value) -> f64 {
    results["start"].as_f64().unwrap() + results["duration"].as_f64().unwrap()
}

fn words(results: &Value) -> &Vec<Value> {
    results["channel"]["alternatives"][0]["words"]
        .as_array()
        .unwrap()
}

#[test]
fn a_line_becomes_partials_a_speech_final_and_an_utterance_end() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "Shall we look at the roadmap for the next quarter?");
    let mut call = desk.open(QUERY);
    call.silence(1000);
    let mut messages = call.speak(&line.pcm);
    messages.extend(call.silence(1500));
    let interims: Vec<&str> = of_type(&messages, "Results")
        .into_iter()
        .filter(|results| results["is_final"] == false)
        .map(transcript)
        .collect();
    assert!(interims.len() >= 3, "{interims:?}");
    assert!(
        interims
            .windows(2)
            .all(|pair| pair[1].is_empty() || pair[1].starts_with(pair[0])),
        "{interims:?}"
    );
    let spoken: Vec<_> = finals(&messages)
        .into_iter()
        .filter(|results| !transcript(results).is_empty())
        .collect();
    let [results] = spoken[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(transcript(results), line.text);
    assert_eq!(
        (
            results["speech_final"].as_bool(),
            results["from_finalize"].as_bool()
        ),
        (Some(true), Some(false))
    );
    assert_eq!(results["channel_index"], json!([0, 1]));
    let first = &words(results)[0];
    assert_eq!(
        (
            first["word"].as_str(),
            first["punctuated_word"].as_str(),
            first["speaker"].as_u64(),
            first["start"].as_f64()
        ),
        (Some("shall"), Some("Shall"), Some(0), Some(1.0))
    );
    let last_word_end = words(results).last().unwrap()["end"].clone();
    let [started] = of_type(&messages, "SpeechStarted")[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(started["timestamp"], 1.0);
    let [ended] = of_type(&messages, "UtteranceEnd")[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(
        (&ended["last_word_end"], &ended["channel"]),
        (&last_word_end, &json!([0, 1]))
    );
    let metadata = &results["metadata"];
    assert_eq!(metadata["request_id"], call.state().id);
    assert_eq!(
        (
            &metadata["model_info"]["arch"],
            &metadata["extra"]["meeting_id"]
        ),
        (&json!("nova-3"), &json!("mtg_1"))
    );
    assert_eq!(metadata["model_uuid"].as_str().map(str::len), Some(36));
}

#[test]
fn without_options_there_are_only_plain_finals() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "Yes, of course.");
    let mut call = desk.open(BARE);
    let mut messages = call.speak(&line.pcm);
    messages.extend(call.silence(2000));
    assert_eq!(of_type(&messages, "Results").len(), messages.len());
    assert_eq!(finals(&messages).len(), messages.len());
    assert_eq!(said(&messages), "yes of course");
    let word = &words(
        messages
            .iter()
            .find(|results| !transcript(results).is_empty())
            .unwrap(),
    )[0];
    assert_eq!(
        (
            word.get("speaker"),
            word.get("punctuated_word"),
            word.get("language")
        ),
        (None, None, None)
    );
}

#[test]
fn finals_follow_each_other_without_a_gap_end_between_words_and_go_on_in_silence() {
    let mut desk = Desk::new();
    let long = "We have a great many things to get through today and hardly any time to do so, which is why \
        I would like to begin with the numbers of the last quarter, then hear from sales, and then decide.";
    let line = desk.line("Bob", long);
    let mut call = desk.open(QUERY);
    call.silence(700);
    let mut messages = call.silence(12_000);
    messages.extend(call.speak(&line.pcm));
    messages.extend(call.silence(12_000));
    let finals = finals(&messages);
    let mut position = 0.0;
    for results in &finals {
        assert!((results["start"].as_f64().unwrap() - position).abs() < 1e-6);
        assert!(results["duration"].as_f64().unwrap() <= 5.1);
        assert!(
            words(results)
                .iter()
                .all(|word| word["start"].as_f64().unwrap() >= position - 1e-6)
        );
        position = end_of(results);
        assert!(
            words(results)
                .iter()
                .all(|word| word["end"].as_f64().unwrap() <= position + 1e-6)
        );
    }
    let sent = call.state().audio_bytes;
    let behind = f64::from(u32::try_from(sent).unwrap()) / 32_000.0 - position;
    assert!(
        behind < 5.1,
        "the position moves on in silence, it is {behind} s behind"
    );
    assert_eq!(said(&messages), long);
    let speech_finals = finals
        .iter()
        .filter(|results| results["speech_final"] == true);
    assert_eq!(speech_finals.count(), 1);
}

#[test]
fn a_stream_taken_up_where_the_last_final_ended_loses_no_word() {
    let mut desk = Desk::new();
    let line = desk.line(
        "Bob",
        "We close the books on Friday, and on Monday we start with the audit of the year.",
    );
    let audio = [vec![0; 16_000], line.pcm.clone(), vec![0; 32_000]].concat();
    for cut in (20_000..120_000).step_by(6400) {
        let mut first = desk.open(QUERY);
        let mut messages = first.speak(&audio[..cut]);
        // Sent once more and lost: what came after the last final.
        let position = finals(&messages)
            .last()
            .map_or(0.0, |results| end_of(results));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few seconds"
        )]
        let byte = (position * 16_000.0).round() as usize * 2;
        let mut second = desk.open(QUERY);
        messages.extend(second.speak(&audio[byte..]));
        assert_eq!(said(&messages), line.text, "cut at {cut}");
        assert!(second.state().broken_words.is_empty());
    }
}

#[test]
fn speakers_are_numbered_by_appearance() {
    let mut desk = Desk::new();
    let (bob, eve) = (
        desk.line("Bob", "Good morning."),
        desk.line("Eve", "Hello Bob."),
    );
    let mut call = desk.open(QUERY);
    let mut messages = Vec::new();
    for line in [&eve, &bob, &eve] {
        messages.extend(call.speak(&line.pcm));
        messages.extend(call.silence(500));
    }
    let spoken = finals(&messages)
        .into_iter()
        .filter(|results| !words(results).is_empty());
    let speakers: Vec<_> = spoken
        .map(|results| words(results)[0]["speaker"].as_u64().unwrap())
        .collect();
    assert_eq!(speakers, [0, 1, 0]);
}

#[test]
fn finalize_makes_final_what_was_heard_and_says_nothing_where_nothing_is_pending() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "one two three four five six");
    let mut call = desk.open(QUERY);
    call.speak(&line.pcm[..line.words[3].end + 640]);
    let flushed = call.text(r#"{"type":"Finalize"}"#);
    let [results] = &flushed[..] else {
        panic!("{flushed:?}")
    };
    assert_eq!(
        (transcript(results), results["from_finalize"].as_bool()),
        ("one two three four", Some(true))
    );
    assert!(call.text(r#"{"type":"Finalize"}"#).is_empty());
    let mut rest = call.speak(&line.pcm[line.words[3].end + 640..]);
    rest.extend(call.silence(500));
    assert_eq!(said(&rest), "five six");
}

#[test]
fn lost_audio_costs_the_words_in_it_and_is_counted() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "one two three four five six seven eight");
    let mut call = desk.open(QUERY);
    let lost = line.words[2].begin + 640..line.words[2].begin + 1280;
    let mut messages = call.speak(&[&line.pcm[..lost.start], &line.pcm[lost.end..]].concat());
    messages.extend(call.silence(500));
    let text = said(&messages);
    assert!(
        !text.contains("three")
            && text.starts_with("one two")
            && text.ends_with("four five six seven eight"),
        "{text}"
    );
    assert_eq!(call.state().broken_words, ["three"]);
}

#[test]
fn with_endpointing_off_only_the_utterance_end_tells() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "Yes, of course.");
    let mut call = desk.open(&QUERY.replace("endpointing=300", "endpointing=false"));
    let mut messages = call.speak(&line.pcm);
    messages.extend(call.silence(6000));
    assert!(
        finals(&messages)
            .iter()
            .all(|results| results["speech_final"] == false)
    );
    assert_eq!(of_type(&messages, "UtteranceEnd").len(), 1);
    assert_eq!(said(&messages), line.text);
}

#[test]
fn the_cut_of_the_frames_changes_nothing() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "Shall we look at the roadmap for the next quarter?");
    let audio = [vec![0; 3200], line.pcm.clone(), vec![0; 48_000]].concat();
    let told = |piece: usize, desk: &mut Desk| {
        let mut call = desk.open(QUERY);
        let mut messages: Vec<Value> = audio
            .chunks(piece)
            .flat_map(|frame| call.frame(frame))
            .collect();
        for message in &mut messages {
            message["metadata"] = Value::Null;
        }
        messages
    };
    let expected = told(640, &mut desk);
    for piece in [333, 1600, 1_000_000] {
        assert_eq!(told(piece, &mut desk), expected, "{piece}");
    }
}

#[test]
fn what_newer_services_send_comes_between_and_changes_no_text() {
    let mut desk = Desk::with(|settings| settings.newer_messages = true);
    let line = desk.line("Bob", "Good morning to all of you.");
    let mut call = desk.open(QUERY);
    let mut messages = call.speak(&line.pcm);
    messages.extend(call.silence(6000));
    for kind in [
        "AmbienceReport",
        "ConfigureSuccess",
        "ConfigureFailure",
        "Error",
    ] {
        assert!(!of_type(&messages, kind).is_empty(), "{kind}");
    }
    let results = finals(&messages)[0];
    assert_eq!(
        (&results["entities"], &words(results)[0]["language"]),
        (&json!([]), &json!("en"))
    );
    assert_eq!(said(&messages), line.text);
}

#[test]
fn a_script_is_told_as_the_audio_reaches_its_places() {
    let mut desk = Desk::new();
    let line = desk.line("Bob", "This is not told.");
    let scripted = |seconds, text: &str| ScriptedResult {
        at: Duration::from_secs(seconds),
        message: json!({ "type": "Results", "channel": { "alternatives": [{ "transcript": text }] } }),
    };
    desk.model.script(
        Some("mtg_1"),
        vec![scripted(1, "first"), scripted(2, "second")],
    );
    let mut call = desk.open(QUERY);
    let told = call.speak(&line.pcm);
    let texts: Vec<_> = told.iter().map(transcript).collect();
    assert_eq!(texts, ["first"]);
    assert_eq!(told[0]["metadata"]["request_id"], call.state().id);
    assert_eq!(transcript(&call.silence(1000)[0]), "second");
    let mut other = desk.open(&QUERY.replace("mtg_1", "mtg_2"));
    let mut messages = other.speak(&line.pcm);
    messages.extend(other.silence(500));
    assert_eq!(said(&messages), line.text);
}
