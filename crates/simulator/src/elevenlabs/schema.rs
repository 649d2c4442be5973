//! The request schema of text to speech, and the models.
//!
//! Stricter than the vendor in two ways, on purpose: a field nobody knows is refused, so that a typo
//! shows, and `model_id` has to be given, because its default is a slow model.

use serde_json::{Map, Value, json};

use super::errors::{schema_error, unprocessable};
use super::formats::Format;
use crate::answer::{Answer, Request};

/// A model and what it takes.
#[derive(Debug)]
pub(crate) struct ModelInfo {
    pub(crate) id: &'static str,
    /// Whether plain text to speech can use it.
    pub(crate) speaks: bool,
    pub(crate) max_chars: usize,
}

pub(crate) const MODELS: [ModelInfo; 9] = [
    ModelInfo {
        id: "eleven_flash_v2_5",
        speaks: true,
        max_chars: 40_000,
    },
    ModelInfo {
        id: "eleven_flash_v2",
        speaks: true,
        max_chars: 30_000,
    },
    ModelInfo {
        id: "eleven_turbo_v2_5",
        speaks: true,
        max_chars: 40_000,
    },
    ModelInfo {
        id: "eleven_turbo_v2",
        speaks: true,
        max_chars: 30_000,
    },
    ModelInfo {
        id: "eleven_multilingual_v2",
        speaks: true,
        max_chars: 10_000,
    },
    ModelInfo {
        id: "eleven_v3",
        speaks: true,
        max_chars: 5_000,
    },
    ModelInfo {
        id: "eleven_v3_conversational",
        speaks: false,
        max_chars: 5_000,
    },
    ModelInfo {
        id: "eleven_v4",
        speaks: false,
        max_chars: 10_000,
    },
    ModelInfo {
        id: "eleven_v4_turbo",
        speaks: false,
        max_chars: 10_000,
    },
];

pub(crate) fn model(id: &str) -> Option<&'static ModelInfo> {
    MODELS.iter().find(|model| model.id == id)
}

/// A request that fits the schema.
#[derive(Debug)]
pub(crate) struct Speech {
    pub(crate) text: String,
    pub(crate) model_id: String,
    pub(crate) format: Format,
    body: Map<String, Value>,
    logging: bool,
}

impl Speech {
    /// Flash and Turbo cost half.
    pub(crate) fn cost(&self) -> usize {
        let chars = self.text.chars().count();
        let half = self.model_id.contains("flash") || self.model_id.contains("turbo");
        if half { chars.div_ceil(2) } else { chars }
    }

    /// What the service, not the schema, says about the voice settings.
    pub(crate) fn wrong_setting(&self) -> Option<&'static str> {
        let speed = self.body.get("voice_settings")?.get("speed")?.as_f64()?;
        (!(0.7..=1.2).contains(&speed)).then_some("speed must be between 0.7 and 1.2.")
    }

    /// Zero retention, and forced normalization on the fast models.
    pub(crate) fn needs_enterprise(&self) -> bool {
        let normalized = self
            .body
            .get("apply_text_normalization")
            .and_then(Value::as_str)
            == Some("on");
        !self.logging || (normalized && self.model_id.ends_with("_v2_5"))
    }
}

/// Checks a request against the schema; every problem is listed.
pub(crate) fn read(request: &Request) -> Result<Speech, Answer> {
    let mut errors = Vec::new();
    let mut format = Some(Format::Mp3 {
        rate: 44_100,
        kbits: 128,
    });
    let mut logging = true;
    for (name, value) in
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
    {
        let fine = match name.as_ref() {
            "output_format" => {
                format = Format::parse(&value);
                format.is_some()
            }
            "optimize_streaming_latency" => matches!(value.as_ref(), "0" | "1" | "2" | "3" | "4"),
            "enable_logging" => {
                logging = value != "false";
                matches!(value.as_ref(), "true" | "false")
            }
            _ => {
                errors.push(schema_error(
                    &["query", &name],
                    "Extra inputs are not permitted",
                    "extra_forbidden",
                ));
                continue;
            }
        };
        if !fine {
            errors.push(schema_error(
                &["query", &name],
                "Input should be one of the allowed values",
                "enum",
            ));
        }
    }
    let body: Value = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
    let content_type = request
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|value| value.starts_with("application/json"));
    let Value::Object(body) = body else {
        errors.push(schema_error(&["body"], "JSON decode error", "json_invalid"));
        return Err(unprocessable(&errors));
    };
    if !is_json {
        errors.push(schema_error(
            &["body"],
            "Input should be a valid dictionary",
            "model_attributes_type",
        ));
    }
    check_body(&body, &mut errors);
    let Some(format) = format.filter(|_| errors.is_empty()) else {
        return Err(unprocessable(&errors));
    };
    let text_of = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(Speech {
        text: text_of("text"),
        model_id: text_of("model_id"),
        format,
        logging,
        body,
    })
}

fn check_body(body: &Map<String, Value>, errors: &mut Vec<Value>) {
    for name in ["text", "model_id"] {
        if !body.contains_key(name) {
            errors.push(schema_error(&["body", name], "Field required", "missing"));
        }
    }
    for (name, value) in body {
        let problem = match name.as_str() {
            "text" | "model_id" => expect(value.is_string(), "string_type"),
            "language_code" | "previous_text" | "next_text" => {
                expect(value.is_string() || value.is_null(), "string_type")
            }
            "voice_settings" if value.is_null() => None,
            "voice_settings" => {
                check_voice_settings(value, errors);
                None
            }
            "seed" => expect(
                value.is_null()
                    || value
                        .as_u64()
                        .is_some_and(|seed| u32::try_from(seed).is_ok()),
                "int_type",
            ),
            "previous_request_ids" | "next_request_ids" | "pronunciation_dictionary_locators" => {
                expect(
                    value.is_null() || value.as_array().is_some_and(|list| list.len() <= 3),
                    "too_long",
                )
            }
            "apply_text_normalization" => expect(
                matches!(value.as_str(), Some("auto" | "on" | "off")),
                "enum",
            ),
            "apply_language_text_normalization" | "use_pvc_as_ivc" => {
                expect(value.is_boolean(), "bool_type")
            }
            _ => Some("extra_forbidden"),
        };
        if let Some(kind) = problem {
            errors.push(schema_error(&["body", name], message(kind), kind));
        }
    }
}

fn check_voice_settings(value: &Value, errors: &mut Vec<Value>) {
    let Some(settings) = value.as_object() else {
        errors.push(schema_error(
            &["body", "voice_settings"],
            message("model_type"),
            "model_type",
        ));
        return;
    };
    for (name, value) in settings {
        let problem = match name.as_str() {
            "stability" | "similarity_boost" | "style" => {
                let fine = value
                    .as_f64()
                    .is_some_and(|number| (0.0..=1.0).contains(&number));
                expect(fine || value.is_null(), "less_than_equal")
            }
            "speed" => expect(value.is_number() || value.is_null(), "float_type"),
            "use_speaker_boost" => expect(value.is_boolean() || value.is_null(), "bool_type"),
            _ => Some("extra_forbidden"),
        };
        if let Some(kind) = problem {
            errors.push(json!({ "loc": ["body", "voice_settings", name], "msg": message(kind), "type": kind }));
        }
    }
}

fn expect(fine: bool, kind: &'static str) -> Option<&'static str> {
    (!fine).then_some(kind)
}

fn message(kind: &str) -> &'static str {
    match kind {
        "string_type" => "Input should be a valid string",
        "int_type" => "Input should be a valid integer between 0 and 4294967295",
        "float_type" => "Input should be a valid number",
        "bool_type" => "Input should be a valid boolean",
        "too_long" => "List should have at most 3 items after validation",
        "enum" => "Input should be 'auto', 'on' or 'off'",
        "less_than_equal" => "Input should be between 0 and 1",
        "extra_forbidden" => "Extra inputs are not permitted",
        _ => "Input should be a valid dictionary",
    }
}
