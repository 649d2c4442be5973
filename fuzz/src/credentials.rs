//! Signatures of webhooks and tokens of pages: nothing is accepted that was not signed or sealed with our secrets.
//!
//! Whether a signature is one is worked out here once more, by the standard alone.

use arbitrary::{Arbitrary, Unstructured};
use attache_meeting::{
    ids::{MeetingId, TenantId},
    page_token::{NONCE_BYTES, PageClaims, PageTokenError, PageTokens},
    secret::Secret,
    webhook::WebhookVerifier,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use crate::script::start_of_time;

const KEYS: [&[u8]; 3] = [
    b"the workspace's fake secret",
    b"an endpoint's fake secret",
    b"a secret of somebody else",
];
/// How far the sender's clock may be off, in seconds.
const TOLERANCE: u64 = 300;

/// Makes a request that is signed, or not quite.
#[derive(Arbitrary, Debug)]
struct Attempt<'a> {
    newer_family: bool,
    both_families: bool,
    /// Which secrets we have: one of the first two, or both.
    secrets: u8,
    author: u8,
    id: &'a str,
    seconds_off: i16,
    timestamp: Option<&'a str>,
    before: &'a str,
    after: &'a str,
    change: Option<Change<'a>>,
    /// A token that somebody made up, and a way to change a real one.
    token: &'a str,
    flipped: u16,
    expires_at: i64,
    now: i64,
    configured: &'a str,
    body: &'a [u8],
}

/// What happens to a request after it was signed.
#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Id(&'a str),
    Timestamp(&'a str),
    Body(&'a [u8]),
    Signature(&'a str),
    Version(&'a str),
}

struct Sent {
    id: String,
    timestamp: String,
    signatures: String,
    body: Vec<u8>,
}

/// Checks one input: an attempt, in the fuzzer's own encoding.
pub fn check(data: &[u8]) {
    let Ok(attempt) = Attempt::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    signatures(&attempt);
    tokens(&attempt);
    secrets(attempt.configured);
}

fn signatures(attempt: &Attempt<'_>) {
    let ours: &[&[u8]] = match attempt.secrets % 3 {
        0 => &KEYS[..1],
        1 => &KEYS[1..2],
        _ => &KEYS[..2],
    };
    let configured: Vec<String> = ours
        .iter()
        .map(|key| format!("whsec_{}", STANDARD.encode(key)))
        .collect();
    let verifier = WebhookVerifier::new(&Secret::new(configured.join(" ")))
        .expect("the secrets are well formed");
    let now = start_of_time();
    let sent_at = now.as_second() + i64::from(attempt.seconds_off);
    let timestamp = attempt
        .timestamp
        .map_or_else(|| sent_at.to_string(), str::to_owned);
    let author = KEYS[usize::from(attempt.author) % KEYS.len()];
    let genuine = sign(author, attempt.id, &timestamp, attempt.body);
    let mut sent = Sent {
        id: attempt.id.to_owned(),
        signatures: format!(
            "{} v1,{} {}",
            attempt.before,
            STANDARD.encode(genuine),
            attempt.after
        ),
        timestamp,
        body: attempt.body.to_vec(),
    };
    match &attempt.change {
        None => {}
        Some(Change::Id(id)) => (*id).clone_into(&mut sent.id),
        Some(Change::Timestamp(at)) => (*at).clone_into(&mut sent.timestamp),
        Some(Change::Body(body)) => sent.body = body.to_vec(),
        Some(Change::Signature(text)) => (*text).clone_into(&mut sent.signatures),
        Some(Change::Version(version)) => {
            sent.signatures = sent.signatures.replace("v1,", version);
        }
    }
    let families: &[&str] = match (attempt.both_families, attempt.newer_family) {
        (true, _) => &["webhook-", "svix-"],
        (false, true) => &["webhook-"],
        (false, false) => &["svix-"],
    };
    let header = |name: &str| {
        let part = families
            .iter()
            .find_map(|family| name.strip_prefix(family))?;
        match part {
            "id" => Some(sent.id.clone()),
            "timestamp" => Some(sent.timestamp.clone()),
            "signature" => Some(sent.signatures.clone()),
            _ => None,
        }
    };
    let outcome = verifier.verify(header, &sent.body, now);
    let genuine = is_signed(ours, &sent) && is_recent(&sent.timestamp, now);
    if outcome.is_ok() {
        assert!(genuine, "accepted, and nobody signed it: {attempt:?}");
    }
    // What is signed is refused only where it is beyond the bounds that are documented.
    let bounded = (1..=256).contains(&sent.id.len())
        && sent.timestamp.len() <= 256
        && sent.signatures.len() <= 2_048
        && sent.signatures.split_ascii_whitespace().count() <= 16;
    if genuine && bounded {
        assert_eq!(outcome.expect("it is signed").as_str(), sent.id);
    }
}

fn sign(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

fn is_signed(keys: &[&[u8]], sent: &Sent) -> bool {
    keys.iter().any(|key| {
        let signature = sign(key, &sent.id, &sent.timestamp, &sent.body);
        let entry = format!("v1,{}", STANDARD.encode(signature));
        sent.signatures
            .split_ascii_whitespace()
            .any(|part| part == entry)
    })
}

fn is_recent(timestamp: &str, now: Timestamp) -> bool {
    timestamp
        .parse::<i64>()
        .is_ok_and(|at| now.as_second().abs_diff(at) <= TOLERANCE)
}

fn tokens(attempt: &Attempt<'_>) {
    let tokens = PageTokens::new(&[7; 32]);
    let now = Timestamp::from_second(attempt.now).unwrap_or_else(|_| start_of_time());
    let claims = PageClaims {
        meeting_id: MeetingId::mint(start_of_time(), u128::from(attempt.author)),
        tenant_id: TenantId::default_tenant(),
        expires_at: attempt.expires_at,
    };
    let other = MeetingId::mint(start_of_time(), 1_000);
    let sealed = tokens.seal(&claims, [attempt.secrets; NONCE_BYTES]);
    let sealed = sealed.expose();
    let opened = tokens.open(sealed, &claims.meeting_id, now);
    let expected = if now.as_second() < claims.expires_at {
        Ok(claims.clone())
    } else {
        Err(PageTokenError::Expired)
    };
    assert_eq!(opened, expected, "{attempt:?}");
    assert!(tokens.open(sealed, &other, now).is_err());
    assert!(
        PageTokens::new(&[8; 32])
            .open(sealed, &claims.meeting_id, now)
            .is_err()
    );

    let mut changed = sealed.as_bytes().to_vec();
    let at = usize::from(attempt.flipped) % changed.len();
    let with = attempt.flipped.to_be_bytes()[0] & 0x7f;
    if changed[at] != with {
        changed[at] = with;
        let changed = String::from_utf8(changed).expect("it is ASCII");
        let opened = tokens.open(&changed, &claims.meeting_id, now);
        assert_eq!(opened, Err(PageTokenError::Invalid), "{changed}");
    }
    if attempt.token != sealed {
        let opened = tokens.open(attempt.token, &claims.meeting_id, now);
        assert_eq!(opened, Err(PageTokenError::Invalid), "{:?}", attempt.token);
    }
}

fn secrets(configured: &str) {
    let secret = Secret::new(configured);
    assert_eq!(format!("{secret:?}{secret}"), "******");
    let parts: Vec<&str> = configured.split_whitespace().collect();
    let sound = |part: &&str| {
        let key = part
            .strip_prefix("whsec_")
            .and_then(|part| STANDARD.decode(part).ok());
        key.is_some_and(|key| !key.is_empty())
    };
    let usable = (1..=8).contains(&parts.len()) && parts.iter().all(sound);
    assert_eq!(
        WebhookVerifier::new(&secret).is_ok(),
        usable,
        "{configured:?}"
    );
}
