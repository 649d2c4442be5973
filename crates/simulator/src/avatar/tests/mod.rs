//! Sessions without sockets, on a clock of the test's own.

mod life;
mod speech;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::session::Out;
use super::{AvatarHabits, AvatarProvider, AvatarSession, Avatars, Settings, Stream, Wanted};
use crate::audio::speech as voice;
use crate::spoken::Spoken;

/// Both vendors and their clock.
pub(crate) struct Desk {
    pub(crate) avatars: Avatars,
    pub(crate) spoken: Arc<Spoken>,
    pub(crate) now: Timestamp,
}

impl Desk {
    pub(crate) fn new(habits: AvatarHabits) -> Self {
        Self::at_speed(1.0, habits)
    }

    pub(crate) fn at_speed(time_scale: f64, habits: AvatarHabits) -> Self {
        let spoken = Arc::<Spoken>::default();
        let settings = Settings {
            liveavatar_api_key: "fake-liveavatar-key".to_owned(),
            heygen_api_key: "fake-heygen-key".to_owned(),
            socket_origin: "ws://127.0.0.1:1".to_owned(),
            time_scale,
            habits,
            seed: 7,
        };
        Self {
            avatars: Avatars::new(settings, spoken.clone(), Arc::default()),
            spoken,
            now: "2026-11-22T10:00:00Z".parse().unwrap(),
        }
    }

    /// A started session, its socket open.
    pub(crate) fn session(&mut self) -> Client<'_> {
        let habits = self.avatars.habits().clone();
        let wanted = Wanted {
            provider: AvatarProvider::LiveAvatar,
            meeting_id: Some("mtg_1".to_owned()),
            avatar: "wayne".to_owned(),
            request: json!({}),
            longest: habits.longest_session,
            idle_window: habits.idle_window,
            free: false,
        };
        let stream = self.avatars.mint(wanted, self.now);
        self.avatars.start(&stream, self.now).unwrap();
        stream.lock().socket_opened(self.now);
        Client { desk: self, stream }
    }

    /// A session that is connected.
    pub(crate) fn connected(&mut self) -> Client<'_> {
        let mut client = self.session();
        client.wait(Duration::from_millis(50));
        client
    }

    /// The sound that the simulated speech vendor makes of a text.
    pub(crate) fn speech(&self, text: &str) -> Vec<u8> {
        let pcm = voice::pcm(text, 24_000);
        self.spoken.remember(&pcm, text, Some(24_000));
        pcm
    }
}

/// The client of one session.
pub(crate) struct Client<'a> {
    pub(crate) desk: &'a mut Desk,
    pub(crate) stream: Arc<Stream>,
}

impl Client<'_> {
    /// Sends a message and returns what comes back at once.
    pub(crate) fn send(&mut self, message: &Value) -> Vec<Value> {
        self.stream.lock().read(&message.to_string(), self.desk.now);
        self.answers()
    }

    /// Sends a message without fields of its own.
    pub(crate) fn tell(&mut self, kind: &str, event_id: &str) -> Vec<Value> {
        self.send(&json!({ "type": kind, "event_id": event_id }))
    }

    /// Sends one piece of sound.
    pub(crate) fn speak(&mut self, event_id: &str, pcm: &[u8]) -> Vec<Value> {
        self.send(
            &json!({ "type": "agent.speak", "event_id": event_id, "audio": STANDARD.encode(pcm) }),
        )
    }

    /// Sends sound as the vendor advises, all at once, with its end.
    pub(crate) fn say(&mut self, event_id: &str, pcm: &[u8]) -> Vec<Value> {
        let (first, rest) = pcm.split_at(pcm.len().min(19_200));
        let mut answers = self.speak(event_id, first);
        for piece in rest.chunks(48_000) {
            answers.extend(self.speak(event_id, piece));
        }
        answers.extend(self.tell("agent.speak_end", event_id));
        answers
    }

    /// Lets time pass and returns what came.
    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Value> {
        self.desk.now += time;
        self.desk.avatars.tick(self.desk.now);
        self.answers()
    }

    /// Text frames as they are, a close frame as `{"close": code}`.
    fn answers(&mut self) -> Vec<Value> {
        let out = self.stream.lock().take_out();
        out.into_iter()
            .map(|out| match out {
                Out::Text(message) => message,
                Out::Close { code, .. } => json!({ "close": code }),
            })
            .collect()
    }

    pub(crate) fn view(&self) -> AvatarSession {
        self.stream.lock().view(self.desk.now)
    }
}

/// What messages are about, in short.
pub(crate) fn kinds(messages: &[Value]) -> Vec<String> {
    let short = |message: &Value| {
        let kind = message["type"].as_str().unwrap_or("close");
        let state = message["new_state"].as_str().or(message["state"].as_str());
        let kind = kind.trim_start_matches("agent.");
        state.map_or(kind.to_owned(), |state| format!("{kind} {state}"))
    };
    messages.iter().map(short).collect()
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
