//! Recall as a model: requests and the time in, answers and due webhooks out.
//!
//! It does no IO, reads no clock and draws no random numbers. Whoever drives it calls
//! [`Model::tick`] at [`Model::deadline`] or later (earlier and repeated calls do nothing), makes
//! the attempts it hands out, and tells it how each went.

mod bot;
mod commands;
mod create;
mod downloads;
mod fields;
mod heard;
mod idempotency;
pub(crate) mod ids;
mod life;
mod limits;
mod media;
mod meeting_url;
mod outbox;
mod payloads;
mod recording_config;
mod refusals;
mod sound;
#[cfg(test)]
mod tests;
mod views;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::heard::{Heard, HeardAudio};
pub(crate) use self::outbox::{Attempt, Fate, Lane};
pub(crate) use self::refusals::for_status;

use self::bot::{Bot, Phase};
use self::downloads::Presigner;
use self::idempotency::{Idempotency, Known};
use self::ids::Ids;
use self::limits::RateLimits;
use self::outbox::{Message, Outbox};
use crate::answer::{Answer, Request};
use crate::journal::What;
use crate::operation::{Operation, Route};
use crate::script::{Event, MeetingScript};
use crate::spoken::Spoken;

/// How the simulated Recall is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) api_key: String,
    /// Where the simulator itself is reached, without a trailing slash.
    pub(crate) base_url: String,
    pub(crate) time_scale: f64,
    pub(crate) rate_limits: bool,
    pub(crate) adhoc_limit: Option<usize>,
    pub(crate) workspace_retry_scale: f64,
    pub(crate) realtime_retry_scale: f64,
    pub(crate) download_lifetime: Duration,
    pub(crate) seed: u64,
}

/// What bots need besides themselves.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) settings: Settings,
    pub(crate) ids: Ids,
    pub(crate) outbox: Outbox,
    pub(crate) presigner: Presigner,
    pub(crate) spoken: Arc<Spoken>,
    notes: Vec<(Timestamp, What)>,
}

impl Services {
    pub(crate) fn note(&mut self, at: Timestamp, what: What) {
        self.notes.push((at, what));
    }

    pub(crate) fn send(&mut self, message: Message, duplicate: bool, due: Timestamp) {
        if duplicate {
            self.outbox.push(message.clone(), due);
        }
        self.outbox.push(message, due);
    }
}

/// The simulated Recall workspace.
#[derive(Debug)]
pub(crate) struct Model {
    services: Services,
    /// By creation order.
    bots: BTreeMap<u64, Bot>,
    numbers: HashMap<String, u64>,
    next_bot: u64,
    scripts: HashMap<String, MeetingScript>,
    default_script: MeetingScript,
    idempotency: Idempotency,
    limits: RateLimits,
}

/// What a test sees of a bot.
#[derive(Clone, Debug)]
pub struct BotState {
    /// Its id.
    pub id: String,
    /// The link it was sent to.
    pub meeting_url: String,
    /// The body of the create call, without media, updates merged in.
    pub config: Value,
    /// The metadata it was created with.
    pub metadata: serde_json::Map<String, Value>,
    /// Booked ahead rather than taken from the ad-hoc pool.
    pub scheduled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it joins, if that was said.
    pub join_at: Option<Timestamp>,
    /// Each status it had, with its sub-code, in order.
    pub status_changes: Vec<(String, Option<String>)>,
    /// Whether it is in the call right now.
    pub in_call: bool,
    /// Whether its life is over: call ended, done or fatal.
    pub over: bool,
    /// What the room heard from it.
    pub heard: Vec<Heard>,
    /// The ids of its real-time endpoints that were given up.
    pub failed_endpoints: Vec<String>,
}

impl BotState {
    /// The newest status.
    pub fn status(&self) -> Option<&str> {
        self.status_changes.last().map(|(code, _)| code.as_str())
    }
}

impl Model {
    pub(crate) fn new(
        settings: Settings,
        default_script: MeetingScript,
        spoken: Arc<Spoken>,
    ) -> Self {
        let presigner = Presigner::new(
            settings.base_url.clone(),
            settings.download_lifetime,
            settings.seed,
        );
        Self {
            services: Services {
                ids: Ids::new(settings.seed),
                outbox: Outbox::new(
                    settings.workspace_retry_scale,
                    settings.realtime_retry_scale,
                ),
                presigner,
                spoken,
                notes: Vec::new(),
                settings,
            },
            bots: BTreeMap::new(),
            numbers: HashMap::new(),
            next_bot: 0,
            scripts: HashMap::new(),
            default_script,
            idempotency: Idempotency::default(),
            limits: RateLimits::default(),
        }
    }

    pub(crate) fn script_meeting(&mut self, meeting_url: &str, script: MeetingScript) {
        self.scripts.insert(meeting_url.to_owned(), script);
    }

    fn script_for(&self, meeting_url: &str) -> MeetingScript {
        self.scripts
            .get(meeting_url)
            .unwrap_or(&self.default_script)
            .clone()
    }

    /// Whether the answer to a create call for this link waits for the first webhook.
    pub(crate) fn webhook_before_response(&self, meeting_url: &str) -> bool {
        self.scripts
            .get(meeting_url)
            .unwrap_or(&self.default_script)
            .delivery
            .before_create_response
    }

    /// Answers a request. `forced` replaces the call's own work and its answer.
    pub(crate) fn handle(
        &mut self,
        route: &Route,
        request: &Request,
        forced: Option<Answer>,
        now: Timestamp,
    ) -> Answer {
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

    fn perform(&mut self, route: &Route, request: &Request, now: Timestamp) -> Answer {
        let body = match json_body(request) {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        match route.operation {
            Operation::CreateBot => self.create_bot(&body, now),
            Operation::ListBots => self.list_bots(&query, now),
            Operation::ListRecordings => self.list_recordings(&query, now),
            Operation::RetrieveRecording => self.retrieve_recording(&route.id, now),
            Operation::DeleteRecording => self.delete_recording(&route.id, now),
            Operation::CreateTranscript => self.create_transcript(&route.id, &body, now),
            Operation::ListTranscripts => self.list_artifacts("transcript", &query, now),
            Operation::RetrieveTranscript => self.retrieve_artifact("transcript", &route.id, now),
            Operation::ListArtifacts => self.list_artifacts(&route.kind, &query, now),
            Operation::RetrieveArtifact => self.retrieve_artifact(&route.kind, &route.id, now),
            Operation::ListRealtimeEndpoints => self.list_endpoints(&query),
            Operation::RetrieveRealtimeEndpoint => self.retrieve_endpoint(&route.id),
            Operation::BillingUsage => {
                Answer::json(200, &json!({ "bot_total": self.bot_seconds(now) }))
            }
            _ => self.on_bot(route.operation, &route.id, &body, now),
        }
    }

    fn bot_seconds(&self, now: Timestamp) -> i64 {
        let lives = self.bots.values().flat_map(|bot| &bot.recordings);
        lives
            .map(|found| {
                found
                    .completed_at
                    .unwrap_or(now)
                    .duration_since(found.started_at)
                    .as_secs()
            })
            .sum()
    }

    /// Lets everything happen that is due by `now`.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let scale = self.services.settings.time_scale;
        for bot in self.bots.values_mut() {
            while let Some(due) = bot.next_due(scale).filter(|due| *due <= now) {
                bot.step(due, &mut self.services);
            }
        }
    }

    /// When [`Self::tick`] or [`Self::attempts`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let scale = self.services.settings.time_scale;
        self.bots
            .values()
            .filter_map(|bot| bot.next_due(scale))
            .chain(self.services.outbox.deadline())
            .min()
    }

    /// The webhooks that have to be sent now.
    pub(crate) fn attempts(&mut self, now: Timestamp) -> Vec<Attempt> {
        self.services.outbox.take_due(now)
    }

    /// Tells how an attempt went. A real-time endpoint that is given up stays dead.
    pub(crate) fn finish(&mut self, attempt: &Attempt, delivered: bool, now: Timestamp) {
        let fate = self.services.outbox.finish(attempt, delivered, now);
        let message = &attempt.message;
        if fate != Fate::GivenUp {
            return;
        }
        if let Lane::Realtime { endpoint_id, .. } = &message.lane {
            let endpoints = self.bots.values_mut().flat_map(|bot| &mut bot.endpoints);
            for endpoint in endpoints.filter(|endpoint| endpoint.id == *endpoint_id) {
                endpoint.failed = true;
            }
        }
        let note = format!("webhook {} {} is given up", message.event, message.id);
        self.services.note(now, What::Note(note));
    }

    /// Takes what the journal should know.
    pub(crate) fn take_notes(&mut self) -> Vec<(Timestamp, What)> {
        std::mem::take(&mut self.services.notes)
    }

    /// Makes an event happen to a bot now.
    pub(crate) fn advance(
        &mut self,
        bot_id: &str,
        event: Event,
        now: Timestamp,
    ) -> Result<(), UnknownBot> {
        let number = self.numbers.get(bot_id).ok_or(UnknownBot)?;
        let bot = self.bots.get_mut(number).ok_or(UnknownBot)?;
        bot.perform_event(event, now, &mut self.services);
        Ok(())
    }

    pub(crate) fn bots(&self) -> Vec<BotState> {
        self.bots.values().map(state).collect()
    }

    pub(crate) fn bot(&self, id: &str) -> Option<BotState> {
        self.bots.get(self.numbers.get(id)?).map(state)
    }

    pub(crate) fn all_delivered(&self) -> bool {
        self.services.outbox.is_empty()
    }

    /// The link a request is about: the one it names, or its bot's.
    pub(crate) fn meeting_url_of(&self, route: &Route, body: &Value) -> Option<String> {
        if route.operation == Operation::CreateBot {
            return body["meeting_url"].as_str().map(str::to_owned);
        }
        let number = self.numbers.get(&route.id)?;
        Some(self.bots.get(number)?.request.meeting_url.raw.clone())
    }
}

/// There is no bot with that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownBot;

fn state(bot: &Bot) -> BotState {
    BotState {
        id: bot.id.clone(),
        meeting_url: bot.request.meeting_url.raw.clone(),
        config: create::without_media(&Value::Object(bot.request.raw.clone())),
        metadata: bot.request.metadata.clone(),
        scheduled: bot.scheduled,
        created_at: bot.created_at,
        join_at: bot.request.join_at,
        status_changes: bot
            .status_changes
            .iter()
            .map(|c| (c.code.clone(), c.sub_code.clone()))
            .collect(),
        in_call: bot.in_call(),
        over: bot.phase == Phase::Over,
        heard: bot.heard.clone(),
        failed_endpoints: bot
            .endpoints
            .iter()
            .filter(|e| e.failed)
            .map(|e| e.id.clone())
            .collect(),
    }
}

/// The firewall's rules: no body on a GET, not even `null`, and no mention of `localhost`.
fn blocked_by_firewall(request: &Request) -> bool {
    let body = request.body();
    let body_on_get = request.method() == axum::http::Method::GET && !body.is_empty();
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
fn json_body(request: &Request) -> Result<Value, Answer> {
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
