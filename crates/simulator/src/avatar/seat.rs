//! A viewer's place in a session's room, kept for as long as this value lives.

use std::sync::Arc;

use tokio::sync::watch;

use super::driver::write_news;
use super::{AvatarUtterance, Stream};
use crate::livekit::RoomFault;
use crate::world::World;

/// Somebody watches an avatar until this is dropped.
#[derive(Debug)]
pub struct AvatarSeat {
    world: Arc<World>,
    stream: Arc<Stream>,
    viewer: usize,
}

impl AvatarSeat {
    /// Takes a seat in the room that this viewer token opens, if there is a live session in it.
    pub(crate) fn take(world: &Arc<World>, token: &str, meeting_id: Option<&str>) -> Option<Self> {
        let stream = world.look(|models, _| models.avatars.by_viewer_token(token).cloned())?;
        let viewer = {
            let mut session = stream.lock();
            let now = world.clock.now();
            session.tick(now);
            if !session.is_live() {
                return None;
            }
            if let Some(meeting_id) = meeting_id {
                session.belongs_to(meeting_id);
            }
            session.watch(now)
        };
        write_news(world, &stream);
        world.avatars_changed.notify_one();
        Some(Self {
            world: world.clone(),
            stream,
            viewer,
        })
    }

    /// Tells when something happened to the session.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.stream.told.subscribe()
    }

    /// What the avatar was made to say so far.
    pub(crate) fn utterances(&self) -> Vec<AvatarUtterance> {
        self.stream.lock().view(self.world.clock.now()).utterances
    }

    /// Whether there still is a room to sit in.
    pub(crate) fn has_room(&self) -> bool {
        self.stream.lock().has_room() && !self.has_fault(RoomFault::RoomDeleted)
    }

    /// Whether this has gone wrong in the room.
    pub(crate) fn has_fault(&self, fault: RoomFault) -> bool {
        self.stream.room_faults().contains(&fault)
    }

    /// The session that is watched.
    pub fn session_id(&self) -> String {
        self.stream.lock().id().to_owned()
    }
}

impl Drop for AvatarSeat {
    fn drop(&mut self) {
        let now = self.world.clock.now();
        self.stream.lock().unwatch(self.viewer, now);
        write_news(&self.world, &self.stream);
        self.world.avatars_changed.notify_one();
    }
}
