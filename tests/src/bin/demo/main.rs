//! `cargo xtask demo`: one meeting from booking to recording, against simulated vendors.
//!
//! Everything goes through the public API; the simulator is asked only for what the room heard and how many bots
//! there were. Ends well only if everything a user would expect happened.

mod hearing;
mod page;
mod paper;
mod story;
mod verdict;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use attache_simulator::{AvatarProvider, MeetingScript, PageMode, Simulator, SimulatorConfig};
use attache_tests::{API_KEY, Api, Runtime, System};
use clap::{Parser, ValueEnum};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::paper::Paper;
use crate::story::Story;
use crate::verdict::Verdict;

const MEETING_URL: &str = "https://meet.google.com/abc-defg-hij";

/// The script takes about half a minute; this leaves room for a slow machine and still ends.
const PLAY_TIMEOUT: Duration = Duration::from_secs(90);

/// The bot joins three minutes early, so a meeting that starts in three minutes and a bit is joined in that bit.
const STARTS_IN_S: i64 = 3 * 60 + 3;

#[derive(Parser)]
#[command(about = "Plays one simulated meeting")]
struct Arguments {
    /// How the delegate is seen and heard
    #[arg(long, value_enum, default_value_t = Presence::Voice)]
    presence: Presence,
    /// Leaves the Worker and the simulator running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Presence {
    /// A still picture, and speech through Recall's output audio
    Voice,
    /// A page that shows an avatar of the simulated `LiveAvatar`, in a real Chromium where one is installed
    Avatar,
}

impl Presence {
    fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Avatar => "avatar",
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.presence, arguments.keep).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the demo could not be played: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(presence: Presence, keep: bool) -> Result<bool> {
    println!("\nOne meeting with attache. The vendors are simulated; no account is needed.\n");
    let pages = match presence {
        Presence::Voice => PageMode::default(),
        Presence::Avatar => page::choose(),
    };
    let System {
        simulator,
        runtime,
        api,
    } = start(SimulatorConfig {
        pages,
        ..SimulatorConfig::default()
    })
    .await?;
    simulator.script_meeting(MEETING_URL, MeetingScript::short_demo());

    let start = Instant::now();
    let mut story = Story::new(Paper::new(start));
    let booked = api
        .create_meeting(&booking(presence)?)
        .await?
        .expect(201)
        .context("the meeting could not be booked")?;
    let id = booked["id"]
        .as_str()
        .context("the booked meeting has no id")?
        .to_owned();
    story.booked(&booked);

    let looks = async {
        match presence {
            Presence::Voice => None,
            Presence::Avatar => Some(page::look(&simulator, PLAY_TIMEOUT).await),
        }
    };
    let follows = tokio::time::timeout(PLAY_TIMEOUT, follow(&api, &id, &mut story, &simulator));
    let (broken, seen) = tokio::join!(follows, looks);
    match broken {
        Ok(Ok(())) => {}
        Ok(Err(error)) => story.paper().line("broke off", &format!("{error:#}")),
        Err(_) => story
            .paper()
            .line("gave up", &format!("after {} s", PLAY_TIMEOUT.as_secs())),
    }

    let verdict = Verdict::reach(&api, &id, &simulator, &runtime, &story, seen.as_ref()).await?;
    verdict.print(start.elapsed());
    if keep {
        let watched = match presence {
            Presence::Voice => None,
            Presence::Avatar => Some(page::to_watch(&api, &simulator).await?),
        };
        stay(&runtime, &simulator, &id, watched.as_ref()).await?;
    }
    Ok(verdict.is_good())
}

/// Starts the vendors and a Worker that has an account at each of them.
async fn start(vendors: SimulatorConfig) -> Result<System> {
    let deepgram_key = vendors.deepgram_api_key.clone();
    let liveavatar_key = vendors.liveavatar_api_key.clone();
    System::start_with(vendors, |settings| {
        settings
            .with("DEEPGRAM_API_KEY", &deepgram_key)
            .with_avatars(AvatarProvider::LiveAvatar, &liveavatar_key)
    })
    .await
}

fn booking(presence: Presence) -> Result<Value> {
    let starts_at = Timestamp::now().checked_add(STARTS_IN_S.seconds())?;
    Ok(json!({
        "meeting_url": MEETING_URL,
        "starts_at": starts_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "title": "Launch review",
        "presence": presence.name(),
        "agent": { "name": "Ada", "company": "Acme" },
        "metadata": { "demo": "true" },
    }))
}

/// Tells what happens until the meeting is over and its artifacts are decided.
async fn follow(api: &Api, id: &str, story: &mut Story, simulator: &Simulator) -> Result<()> {
    let mut live = api.live(id).await?;
    while !story.is_over() {
        let event = live.next_event(PLAY_TIMEOUT).await?;
        story.tell(&event);
        story.tell_heard(&simulator.heard(MEETING_URL));
    }
    Ok(())
}

async fn stay(
    runtime: &Runtime,
    simulator: &Simulator,
    id: &str,
    watched: Option<&page::Watched>,
) -> Result<()> {
    let url = runtime.base_url();
    println!("\nStill running, until Ctrl-C:");
    println!("  Worker      {url}");
    println!("  Recall      {}", simulator.recall_base_url());
    println!("  ElevenLabs  {}", simulator.elevenlabs_base_url());
    println!("  Deepgram    {}", simulator.deepgram_base_url());
    println!("Try: curl -H 'Authorization: Bearer {API_KEY}' {url}/v1/meetings/{id}/timeline");
    if let Some(page::Watched {
        meeting_id,
        url: page,
    }) = watched
    {
        println!(
            "\nA second meeting goes on. Its page is yours to open, with a microphone allowed, so that it may play sound:\n  {page}"
        );
        println!(
            "Let it speak: curl -X POST -H 'Authorization: Bearer {API_KEY}' {url}/v1/meetings/{meeting_id}/say -d '{{\"text\": \"Hello.\"}}'"
        );
    }
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for Ctrl-C")
}
