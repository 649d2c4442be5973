//! What an avatar says and when: pieces of sound and the time in, beginnings and ends out.
//!
//! Sound is said in the order it came, as fast as a meeting runs. An utterance is open until its end
//! is told; an avatar whose sound has run out before that goes on looking as if it talked.

use std::time::Duration;

use jiff::Timestamp;

use super::state::AvatarUtteranceState as State;
use super::utterance::{Piece, Utterance, lasts};
use crate::spoken::Spoken;

/// An open utterance without sound for so long is told as `video_starvation`; the vendor does not
/// say when it does so.
const STARVED: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Voice {
    scale: f64,
    reaction: Duration,
    utterances: Vec<Utterance>,
    /// Where the first utterance that is not over is.
    first_active: usize,
    /// When everything that came so far will have been said.
    sound_ends: Option<Timestamp>,
    starvation_told: bool,
}

/// Something that became true with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoiceEvent {
    Begins(usize),
    Ends(usize),
    Starves(usize),
}

impl Voice {
    pub(crate) fn new(scale: f64, reaction: Duration) -> Self {
        Self {
            scale,
            reaction,
            utterances: Vec::new(),
            first_active: 0,
            sound_ends: None,
            starvation_told: false,
        }
    }

    pub(crate) fn utterances(&self) -> &[Utterance] {
        &self.utterances
    }

    /// The utterance that sound is appended to.
    pub(crate) fn open(&self) -> Option<usize> {
        let last = self.utterances.last()?;
        (last.committed_at.is_none() && !last.is_over()).then(|| self.utterances.len() - 1)
    }

    /// Whether anything is being said, or seems to be.
    pub(crate) fn talks(&self) -> bool {
        self.active()
            .any(|utterance| utterance.state == State::Talking)
    }

    fn active(&self) -> impl Iterator<Item = &Utterance> {
        self.utterances[self.first_active..].iter()
    }

    /// Appends sound to the open utterance, or opens one. Says which, and whether it is new.
    pub(crate) fn append(
        &mut self,
        event_id: Option<&str>,
        pcm: &[u8],
        now: Timestamp,
    ) -> (usize, bool) {
        let new = self.open().is_none();
        if new {
            self.utterances.push(Utterance::new(event_id));
        }
        let place = self.utterances.len() - 1;
        let goes_on = self.sound_ends.filter(|ends| *ends > now);
        let from = goes_on.unwrap_or(now + self.reaction);
        let until = from + lasts(pcm.len()).div_f64(self.scale);
        let piece = Piece {
            at: now,
            bytes: pcm.len(),
            from,
            until,
        };
        self.utterances[place].add(pcm, piece);
        self.sound_ends = Some(until);
        self.starvation_told = false;
        (place, new)
    }

    /// The end of the open utterance is told.
    pub(crate) fn commit(&mut self, now: Timestamp, spoken: &Spoken) -> Option<usize> {
        let place = self.open()?;
        let utterance = &mut self.utterances[place];
        utterance.committed_at = Some(now);
        utterance.recognise(spoken);
        Some(place)
    }

    /// Says a text that came as text, with this sound.
    pub(crate) fn tell(
        &mut self,
        text: &str,
        task: &str,
        pcm: &[u8],
        now: Timestamp,
        spoken: &Spoken,
    ) -> usize {
        let (place, _) = self.append(Some(task), pcm, now);
        self.commit(now, spoken);
        self.utterances[place].was_told(text);
        place
    }

    /// Drops everything that was not said yet; says what that was.
    pub(crate) fn cut(&mut self, now: Timestamp, state: State, spoken: &Spoken) -> Vec<usize> {
        let cut: Vec<usize> = (self.first_active..self.utterances.len()).collect();
        for place in &cut {
            let utterance = &mut self.utterances[*place];
            utterance.recognise(spoken);
            utterance.cut_at(now, self.scale, state);
        }
        self.first_active = self.utterances.len();
        self.sound_ends = None;
        cut
    }

    /// When [`Self::tick`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.due().map(|(due, _)| due)
    }

    fn due(&self) -> Option<(Timestamp, VoiceEvent)> {
        let place = self.first_active;
        let first = self.utterances.get(place)?;
        if first.state == State::Queued {
            return Some((first.begins_at()?, VoiceEvent::Begins(place)));
        }
        if let Some(ends) = first.ends_at() {
            return Some((ends, VoiceEvent::Ends(place)));
        }
        let starves = self.sound_ends? + STARVED.div_f64(self.scale);
        (!self.starvation_told).then_some((starves, VoiceEvent::Starves(place)))
    }

    /// Takes the next thing that is due by `now`, and when it was.
    pub(crate) fn next_due(&mut self, now: Timestamp) -> Option<(Timestamp, VoiceEvent)> {
        let (due, event) = self.due().filter(|(due, _)| *due <= now)?;
        match event {
            VoiceEvent::Begins(place) => {
                self.utterances[place].state = State::Talking;
                self.utterances[place].began_at = Some(due);
            }
            VoiceEvent::Ends(place) => {
                self.utterances[place].was_said(due);
                self.first_active = place + 1;
            }
            VoiceEvent::Starves(_) => self.starvation_told = true,
        }
        Some((due, event))
    }

    /// Whether another utterance follows at once on the one that just ended.
    pub(crate) fn goes_on_at(&self, now: Timestamp) -> bool {
        let next = self.utterances.get(self.first_active);
        next.and_then(Utterance::begins_at)
            .is_some_and(|begins| begins <= now)
    }

    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }
}
