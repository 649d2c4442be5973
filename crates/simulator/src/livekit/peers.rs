//! Who is in which room, and how to reach them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::mpsc;

use super::proto::{
    JoinResponse, LeaveRequest, ParticipantInfo, ParticipantPermission, ParticipantState,
    ParticipantUpdate, Room, ServerInfo, SessionDescription, SignalResponse, SignalTarget, Told,
    TrackInfo, TrackSource, TrackType, TrickleRequest,
};

/// Messages that wait for a slow viewer; a handshake takes about twenty.
pub(super) const WAITING: usize = 256;
/// The avatar's name in its room.
const AVATAR: &str = "heygen";
const AVATAR_SID: &str = "PA_heygen";
/// `DisconnectReason.DUPLICATE_IDENTITY` and `ROOM_DELETED`.
const DUPLICATE_IDENTITY: i32 = 2;
const ROOM_DELETED: i32 = 5;
/// What the server says of itself.
const PROTOCOL: i32 = 16;
const VERSION: &str = "1.13.5";
/// Seconds.
const PING_TIMEOUT: i32 = 15;
const PING_INTERVAL: i32 = 5;

/// What a viewer's socket is to do.
#[derive(Clone, Debug)]
pub(super) enum ToViewer {
    Tell(Box<SignalResponse>),
    /// The last message, then the end.
    Dismiss(Box<SignalResponse>),
    /// The end without a word.
    Cut,
}

/// All viewers of all rooms.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    peers: Mutex<Peers>,
}

#[derive(Debug, Default)]
struct Peers {
    next: u64,
    viewers: BTreeMap<u64, Viewer>,
}

/// One viewer, for as long as its media may flow; its socket may be another one by and by.
#[derive(Debug)]
struct Viewer {
    session_id: String,
    sender: mpsc::Sender<ToViewer>,
    /// Which of its sockets the sender belongs to.
    socket: u64,
}

/// A viewer's place and its messages.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) peer: u64,
    pub(super) socket: u64,
    pub(super) messages: mpsc::Receiver<ToViewer>,
}

impl Rooms {
    /// Somebody joins. Who was there under the same name has to go.
    pub(super) fn join(&self, session_id: &str) -> Joined {
        let mut peers = self.lock();
        peers.next += 1;
        let peer = peers.next;
        for viewer in peers
            .viewers
            .values()
            .filter(|viewer| viewer.session_id == session_id)
        {
            viewer.dismiss(DUPLICATE_IDENTITY);
        }
        let (sender, messages) = mpsc::channel(WAITING);
        let viewer = Viewer {
            session_id: session_id.to_owned(),
            sender,
            socket: peer,
        };
        peers.viewers.insert(peer, viewer);
        Joined {
            peer,
            socket: peer,
            messages,
        }
    }

    /// Somebody is back on another socket.
    pub(super) fn rejoin(&self, session_id: &str, sid: &str) -> Option<Joined> {
        let peer: u64 = sid.strip_prefix("PA_viewer")?.parse().ok()?;
        let mut peers = self.lock();
        peers.next += 1;
        let socket = peers.next;
        let viewer = peers
            .viewers
            .get_mut(&peer)
            .filter(|viewer| viewer.session_id == session_id)?;
        let (sender, messages) = mpsc::channel(WAITING);
        (viewer.sender, viewer.socket) = (sender, socket);
        Some(Joined {
            peer,
            socket,
            messages,
        })
    }

    /// Forgets a viewer, unless it is back on another socket. Says whether it is gone.
    pub(super) fn leave(&self, peer: u64, socket: u64) -> bool {
        let mut peers = self.lock();
        let stays = peers
            .viewers
            .get(&peer)
            .is_none_or(|viewer| viewer.socket != socket);
        if !stays {
            peers.viewers.remove(&peer);
        }
        !stays
    }

    /// The viewers of a session.
    pub(crate) fn viewers(&self, session_id: &str) -> Vec<u64> {
        let peers = self.lock();
        let viewers = peers.viewers.iter();
        viewers
            .filter(|(_, viewer)| viewer.session_id == session_id)
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// Passes the studio's offer on. Its streams get the names that tell a viewer whose they are.
    pub(super) fn offer(&self, peer: u64, sdp: String) {
        let kind = "offer".to_owned();
        self.tell(peer, Told::Offer(SessionDescription { kind, sdp, id: 1 }));
    }

    pub(super) fn trickle(&self, peer: u64, candidate_init: String) {
        let trickle = TrickleRequest {
            candidate_init,
            target: SignalTarget::Subscriber.into(),
            is_final: false,
        };
        self.tell(peer, Told::Trickle(trickle));
    }

    /// Tells all viewers of a session that its avatar is there, or is not any more.
    pub(crate) fn announce_avatar(&self, session_id: &str, there: bool) {
        let update = ParticipantUpdate {
            participants: vec![avatar(there)],
        };
        for peer in self.viewers(session_id) {
            self.tell(peer, Told::Update(update.clone()));
        }
    }

    /// The room is deleted and everybody in it told so.
    pub(crate) fn delete_room(&self, session_id: &str) {
        self.each(session_id, |viewer| viewer.dismiss(ROOM_DELETED));
    }

    /// The viewers' sockets end without a word.
    pub(crate) fn cut(&self, session_id: &str) {
        self.each(session_id, |viewer| {
            let _ = viewer.sender.try_send(ToViewer::Cut);
        });
    }

    fn each(&self, session_id: &str, act: impl Fn(&Viewer)) {
        let peers = self.lock();
        let viewers = peers.viewers.values();
        viewers
            .filter(|viewer| viewer.session_id == session_id)
            .for_each(act);
    }

    fn tell(&self, peer: u64, told: Told) {
        if let Some(viewer) = self.lock().viewers.get(&peer) {
            // A viewer that takes nothing is about to be lost anyway.
            let _ = viewer
                .sender
                .try_send(ToViewer::Tell(Box::new(told.into())));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().expect("no panic holds the rooms")
    }
}

impl Viewer {
    fn dismiss(&self, reason: i32) {
        let leave = Told::Leave(LeaveRequest { reason });
        let _ = self
            .sender
            .try_send(ToViewer::Dismiss(Box::new(leave.into())));
    }
}

/// What a viewer is greeted with.
pub(super) fn welcome(session_id: &str, peer: u64, with_avatar: bool) -> Told {
    Told::Join(Box::new(JoinResponse {
        room: Some(Room {
            sid: format!("RM_{session_id}"),
            name: session_id.to_owned(),
        }),
        participant: Some(ParticipantInfo {
            sid: format!("PA_viewer{peer}"),
            identity: "client".to_owned(),
            state: ParticipantState::Active.into(),
            permission: Some(ParticipantPermission {
                can_subscribe: true,
                can_publish: true,
                can_publish_data: true,
            }),
            ..ParticipantInfo::default()
        }),
        other_participants: with_avatar.then(|| avatar(true)).into_iter().collect(),
        server_version: VERSION.to_owned(),
        subscriber_primary: true,
        ping_timeout: PING_TIMEOUT,
        ping_interval: PING_INTERVAL,
        server_info: Some(server_info()),
    }))
}

pub(super) fn server_info() -> ServerInfo {
    ServerInfo {
        version: VERSION.to_owned(),
        protocol: PROTOCOL,
    }
}

fn avatar(there: bool) -> ParticipantInfo {
    let track = |sid: &str, kind: TrackType, source: TrackSource| TrackInfo {
        sid: sid.to_owned(),
        kind: kind.into(),
        name: sid.to_owned(),
        source: source.into(),
        ..TrackInfo::default()
    };
    let video = TrackInfo {
        width: 1280,
        height: 720,
        ..track("TR_vid", TrackType::Video, TrackSource::Camera)
    };
    let audio = track("TR_aud", TrackType::Audio, TrackSource::Microphone);
    let (state, tracks) = if there {
        (ParticipantState::Active, vec![video, audio])
    } else {
        (ParticipantState::Disconnected, Vec::new())
    };
    ParticipantInfo {
        sid: AVATAR_SID.to_owned(),
        identity: AVATAR.to_owned(),
        state: state.into(),
        tracks,
        is_publisher: true,
        ..ParticipantInfo::default()
    }
}
