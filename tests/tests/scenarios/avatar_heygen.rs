//! Avatars of `HeyGen`'s streaming API, which are given words instead of sound.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarHabits, AvatarProvider, AvatarUtteranceState, Fault, Operation, RequestSeen,
};
use serde_json::{Value, json};

use crate::avatars::{between, greeted, is_from};
use crate::talking::{LONG, events_until, is_utterance, say, states};
use crate::world::{Room, World, text, warnings};

/// How soon an interruption is at the vendor, on a busy machine.
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(1);

/// The types of the tasks that were given, in order.
fn tasks(room: &Room<'_>) -> Vec<(String, String)> {
    let bodies = room.requests(Operation::HeyGenTask).into_iter();
    let bodies = bodies.filter_map(|request| request.body);
    let of = |body: &Value, name: &str| text(&body[name]);
    bodies
        .map(|body| (of(&body, "task_type"), of(&body, "text")))
        .collect()
}

pub(crate) async fn heygens_avatar_greets_speaks_and_is_stopped_at_the_end(
    world: &World,
) -> Result<()> {
    let room = greeted(world.heygen().await?).await?;
    let session = room.avatar_session().await?;
    ensure!(session.provider == AvatarProvider::HeyGen);
    let avatar = room.avatar().await?;
    ensure!(
        avatar["provider"] == "heygen" && avatar["state"] == "ready",
        "{avatar}"
    );
    let mut live = room.api.live(&room.id).await?;
    let words = ["First things first.", "Then the second."];
    let first = say(&room, words[0]).await?;
    let second = say(&room, words[1]).await?;
    let events = events_until(&mut live, |event| is_utterance(event, &second, "spoken")).await?;
    for id in [&first, &second] {
        ensure!(
            states(&events, id) == ["queued", "speaking", "spoken"],
            "{events:?}"
        );
    }
    let heard = room.page_sounds_to(words[1]).await?;
    ensure!(heard.len() == 3, "{heard:?}\n{}", room.story());
    for (heard, words) in heard
        .iter()
        .zip([room.greeting().as_str()].iter().chain(&words))
    {
        ensure!(
            heard.text.as_deref() == Some(*words) && is_from(heard, &session) && !heard.stopped,
            "{heard:?}"
        );
    }
    let verbatim = |(kind, _): &(String, String)| kind == "repeat";
    ensure!(tasks(&room).iter().all(verbatim), "{:?}", tasks(&room));
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(room.avatar_sessions().len() == 1, "{}", room.story());
    Ok(())
}

pub(crate) async fn a_greeting_whose_answer_is_lost_was_given_if_the_page_heard_it(
    world: &World,
) -> Result<()> {
    let room = Room::new(world.heygen().await?);
    let (task, lost) = (Operation::HeyGenTask, Fault::CloseAfterAccept);
    room.simulator.fault_for_text(&room.greeting(), task, lost);
    let room = room.greets_through_an_avatar().await?;
    let timeline = room.timeline().await?;
    let mut calls = timeline.iter().filter(|row| row["name"] == "heygen.speak");
    let failed = |row: &Value| text(&row["summary"]).starts_with("failed");
    ensure!(calls.next().is_some_and(failed) && calls.next().is_none());
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(room.chats().is_empty(), "{}", room.story());
    Ok(())
}

pub(crate) async fn heygens_avatar_is_interrupted_and_reacts(world: &World) -> Result<()> {
    let room = greeted(world.heygen().await?).await?;
    let mut live = room.api.live(&room.id).await?;
    let cut = say(&room, LONG).await?;
    events_until(&mut live, |event| is_utterance(event, &cut, "speaking")).await?;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let asked_at = room.simulator.now();
    room.api.interrupt(&room.id).await?.expect(202)?;
    let events = events_until(&mut live, |event| is_utterance(event, &cut, "interrupted")).await?;
    let told = events.last().and_then(|event| event["heard_ms"].as_u64());
    let session = room.avatar_session().await?;
    let interrupt = session.interrupts.first().context("it was interrupted")?;
    let wait = between(asked_at, interrupt.at);
    ensure!(wait < INTERRUPTED_WITHIN, "{wait:?}");
    let said = &session.utterances[1];
    ensure!(said.state == AvatarUtteranceState::Interrupted, "{said:?}");
    let heard = u64::try_from(said.heard.as_millis())?;
    ensure!(
        told.context("heard_ms")?.abs_diff(heard) < 1_000,
        "told {told:?}, heard {heard}"
    );

    room.api.react(&room.id, "nod").await?.expect(202)?;
    let reacts = |request: &RequestSeen| {
        let body = request.body.as_ref();
        request.operation == Some(Operation::HeyGenTask)
            && body.is_some_and(|body| body["task_type"] == "talk")
    };
    let seen = room.seen(reacts).await?;
    ensure!(seen.status == Some(200), "{seen:?}");
    room.ends_with_no_session_left().await?;
    Ok(())
}

pub(crate) async fn an_avatar_that_heygen_does_not_know_is_asked_for_once(
    world: &World,
) -> Result<()> {
    let system = world.heygen().await?;
    let unknown = "nobody".to_owned();
    let habits = AvatarHabits {
        unknown_avatars: vec![unknown.clone()],
        ..AvatarHabits::default()
    };
    system.simulator.set_avatar_habits(habits);
    let mut room = Room::new(system);
    let agent = json!({ "name": room.agent, "avatar_id": unknown });
    let booking = room.booking_with(json!({ "presence": "avatar", "agent": agent }));
    room.book(&booking).await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "page", "{meeting}");
    let meeting = room.until(|meeting| !warnings(meeting).is_empty()).await?;
    ensure!(warnings(&meeting) == ["avatar_failed"], "{meeting}");
    room.until(|meeting| meeting["avatar"]["state"] == "failed")
        .await?;
    room.host_ends().await?;
    room.until_settled().await?;
    ensure!(room.avatar_sessions().is_empty());
    let journal = room.simulator.journal();
    let requests = journal.iter().filter_map(|entry| entry.what.request());
    let refused = requests.filter(|request| {
        request.operation == Some(Operation::HeyGenNew) && request.status == Some(404)
    });
    ensure!(refused.count() == 1, "{}", room.story());
    Ok(())
}
