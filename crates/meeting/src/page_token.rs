//! Tokens that let the bot's page, and nobody else, into its meeting.
//!
//! A token is sealed with AES-256-GCM under `TOKEN_SECRET`: it tells nothing to who holds it, cannot be changed, is
//! good for one meeting, and expires.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{MeetingId, TenantId},
    secret::Secret,
};

/// The bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// What a token is for; a token of another purpose or format does not open.
const PURPOSE: &[u8] = b"attache page token 1";
/// Far longer than any token of ours.
const MAX_TOKEN_LENGTH: usize = 1_000;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageClaims {
    /// The meeting it lets into.
    #[serde(rename = "m")]
    pub meeting_id: MeetingId,
    /// Whose meeting that is.
    #[serde(rename = "t")]
    pub tenant_id: TenantId,
    /// Until when, in seconds since 1970.
    #[serde(rename = "e")]
    pub expires_at: i64,
}

/// Why a token does not let in; deliberately without details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageTokenError {
    /// It was not sealed here, or was changed.
    #[error("the page token is not valid")]
    Invalid,
    /// Its time is over.
    #[error("the page token has expired")]
    Expired,
    /// It is another meeting's.
    #[error("the page token is another meeting's")]
    WrongMeeting,
}

/// Seals and opens tokens under one key.
#[derive(Clone)]
pub struct PageTokens {
    cipher: Aes256Gcm,
}

impl std::fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PageTokens(***)")
    }
}

impl PageTokens {
    /// Takes the key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: Aes256Gcm::new(key.into()),
        }
    }

    /// Seals claims; `nonce` is random and never used twice.
    #[expect(
        clippy::missing_panics_doc,
        reason = "it does not panic, as the reasons say"
    )]
    pub fn seal(&self, claims: &PageClaims, nonce: [u8; NONCE_BYTES]) -> Secret {
        let plain = serde_json::to_vec(claims).expect("claims are strings and a number");
        let payload = Payload {
            msg: &plain,
            aad: PURPOSE,
        };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("a few hundred bytes are not too long to be sealed");
        let mut token = nonce.to_vec();
        token.extend(sealed);
        Secret::new(URL_SAFE_NO_PAD.encode(token))
    }

    /// Opens a token that is to let into `meeting` at `now`.
    pub fn open(
        &self,
        token: &str,
        meeting: &MeetingId,
        now: Timestamp,
    ) -> Result<PageClaims, PageTokenError> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(PageTokenError::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| PageTokenError::Invalid)?;
        let (nonce, sealed) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(PageTokenError::Invalid)?;
        let payload = Payload {
            msg: sealed,
            aad: PURPOSE,
        };
        let plain = self
            .cipher
            .decrypt(&Nonce::from(*nonce), payload)
            .map_err(|_| PageTokenError::Invalid)?;
        let claims: PageClaims =
            serde_json::from_slice(&plain).map_err(|_| PageTokenError::Invalid)?;
        if claims.meeting_id != *meeting {
            Err(PageTokenError::WrongMeeting)
        } else if claims.expires_at <= now.as_second() {
            Err(PageTokenError::Expired)
        } else {
            Ok(claims)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> PageTokens {
        PageTokens::new(&[7; 32])
    }

    fn now() -> Timestamp {
        "2026-12-01T12:00:00Z".parse().unwrap()
    }

    fn claims() -> PageClaims {
        PageClaims {
            meeting_id: MeetingId::mint(now(), 1),
            tenant_id: TenantId::default_tenant(),
            expires_at: now().as_second() + 60,
        }
    }

    #[test]
    fn a_token_lets_into_its_meeting_and_tells_nothing() {
        let token = tokens().seal(&claims(), [1; 12]);
        let opened = tokens().open(token.expose(), &claims().meeting_id, now());
        assert_eq!(opened, Ok(claims()));
        assert!(!token.expose().contains("mtg_"));
        assert_eq!(format!("{:?} {token:?}", tokens()), "PageTokens(***) ***");
    }

    #[test]
    fn another_meeting_another_key_and_a_later_hour_are_refused() {
        let token = tokens().seal(&claims(), [1; 12]);
        let open = |tokens: &PageTokens, meeting: &MeetingId, after: i64| {
            let at = Timestamp::from_second(now().as_second() + after).unwrap();
            tokens.open(token.expose(), meeting, at).unwrap_err()
        };
        let (own, other) = (claims().meeting_id, MeetingId::mint(now(), 2));
        assert_eq!(open(&tokens(), &other, 0), PageTokenError::WrongMeeting);
        assert_eq!(open(&tokens(), &own, 60), PageTokenError::Expired);
        let strange = PageTokens::new(&[8; 32]);
        assert_eq!(open(&strange, &own, 0), PageTokenError::Invalid);
    }

    proptest! {
        #[test]
        fn what_was_changed_or_made_up_does_not_open(at in 0_usize..200, bit in 0_u8..8, text in ".{0,80}") {
            let token = tokens().seal(&claims(), [1; 12]);
            let mut bytes = URL_SAFE_NO_PAD.decode(token.expose()).unwrap();
            let index = at % bytes.len();
            bytes[index] ^= 1 << bit;
            let changed = URL_SAFE_NO_PAD.encode(bytes);
            for forged in [changed.as_str(), text.as_str()] {
                prop_assert_eq!(
                    tokens().open(forged, &claims().meeting_id, now()),
                    Err(PageTokenError::Invalid)
                );
            }
        }
    }
}
