//! Tenants: their settings and keys.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{FieldError, Problem, check_text};
use crate::meeting::Presence;

/// Defaults for a tenant's meetings; every field is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantSettings {
    /// The agent's name.
    #[serde(default)]
    pub agent_name: Option<String>,
    /// On whose behalf it comes.
    #[serde(default)]
    pub company_name: Option<String>,
    /// A template with `{agent_name}` and `{company_name}`.
    #[serde(default)]
    pub greeting: Option<String>,
    /// BCP 47 tag of the language spoken.
    #[serde(default)]
    pub language: Option<String>,
    /// How the delegate appears unless a meeting says otherwise.
    #[serde(default)]
    pub default_presence: Option<Presence>,
    /// The ElevenLabs voice.
    #[serde(default)]
    pub elevenlabs_voice_id: Option<String>,
    /// The HeyGen avatar.
    #[serde(default)]
    pub heygen_avatar_id: Option<String>,
    /// The HeyGen voice.
    #[serde(default)]
    pub heygen_voice_id: Option<String>,
    /// The LiveAvatar avatar.
    #[serde(default)]
    pub liveavatar_avatar_id: Option<String>,
}

impl TenantSettings {
    /// Names every field that cannot be used.
    pub fn check(&self) -> Result<(), Problem> {
        let mut errors = Vec::new();
        for (field, value, limit) in [
            ("agent_name", &self.agent_name, 100),
            ("company_name", &self.company_name, 100),
            ("greeting", &self.greeting, 500),
            ("elevenlabs_voice_id", &self.elevenlabs_voice_id, 128),
            ("heygen_avatar_id", &self.heygen_avatar_id, 128),
            ("heygen_voice_id", &self.heygen_voice_id, 128),
            ("liveavatar_avatar_id", &self.liveavatar_avatar_id, 128),
        ] {
            check_text(field, value.as_deref(), limit, &mut errors);
        }
        if self
            .language
            .as_deref()
            .is_some_and(|tag| !is_language_tag(tag))
        {
            errors.push(FieldError::new(
                "language",
                "must be a BCP 47 tag such as en-US",
            ));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(errors))
        }
    }

    /// Fills what is not set from the installation's own defaults.
    #[must_use]
    pub fn or(self, defaults: &Self) -> Self {
        let or = |own: Option<String>, default: &Option<String>| own.or_else(|| default.clone());
        Self {
            agent_name: or(self.agent_name, &defaults.agent_name),
            company_name: or(self.company_name, &defaults.company_name),
            greeting: or(self.greeting, &defaults.greeting),
            language: or(self.language, &defaults.language),
            default_presence: self.default_presence.or(defaults.default_presence),
            elevenlabs_voice_id: or(self.elevenlabs_voice_id, &defaults.elevenlabs_voice_id),
            heygen_avatar_id: or(self.heygen_avatar_id, &defaults.heygen_avatar_id),
            heygen_voice_id: or(self.heygen_voice_id, &defaults.heygen_voice_id),
            liveavatar_avatar_id: or(self.liveavatar_avatar_id, &defaults.liveavatar_avatar_id),
        }
    }
}

fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    /// The tenant's id.
    pub id: String,
    /// Its settings.
    pub settings: TenantSettings,
    /// Its keys, without the keys themselves.
    pub keys: Vec<KeyView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// An API key, without the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView {
    /// Its id, `key_…`.
    pub key_id: String,
    /// Its last four characters.
    pub last_four: String,
    /// When it was minted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A new API key; this is the only time it is shown.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct MintedKey {
    /// Its id, `key_…`.
    pub key_id: String,
    /// The key itself, `att_…`.
    pub key: String,
    /// When it was minted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Renders a greeting; without a template, and without a company, the sentence is shorter.
pub fn render_greeting(template: Option<&str>, agent: &str, company: Option<&str>) -> String {
    let template = template.unwrap_or(match company {
        Some(_) => "Hi, this is {agent_name} joining from {company_name}.",
        None => "Hi, this is {agent_name}.",
    });
    // One pass, so that a name that looks like a placeholder is not replaced in turn.
    let mut rendered = String::new();
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        rendered.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("{agent_name}") {
            rendered.push_str(agent);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("{company_name}") {
            rendered.push_str(company.unwrap_or_default());
            rest = after;
        } else {
            rendered.push('{');
            rest = &rest[1..];
        }
    }
    rendered.push_str(rest);
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_name_the_agent_and_the_company() {
        assert_eq!(
            render_greeting(None, "Ada", Some("Acme")),
            "Hi, this is Ada joining from Acme."
        );
        assert_eq!(render_greeting(None, "Ada", None), "Hi, this is Ada.");
        let template = Some("{company_name} sent {agent_name} {here}");
        assert_eq!(
            render_greeting(template, "Ada", Some("Acme")),
            "Acme sent Ada {here}"
        );
    }

    #[test]
    fn a_name_that_looks_like_a_placeholder_stays_as_it_is() {
        assert_eq!(
            render_greeting(Some("{agent_name}"), "{company_name}", Some("Acme")),
            "{company_name}"
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        let settings = TenantSettings {
            agent_name: Some(String::new()),
            language: Some("English".to_owned()),
            ..TenantSettings::default()
        };
        let errors = settings.check().unwrap_err().errors;
        let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(fields, ["agent_name", "language"]);
    }
}
