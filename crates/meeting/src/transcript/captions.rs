//! Captions for video players: `WebVTT` and `SubRip`.
//!
//! Cues come in the order of their start, last a moment at least, and hold as much text as can be
//! read at a glance. Longer segments are spread over several cues, each with its share of the time.
//! The subtitle crates that build for wasm neither escape text nor write three-digit hours reliably,
//! and the formats are a few lines each.

use std::{fmt::Write, time::Duration};

use super::{Segment, duration, in_order, name, one_line};

/// How much text a cue holds, in characters: two lines of 42, as broadcasters have it.
const MAX_CUE_CHARACTERS: usize = 84;
/// How long a cue is shown at least: a player may skip what is shorter.
const MIN_CUE: Duration = Duration::from_millis(500);

/// Writes `WebVTT`, with the speaker as each cue's voice.
pub fn to_vtt(segments: &[Segment]) -> String {
    let mut out = String::from("WEBVTT\n");
    for (index, cue) in cues(segments).iter().enumerate() {
        write!(
            out,
            "\n{}\n{} --> {}\n<v {}>{}\n",
            index + 1,
            Clock(cue.start, '.'),
            Clock(cue.end, '.'),
            // Some players look for the end of the voice tag before they read escapes.
            escape_vtt(&without_markup(&cue.speaker)),
            escape_vtt(&cue.text)
        )
        .expect("writing to a string cannot fail");
    }
    out
}

/// Writes `SubRip`, with the speaker before the text.
pub fn to_srt(segments: &[Segment]) -> String {
    let mut out = String::new();
    for (index, cue) in cues(segments).iter().enumerate() {
        write!(
            out,
            "{}\n{} --> {}\n{}: {}\n\n",
            index + 1,
            Clock(cue.start, ','),
            Clock(cue.end, ','),
            without_markup(&cue.speaker),
            without_markup(&cue.text)
        )
        .expect("writing to a string cannot fail");
    }
    out
}

struct Cue {
    start: Duration,
    end: Duration,
    speaker: String,
    text: String,
}

fn cues(segments: &[Segment]) -> Vec<Cue> {
    let mut cues: Vec<Cue> = in_order(segments).into_iter().flat_map(split).collect();
    // People talk over each other: the later parts of one segment may start after another segment.
    cues.sort_by_key(|cue| cue.start);
    cues
}

/// Spreads a segment over cues, each with the share of the time that its share of the text takes.
fn split(segment: &Segment) -> Vec<Cue> {
    let parts = pack(&one_line(&segment.text));
    let total: usize = parts.iter().map(|part| part.chars().count()).sum();
    let start = duration(segment.start);
    let length = duration(segment.end).saturating_sub(start);
    let speaker = name(&segment.speaker);
    let mut before = 0;
    let mut cues = Vec::with_capacity(parts.len());
    for text in parts {
        let at = |characters: usize| start.saturating_add(share(length, characters, total));
        let begin = at(before);
        before += text.chars().count();
        let end = at(before).max(begin.saturating_add(MIN_CUE));
        cues.push(Cue {
            start: begin,
            end,
            speaker: speaker.clone(),
            text,
        });
    }
    cues
}

fn share(length: Duration, part: usize, whole: usize) -> Duration {
    // Both are lengths of one text, far below the precision of a double.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a text has fewer than 2^52 characters"
    )]
    let share = part as f64 / whole.max(1) as f64;
    Duration::try_from_secs_f64(length.as_secs_f64() * share).unwrap_or(length)
}

/// Packs words into parts that fit a cue; a word that alone does not fit is cut.
fn pack(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut room = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let characters: Vec<char> = word.chars().collect();
        for (index, piece) in characters.chunks(MAX_CUE_CHARACTERS).enumerate() {
            match parts.last_mut() {
                Some(part) if index == 0 && piece.len() < room => {
                    part.push(' ');
                    part.extend(piece);
                    room -= piece.len() + 1;
                }
                _ => {
                    parts.push(piece.iter().collect());
                    room = MAX_CUE_CHARACTERS - piece.len();
                }
            }
        }
    }
    parts
}

/// Writes a time as `HH:MM:SS.mmm`, with more digits for the hours where needed.
struct Clock(Duration, char);

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(time, point) = self;
        let seconds = time.as_secs();
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{hours:02}:{minutes:02}:{seconds:02}{point}{:03}",
            time.subsec_millis()
        )
    }
}

fn escape_vtt(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Puts look-alikes where a player would see markup: `SubRip` has no escapes, and its players take
/// `<…>` and `{\…}` for it.
fn without_markup(text: &str) -> String {
    text.replace('<', "‹")
        .replace('>', "›")
        .replace("{\\", "(\\")
}
