//! `LiveKit` as far as a viewer of an avatar needs it: the signalling, without any media server.
//!
//! A room is a session's. Its avatar lives in the studio, a page of the simulator's own in a browser,
//! which draws the avatars and speaks with the sound they get; see [`studio`]. Here the descriptions
//! and candidates of viewers and studio are passed on, so that picture and sound go from browser to
//! browser by WebRTC. Without a studio a room can be joined and stays empty.

mod peers;
pub(crate) mod proto;
pub(crate) mod signal;
pub(crate) mod studio;

use self::peers::Rooms;
use self::studio::Studio;

/// The rooms and whoever plays the avatars in them.
#[derive(Debug, Default)]
pub(crate) struct LiveKit {
    pub(crate) rooms: Rooms,
    pub(crate) studio: Studio,
}

impl LiveKit {
    /// A session has an avatar in its room now.
    pub(crate) fn appear(&self, session_id: &str, name: &str) {
        self.studio.appear(session_id, name);
    }

    /// A session's room is deleted.
    pub(crate) fn vanish(&self, session_id: &str) {
        self.rooms.delete_room(session_id);
        self.studio.vanish(session_id);
    }

    /// Makes something go wrong in a session's room.
    pub(crate) fn fault(&self, session_id: &str, fault: RoomFault) {
        match fault {
            RoomFault::SignalLost => self.rooms.cut(session_id),
            RoomFault::RoomDeleted => self.vanish(session_id),
            RoomFault::PictureFrozen => self.studio.freeze(session_id),
            RoomFault::AvatarLeft => {
                self.rooms.announce_avatar(session_id, false);
                self.studio.freeze(session_id);
                self.studio.hush(session_id);
            }
        }
    }
}

/// What goes wrong in a session's room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomFault {
    /// The viewers' signalling sockets are cut; picture and sound go on, and viewers come back.
    SignalLost,
    /// The viewers are removed: the room is deleted.
    RoomDeleted,
    /// The picture stands still.
    PictureFrozen,
    /// The avatar leaves its room.
    AvatarLeft,
}
