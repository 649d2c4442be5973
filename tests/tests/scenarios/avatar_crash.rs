//! The runtime is killed while avatars stand in for delegates: no session is left to cost, and nothing is said twice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarProvider, Fault, MeetingScript, Operation, PageVoice, SimulatorConfig,
};
use attache_tests::System;
use futures_util::future::try_join_all;

use crate::avatars::{SLACK_MS, heard_ms, until_it_holds};
use crate::talking::{LONG, events_until, is_utterance, say};
use crate::world::{Room, World, text, vendors};

/// How long before the kill the bots are sent, one for each: while the session is opened, started and joined, in the
/// greeting and after it.
const ENTERED_BEFORE_MS: [u64; 6] = [0, 150, 300, 600, 1_500, 5_000];

const LAST: &str = "And that is all.";

pub(crate) async fn killed_before_it_knows_that_the_avatar_greets_the_meeting_asks_the_page(
    world: &World,
) -> Result<()> {
    let System {
        simulator,
        mut runtime,
        api,
    } = world
        .start_avatars(AvatarProvider::HeyGen, vendors())
        .await?;
    // The avatar speaks, and the answer that says so is still to come when there is nobody any more to take it.
    simulator.fault(Operation::HeyGenTask, Fault::TimeoutAfterAccept);
    let room = Room::at(&simulator, &api);
    let room = room.meet_with_a_face(MeetingScript::instant()).await?;
    let speaks = || {
        let sessions = room.avatar_sessions();
        let mut said = sessions.iter().flat_map(|session| &session.utterances);
        said.any(|said| said.began_at.is_some())
    };
    until_it_holds(&simulator, speaks).await?;
    runtime.restart().await?;
    let meeting = room.until_greeted().await?;
    ensure!(
        meeting["greeting"]["via"] == "avatar" && meeting["greeting"]["reason"].is_null(),
        "{meeting}\n{}",
        room.story()
    );
    completes(&room).await?;
    ensure!(room.chats().is_empty(), "{}", room.story());
    Ok(())
}

pub(crate) async fn killed_at_any_moment_no_session_is_left_and_every_face_speaks_on(
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
    } = world
        .start_avatars(AvatarProvider::LiveAvatar, patient)
        .await?;
    let speaking = Room::at(&simulator, &api)
        .greets_through_an_avatar()
        .await?;
    let rotating = Room::at(&simulator, &api)
        .greets_through_an_avatar()
        .await?;
    let mut live = speaking.api.live(&speaking.id).await?;
    let mut rooms = Vec::new();
    let mut passed = 0;
    for before in ENTERED_BEFORE_MS.into_iter().rev() {
        let wait = ENTERED_BEFORE_MS[ENTERED_BEFORE_MS.len() - 1] - before;
        tokio::time::sleep(Duration::from_millis(wait - passed)).await;
        passed = wait;
        let room = Room::at(&simulator, &api);
        let room = room.meet_with_a_face(MeetingScript::instant()).await?;
        rooms.push(room);
    }
    let long = say(&speaking, LONG).await?;
    events_until(&mut live, |event| is_utterance(event, &long, "speaking")).await?;
    rotating
        .api
        .rotate_avatar(&rotating.id)
        .await?
        .expect(202)?;
    runtime.restart().await?;
    rooms.extend([speaking, rotating]);
    try_join_all(rooms.iter().map(completes)).await?;
    let balance = simulator.avatar_balance();
    ensure!(balance.live == 0, "{balance:?}");
    Ok(())
}

/// Says one more thing through the avatar, ends the call, and holds that all was said at most once and all has an end.
async fn completes(room: &Room<'_>) -> Result<()> {
    room.until_greeted().await?;
    room.until(|meeting| meeting["avatar"]["state"] == "ready")
        .await?;
    say(room, LAST).await?;
    let heard = || {
        let mut voices = room.voices().into_iter();
        voices.any(|(words, _)| words == LAST)
    };
    until_it_holds(room.simulator, heard)
        .await
        .with_context(|| room.story())?;
    let by_avatar = room
        .voices()
        .into_iter()
        .any(|(words, voice)| words == LAST && voice != PageVoice::Page);
    ensure!(by_avatar, "{:?}\n{}", room.voices(), room.story());
    room.host_ends().await?;
    room.until_settled().await?;
    room.until_no_session_is_left().await?;

    let timeline = room.timeline().await?;
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut allowed_ms = 0;
    for entry in timeline.iter().filter(|entry| entry["name"] == "utterance") {
        let data = &entry["data"];
        let end = text(&data["state"]);
        ends.entry(text(&data["utterance_id"]))
            .or_default()
            .push(end);
    }
    let last_of = |ends: &Vec<String>| {
        let over = ends
            .iter()
            .filter(|end| *end == "spoken" || *end == "interrupted");
        over.count() == 1
    };
    ensure!(ends.values().all(last_of), "{ends:?}");
    let greeting = room.greeting();
    let spoken = [greeting.as_str(), LAST, LONG];
    for words in &spoken[..ends.len().min(spoken.len())] {
        allowed_ms += room.length_ms(words).await? + SLACK_MS;
    }
    let heard = room.page_sounds();
    ensure!(
        heard_ms(&heard) <= allowed_ms,
        "{heard:?}\n{}",
        room.story()
    );
    let voices = room.voices();
    let greetings = voices.iter().filter(|(words, _)| *words == greeting);
    ensure!(greetings.count() <= 1, "{voices:?}\n{}", room.story());
    Ok(())
}
