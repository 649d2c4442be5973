//! Avatar sessions of both vendors: what they are made to say, when they say it, and what they cost.
//!
//! A session is the same thing at both; how it is asked for is not, see `liveavatar` and `heygen`.
//! It does no IO and reads no clock; [`socket`] joins a session to the network, [`driver`] to time.

mod commands;
pub(crate) mod driver;
mod habits;
mod seat;
mod session;
pub(crate) mod socket;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod tokens;
mod utterance;
mod voice;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, watch};

pub use self::habits::{AvatarDialect, AvatarHabits};
pub use self::seat::AvatarSeat;
pub use self::state::{
    AvatarChunk, AvatarEnd, AvatarEnded, AvatarError, AvatarFault, AvatarInterrupt, AvatarNews,
    AvatarProvider, AvatarSession, AvatarUtterance, AvatarUtteranceState, AvatarViewer,
};

pub(crate) use self::session::{Session, Terms};
pub(crate) use self::utterance::{SAMPLE_RATE, lasts};
use crate::answer::Request;
use crate::deepgram::Side;
use crate::livekit::{LiveKit, RoomFault};
use crate::operation::Route;
use crate::recall::ids::Ids;
use crate::spoken::Spoken;

/// How the simulated avatar vendors are set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) liveavatar_api_key: String,
    pub(crate) heygen_api_key: String,
    /// Where the simulator's own sockets are reached, without a trailing slash.
    pub(crate) socket_origin: String,
    pub(crate) time_scale: f64,
    pub(crate) habits: AvatarHabits,
    pub(crate) seed: u64,
}

/// The sessions of both vendors. They share the limits, as if they were one account.
#[derive(Debug)]
pub(crate) struct Avatars {
    settings: Settings,
    pub(crate) ids: Ids,
    spoken: Arc<Spoken>,
    livekit: Arc<LiveKit>,
    streams: Vec<Arc<Stream>>,
}

/// A session that its socket's task drives and tests look at and break.
#[derive(Debug)]
pub(crate) struct Stream {
    session: Mutex<Session>,
    /// Something changed that the socket's task should look at.
    pub(crate) changed: Notify,
    /// Something happened to it that viewers may care about.
    pub(crate) told: watch::Sender<()>,
    /// What went wrong in its room.
    room_faults: Mutex<Vec<RoomFault>>,
}

impl Stream {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().expect("no panic holds a session")
    }

    /// Something goes wrong in its room.
    pub(crate) fn room_fault(&self, fault: RoomFault) {
        self.room_faults().push(fault);
        self.told.send_replace(());
    }

    fn room_faults(&self) -> MutexGuard<'_, Vec<RoomFault>> {
        self.room_faults.lock().expect("no panic holds the faults")
    }
}

/// Why a session is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotStarted {
    TooMany,
    NoCredits,
}

/// A session as it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) provider: AvatarProvider,
    pub(crate) meeting_id: Option<String>,
    pub(crate) avatar: String,
    pub(crate) request: Value,
    pub(crate) longest: Duration,
    pub(crate) idle_window: Duration,
    pub(crate) free: bool,
}

impl Avatars {
    pub(crate) fn new(settings: Settings, spoken: Arc<Spoken>, livekit: Arc<LiveKit>) -> Self {
        Self {
            ids: Ids::new(settings.seed.wrapping_add(3)),
            settings,
            spoken,
            livekit,
            streams: Vec::new(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn habits(&self) -> &AvatarHabits {
        &self.settings.habits
    }

    /// For sessions asked for from now on; limits and credits count at once.
    pub(crate) fn set_habits(&mut self, habits: AvatarHabits) {
        self.settings.habits = habits;
    }

    /// The sessions so far, in the order they were asked for.
    pub(crate) fn streams(&self) -> &[Arc<Stream>] {
        &self.streams
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<Stream>> {
        self.find(|session| session.id() == id)
    }

    pub(crate) fn by_session_token(&self, token: &str) -> Option<&Arc<Stream>> {
        self.find(|session| session.terms().session_token == token)
    }

    pub(crate) fn by_viewer_token(&self, token: &str) -> Option<&Arc<Stream>> {
        self.find(|session| session.terms().viewer_token == token)
    }

    fn find(&self, matches: impl Fn(&Session) -> bool) -> Option<&Arc<Stream>> {
        self.streams
            .iter()
            .rev()
            .find(|stream| matches(&stream.lock()))
    }

    /// Notes a session that was asked for and not started.
    pub(crate) fn mint(&mut self, wanted: Wanted, now: Timestamp) -> Arc<Stream> {
        let id = self.ids.uuid();
        let terms = Terms {
            session_token: tokens::session(&id, &mut self.ids),
            viewer_token: tokens::viewer(&id, &mut self.ids),
            seed: self
                .settings
                .seed
                .wrapping_add(1_000 + self.streams.len() as u64),
            id,
            provider: wanted.provider,
            meeting_id: wanted.meeting_id,
            avatar: wanted.avatar,
            request: wanted.request,
            longest: wanted.longest,
            idle_window: wanted.idle_window,
            free: wanted.free,
            habits: self.settings.habits.clone(),
        };
        let session = Session::new(
            terms,
            self.settings.time_scale,
            (self.spoken.clone(), self.livekit.clone()),
            now,
        );
        let stream = Arc::new(Stream {
            session: Mutex::new(session),
            changed: Notify::new(),
            told: watch::Sender::new(()),
            room_faults: Mutex::default(),
        });
        self.streams.push(stream.clone());
        stream
    }

    /// Starts a session, if there is room and credit for one more.
    pub(crate) fn start(&mut self, stream: &Stream, now: Timestamp) -> Result<(), NotStarted> {
        let live = self.streams.iter().filter(|stream| stream.lock().is_live());
        let habits = &mut self.settings.habits;
        if habits
            .concurrency
            .is_some_and(|limit| live.count() >= limit)
        {
            return Err(NotStarted::TooMany);
        }
        let mut session = stream.lock();
        if !session.terms().free && !take_credit(&mut habits.credits) {
            return Err(NotStarted::NoCredits);
        }
        session.start(now);
        Ok(())
    }

    /// Lets everything happen that is due by `now`.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        for stream in &self.streams {
            let mut session = stream.lock();
            if !session.is_live() {
                continue;
            }
            session.tick(now);
            while session.owes(now) {
                if take_credit(&mut self.settings.habits.credits) {
                    session.pay(now);
                } else {
                    session.end(AvatarEnd::NoCredits, Side::Vendor, false, now);
                }
            }
        }
    }

    /// When [`Self::tick`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let all = self.streams.iter();
        all.filter_map(|stream| stream.lock().deadline()).min()
    }

    /// The meeting that a call is about: that of the session it names, or the one it names itself.
    pub(crate) fn meeting_of(
        &self,
        route: &Route,
        request: &Request,
        body: &Value,
    ) -> Option<String> {
        let stream = self.named_session(route, request, body);
        let of_session = stream.and_then(|stream| stream.lock().meeting_id().map(str::to_owned));
        of_session
            .or_else(|| named_meeting(request.headers()))
            .or_else(|| source_meeting(body).map(str::to_owned))
    }

    /// The avatar that a call is about: that of the session it names, or the one it asks for.
    pub(crate) fn avatar_of(
        &self,
        route: &Route,
        request: &Request,
        body: &Value,
    ) -> Option<String> {
        let stream = self.named_session(route, request, body);
        let of_session = stream.map(|stream| stream.lock().terms().avatar.clone());
        of_session.or_else(|| body["avatar_id"].as_str().map(str::to_owned))
    }

    fn named_session(
        &self,
        route: &Route,
        request: &Request,
        body: &Value,
    ) -> Option<&Arc<Stream>> {
        let id = body["session_id"].as_str().unwrap_or(&route.id);
        let by_token = || self.by_session_token(bearer(request.headers())?);
        self.by_id(id).or_else(by_token)
    }

    /// Wakes the tasks of all sockets.
    pub(crate) fn wake_all(&self) {
        for stream in &self.streams {
            stream.changed.notify_one();
        }
    }
}

fn take_credit(credits: &mut Option<u32>) -> bool {
    match credits {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}

/// The meeting that a client names in a header of its own, which no vendor looks at.
pub(crate) fn named_meeting(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("x-meeting-id")?;
    header.to_str().ok().map(str::to_owned)
}

/// The meeting that a client names in `HeyGen`'s field for where a session comes from.
pub(crate) fn source_meeting(body: &Value) -> Option<&str> {
    body["source"].as_str()?.split("meeting_id:").nth(1)
}

/// The credential of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get("authorization")?.to_str().ok()?;
    header.strip_prefix("Bearer ")
}
