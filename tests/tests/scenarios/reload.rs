//! The Worker's code is replaced while meetings go on, as `wrangler dev` does after a rebuild: new objects take over
//! from the old ones on the same storage, and nobody in a call notices more than a moment's silence.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{Event, MeetingScript, SimulatorConfig};
use attache_tests::System;
use tokio::time::sleep;

use crate::talking::{LONG, heard, say};
use crate::world::{Room, SOON, World, vendors};

const LAST: &str = "And that is all.";

/// How often a customer asks while the code is replaced.
const ASKS: Duration = Duration::from_millis(50);

pub(crate) async fn new_code_in_mid_meeting_takes_over_and_greets_nobody_again(
    world: &World,
) -> Result<()> {
    let patient = SimulatorConfig {
        webhook_retry_scale: 0.01,
        ..vendors()
    };
    let System {
        simulator,
        runtime,
        api,
    } = world.start(patient, |settings| settings).await?;
    let voice = Room::at(&simulator, &api)
        .meet(MeetingScript::instant())
        .await?;
    let face = Room::at(&simulator, &api)
        .meet_with_a_face(MeetingScript::instant())
        .await?;
    let to_the_door = MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::ZERO, Event::InWaitingRoom)
        .with_ending(attache_simulator::instant_ending());
    let door = Room::at(&simulator, &api).meet(to_the_door).await?;
    door.until(|meeting| meeting["bot"]["code"] == "in_waiting_room")
        .await?;
    voice.until_greeted().await?;
    face.until_greeted().await?;
    say(&face, LONG).await?;
    heard(&face, LONG).await?;

    let printed = runtime.output().len();
    let mut answered = 0;
    let asks = async {
        loop {
            // A request that the old code still had may break off.
            if let Ok(answer) = voice.api.meeting(&voice.id).await {
                ensure!(answer.status == 200, "{answer:?}");
                answered += 1;
            }
            sleep(ASKS).await;
        }
    };
    tokio::select! {
        reloaded = runtime.reload() => reloaded?,
        asked = asks => asked?,
    }
    ensure!(
        answered > 0,
        "nobody was answered while the code was replaced"
    );
    for event in [Event::InCallNotRecording, Event::InCallRecording] {
        door.happens(event)?;
    }
    door.until_greeted().await?;
    for room in [&voice, &face, &door] {
        goes_on(room).await.with_context(|| room.story())?;
        let output = runtime.output();
        let mut lines = output[printed..].iter();
        let loaded =
            lines.any(|line| line.contains("a meeting was loaded") && line.contains(&room.id));
        ensure!(loaded, "the old code went on with {}", room.id);
    }
    Ok(())
}

/// Says one more thing, ends the call, and holds that there was one greeting.
async fn goes_on(room: &Room<'_>) -> Result<()> {
    say(room, LAST).await?;
    heard(room, LAST).await?;
    room.host_ends().await?;
    room.until_settled_within(SOON).await?;
    let greeting = room.greeting();
    let greetings = room
        .heard()
        .iter()
        .filter(|heard| heard.text() == Some(&greeting))
        .count();
    ensure!(greetings == 1, "greeted {greetings} times");
    ensure!(room.bot()?.over, "the bot is still there");
    Ok(())
}
