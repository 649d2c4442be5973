//! The models, the faults and the journal behind one lock, and the wake-up of whoever waits.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use url::Url;

use crate::audio::voices::Voices;
use crate::avatar::Avatars;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::journal::{Journal, What};
use crate::livekit::LiveKit;
use crate::pages::{PageHabits, Pages};
use crate::spoken::Spoken;
use crate::{deepgram, elevenlabs, heygen, recall};

/// What the servers, the courier and the test share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) spoken: Arc<Spoken>,
    /// What people in calls say, as sound.
    pub(crate) voices: Arc<Voices>,
    /// The rooms of avatar sessions.
    pub(crate) livekit: Arc<LiveKit>,
    pub(crate) webhook_secret: String,
    pub(crate) speech_latency: Duration,
    pub(crate) speech_chunk_interval: Duration,
    /// The simulator under another host name: where redirects lead.
    pub(crate) elsewhere: String,
    /// The page that plays the avatars.
    pub(crate) studio_url: String,
    /// Ends with the simulator, and with it whatever no task of its own would end.
    pub(crate) running: watch::Receiver<()>,
    /// Something changed that the courier should look at.
    pub(crate) changed: Notify,
    /// Something changed that the audio sockets should look at.
    pub(crate) sockets_changed: watch::Sender<()>,
    /// Something changed that whoever drives the avatars should look at.
    pub(crate) avatars_changed: Notify,
    /// The pages that bots show.
    pub(crate) pages: Pages,
    models: Mutex<Models>,
}

/// What one lock protects.
#[derive(Debug)]
pub(crate) struct Models {
    pub(crate) recall: recall::Model,
    pub(crate) elevenlabs: elevenlabs::Model,
    pub(crate) deepgram: deepgram::Model,
    pub(crate) avatars: Avatars,
    pub(crate) heygen_tokens: heygen::Tokens,
    pub(crate) faults: Faults,
    pub(crate) webhook_url: Option<Url>,
}

/// What a [`World`] is made of.
pub(crate) struct Parts {
    pub(crate) models: Models,
    pub(crate) spoken: Arc<Spoken>,
    pub(crate) voices: Arc<Voices>,
    pub(crate) livekit: Arc<LiveKit>,
    pub(crate) webhook_secret: String,
    pub(crate) speech_latency: Duration,
    pub(crate) speech_chunk_interval: Duration,
    pub(crate) elsewhere: String,
    pub(crate) studio_url: String,
    pub(crate) page_habits: PageHabits,
    pub(crate) running: watch::Receiver<()>,
}

impl World {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            clock: Clock::default(),
            journal: Journal::default(),
            spoken: parts.spoken,
            voices: parts.voices,
            livekit: parts.livekit,
            webhook_secret: parts.webhook_secret,
            speech_latency: parts.speech_latency,
            speech_chunk_interval: parts.speech_chunk_interval,
            elsewhere: parts.elsewhere,
            studio_url: parts.studio_url,
            running: parts.running,
            changed: Notify::new(),
            sockets_changed: watch::Sender::new(()),
            avatars_changed: Notify::new(),
            pages: Pages::new(parts.page_habits),
            models: Mutex::new(parts.models),
        }
    }

    /// Brings the models up to now, lets `act` use them, writes down what happened, and wakes the
    /// courier.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Models, Timestamp) -> T) -> T {
        let result = self.look(act);
        self.changed.notify_one();
        result
    }

    /// The same without waking the courier: for the courier itself.
    pub(crate) fn look<T>(&self, act: impl FnOnce(&mut Models, Timestamp) -> T) -> T {
        let mut models = self.models.lock().expect("no panic holds the models");
        let now = self.clock.now();
        models.recall.tick(now);
        let result = act(&mut models, now);
        models.recall.tick(now);
        if models.recall.sockets_changed() {
            self.sockets_changed.send_replace(());
        }
        let notes = models.recall.take_notes();
        for (at, what) in notes {
            self.journal.write(at, what);
        }
        result
    }

    /// Writes something that no model did.
    pub(crate) fn write(&self, what: What) {
        self.journal.write(self.clock.now(), what);
    }
}
