//! The Worker's configuration for a test: every variable set, every secret plainly fake.

use std::collections::BTreeMap;

use attache_simulator::AvatarProvider;

/// The bearer key of tenant `default`.
pub const API_KEY: &str = "att_fake_default_key";

/// The bearer key for `/v1/tenants`.
pub const ADMIN_API_KEY: &str = "fake-admin-key";

/// 32 bytes that are no secret: "fake-token-secret-for-tests-only".
const TOKEN_SECRET: &str = "ZmFrZS10b2tlbi1zZWNyZXQtZm9yLXRlc3RzLW9ubHk=";

/// The avatar of tests: `LiveAvatar` takes nothing but a UUID.
pub const AVATAR_ID: &str = "dd73ea75-1218-4ef3-92ce-606d5f7fbc0a";

/// The variables and secrets given to the Worker, over those of `wrangler.toml`.
#[derive(Clone, Debug)]
pub struct Settings {
    values: BTreeMap<String, Option<String>>,
    rate_limits: BTreeMap<String, u32>,
}

impl Settings {
    /// Settings that work with vendors at these addresses, which sign with this secret.
    pub fn new(recall_base_url: &str, elevenlabs_base_url: &str, webhook_secret: &str) -> Self {
        let settings = Self {
            values: BTreeMap::new(),
            rate_limits: BTreeMap::new(),
        };
        settings
            .with("API_KEY", API_KEY)
            .with("ADMIN_API_KEY", ADMIN_API_KEY)
            .with("TOKEN_SECRET", TOKEN_SECRET)
            .with("RECALL_API_KEY", "fake-recall-key")
            .with("RECALL_BASE_URL", recall_base_url)
            .with("RECALL_WEBHOOK_SECRET", webhook_secret)
            .with("ELEVENLABS_API_KEY", "fake-elevenlabs-key")
            .with("ELEVENLABS_BASE_URL", elevenlabs_base_url)
            .with("ELEVENLABS_VOICE_ID", "fake-voice")
            .with("DEFAULT_PRESENCE", "voice")
            .with("EARLY_JOIN_MINUTES", "3")
            .with("AGENT_NAME", "Ada")
            .with("COMPANY_NAME", "Acme")
    }

    /// Sets a variable or secret.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.values.insert(name.to_owned(), Some(value.to_owned()));
        self
    }

    /// Sets what an avatar of this vendor takes: the account's key, and whom it looks like.
    #[must_use]
    pub fn with_avatars(self, provider: AvatarProvider, key: &str) -> Self {
        match provider {
            AvatarProvider::LiveAvatar => self
                .with("LIVEAVATAR_API_KEY", key)
                .with("LIVEAVATAR_AVATAR_ID", AVATAR_ID),
            AvatarProvider::HeyGen => self
                .with("HEYGEN_API_KEY", key)
                .with("HEYGEN_AVATAR_ID", AVATAR_ID)
                .with("HEYGEN_VOICE_ID", "fake-voice"),
        }
    }

    /// Leaves a variable or secret unset, even where `wrangler.toml` sets it.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.values.insert(name.to_owned(), None);
        self
    }

    /// Sets another limit for one of the rate limits of `wrangler.toml`.
    #[must_use]
    pub fn with_rate_limit(mut self, binding: &str, limit: u32) -> Self {
        self.rate_limits.insert(binding.to_owned(), limit);
        self
    }

    /// The limit that a rate limit has instead of that of `wrangler.toml`.
    pub(crate) fn rate_limit(&self, binding: &str) -> Option<u32> {
        self.rate_limits.get(binding).copied()
    }

    /// The value of a variable or secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_deref()
    }

    /// Every value that must never show up in output: the secrets.
    pub fn secrets(&self) -> Vec<&str> {
        let is_secret = |name: &str| name.ends_with("_KEY") || name.ends_with("_SECRET");
        self.values
            .iter()
            .filter(|(name, _)| is_secret(name))
            .filter_map(|(_, value)| value.as_deref())
            .collect()
    }

    /// Each name with its value, or with nothing where it is to be unset.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    #[test]
    fn the_token_secret_is_32_bytes() {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(TOKEN_SECRET)
            .unwrap();
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn secrets_are_the_keys_and_nothing_that_is_public() {
        let settings = Settings::new("http://recall", "http://elevenlabs", "whsec_fake");
        assert_eq!(settings.secrets().len(), 6);
        assert!(settings.secrets().contains(&"whsec_fake"));
        assert!(!settings.without("API_KEY").secrets().contains(&API_KEY));
    }
}
