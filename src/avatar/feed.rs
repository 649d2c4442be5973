//! The sound of one utterance, on its way from storage to a session's socket.
//!
//! The link holds all the sound that it was given in memory, and speech of some minutes has megabytes, so it is given
//! the stored parts one by one, each only when the part before is nearly said.

use std::time::Duration;

use attache_meeting::{
    ids::UtteranceId,
    vendors::liveavatar::{BYTES_PER_SECOND, LiveAvatarLink, NotTaken},
};
use jiff::Timestamp;
use serde_json::json;

use crate::{log, objects::meeting_store::MeetingStore};

/// How long before the avatar can have said what it was given, the next part follows: far more than the link sends
/// ahead.
const AHEAD: Duration = Duration::from_secs(10);
/// How soon a part that the link has no room for is offered again.
const OFFER_AGAIN: Duration = Duration::from_secs(1);

/// How far the sound of an utterance was passed on.
pub(super) struct Feed {
    utterance_id: UtteranceId,
    begun: Timestamp,
    /// The next part.
    part: u64,
    bytes: u64,
    /// When it is due.
    due: Timestamp,
}

impl Feed {
    pub(super) fn new(utterance_id: UtteranceId, now: Timestamp) -> Self {
        Self {
            utterance_id,
            begun: now,
            part: 0,
            bytes: 0,
            due: now,
        }
    }

    /// Tells when the next part is due.
    pub(super) fn due(&self) -> Timestamp {
        self.due
    }

    /// Passes on what is due; `false` once nothing is left to do, because all of it was passed on or the utterance is
    /// over.
    pub(super) fn pass_on(
        &mut self,
        store: &MeetingStore,
        link: &mut LiveAvatarLink,
        now: Timestamp,
    ) -> bool {
        let event_id = self.utterance_id.as_str();
        while self.due <= now {
            let sound = store.clip_part(&self.utterance_id, self.part);
            let sound = sound.unwrap_or_else(|error| {
                // The link tells how much was heard.
                let fields = json!({ "utterance_id": event_id, "reason": error.to_string() });
                log::error("the sound of an utterance cannot be read", fields);
                None
            });
            let Some(sound) = sound else {
                // Without any sound the link tells that the utterance is empty.
                link.speak_end(event_id, now).ok();
                return false;
            };
            match link.speak(event_id, &sound, now) {
                Ok(()) => {
                    self.part += 1;
                    self.bytes += sound.len() as u64;
                    let lasts = Duration::from_secs(self.bytes / u64::from(BYTES_PER_SECOND));
                    self.due = self.begun + lasts.saturating_sub(AHEAD);
                }
                Err(NotTaken::Full) => self.due = now + OFFER_AGAIN,
                Err(NotTaken::Busy | NotTaken::Over | NotTaken::NotOpen) => return false,
            }
        }
        true
    }
}
