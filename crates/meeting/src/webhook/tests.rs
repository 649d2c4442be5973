use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const BODY: &[u8] = br#"{"event":"bot.done"}"#;
const SENT: i64 = 1_793_527_200;

#[derive(Deserialize)]
struct Vector {
    source: String,
    secret: String,
    id: String,
    timestamp: String,
    body: String,
    signature: String,
}

type Headers = BTreeMap<String, String>;

fn headers(family: &str, id: &str, timestamp: &str, signature: &str) -> Headers {
    [
        ("id", id),
        ("timestamp", timestamp),
        ("signature", signature),
    ]
    .into_iter()
    .map(|(name, value)| (format!("{family}-{name}"), value.to_owned()))
    .collect()
}

fn sign(secret: &str, id: &str, body: &[u8]) -> String {
    let signer = standardwebhooks::Webhook::new(secret).unwrap();
    signer.sign(id, SENT, body).unwrap()
}

fn signed(family: &str, secret: &str) -> Headers {
    headers(
        family,
        "msg_1",
        &SENT.to_string(),
        &sign(secret, "msg_1", BODY),
    )
}

fn verify_with(
    secrets: &str,
    headers: &Headers,
    body: &[u8],
    now: i64,
) -> Result<MessageId, WebhookError> {
    let verifier = WebhookVerifier::new(&Secret::new(secrets)).unwrap();
    let now = Timestamp::from_second(now).unwrap();
    verifier.verify(|name| headers.get(name).cloned(), body, now)
}

fn verify(headers: &Headers) -> Result<MessageId, WebhookError> {
    verify_with(SECRET, headers, BODY, SENT)
}

#[test]
fn published_vectors_verify_under_both_header_families() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("fixtures/signature-vectors.json")).unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        for family in ["webhook", "svix"] {
            let headers = headers(family, &vector.id, &vector.timestamp, &vector.signature);
            let now = vector.timestamp.parse().unwrap();
            let verified = verify_with(&vector.secret, &headers, vector.body.as_bytes(), now);
            assert_eq!(verified.unwrap().as_str(), vector.id, "{}", vector.source);
            let other = verify_with(&vector.secret, &headers, b"x", now);
            assert_eq!(
                other,
                Err(WebhookError::NoMatchingSignature),
                "{}",
                vector.source
            );
        }
    }
}

#[test]
fn any_of_several_secrets_may_have_signed() {
    let both = format!(" {OTHER_SECRET}  {SECRET}\n");
    for secret in [SECRET, OTHER_SECRET] {
        assert!(verify_with(&both, &signed("webhook", secret), BODY, SENT).is_ok());
    }
    assert_eq!(
        verify_with(OTHER_SECRET, &signed("webhook", SECRET), BODY, SENT),
        Err(WebhookError::NoMatchingSignature)
    );
}

#[test]
fn any_of_several_signatures_may_match_and_unknown_versions_are_skipped() {
    let good = sign(SECRET, "msg_1", BODY);
    let old = sign(OTHER_SECRET, "msg_1", BODY);
    let asymmetric = good.replacen("v1,", "v1a,", 1);
    for (list, accepted) in [
        (format!("{old} {good}"), true),
        (format!("{asymmetric} v1,not/base64! {good}"), true),
        (format!("{asymmetric} {old}"), false),
        (good.trim_start_matches("v1,").to_owned(), false),
    ] {
        let headers = headers("webhook", "msg_1", &SENT.to_string(), &list);
        assert_eq!(verify(&headers).is_ok(), accepted, "{list}");
    }
}

#[test]
fn signatures_beyond_the_bound_are_not_tried() {
    let good = sign(SECRET, "msg_1", BODY);
    let many = format!("{}{good}", "v2,x ".repeat(MAX_SIGNATURES));
    let headers = headers("webhook", "msg_1", &SENT.to_string(), &many);
    assert_eq!(verify(&headers), Err(WebhookError::NoMatchingSignature));
}

#[test]
fn the_newer_family_wins_where_both_are_complete() {
    let mut both = signed("webhook", SECRET);
    both.extend(headers("svix", "msg_2", &SENT.to_string(), "v1,AAAA"));
    assert_eq!(verify(&both).unwrap().as_str(), "msg_1");

    let mut forged = headers("webhook", "msg_2", &SENT.to_string(), "v1,AAAA");
    forged.extend(signed("svix", SECRET));
    assert_eq!(verify(&forged), Err(WebhookError::NoMatchingSignature));
}

#[test]
fn an_incomplete_newer_family_falls_back_to_the_older_one() {
    let mut mixed = signed("svix", SECRET);
    mixed.insert("webhook-id".to_owned(), "msg_9".to_owned());
    assert_eq!(verify(&mixed).unwrap().as_str(), "msg_1");
}

#[test]
fn a_missing_header_is_named() {
    assert_eq!(
        verify(&Headers::new()),
        Err(WebhookError::MissingHeader("webhook-id"))
    );
    for family in ["webhook", "svix"] {
        for missing in ["id", "timestamp", "signature"] {
            let mut headers = signed(family, SECRET);
            let name = format!("{family}-{missing}");
            headers.remove(&name);
            let error = verify(&headers).unwrap_err().to_string();
            let expected = match name.as_str() {
                // Without its id nothing says that the older family was meant.
                "svix-id" => "webhook-id",
                name => name,
            };
            assert_eq!(error, format!("missing header {expected}"));
        }
    }
}

#[test]
fn five_minutes_either_way_are_tolerated_and_not_a_second_more() {
    let headers = signed("webhook", SECRET);
    for (now, expected) in [
        (SENT + 300, None),
        (SENT - 300, None),
        (SENT + 301, Some(WebhookError::TooOld(301))),
        (SENT - 301, Some(WebhookError::TooNew(301))),
    ] {
        assert_eq!(verify_with(SECRET, &headers, BODY, now).err(), expected);
    }
}

#[test]
fn a_timestamp_that_is_no_number_is_refused() {
    for timestamp in [
        "soon",
        "1793527200.5",
        " 1793527200",
        "99999999999999999999",
    ] {
        let headers = headers("svix", "msg_1", timestamp, "v1,AAAA");
        assert_eq!(
            verify(&headers),
            Err(WebhookError::InvalidTimestamp("svix-timestamp"))
        );
    }
}

#[test]
fn headers_of_absurd_length_are_refused() {
    for (header, length) in [
        ("webhook-id", MAX_FIELD_LENGTH),
        ("webhook-timestamp", MAX_FIELD_LENGTH),
        ("webhook-signature", MAX_SIGNATURE_HEADER_LENGTH),
    ] {
        let mut headers = signed("webhook", SECRET);
        headers.insert(header.to_owned(), "1".repeat(length + 1));
        assert_eq!(verify(&headers), Err(WebhookError::HeaderTooLong(header)));
    }
}

#[test]
fn bodies_that_are_not_text_are_verified_by_their_bytes() {
    let body = [0xff, 0x00, 0xfe];
    let mut mac: Hmac<Sha256> =
        Hmac::new_from_slice(&STANDARD.decode(&SECRET["whsec_".len()..]).unwrap()).unwrap();
    mac.update(format!("msg_1.{SENT}.").as_bytes());
    mac.update(&body);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let headers = headers("webhook", "msg_1", &SENT.to_string(), &signature);
    assert!(verify_with(SECRET, &headers, &body, SENT).is_ok());
}

#[test]
fn a_bad_secret_is_named_by_position_and_never_shown() {
    let error = |secrets: &str| WebhookVerifier::new(&Secret::new(secrets)).unwrap_err();
    assert_eq!(error("  "), WebhookSecretError::Empty);
    assert_eq!(error("fake"), WebhookSecretError::NoPrefix(1));
    assert_eq!(
        error(&format!("{SECRET} whsec_!!")),
        WebhookSecretError::NotBase64(2)
    );
    assert_eq!(error("whsec_"), WebhookSecretError::NotBase64(1));
    assert_eq!(
        error(&format!("{SECRET} ").repeat(9)),
        WebhookSecretError::TooMany
    );
    let verifier = WebhookVerifier::new(&Secret::new(SECRET)).unwrap();
    assert_eq!(format!("{verifier:?}"), "WebhookVerifier(1 secrets)");
}

proptest! {
    #[test]
    fn any_flipped_bit_of_the_body_is_noticed(at in 0..BODY.len(), bit in 0..8_u8) {
        let mut body = BODY.to_vec();
        body[at] ^= 1 << bit;
        let verified = verify_with(SECRET, &signed("webhook", SECRET), &body, SENT);
        prop_assert_eq!(verified, Err(WebhookError::NoMatchingSignature));
    }

    #[test]
    fn arbitrary_headers_never_panic_and_never_verify(
        id in ".{0,300}", timestamp in "[0-9-]{0,25}", signature in ".{0,200}", now in 0..4_000_000_000_i64,
    ) {
        let headers = headers("webhook", &id, &timestamp, &signature);
        prop_assert!(verify_with(SECRET, &headers, BODY, now).is_err());
    }
}
