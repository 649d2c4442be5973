//! The messages of the vendor, as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ear::HeardWord;
use super::query::Parameters;
use super::transcriber::Window;

/// What is told of a word that was recognised, and of sound that was not.
const SURE: f64 = 0.9912;
const UNSURE: f64 = 0.4113;
/// Times carry as many decimals as a sample needs.
const DECIMALS: f64 = 1e7;

/// What all messages of one stream have in common.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) request_id: String,
    pub(crate) model_uuid: String,
    pub(crate) parameters: Parameters,
    /// Mix in what newer versions of the vendor's service send.
    pub(crate) newer: bool,
}

impl Stamp {
    /// The seconds of a place in the stream.
    pub(crate) fn seconds(&self, bytes: u64) -> f64 {
        let samples = bytes / 2;
        let rate = f64::from(self.parameters.sample_rate.max(1));
        #[expect(clippy::cast_precision_loss, reason = "no stream has 2^52 samples")]
        let seconds = samples as f64 / rate;
        (seconds * DECIMALS).round() / DECIMALS
    }

    /// Results of a window; `speaker` numbers the speakers.
    pub(crate) fn results(
        &self,
        window: &Window,
        mut speaker: impl FnMut(Option<&str>) -> usize,
    ) -> Value {
        let parameters = &self.parameters;
        let words: Vec<Value> = window
            .words
            .iter()
            .map(|word| self.word(word, speaker(word.speaker.as_deref())))
            .collect();
        let shown = if parameters.punctuated {
            "punctuated_word"
        } else {
            "word"
        };
        let transcript: Vec<&str> = words
            .iter()
            .filter_map(|word| word[shown].as_str())
            .collect();
        let mut alternative = json!({ "transcript": transcript.join(" "), "confidence": mean_confidence(&words), "words": words });
        if parameters.multilingual || self.newer {
            alternative["languages"] = if window.words.is_empty() {
                json!([])
            } else {
                json!(["en"])
            };
        }
        let mut results = json!({
            "type": "Results",
            "channel_index": [0, 1],
            "duration": self.seconds(window.end - window.begin),
            "start": self.seconds(window.begin),
            "is_final": window.is_final,
            "speech_final": window.speech_final,
            "channel": { "alternatives": [alternative] },
            "metadata": self.metadata(),
            "from_finalize": window.from_finalize,
        });
        if window.is_final && (parameters.entities || self.newer) {
            results["entities"] = json!([]);
        }
        if self.newer {
            results["loudness"] = json!({ "lufs": -21.5, "clipped": false });
        }
        results
    }

    fn word(&self, word: &HeardWord, speaker: usize) -> Value {
        let known = word.speaker.is_some();
        let mut told = json!({
            "word": if known { bare(&word.text) } else { word.text.clone() },
            "start": self.seconds(word.begin),
            "end": self.seconds(word.end),
            "confidence": if known { SURE } else { UNSURE },
        });
        if self.parameters.punctuated {
            told["punctuated_word"] = json!(word.text);
        }
        if self.parameters.diarized {
            told["speaker"] = json!(speaker);
        }
        if self.parameters.multilingual || self.newer {
            told["language"] = json!("en");
        }
        told
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({
            "request_id": self.request_id,
            "model_info": { "name": "general-simulated", "version": "2026-11-01.0", "arch": self.arch() },
            "model_uuid": self.model_uuid,
        });
        if !self.parameters.extra.is_empty() {
            metadata["extra"] = json!(self.parameters.extra);
        }
        if self.newer && self.parameters.diarized {
            metadata["diarize_info"] = json!({ "name": "diarize-simulated", "version": "v1" });
        }
        metadata
    }

    fn arch(&self) -> &str {
        if self.parameters.is_nova_3() {
            "nova-3"
        } else {
            &self.parameters.model
        }
    }

    pub(crate) fn speech_started(&self, at: u64) -> Value {
        json!({ "type": "SpeechStarted", "channel": [0, 1], "timestamp": self.seconds(at) })
    }

    pub(crate) fn utterance_end(&self, last_word_end: u64) -> Value {
        json!({ "type": "UtteranceEnd", "channel": [0, 1], "last_word_end": self.seconds(last_word_end) })
    }

    /// The last message of a stream.
    pub(crate) fn summary(&self, sha256: &str, created: Timestamp, bytes: u64) -> Value {
        json!({ "type": "Metadata", "transaction_key": "deprecated", "request_id": self.request_id,
            "sha256": sha256, "created": created.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            "duration": self.seconds(bytes), "channels": 1 })
    }

    pub(crate) fn configured(&self, keyterms: &[String]) -> Value {
        json!({ "type": "ConfigureSuccess", "request_id": self.request_id, "keyterms": keyterms })
    }

    pub(crate) fn not_configured(&self, code: &str, description: &str) -> Value {
        json!({ "type": "ConfigureFailure", "request_id": self.request_id, "code": code, "description": description })
    }

    /// Messages nobody asked for, one after the other: known to newer clients, or to none.
    pub(crate) fn newcomer(&self, number: usize) -> Value {
        match number % 4 {
            0 => {
                json!({ "type": "AmbienceReport", "channel": [0, 1], "noise_db": -61.2, "tags": ["office"] })
            }
            1 => self.configured(&self.parameters.keyterms),
            2 => self.not_configured("CONFIGURE_INTERNAL_ERROR", "nothing was changed"),
            _ => schema_error("a notice that concerns no message", ""),
        }
    }
}

/// The answer to a text message that cannot be read.
pub(crate) fn schema_error(description: &str, message: &str) -> Value {
    json!({ "type": "Error", "variant": "SchemaError", "description": description, "message": message })
}

/// A word without its punctuation, in lower case.
fn bare(text: &str) -> String {
    text.trim_matches(|letter: char| !letter.is_alphanumeric())
        .to_lowercase()
}

fn mean_confidence(words: &[Value]) -> f64 {
    let all: Vec<f64> = words
        .iter()
        .filter_map(|word| word["confidence"].as_f64())
        .collect();
    let count = u32::try_from(all.len()).expect("a window is a few seconds long");
    if count == 0 {
        0.0
    } else {
        all.iter().sum::<f64>() / f64::from(count)
    }
}
