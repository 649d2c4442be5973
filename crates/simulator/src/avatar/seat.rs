//! A viewer's place in a session's room, kept for as long as this value lives.

use std::sync::Arc;

use super::Stream;
use super::driver::write_news;
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
