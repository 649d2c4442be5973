//! What scenarios stand on: Workers with their vendors that they share, and a room of its own for each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarProvider, BotState, Entry, Event, Heard, HeardAudio, HeardPage, MeetingScript, Operation,
    PageMode, RequestSeen, Simulator, SimulatorConfig,
};
use attache_tests::{Answer, Api, Settings, System, google_meet};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

/// Nothing that happens by itself takes this long, even on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// How much faster than real time the meetings of [`World::fast`] run. What the Worker does by its own clock, such as
/// connecting again, takes as many times more of the meeting.
pub(crate) const FAST: f64 = 6.0;

/// How long Deepgram waits for a sign of life, in real time: signs of life come by the Worker's own clock.
const DEEPGRAM_PATIENCE: Duration = Duration::from_secs(10);

/// The shared Workers, each started by the first scenario that needs it.
#[derive(Debug, Default)]
pub(crate) struct World {
    system: OnceCell<System>,
    listening: OnceCell<System>,
    fast: OnceCell<System>,
    by_hand: OnceCell<System>,
    avatars: OnceCell<System>,
    heygen: OnceCell<System>,
    /// Starting takes all of a small machine, so one starts after the other.
    start: Mutex<()>,
}

impl World {
    /// The Worker that scenarios share; those that kill it or change its settings start their own.
    pub(crate) async fn system(&self) -> Result<&System> {
        self.system
            .get_or_try_init(|| self.start(vendors(), |settings| settings))
            .await
    }

    /// The Worker that listens to calls in real time, where the pace of what it sends is measured.
    pub(crate) async fn listening(&self) -> Result<&System> {
        self.listening
            .get_or_try_init(|| self.start_listening(listening_vendors()))
            .await
    }

    /// The Worker that listens to calls which run [`FAST`] times as fast, to a Deepgram that mixes in what nobody knows.
    pub(crate) async fn fast(&self) -> Result<&System> {
        let vendors = SimulatorConfig {
            time_scale: FAST,
            // Half the usual number of frames: there are enough of them.
            audio_frame: Duration::from_millis(200),
            deepgram_patience: DEEPGRAM_PATIENCE.mul_f64(FAST),
            deepgram_pace: false,
            deepgram_newer_messages: true,
            ..listening_vendors()
        };
        self.fast
            .get_or_try_init(|| self.start_listening(vendors))
            .await
    }

    /// The Worker of meetings whose pages nobody opens, so that scenarios can.
    pub(crate) async fn by_hand(&self) -> Result<&System> {
        let vendors = SimulatorConfig {
            pages: PageMode::Nobody,
            ..vendors()
        };
        self.by_hand
            .get_or_try_init(|| self.start(vendors, |settings| settings))
            .await
    }

    /// The Worker whose delegates have avatars of `LiveAvatar`.
    pub(crate) async fn avatars(&self) -> Result<&System> {
        let start = || self.start_avatars(AvatarProvider::LiveAvatar, vendors());
        self.avatars.get_or_try_init(start).await
    }

    /// The Worker whose delegates have avatars of `HeyGen`.
    pub(crate) async fn heygen(&self) -> Result<&System> {
        let start = || self.start_avatars(AvatarProvider::HeyGen, vendors());
        self.heygen.get_or_try_init(start).await
    }

    /// The shared Workers that were started so far.
    pub(crate) fn started(&self) -> impl Iterator<Item = &System> {
        [
            &self.system,
            &self.listening,
            &self.fast,
            &self.by_hand,
            &self.avatars,
            &self.heygen,
        ]
        .into_iter()
        .filter_map(OnceCell::get)
    }

    /// Starts a Worker with avatars for one scenario.
    pub(crate) async fn start_avatars(
        &self,
        provider: AvatarProvider,
        vendors: SimulatorConfig,
    ) -> Result<System> {
        let key = match provider {
            AvatarProvider::LiveAvatar => vendors.liveavatar_api_key.clone(),
            AvatarProvider::HeyGen => vendors.heygen_api_key.clone(),
        };
        self.start(vendors, |settings| settings.with_avatars(provider, &key))
            .await
    }

    /// Starts a Worker that listens for one scenario.
    pub(crate) async fn start_listening(&self, vendors: SimulatorConfig) -> Result<System> {
        let _one_at_a_time = self.start.lock().await;
        System::start_listening(vendors).await
    }

    /// Starts a Worker for one scenario, with settings that `change` has changed.
    pub(crate) async fn start(
        &self,
        vendors: SimulatorConfig,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Result<System> {
        let _one_at_a_time = self.start.lock().await;
        System::start_with(vendors, change).await
    }

    /// A room nobody else uses.
    pub(crate) async fn room(&self) -> Result<Room<'_>> {
        Ok(Room::new(self.system().await?))
    }

    /// Books a meeting that goes by this script, and joins it at once.
    pub(crate) async fn meet(&self, script: MeetingScript) -> Result<Room<'_>> {
        self.room().await?.meet(script).await
    }

    /// The same, once the delegate is in the call and has greeted.
    pub(crate) async fn greeted(&self, script: MeetingScript) -> Result<Room<'_>> {
        let room = self.meet(script).await?;
        let meeting = room.until_greeted().await?;
        ensure!(meeting["greeting"]["state"] == "sent", "{meeting}");
        Ok(room)
    }
}

/// Vendors that retry within seconds what they would retry within minutes.
pub(crate) fn vendors() -> SimulatorConfig {
    SimulatorConfig {
        webhook_retry_scale: 0.1,
        default_script: MeetingScript::instant(),
        ..SimulatorConfig::default()
    }
}

/// The same, where Recall dials a lost audio socket again after half a second rather than three.
pub(crate) fn listening_vendors() -> SimulatorConfig {
    SimulatorConfig {
        realtime_retry_scale: 0.2,
        ..vendors()
    }
}

/// One meeting of one scenario: the Worker's side by its id, the vendors' side by its link.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) simulator: &'a Simulator,
    /// The client it was booked with.
    pub(crate) api: Api,
    pub(crate) url: String,
    /// The agent's name, used by no other room.
    pub(crate) agent: String,
    /// The meeting's id once it is booked.
    pub(crate) id: String,
}

impl<'a> Room<'a> {
    /// A room with a link and an agent of its own, not booked yet.
    pub(crate) fn new(system: &'a System) -> Self {
        Self::at(&system.simulator, &system.api)
    }

    /// The same, where the Worker is to be killed.
    pub(crate) fn at(simulator: &'a Simulator, api: &Api) -> Self {
        static ROOMS: AtomicU32 = AtomicU32::new(0);
        let number = ROOMS.fetch_add(1, Ordering::Relaxed);
        Self {
            simulator,
            api: api.clone(),
            url: google_meet(number.into()),
            agent: format!("Ada {number:04}"),
            id: String::new(),
        }
    }

    /// What books it, to join at once.
    pub(crate) fn booking(&self) -> Value {
        json!({ "meeting_url": self.url, "agent": { "name": self.agent } })
    }

    /// The same with other or more fields.
    pub(crate) fn booking_with(&self, fields: Value) -> Value {
        let mut booking = self.booking();
        if let (Value::Object(booking), Value::Object(fields)) = (&mut booking, fields) {
            booking.extend(fields);
        }
        booking
    }

    /// A booking that needs no bot for a week, so that nothing else happens to it.
    pub(crate) fn booking_for_next_week(&self) -> Value {
        let starts_at = Timestamp::now() + SignedDuration::from_hours(7 * 24);
        self.booking_with(json!({ "starts_at": starts_at.to_string() }))
    }

    /// Books it and remembers the id.
    pub(crate) async fn book(&mut self, booking: &Value) -> Result<Value> {
        let booked = self.api.create_meeting(booking).await?.expect(201)?;
        self.id = text(&booked["id"]);
        Ok(booked)
    }

    /// Books it to go by this script, and joins at once.
    pub(crate) async fn meet(mut self, script: MeetingScript) -> Result<Self> {
        self.simulator.script_meeting(&self.url, script);
        let booking = self.booking();
        self.book(&booking).await?;
        Ok(self)
    }

    /// The same, with a face.
    pub(crate) async fn meet_with_a_face(mut self, script: MeetingScript) -> Result<Self> {
        self.simulator.script_meeting(&self.url, script);
        let booking = self.booking_with(json!({ "presence": "avatar" }));
        self.book(&booking).await?;
        Ok(self)
    }

    /// The sentence with which the agent greets.
    pub(crate) fn greeting(&self) -> String {
        format!("Hi, this is {} joining from Acme.", self.agent)
    }

    /// The meeting as the API shows it now.
    pub(crate) async fn meeting(&self) -> Result<Value> {
        self.api.meeting(&self.id).await?.expect(200)
    }

    /// Waits until the meeting is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until_within(SOON, wanted).await
    }

    /// Waits longer than usual until the meeting is as wanted.
    pub(crate) async fn until_within(
        &self,
        at_most: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.api
            .wait_until(&self.id, wanted, at_most)
            .await
            .with_context(|| format!("meeting {} ({})\n{}", self.id, self.agent, self.story()))
    }

    /// Waits until it is known how the room was greeted, or that it was not.
    pub(crate) async fn until_greeted(&self) -> Result<Value> {
        self.until(|meeting| meeting["greeting"]["state"] != "pending")
            .await
    }

    /// Waits until the meeting has this status.
    pub(crate) async fn until_status(&self, status: &str) -> Result<Value> {
        self.until(|meeting| meeting["status"] == status).await
    }

    /// Waits until the meeting is over and nothing more is expected of it.
    pub(crate) async fn until_settled(&self) -> Result<Value> {
        self.until_settled_within(SOON).await
    }

    /// The same, with more patience.
    pub(crate) async fn until_settled_within(&self, at_most: Duration) -> Result<Value> {
        self.until_within(at_most, |meeting| {
            let decided = |artifact: &str| {
                meeting[artifact]["state"] == "ready" || meeting[artifact]["state"] == "failed"
            };
            // `done` may overtake the status that says why the call ended.
            let explained = meeting["ended"]["reason"] != "done";
            meeting["status"] == "ended"
                && explained
                && decided("transcript")
                && decided("recording")
        })
        .await
    }

    /// Waits for an entry of the vendors' journal about this room's meeting.
    pub(crate) async fn seen(&self, matches: impl Fn(&RequestSeen) -> bool) -> Result<RequestSeen> {
        let about = |entry: &Entry| {
            let request = entry.what.request()?;
            (self.is_about(request) && matches(request)).then(|| request.clone())
        };
        let entry = self
            .simulator
            .wait_for(|entry| about(entry).is_some(), SOON)
            .await
            .with_context(|| format!("meeting {} ({})\n{}", self.id, self.agent, self.story()))?;
        about(&entry).context("the entry that matched")
    }

    /// The requests of one kind about this meeting, in order.
    pub(crate) fn requests(&self, operation: Operation) -> Vec<RequestSeen> {
        self.simulator
            .journal()
            .iter()
            .filter_map(|entry| entry.what.request())
            .filter(|request| request.operation == Some(operation) && self.is_about(request))
            .cloned()
            .collect()
    }

    fn is_about(&self, request: &RequestSeen) -> bool {
        let speaks = || {
            let body = request.body.as_ref();
            body.is_some_and(|body| text(&body["text"]).contains(&self.agent))
        };
        let found = || !self.id.is_empty() && request.query.contains(&self.id);
        request.meeting_url.as_deref() == Some(self.url.as_str()) || speaks() || found()
    }

    /// Every bot that was ever sent here.
    pub(crate) fn bots(&self) -> Vec<BotState> {
        self.simulator.bots_for(&self.url)
    }

    /// The one bot that was ever sent here.
    pub(crate) fn bot(&self) -> Result<BotState> {
        let mut bots = self.bots();
        ensure!(
            bots.len() == 1,
            "{} bots were sent to {}\n{}",
            bots.len(),
            self.agent,
            self.story()
        );
        bots.pop().context("there is one")
    }

    /// Makes something happen to the one bot.
    pub(crate) fn happens(&self, event: Event) -> Result<()> {
        self.simulator.advance(&self.bot()?.id, event)
    }

    /// The host ends the call, once the delegate has finished speaking.
    pub(crate) async fn host_ends(&self) -> Result<()> {
        let heard = self.heard();
        if let Some(end) = heard.iter().map(Heard::ends_at).max() {
            let left = end.duration_since(self.simulator.now());
            tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
        }
        self.happens(Event::CallEnded("call_ended_by_host".to_owned()))
    }

    /// What the room heard and read, without what the bot's configuration plays.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        let mut heard = self.simulator.heard(&self.url);
        heard.retain(|heard| !heard.automatic());
        heard
    }

    /// The clips that the room heard.
    pub(crate) fn clips(&self) -> Vec<HeardAudio> {
        let heard = self.heard();
        heard.iter().filter_map(Heard::audio).cloned().collect()
    }

    /// What the room heard from the bot's page, in order.
    pub(crate) fn page_sounds(&self) -> Vec<HeardPage> {
        self.simulator.heard_from_pages(&self.url)
    }

    /// The chat messages that the room read.
    pub(crate) fn chats(&self) -> Vec<String> {
        let heard = self.heard();
        let chats = heard
            .iter()
            .filter(|heard| heard.audio().is_none() && heard.page().is_none());
        chats.filter_map(Heard::text).map(str::to_owned).collect()
    }

    /// How often the room heard the greeting.
    pub(crate) fn greetings_heard(&self) -> usize {
        let greeting = self.greeting();
        let clips = self.clips();
        let greetings = clips
            .iter()
            .filter(|clip| clip.text.as_ref() == Some(&greeting));
        greetings.count()
    }

    /// Holds that there was one bot, that it is gone, and that the room heard the whole greeting once.
    pub(crate) fn one_bot_and_one_greeting(&self) -> Result<()> {
        let bot = self.bot()?;
        ensure!(bot.over, "the bot is still there\n{}", self.story());
        let clips = self.clips();
        let whole = clips.iter().all(|clip| !clip.stopped && !clip.truncated);
        let greeted = self.greetings_heard();
        ensure!(
            greeted == 1 && whole,
            "the greeting was heard {greeted} times: {clips:?}\n{}",
            self.story()
        );
        Ok(())
    }

    /// Every entry of the timeline.
    pub(crate) async fn timeline(&self) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let query = cursor.as_str().map_or_else(
                || "limit=100".to_owned(),
                |cursor| format!("limit=100&cursor={cursor}"),
            );
            let page = self.api.timeline(&self.id, &query).await?.expect(200)?;
            entries.extend(page["entries"].as_array().cloned().unwrap_or_default());
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                return Ok(entries);
            }
        }
    }

    /// What the vendors saw of this meeting, to explain a failure.
    pub(crate) fn story(&self) -> String {
        let bots: Vec<String> = self.bots().into_iter().map(|bot| bot.id).collect();
        let avatars = self.avatar_sessions();
        let own = |id: &Option<String>| id.as_ref().is_some_and(|id| bots.contains(id));
        let lines = self.simulator.journal().into_iter().filter(|entry| {
            let by_request = entry
                .what
                .request()
                .is_some_and(|request| self.is_about(request));
            let by_webhook = entry
                .what
                .webhook()
                .is_some_and(|webhook| own(&webhook.bot_id));
            let by_session = !self.id.is_empty()
                && entry
                    .what
                    .listening()
                    .is_some_and(|(meeting_id, _)| meeting_id == Some(self.id.as_str()));
            let by_avatar = entry
                .what
                .avatar()
                .is_some_and(|(session, _)| avatars.iter().any(|own| own.id == session));
            let line = entry.to_string();
            by_request
                || by_session
                || by_avatar
                || by_webhook
                || bots
                    .iter()
                    .any(|id| id.get(..8).is_some_and(|short| line.contains(short)))
        });
        let lines: Vec<String> = lines.map(|entry| format!("  {entry}")).collect();
        lines.join("\n")
    }
}

/// The codes of the meeting's warnings.
pub(crate) fn warnings(meeting: &Value) -> Vec<String> {
    let warnings = meeting["warnings"].as_array();
    warnings
        .into_iter()
        .flatten()
        .map(|warning| text(&warning["code"]))
        .collect()
}

/// A string's text, or nothing.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Holds that an answer is a problem with this status and code.
pub(crate) fn is_problem(answer: &Answer, status: u16, code: &str) -> Result<()> {
    let content_type = answer.header("content-type").unwrap_or_default();
    ensure!(
        answer.status == status
            && answer.body["code"] == code
            && answer.body["status"] == status
            && content_type.starts_with("application/problem+json"),
        "expected {status} {code}, got {} {content_type} {}",
        answer.status,
        answer.text
    );
    Ok(())
}

/// The fields that a 422 complains about.
pub(crate) fn wrong_fields(answer: Answer) -> Result<Vec<String>> {
    let problem = answer.expect(422)?;
    let errors = problem["errors"].as_array().context("no errors in a 422")?;
    Ok(errors.iter().map(|error| text(&error["field"])).collect())
}
