//! The runtime is killed while delegates speak through their faces.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{MeetingScript, SimulatorConfig};
use attache_tests::System;
use futures_util::future::try_join_all;
use serde_json::json;

use crate::talking::{LONG, say};
use crate::world::{Room, World, text, vendors};

/// How long after the bot was sent the runtime is killed, one meeting for each: before, in and after the greeting.
const ENTERED_BEFORE_MS: [u64; 5] = [0, 400, 1_200, 2_500, 5_000];

pub(crate) async fn killed_in_mid_sentence_nothing_is_said_twice_and_everything_has_an_end(
    world: &World,
) -> Result<()> {
    let patient = SimulatorConfig {
        webhook_retry_scale: 0.01,
        ..vendors()
    };
    let System {
        simulator,
        mut runtime,
        api,
    } = world.start(patient, |settings| settings).await?;
    let mut rooms = Vec::new();
    let mut passed = 0;
    for before in ENTERED_BEFORE_MS.into_iter().rev() {
        let wait = ENTERED_BEFORE_MS[ENTERED_BEFORE_MS.len() - 1] - before;
        tokio::time::sleep(Duration::from_millis(wait - passed)).await;
        passed = wait;
        let room = Room::at(&simulator, &api)
            .meet_with_a_face(MeetingScript::instant())
            .await?;
        room.until_status("in_progress").await?;
        say(&room, LONG).await?;
        rooms.push(room);
    }
    runtime.restart().await?;
    try_join_all(rooms.iter().map(completes)).await?;
    Ok(())
}

/// Says one more thing, ends the call, and holds that everything was said at most once and has an end.
async fn completes(room: &Room<'_>) -> Result<()> {
    room.until_greeted().await?;
    say(room, "And that is all.").await?;
    let last = |room: &Room<'_>| {
        let mut heard = room.page_sounds().into_iter();
        heard.any(|heard| heard.text.as_deref() == Some("And that is all."))
    };
    let simulator = room.simulator;
    simulator
        .wait_for(|_| last(room), Duration::from_mins(1))
        .await
        .with_context(|| room.story())?;
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for heard in room.page_sounds() {
        *said.entry(heard.text.unwrap_or_default()).or_default() += 1;
    }
    for written in room.chats() {
        *said.entry(written).or_default() += 1;
    }
    ensure!(
        said == [
            room.greeting(),
            LONG.to_owned(),
            "And that is all.".to_owned()
        ]
        .into_iter()
        .map(|words| (words, 1))
        .collect(),
        "{said:?}\n{}",
        room.story()
    );
    ensure!(meeting["greeting"]["state"] == "sent", "{meeting}");
    let timeline = room.timeline().await?;
    let ends = timeline.iter().filter(|entry| entry["name"] == "utterance");
    let ends: BTreeMap<String, String> = ends
        .map(|entry| {
            let data = &entry["data"];
            (text(&data["utterance_id"]), text(&data["state"]))
        })
        .collect();
    ensure!(ends.len() == 3, "{}", json!(timeline));
    ensure!(
        ends.values()
            .all(|state| state == "spoken" || state == "interrupted"),
        "{ends:?}"
    );
    Ok(())
}
