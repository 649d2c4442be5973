//! Kills the runtime again and again, at moments of chance, and measures how soon everything is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use attache_simulator::BotState;
use attache_tests::BareRuntime;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::branch::Branch;
use crate::chance::Chance;

/// After so many kills the runtime is left alone until everything is back, which is measured.
const LEFT_ALONE: usize = 10;
/// How long everything may take to come back before the next kill comes all the same.
const BACK_WITHIN: Duration = Duration::from_secs(10);
/// While nothing is accepted there is nothing to wait for.
const NOTHING_ACCEPTED: Duration = Duration::from_secs(2);
/// The first answer takes a fraction of a second; a runtime that does not start ends the run.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How often it is looked who is back, if nothing is told.
const LOOK: Duration = Duration::from_millis(50);

/// How long it took after the starts until something was back, in the order it was measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resumed {
    /// From the start of the process until a branch answered.
    pub(crate) answering: Vec<Duration>,
    /// Until the first webhook was accepted.
    pub(crate) first_webhook: Vec<Duration>,
    /// Until a meeting answered, of all that were under way.
    pub(crate) meeting: Vec<Duration>,
    /// Until Deepgram listened to a call again, where Recall dials again after three seconds.
    pub(crate) listening: Vec<Duration>,
    /// The same, where Recall dials again after a third of a second.
    pub(crate) listening_soon: Vec<Duration>,
    /// Until the page of a bot was connected again.
    pub(crate) page: Vec<Duration>,
    /// What was not back when the next kill came, although it was waited for.
    pub(crate) not_back: Vec<String>,
}

/// The moment of the next kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// So long after the start, whether it answers or not.
    WhileStarting(Duration),
    /// So long after it began to answer.
    Answering(Duration),
    /// Right after something was accepted.
    OnceAccepted,
    /// When everything is back.
    OnceBack,
}

impl Moment {
    fn draw(number: usize, chance: &mut Chance) -> Self {
        if number.is_multiple_of(LEFT_ALONE) {
            return Self::OnceBack;
        }
        match chance.below(10) {
            0 | 1 => Self::WhileStarting(chance.millis(0, 400)),
            2..=4 => Self::OnceAccepted,
            _ => Self::Answering(chance.millis(0, 1_000)),
        }
    }
}

/// The runtime, and those who wait for it.
pub(crate) struct Killer {
    pub(crate) runtime: BareRuntime,
    pub(crate) branches: Arc<Vec<Branch>>,
    pub(crate) accepted: Arc<watch::Sender<u64>>,
    pub(crate) resumed: Resumed,
    pub(crate) kills: usize,
    started: (Instant, Timestamp),
    answers: bool,
}

impl Killer {
    pub(crate) fn new(
        runtime: BareRuntime,
        branches: Arc<Vec<Branch>>,
        accepted: Arc<watch::Sender<u64>>,
    ) -> Self {
        Self {
            runtime,
            branches,
            accepted,
            resumed: Resumed::default(),
            kills: 0,
            started: (Instant::now(), Timestamp::now()),
            answers: false,
        }
    }

    /// Starts the runtime for the first time and waits until all branches answer.
    pub(crate) async fn start(&mut self) -> Result<()> {
        self.runtime.start()?;
        self.note_start();
        self.until_answering().await?;
        Ok(())
    }

    /// Lets the runtime run for a moment, kills it, and starts it again.
    pub(crate) async fn kill_once(&mut self, chance: &mut Chance) -> Result<()> {
        match Moment::draw(self.kills + 1, chance) {
            Moment::WhileStarting(pause) => sleep(pause).await,
            Moment::Answering(pause) => {
                self.until_answering().await?;
                sleep(pause).await;
            }
            Moment::OnceAccepted => {
                let mut accepted = self.accepted.subscribe();
                // Nothing may be under way; then this is a moment like any other.
                let _ = timeout(NOTHING_ACCEPTED, accepted.changed()).await;
            }
            Moment::OnceBack => {
                self.until_answering().await?;
                self.measure().await;
            }
        }
        let ledgers = self.branches.iter().map(|branch| &branch.ledger);
        let first = ledgers.filter_map(|ledger| ledger.first_accepted()).min();
        self.resumed.first_webhook.extend(first);
        self.runtime.kill();
        self.kills += 1;
        self.runtime.start()?;
        self.note_start();
        Ok(())
    }

    async fn until_answering(&mut self) -> Result<()> {
        if self.answers {
            return Ok(());
        }
        let answered = timeout(ANSWER_WITHIN, answering(&self.branches, self.started.0)).await;
        let explain = || format!("the runtime does not answer\n{}", self.runtime.last_words());
        self.resumed
            .answering
            .extend(answered.ok().with_context(explain)?);
        self.answers = true;
        Ok(())
    }

    fn note_start(&mut self) {
        self.started = (Instant::now(), Timestamp::now());
        self.answers = false;
        for branch in self.branches.iter() {
            branch.ledger.started(self.started.1);
        }
    }

    /// Waits until everything that was under way is back, and notes how long it took.
    async fn measure(&mut self) {
        let (instant, start) = self.started;
        let branches = Arc::clone(&self.branches);
        let waiting = branches.iter().map(|branch| back(branch, instant, start));
        for resumed in join_all(waiting).await {
            let sum = &mut self.resumed;
            sum.meeting.extend(resumed.meeting);
            sum.listening.extend(resumed.listening);
            sum.listening_soon.extend(resumed.listening_soon);
            sum.page.extend(resumed.page);
            sum.not_back.extend(resumed.not_back);
        }
    }
}

/// How long after the start each branch answered.
async fn answering(branches: &[Branch], start: Instant) -> Vec<Duration> {
    let asked = branches.iter().map(async |branch| {
        // A request that waits at the door is answered as soon as there is somebody.
        while !branch
            .api
            .health()
            .await
            .is_ok_and(|answer| answer.status == 200)
        {
            sleep(LOOK).await;
        }
        start.elapsed()
    });
    join_all(asked).await
}

/// What of a branch was back how long after the start.
async fn back(branch: &Branch, instant: Instant, start: Timestamp) -> Resumed {
    let bots: Vec<BotState> = branch.simulator.bots();
    let in_call: Vec<&BotState> = bots.iter().filter(|bot| is_in_call(bot)).collect();
    let under_way: Vec<&str> = bots
        .iter()
        .filter(|bot| !bot.over)
        .map(meeting_id)
        .collect();
    let mut resumed = Resumed::default();
    let answers = under_way.iter().map(async |id| {
        let answered = timeout(BACK_WITHIN, branch.api.meeting(id)).await;
        let answered = answered.ok().and_then(Result::ok);
        answered.map(|_| instant.elapsed()).ok_or(*id)
    });
    let answers = join_all(answers);
    let sockets = async {
        let mut sockets = Resumed::default();
        for bot in in_call {
            let id = meeting_id(bot);
            if branch.kind.listens() {
                let listens = || branch.ledger.listens_since(id);
                match until_since(branch, bot, start, listens).await {
                    Back::After(time) if branch.kind.dials_like_recall() => {
                        sockets.listening.push(time);
                    }
                    Back::After(time) => sockets.listening_soon.push(time),
                    Back::CallIsOver => {}
                    Back::Never => sockets.not_back.push(format!("listening of {id}")),
                }
            }
            if shows_page(bot) {
                let connected = || branch.ledger.page_since(&bot.id);
                match until_since(branch, bot, start, connected).await {
                    Back::After(time) => sockets.page.push(time),
                    Back::CallIsOver | Back::Never => {}
                }
            }
        }
        sockets
    };
    let (answers, sockets) = tokio::join!(answers, sockets);
    for answer in answers {
        match answer {
            Ok(time) => resumed.meeting.push(time),
            Err(id) => resumed.not_back.push(format!("answer of {id}")),
        }
    }
    Resumed {
        listening: sockets.listening,
        listening_soon: sockets.listening_soon,
        page: sockets.page,
        not_back: [resumed.not_back, sockets.not_back].concat(),
        ..resumed
    }
}

/// Whether something came back.
enum Back {
    After(Duration),
    /// Nobody needs it any more.
    CallIsOver,
    Never,
}

/// Waits until something has been there since the start; all wait side by side, so none has longer than the others.
async fn until_since(
    branch: &Branch,
    bot: &BotState,
    start: Timestamp,
    since: impl Fn() -> Option<Timestamp>,
) -> Back {
    loop {
        if let Some(since) = since().filter(|since| *since >= start) {
            let time = Duration::try_from(since.duration_since(start));
            return Back::After(time.unwrap_or_default());
        }
        if !branch
            .simulator
            .bot(&bot.id)
            .is_some_and(|bot| is_in_call(&bot))
        {
            return Back::CallIsOver;
        }
        let waited = Timestamp::now().duration_since(start);
        if Duration::try_from(waited).unwrap_or_default() > BACK_WITHIN {
            return Back::Never;
        }
        branch.ledger.changes(LOOK).await;
    }
}

/// In the call and recording, so that sound and page are there.
fn is_in_call(bot: &BotState) -> bool {
    bot.in_call && bot.status() == Some("in_call_recording")
}

fn shows_page(bot: &BotState) -> bool {
    !bot.config["output_media"].is_null()
}

fn meeting_id(bot: &BotState) -> &str {
    let id = bot.metadata.get("meeting_id");
    id.and_then(|id| id.as_str()).unwrap_or_default()
}
