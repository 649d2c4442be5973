//! Configuration: every variable and secret, read once into one typed value.
//!
//! A missing or malformed value is an error that names the variable; nothing falls back to half working.

use std::{cell::RefCell, rc::Rc};

use attache_meeting::{
    api::TenantSettings,
    meeting::Presence,
    page_token::PageTokens,
    secret::Secret,
    vendors::{
        avatar::{AvatarProvider, AvatarVendor, VideoEncoding},
        deepgram::Diarization,
        heygen::HeyGenClient,
        liveavatar::LiveAvatarClient,
    },
    webhook::WebhookVerifier,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use url::Url;
use worker::Env;

/// The whole configuration of the Worker.
#[derive(Debug)]
pub(crate) struct Config {
    /// `PUBLIC_URL`: the origin at which vendors reach this Worker, without a trailing slash.
    pub(crate) public_url: String,
    /// `EARLY_JOIN_MINUTES`: how long before the start the bot joins, 0 to 10.
    pub(crate) early_join_minutes: u8,
    /// `RECALL_BASE_URL`, or the host of `RECALL_REGION`.
    pub(crate) recall_base_url: String,
    /// `RECALL_API_KEY`.
    pub(crate) recall_api_key: Secret,
    /// `RECALL_RETENTION_HOURS`: how long Recall keeps media.
    pub(crate) recall_retention_hours: u32,
    /// `RECALL_WEBHOOK_SECRET`: one or more `whsec_…`.
    pub(crate) webhooks: WebhookVerifier,
    /// `ELEVENLABS_BASE_URL`.
    pub(crate) elevenlabs_base_url: String,
    /// `ELEVENLABS_API_KEY`: without it the agent cannot speak and greets by chat.
    pub(crate) elevenlabs_api_key: Option<Secret>,
    /// `DEEPGRAM_BASE_URL`.
    pub(crate) deepgram_base_url: String,
    /// `DEEPGRAM_API_KEY`: without it the call is not listened to.
    pub(crate) deepgram_api_key: Option<Secret>,
    /// `DEEPGRAM_MODEL`.
    pub(crate) deepgram_model: String,
    /// `DEEPGRAM_DIARIZATION`: whether speakers are told apart, and by which parameter.
    pub(crate) deepgram_diarization: Diarization,
    /// `AVATAR_PROVIDER`: who makes the avatar's picture in new meetings; nobody means the bot's page itself.
    pub(crate) avatar_provider: Option<AvatarProvider>,
    /// `PAGE_MICROPHONE`: whether calls are heard through the page's microphone, where there is a page.
    pub(crate) page_microphone: bool,
    /// `AVATAR_VIDEO_ENCODING`.
    pub(crate) avatar_encoding: VideoEncoding,
    /// `LIVEAVATAR_BASE_URL` and `LIVEAVATAR_API_KEY`.
    liveavatar: Account,
    /// `HEYGEN_BASE_URL` and `HEYGEN_API_KEY`.
    heygen: Account,
    /// `MEETING_BOT_WEBAPP_URL`: where the bot's page is.
    pub(crate) webapp_url: String,
    /// `TOKEN_SECRET`: seals the page's tokens.
    pub(crate) page_tokens: PageTokens,
    /// `ADMIN_API_KEY`: bearer key of `/v1/tenants`.
    pub(crate) admin_api_key: Secret,
    /// `API_KEY`: bearer key of tenant `default`.
    pub(crate) api_key: Option<Secret>,
    /// `AGENT_NAME`, `COMPANY_NAME`, `ELEVENLABS_VOICE_ID`, … and `DEFAULT_PRESENCE`: what tenants fall back to.
    pub(crate) defaults: TenantSettings,
    /// `FAULT_INJECTION`: `on` only in tests; lets a tenant make its meeting's object panic.
    pub(crate) fault_injection: bool,
}

/// An account at an avatar vendor.
#[derive(Debug)]
struct Account {
    base_url: String,
    /// Without it there are no sessions.
    api_key: Option<Secret>,
}

/// What is wrong with a variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub(crate) struct ConfigError {
    variable: &'static str,
    problem: String,
}

thread_local! {
    /// The bindings of an isolate never change.
    static CONFIG: RefCell<Option<Rc<Config>>> = const { RefCell::new(None) };
}

impl Config {
    /// Gives the configuration of this isolate, reading it the first time.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>, ConfigError> {
        if let Some(config) = CONFIG.with_borrow(Option::clone) {
            return Ok(config);
        }
        let config = Rc::new(Self::read(|name| {
            env.var(name).ok().map(|value| value.to_string())
        })?);
        CONFIG.set(Some(Rc::clone(&config)));
        Ok(config)
    }

    /// Reads every variable through `lookup`; blank ones count as absent.
    fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let vars = Variables { lookup };
        let region = vars.region()?;
        let recall_default = format!("https://{region}.recall.ai/api/v1");
        let webhook_secret = vars.required_secret("RECALL_WEBHOOK_SECRET")?;
        let public_url = vars.url("PUBLIC_URL", "http://127.0.0.1:8787")?;
        let webapp_default = format!("{public_url}/bot/");
        let liveavatar = Account {
            base_url: vars.url("LIVEAVATAR_BASE_URL", "https://api.liveavatar.com/v1")?,
            api_key: vars.secret("LIVEAVATAR_API_KEY"),
        };
        let heygen = Account {
            base_url: vars.url("HEYGEN_BASE_URL", "https://api.heygen.com/v1")?,
            api_key: vars.secret("HEYGEN_API_KEY"),
        };
        Ok(Self {
            avatar_provider: vars.avatar_provider(&liveavatar, &heygen)?,
            page_microphone: vars.switch("PAGE_MICROPHONE")?,
            avatar_encoding: vars.avatar_encoding()?,
            liveavatar,
            heygen,
            // The page is a folder: its slash must stay.
            webapp_url: vars.url("MEETING_BOT_WEBAPP_URL", &webapp_default)? + "/",
            page_tokens: vars.page_tokens()?,
            public_url,
            early_join_minutes: vars.whole("EARLY_JOIN_MINUTES", 3, &10)?,
            recall_base_url: vars.url("RECALL_BASE_URL", &recall_default)?,
            recall_api_key: vars.required_secret("RECALL_API_KEY")?,
            recall_retention_hours: vars.whole("RECALL_RETENTION_HOURS", 168, &(24 * 366))?,
            webhooks: WebhookVerifier::new(&webhook_secret).map_err(|error| ConfigError {
                variable: "RECALL_WEBHOOK_SECRET",
                problem: error.to_string(),
            })?,
            elevenlabs_base_url: vars.url("ELEVENLABS_BASE_URL", "https://api.elevenlabs.io")?,
            elevenlabs_api_key: vars.secret("ELEVENLABS_API_KEY"),
            deepgram_base_url: vars.url("DEEPGRAM_BASE_URL", "https://api.deepgram.com")?,
            deepgram_api_key: vars.secret("DEEPGRAM_API_KEY"),
            deepgram_model: vars.model("DEEPGRAM_MODEL", "nova-3")?,
            deepgram_diarization: vars.diarization()?,
            admin_api_key: vars.required_secret("ADMIN_API_KEY")?,
            api_key: vars.secret("API_KEY"),
            defaults: vars.defaults()?,
            fault_injection: vars.get("FAULT_INJECTION").as_deref() == Some("on"),
        })
    }

    /// Gives the avatar vendor and our account there, or the variable that is missing for it.
    pub(crate) fn avatar_vendor(
        &self,
        provider: AvatarProvider,
    ) -> Result<AvatarVendor, &'static str> {
        let (account, variable) = match provider {
            AvatarProvider::LiveAvatar => (&self.liveavatar, "LIVEAVATAR_API_KEY"),
            AvatarProvider::HeyGen => (&self.heygen, "HEYGEN_API_KEY"),
        };
        let api_key = account.api_key.clone().ok_or(variable)?;
        Ok(match provider {
            AvatarProvider::LiveAvatar => {
                AvatarVendor::LiveAvatar(LiveAvatarClient::new(&account.base_url, api_key))
            }
            AvatarProvider::HeyGen => {
                AvatarVendor::HeyGen(HeyGenClient::new(&account.base_url, api_key))
            }
        })
    }
}

struct Variables<F> {
    lookup: F,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    fn or(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }

    fn required_secret(&self, variable: &'static str) -> Result<Secret, ConfigError> {
        self.secret(variable).ok_or(ConfigError {
            variable,
            problem: "is not set".to_owned(),
        })
    }

    /// Something that is off unless it is switched on.
    fn switch(&self, variable: &'static str) -> Result<bool, ConfigError> {
        match self.or(variable, "off").as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(ConfigError {
                variable,
                problem: "must be on or off".to_owned(),
            }),
        }
    }

    /// Base URLs are http or https, without a query, and are used without their trailing slash.
    fn url(&self, variable: &'static str, default: &str) -> Result<String, ConfigError> {
        let text = self.or(variable, default);
        let usable = Url::parse(&text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host().is_some()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if usable {
            Ok(text.trim_end_matches('/').to_owned())
        } else {
            Err(ConfigError {
                variable,
                problem: "must be an http or https URL without a query".to_owned(),
            })
        }
    }

    /// The region becomes part of a host name that is sent the API key.
    fn region(&self) -> Result<String, ConfigError> {
        let region = self.or("RECALL_REGION", "us-west-2");
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.bytes().all(allowed) {
            Ok(region)
        } else {
            Err(ConfigError {
                variable: "RECALL_REGION",
                problem: "must be a region such as us-west-2".to_owned(),
            })
        }
    }

    /// A model's name becomes part of a query that the vendor checks only when a call is on.
    fn model(&self, variable: &'static str, default: &str) -> Result<String, ConfigError> {
        let model = self.or(variable, default);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if model.bytes().all(allowed) {
            Ok(model)
        } else {
            Err(ConfigError {
                variable,
                problem: "must be the name of a model such as nova-3".to_owned(),
            })
        }
    }

    fn diarization(&self) -> Result<Diarization, ConfigError> {
        let variable = "DEEPGRAM_DIARIZATION";
        match self.or(variable, "latest").as_str() {
            "latest" => Ok(Diarization::Latest),
            "legacy" => Ok(Diarization::Legacy),
            "off" => Ok(Diarization::Off),
            _ => Err(ConfigError {
                variable,
                problem: "must be latest, legacy or off".to_owned(),
            }),
        }
    }

    /// Who makes the avatar's picture; by default the first vendor whose key is there.
    fn avatar_provider(
        &self,
        liveavatar: &Account,
        heygen: &Account,
    ) -> Result<Option<AvatarProvider>, ConfigError> {
        let variable = "AVATAR_PROVIDER";
        let keyed = |provider, account: &Account, key| match account.api_key {
            Some(_) => Ok(Some(provider)),
            None => Err(ConfigError {
                variable,
                problem: format!("needs {key}, which is not set"),
            }),
        };
        match self.get(variable).as_deref() {
            Some("liveavatar") => {
                keyed(AvatarProvider::LiveAvatar, liveavatar, "LIVEAVATAR_API_KEY")
            }
            Some("heygen") => keyed(AvatarProvider::HeyGen, heygen, "HEYGEN_API_KEY"),
            Some("builtin") => Ok(None),
            Some(_) => Err(ConfigError {
                variable,
                problem: "must be liveavatar, heygen or builtin".to_owned(),
            }),
            None if liveavatar.api_key.is_some() => Ok(Some(AvatarProvider::LiveAvatar)),
            None => Ok(heygen.api_key.as_ref().map(|_| AvatarProvider::HeyGen)),
        }
    }

    fn avatar_encoding(&self) -> Result<VideoEncoding, ConfigError> {
        let variable = "AVATAR_VIDEO_ENCODING";
        match self.or(variable, "H264").as_str() {
            "H264" => Ok(VideoEncoding::H264),
            "VP8" => Ok(VideoEncoding::Vp8),
            _ => Err(ConfigError {
                variable,
                problem: "must be H264 or VP8".to_owned(),
            }),
        }
    }

    fn whole<N>(&self, variable: &'static str, default: N, max: &N) -> Result<N, ConfigError>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.get(variable) else {
            return Ok(default);
        };
        let number: Option<N> = text.parse().ok();
        number.filter(|n| n <= max).ok_or_else(|| ConfigError {
            variable,
            problem: format!("must be a whole number from 0 to {max}"),
        })
    }

    /// The page's tokens are sealed under this key; a wrong one must not turn up only when the first page opens.
    fn page_tokens(&self) -> Result<PageTokens, ConfigError> {
        let variable = "TOKEN_SECRET";
        let secret = self.required_secret(variable)?;
        let key = STANDARD.decode(secret.expose()).ok();
        let key: Option<[u8; 32]> = key.and_then(|bytes| bytes.try_into().ok());
        match key {
            Some(key) => Ok(PageTokens::new(&key)),
            None => Err(ConfigError {
                variable,
                problem: "must be 32 bytes in base64".to_owned(),
            }),
        }
    }

    fn defaults(&self) -> Result<TenantSettings, ConfigError> {
        let default_presence = match self.or("DEFAULT_PRESENCE", "avatar").as_str() {
            "avatar" => Presence::Avatar,
            "voice" => Presence::Voice,
            _ => {
                return Err(ConfigError {
                    variable: "DEFAULT_PRESENCE",
                    problem: "must be avatar or voice".to_owned(),
                });
            }
        };
        Ok(TenantSettings {
            agent_name: Some(self.or("AGENT_NAME", "Ada")),
            company_name: self.get("COMPANY_NAME"),
            greeting: None,
            language: None,
            default_presence: Some(default_presence),
            elevenlabs_voice_id: self.get("ELEVENLABS_VOICE_ID"),
            heygen_avatar_id: self.get("HEYGEN_AVATAR_ID"),
            heygen_voice_id: self.get("HEYGEN_VOICE_ID"),
            liveavatar_avatar_id: self.get("LIVEAVATAR_AVATAR_ID"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("RECALL_API_KEY", "fake-recall-key"),
        (
            "RECALL_WEBHOOK_SECRET",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        ),
        ("ADMIN_API_KEY", "fake-admin-key"),
        (
            "TOKEN_SECRET",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        ),
    ];

    fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::read(|name| {
            let in_list = |list: &[(&str, &str)]| {
                let found = list.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            in_list(changes).or_else(|| in_list(&GOOD))
        })
    }

    #[test]
    fn the_defaults_point_at_the_vendors() {
        let config = read(&[("RECALL_REGION", "eu-central-1")]).unwrap();
        assert_eq!(
            config.recall_base_url,
            "https://eu-central-1.recall.ai/api/v1"
        );
        assert_eq!(config.early_join_minutes, 3);
        assert_eq!(config.defaults.default_presence, Some(Presence::Avatar));
        assert!(config.elevenlabs_api_key.is_none());
    }

    #[test]
    fn what_is_wrong_names_its_variable_and_not_its_value() {
        for (variable, value) in [
            ("RECALL_API_KEY", ""),
            ("RECALL_WEBHOOK_SECRET", "whsec_!!!"),
            ("RECALL_WEBHOOK_SECRET", " "),
            ("ADMIN_API_KEY", ""),
            ("TOKEN_SECRET", "c2hvcnQ="),
            ("PUBLIC_URL", "attache.example"),
            ("RECALL_BASE_URL", "ftp://recall.example"),
            ("RECALL_REGION", "evil.example/"),
            ("EARLY_JOIN_MINUTES", "11"),
            ("EARLY_JOIN_MINUTES", "three"),
            ("DEFAULT_PRESENCE", "hologram"),
            ("DEEPGRAM_BASE_URL", "wss:api.deepgram.example"),
            ("DEEPGRAM_MODEL", "nova 3&x=y"),
            ("DEEPGRAM_DIARIZATION", "everyone"),
            ("AVATAR_PROVIDER", "hologram"),
            ("AVATAR_VIDEO_ENCODING", "AV1"),
            ("PAGE_MICROPHONE", "yes"),
            ("LIVEAVATAR_BASE_URL", "api.liveavatar.example"),
            ("HEYGEN_BASE_URL", "wss://api.heygen.example"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.starts_with(variable), "{error}");
            assert!(value.trim().is_empty() || !error.contains(value), "{error}");
        }
    }

    #[test]
    fn the_avatar_comes_from_the_first_vendor_with_a_key_unless_one_is_named() {
        let (live, hey) = (
            ("LIVEAVATAR_API_KEY", "fake-liveavatar-key"),
            ("HEYGEN_API_KEY", "fake-heygen-key"),
        );
        let named = |name| ("AVATAR_PROVIDER", name);
        for (changes, expected) in [
            (vec![], None),
            (vec![hey], Some(AvatarProvider::HeyGen)),
            (vec![hey, live], Some(AvatarProvider::LiveAvatar)),
            (
                vec![hey, live, named("heygen")],
                Some(AvatarProvider::HeyGen),
            ),
            (vec![hey, live, named("builtin")], None),
        ] {
            let config = read(&changes).unwrap();
            assert_eq!(config.avatar_provider, expected, "{changes:?}");
            if let Some(provider) = expected {
                let vendor = config.avatar_vendor(provider).unwrap();
                assert_eq!(vendor.provider(), provider);
            }
        }
    }

    #[test]
    fn a_provider_without_its_key_is_an_error_that_names_both_variables() {
        for (provider, key) in [
            ("liveavatar", "LIVEAVATAR_API_KEY"),
            ("heygen", "HEYGEN_API_KEY"),
        ] {
            let error = read(&[("AVATAR_PROVIDER", provider)]).unwrap_err();
            let expected = format!("AVATAR_PROVIDER needs {key}, which is not set");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn printing_the_configuration_shows_no_secret() {
        let secrets = [
            ("API_KEY", "att_fake"),
            ("LIVEAVATAR_API_KEY", "fake-liveavatar-key"),
            ("HEYGEN_API_KEY", "fake-heygen-key"),
        ];
        let printed = format!("{:?}", read(&secrets).unwrap());
        for (name, secret) in secrets {
            assert!(!printed.contains(secret), "{name}");
        }
        for (name, secret) in GOOD {
            assert!(!printed.contains(secret), "{name}");
        }
    }
}
