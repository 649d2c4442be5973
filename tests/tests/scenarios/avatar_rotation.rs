//! Sessions that are replaced while the meeting goes on, as none may last as long as a meeting.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{AvatarHabits, AvatarProvider, AvatarUtteranceState, SimulatorConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::avatars::{greeted, is_from, until_it_holds};
use crate::talking::{LONG, events_until, is_utterance, say, states};
use crate::world::{Room, World, text, vendors, warnings};

/// A plan on which a session may last so long, and is replaced when three quarters of that are over.
const LONGEST_SESSION: Duration = Duration::from_secs(32);

/// How long two sessions may be live at once: what is being said is said to its end.
const LONGEST_OVERLAP: Duration = Duration::from_secs(20);

pub(crate) async fn a_session_is_replaced_on_demand_and_no_word_is_lost(
    world: &World,
) -> Result<()> {
    let room = greeted(world.avatars().await?).await?;
    let first = room.avatar_session().await?;
    let mut live = room.api.live(&room.id).await?;
    let is = |event: &Value, state: &str| event["meeting"]["avatar"]["state"] == state;
    room.api.rotate_avatar(&room.id).await?.expect(202)?;
    events_until(&mut live, |event| is(event, "rotating")).await?;
    events_until(&mut live, |event| is(event, "ready")).await?;
    let second = room.until_another_avatar(&first).await?;

    // In mid-sentence the one that speaks finishes, and the next thing is the other's.
    let before = say(&room, LONG).await?;
    events_until(&mut live, |event| is_utterance(event, &before, "speaking")).await?;
    room.api.rotate_avatar(&room.id).await?.expect(202)?;
    let after = say(&room, "With another face.").await?;
    let events = events_until(&mut live, |event| is_utterance(event, &after, "spoken")).await?;
    ensure!(
        states(&events, &before).last().map(String::as_str) == Some("spoken"),
        "{events:?}"
    );
    let third = room.until_another_avatar(&second).await?;
    let heard = room.page_sounds_to("With another face.").await?;
    ensure!(heard.len() == 3, "{heard:?}\n{}", room.story());
    for (heard, words, session) in [
        (&heard[1], LONG, &second),
        (&heard[2], "With another face.", &third),
    ] {
        ensure!(
            heard.text.as_deref() == Some(words) && is_from(heard, session) && !heard.stopped,
            "{heard:?}\n{}",
            room.story()
        );
    }
    stopped(&room, &first.id).await?;
    stopped(&room, &second.id).await?;
    one_overlap_each(&room, 2)?;
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(room.avatar_sessions().len() == 3, "{}", room.story());
    ensure!(room.api.rotate_avatar(&room.id).await?.status == 409);
    Ok(())
}

pub(crate) async fn a_session_is_replaced_before_it_may_last_no_longer(
    world: &World,
) -> Result<()> {
    let short = SimulatorConfig {
        avatars: AvatarHabits {
            longest_session: LONGEST_SESSION,
            ..AvatarHabits::default()
        },
        ..vendors()
    };
    let system = world
        .start_avatars(AvatarProvider::LiveAvatar, short)
        .await?;
    let room = greeted(&system).await?;
    let first = room.avatar_session().await?;
    let rotates_at: Timestamp = text(&room.avatar().await?["rotates_at"]).parse()?;
    let started_at = first.started_at.context("it was started")?;
    let planned = rotates_at.duration_since(started_at);
    let off = planned - SignedDuration::try_from(LONGEST_SESSION * 3 / 4)?;
    ensure!(off.abs() < SignedDuration::from_secs(2), "{planned}");

    // There is always something that is being said, until the second session has been replaced too.
    let mut live = room.api.live(&room.id).await?;
    let mut ids: Vec<(String, String)> = Vec::new();
    while room.avatar_sessions().len() < 3 {
        let words = format!("This is sentence number {} of a long story.", ids.len());
        let id = say(&room, &words).await?;
        events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
        ids.push((id, words));
        ensure!(ids.len() < 40, "{}", room.story());
    }
    for (id, words) in &ids {
        let sessions = room.avatar_sessions();
        let mut told = sessions
            .iter()
            .flat_map(|session| &session.utterances)
            .filter(|said| said.event_id.as_ref() == Some(id));
        ensure!(
            told.any(|said| said.whole && said.state == AvatarUtteranceState::Spoken),
            "{words}\n{}",
            room.story()
        );
        let heard = room.page_sounds_to(words).await?.into_iter();
        let heard = heard.filter(|heard| heard.text.as_ref() == Some(words));
        let heard: Vec<_> = heard.collect();
        ensure!(
            heard.len() == 1 && !heard[0].stopped,
            "{words}: {heard:?}\n{}",
            room.story()
        );
    }
    stopped(&room, &first.id).await?;
    one_overlap_each(&room, 2)?;
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(system.simulator.avatar_balance().live == 0);
    Ok(())
}

/// Waits until a session is stopped.
async fn stopped(room: &Room<'_>, session_id: &str) -> Result<()> {
    until_it_holds(room.simulator, || {
        let session = room.simulator.avatar_session(session_id);
        session.is_some_and(|session| !session.is_live())
    })
    .await
    .with_context(|| room.story())
}

/// Holds that there never were two sessions but for these rotations, and not for long.
fn one_overlap_each(room: &Room<'_>, rotations: usize) -> Result<()> {
    let overlaps = room.avatar_overlaps();
    ensure!(
        overlaps.len() == rotations
            && overlaps
                .iter()
                .all(|overlap| overlap.duration() < LONGEST_OVERLAP),
        "{overlaps:?}\n{}",
        room.story()
    );
    Ok(())
}
