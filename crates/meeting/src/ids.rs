//! Ids with a visible prefix, minted from a timestamp and random bits that the caller draws.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Text that is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind} id")]
pub struct InvalidId {
    kind: &'static str,
}

/// Writes `{prefix}{ulid}` in lower case; ids minted later sort after earlier ones.
fn mint(prefix: &str, now: Timestamp, random: u128) -> String {
    let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let ulid = ulid::Ulid::from_parts(milliseconds, random);
    format!("{prefix}{}", ulid.to_string().to_ascii_lowercase())
}

fn is_minted(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.bytes().all(|b| !b.is_ascii_uppercase()) && ulid::Ulid::from_string(rest).is_ok()
    })
}

macro_rules! minted_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Mints an id from the time and 80 random bits.
            pub fn mint(now: Timestamp, random: u128) -> Self {
                Self(mint($prefix, now, random))
            }

            /// Gives the id as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_minted($prefix, text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { kind: $kind })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

minted_id!(
    /// A meeting: `mtg_…`.
    MeetingId, "mtg_", "meeting"
);
minted_id!(
    /// One thing the agent says: `utt_…`.
    UtteranceId, "utt_", "utterance"
);
minted_id!(
    /// An API key of a tenant, not the key itself: `key_…`.
    KeyId, "key_", "key"
);

/// A customer of this installation: 1 to 64 of `a-z0-9_-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(String);

impl TenantId {
    /// The tenant that `API_KEY` belongs to.
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }

    /// Gives the id as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId { kind: "tenant" })
        }
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Recall's id of a bot; opaque to us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BotId(pub String);

impl fmt::Display for BotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_id_parses_and_carries_its_prefix() {
        let id = MeetingId::mint(Timestamp::from_second(1_795_000_000).unwrap(), 7);
        assert!(id.as_str().starts_with("mtg_01"), "{id}");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert!(id.as_str().parse::<UtteranceId>().is_err());
    }

    #[test]
    fn ids_minted_later_sort_after_earlier_ones() {
        let early = MeetingId::mint(Timestamp::from_second(1_795_000_000).unwrap(), u128::MAX);
        let late = MeetingId::mint(Timestamp::from_second(1_795_000_001).unwrap(), 0);
        assert!(early < late);
    }

    #[test]
    fn tenant_ids_are_short_and_plain() {
        assert!("acme-2_x".parse::<TenantId>().is_ok());
        for bad in ["", "Acme", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
    }
}
