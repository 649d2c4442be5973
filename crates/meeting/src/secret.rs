//! A secret that cannot be printed.

use std::fmt;

use subtle::ConstantTimeEq;

/// Holds a credential; `Debug` and `Display` print stars, and reading it takes an explicit call.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Gives the credential itself, for putting it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares with a candidate in constant time (lengths are not hidden).
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.as_bytes().ct_eq(candidate.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_secret_shows_stars() {
        let secret = Secret::new("fake-key");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn only_the_same_value_matches() {
        let secret = Secret::new("fake-key");
        assert!(secret.matches("fake-key"));
        assert!(!secret.matches("fake-kez"));
        assert!(!secret.matches("fake"));
    }
}
