//! Deepgram's live transcription as a model: a handshake in, a stream or a refusal out, and for each
//! stream frames and the time in, frames out.
//!
//! It understands the lines that people in simulated calls speak, and only what of them came through
//! unharmed. It does no IO and reads no clock; [`socket`] joins it to the network.

mod control;
mod ear;
mod messages;
mod pace;
mod query;
mod received;
mod refusals;
mod session;
pub(crate) mod socket;
mod state;
#[cfg(test)]
mod tests;
mod transcriber;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::Notify;

pub use self::state::{
    ControlMessage, ListeningDrop, ListeningNews, ListeningSession, ScriptedResult, Side,
};

use self::messages::Stamp;
use self::refusals::Refusal;
use self::session::{Handshake, Rules, Session};
use self::transcriber::Transcriber;
use crate::answer::{Answer, Request};
use crate::audio::voices::{SAMPLE_RATE, Voices};
use crate::recall::ids::Ids;

/// How the simulated Deepgram is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) api_key: String,
    /// Streams that may run at once, if that is limited.
    pub(crate) concurrency: Option<usize>,
    pub(crate) patience: Duration,
    pub(crate) newer_messages: bool,
    pub(crate) keep_audio: bool,
    pub(crate) measure_pace: bool,
    pub(crate) seed: u64,
}

/// The simulated project.
#[derive(Debug)]
pub(crate) struct Model {
    settings: Settings,
    ids: Ids,
    voices: Arc<Voices>,
    streams: Vec<Arc<Stream>>,
    scripts: HashMap<Option<String>, Vec<ScriptedResult>>,
}

/// A stream that the socket's task drives and tests look at and break.
#[derive(Debug)]
pub(crate) struct Stream {
    session: Mutex<Session>,
    /// Something changed that the socket's task should look at.
    pub(crate) changed: Notify,
}

impl Stream {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().expect("no panic holds a stream")
    }
}

impl Model {
    pub(crate) fn new(settings: Settings, voices: Arc<Voices>) -> Self {
        Self {
            ids: Ids::new(settings.seed.wrapping_add(2)),
            settings,
            voices,
            streams: Vec::new(),
            scripts: HashMap::new(),
        }
    }

    /// Opens a stream, or says why not.
    pub(crate) fn open(
        &mut self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Arc<Stream>, Answer> {
        let request_id = self.ids.uuid();
        self.try_open(request, &request_id, now)
            .map_err(|refusal| refusal.answer(&request_id))
    }

    fn try_open(
        &mut self,
        request: &Request,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Arc<Stream>, Refusal> {
        self.authenticate(request.headers())?;
        let pairs = pairs(request);
        let parameters = query::read(&pairs)?;
        if !asks_for_upgrade(request.headers()) {
            return Err(Refusal::new(
                400,
                "Bad Request",
                "This endpoint is a WebSocket.",
            ));
        }
        let running = self
            .streams
            .iter()
            .filter(|stream| stream.lock().is_running())
            .count();
        if self
            .settings
            .concurrency
            .is_some_and(|limit| running >= limit)
        {
            return Err(Refusal::of_status(429));
        }
        let voices = if parameters.sample_rate == SAMPLE_RATE {
            self.voices.clone()
        } else {
            Arc::default()
        };
        let transcriber = Transcriber::new(&parameters, voices);
        let handshake = Handshake {
            meeting_id: meeting_id(request),
            user_agent: text(request.headers(), "user-agent").map(str::to_owned),
            parameters: pairs,
        };
        let script = self
            .scripts
            .get(&handshake.meeting_id)
            .or_else(|| self.scripts.get(&None))
            .cloned();
        let stamp = Stamp {
            request_id: request_id.to_owned(),
            model_uuid: self.ids.uuid(),
            parameters,
            newer: self.settings.newer_messages,
        };
        let rules = Rules {
            patience: self.settings.patience,
            keep_audio: self.settings.keep_audio,
            measure_pace: self.settings.measure_pace,
        };
        let session = Session::new(rules, stamp, handshake, transcriber, script, now);
        let stream = Arc::new(Stream {
            session: Mutex::new(session),
            changed: Notify::new(),
        });
        self.streams.push(stream.clone());
        Ok(stream)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let by_header =
            text(headers, "authorization").and_then(|value| value.strip_prefix("Token "));
        let key = by_header.or_else(|| protocol_key(headers));
        if key == Some(self.settings.api_key.as_str()) {
            Ok(())
        } else {
            Err(Refusal::of_status(401))
        }
    }

    /// What a forced status answers.
    pub(crate) fn for_status(&mut self, status: u16, other_shape: bool) -> Answer {
        let (refusal, id) = (Refusal::of_status(status), self.ids.uuid());
        if other_shape {
            refusal.answer_in_other_shape(&id)
        } else {
            refusal.answer(&id)
        }
    }

    /// The streams so far, in the order they were opened.
    pub(crate) fn streams(&self) -> &[Arc<Stream>] {
        &self.streams
    }

    /// Sends messages that were written beforehand instead of understanding the audio, on the streams
    /// of this meeting, or of every meeting without a script of its own.
    pub(crate) fn script(&mut self, meeting_id: Option<&str>, results: Vec<ScriptedResult>) {
        self.scripts.insert(meeting_id.map(str::to_owned), results);
    }

    /// Makes every stream look at the clock.
    pub(crate) fn wake_all(&self) {
        for stream in &self.streams {
            stream.changed.notify_one();
        }
    }

    pub(crate) fn send_newer_messages(&mut self, newer: bool) {
        self.settings.newer_messages = newer;
    }
}

/// The meeting that a handshake says it is for.
pub(crate) fn meeting_id(request: &Request) -> Option<String> {
    let extra = pairs(request)
        .into_iter()
        .filter(|(name, _)| name == "extra");
    let mut ids =
        extra.filter_map(|(_, value)| value.strip_prefix("meeting_id:").map(str::to_owned));
    ids.next()
}

fn pairs(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    text(headers, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The key of `Sec-WebSocket-Protocol: token, <key>`.
fn protocol_key(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = text(headers, "sec-websocket-protocol")?.split_once(',')?;
    (scheme.trim() == "token").then(|| key.trim())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
