//! What a session is asked for: the address with all its parameters.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::SAMPLE_RATE;
use crate::{
    http::{HeaderValue, Method, Request},
    retry,
    secret::Secret,
};

/// The operation's name in logs and in the retry table.
pub(super) const LISTEN: &str = "deepgram.listen";

/// Silence after which a stretch of speech counts as finished, in milliseconds.
const ENDPOINTING_MS: u32 = 300;
/// The same where several languages are spoken: the vendor advises it for `multi`.
const ENDPOINTING_MULTI_MS: u32 = 100;
/// The pause between words that ends an utterance; the vendor's minimum, as interim results come once a second.
const UTTERANCE_END_MS: u32 = 1_000;
/// The vendor takes up to 500 tokens of key terms in all; a name has far fewer.
const MAX_KEYTERM_CHARACTERS: usize = 100;
/// Far fewer than the vendor's 100 terms.
const MAX_KEYTERMS: usize = 10;
/// What a refused handshake's body is read up to.
const MAX_REFUSAL_BYTES: usize = 16 * 1024;
/// The vendor's firewall has been seen to refuse handshakes that name no client.
const USER_AGENT: &str = concat!("attache/", env!("CARGO_PKG_VERSION"));
/// What may stand in a query value unencoded.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Whether and how speakers are told apart.
///
/// Telling them apart lowers the vendor's limit of concurrent streams from 150 to 50
/// (<https://developers.deepgram.com/reference/api-rate-limits>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diarization {
    /// `diarize_model=latest`.
    Latest,
    /// `diarize=true`, which the vendor has deprecated and which older installations understand.
    Legacy,
    /// Not at all.
    Off,
}

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// The host, `https://api.deepgram.com` unless configured otherwise.
    pub base_url: String,
    /// The key.
    pub api_key: Secret,
    /// The model, for example `nova-3`.
    pub model: String,
    /// What is spoken, as a BCP 47 tag, or `multi`.
    pub language: String,
    /// Whether speakers are told apart.
    pub diarization: Diarization,
    /// Names that are worth getting right.
    pub keyterms: Vec<String>,
    /// What the vendor's records call the session, for support: our meeting's id.
    pub reference: String,
}

impl ListenOptions {
    /// Builds the handshake; the one who sends it adds `Upgrade: websocket`.
    pub(super) fn request(&self) -> Request {
        Request {
            operation: LISTEN,
            method: Method::Get,
            url: self.url(),
            headers: vec![
                (
                    "authorization",
                    HeaderValue::Secret(Secret::new(format!("Token {}", self.api_key.expose()))),
                ),
                ("user-agent", HeaderValue::Plain(USER_AGENT.to_owned())),
            ],
            body: None,
            deadline: retry::policy(LISTEN).deadline,
            max_response_bytes: MAX_REFUSAL_BYTES,
        }
    }

    fn url(&self) -> String {
        let endpointing = if self.language == "multi" {
            ENDPOINTING_MULTI_MS
        } else {
            ENDPOINTING_MS
        };
        let mut query = vec![
            ("model", self.model.clone()),
            ("language", self.language.clone()),
            ("encoding", "linear16".to_owned()),
            ("sample_rate", SAMPLE_RATE.to_string()),
            ("channels", "1".to_owned()),
            ("smart_format", "true".to_owned()),
            ("interim_results", "true".to_owned()),
            ("endpointing", endpointing.to_string()),
            ("utterance_end_ms", UTTERANCE_END_MS.to_string()),
            ("vad_events", "true".to_owned()),
        ];
        match self.diarization {
            Diarization::Latest => query.push(("diarize_model", "latest".to_owned())),
            Diarization::Legacy => query.push(("diarize", "true".to_owned())),
            Diarization::Off => {}
        }
        query.extend(self.keyterms().into_iter().map(|term| ("keyterm", term)));
        query.push(("extra", format!("meeting_id:{}", self.reference)));
        let query: Vec<String> = query
            .into_iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(&value, VALUE)))
            .collect();
        let base = self.base_url.trim_end_matches('/');
        format!("{base}/v1/listen?{}", query.join("&"))
    }

    /// Only models of the third generation know key terms; others refuse the handshake.
    fn keyterms(&self) -> Vec<String> {
        let mut terms = Vec::new();
        if self.model.starts_with("nova-3") {
            for term in &self.keyterms {
                let term: String = term.trim().chars().take(MAX_KEYTERM_CHARACTERS).collect();
                if !term.is_empty() && !terms.contains(&term) && terms.len() < MAX_KEYTERMS {
                    terms.push(term);
                }
            }
        }
        terms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn options() -> ListenOptions {
        ListenOptions {
            base_url: "https://api.deepgram.com/".to_owned(),
            api_key: Secret::new("fake-deepgram-key"),
            model: "nova-3".to_owned(),
            language: "en-US".to_owned(),
            diarization: Diarization::Latest,
            keyterms: vec!["Ada".to_owned(), "Acme & Söhne".to_owned()],
            reference: "mtg_1".to_owned(),
        }
    }

    #[test]
    fn the_address_names_everything_the_session_needs() {
        let request = options().request();
        assert_eq!(
            request.url,
            "https://api.deepgram.com/v1/listen?model=nova-3&language=en-US&encoding=linear16\
             &sample_rate=16000&channels=1&smart_format=true&interim_results=true&endpointing=300\
             &utterance_end_ms=1000&vad_events=true&diarize_model=latest&keyterm=Ada\
             &keyterm=Acme%20%26%20S%C3%B6hne&extra=meeting_id%3Amtg_1"
        );
        assert!(!format!("{request:?}").contains("fake-deepgram-key"));
    }

    #[test]
    fn never_both_ways_of_telling_speakers_apart() {
        for (diarization, with, without) in [
            (Diarization::Latest, "diarize_model=latest", "diarize="),
            (Diarization::Legacy, "diarize=true", "diarize_model="),
            (Diarization::Off, "vad_events=true", "diarize"),
        ] {
            let url = ListenOptions {
                diarization,
                ..options()
            }
            .request()
            .url;
            assert!(url.contains(with) && !url.contains(without), "{url}");
        }
    }

    #[test]
    fn key_terms_are_only_for_models_that_know_them_and_never_empty_or_doubled() {
        let names = ["Ada", " ", "Ada", "Acme"].map(str::to_owned).to_vec();
        let with = |model: &str| ListenOptions {
            model: model.to_owned(),
            keyterms: names.clone(),
            ..options()
        };
        let url = with("nova-3-medical").request().url;
        assert_eq!(url.matches("keyterm=").count(), 2, "{url}");
        assert!(!with("nova-2").request().url.contains("keyterm"));
    }

    #[test]
    fn several_languages_end_sooner() {
        let url = ListenOptions {
            language: "multi".to_owned(),
            ..options()
        }
        .request()
        .url;
        assert!(url.contains("language=multi"), "{url}");
        assert!(url.contains("endpointing=100&"), "{url}");
    }
}
