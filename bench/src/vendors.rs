//! The vendors behind the Worker, simulated, and the variables that point it at them.

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

/// Running vendors, in whose meetings the bot is in the call at once.
#[derive(Debug)]
pub(crate) struct Vendors {
    pub(crate) simulator: Simulator,
    settings: Settings,
}

impl Vendors {
    /// Starts them.
    pub(crate) async fn start() -> Result<Self> {
        let config = SimulatorConfig {
            default_script: MeetingScript::instant(),
            ..SimulatorConfig::default()
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
}
