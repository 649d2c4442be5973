//! The pages that bots show: opened when the bot is in the call, closed when it is not.
//!
//! A page runs in a real Chromium, where what it plays is measured, or is played by a stand-in that
//! speaks the page's protocol. Which pages have to be open is the Recall model's to say; this follows.

mod chromium;
mod habits;
mod meter;
mod news;
mod scripted;
mod url;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub use self::habits::PageHabits;
pub use self::news::PageNews;
use crate::browser::Browser;
use crate::journal::What;
use crate::recall::{HeardPage, PageWanted};
use crate::world::World;

/// Who plays the pages that bots show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PageMode {
    /// Nobody: they stay closed.
    Nobody,
    /// A stand-in that speaks the page's protocol: fast, for hundreds of meetings.
    #[default]
    Scripted,
    /// A real Chromium, installed at this place or where packages put it. If there is none the journal
    /// says so, and the stand-in steps in. The avatars are played in it as well.
    Chromium(Option<PathBuf>),
}

/// Without news, look again this often.
const IDLE: Duration = Duration::from_secs(1);
/// Not more often than this, however much is written to the journal.
const PACE: Duration = Duration::from_millis(20);
/// Orders that wait for a busy page.
const ORDERS: usize = 16;
/// How much of a page's sound is kept: ten minutes.
const MOST_KEPT: usize = 10 * 60 * meter::RATE as usize * 2;

/// What a test can ask of an open page.
#[derive(Debug)]
pub(crate) enum PageOrder {
    Evaluate(String, oneshot::Sender<anyhow::Result<Value>>),
    Picture(oneshot::Sender<anyhow::Result<Vec<u8>>>),
    Reload(oneshot::Sender<anyhow::Result<()>>),
    DropSocket(oneshot::Sender<anyhow::Result<()>>),
    BlockSound(bool, oneshot::Sender<anyhow::Result<()>>),
}

/// The open pages, and what was heard of all.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    known: Mutex<HashMap<String, Known>>,
    habits: Mutex<Habits>,
}

/// How the stand-in behaves in the meetings of a link, and in all others.
#[derive(Debug, Default)]
struct Habits {
    default: PageHabits,
    by_meeting_url: HashMap<String, PageHabits>,
}

#[derive(Debug, Default)]
struct Known {
    orders: Option<mpsc::Sender<PageOrder>>,
    sound: Vec<u8>,
}

impl Pages {
    pub(crate) fn new(default: PageHabits) -> Self {
        let pages = Self::default();
        pages.lock_habits().default = default;
        pages
    }

    /// Pages of this link that are loaded from now on behave like this.
    pub(crate) fn set_habits(&self, meeting_url: &str, habits: PageHabits) {
        let mut known = self.lock_habits();
        known.by_meeting_url.insert(meeting_url.to_owned(), habits);
    }

    fn habits(&self, meeting_url: &str) -> PageHabits {
        let known = self.lock_habits();
        let habits = known.by_meeting_url.get(meeting_url);
        habits.copied().unwrap_or(known.default)
    }

    fn lock_habits(&self) -> MutexGuard<'_, Habits> {
        self.habits.lock().expect("no panic holds the habits")
    }

    /// The way to a bot's open page.
    pub(crate) fn orders(&self, bot_id: &str) -> Option<mpsc::Sender<PageOrder>> {
        self.lock().get(bot_id)?.orders.clone()
    }

    /// What a bot's page has played so far, without the silence between.
    pub(crate) fn sound(&self, bot_id: &str) -> Vec<u8> {
        let known = self.lock();
        known
            .get(bot_id)
            .map_or_else(Vec::new, |page| page.sound.clone())
    }

    fn opened(&self, bot_id: &str) -> mpsc::Receiver<PageOrder> {
        let (orders, receiver) = mpsc::channel(ORDERS);
        self.lock().entry(bot_id.to_owned()).or_default().orders = Some(orders);
        receiver
    }

    fn closed(&self, bot_id: &str) {
        if let Some(page) = self.lock().get_mut(bot_id) {
            page.orders = None;
        }
    }

    fn keep(&self, bot_id: &str, pcm: &[u8]) {
        let mut known = self.lock();
        let sound = &mut known.entry(bot_id.to_owned()).or_default().sound;
        if sound.len() + pcm.len() <= MOST_KEPT {
            sound.extend_from_slice(pcm);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().expect("no panic holds the pages")
    }
}

/// One page, for whoever plays it.
struct Job {
    world: Arc<World>,
    wanted: PageWanted,
    orders: mpsc::Receiver<PageOrder>,
    /// Ends when the page has to be closed.
    closing: oneshot::Receiver<()>,
}

impl Job {
    fn note(&self, news: PageNews) {
        note(&self.world, &self.wanted, news);
    }

    /// The room has heard the page.
    fn heard(&self, heard: HeardPage) {
        self.world.with(|models, now| {
            models
                .recall
                .page_was_heard(&self.wanted.bot_id, heard, now);
        });
    }
}

fn note(world: &World, wanted: &PageWanted, news: PageNews) {
    world.write(What::Page {
        bot_id: wanted.bot_id.clone(),
        meeting_url: wanted.meeting_url.clone(),
        news,
    });
}

/// Runs until it is aborted; all pages are closed with it.
pub(crate) async fn run(world: Arc<World>, mode: PageMode) {
    if mode == PageMode::Nobody {
        return;
    }
    let mut written = world.journal.subscribe();
    let mut open: HashMap<String, (PageWanted, oneshot::Sender<()>)> = HashMap::new();
    let mut tasks = JoinSet::new();
    // Starting it takes a second or two, which no bot in a call should spend.
    let browser = match &mode {
        PageMode::Chromium(place) => Some(chromium::start(place.clone(), &world).await),
        PageMode::Nobody | PageMode::Scripted => None,
    };
    let (browser, failure) = match browser {
        Some(Ok(browser)) => (Some(Arc::new(browser)), None),
        Some(Err(error)) => (None, Some(format!("{error:#}"))),
        None => (None, None),
    };
    loop {
        written.borrow_and_update();
        let wanted = world.look(|models, _| models.recall.pages());
        // Dropping the sender closes a page.
        open.retain(|_, (page, _)| wanted.contains(page));
        for page in wanted {
            if open.contains_key(&page.bot_id) {
                continue;
            }
            if let Some(failure) = &failure {
                note(&world, &page, PageNews::NoBrowser(failure.clone()));
            }
            let (keeps_open, closing) = oneshot::channel();
            let job = Job {
                orders: world.pages.opened(&page.bot_id),
                world: world.clone(),
                wanted: page.clone(),
                closing,
            };
            tasks.spawn(play(job, browser.clone()));
            open.insert(page.bot_id.clone(), (page, keeps_open));
        }
        while tasks.try_join_next().is_some() {}
        tokio::time::sleep(PACE).await;
        let _ = tokio::time::timeout(IDLE, written.changed()).await;
    }
}

async fn play(mut job: Job, browser: Option<Arc<Browser>>) {
    let (world, wanted) = (job.world.clone(), job.wanted.clone());
    let habits = world.pages.habits(&wanted.meeting_url);
    tokio::select! {
        () = tokio::time::sleep(habits.opens_after) => {}
        _ = &mut job.closing => return world.pages.closed(&wanted.bot_id),
    }
    match browser {
        Some(browser) => chromium::play(job, &browser).await,
        None => scripted::play(job).await,
    }
    world.pages.closed(&wanted.bot_id);
    note(&world, &wanted, PageNews::Closed);
}
