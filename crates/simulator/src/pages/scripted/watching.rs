//! The avatars that a page watches, and what the room hears of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::avatar::AvatarSeat;
use crate::pages::Job;
use crate::recall::HeardPage;

/// From joining a room to its first picture, as measured on one machine.
const FIRST_PICTURE: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Watching {
    rooms: Vec<Watched>,
    /// Something happened to one of the avatars.
    news: Arc<Notify>,
}

#[derive(Debug)]
struct Watched {
    session: String,
    seat: AvatarSeat,
    /// When the picture is there, until that is told.
    picture_at: Option<Timestamp>,
    /// How many of its utterances were looked at.
    reported: usize,
    forwarder: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl Watching {
    pub(super) fn join(&mut self, job: &Job, message: &Value, now: Timestamp) -> Vec<Value> {
        let session = message["session"].as_str().unwrap_or_default().to_owned();
        let token = message["token"].as_str().unwrap_or_default();
        if let Some(joined) = self.rooms.iter_mut().find(|room| room.session == session) {
            joined.picture_at.get_or_insert(now);
            return Vec::new();
        }
        let Some(seat) = AvatarSeat::take(&job.world, token, job.wanted.meeting_id.as_deref())
        else {
            return vec![disconnected(&session, "the room could not be joined")];
        };
        let (news, mut told) = (self.news.clone(), seat.news());
        self.rooms.push(Watched {
            session,
            reported: seat
                .utterances()
                .iter()
                .take_while(|said| said.ended_at.is_some())
                .count(),
            seat,
            picture_at: Some(now + FIRST_PICTURE),
            forwarder: tokio::spawn(async move {
                while told.changed().await.is_ok() {
                    news.notify_one();
                }
            }),
        });
        Vec::new()
    }

    pub(super) fn leave(&mut self, session: &str) {
        self.rooms.retain(|room| room.session != session);
    }

    /// Waits until something happens to one of the avatars.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    /// When [`Self::tick`] next has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.rooms.iter().filter_map(|room| room.picture_at).min()
    }

    /// Hears what was said and notices who is gone; returns what is to be told.
    pub(super) fn tick(&mut self, job: &Job, now: Timestamp) -> Vec<Value> {
        let mut facts = Vec::new();
        for room in &mut self.rooms {
            room.hear(job);
            if room.picture_at.take_if(|at| *at <= now).is_some() {
                let first_frame_ms = u64::try_from(FIRST_PICTURE.as_millis()).unwrap_or(0);
                facts.push(json!({ "type": "avatar.tracks", "session": room.session,
                    "first_frame_ms": first_frame_ms }));
            }
        }
        self.rooms.retain(|room| {
            let stays = room.seat.has_room();
            if !stays {
                facts.push(disconnected(&room.session, "room_deleted"));
            }
            stays
        });
        facts
    }
}

impl Watched {
    /// What the avatar was done saying since the last time.
    fn hear(&mut self, job: &Job) {
        let said = self.seat.utterances();
        let over = said
            .into_iter()
            .skip(self.reported)
            .take_while(|said| said.ended_at.is_some());
        for said in over {
            self.reported += 1;
            let Some((at, until)) = said.began_at.zip(said.ended_at) else {
                continue;
            };
            let duration = Duration::try_from(until.duration_since(at)).unwrap_or_default();
            job.heard(HeardPage {
                duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                text: said.text,
                measured: false,
                at,
            });
        }
    }
}

fn disconnected(session: &str, reason: &str) -> Value {
    json!({ "type": "avatar.disconnected", "session": session, "reason": reason })
}
