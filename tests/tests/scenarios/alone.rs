//! What can be told only while nothing else goes on, or after all of it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use attache_simulator::{Event, Fault, Heard, MeetingScript, Operation, What};
use jiff::Timestamp;

use crate::avatars::{self, until_it_holds};
use crate::ears::{DANA, monologue};
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

pub(crate) async fn every_avatar_session_of_all_scenarios_was_stopped(world: &World) -> Result<()> {
    // Without a meeting before there would be nothing to look at.
    for system in [world.avatars().await?, world.heygen().await?] {
        let room = avatars::greeted(system).await?;
        room.ends_with_no_session_left().await?;
        let ended = || system.simulator.avatar_balance().live == 0;
        until_it_holds(&system.simulator, ended).await?;
        let balance = system.simulator.avatar_balance();
        ensure!(
            balance.started > 0 && balance.started == balance.stopped + balance.ended_by_vendor,
            "{balance:?}"
        );
    }
    Ok(())
}

pub(crate) async fn a_backlog_is_sent_at_most_a_quarter_faster_than_it_was_spoken(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let words = "This is said while Deepgram takes its time to answer.";
    let mut rates = Vec::new();
    for _ in 0..TRIES {
        let room = Room::new(system);
        let slow = Fault::Latency(Duration::from_secs(6));
        system
            .simulator
            .fault_for(&room.url, Operation::Listen, slow);
        let room = room.meet(monologue([words])).await?;
        room.until_listening("open").await?;
        // Half of the backlog is sent beside what is said now, half after the end.
        room.says(
            DANA,
            "And this is said while it catches up with what it has missed.",
        )
        .await?;
        room.hang_up().await?;
        let session = room.sessions().pop().context("a session")?;
        let Some(rate) = session.too_fast else {
            return Ok(());
        };
        rates.push(rate);
    }
    bail!("sent at {rates:?} times the speed of speech")
}

pub(crate) async fn the_log_of_all_scenarios_holds_no_secret(world: &World) -> Result<()> {
    // Whatever was not needed before is started now, so that there is something to look into.
    world.system().await?;
    world.listening().await?;
    world.by_hand().await?;
    for system in world.started() {
        let runtime = &system.runtime;
        let leaked = runtime.leaked_secrets();
        ensure!(leaked.is_empty(), "{leaked:?}");
        let output = runtime.output();
        // Keys that were minted, and URLs that were signed, whichever they are.
        let leaks: Vec<&String> = output
            .iter()
            .filter(|line| {
                ["att_", "token=", "nonce=", "&t="]
                    .iter()
                    .any(|mark| line.contains(mark))
            })
            .collect();
        ensure!(leaks.is_empty(), "{leaks:?}");
        let logged = output.iter().any(|line| line.contains("duration_ms"));
        ensure!(logged, "there is no log to look into");
    }
    let listening = world.listening().await?.runtime.settings();
    ensure!(
        listening.secrets().contains(&"fake-deepgram-key"),
        "the key is not among the secrets that are looked for"
    );
    Ok(())
}
