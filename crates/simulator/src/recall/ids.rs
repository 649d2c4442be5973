//! Ids and chance, both from a seed: the same seed gives the same meeting.

use sha2::{Digest as _, Sha256};

#[derive(Debug)]
pub(crate) struct Ids {
    seed: u64,
    next: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, next: 0 }
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let mut bytes = self.bytes();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let text = hex(&bytes);
        format!(
            "{}-{}-{}-{}-{}",
            &text[..8],
            &text[8..12],
            &text[12..16],
            &text[16..20],
            &text[20..]
        )
    }

    /// A webhook message id.
    pub(crate) fn message(&mut self) -> String {
        format!("msg_{}", &hex(&self.bytes())[..27])
    }

    fn bytes(&mut self) -> [u8; 16] {
        self.next += 1;
        let hash: [u8; 32] =
            Sha256::digest([self.seed.to_be_bytes(), self.next.to_be_bytes()].concat()).into();
        *hash.first_chunk().expect("a hash is longer than an id")
    }
}

/// A fraction from 0 to 1 that depends on nothing but its arguments.
pub(crate) fn fraction(seed: u64, index: u64) -> f64 {
    let hash: [u8; 32] = Sha256::digest([seed.to_be_bytes(), index.to_be_bytes()].concat()).into();
    let [a, b, c, d, ..] = hash;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
