//! What can be told only while nothing else goes on, or after all of it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{Event, Heard, MeetingScript, What};
use jiff::Timestamp;

use crate::world::{Room, World};

/// The guarantee, for vendors that answer at once.
const GREETED_WITHIN: Duration = Duration::from_secs(2);

/// One good run shows what the Worker can do; a busy machine may spoil the others.
const TRIES: usize = 3;

pub(crate) async fn the_greeting_is_heard_within_two_seconds_of_entering(
    world: &World,
) -> Result<()> {
    let by_the_door = MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::from_millis(500), Event::InWaitingRoom)
        .then(Duration::from_secs(1), Event::InCallNotRecording)
        .then(Duration::ZERO, Event::InCallRecording);
    for script in [by_the_door, MeetingScript::instant()] {
        let mut waits = Vec::new();
        for _ in 0..TRIES {
            let room = world.greeted(script.clone()).await?;
            waits.push(silence(&room)?);
        }
        let best = waits.iter().min().context("there was a try")?;
        ensure!(*best < GREETED_WITHIN, "greeted after {waits:?}");
    }
    Ok(())
}

/// From the status that is the news of the bot's entry to the first sound of the greeting.
fn silence(room: &Room<'_>) -> Result<Duration> {
    let journal = room.simulator.journal();
    let entered = journal.iter().find(|entry| matches!(&entry.what, What::Status { meeting_url, code, .. } if *meeting_url == room.url && code.starts_with("in_call_")));
    let entered = entered.context("the bot entered")?.at;
    let greeted: Option<Timestamp> = room.heard().first().map(Heard::at);
    let greeted = greeted.context("the room was greeted")?;
    Ok(Duration::try_from(greeted.duration_since(entered))?)
}

pub(crate) async fn the_log_of_all_scenarios_holds_no_secret(world: &World) -> Result<()> {
    let runtime = &world.system().await?.runtime;
    ensure!(
        runtime.leaked_secrets().is_empty(),
        "{:?}",
        runtime.leaked_secrets()
    );
    let output = runtime.output();
    // Keys that were minted, and URLs that were signed, whichever they are.
    let leaks: Vec<&String> = output
        .iter()
        .filter(|line| {
            ["att_", "token=", "nonce="]
                .iter()
                .any(|mark| line.contains(mark))
        })
        .collect();
    ensure!(leaks.is_empty(), "{leaks:?}");
    ensure!(
        output.iter().any(|line| line.contains("duration_ms")),
        "there is no log to look into"
    );
    Ok(())
}
