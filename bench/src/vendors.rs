//! The vendors behind the Worker, simulated, and the variables that point it at them.

use std::net::SocketAddr;

use anyhow::Result;
use attache_simulator::{MeetingScript, Simulator, SimulatorConfig};
use attache_tests::Settings;

/// Every variable the Worker is given.
const VARIABLES: [&str; 13] = [
    "ADMIN_API_KEY",
    "AGENT_NAME",
    "API_KEY",
    "COMPANY_NAME",
    "DEFAULT_PRESENCE",
    "EARLY_JOIN_MINUTES",
    "ELEVENLABS_API_KEY",
    "ELEVENLABS_BASE_URL",
    "ELEVENLABS_VOICE_ID",
    "RECALL_API_KEY",
    "RECALL_BASE_URL",
    "RECALL_WEBHOOK_SECRET",
    "TOKEN_SECRET",
];

/// The key of the streams' Deepgram; not a secret.
pub(crate) const DEEPGRAM_API_KEY: &str = "fake-deepgram-key";

/// Where the simulated Recall cannot deliver: it knows no TLS.
const UNREACHABLE: &str = "https://attache.example";

/// Running vendors, in whose meetings the bot is in the call at once.
#[derive(Debug)]
pub(crate) struct Vendors {
    pub(crate) simulator: Simulator,
    settings: Settings,
}

impl Vendors {
    /// Starts them.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(SimulatorConfig::default()).await
    }

    /// Starts them for meetings whose audio comes from elsewhere: Recall tries to deliver it once, in vain.
    pub(crate) async fn start_without_audio() -> Result<Self> {
        let never = 1e6;
        Self::start_with(SimulatorConfig {
            realtime_retry_scale: never,
            ..SimulatorConfig::default()
        })
        .await
    }

    pub(crate) async fn start_with(config: SimulatorConfig) -> Result<Self> {
        let config = SimulatorConfig {
            default_script: MeetingScript::instant(),
            ..config
        };
        let secret = config.webhook_secret.clone();
        let simulator = Simulator::start(config).await?;
        let settings = Settings::new(
            &simulator.recall_base_url(),
            &simulator.elevenlabs_base_url(),
            &secret,
        );
        Ok(Self {
            simulator,
            settings,
        })
    }

    /// What the vendors sign webhooks with; not a secret.
    pub(crate) fn webhook_secret(&self) -> &str {
        self.settings
            .get("RECALL_WEBHOOK_SECRET")
            .unwrap_or_default()
    }

    /// The variables of a Worker at this origin.
    pub(crate) fn variables(&self, origin: &str) -> Vec<(&'static str, String)> {
        let value = |name| (name, self.settings.get(name).unwrap_or_default().to_owned());
        let mut variables: Vec<_> = VARIABLES.into_iter().map(value).collect();
        variables.push(("PUBLIC_URL", origin.to_owned()));
        variables
    }

    /// The variables of a Worker that hears through this Deepgram, and to which Recall delivers no audio.
    pub(crate) fn variables_with_ears(&self, deepgram: SocketAddr) -> Vec<(&'static str, String)> {
        let mut variables = self.variables(UNREACHABLE);
        variables.push(("DEEPGRAM_BASE_URL", format!("http://{deepgram}")));
        variables.push(("DEEPGRAM_API_KEY", DEEPGRAM_API_KEY.to_owned()));
        variables
    }
}
