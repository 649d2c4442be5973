//! Webhook signatures: is this request really Recall's?
//!
//! The scheme is Standard Webhooks under two header families, `webhook-*` and the older `svix-*`.
//! A WebSocket upgrade is signed like a request with an empty body.
//! Verification works on the raw bytes, so nothing unverified is ever parsed, and the time is an
//! argument: the `standardwebhooks` crate reads the system clock, which does not exist in wasm, and
//! serves the tests as an independent signer instead.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::secret::Secret;

/// How far the sender's clock may be from ours, both ways: the figure of the Standard Webhooks libraries.
const TOLERANCE_SECONDS: u64 = 5 * 60;
/// The longest message id and timestamp that are looked at; real ones have about 30 and 10 characters.
const MAX_FIELD_LENGTH: usize = 256;
/// The longest signature header: room for [`MAX_SIGNATURES`] of 47 characters each, and some more.
const MAX_SIGNATURE_HEADER_LENGTH: usize = 2_048;
/// How many signatures are tried; a rotation sends two.
const MAX_SIGNATURES: usize = 16;
/// How many secrets may be configured: workspace and endpoint, each with its predecessor, and some more.
const MAX_SECRETS: usize = 8;

/// The sender's id of a message; the same for every delivery of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// Gives the id as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A webhook secret that cannot be used; the secret itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookSecretError {
    /// Nothing but white space.
    #[error("no webhook secret is given")]
    Empty,
    /// More than can be rotated between.
    #[error("more than {MAX_SECRETS} webhook secrets are given")]
    TooMany,
    /// The secret at this position, from 1, does not start with `whsec_`.
    #[error("webhook secret {0} does not start with whsec_")]
    NoPrefix(usize),
    /// The secret at this position, from 1, is not base64 after its prefix.
    #[error("webhook secret {0} is not base64 after whsec_")]
    NotBase64(usize),
}

/// Why a request is not taken for Recall's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A header is not there; where none of either family is, the newer name is given.
    #[error("missing header {0}")]
    MissingHeader(&'static str),
    /// A header is too long.
    #[error("header {0} is too long")]
    HeaderTooLong(&'static str),
    /// The timestamp is not a number of seconds.
    #[error("header {0} is not a unix time in seconds")]
    InvalidTimestamp(&'static str),
    /// The message was signed too long ago.
    #[error("the timestamp is {0} s old, more than {TOLERANCE_SECONDS} s")]
    TooOld(u64),
    /// The message was signed in our future.
    #[error("the timestamp is {0} s ahead, more than {TOLERANCE_SECONDS} s")]
    TooNew(u64),
    /// No signature of the known version was made with one of our secrets.
    #[error("no signature matches")]
    NoMatchingSignature,
}

/// Checks signatures against one or more secrets.
#[derive(Clone)]
pub struct WebhookVerifier {
    /// Keyed already, so that each check only copies the state.
    keys: Vec<Hmac<Sha256>>,
}

impl fmt::Debug for WebhookVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookVerifier({} secrets)", self.keys.len())
    }
}

impl WebhookVerifier {
    /// Reads one or more secrets of the form `whsec_…`, separated by white space.
    #[expect(clippy::missing_panics_doc, reason = "HMAC takes keys of any length")]
    pub fn new(secrets: &Secret) -> Result<Self, WebhookSecretError> {
        let mut keys = Vec::new();
        for (index, secret) in secrets.expose().split_whitespace().enumerate() {
            if index == MAX_SECRETS {
                return Err(WebhookSecretError::TooMany);
            }
            let position = index + 1;
            let encoded = secret
                .strip_prefix("whsec_")
                .ok_or(WebhookSecretError::NoPrefix(position))?;
            let key = STANDARD
                .decode(encoded)
                .ok()
                .filter(|key| !key.is_empty())
                .ok_or(WebhookSecretError::NotBase64(position))?;
            keys.push(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"));
        }
        if keys.is_empty() {
            return Err(WebhookSecretError::Empty);
        }
        Ok(Self { keys })
    }

    /// Checks a request by its headers and raw body (empty for an upgrade) and gives its message id.
    ///
    /// `header` looks a header up by its lower-case name.
    pub fn verify(
        &self,
        header: impl Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<MessageId, WebhookError> {
        let signed = SignedHeaders::read(header)?;
        check_age(signed.sent_at, now)?;
        let mut content = Vec::with_capacity(signed.id.len() + signed.timestamp.len() + 2);
        content.extend_from_slice(signed.id.as_bytes());
        content.push(b'.');
        content.extend_from_slice(signed.timestamp.as_bytes());
        content.push(b'.');
        let candidates: Vec<Vec<u8>> = candidates(&signed.signatures).collect();
        let matches = self.keys.iter().any(|key| {
            let mut mac = key.clone();
            mac.update(&content);
            mac.update(body);
            // `verify_slice` takes the same time wherever the first difference is.
            candidates
                .iter()
                .any(|candidate| mac.clone().verify_slice(candidate).is_ok())
        });
        if matches {
            Ok(MessageId(signed.id))
        } else {
            Err(WebhookError::NoMatchingSignature)
        }
    }
}

/// The names of one header family.
struct Family {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

/// What workspace secrets sign with.
const STANDARD_FAMILY: Family = Family {
    id: "webhook-id",
    timestamp: "webhook-timestamp",
    signature: "webhook-signature",
};
/// What per-endpoint secrets of older accounts sign with.
const SVIX_FAMILY: Family = Family {
    id: "svix-id",
    timestamp: "svix-timestamp",
    signature: "svix-signature",
};

/// The headers of one family, complete and of bounded length.
struct SignedHeaders {
    id: String,
    timestamp: String,
    sent_at: i64,
    signatures: String,
}

impl SignedHeaders {
    /// Reads the `webhook-*` family if it is complete, else the `svix-*` family.
    fn read(header: impl Fn(&str) -> Option<String>) -> Result<Self, WebhookError> {
        let standard = Self::read_family(&STANDARD_FAMILY, &header);
        if !matches!(standard, Err(WebhookError::MissingHeader(_))) {
            return standard;
        }
        let any_standard = [
            STANDARD_FAMILY.id,
            STANDARD_FAMILY.timestamp,
            STANDARD_FAMILY.signature,
        ]
        .iter()
        .any(|name| header(name).is_some());
        match Self::read_family(&SVIX_FAMILY, &header) {
            // Nothing of the older family either: complain in the newer one's words.
            Err(WebhookError::MissingHeader(name)) if any_standard || name == SVIX_FAMILY.id => {
                standard
            }
            svix => svix,
        }
    }

    fn read_family(
        family: &Family,
        header: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, WebhookError> {
        let read = |name: &'static str, limit: usize| match header(name) {
            None => Err(WebhookError::MissingHeader(name)),
            Some(value) if value.is_empty() => Err(WebhookError::MissingHeader(name)),
            Some(value) if value.len() > limit => Err(WebhookError::HeaderTooLong(name)),
            Some(value) => Ok(value),
        };
        let id = read(family.id, MAX_FIELD_LENGTH)?;
        let timestamp = read(family.timestamp, MAX_FIELD_LENGTH)?;
        let signatures = read(family.signature, MAX_SIGNATURE_HEADER_LENGTH)?;
        let sent_at = timestamp
            .parse()
            .map_err(|_| WebhookError::InvalidTimestamp(family.timestamp))?;
        Ok(Self {
            id,
            timestamp,
            sent_at,
            signatures,
        })
    }
}

fn check_age(sent_at: i64, now: Timestamp) -> Result<(), WebhookError> {
    let now = now.as_second();
    let distance = now.abs_diff(sent_at);
    if distance <= TOLERANCE_SECONDS {
        Ok(())
    } else if sent_at < now {
        Err(WebhookError::TooOld(distance))
    } else {
        Err(WebhookError::TooNew(distance))
    }
}

/// The decoded `v1` entries of a signature header; other versions and bad base64 are skipped.
fn candidates(signatures: &str) -> impl Iterator<Item = Vec<u8>> {
    signatures
        .split_ascii_whitespace()
        .take(MAX_SIGNATURES)
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .filter_map(|encoded| STANDARD.decode(encoded).ok())
}

#[cfg(test)]
mod tests;
