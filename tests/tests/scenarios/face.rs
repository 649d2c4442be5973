//! The presence `avatar`: the room sees and hears the delegate through the bot's page, played by its stand-in.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{Entry, MeetingScript, PageNews, What};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::talking::{LONG, events_until, is_utterance, say, states};
use crate::world::{Room, SOON, World, is_problem, text, warnings};

/// How soon a page that was loaded again is back.
const BACK: SignedDuration = SignedDuration::from_secs(3);

/// A meeting with a face, which has greeted.
async fn greeted(world: &World) -> Result<Room<'_>> {
    let room = world.room().await?;
    let room = room.meet_with_a_face(MeetingScript::instant()).await?;
    room.until(|meeting| {
        meeting["greeting"]["state"] == "sent" && meeting["avatar"]["state"] == "ready"
    })
    .await?;
    Ok(room)
}

/// What the room heard from the page, in words.
fn words(room: &Room<'_>) -> Vec<String> {
    let heard = room.page_sounds().into_iter();
    heard.filter_map(|heard| heard.text).collect()
}

/// When something last happened to the page.
fn last(room: &Room<'_>, matches: impl Fn(&PageNews) -> bool) -> Result<Timestamp> {
    let journal = room.simulator.journal();
    let about = journal.iter().rev().find(|entry| {
        let What::Page {
            meeting_url, news, ..
        } = &entry.what
        else {
            return false;
        };
        *meeting_url == room.url && matches(news)
    });
    Ok(about.context("it did not happen")?.at)
}

fn is_ready(news: &PageNews) -> bool {
    matches!(news, PageNews::Said(message) if message["type"] == "ready")
}

/// Loads the page again and waits until it is ready again; gives how long that took.
async fn reload(room: &Room<'_>) -> Result<SignedDuration> {
    let before = room.simulator.journal().last().map_or(0, |entry| entry.seq);
    room.simulator.reload_page(&room.bot()?.id).await?;
    let ready = |entry: &Entry| {
        matches!(&entry.what, What::Page { meeting_url, news, .. }
            if entry.seq > before && *meeting_url == room.url && is_ready(news))
    };
    let back = room.simulator.wait_for(ready, SOON).await?.at;
    Ok(back.duration_since(last(room, |news| *news == PageNews::Reloaded)?))
}

/// Ends the call, and holds that nothing went wrong and nothing was written.
async fn ends_well(room: &Room<'_>) -> Result<()> {
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    ensure!(meeting["avatar"]["state"] == "stopped", "{meeting}");
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(room.chats().is_empty() && room.clips().is_empty());
    let greeting = room.greeting();
    let greetings = words(room).iter().filter(|said| **said == greeting).count();
    ensure!(greetings == 1, "{:?}", words(room));
    ensure!(room.bot()?.over);
    Ok(())
}

pub(crate) async fn the_room_is_greeted_once_through_the_face(world: &World) -> Result<()> {
    let room = greeted(world).await?;
    let meeting = room.meeting().await?;
    ensure!(meeting["greeting"]["via"] == "page", "{meeting}");
    ensure!(meeting["avatar"] == json!({ "provider": "builtin", "state": "ready" }));
    ensure!(words(&room) == [room.greeting()], "{:?}", words(&room));
    last(&room, |news| *news == PageNews::Loaded(200))?;
    let heard = room.page_sounds().pop().context("it was heard")?;
    let wait = heard.at.duration_since(last(&room, is_ready)?);
    ensure!(wait < SignedDuration::from_secs(3), "{wait}");
    ends_well(&room).await
}

pub(crate) async fn one_thing_is_said_after_the_other_through_the_face(
    world: &World,
) -> Result<()> {
    let room = greeted(world).await?;
    let mut live = room.api.live(&room.id).await?;
    let first = say(&room, "First things first.").await?;
    let second = say(&room, "Then the second.").await?;
    let events = events_until(&mut live, |event| is_utterance(event, &second, "spoken")).await?;
    let said = words(&room);
    ensure!(
        said[1..] == ["First things first.", "Then the second."],
        "{said:?}"
    );
    let heard = room.page_sounds();
    for (id, heard) in [(&first, &heard[1]), (&second, &heard[2])] {
        ensure!(
            states(&events, id) == ["queued", "speaking", "spoken"],
            "{events:?}"
        );
        let spoken = events
            .iter()
            .find(|event| is_utterance(event, id, "spoken"));
        let spoken = spoken.context("it was spoken")?;
        let told = spoken["heard_ms"].as_u64().context("heard_ms")?;
        ensure!(
            told.abs_diff(heard.duration_ms) < 60 && spoken["via"] == "page",
            "{spoken} {heard:?}"
        );
    }
    let speaking = |event: &&Value| event["meeting"]["avatar"]["state"] == "speaking";
    ensure!(events.iter().any(|event| speaking(&event)), "{events:?}");
    ends_well(&room).await
}

pub(crate) async fn an_interruption_reaches_the_face_which_says_how_much_was_heard(
    world: &World,
) -> Result<()> {
    let room = greeted(world).await?;
    let mut live = room.api.live(&room.id).await?;
    let cut = say(&room, LONG).await?;
    let dropped = say(&room, "Nobody hears this.").await?;
    events_until(&mut live, |event| is_utterance(event, &cut, "speaking")).await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let urgent = room.api.say_at_once(&room.id, "Back to you.").await?;
    let urgent = text(&urgent.expect(202)?["utterance_id"]);
    let events = events_until(&mut live, |event| is_utterance(event, &urgent, "spoken")).await?;
    let end = events
        .iter()
        .find(|event| is_utterance(event, &cut, "interrupted"));
    let told = end
        .and_then(|end| end["heard_ms"].as_u64())
        .context("heard_ms")?;
    let heard = room.page_sounds();
    ensure!(
        heard[1].text.as_deref() == Some(LONG) && heard[1].duration_ms == told && told < 5_000,
        "{told}, {heard:?}"
    );
    // That it was queued may be told before what was waited for, or after.
    let became = states(&events, &dropped).into_iter();
    let became: Vec<_> = became.filter(|state| *state != "queued").collect();
    ensure!(became == ["interrupted"], "{events:?}");
    ensure!(words(&room)[2..] == ["Back to you."], "{:?}", words(&room));
    ends_well(&room).await
}

pub(crate) async fn a_page_that_is_loaded_again_greets_nobody_again_and_is_soon_back(
    world: &World,
) -> Result<()> {
    let room = greeted(world).await?;
    for round in ["First.", "Second."] {
        let took = reload(&room).await?;
        ensure!(took < BACK, "{took}");
        let mut live = room.api.live(&room.id).await?;
        let id = say(&room, round).await?;
        events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    }
    ensure!(
        words(&room)[1..] == ["First.", "Second."],
        "{:?}",
        words(&room)
    );
    ends_well(&room).await
}

pub(crate) async fn a_page_that_is_loaded_again_in_mid_sentence_says_nothing_twice(
    world: &World,
) -> Result<()> {
    let room = greeted(world).await?;
    let mut live = room.api.live(&room.id).await?;
    let cut = say(&room, LONG).await?;
    let next = say(&room, "Where was I?").await?;
    events_until(&mut live, |event| is_utterance(event, &cut, "speaking")).await?;
    let took = reload(&room).await?;
    ensure!(took < BACK, "{took}");
    let events = events_until(&mut live, |event| is_utterance(event, &next, "spoken")).await?;
    ensure!(states(&events, &cut) == ["interrupted"], "{events:?}");
    let told = words(&room);
    ensure!(
        told.iter().filter(|words| *words == LONG).count() <= 1
            && told.last().map(String::as_str) == Some("Where was I?"),
        "{told:?}"
    );
    ends_well(&room).await
}

pub(crate) async fn the_face_reacts_and_has_no_session(world: &World) -> Result<()> {
    let room = greeted(world).await?;
    let path = |rest: &str| format!("/v1/meetings/{}/{rest}", room.id);
    for reaction in ["nod", "interested", "thinking"] {
        let wanted = json!({ "reaction": reaction });
        room.api
            .post(&path("reaction"), &wanted)
            .await?
            .expect(202)?;
    }
    let told = |news: &PageNews| *news == PageNews::Told("react".to_owned());
    room.simulator.wait_for_page(&room.url, told, SOON).await?;
    let unknown = json!({ "reaction": "dance" });
    let refused = room.api.post(&path("reaction"), &unknown).await?;
    ensure!(
        refused.status == 422 || refused.status == 400,
        "{refused:?}"
    );

    let avatar = room.api.get(&path("avatar")).await?.expect(200)?;
    ensure!(
        avatar
            == json!({ "provider": "builtin", "state": "ready", "session_id": null,
                "started_at": null, "rotates_at": null }),
        "{avatar}"
    );
    let rotated = room.api.post(&path("avatar/rotate"), &json!({})).await?;
    is_problem(&rotated, 409, "no_avatar_session")?;
    ends_well(&room).await
}

pub(crate) async fn without_a_face_there_is_nothing_to_react(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let path = |rest: &str| format!("/v1/meetings/{}/{rest}", room.id);
    let nod = json!({ "reaction": "nod" });
    is_problem(
        &room.api.post(&path("reaction"), &nod).await?,
        409,
        "no_avatar",
    )?;
    let rotated = room.api.post(&path("avatar/rotate"), &json!({})).await?;
    is_problem(&rotated, 409, "no_avatar")?;
    let avatar = room.api.get(&path("avatar")).await?.expect(200)?;
    ensure!(
        avatar["provider"].is_null() && avatar["state"] == "off",
        "{avatar}"
    );
    Ok(())
}
