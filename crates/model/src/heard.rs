//! What the people in the call hear and read of the delegate, and what the meeting knows of that.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{GREETING, beginning};
use attache_meeting::{
    ids::UtteranceId,
    meeting::{UtteranceState, Via},
};

/// Something that the room got to hear or to read.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    pub utterance: UtteranceId,
    pub via: Via,
}

/// How far an utterance is, as watchers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    Queued,
    Speaking,
    Over,
}

/// The room's ears and eyes.
#[derive(Debug)]
pub(crate) struct Room {
    pub hearings: Vec<Hearing>,
    /// Utterances that the meeting knows to have been begun, or written.
    pub known: BTreeSet<UtteranceId>,
    /// Beginnings that a page took with it before it had told of them, which may be repeated.
    pub forgotten: BTreeMap<UtteranceId, usize>,
    /// How far each utterance is, with its place in the queue.
    pub told: BTreeMap<UtteranceId, (usize, Told)>,
    /// The place of the last utterance that began.
    pub last_begun: Option<usize>,
    /// Each text and its utterance; texts are said once.
    texts: BTreeMap<String, UtteranceId>,
    /// What was played and written, by the idempotency key it came under.
    pub keys: BTreeSet<String>,
    /// Callers' messages that the room has read.
    pub chats: BTreeMap<String, usize>,
}

impl Room {
    pub(crate) fn new() -> Self {
        let mut room = Self {
            hearings: Vec::new(),
            known: BTreeSet::new(),
            forgotten: BTreeMap::new(),
            told: BTreeMap::new(),
            last_begun: None,
            texts: BTreeMap::new(),
            keys: BTreeSet::new(),
            chats: BTreeMap::new(),
        };
        room.named(greeting(), GREETING.to_owned());
        room
    }

    /// Notes which utterance a text belongs to.
    pub(crate) fn named(&mut self, utterance: UtteranceId, text: String) {
        self.texts.insert(text, utterance);
    }

    pub(crate) fn utterance_of(&self, text: &str) -> Option<UtteranceId> {
        self.texts.get(text).cloned()
    }

    /// How often an utterance was begun or written this way.
    pub(crate) fn count(&self, utterance: &UtteranceId, via: Via) -> usize {
        let same = |hearing: &&Hearing| hearing.utterance == *utterance && hearing.via == via;
        self.hearings.iter().filter(same).count()
    }

    pub(crate) fn was_heard(&self, utterance: &UtteranceId) -> bool {
        self.hearings.iter().any(|h| h.utterance == *utterance)
    }

    /// Takes in what watchers are told of an utterance; gives what is wrong with it.
    pub(crate) fn told(&mut self, id: &UtteranceId, state: UtteranceState) -> Option<String> {
        let next = match state {
            UtteranceState::Queued => Told::Queued,
            UtteranceState::Speaking => Told::Speaking,
            UtteranceState::Spoken | UtteranceState::Interrupted | UtteranceState::Failed => {
                Told::Over
            }
        };
        let place = self.told.len();
        let Some((place, before)) = self.told.get_mut(id) else {
            self.told.insert(id.clone(), (place, next));
            return (next != Told::Queued)
                .then(|| format!("{id} is {state:?} before it is queued"));
        };
        let was = *before;
        *before = next;
        if was == Told::Over {
            return Some(format!("{id} is {state:?} after its end"));
        }
        if next == Told::Queued {
            return Some(format!("{id} is queued twice"));
        }
        if next == Told::Speaking && was == Told::Queued {
            let place = *place;
            let overtaken = self.last_begun.is_some_and(|last| last > place);
            self.last_begun = Some(place);
            return overtaken.then(|| format!("{id} begins after what was queued behind it"));
        }
        None
    }
}

/// The greeting's id, which needs no chance: a meeting has one greeting.
pub(crate) fn greeting() -> UtteranceId {
    UtteranceId::mint(beginning(), 0)
}
