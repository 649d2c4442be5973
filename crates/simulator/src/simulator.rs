//! The simulator as tests and the demo use it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::audio::voices::{SpokenLine, Voices};
use crate::avatar::Avatars;
use crate::clock::real_now;
use crate::config::SimulatorConfig;
use crate::courier::{self, Parcel};
use crate::faults::{Fault, FaultScope, Faults};
use crate::journal::{Entry, WebhookSent, What};
use crate::livekit::LiveKit;
use crate::media_client;
use crate::operation::Operation;
use crate::recall::{BotState, Heard};
use crate::script::{Event, MeetingScript};
use crate::server;
use crate::signing::{HeaderFamily, sign};
use crate::spoken::Spoken;
use crate::world::{Models, Parts, World};
use crate::{avatar, deepgram, elevenlabs, heygen, pages, recall};

/// One sample.
const SHORTEST_FRAME: Duration = Duration::from_nanos(62_500);
/// Nobody sends sound that is older.
const LONGEST_FRAME: Duration = Duration::from_secs(10);

/// Both vendors, running on one local port until stopped or dropped.
#[derive(Debug)]
pub struct Simulator {
    pub(crate) world: Arc<World>,
    address: SocketAddr,
    client: reqwest::Client,
    tasks: Vec<JoinHandle<()>>,
    /// Never sent on: sockets end when it is dropped.
    _running: watch::Sender<()>,
}

/// A webhook that a test makes up itself.
#[derive(Clone, Debug)]
pub struct MadeUpWebhook {
    /// The body, sent as it is.
    pub body: String,
    /// The message id.
    pub id: String,
    /// The names of the signature headers.
    pub headers: HeaderFamily,
    /// The secret it is signed with; the workspace's if there is none.
    pub secret: Option<String>,
    /// Seconds added to the time in the signature.
    pub timestamp_offset: i64,
    /// The signature is made over other bytes.
    pub tampered: bool,
    /// Where it goes; the workspace's URL if there is none.
    pub url: Option<Url>,
    /// How often it is sent, at the same time.
    pub copies: usize,
}

impl MadeUpWebhook {
    /// A correctly signed webhook with this body and a new id.
    pub fn new(body: &serde_json::Value) -> Self {
        let now = real_now().as_nanosecond();
        Self {
            body: body.to_string(),
            id: format!("msg_made_up_{now}"),
            headers: HeaderFamily::Webhook,
            secret: None,
            timestamp_offset: 0,
            tampered: false,
            url: None,
            copies: 1,
        }
    }
}

impl Simulator {
    /// Starts listening.
    pub async fn start(config: SimulatorConfig) -> Result<Self> {
        sign(&config.webhook_secret, "", 0, b"").context("webhook_secret")?;
        anyhow::ensure!(config.time_scale > 0.0, "time_scale must be above zero");
        anyhow::ensure!(
            config.audio_frame >= SHORTEST_FRAME && config.audio_frame <= LONGEST_FRAME,
            "audio_frame must be from {SHORTEST_FRAME:?} to {LONGEST_FRAME:?}"
        );
        let listener = TcpListener::bind(config.bind)
            .await
            .context("binding the simulator's port")?;
        let address = listener.local_addr()?;
        let (running, ends) = watch::channel(());
        let mode = config.pages.clone();
        let world = Arc::new(World::new(parts(config, address, ends)));
        let client = courier::client()?;
        let tasks = vec![
            tokio::spawn(server::run(listener, world.clone())),
            tokio::spawn(courier::run(world.clone(), client.clone())),
            tokio::spawn(media_client::run(world.clone())),
            tokio::spawn(avatar::driver::run(world.clone())),
            tokio::spawn(pages::run(world.clone(), mode)),
        ];
        Ok(Self {
            world,
            address,
            client,
            tasks,
            _running: running,
        })
    }

    /// The value for `RECALL_BASE_URL`.
    pub fn recall_base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The value for `ELEVENLABS_BASE_URL`.
    pub fn elevenlabs_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value for `DEEPGRAM_BASE_URL`.
    pub fn deepgram_base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value for `LIVEAVATAR_BASE_URL`.
    pub fn liveavatar_base_url(&self) -> String {
        format!("http://{}/liveavatar/v1", self.address)
    }

    /// The value for `HEYGEN_BASE_URL`; version 2 is beside it, as with the vendor.
    pub fn heygen_base_url(&self) -> String {
        format!("http://{}/heygen/v1", self.address)
    }

    /// Sends workspace webhooks to another place from now on, those waiting for a retry included.
    pub fn set_webhook_url(&self, url: Url) {
        self.world.with(|models, _| models.webhook_url = Some(url));
    }

    /// Decides what happens to the bots that are sent to this link from now on.
    pub fn script_meeting(&self, meeting_url: &str, script: MeetingScript) {
        self.world
            .with(|models, _| models.recall.script_meeting(meeting_url, script));
    }

    /// Makes the next call of `operation` fail.
    pub fn fault(&self, operation: Operation, fault: Fault) {
        self.fault_n(operation, fault, 1);
    }

    /// Makes the next `times` calls of `operation` fail.
    pub fn fault_n(&self, operation: Operation, fault: Fault, times: usize) {
        self.fault_where(FaultScope::Any, operation, fault, times);
    }

    /// Makes the next call of `operation` about this meeting fail.
    pub fn fault_for(&self, meeting_url: &str, operation: Operation, fault: Fault) {
        self.fault_n_for(meeting_url, operation, fault, 1);
    }

    /// Makes the next `times` calls of `operation` about this meeting fail.
    pub fn fault_n_for(&self, meeting_url: &str, operation: Operation, fault: Fault, times: usize) {
        let scope = FaultScope::MeetingUrl(meeting_url.to_owned());
        self.fault_where(scope, operation, fault, times);
    }

    /// Makes the next call of `operation` about this bot fail.
    pub fn fault_for_bot(&self, bot_id: &str, operation: Operation, fault: Fault) {
        let scope = FaultScope::Bot(bot_id.to_owned());
        self.fault_where(scope, operation, fault, 1);
    }

    /// Makes the next speech for a text that contains `part` fail.
    pub fn fault_for_text(&self, part: &str, operation: Operation, fault: Fault) {
        let scope = FaultScope::Text(part.to_owned());
        self.fault_where(scope, operation, fault, 1);
    }

    /// Makes the next `times` of these calls of `operation` fail; `usize::MAX` is for good.
    pub fn fault_where(&self, scope: FaultScope, operation: Operation, fault: Fault, times: usize) {
        self.world
            .with(|models, _| models.faults.push(operation, scope, fault, times));
    }

    /// Forgets the faults meant for exactly these calls that were not used yet.
    pub fn lift_faults(&self, scope: &FaultScope) {
        self.world.with(|models, _| models.faults.lift(scope));
    }

    /// Forgets all faults that were not used yet.
    pub fn clear_faults(&self) {
        self.world.with(|models, _| models.faults.clear());
    }

    /// Everything that happened so far.
    pub fn journal(&self) -> Vec<Entry> {
        self.world.with(|_, _| ());
        self.world.journal.all()
    }

    /// Entries from number `seq` on, and a way to be woken when there are more.
    pub fn journal_since(&self, seq: u64) -> Vec<Entry> {
        self.world.journal.since(seq)
    }

    /// Waits until the journal holds more than `seq` entries.
    pub async fn journal_grows_beyond(&self, seq: u64) {
        let mut written = self.world.journal.subscribe();
        // The sender lives in the world, which this simulator holds.
        let _ = written.wait_for(|count| *count > seq).await;
    }

    /// Waits for the first entry, old or new, that matches. The error shows the last entries.
    pub async fn wait_for(
        &self,
        matches: impl FnMut(&Entry) -> bool,
        timeout: Duration,
    ) -> Result<Entry> {
        self.world.journal.wait_for(matches, timeout).await
    }

    /// Waits until a bot sent to this link has had this status.
    pub async fn wait_for_status(
        &self,
        meeting_url: &str,
        status: &str,
        timeout: Duration,
    ) -> Result<Entry> {
        let matches = |entry: &Entry| matches!(&entry.what, What::Status { meeting_url: url, code, .. } if url == meeting_url && code == status);
        self.wait_for(matches, timeout).await
    }

    /// All bots, in the order they were created.
    pub fn bots(&self) -> Vec<BotState> {
        self.world.with(|models, _| models.recall.bots())
    }

    /// One bot.
    pub fn bot(&self, id: &str) -> Option<BotState> {
        self.world.with(|models, _| models.recall.bot(id))
    }

    /// The bots sent to this link, in the order they were created.
    pub fn bots_for(&self, meeting_url: &str) -> Vec<BotState> {
        self.world
            .with(|models, _| models.recall.bots_for(meeting_url))
    }

    /// What the room of this link heard and read from all its bots, in order.
    pub fn heard(&self, meeting_url: &str) -> Vec<Heard> {
        let mut heard: Vec<Heard> = self
            .bots_for(meeting_url)
            .into_iter()
            .flat_map(|bot| bot.heard)
            .collect();
        heard.sort_by_key(Heard::at);
        heard
    }

    /// The text that `ElevenLabs` was asked to speak in this audio.
    pub fn spoken_text(&self, sha256: &str) -> Option<String> {
        self.world.spoken.text(sha256)
    }

    /// How a person in a call says a line: what Recall sends of it and Deepgram recognises.
    pub fn line(&self, speaker: &str, text: &str) -> Arc<SpokenLine> {
        self.world.voices.line(speaker, text)
    }

    /// Makes something happen to a bot now.
    pub fn advance(&self, bot_id: &str, event: Event) -> Result<()> {
        self.world
            .with(|models, now| models.recall.advance(bot_id, event, now))
            .map_err(|_| anyhow!("there is no bot {bot_id}"))
    }

    /// Moves the vendors' clock forward: scheduled bots join, timers run out, URLs expire.
    pub fn skip(&self, by: Duration) {
        self.world.clock.skip(by);
        self.world.with(|models, now| {
            models.deepgram.wake_all();
            models.avatars.wake_all();
            models.recall.clock_was_moved(now);
        });
        self.world.avatars_changed.notify_one();
    }

    /// The vendors' time.
    pub fn now(&self) -> jiff::Timestamp {
        self.world.clock.now()
    }

    /// Waits until no webhook is waiting or under way.
    pub async fn settled(&self, timeout: Duration) -> Result<()> {
        let settled = || self.world.look(|models, _| models.recall.all_delivered());
        if settled() {
            return Ok(());
        }
        // The last delivery is written down under the same lock that empties the outbox.
        self.wait_for(|_| settled(), timeout).await.map(drop)
    }

    /// Sends a webhook of the test's own making and returns the statuses it was answered with.
    pub async fn emit_webhook(&self, webhook: MadeUpWebhook) -> Result<Vec<u16>> {
        let to = webhook
            .url
            .clone()
            .or_else(|| self.world.with(|models, _| models.webhook_url.clone()));
        let to = to.context("there is no webhook url")?;
        let timestamp = real_now().as_second() + webhook.timestamp_offset;
        let secret = webhook
            .secret
            .as_deref()
            .unwrap_or(&self.world.webhook_secret);
        let signed_bytes = if webhook.tampered {
            format!("{} ", webhook.body)
        } else {
            webhook.body.clone()
        };
        let signature = sign(secret, &webhook.id, timestamp, signed_bytes.as_bytes())?;
        let posts = (0..webhook.copies).map(|_| {
            courier::post(
                &self.client,
                Parcel {
                    url: to.as_str(),
                    id: &webhook.id,
                    timestamp,
                    headers: webhook.headers,
                    signature: signature.clone(),
                    body: webhook.body.clone().into(),
                },
            )
        });
        let mut statuses = Vec::new();
        for result in futures_util::future::join_all(posts).await {
            self.write_made_up(&webhook, &to, &result);
            statuses.push(result.map_err(|error| anyhow!(error))?);
        }
        Ok(statuses)
    }

    fn write_made_up(&self, webhook: &MadeUpWebhook, to: &Url, result: &Result<u16, String>) {
        let body: serde_json::Value = serde_json::from_str(&webhook.body).unwrap_or_default();
        self.world.write(What::Webhook(WebhookSent {
            id: webhook.id.clone(),
            event: body["event"].as_str().unwrap_or("(made up)").to_owned(),
            bot_id: body["data"]["bot"]["id"].as_str().map(str::to_owned),
            url: format!("{}{}", to.origin().ascii_serialization(), to.path()),
            attempt: 1,
            status: result.as_ref().ok().copied(),
            error: result.as_ref().err().cloned(),
            body,
        }));
    }

    /// Stops listening and sending; open connections are closed.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // The only possible error is the abort that was just asked for.
            let _ = task.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn parts(config: SimulatorConfig, address: SocketAddr, running: watch::Receiver<()>) -> Parts {
    let spoken = Arc::new(Spoken::default());
    let voices = Arc::new(Voices::default());
    let seed = config.seed.unwrap_or_else(|| {
        let nanoseconds = real_now().as_nanosecond().unsigned_abs();
        u64::try_from(nanoseconds & u128::from(u64::MAX)).expect("masked to 64 bits")
            ^ u64::from(std::process::id())
    });
    let recall = recall::Settings {
        api_key: config.recall_api_key,
        base_url: format!("http://{address}"),
        time_scale: config.time_scale,
        rate_limits: config.rate_limits,
        adhoc_limit: config.adhoc_limit,
        workspace_retry_scale: config.webhook_retry_scale,
        realtime_retry_scale: config.realtime_retry_scale,
        download_lifetime: config.download_lifetime,
        audio_frame: config.audio_frame,
        seed,
    };
    let elevenlabs = elevenlabs::Settings {
        api_key: config.elevenlabs_api_key,
        unknown_voices: config.unknown_voices,
        concurrency: config.speech_concurrency,
        legacy_errors: config.legacy_speech_errors,
        seed,
    };
    let deepgram = deepgram::Settings {
        api_key: config.deepgram_api_key,
        concurrency: config.deepgram_concurrency,
        patience: config.deepgram_patience.div_f64(config.time_scale),
        newer_messages: config.deepgram_newer_messages,
        keep_audio: config.deepgram_audio,
        measure_pace: config.deepgram_pace,
        seed,
    };
    let livekit = Arc::<LiveKit>::default();
    let avatars = avatar::Settings {
        liveavatar_api_key: config.liveavatar_api_key,
        heygen_api_key: config.heygen_api_key,
        socket_origin: format!("ws://{address}"),
        time_scale: config.time_scale,
        habits: config.avatars,
        seed,
    };
    Parts {
        models: Models {
            recall: recall::Model::new(
                recall,
                config.default_script,
                spoken.clone(),
                voices.clone(),
            ),
            elevenlabs: elevenlabs::Model::new(elevenlabs, spoken.clone()),
            deepgram: deepgram::Model::new(deepgram, voices.clone()),
            avatars: Avatars::new(avatars, spoken.clone(), livekit.clone()),
            heygen_tokens: heygen::Tokens::new(seed),
            faults: Faults::default(),
            webhook_url: config.webhook_url,
        },
        spoken,
        voices,
        livekit,
        webhook_secret: config.webhook_secret,
        speech_latency: config.speech_latency,
        speech_chunk_interval: config.speech_chunk_interval,
        studio_url: format!("http://{address}/avatar/studio"),
        page_habits: config.page_habits,
        elsewhere: config.elsewhere.map_or_else(
            || format!("http://localhost:{}/elsewhere", address.port()),
            |url| url.as_str().trim_end_matches('/').to_owned(),
        ),
        running,
    }
}
