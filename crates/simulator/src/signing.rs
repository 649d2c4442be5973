//! Standard Webhooks signatures, as Recall puts them on everything it sends.
//!
//! Written from the specification on plain HMAC, not on the library the Worker verifies with, so
//! that one misreading cannot hide another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Which names the three signature headers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderFamily {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`: workspaces with a verification secret.
    #[default]
    Webhook,
    /// `svix-id`, `svix-timestamp`, `svix-signature`: dashboard webhooks of older accounts.
    Svix,
}

impl HeaderFamily {
    /// The header names for id, timestamp and signature.
    pub fn names(self) -> [&'static str; 3] {
        match self {
            Self::Webhook => ["webhook-id", "webhook-timestamp", "webhook-signature"],
            Self::Svix => ["svix-id", "svix-timestamp", "svix-signature"],
        }
    }
}

/// One signature entry, `v1,<base64>`, over `{id}.{timestamp}.{body}`.
///
/// The secret is `whsec_` followed by base64; a secret that is not is an error, never a weak key.
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> anyhow::Result<String> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD
        .decode(encoded)
        .map_err(|_| anyhow::anyhow!("the webhook secret is not whsec_ followed by base64"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

    #[test]
    fn the_published_standard_webhooks_vector_is_reproduced() {
        let signature = sign(
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            br#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn a_bot_webhook_is_signed_as_the_sheet_computed() {
        let body = br#"{"event":"bot.joining_call","data":{"data":{"code":"joining_call","sub_code":null,"updated_at":"2026-11-01T10:00:00.000000+00:00"},"bot":{"id":"6e1f5adb-3340-4f50-900d-9aa2cdc53d6c","metadata":{"session_id":"s_1"}}}}"#;
        assert_eq!(body.len(), 216);
        let signature = sign(SHEET_SECRET, "msg_test_0001", 1_793_527_200, body);
        assert_eq!(
            signature.unwrap(),
            "v1,g5iCQ5EVEaFgQ2ap4/1u15fXvOp30RSA+OUUKj1eB08="
        );
    }

    #[test]
    fn an_upgrade_is_signed_over_an_empty_body() {
        let signature = sign(SHEET_SECRET, "msg_test_ws_0001", 1_793_527_200, b"");
        assert_eq!(
            signature.unwrap(),
            "v1,leBhGcH63wgAonvcsDj3GGU44r6o3c4x64h50LlKHOY="
        );
    }

    #[test]
    fn a_secret_that_is_not_base64_is_refused() {
        assert!(sign("whsec_not base64!", "msg_1", 0, b"").is_err());
    }
}
