//! `ElevenLabs`, who gives the delegate its voice: text in, sound out.
//!
//! Reference: <https://elevenlabs.io/docs/api-reference/text-to-speech/convert>.

mod errors;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::{
    http::{Advice, CallError, FailureKind, HeaderValue, Method, Outcome, Request},
    retry,
    secret::Secret,
};

/// The fastest model of the vendor, and half the price of the others.
const MODEL: &str = "eleven_flash_v2_5";
/// Room for over 17 minutes at 4 kB/s.
const MAX_MP3_BYTES: usize = 4 * 1024 * 1024;
/// Room for over 8 minutes at 48 kB/s.
const MAX_PCM_BYTES: usize = 24 * 1024 * 1024;
/// What may stand in a path segment unencoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

const SYNTHESIZE_FULL: &str = "elevenlabs.synthesize_full";
const SYNTHESIZE_STREAM: &str = "elevenlabs.synthesize_stream";

/// How the sound is encoded, chosen by where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// mp3 at 22.05 kHz and 32 kbit/s: what a Recall bot plays.
    Mp3_22050_32,
    /// Raw 16-bit little-endian samples, mono, 24 kHz: what an avatar session takes.
    Pcm24000,
}

impl AudioFormat {
    /// Gives the vendor's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp3_22050_32 => "mp3_22050_32",
            Self::Pcm24000 => "pcm_24000",
        }
    }

    fn max_bytes(self) -> usize {
        match self {
            Self::Mp3_22050_32 => MAX_MP3_BYTES,
            Self::Pcm24000 => MAX_PCM_BYTES,
        }
    }
}

/// Something to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechRequest {
    /// The vendor's id of the voice.
    pub voice_id: String,
    /// The words; the vendor takes 40,000 characters at once.
    pub text: String,
    /// The encoding of the answer.
    pub format: AudioFormat,
    /// The language to hold to, as a tag, for example `en` or `de-DE`; else the vendor guesses.
    pub language: Option<String>,
}

/// Builds requests under one key.
#[derive(Clone, Debug)]
pub struct ElevenLabsTts {
    base_url: String,
    api_key: Secret,
}

impl ElevenLabsTts {
    /// Takes the host's base URL and a key.
    pub fn new(base_url: &str, api_key: Secret) -> Self {
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key,
        }
    }

    /// Asks for the whole sound at once.
    pub fn synthesize_full(&self, speech: &SpeechRequest) -> Request {
        self.synthesize(SYNTHESIZE_FULL, speech, "")
    }

    /// Asks for the sound as it is made. The answer is the same bytes, chunk by chunk.
    pub fn synthesize_stream(&self, speech: &SpeechRequest) -> Request {
        self.synthesize(SYNTHESIZE_STREAM, speech, "/stream")
    }

    /// Reads a whole answer: sound, and never an empty one.
    pub fn speech(outcome: Outcome) -> Result<Vec<u8>, CallError> {
        let response = errors::success(SYNTHESIZE_FULL, outcome)?;
        if response.body.is_empty() {
            return Err(CallError {
                operation: SYNTHESIZE_FULL.to_owned(),
                status: Some(response.status),
                code: None,
                kind: FailureKind::UnexpectedAnswer,
                reason: "no sound in the answer".to_owned(),
                advice: Advice::Retry { after: None },
                maybe_done: false,
            });
        }
        Ok(response.body)
    }

    fn synthesize(&self, operation: &'static str, speech: &SpeechRequest, suffix: &str) -> Request {
        let mut body = json!({"text": speech.text, "model_id": MODEL});
        if let Some(language) = speech.language.as_deref().and_then(language_code) {
            body["language_code"] = json!(language);
        }
        Request {
            operation,
            method: Method::Post,
            url: format!(
                "{}/v1/text-to-speech/{}{suffix}?output_format={}",
                self.base_url,
                utf8_percent_encode(&speech.voice_id, SEGMENT),
                speech.format.as_str()
            ),
            headers: vec![
                ("xi-api-key", HeaderValue::Secret(self.api_key.clone())),
                (
                    "content-type",
                    HeaderValue::Plain("application/json".to_owned()),
                ),
            ],
            body: Some(body.to_string().into_bytes()),
            deadline: retry::policy(operation).deadline,
            max_response_bytes: speech.format.max_bytes(),
        }
    }
}

/// Cuts a language tag down to its ISO 639-1 code, which is all the vendor takes.
fn language_code(tag: &str) -> Option<String> {
    let language = tag.split(['-', '_']).next()?;
    let plain = language.len() == 2 && language.bytes().all(|b| b.is_ascii_alphabetic());
    plain.then(|| language.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
