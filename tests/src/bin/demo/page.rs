//! The page that is the bot's camera and voice: who opens it, what the room sees of it, and how to watch it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use attache_simulator::{AvatarNews, Browser, MeetingScript, PageHabits, PageMode, Simulator};
use attache_tests::{Api, checkout};
use serde_json::json;

use crate::MEETING_URL;
use crate::story::word;

/// A second meeting, whose page the bot leaves to whoever wants to open it.
const WATCHED_URL: &str = "https://meet.google.com/wat-chme-now";
/// Joining takes some seconds at most.
const JOINS: Duration = Duration::from_secs(30);
/// How often it is looked whether the bot is there: a person waits for it.
const LOOKS_EVERY: Duration = Duration::from_millis(200);

/// What the room saw while the delegate began to speak.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The page showed this, and here is a picture of it.
    Picture { shown: String, path: PathBuf },
    /// The stand-in shows nothing.
    NothingToSee,
    /// There was no picture, for this reason.
    Missed(String),
}

/// A meeting whose page can be opened.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) meeting_id: String,
    pub(crate) url: String,
}

/// A real Chromium if one is installed, else the stand-in; says which.
pub(crate) fn choose() -> PageMode {
    if let Some(chromium) = Browser::find() {
        println!("The bot's page is opened in {}.\n", chromium.display());
        PageMode::Chromium(Some(chromium))
    } else {
        println!(
            "No Chromium is installed: a stand-in plays the bot's page, and there is nothing to see.\n"
        );
        PageMode::Scripted
    }
}

/// Waits until the page speaks, and takes a picture of it.
pub(crate) async fn look(simulator: &Simulator, patience: Duration) -> Seen {
    match try_to_look(simulator, patience).await {
        Ok(seen) => seen,
        Err(error) => Seen::Missed(format!("{error:#}")),
    }
}

async fn try_to_look(simulator: &Simulator, patience: Duration) -> Result<Seen> {
    let speaks = |_: &str, news: &AvatarNews| matches!(news, AvatarNews::Talking { .. });
    simulator.wait_for_avatar(speaks, patience).await?;
    let bots = simulator.bots_for(MEETING_URL);
    let bot = &bots.first().context("no bot")?.id;
    if Browser::find().is_none() {
        return Ok(Seen::NothingToSee);
    }
    let shown = simulator
        .evaluate_in_page(bot, "document.body.dataset.shown")
        .await?;
    let picture = simulator.page_picture(bot).await?;
    let path = checkout().join("target/demo/what-the-room-saw.png");
    tokio::fs::create_dir_all(path.parent().context("the folder of the picture")?).await?;
    tokio::fs::write(&path, picture).await?;
    let path = tokio::fs::canonicalize(path).await?;
    let shown = word(&shown).to_owned();
    Ok(Seen::Picture { shown, path })
}

/// Books a meeting that goes on, and whose page nobody opens.
pub(crate) async fn to_watch(api: &Api, simulator: &Simulator) -> Result<Watched> {
    simulator.script_meeting(WATCHED_URL, MeetingScript::instant());
    let nobody = PageHabits {
        opens_after: Duration::MAX,
        ..PageHabits::default()
    };
    simulator.set_page_habits(WATCHED_URL, nobody);
    let booking = json!({ "meeting_url": WATCHED_URL, "presence": "avatar",
        "agent": { "name": "Ada", "company": "Acme" } });
    let booked = api.create_meeting(&booking).await?.expect(201)?;
    let meeting_id = word(&booked["id"]).to_owned();
    let in_call = async {
        loop {
            if let Some(bot) = simulator.bots_for(WATCHED_URL).first()
                && bot.in_call
            {
                let url = &bot.config["output_media"]["camera"]["config"]["url"];
                return word(url).to_owned();
            }
            tokio::time::sleep(LOOKS_EVERY).await;
        }
    };
    match tokio::time::timeout(JOINS, in_call).await {
        Ok(url) => Ok(Watched { meeting_id, url }),
        Err(_) => bail!("the bot of the second meeting did not come"),
    }
}
