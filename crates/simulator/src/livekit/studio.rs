//! The studio: a page in a browser that plays all avatars, and its socket.
//!
//! The page draws a face for each session, moves its mouth with the sound the session gets, and
//! offers both to each viewer over a `RTCPeerConnection` of its own. Text frames are JSON with a
//! `type`; a binary frame is sound, its first 36 bytes the session's id.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::Response;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::answer::{Answer, Request};
use crate::journal::What;
use crate::world::World;

/// Messages that wait for the studio: enough for a burst of a hundred utterances.
const WAITING: usize = 4_096;
/// A studio that takes nothing for so long is lost.
const STUCK: Duration = Duration::from_secs(10);
/// The page; it needs nothing but its socket.
const PAGE: &str = include_str!("studio.html");

/// The way to the studio, for whoever has something to show.
#[derive(Debug)]
pub(crate) struct Studio {
    sender: Mutex<Option<mpsc::Sender<Message>>>,
    open: watch::Sender<bool>,
}

impl Default for Studio {
    fn default() -> Self {
        Self {
            sender: Mutex::default(),
            open: watch::Sender::new(false),
        }
    }
}

impl Studio {
    /// Whether there is one.
    pub(crate) fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// To wait for one.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// A session has an avatar now.
    pub(crate) fn appear(&self, session_id: &str, name: &str) {
        self.tell(&json!({ "type": "appear", "session": session_id, "name": name }));
    }

    /// A session's avatar is gone, and with it all its connections.
    pub(crate) fn vanish(&self, session_id: &str) {
        self.tell(&json!({ "type": "vanish", "session": session_id }));
    }

    /// Sound to be said, after what was said before and not sooner than that.
    pub(crate) fn say(&self, session_id: &str, soon: Duration, pcm: &[u8]) {
        if self.is_open() {
            let soon = u64::try_from(soon.as_millis()).unwrap_or(0);
            self.tell(&json!({ "type": "say", "session": session_id, "in_ms": soon }));
            self.send(Message::binary([session_id.as_bytes(), pcm].concat()));
        }
    }

    /// What is being said, and what waits, is dropped.
    pub(crate) fn hush(&self, session_id: &str) {
        self.tell(&json!({ "type": "hush", "session": session_id }));
    }

    /// How a session's avatar looks.
    pub(crate) fn look(&self, session_id: &str, state: &str) {
        self.tell(&json!({ "type": "look", "session": session_id, "state": state }));
    }

    /// A session's picture stands still from now on.
    pub(crate) fn freeze(&self, session_id: &str) {
        self.tell(&json!({ "type": "freeze", "session": session_id }));
    }

    pub(super) fn viewer_came(&self, session_id: &str, peer: u64) {
        self.tell(&json!({ "type": "viewer", "session": session_id, "peer": peer }));
    }

    pub(super) fn viewer_left(&self, peer: u64) {
        self.tell(&json!({ "type": "gone", "peer": peer }));
    }

    pub(super) fn viewer_answers(&self, peer: u64, sdp: &str) {
        self.tell(&json!({ "type": "answer", "peer": peer, "sdp": sdp }));
    }

    pub(super) fn viewer_trickles(&self, peer: u64, candidate: &str) {
        self.tell(&json!({ "type": "candidate", "peer": peer, "candidate": candidate }));
    }

    fn tell(&self, message: &Value) {
        self.send(Message::text(message.to_string()));
    }

    /// A studio that lags behind so far has lost its viewers anyway: the rest is dropped.
    fn send(&self, message: Message) {
        if let Some(sender) = &*self.lock() {
            let _ = sender.try_send(message);
        }
    }

    fn open(&self, sender: mpsc::Sender<Message>) {
        *self.lock() = Some(sender);
        self.open.send_replace(true);
    }

    /// Closes it, unless another one has taken its place.
    fn close(&self, sender: &mpsc::Sender<Message>) -> bool {
        let mut current = self.lock();
        let own = current
            .as_ref()
            .is_some_and(|current| current.same_channel(sender));
        if own {
            *current = None;
            self.open.send_replace(false);
        }
        own
    }

    fn lock(&self) -> MutexGuard<'_, Option<mpsc::Sender<Message>>> {
        self.sender.lock().expect("no panic holds the studio")
    }
}

/// The page.
pub(crate) fn page() -> Answer {
    Answer::html(200, PAGE)
}

/// The page's socket. A newer page takes the place of an older one.
pub(crate) async fn upgrade(world: Arc<World>, request: Request) -> Result<Response<Body>, Answer> {
    let (mut parts, _) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| Answer::bytes(400, "text/plain", "This is a WebSocket."))?;
    Ok(upgrade.on_upgrade(async move |socket| {
        let mut running = world.running.clone();
        let (sender, messages) = mpsc::channel(WAITING);
        world.livekit.studio.open(sender.clone());
        world.write(What::Note("the studio is open".to_owned()));
        fill(&world);
        tokio::select! {
            () = attend(socket, &world, messages) => {}
            // The sender is never used: this is the simulator's end.
            _ = running.changed() => {}
        }
        if world.livekit.studio.close(&sender) {
            world.write(What::Note("the studio is closed".to_owned()));
        }
    }))
}

/// Brings a new studio up to date: who is on, and who watches.
fn fill(world: &World) {
    let live: Vec<(String, String)> = world.look(|models, _| {
        let streams = models.avatars.streams().iter();
        streams
            .filter_map(|stream| {
                let session = stream.lock();
                let terms = session.terms();
                session
                    .is_live()
                    .then(|| (terms.id.clone(), terms.avatar.clone()))
            })
            .collect()
    });
    for (session_id, avatar) in live {
        world.livekit.studio.appear(&session_id, &avatar);
        world.livekit.rooms.announce_avatar(&session_id, true);
        for peer in world.livekit.rooms.viewers(&session_id) {
            world.livekit.studio.viewer_came(&session_id, peer);
        }
    }
}

async fn attend(mut socket: WebSocket, world: &World, mut messages: mpsc::Receiver<Message>) {
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Some(message) = message else { return };
                if !matches!(tokio::time::timeout(STUCK, socket.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
            frame = socket.recv() => match frame {
                Some(Ok(Message::Text(text))) => receive(text.as_str(), world),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
}

fn receive(text: &str, world: &World) {
    let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let Some(peer) = message["peer"].as_u64() else {
        return;
    };
    match message["type"].as_str() {
        Some("offer") => world
            .livekit
            .rooms
            .offer(peer, message["sdp"].as_str().unwrap_or_default().to_owned()),
        Some("candidate") => world
            .livekit
            .rooms
            .trickle(peer, message["candidate"].to_string()),
        Some(_) | None => {}
    }
}
