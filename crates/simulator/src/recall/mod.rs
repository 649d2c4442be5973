//! Recall as a model: requests and the time in, answers and due webhooks out.
//!
//! It does no IO, reads no clock and draws no random numbers. Whoever drives it calls
//! [`Model::tick`] at [`Model::deadline`] or later (earlier and repeated calls do nothing), makes
//! the attempts it hands out, and tells it how each went.

mod agenda;
mod bot;
mod bots;
mod commands;
mod contents;
mod create;
mod downloads;
mod ears;
mod fields;
mod frames;
mod gate;
mod heard;
mod idempotency;
pub(crate) mod ids;
mod life;
mod limits;
mod listening;
mod media;
mod meeting_url;
mod news;
mod outbox;
mod output;
mod page;
mod patience;
mod payloads;
mod recording_config;
mod refusals;
mod room;
mod sockets;
mod sound;
mod state;
mod talk;
#[cfg(test)]
mod tests;
mod views;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use self::bots::filtered_meeting;
pub(crate) use self::ears::Order;
pub(crate) use self::frames::Outgoing;
pub use self::heard::{Heard, HeardAudio, HeardPage, PageVoice};
pub(crate) use self::listening::{DialOrder, SocketId};
pub(crate) use self::outbox::{Attempt, Fate, Lane};
pub(crate) use self::page::PageWanted;
pub(crate) use self::refusals::for_status;
pub use self::sockets::{AudioConnection, AudioEnd, AudioNews, AudioSent};
pub use self::state::BotState;

use self::agenda::Agenda;
use self::bot::Bot;
use self::downloads::Presigner;
use self::idempotency::Idempotency;
use self::ids::Ids;
use self::limits::RateLimits;
use self::outbox::{Message, Outbox};
use crate::answer::{Answer, Request};
use crate::audio::voices::Voices;
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
    /// How much of the call's sound a frame holds.
    pub(crate) audio_frame: Duration,
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
    pub(crate) voices: Arc<Voices>,
    /// Something changed that whoever drives the audio sockets should look at.
    pub(crate) sockets_changed: bool,
    /// The moment that is being lived through.
    pub(crate) now: Timestamp,
    notes: Vec<(Timestamp, What)>,
}

impl Services {
    pub(crate) fn note(&mut self, what: What) {
        self.notes.push((self.now, what));
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
    agenda: Agenda,
    scripts: HashMap<String, MeetingScript>,
    default_script: MeetingScript,
    idempotency: Idempotency,
    limits: RateLimits,
}

impl Model {
    pub(crate) fn new(
        settings: Settings,
        default_script: MeetingScript,
        spoken: Arc<Spoken>,
        voices: Arc<Voices>,
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
                voices,
                sockets_changed: false,
                now: Timestamp::UNIX_EPOCH,
                notes: Vec::new(),
                settings,
            },
            bots: BTreeMap::new(),
            numbers: HashMap::new(),
            next_bot: 0,
            agenda: Agenda::default(),
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

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other calls name a bot")]
    fn perform(&mut self, route: &Route, request: &Request, now: Timestamp) -> Answer {
        let body = match gate::json_body(request) {
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
            Operation::DeleteRecording => self.delete_recording(&route.id),
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
            operation => {
                let Some(number) = self.numbers.get(&route.id).copied() else {
                    return refusals::not_found();
                };
                let answer = self.on_bot(operation, number, &body);
                self.reschedule(number);
                answer
            }
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

    /// Lets everything happen that is due by `now`, in order of time.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some((due, number)) = self.agenda.first().filter(|(due, _)| *due <= now) {
            if let Some(bot) = self.bots.get_mut(&number) {
                self.services.now = due;
                bot.step(&mut self.services);
            }
            self.reschedule(number);
        }
    }

    /// Brings the agenda up to date with a bot that something happened to.
    fn reschedule(&mut self, number: u64) {
        let scale = self.services.settings.time_scale;
        let due = self.bots.get(&number).and_then(|bot| bot.next_due(scale));
        self.agenda.set(number, due);
    }

    /// When [`Self::tick`] or [`Self::attempts`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let step = self.agenda.first().map(|(due, _)| due);
        step.into_iter()
            .chain(self.services.outbox.deadline())
            .min()
    }

    /// The webhooks that have to be sent now.
    pub(crate) fn attempts(&mut self, now: Timestamp) -> Vec<Attempt> {
        self.services.outbox.take_due(now)
    }

    /// Tells how an attempt went and what the journal should know of it. A real-time endpoint that is
    /// given up stays dead.
    pub(crate) fn finish(
        &mut self,
        attempt: &Attempt,
        delivered: bool,
        news: What,
        now: Timestamp,
    ) {
        self.services.now = now;
        self.services.note(news);
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
        self.services.note(What::Note(note));
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
        let number = *self.numbers.get(bot_id).ok_or(UnknownBot)?;
        let bot = self.bots.get_mut(&number).ok_or(UnknownBot)?;
        self.services.now = now;
        bot.happen(event, &mut self.services);
        self.reschedule(number);
        Ok(())
    }

    pub(crate) fn bots(&self) -> Vec<BotState> {
        self.bots.values().map(BotState::of).collect()
    }

    pub(crate) fn bots_for(&self, meeting_url: &str) -> Vec<BotState> {
        let sent = |bot: &&Bot| bot.request.meeting_url.raw == meeting_url;
        self.bots.values().filter(sent).map(BotState::of).collect()
    }

    pub(crate) fn bot(&self, id: &str) -> Option<BotState> {
        self.bots.get(self.numbers.get(id)?).map(BotState::of)
    }

    pub(crate) fn all_delivered(&self) -> bool {
        let held_back = |bot: &Bot| {
            bot.held_back
                .as_ref()
                .is_some_and(|h| !h.messages.is_empty())
        };
        self.services.outbox.is_empty() && !self.bots.values().any(held_back)
    }

    /// Whether the audio sockets changed since this was last asked.
    pub(crate) fn sockets_changed(&mut self) -> bool {
        std::mem::take(&mut self.services.sockets_changed)
    }

    /// The newest bot whose metadata names this meeting, and its link.
    pub(crate) fn subject_of_meeting(
        &self,
        meeting_id: Option<&str>,
    ) -> (Option<String>, Option<String>) {
        let named = |bot: &&Bot| {
            let id = bot
                .request
                .metadata
                .get("meeting_id")
                .and_then(Value::as_str);
            id.is_some() && id == meeting_id
        };
        let bot = self.bots.values().rev().find(named);
        (
            bot.map(|bot| bot.id.clone()),
            bot.map(|bot| bot.request.meeting_url.raw.clone()),
        )
    }

    /// The meeting whose bot shows a page, if there is exactly one such bot that is not done.
    pub(crate) fn only_meeting_with_page(&self) -> Option<String> {
        let shows = |bot: &&Bot| bot.output_media_on && bot.phase != bot::Phase::Over;
        let mut bots = self.bots.values().filter(shows);
        let only = bots.next().filter(|_| bots.next().is_none())?;
        let id = only.request.metadata.get("meeting_id")?;
        id.as_str().map(str::to_owned)
    }

    /// The bot and the link a request is about: what it names, or what the thing it names belongs to.
    pub(crate) fn subject_of(
        &self,
        route: &Route,
        body: &Value,
    ) -> (Option<String>, Option<String>) {
        if route.operation == Operation::CreateBot {
            return (None, body["meeting_url"].as_str().map(str::to_owned));
        }
        let id = route.id.rsplit('/').next().unwrap_or_default();
        let by_id = self
            .numbers
            .get(id)
            .and_then(|number| self.bots.get(number));
        let bot = by_id.or_else(|| self.bots.values().find(|bot| bot.owns(id)));
        (
            bot.map(|bot| bot.id.clone()),
            bot.map(|bot| bot.request.meeting_url.raw.clone()),
        )
    }
}

/// There is no bot with that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownBot;
