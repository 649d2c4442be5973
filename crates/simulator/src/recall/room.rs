//! The sound of a call on one axis, the bytes of its mix since the recording began.
//!
//! It is a function of what happened: the same part read twice gives the same bytes, so nobody has
//! to keep what was sent to know it. What the bot itself says is not in it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::audio::voices::{SAMPLE_RATE, SpokenLine};

/// Bytes per sample.
const SAMPLE: usize = 2;
/// Bytes per second of meeting time.
pub(crate) const BYTES_PER_SECOND: usize = SAMPLE_RATE as usize * SAMPLE;
/// How long a sample lasts.
const SAMPLE_TIME: Duration = Duration::from_nanos(1_000_000_000 / SAMPLE_RATE as u64);

/// Everything that could be heard in a call so far, and what is already begun.
#[derive(Debug)]
pub(crate) struct Room {
    started_at: Timestamp,
    scale: f64,
    lines: Vec<Placed>,
    open: Vec<Range<usize>>,
}

/// A line and where it is heard.
#[derive(Debug)]
struct Placed {
    begin: usize,
    end: usize,
    line: Arc<SpokenLine>,
}

/// The end of a stretch that still goes on.
const GOES_ON: usize = usize::MAX;

impl Room {
    /// A silent room without open microphones. Its time runs `scale` times as fast as the clock.
    pub(crate) fn new(started_at: Timestamp, scale: f64) -> Self {
        Self {
            started_at,
            scale,
            lines: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The whole sample that is heard at this time.
    pub(crate) fn place(&self, at: Timestamp) -> usize {
        let real = Duration::try_from(at.duration_since(self.started_at)).unwrap_or_default();
        let samples = real.mul_f64(self.scale).as_nanos() / SAMPLE_TIME.as_nanos();
        usize::try_from(samples).expect("no call lasts that long") * SAMPLE
    }

    /// When everything before this byte was heard.
    pub(crate) fn heard_at(&self, place: usize) -> Timestamp {
        self.started_at + lasts(place).div_f64(self.scale)
    }

    /// Somebody begins to say a line.
    pub(crate) fn say(&mut self, line: Arc<SpokenLine>, at: Timestamp) {
        let begin = self.place(at);
        self.lines.push(Placed {
            begin,
            end: begin + line.pcm.len(),
            line,
        });
    }

    /// What this person is saying breaks off.
    pub(crate) fn cut(&mut self, speaker: &str, at: Timestamp) {
        let place = self.place(at);
        for placed in &mut self.lines {
            if placed.line.speaker == speaker {
                placed.end = placed.end.min(place.max(placed.begin));
            }
        }
    }

    /// From now on there is a microphone that is open and recorded, or none.
    pub(crate) fn set_open(&mut self, open: bool, at: Timestamp) {
        let place = self.place(at);
        let goes_on = self.open.last_mut().filter(|last| last.end == GOES_ON);
        match (goes_on, open) {
            (Some(last), false) => last.end = place,
            (None, true) => self.open.push(place..GOES_ON),
            (Some(_), true) | (None, false) => {}
        }
    }

    /// How many bytes of this part were recorded from an open microphone.
    pub(crate) fn open_bytes(&self, part: &Range<usize>) -> usize {
        self.open_in(part).map(|open| open.len()).sum()
    }

    fn open_in(&self, part: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let part = part.clone();
        self.open
            .iter()
            .map(move |open| open.start.max(part.start)..open.end.min(part.end))
            .filter(|open| !open.is_empty())
    }

    /// The mix, zeros where nobody speaks or is heard.
    pub(crate) fn read(&self, part: &Range<usize>) -> Vec<u8> {
        let first = part.start / SAMPLE;
        let whole = first * SAMPLE..part.end.next_multiple_of(SAMPLE);
        let mut mix = vec![0_i32; whole.len() / SAMPLE];
        for open in self.open_in(&whole) {
            for placed in &self.lines {
                let (from, to) = (placed.begin.max(open.start), placed.end.min(open.end));
                if from >= to {
                    continue;
                }
                let heard = &placed.line.pcm[from - placed.begin..to - placed.begin];
                let samples = heard
                    .chunks_exact(SAMPLE)
                    .map(|sample| i16::from_le_bytes([sample[0], sample[1]]));
                for (sum, sample) in mix[from / SAMPLE - first..].iter_mut().zip(samples) {
                    *sum += i32::from(sample);
                }
            }
        }
        let bytes: Vec<u8> = mix
            .into_iter()
            .flat_map(|sum| saturated(sum).to_le_bytes())
            .collect();
        bytes[part.start - whole.start..part.end - whole.start].to_vec()
    }
}

/// How long so many bytes of sound last, in meeting time.
pub(crate) fn lasts(bytes: usize) -> Duration {
    let samples = u32::try_from(bytes.div_ceil(SAMPLE)).expect("no call lasts three days");
    SAMPLE_TIME * samples
}

/// How many bytes of whole samples are heard in this time; at least one sample.
pub(crate) fn whole_samples(time: Duration) -> usize {
    let samples = time.as_nanos() / SAMPLE_TIME.as_nanos();
    usize::try_from(samples).map_or(usize::MAX, |samples| samples.max(1) * SAMPLE)
}

fn saturated(sum: i32) -> i16 {
    let clamped = sum.clamp(i16::MIN.into(), i16::MAX.into());
    i16::try_from(clamped).expect("it was just clamped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::voices::Voices;

    fn start() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    fn after(milliseconds: u64) -> Timestamp {
        start() + Duration::from_millis(milliseconds)
    }

    fn open_room() -> Room {
        let mut room = Room::new(start(), 1.0);
        room.set_open(true, start());
        room
    }

    #[test]
    fn a_line_is_heard_where_it_was_said_to_its_last_sample() {
        let line = Voices::default().line("Bob", "Shall we begin?");
        let mut room = open_room();
        room.say(line.clone(), after(250));
        let sound = room.read(&(0..64_000));
        assert!(sound[..8_000].iter().all(|byte| *byte == 0));
        assert_eq!(sound[8_000..8_000 + line.pcm.len()], line.pcm);
        assert!(sound[8_000 + line.pcm.len()..].iter().all(|b| *b == 0));
    }

    #[test]
    fn parts_of_any_size_make_up_the_whole() {
        let mut room = open_room();
        room.say(Voices::default().line("Bob", "Shall we begin?"), after(33));
        let whole = room.read(&(0..20_001));
        let cuts = [0, 1, 2, 3, 640, 1_283, 1_284, 9_999, 20_001];
        let parts = cuts.windows(2).map(|cut| room.read(&(cut[0]..cut[1])));
        assert_eq!(parts.collect::<Vec<_>>().concat(), whole);
    }

    #[test]
    fn voices_add_up_and_saturate() {
        let line = |speaker: &str, sample: i16| {
            Arc::new(SpokenLine {
                speaker: speaker.to_owned(),
                text: String::new(),
                pcm: sample.to_le_bytes().to_vec(),
                words: Vec::new(),
            })
        };
        let mut room = open_room();
        room.say(line("Bob", 20_000), start());
        room.say(line("Eve", -500), start());
        assert_eq!(room.read(&(0..2)), 19_500_i16.to_le_bytes());
        room.say(line("Pat", 20_000), start());
        assert_eq!(room.read(&(0..2)), i16::MAX.to_le_bytes());
    }

    #[test]
    fn nothing_is_heard_while_no_microphone_is_open() {
        let line = Voices::default().line("Bob", "Shall we begin?");
        let mut room = Room::new(start(), 1.0);
        room.say(line.clone(), start());
        room.set_open(true, after(100));
        room.set_open(false, after(200));
        let sound = room.read(&(0..9_600));
        assert_eq!(sound[3_200..6_400], line.pcm[3_200..6_400]);
        assert!(
            sound[..3_200]
                .iter()
                .chain(&sound[6_400..])
                .all(|b| *b == 0)
        );
        assert_eq!(room.open_bytes(&(0..9_600)), 3_200);
        assert_eq!(room.open_bytes(&(6_400..9_600)), 0);
    }

    #[test]
    fn who_is_cut_off_is_not_heard_any_further() {
        let voices = Voices::default();
        let (bob, eve) = (voices.line("Bob", "One two."), voices.line("Eve", "Three."));
        let mut room = open_room();
        room.say(bob.clone(), start());
        room.say(eve.clone(), after(5_000));
        room.cut("Bob", after(100));
        let sound = room.read(&(0..6_400));
        assert_eq!(sound[..3_200], bob.pcm[..3_200]);
        assert!(sound[3_200..].iter().all(|byte| *byte == 0));
        assert_eq!(room.read(&(160_000..160_640)), eve.pcm[..640]);
    }

    #[test]
    fn a_faster_meeting_has_more_sound_in_the_same_time() {
        let room = Room::new(start(), 10.0);
        assert_eq!(room.place(after(100)), BYTES_PER_SECOND);
        assert_eq!(room.heard_at(BYTES_PER_SECOND), after(100));
        assert_eq!(room.place(start() - Duration::from_secs(1)), 0);
    }
}
