use proptest::prelude::*;
use subtp::{
    srt::SubRip,
    vtt::{VttBlock, WebVtt},
};

use super::*;

fn segment(start: f64, end: f64, name: &str, text: &str) -> Segment {
    Segment {
        ends_utterance: false,
        words: Vec::new(),
        id: "seg_1".to_owned(),
        speaker: Speaker {
            id: Some("100".to_owned()),
            name: Some(name.to_owned()),
        },
        start,
        end,
        text: text.to_owned(),
        confidence: None,
    }
}

fn spoken(words: &[(&str, f64, f64)]) -> SpokenSegment {
    let words: Vec<Word> = words
        .iter()
        .map(|(text, start, end)| Word {
            text: (*text).to_owned(),
            start: *start,
            end: *end,
        })
        .collect();
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    SpokenSegment {
        speaker: Speaker {
            id: None,
            name: Some("Ada".to_owned()),
        },
        start: words[0].start,
        end: words[words.len() - 1].end,
        text: text.join(" "),
        language: None,
        words,
    }
}

/// Start, end and text of every cue, as another implementation reads them.
fn read_srt(srt: &str) -> Vec<(Duration, Duration, String)> {
    let parsed = SubRip::parse(srt).unwrap();
    let cues = parsed
        .subtitles
        .into_iter()
        .enumerate()
        .map(|(index, cue)| {
            assert_eq!(cue.sequence as usize, index + 1);
            (cue.start.into(), cue.end.into(), cue.text.join("\n"))
        });
    cues.collect()
}

/// Start, end and payload of every cue, as another implementation reads them.
fn read_vtt(vtt: &str) -> Vec<(Duration, Duration, String)> {
    let parsed = WebVtt::parse(vtt).unwrap();
    let cues = parsed.blocks.into_iter().map(|block| {
        let VttBlock::Que(cue) = block else {
            panic!("no cue: {block:?}")
        };
        (
            cue.timings.start.into(),
            cue.timings.end.into(),
            cue.payload.join("\n"),
        )
    });
    cues.collect()
}

#[test]
fn a_conversation_reads_well_in_every_format() {
    let segments = [
        segment(3_723.5, 3_725.0, "Pat", "Fine & you?"),
        segment(9.73, 10.02, "Dana", "How are you?"),
    ];
    assert_eq!(
        to_text(&segments),
        "[00:00:09] Dana: How are you?\n[01:02:03] Pat: Fine & you?\n"
    );
    assert_eq!(
        to_vtt(&segments),
        "WEBVTT\n\n1\n00:00:09.730 --> 00:00:10.230\n<v Dana>How are you?\n\n\
         2\n01:02:03.500 --> 01:02:05.000\n<v Pat>Fine &amp; you?\n"
    );
    assert_eq!(
        to_srt(&segments),
        "1\n00:00:09,730 --> 00:00:10,230\nDana: How are you?\n\n\
         2\n01:02:03,500 --> 01:02:05,000\nPat: Fine & you?\n\n"
    );
}

#[test]
fn nothing_said_is_still_a_file() {
    assert_eq!(to_text(&[]), "");
    assert_eq!(to_vtt(&[]), "WEBVTT\n");
    assert_eq!(to_srt(&[]), "");
}

#[test]
fn speakers_without_a_name_go_by_their_id() {
    let mut nameless = segment(0.0, 1.0, " \n", "Hello");
    assert_eq!(
        to_text(std::slice::from_ref(&nameless)),
        "[00:00:00] Speaker 100: Hello\n"
    );
    nameless.speaker = Speaker::default();
    assert_eq!(to_text(&[nameless]), "[00:00:00] Unknown speaker: Hello\n");
}

#[test]
fn markup_in_names_and_speech_stays_text() {
    let segments = [segment(
        0.0,
        1.0,
        "Eve <script>\n--> &",
        "a\n\nb --> <b>c</b> {\\an8} 00:00:01.000 --> 00:00:02.000",
    )];
    let vtt = to_vtt(&segments);
    assert_eq!(
        read_vtt(&vtt)[0].2,
        "<v Eve ‹script› --› &amp;>a b --&gt; &lt;b&gt;c&lt;/b&gt; {\\an8} 00:00:01.000 --&gt; 00:00:02.000"
    );
    let srt = to_srt(&segments);
    assert_eq!(
        read_srt(&srt)[0].2,
        "Eve ‹script› --› &: a b --› ‹b›c‹/b› (\\an8} 00:00:01.000 --› 00:00:02.000"
    );
}

#[test]
fn long_segments_are_spread_over_cues_by_their_share_of_the_text() {
    let text = "word ".repeat(60);
    let cues = read_srt(&to_srt(&[segment(10.0, 40.0, "Ada", &text)]));
    assert_eq!(cues.len(), 4);
    assert_eq!(cues[0].0, Duration::from_secs(10));
    assert_eq!(cues[3].1, Duration::from_secs(40));
    for pair in cues.windows(2) {
        assert_eq!(
            pair[0].1, pair[1].0,
            "no gap and no overlap within a segment"
        );
    }
    let words: usize = cues.iter().map(|cue| cue.2.matches("word").count()).sum();
    assert_eq!(words, 60);
}

#[test]
fn text_without_spaces_is_cut() {
    let cues = read_vtt(&to_vtt(&[segment(0.0, 10.0, "Ada", &"語".repeat(200))]));
    assert_eq!(cues.len(), 3);
    assert_eq!(
        cues.iter()
            .map(|cue| cue.2.matches('語').count())
            .sum::<usize>(),
        200
    );
}

#[test]
fn people_talking_over_each_other_still_come_in_order() {
    let monologue = segment(0.0, 30.0, "Ada", &"word ".repeat(60));
    let cues = read_vtt(&to_vtt(&[monologue, segment(5.0, 6.0, "Pat", "Yes.")]));
    assert!(cues.is_sorted_by_key(|cue| cue.0));
    assert!(cues[1].2.contains("Yes."));
}

#[test]
fn meetings_of_days_have_hours_of_three_digits() {
    let late = [segment(360_000.0, 360_001.0, "Ada", "Still here.")];
    assert!(to_vtt(&late).contains("100:00:00.000 --> 100:00:01.000"));
    assert!(to_srt(&late).contains("100:00:00,000 --> 100:00:01,000"));
}

#[test]
fn a_final_transcript_keeps_utterances_and_numbers_them() {
    let segments = from_final(vec![
        spoken(&[("How", 1.0, 1.2), ("are you?", 1.2, 1.9)]),
        spoken(&[("Fine.", 3.0, 3.0)]),
    ]);
    assert_eq!(segments.len(), 2);
    assert_eq!(
        (segments[0].id.as_str(), segments[0].text.as_str()),
        ("seg_1", "How are you?")
    );
    assert_eq!(
        (segments[1].id.as_str(), segments[1].start, segments[1].end),
        ("seg_2", 3.0, 3.0)
    );
}

#[test]
fn a_monologue_is_divided_at_the_end_of_a_sentence_with_the_words_own_times() {
    let mut words = Vec::new();
    for n in 0..100_u32 {
        let start = f64::from(n);
        words.push((
            if n % 40 == 39 { "end." } else { "word" },
            start,
            start + 0.5,
        ));
    }
    let segments = from_final(vec![spoken(&words)]);
    let times: Vec<_> = segments
        .iter()
        .map(|segment| (segment.start, segment.end))
        .collect();
    assert_eq!(times, [(0.0, 39.5), (40.0, 79.5), (80.0, 99.5)]);
    assert!(segments[0].text.ends_with("end."));
    let text: Vec<_> = segments
        .iter()
        .map(|segment| segment.text.as_str())
        .collect();
    assert_eq!(text.join(" "), spoken(&words).text);
}

#[test]
fn a_monologue_without_sentences_is_divided_at_a_pause_or_at_the_bound() {
    let mut words = Vec::new();
    for n in 0..100_u32 {
        let start = f64::from(n) + if n < 35 { 0.0 } else { 5.0 };
        words.push(("word", start, start + 1.0));
    }
    let segments = from_final(vec![spoken(&words)]);
    assert!((segments[0].end - 35.0).abs() < 1e-9);
    assert!(
        segments
            .iter()
            .all(|segment| segment.text.chars().count() <= MAX_SEGMENT_CHARACTERS)
    );
    assert_eq!(
        segments
            .iter()
            .map(|segment| segment.text.matches("word").count())
            .sum::<usize>(),
        100
    );
}

#[test]
fn segments_are_stored_as_the_contract_says() {
    assert_eq!(
        serde_json::to_string(&segment(1.0, 2.5, "Ada", "Hi")).unwrap(),
        r#"{"id":"seg_1","speaker":{"id":"100","name":"Ada"},"start":1.0,"end":2.5,"text":"Hi","confidence":null}"#
    );
}

fn any_segment() -> impl Strategy<Value = Segment> {
    let text = prop_oneof![
        "\\PC{0,200}",
        "([a-z<>&{}\\\\-]{1,9}[ \n\t\r]{1,3}){0,40}",
        "(-->|\n\n|WEBVTT|NOTE ){0,9}"
    ];
    let name = prop::option::of("(\\PC|[\n\r<>&]){0,20}");
    (0.0..350_000.0_f64, -5.0..200.0_f64, name, text).prop_map(|(start, length, name, text)| {
        Segment {
            speaker: Speaker { id: None, name },
            ..segment(start, start + length, "", &text)
        }
    })
}

proptest! {
    #[test]
    fn whatever_is_said_other_software_reads_the_captions(
        segments in prop::collection::vec(any_segment(), 1..12)
    ) {
        let said = segments.iter().filter(|segment| !one_line(&segment.text).is_empty()).count();
        prop_assume!(said > 0);
        for cues in [read_srt(&to_srt(&segments)), read_vtt(&to_vtt(&segments))] {
            prop_assert!(cues.len() >= said);
            prop_assert!(cues.is_sorted_by_key(|cue| cue.0));
            for (start, end, text) in cues {
                prop_assert!(end > start);
                prop_assert!(!text.trim().is_empty() && !text.contains("-->"));
            }
        }
    }

    #[test]
    fn times_that_are_none_do_no_harm(start in any::<f64>(), end in any::<f64>()) {
        let segments = [segment(start, end, "Ada", "Hi")];
        prop_assert!(to_vtt(&segments).contains("<v Ada>Hi"));
        prop_assert_eq!(to_srt(&segments).lines().count(), 4);
        prop_assert_eq!(to_text(&segments).lines().count(), 1);
    }
}
