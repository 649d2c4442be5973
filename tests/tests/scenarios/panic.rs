//! A panic costs one request: not the meeting, not its watchers, not its neighbours.

use anyhow::{Context as _, Result, ensure};
use attache_simulator::MeetingScript;
use attache_tests::Answer;
use serde_json::json;

use crate::world::{Room, SOON, World, is_problem, text, vendors};

async fn panic(room: &Room<'_>) -> Result<Answer> {
    let path = format!("/v1/meetings/{}/panic", room.id);
    room.api.post(&path, &json!({})).await
}

pub(crate) async fn a_panic_costs_one_request_and_nothing_else(world: &World) -> Result<()> {
    let system = world
        .start(vendors(), |settings| settings.with("FAULT_INJECTION", "on"))
        .await?;
    let hit = Room::new(&system).meet(MeetingScript::instant()).await?;
    let neighbour = Room::new(&system).meet(MeetingScript::instant()).await?;
    let mut watchers = Vec::new();
    for room in [&hit, &neighbour] {
        room.until_greeted().await?;
        let mut live = room.api.live(&room.id).await?;
        ensure!(live.next_event(SOON).await?["type"] == "meeting");
        watchers.push(live);
    }
    let before = hit.meeting().await?;
    for _ in 0..3 {
        is_problem(&panic(&hit).await?, 500, "internal_error")?;
        ensure!(hit.meeting().await? == before, "the meeting changed");
        ensure!(neighbour.meeting().await?["status"] == "in_progress");
    }

    // Both go on, before the same watchers, to the end.
    for (room, live) in [&hit, &neighbour].into_iter().zip(&mut watchers) {
        let accepted = room
            .api
            .say(&room.id, "Where were we?")
            .await?
            .expect(202)?;
        let id = text(&accepted["utterance_id"]);
        loop {
            let event = live
                .next_event(SOON)
                .await
                .context("the watcher was lost")?;
            if event["utterance_id"] == id && event["state"] == "spoken" {
                break;
            }
        }
        room.host_ends().await?;
        let meeting = room.until_settled().await?;
        ensure!(meeting["transcript"]["state"] == "ready", "{meeting}");
        room.one_bot_and_one_greeting()?;
    }
    is_problem(&panic(&hit).await?, 500, "internal_error")?;
    ensure!(hit.meeting().await?["status"] == "ended");
    Ok(())
}

pub(crate) async fn nobody_can_ask_for_a_panic_where_it_is_not_switched_on(
    world: &World,
) -> Result<()> {
    let room = world.meet(MeetingScript::manual()).await?;
    is_problem(&panic(&room).await?, 404, "not_found")
}
