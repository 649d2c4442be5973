//! What every request passes before its call does any work: the firewall, the key, the rate limit,
//! the idempotency key.

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::idempotency::Known;
use super::{Model, refusals};
use crate::answer::{Answer, Request};
use crate::operation::{Operation, Route};

impl Model {
    /// Answers a request. `forced` replaces the call's own work and its answer.
    pub(crate) fn handle(
        &mut self,
        route: &Route,
        request: &Request,
        forced: Option<Answer>,
        now: Timestamp,
    ) -> Answer {
        self.services.now = now;
        if route.operation == Operation::Download {
            return forced.unwrap_or_else(|| self.download(route, request, now));
        }
        if blocked_by_firewall(request) {
            return refusals::firewall();
        }
        if let Err(refusal) = self.authenticate(request) {
            return refusal;
        }
        if self.services.settings.rate_limits
            && let Err(seconds) = self.limits.count(route.operation, now)
        {
            return refusals::for_status(429).with_header("retry-after", &seconds.to_string());
        }
        let path = request.uri().path();
        let Some(key) = idempotency_key(request) else {
            return forced.unwrap_or_else(|| self.perform(route, request, now));
        };
        match self.idempotency.look_up(key, path, now) {
            Known::InFlight => refusals::for_status(409),
            Known::Answered(answer) => answer,
            Known::Nothing => {
                let answer = forced.unwrap_or_else(|| self.perform(route, request, now));
                self.idempotency.store(key, path, &answer, now);
                answer
            }
        }
    }

    /// Marks a request's key as in flight while the request waits to be handled. `Err` is the answer
    /// the request gets at once, because its key is known already.
    pub(crate) fn begin(&mut self, request: &Request, now: Timestamp) -> Result<(), Answer> {
        let Some(key) = idempotency_key(request) else {
            return Ok(());
        };
        match self.idempotency.look_up(key, request.uri().path(), now) {
            Known::InFlight => Err(refusals::for_status(409)),
            Known::Answered(answer) => Err(answer),
            Known::Nothing => {
                self.idempotency.begin(key, request.uri().path());
                Ok(())
            }
        }
    }

    /// The waiting of [`Self::begin`] is over, whether or not the request is handled now.
    pub(crate) fn release(&mut self, request: &Request) {
        if let Some(key) = idempotency_key(request) {
            self.idempotency.release(key, request.uri().path());
        }
    }

    fn authenticate(&self, request: &Request) -> Result<(), Answer> {
        let given = request
            .headers()
            .get("authorization")
            .ok_or_else(refusals::not_authenticated)?;
        let given = given.to_str().unwrap_or_default();
        let key = given.strip_prefix("Token ").unwrap_or(given);
        if key == self.services.settings.api_key {
            Ok(())
        } else {
            Err(refusals::authentication_failed())
        }
    }
}

/// The firewall's rules: no body on a GET, not even `null`, and no mention of `localhost`.
fn blocked_by_firewall(request: &Request) -> bool {
    let body = request.body();
    let body_on_get = request.method() == Method::GET && !body.is_empty();
    let names_localhost = body
        .windows(b"//localhost".len())
        .any(|part| part == b"//localhost");
    body_on_get || names_localhost
}

fn idempotency_key(request: &Request) -> Option<&str> {
    let honoured = matches!(request.method().as_str(), "POST" | "PUT" | "PATCH");
    request
        .headers()
        .get("idempotency-key")
        .filter(|_| honoured)?
        .to_str()
        .ok()
}

/// An absent body reads as an empty object.
pub(super) fn json_body(request: &Request) -> Result<Value, Answer> {
    if request.body().is_empty() {
        return Ok(json!({}));
    }
    let content_type = request
        .headers()
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        let shown = content_type.unwrap_or_default();
        let detail = format!("Unsupported media type \"{shown}\" in request.");
        return Err(refusals::coded(415, "unsupported_media_type", &detail));
    }
    serde_json::from_slice(request.body()).map_err(|error| {
        refusals::coded(400, "parse_error", &format!("JSON parse error - {error}"))
    })
}
