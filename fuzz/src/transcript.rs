//! Transcripts as text and captions: well formed whatever people are called and say, and no word is lost.

use arbitrary::{Arbitrary, Unstructured};
use attache_meeting::{
    transcript::{Segment, from_final, to_srt, to_text, to_vtt},
    vendors::recall::{Speaker, SpokenSegment, Word},
};

/// Words in a segment before it is divided, and the length of its cues.
const MAX_SEGMENT_CHARACTERS: usize = 300;
const MAX_CUE_CHARACTERS: usize = 84;

#[derive(Arbitrary, Debug)]
struct Spoken {
    id: Option<String>,
    name: Option<String>,
    start: f64,
    end: f64,
    words: Vec<(String, f64, f64)>,
}

/// Checks one input: segments, in the fuzzer's own encoding.
pub fn check(data: &[u8]) {
    let Ok(spoken) = Vec::<Spoken>::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let segments: Vec<Segment> = spoken.iter().enumerate().map(segment).collect();
    is_text(&to_text(&segments), segments.len());
    is_vtt(&to_vtt(&segments), &segments);
    is_srt(&to_srt(&segments));
    divides(spoken);
}

fn segment((index, spoken): (usize, &Spoken)) -> Segment {
    let words: Vec<&str> = spoken.words.iter().map(|word| word.0.as_str()).collect();
    Segment {
        id: format!("seg_{index}"),
        speaker: Speaker {
            id: spoken.id.clone(),
            name: spoken.name.clone(),
        },
        start: spoken.start,
        end: spoken.end,
        text: words.join(" "),
        confidence: None,
        ends_utterance: false,
        words: Vec::new(),
    }
}

fn is_text(text: &str, segments: usize) {
    assert_eq!(text.lines().count(), segments, "{text:?}");
    for line in text.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.starts_with('[') && line.contains("] "), "{line:?}");
    }
}

fn is_vtt(text: &str, segments: &[Segment]) {
    let body = text
        .strip_prefix("WEBVTT\n")
        .expect("the file says what it is");
    let mut told = 0;
    let mut last = Time::default();
    for (index, cue) in body.split("\n\n").enumerate() {
        let cue = cue.trim_start_matches('\n');
        if cue.is_empty() {
            continue;
        }
        let lines: Vec<&str> = cue.trim_end_matches('\n').split('\n').collect();
        let [number, times, words] = lines[..] else {
            panic!("a cue has three lines: {cue:?}")
        };
        assert_eq!(number.parse(), Ok(index + 1), "{cue:?}");
        last = is_span(times, '.', last);
        let words = words.strip_prefix("<v ").expect("a cue has a voice");
        let (voice, words) = words.split_once('>').expect("the voice ends");
        assert!(!voice.trim().is_empty(), "{cue:?}");
        for part in [voice, words] {
            assert!(!part.contains(['<', '>']), "{cue:?}");
            assert!(!part.contains(char::is_control), "{cue:?}");
            for (at, _) in part.match_indices('&') {
                let known = ["&amp;", "&lt;", "&gt;"];
                assert!(
                    known.iter().any(|name| part[at..].starts_with(name)),
                    "{cue:?}"
                );
            }
        }
        let plain = words
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        let length = plain.chars().count();
        assert!((1..=MAX_CUE_CHARACTERS).contains(&length), "{cue:?}");
        told += plain.chars().filter(|c| !c.is_whitespace()).count();
    }
    let said = segments.iter().flat_map(|segment| segment.text.chars());
    let said = said
        .filter(|c| !c.is_whitespace() && !c.is_control())
        .count();
    assert_eq!(told, said, "words are lost or doubled: {text:?}");
}

fn is_srt(text: &str) {
    let mut last = Time::default();
    let cues = text.strip_suffix("\n\n").map(|text| text.split("\n\n"));
    for (index, cue) in cues.into_iter().flatten().enumerate() {
        let lines: Vec<&str> = cue.split('\n').collect();
        let [number, times, words] = lines[..] else {
            panic!("a cue has three lines: {cue:?}")
        };
        assert_eq!(number.parse(), Ok(index + 1), "{cue:?}");
        last = is_span(times, ',', last);
        assert!(
            !words.contains(['<', '>']) && !words.contains("{\\"),
            "{cue:?}"
        );
        assert!(!words.contains(char::is_control), "{cue:?}");
        assert!(words.contains(": "), "{cue:?}");
    }
    assert!(text.is_empty() || text.ends_with("\n\n"));
}

/// Hours, minutes, seconds and milliseconds.
type Time = [u64; 4];

/// Reads the line of times; cues begin in order and do not end before they begin. Gives when this one begins.
fn is_span(line: &str, point: char, last: Time) -> Time {
    let (start, end) = line.split_once(" --> ").expect("a cue has two times");
    let (start, end) = (time(start, point), time(end, point));
    assert!(last <= start && start <= end, "{line:?} after {last:?}");
    start
}

fn time(text: &str, point: char) -> Time {
    let (clock, milliseconds) = text.split_once(point).expect("a time has milliseconds");
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else {
        panic!("a time has three parts: {text:?}")
    };
    assert!(
        hours.len() >= 2 && minutes.len() == 2 && seconds.len() == 2 && milliseconds.len() == 3
    );
    let time = [hours, minutes, seconds, milliseconds].map(|part| part.parse().expect("a number"));
    assert!(time[1] < 60 && time[2] < 60, "{text:?}");
    time
}

/// A final transcript is divided between words only.
fn divides(spoken: Vec<Spoken>) {
    let spoken: Vec<SpokenSegment> = spoken.into_iter().filter_map(heard).collect();
    let words = |segments: &[SpokenSegment]| -> Vec<String> {
        let words = segments.iter().flat_map(|segment| &segment.words);
        words.map(|word| word.text.clone()).collect()
    };
    let said = words(&spoken);
    let segments = from_final(spoken);
    let told: Vec<String> = segments
        .iter()
        .flat_map(|segment| segment.words.iter().map(|word| word.text.clone()))
        .collect();
    assert_eq!(told, said);
    for (index, segment) in segments.iter().enumerate() {
        assert_eq!(segment.id, format!("seg_{}", index + 1));
        let length = segment.text.chars().count();
        assert!(
            length <= MAX_SEGMENT_CHARACTERS || segment.words.len() == 1,
            "{length}"
        );
    }
}

/// As a reader gives it: words without surrounding white space, and never none.
fn heard(spoken: Spoken) -> Option<SpokenSegment> {
    let words: Vec<Word> = spoken
        .words
        .into_iter()
        .map(|(text, start, end)| Word {
            text: text.trim().to_owned(),
            start,
            end,
        })
        .filter(|word| !word.text.is_empty())
        .collect();
    let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    Some(SpokenSegment {
        speaker: Speaker {
            id: spoken.id,
            name: spoken.name,
        },
        start: words.first()?.start,
        end: words.last()?.end,
        text: text.join(" "),
        language: None,
        words,
    })
}
