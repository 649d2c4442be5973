//! `ElevenLabs` as a model: a request and the number of running ones in, an answer out.
//!
//! Checks come in the vendor's order: the schema first (422, even without a key), then the key,
//! then what only the service can know (voice, model, plan, length).

mod errors;
mod formats;
mod schema;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::json;

use self::errors::refuse;
pub(crate) use self::errors::{Shape, for_status};
use self::formats::Format;
use self::schema::Speech;
use crate::answer::{Answer, Request};
use crate::operation::{Operation, Route};
use crate::recall::ids::Ids;
use crate::spoken::Spoken;

/// How the simulated `ElevenLabs` is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) api_key: String,
    pub(crate) unknown_voices: Vec<String>,
    /// Requests that may run at once, if that is limited.
    pub(crate) concurrency: Option<usize>,
    pub(crate) legacy_errors: bool,
    pub(crate) seed: u64,
}

/// The simulated account.
#[derive(Debug)]
pub(crate) struct Model {
    settings: Settings,
    ids: Ids,
    spoken: Arc<Spoken>,
    running: usize,
}

/// The plan's limit that the headers tell where no limit is set.
const DEFAULT_CONCURRENCY: usize = 10;

impl Model {
    pub(crate) fn new(settings: Settings, spoken: Arc<Spoken>) -> Self {
        let ids = Ids::new(settings.seed.wrapping_add(1));
        Self {
            settings,
            ids,
            spoken,
            running: 0,
        }
    }

    /// A request's answer begins to be made: it counts against the limit until [`Self::done`].
    pub(crate) fn started(&mut self) {
        self.running += 1;
    }

    pub(crate) fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    fn shape(&self) -> Shape {
        if self.settings.legacy_errors {
            Shape::Legacy
        } else {
            Shape::Current
        }
    }

    /// Answers a request. `forced` replaces the call's own work and its answer.
    pub(crate) fn handle(
        &mut self,
        route: &Route,
        request: &Request,
        forced: Option<Answer>,
    ) -> Answer {
        let speech = matches!(
            route.operation,
            Operation::TextToSpeech | Operation::TextToSpeechStream
        );
        let answer = if speech {
            self.speak(route, request, forced)
        } else {
            self.look_up(route, request, forced)
        };
        let id = self.ids.uuid().replace('-', "");
        match answer {
            Ok(answer) => answer
                .with_header("request-id", &id)
                .with_header("x-trace-id", &id),
            Err(refusal) => refusal.with_header("x-trace-id", &id),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "two calls come here")]
    fn look_up(
        &self,
        route: &Route,
        request: &Request,
        forced: Option<Answer>,
    ) -> Result<Answer, Answer> {
        self.authenticate(request)?;
        Ok(forced.unwrap_or_else(|| match route.operation {
            Operation::ListModels => list_models(),
            _ => self.retrieve_voice(&route.id),
        }))
    }

    fn speak(
        &mut self,
        route: &Route,
        request: &Request,
        forced: Option<Answer>,
    ) -> Result<Answer, Answer> {
        let streamed = route.operation == Operation::TextToSpeechStream;
        let speech = schema::read(request)?;
        self.authenticate(request)?;
        if let Some(forced) = forced {
            return Ok(forced);
        }
        self.check(route, &speech, streamed)?;
        let Some(audio) = speech.format.speak(&speech.text) else {
            let text = "the simulator has no sound in this format";
            return Err(refuse(
                501,
                "not_implemented",
                "not_implemented",
                text,
                self.shape(),
            ));
        };
        let rate = speech.format.sample_rate();
        self.spoken.remember(&audio, &speech.text, rate);
        let concurrency = self.settings.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
        let answer = Answer::bytes(200, speech.format.content_type(), audio)
            .with_header("character-cost", &speech.cost().to_string())
            .with_header("current-concurrent-requests", &self.running.to_string())
            .with_header("maximum-concurrent-requests", &concurrency.to_string());
        Ok(if streamed { answer.in_pieces() } else { answer })
    }

    fn authenticate(&self, request: &Request) -> Result<(), Answer> {
        let headers = request.headers();
        let shape = self.shape();
        let refuse = |code, message| refuse(401, "authentication_error", code, message, shape);
        match headers
            .get("xi-api-key")
            .map(|key| key.to_str().unwrap_or_default())
        {
            Some(key) if key == self.settings.api_key => Ok(()),
            Some(_) => Err(refuse("invalid_api_key", "Invalid API key")),
            None if headers.contains_key("authorization") => Err(refuse(
                "invalid_authorization_header",
                "API keys go into the xi-api-key header.",
            )),
            None => Err(refuse("missing_api_key", "An API key is needed.")),
        }
    }

    fn check(&self, route: &Route, speech: &Speech, streamed: bool) -> Result<(), Answer> {
        let shape = self.shape();
        let invalid = |code, message: &str| refuse(400, "validation_error", code, message, shape);
        if self.settings.unknown_voices.contains(&route.id) {
            return Err(refuse(
                404,
                "not_found",
                "voice_not_found",
                "A voice with this id was not found.",
                shape,
            ));
        }
        let Some(model) = schema::model(&speech.model_id) else {
            return Err(refuse(
                404,
                "not_found",
                "model_not_found",
                "A model with this id was not found.",
                shape,
            ));
        };
        if !model.speaks {
            return Err(invalid(
                "unsupported_model",
                "This model cannot be used with this endpoint.",
            ));
        }
        if speech.text.trim().is_empty() {
            return Err(invalid("empty_text", "The text is empty."));
        }
        let length = speech.text.chars().count();
        if length > model.max_chars {
            let text = format!(
                "The text has {length} characters, {} accepts {}.",
                model.id, model.max_chars
            );
            return Err(invalid("text_too_long", &text));
        }
        if streamed && matches!(speech.format, Format::Wav { .. }) {
            return Err(invalid(
                "invalid_output_format",
                "wav can only be had without streaming.",
            ));
        }
        if let Some(settings) = speech.wrong_setting() {
            return Err(invalid("invalid_voice_settings", settings));
        }
        if speech.needs_enterprise() {
            let text = "This feature is only available on the Enterprise plan.";
            return Err(refuse(
                403,
                "authorization_error",
                "feature_not_available",
                text,
                shape,
            ));
        }
        if self
            .settings
            .concurrency
            .is_some_and(|limit| self.running > limit)
        {
            return Err(errors::too_many_concurrent(shape));
        }
        Ok(())
    }

    fn retrieve_voice(&self, id: &str) -> Answer {
        if self
            .settings
            .unknown_voices
            .iter()
            .any(|unknown| unknown == id)
        {
            let text = "A voice with this id was not found.";
            return refuse(404, "not_found", "voice_not_found", text, self.shape());
        }
        Answer::json(
            200,
            &json!({ "voice_id": id, "name": "Simulated voice", "category": "premade" }),
        )
    }
}

fn list_models() -> Answer {
    let models: Vec<_> = schema::MODELS
        .iter()
        .map(|model| {
            json!({ "model_id": model.id, "name": model.id, "can_do_text_to_speech": model.speaks,
                "maximum_text_length_per_request": model.max_chars, "languages": [{ "language_id": "en", "name": "English" }] })
        })
        .collect();
    Answer::json(200, &json!(models))
}
