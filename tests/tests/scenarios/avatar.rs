//! Avatars of `LiveAvatar`: the room sees and hears the delegate through a session at the vendor.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{AvatarUtteranceState, Entry, PageNews, PageVoice, What};
use attache_tests::AVATAR_ID;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::avatars::{between, greeted, is_from};
use crate::talking::{LONG, events_until, is_utterance, say, states};
use crate::world::{SOON, World, text, warnings};

/// From a page that is ready to the greeting, with vendors that answer at once.
const GREETED_WITHIN: Duration = Duration::from_secs(3);

/// How soon a page that was loaded again shows the avatar again.
const BACK: Duration = Duration::from_secs(3);

/// How soon an interruption is at the vendor, on a busy machine.
const INTERRUPTED_WITHIN: Duration = Duration::from_secs(1);

/// A session is replaced so long before it may last no longer.
const ROTATES_BEFORE: SignedDuration = SignedDuration::from_secs(60);

fn says(kind: &'static str) -> impl Fn(&PageNews) -> bool {
    move |news| matches!(news, PageNews::Said(message) if message["type"] == kind)
}

pub(crate) async fn the_room_is_greeted_once_through_the_avatar(world: &World) -> Result<()> {
    let room = greeted(world.avatars().await?).await?;
    let session = room.avatar_session().await?;
    let heard = room.page_sounds_to(&room.greeting()).await?;
    ensure!(
        heard.len() == 1 && is_from(&heard[0], &session),
        "{heard:?}"
    );
    ensure!(
        heard[0].text == Some(room.greeting()) && !heard[0].stopped,
        "{heard:?}"
    );
    let wait = between(room.page_last(says("ready"))?, heard[0].at);
    ensure!(wait < GREETED_WITHIN, "{wait:?}\n{}", room.story());

    ensure!(session.avatar == AVATAR_ID && session.meeting_id.as_ref() == Some(&room.id));
    let avatar = room.avatar().await?;
    let fields: Vec<&str> = avatar
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(
        fields
            == [
                "provider",
                "rotates_at",
                "session_id",
                "started_at",
                "state"
            ],
        "{avatar}"
    );
    ensure!(
        avatar["provider"] == "liveavatar" && avatar["state"] == "ready",
        "{avatar}"
    );
    let time = |name: &str| text(&avatar[name]).parse::<Timestamp>();
    let started_at = session.started_at.context("it was started")?;
    let late = time("started_at")?.duration_since(started_at);
    ensure!(late.abs() < SignedDuration::from_secs(2), "{avatar}");
    let lasts = time("rotates_at")?.duration_since(time("started_at")?);
    let expected = SignedDuration::try_from(session.longest)? - ROTATES_BEFORE;
    ensure!(
        (lasts - expected).abs() <= SignedDuration::from_secs(2),
        "{avatar}"
    );
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(room.avatar_sessions().len() == 1);
    Ok(())
}

pub(crate) async fn one_thing_is_said_after_the_other_through_the_avatar(
    world: &World,
) -> Result<()> {
    let room = greeted(world.avatars().await?).await?;
    let mut live = room.api.live(&room.id).await?;
    let words = ["First things first.", LONG, "Then the last."];
    let mut ids = Vec::new();
    for words in words {
        ids.push(say(&room, words).await?);
    }
    let events = events_until(&mut live, |event| is_utterance(event, &ids[2], "spoken")).await?;
    let session = room.avatar_session().await?;
    let heard = room.page_sounds_to(words[2]).await?;
    ensure!(heard.len() == 4, "{heard:?}\n{}", room.story());
    for (place, (id, words)) in ids.iter().zip(words).enumerate() {
        let (heard, said) = (&heard[place + 1], &session.utterances[place + 1]);
        ensure!(
            heard.text.as_deref() == Some(words) && is_from(heard, &session) && !heard.stopped,
            "{heard:?}"
        );
        ensure!(
            said.event_id.as_ref() == Some(id)
                && said.whole
                && said.state == AvatarUtteranceState::Spoken,
            "{:?} {:?}",
            said.event_id,
            said.state
        );
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
            told.abs_diff(heard.duration_ms) < 60 && spoken["via"] == "avatar",
            "{spoken} {heard:?}"
        );
    }
    let speaking = |event: &Value| event["meeting"]["avatar"]["state"] == "speaking";
    ensure!(events.iter().any(speaking), "{events:?}");
    room.ends_with_no_session_left().await?;
    Ok(())
}

pub(crate) async fn an_interruption_is_at_the_vendor_at_once_and_no_sound_follows(
    world: &World,
) -> Result<()> {
    let room = greeted(world.avatars().await?).await?;
    let mut live = room.api.live(&room.id).await?;
    let cut = say(&room, LONG).await?;
    let dropped = say(&room, "Nobody hears this.").await?;
    events_until(&mut live, |event| is_utterance(event, &cut, "speaking")).await?;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let asked_at = room.simulator.now();
    room.api.interrupt(&room.id).await?.expect(202)?;
    let events = events_until(&mut live, |event| is_utterance(event, &cut, "interrupted")).await?;

    let session = room.avatar_session().await?;
    let interrupt = match &session.interrupts[..] {
        [interrupt] => interrupt,
        several => anyhow::bail!("{several:?}\n{}", room.story()),
    };
    let wait = between(asked_at, interrupt.at);
    ensure!(wait < INTERRUPTED_WITHIN, "{wait:?}");
    ensure!(interrupt.last_late_chunk.is_none(), "{interrupt:?}");
    let said = &session.utterances[1];
    let last = said.chunks.last().context("some of it was sent")?.at;
    ensure!(last <= interrupt.at, "{:?}", said.chunks);
    ensure!(said.state == AvatarUtteranceState::Interrupted && interrupt.cut == [1]);
    let told = events.last().and_then(|event| event["heard_ms"].as_u64());
    let told = told.context("heard_ms")?;
    let heard = u64::try_from(said.heard.as_millis())?;
    ensure!(told.abs_diff(heard) < 700, "told {told}, heard {heard}");

    let urgent = say(&room, LONG).await?;
    events_until(&mut live, |event| is_utterance(event, &urgent, "speaking")).await?;
    let next = room.api.say_at_once(&room.id, "Back to you.").await?;
    let next = text(&next.expect(202)?["utterance_id"]);
    let events = events_until(&mut live, |event| is_utterance(event, &next, "spoken")).await?;
    ensure!(
        states(&events, &urgent).last().map(String::as_str) == Some("interrupted"),
        "{events:?}"
    );
    let voices = room.voices();
    let last = voices.last().context("it was heard")?;
    ensure!(
        *last == ("Back to you.".to_owned(), PageVoice::Avatar(session.id)),
        "{voices:?}"
    );
    ensure!(
        voices
            .iter()
            .all(|(words, _)| words != "Nobody hears this.")
    );
    let timeline = room.timeline().await?;
    ensure!(
        timeline
            .iter()
            .any(|entry| entry["data"]["utterance_id"] == dropped.as_str()
                && entry["data"]["state"] == "interrupted"),
        "{timeline:?}"
    );
    room.ends_with_no_session_left().await?;
    Ok(())
}

pub(crate) async fn a_page_that_is_loaded_again_shows_the_same_session_again(
    world: &World,
) -> Result<()> {
    let room = greeted(world.avatars().await?).await?;
    let session = room.avatar_session().await?;
    let bot = room.bot()?.id;
    for (round, words) in ["First.", "Second."].into_iter().enumerate() {
        let before = room.simulator.journal().last().map_or(0, |entry| entry.seq);
        let from = room.simulator.now();
        if round == 0 {
            room.simulator.reload_page(&bot).await?;
        } else {
            room.simulator.drop_page_socket(&bot).await?;
        }
        let shown = says("avatar.tracks");
        let again = |entry: &Entry| {
            matches!(&entry.what, What::Page { meeting_url, news, .. }
                if entry.seq > before && *meeting_url == room.url && shown(news))
        };
        let back = room.simulator.wait_for(again, SOON).await?.at;
        let wait = between(from, back);
        ensure!(wait < BACK, "{words} {wait:?}\n{}", room.story());
        let mut live = room.api.live(&room.id).await?;
        let id = say(&room, words).await?;
        events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
        let voices = room.voices();
        let last = voices.last().context("it was heard")?;
        ensure!(
            *last == (words.to_owned(), PageVoice::Avatar(session.id.clone())),
            "{voices:?}\n{}",
            room.story()
        );
    }
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    ensure!(room.avatar_sessions().len() == 1, "{}", room.story());
    Ok(())
}
