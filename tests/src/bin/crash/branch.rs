//! The branches of the Worker under test: one process of the runtime, different vendors behind each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use attache_simulator::{AvatarProvider, Simulator, SimulatorConfig};
use attache_tests::{Api, BareRuntime, Settings};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ledger::{Ledger, keep};

/// Recall repeats what was not accepted within a day; here within minutes.
const WEBHOOK_RETRY_SCALE: f64 = 0.002;

/// A fifth of a second of sound in each frame: half the usual number, which is plenty for words.
const AUDIO_FRAME: Duration = Duration::from_millis(200);

/// What stands behind a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Recall's transcript is what is heard, by webhooks; the page draws the face.
    Webhooks,
    /// Deepgram listens, `LiveAvatar` shows the face, and Recall takes three seconds to dial again, as it does.
    LiveAvatar,
    /// Deepgram listens, `HeyGen` shows the face, and Recall dials again ten times as fast, so that the sockets are up
    /// when the next kill comes.
    HeyGen,
}

pub(crate) const ALL: [Kind; 3] = [Kind::Webhooks, Kind::LiveAvatar, Kind::HeyGen];

impl Kind {
    /// Whether Deepgram is what hears.
    pub(crate) fn listens(self) -> bool {
        self != Self::Webhooks
    }

    /// Whether Recall takes three seconds to dial a lost audio socket again, as it does in truth.
    pub(crate) fn dials_like_recall(self) -> bool {
        self == Self::LiveAvatar
    }

    fn realtime_retry_scale(self) -> f64 {
        if self.dials_like_recall() { 1.0 } else { 0.1 }
    }

    fn settings(self, vendors: &SimulatorConfig, simulator: &Simulator) -> Settings {
        let settings = Settings::new(
            &simulator.recall_base_url(),
            &simulator.elevenlabs_base_url(),
            &vendors.webhook_secret,
        )
        .with("RECALL_API_KEY", &vendors.recall_api_key)
        .with("ELEVENLABS_API_KEY", &vendors.elevenlabs_api_key)
        .with("DEEPGRAM_BASE_URL", &simulator.deepgram_base_url())
        .with("LIVEAVATAR_BASE_URL", &simulator.liveavatar_base_url())
        .with("HEYGEN_BASE_URL", &simulator.heygen_base_url());
        match self {
            Self::Webhooks => settings,
            Self::LiveAvatar => settings
                .with("DEEPGRAM_API_KEY", &vendors.deepgram_api_key)
                .with_avatars(AvatarProvider::LiveAvatar, &vendors.liveavatar_api_key),
            Self::HeyGen => settings
                .with("DEEPGRAM_API_KEY", &vendors.deepgram_api_key)
                .with_avatars(AvatarProvider::HeyGen, &vendors.heygen_api_key),
        }
    }
}

/// One Worker with its vendors, and the books about what they saw.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) kind: Kind,
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) api: Api,
    pub(crate) ledger: Arc<Ledger>,
    keeper: JoinHandle<()>,
}

impl Branch {
    /// Starts the vendors of all branches and tells the runtime about them; `accepted` counts accepted webhooks.
    pub(crate) async fn open_all(
        runtime: &BareRuntime,
        seed: u64,
        accepted: &Arc<watch::Sender<u64>>,
    ) -> Result<Vec<Self>> {
        let mut branches = Vec::new();
        let mut settings = Vec::new();
        for (number, kind) in ALL.into_iter().enumerate() {
            let vendors = SimulatorConfig {
                webhook_retry_scale: WEBHOOK_RETRY_SCALE,
                realtime_retry_scale: kind.realtime_retry_scale(),
                audio_frame: AUDIO_FRAME,
                deepgram_pace: false,
                deepgram_audio: false,
                seed: Some(seed ^ u64::try_from(number)?),
                ..SimulatorConfig::default()
            };
            let simulator = Arc::new(Simulator::start(vendors.clone()).await?);
            simulator.set_webhook_url(runtime.webhook_url(number)?);
            settings.push(kind.settings(&vendors, &simulator));
            let ledger = Arc::new(Ledger::default());
            let keeper = tokio::spawn(keep(
                Arc::clone(&ledger),
                Arc::clone(&simulator),
                Arc::clone(accepted),
            ));
            branches.push(Self {
                kind,
                simulator,
                api: runtime.api(number)?,
                ledger,
                keeper,
            });
        }
        runtime.configure(&settings)?;
        Ok(branches)
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}
