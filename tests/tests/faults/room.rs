//! The meeting of one case: the Worker's side by its id, the vendors' side by its link, its agent and its avatar.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarSession, BotState, Delivery, Entry, Event, FaultScope, Heard, MeetingScript, Operation,
    PageVoice, Simulator, default_ending,
};
use attache_tests::{Api, google_meet, read};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::catalogue::{Case, Plot};
use crate::ledger::{self, CallSeen, Ledger};
use crate::stage::Stage;

/// Between two looks at something that nobody tells about.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How early a delegate joins, as the Worker is set up.
const EARLY_JOIN: SignedDuration = SignedDuration::from_mins(3);

/// Webhooks come a moment later than the answers to calls that cause them, lest they overtake each other by chance.
const AFTER_THE_ANSWER: Duration = Duration::from_millis(700);

/// The one who is in every call.
const DANA: &str = "Dana Whitfield";

/// 16 kHz, 16-bit samples.
const BYTES_PER_MILLISECOND: usize = 32;

/// More webhooks than a bot sends that only waits to be let in.
const UNTOLD: usize = 100;

/// What books and watches one meeting.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) simulator: &'a Simulator,
    pub(crate) api: Api,
    ledger: &'a Ledger,
    pub(crate) url: String,
    pub(crate) agent: String,
    avatar: String,
    /// The meeting's id once it is booked.
    pub(crate) id: String,
}

impl<'a> Room<'a> {
    /// A room that nobody else uses.
    pub(crate) fn new(stage: &'a Stage) -> Self {
        static ROOMS: AtomicU32 = AtomicU32::new(0);
        let number = ROOMS.fetch_add(1, Ordering::Relaxed);
        Self {
            simulator: &stage.system.simulator,
            api: stage.system.api.clone(),
            ledger: &stage.ledger,
            url: google_meet(number.into()),
            agent: format!("Ada {number:04}"),
            avatar: format!("00000000-0000-4000-8000-{number:012}"),
            id: String::new(),
        }
    }

    /// The calls of this meeting of one kind.
    pub(crate) fn scope(&self, operation: Operation) -> FaultScope {
        if operation == Operation::ListBots {
            FaultScope::MeetingId(self.id.clone())
        } else if operation.is_speech() {
            FaultScope::Text(self.agent.clone())
        } else if operation.is_avatar() {
            FaultScope::Avatar(self.avatar.clone())
        } else {
            FaultScope::MeetingUrl(self.url.clone())
        }
    }

    /// Books the meeting as its plot wants it.
    pub(crate) async fn book(&mut self, case: &Case) -> Result<()> {
        let script = match case.part.plot {
            // Nothing tells of the bot, but whoever asks is told.
            Plot::Doubt => MeetingScript::empty()
                .then(Duration::ZERO, Event::JoiningCall)
                .then(Duration::ZERO, Event::InWaitingRoom)
                .with_delivery(Delivery {
                    drop: (0..UNTOLD).collect(),
                    ..Delivery::default()
                }),
            // Somebody will speak when the time has come.
            Plot::Listen => MeetingScript::instant(),
            Plot::Voice
            | Plot::Chat
            | Plot::Leave
            | Plot::CallOff
            | Plot::Purge
            | Plot::Face
            | Plot::Avatar => MeetingScript::instant()
                .then(Duration::ZERO, dana_says("Hello."))
                .with_delivery(Delivery {
                    delay: AFTER_THE_ANSWER,
                    ..Delivery::default()
                }),
        };
        // News of artifacts that overtake the end of the call would have to be asked for later.
        let script = script.with_ending(default_ending());
        self.simulator.script_meeting(&self.url, script);
        let presence = match case.part.plot {
            Plot::Face | Plot::Avatar => "avatar",
            Plot::Voice
            | Plot::Chat
            | Plot::Leave
            | Plot::CallOff
            | Plot::Doubt
            | Plot::Purge
            | Plot::Listen => "voice",
        };
        let starts_in = match case.part.plot {
            Plot::CallOff => Some(SignedDuration::from_hours(2)),
            // Its id is known before its bot is made.
            Plot::Doubt => Some(EARLY_JOIN + SignedDuration::from_secs(3)),
            Plot::Voice
            | Plot::Chat
            | Plot::Leave
            | Plot::Purge
            | Plot::Face
            | Plot::Avatar
            | Plot::Listen => None,
        };
        let starts_at = starts_in.map(|wait| (Timestamp::now() + wait).to_string());
        let booking = json!({
            "meeting_url": self.url,
            "presence": presence,
            "starts_at": starts_at,
            "agent": { "name": self.agent, "avatar_id": self.avatar },
        });
        let booked = self.api.create_meeting(&booking).await?.expect(201)?;
        self.id = text(&booked["id"]);
        Ok(())
    }

    /// Waits until the meeting is as wanted; nothing if it is not in time.
    pub(crate) async fn until(
        &self,
        at_most: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        self.api.wait_until(&self.id, wanted, at_most).await.ok()
    }

    /// Waits until something holds that nobody tells about, and says whether it came to that.
    pub(crate) async fn until_it_holds(&self, at_most: Duration, holds: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + at_most;
        while !holds() {
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }

    pub(crate) async fn meeting(&self) -> Result<Value> {
        self.api.meeting(&self.id).await?.expect(200)
    }

    /// Calls the meeting off, or leaves it.
    pub(crate) async fn delete(&self) -> Result<()> {
        self.api.delete_meeting(&self.id).await?.expect(202)?;
        Ok(())
    }

    /// Asks for all content to be deleted.
    pub(crate) async fn purge(&self) -> Result<()> {
        let path = format!("/v1/meetings/{}?purge=true", self.id);
        read(self.api.request(Method::DELETE, &path))
            .await?
            .expect(202)?;
        Ok(())
    }

    /// Waits until the meeting is not there any more, and says whether it came to that.
    pub(crate) async fn until_purged(&self, at_most: Duration) -> Result<bool> {
        let deadline = Instant::now() + at_most;
        while self.api.meeting(&self.id).await?.status != 404 {
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(true)
    }

    /// Whether the final transcript can be read; somebody has spoken in every call.
    pub(crate) async fn has_final_transcript(&self) -> Result<bool> {
        let answer = self.api.transcript(&self.id, "source=final").await?;
        let segments = answer.body["segments"].as_array();
        let words = segments.is_some_and(|segments| !segments.is_empty());
        Ok(answer.status == 200 && words)
    }

    /// The whole event log, as text.
    pub(crate) async fn timeline(&self) -> Result<String> {
        let mut entries = String::new();
        let mut query = "limit=100".to_owned();
        loop {
            let page = self.api.timeline(&self.id, &query).await?.expect(200)?;
            entries += &page["entries"].to_string();
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit=100&cursor={cursor}"),
                None => return Ok(entries),
            }
        }
    }

    /// Every bot that was ever sent here.
    pub(crate) fn bots(&self) -> Vec<BotState> {
        self.simulator.bots_for(&self.url)
    }

    /// The bots that were not told to go start up, as they will some day.
    pub(crate) fn leftover_bots_start(&self) -> Result<()> {
        for bot in self.bots().iter().filter(|bot| !bot.over) {
            for event in [Event::JoiningCall, Event::InCallNotRecording] {
                self.simulator.advance(&bot.id, event)?;
            }
        }
        Ok(())
    }

    /// What the vendors saw of this meeting, to explain a failure.
    pub(crate) fn story(&self) -> String {
        let short = |id: String| id.get(..8).map(str::to_owned);
        let bots = self.bots().into_iter().map(|bot| bot.id);
        let sessions = self.sessions().into_iter().map(|session| session.id);
        let ids: Vec<String> = bots.chain(sessions).filter_map(short).collect();
        let names = [&self.url, &self.agent, &self.avatar, &self.id];
        let about = |entry: &Entry| {
            let about = entry.what.request().and_then(ledger::name);
            let line = entry.to_string();
            let own = about.is_some_and(|name| names.contains(&&name))
                || ids.iter().any(|id| line.contains(id.as_str()));
            own.then(|| format!("    {line}"))
        };
        let journal = self.simulator.journal();
        let lines: Vec<String> = journal.iter().filter_map(about).collect();
        lines.join("\n")
    }

    /// Makes something happen to the bot in the call.
    pub(crate) fn happens(&self, event: Event) -> Result<()> {
        let bots = self.bots();
        let bot = bots.iter().find(|bot| bot.in_call);
        let bot = bot.context("no bot is in the call")?;
        self.simulator.advance(&bot.id, event)
    }

    /// The sessions of its avatar.
    pub(crate) fn sessions(&self) -> Vec<AvatarSession> {
        self.simulator.avatar_sessions_of(&self.avatar)
    }

    /// Whether nothing is left at the vendors that costs or is seen.
    pub(crate) fn left_nothing(&self) -> bool {
        self.bots_are_gone() && !self.sessions().iter().any(AvatarSession::is_live)
    }

    /// Whether no bot is in the call, or will be.
    pub(crate) fn bots_are_gone(&self) -> bool {
        self.bots().iter().all(|bot| bot.over)
    }

    /// The calls of one kind, in order.
    pub(crate) fn calls(&self, operation: Operation) -> Vec<CallSeen> {
        let names = [&*self.url, &*self.agent, &*self.avatar, &*self.id];
        self.ledger.calls(self.simulator, &names, operation)
    }

    /// What the room heard and read, without what the bot's configuration plays.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let mut heard = self.simulator.heard(&self.url);
        heard.retain(|heard| !heard.automatic());
        heard
    }

    /// Waits until what the room hears has been said, so that nothing is cut off.
    pub(crate) async fn until_silent(&self) {
        let ends = self.heard().iter().map(Heard::ends_at).max();
        let left = ends.map(|end| end.duration_since(self.simulator.now()));
        let left = left.and_then(|left| Duration::try_from(left).ok());
        tokio::time::sleep(left.unwrap_or_default()).await;
    }

    /// How long the one who is in every call takes to say something.
    pub(crate) fn lasts(&self, words: &str) -> Duration {
        let bytes = self.simulator.line(DANA, words).pcm.len();
        Duration::from_millis((bytes / BYTES_PER_MILLISECOND) as u64)
    }

    /// Through whom the room heard these words from the page, if it did.
    pub(crate) fn voice_of(&self, words: &str) -> Option<PageVoice> {
        let heard = self.simulator.heard_from_pages(&self.url);
        let found = heard
            .into_iter()
            .find(|heard| heard.text.as_deref() == Some(words));
        found.map(|heard| heard.voice)
    }

    pub(crate) fn greeting(&self) -> String {
        format!("Hi, this is {} joining from Acme.", self.agent)
    }

    /// Lets the delegate say something, and says through whom the room heard it.
    pub(crate) async fn says(&self, words: &str, at_most: Duration) -> Result<Option<PageVoice>> {
        let answer = self.api.say(&self.id, words).await?;
        ensure!(answer.status == 202, "{}", answer.text);
        self.until_it_holds(at_most, || self.voice_of(words).is_some())
            .await;
        Ok(self.voice_of(words))
    }
}

/// The one who is in every call speaks.
pub(crate) fn dana_says(words: &str) -> Event {
    Event::Says {
        name: DANA.to_owned(),
        text: words.to_owned(),
    }
}

/// A string's text, or nothing.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
