//! Pre-signed download URLs: made fresh for each answer, good for some hours, for anybody who has
//! them and for nobody who adds credentials.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use super::ids::hex;
use crate::answer::Answer;

/// Makes and checks download URLs.
#[derive(Debug)]
pub(crate) struct Presigner {
    pub(crate) base_url: String,
    pub(crate) lifetime: Duration,
    pub(crate) key: [u8; 8],
    nonce: u64,
}

/// Why a URL does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    Expired,
    BadSignature,
}

impl Presigner {
    pub(crate) fn new(base_url: String, lifetime: Duration, seed: u64) -> Self {
        Self {
            base_url,
            lifetime,
            key: seed.to_be_bytes(),
            nonce: 0,
        }
    }

    /// A URL for media in the bucket.
    pub(crate) fn media(&mut self, kind: &str, id: &str, now: Timestamp) -> String {
        let query = self.query(kind, id, now);
        format!("{}/media/{kind}/{id}?{query}", self.base_url)
    }

    /// A URL for the participant list, which the region's own host serves.
    pub(crate) fn participants(&mut self, id: &str, now: Timestamp) -> String {
        let query = self.query("participants", id, now);
        format!(
            "{}/api/v1/download/participants?id={id}&{query}",
            self.base_url
        )
    }

    fn query(&mut self, kind: &str, id: &str, now: Timestamp) -> String {
        self.nonce += 1;
        let expires = (now + self.lifetime).as_second();
        let nonce = self.nonce;
        let token = self.token(kind, id, expires, nonce);
        format!("expires={expires}&nonce={nonce}&token={token}")
    }

    fn token(&self, kind: &str, id: &str, expires: i64, nonce: u64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any key length will do");
        mac.update(format!("{kind}/{id}/{expires}/{nonce}").as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    pub(crate) fn check(
        &self,
        kind: &str,
        id: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<(), Unusable> {
        let value = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        let expires = value("expires")
            .and_then(|text| text.parse().ok())
            .ok_or(Unusable::BadSignature)?;
        let nonce = value("nonce")
            .and_then(|text| text.parse().ok())
            .ok_or(Unusable::BadSignature)?;
        if value("token").as_deref() != Some(self.token(kind, id, expires, nonce).as_str()) {
            return Err(Unusable::BadSignature);
        }
        if expires <= now.as_second() {
            Err(Unusable::Expired)
        } else {
            Ok(())
        }
    }
}

/// An error as the bucket words it.
pub(crate) fn bucket_error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer::bytes(status, "application/xml", body)
}
