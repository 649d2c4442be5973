//! The avatars that a page watches, and what the room hears of them.
//!
//! An avatar is heard only by whoever is in its room: what it says before the page joins, or goes on to
//! say after it left, is not heard.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::avatar::{AvatarSeat, AvatarUtterance, AvatarUtteranceState};
use crate::livekit::RoomFault;
use crate::pages::Job;
use crate::recall::{HeardPage, PageVoice};

/// From joining a room to its first picture, as measured on one machine.
const FIRST_PICTURE: Duration = Duration::from_millis(100);
/// How long after it began the page notices a sound; the page has the same bound.
const HEARD_WITHIN: Duration = Duration::from_millis(250);
/// How long a picture stands still until it counts as frozen; the page has the same bound.
const FROZEN_AFTER: Duration = Duration::from_secs(3);
/// The one that is shown and the one that will be; the page has the same bound.
const MOST_ROOMS: usize = 2;

#[derive(Debug)]
pub(super) struct Watching {
    scale: f64,
    /// In the order of joining.
    rooms: Vec<Watched>,
    /// Something happened to one of the avatars.
    news: Arc<Notify>,
}

#[derive(Debug)]
struct Watched {
    session: String,
    token: String,
    seat: AvatarSeat,
    /// When picture and sound are there.
    from: Timestamp,
    told: bool,
    heard: Heard,
    /// When the picture is found to stand still, until that is told.
    frozen_at: Option<Timestamp>,
    frozen: bool,
    /// How many of its utterances were looked at.
    reported: usize,
    forwarder: JoinHandle<()>,
}

/// Whether sound came from an avatar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    No,
    /// It did, which is to be told, for the first time or again.
    Yes,
    Told,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl Watching {
    pub(super) fn new(scale: f64) -> Self {
        Self {
            scale,
            rooms: Vec::new(),
            news: Arc::default(),
        }
    }

    /// Joins a room, or says again how it stands if that room is joined already.
    pub(super) fn join(&mut self, job: &Job, message: &Value, now: Timestamp) -> Vec<Value> {
        let text = |name: &str| message[name].as_str();
        let (Some(session), Some(token), Some(_)) = (text("session"), text("token"), text("url"))
        else {
            return Vec::new();
        };
        if let Some(joined) = self.rooms.iter_mut().find(|room| room.session == session) {
            if joined.token == token {
                joined.told = false;
                if joined.heard == Heard::Told {
                    joined.heard = Heard::Yes;
                }
                return Vec::new();
            }
            self.leave(job, session, now, true);
        }
        while self.rooms.len() >= MOST_ROOMS {
            // The newest room with a picture is shown; it stays.
            let shown = self.rooms.iter().rposition(Watched::is_moving);
            let spare = usize::from(shown == Some(0));
            self.rooms.remove(spare).leave(job, now, self.scale, true);
        }
        match AvatarSeat::take(&job.world, token, job.wanted.meeting_id.as_deref()) {
            Some(seat) if seat.has_room() => {
                self.rooms.push(self.watched(session, token, seat, now));
            }
            Some(_) | None => return vec![disconnected(session, "the room could not be joined")],
        }
        Vec::new()
    }

    fn watched(&self, session: &str, token: &str, seat: AvatarSeat, now: Timestamp) -> Watched {
        let (news, mut told) = (self.news.clone(), seat.news());
        let over = |said: &AvatarUtterance| said.ended_at.is_some();
        Watched {
            session: session.to_owned(),
            token: token.to_owned(),
            reported: seat
                .utterances()
                .iter()
                .take_while(|said| over(said))
                .count(),
            seat,
            from: now + FIRST_PICTURE,
            told: false,
            heard: Heard::No,
            frozen_at: None,
            frozen: false,
            forwarder: tokio::spawn(async move {
                while told.changed().await.is_ok() {
                    news.notify_one();
                }
            }),
        }
    }

    /// Leaves a room. What its avatar is saying is heard up to now, if it is `audible`.
    pub(super) fn leave(&mut self, job: &Job, session: &str, now: Timestamp, audible: bool) {
        if let Some(at) = self.rooms.iter().position(|room| room.session == session) {
            self.rooms.remove(at).leave(job, now, self.scale, audible);
        }
    }

    pub(super) fn leave_all(&mut self, job: &Job, now: Timestamp, audible: bool) {
        for room in self.rooms.drain(..) {
            room.leave(job, now, self.scale, audible);
        }
    }

    /// Waits until something happens to one of the avatars.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// When [`Self::tick`] next has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let pictures = self
            .rooms
            .iter()
            .filter(|room| !room.told && !room.is_empty());
        let frozen = self.rooms.iter().filter_map(|room| room.frozen_at);
        let sounds = self.rooms.iter().filter_map(Watched::sounds_at);
        pictures
            .map(|room| room.from)
            .chain(frozen)
            .chain(sounds)
            .min()
    }

    /// Hears what was said, if it is `audible`, and notices who is gone; returns what is to be told.
    pub(super) fn tick(&mut self, job: &Job, now: Timestamp, audible: bool) -> Vec<Value> {
        let mut facts = Vec::new();
        for room in &mut self.rooms {
            room.hear(job, self.scale, audible);
            facts.extend(room.listen(now, audible));
            facts.extend(room.look(now));
        }
        self.rooms.retain(|room| {
            let reason = if !room.seat.has_room() {
                "room_deleted"
            } else if room.told && room.is_empty() {
                "the avatar left its room"
            } else {
                return true;
            };
            facts.push(disconnected(&room.session, reason));
            false
        });
        facts
    }
}

impl Watched {
    /// Nobody is in the room but the page.
    fn is_empty(&self) -> bool {
        self.seat.has_fault(RoomFault::AvatarLeft)
    }

    fn is_moving(&self) -> bool {
        self.told && !self.frozen
    }

    /// Looks at the picture; returns what is to be told.
    fn look(&mut self, now: Timestamp) -> Vec<Value> {
        let mut facts = Vec::new();
        if !self.told && self.from <= now && self.seat.has_room() && !self.is_empty() {
            self.told = true;
            let first_frame_ms = u64::try_from(FIRST_PICTURE.as_millis()).unwrap_or(u64::MAX);
            facts.push(json!({ "type": "avatar.tracks", "session": self.session,
                "first_frame_ms": first_frame_ms }));
        }
        if self.seat.has_fault(RoomFault::PictureFrozen) && !self.frozen {
            let frozen_at = *self.frozen_at.get_or_insert(now + FROZEN_AFTER);
            if frozen_at <= now {
                (self.frozen, self.frozen_at) = (true, None);
                facts.push(json!({ "type": "video.frozen", "session": self.session }));
            }
        }
        facts
    }

    /// When the first sound that the page can hear is noticed, until it is.
    fn sounds_at(&self) -> Option<Timestamp> {
        let said = self.seat.utterances();
        let begins = said.iter().find_map(|said| {
            let at = said.began_at?.max(self.from);
            said.ended_at.is_none_or(|end| end > at).then_some(at)
        });
        let unheard = begins.filter(|_| self.heard == Heard::No);
        unheard.map(|at| at + HEARD_WITHIN)
    }

    /// Notices that sound comes from it; returns what is to be told.
    fn listen(&mut self, now: Timestamp, audible: bool) -> Option<Value> {
        if audible && self.sounds_at().is_some_and(|at| at <= now) {
            self.heard = Heard::Yes;
        }
        if self.heard != Heard::Yes {
            return None;
        }
        self.heard = Heard::Told;
        Some(json!({ "type": "avatar.heard", "session": self.session }))
    }

    /// What the avatar was done saying since the last time.
    fn hear(&mut self, job: &Job, scale: f64, audible: bool) {
        let said = self.seat.utterances();
        let over = said
            .iter()
            .skip(self.reported)
            .take_while(|said| said.ended_at.is_some());
        for said in over {
            self.reported += 1;
            if audible && let Some(heard) = self.heard(said, said.ended_at, scale) {
                job.heard(heard);
            }
        }
    }

    fn leave(mut self, job: &Job, now: Timestamp, scale: f64, audible: bool) {
        self.hear(job, scale, audible);
        let said = self.seat.utterances();
        let current = said.get(self.reported).filter(|_| audible);
        if let Some(heard) = current.and_then(|said| self.heard(said, Some(now), scale)) {
            job.heard(heard);
        }
    }

    /// What is heard of an utterance that is over at `until`.
    fn heard(
        &self,
        said: &AvatarUtterance,
        until: Option<Timestamp>,
        scale: f64,
    ) -> Option<HeardPage> {
        let at = said.began_at?.max(self.from);
        let present = Duration::try_from(until?.duration_since(at)).ok()?;
        let heard = if at == said.began_at? {
            said.heard
        } else {
            said.heard.min(present.mul_f64(scale))
        };
        (!heard.is_zero()).then(|| HeardPage {
            duration_ms: u64::try_from(heard.as_millis()).unwrap_or(u64::MAX),
            text: said.text.clone(),
            voice: PageVoice::Avatar(self.session.clone()),
            stopped: said.state != AvatarUtteranceState::Spoken,
            measured: false,
            at,
        })
    }
}

fn disconnected(session: &str, reason: &str) -> Value {
    json!({ "type": "avatar.disconnected", "session": session, "reason": reason })
}
