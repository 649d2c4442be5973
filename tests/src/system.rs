//! The Worker and its simulated vendors, wired to each other.

use anyhow::Result;
use attache_simulator::{Simulator, SimulatorConfig};

use crate::api::Api;
use crate::runtime::Runtime;
use crate::settings::Settings;

/// A running Worker whose vendors are a running simulator.
#[derive(Debug)]
pub struct System {
    /// The vendors.
    pub simulator: Simulator,
    /// The Worker.
    pub runtime: Runtime,
    /// A client with the key of tenant `default`.
    pub api: Api,
}

impl System {
    /// Starts both with the usual settings.
    pub async fn start(vendors: SimulatorConfig) -> Result<Self> {
        Self::start_with(vendors, |settings| settings).await
    }

    /// Starts both, the Worker with a key for Deepgram, so that it listens to calls itself.
    pub async fn start_listening(vendors: SimulatorConfig) -> Result<Self> {
        let key = vendors.deepgram_api_key.clone();
        Self::start_with(vendors, |settings| settings.with("DEEPGRAM_API_KEY", &key)).await
    }

    /// Starts both, the Worker with settings that `change` has changed.
    ///
    /// Without a change it has no key for Deepgram, and Recall's own transcript is what it hears; and none of an avatar's
    /// vendor, so that a face is the page's own.
    pub async fn start_with(
        vendors: SimulatorConfig,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Result<Self> {
        let (recall_key, elevenlabs_key) = (
            vendors.recall_api_key.clone(),
            vendors.elevenlabs_api_key.clone(),
        );
        let webhook_secret = vendors.webhook_secret.clone();
        let simulator = Simulator::start(vendors).await?;
        let settings = Settings::new(
            &simulator.recall_base_url(),
            &simulator.elevenlabs_base_url(),
            &webhook_secret,
        )
        .with("RECALL_API_KEY", &recall_key)
        .with("ELEVENLABS_API_KEY", &elevenlabs_key)
        .with("DEEPGRAM_BASE_URL", &simulator.deepgram_base_url())
        .with("LIVEAVATAR_BASE_URL", &simulator.liveavatar_base_url())
        .with("HEYGEN_BASE_URL", &simulator.heygen_base_url());
        let runtime = Runtime::start(change(settings)).await?;
        simulator.set_webhook_url(runtime.webhook_url()?);
        let api = runtime.api();
        Ok(Self {
            simulator,
            runtime,
            api,
        })
    }
}
