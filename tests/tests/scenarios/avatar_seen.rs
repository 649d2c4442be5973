//! The page in a real Chromium, in an avatar's room: what is shown moves, and what is said is heard.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarProvider, Browser, MeetingScript, PageMode, PageNews, SimulatorConfig,
};
use serde_json::Value;

use crate::avatars::{between, is_from};
use crate::talking::{LONG, events_until, is_utterance, say};
use crate::world::{Room, SOON, World, vendors, warnings};

/// A browser joins a room and decodes its first picture within this, on a small machine.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// What is measured begins and ends at the first and last loud moment, and the sound of a call comes late.
const MEASURED_SLACK_MS: u64 = 1_000;

/// How many pictures the page has shown of the avatar.
const PICTURES: &str =
    "document.querySelector('video.shown')?.getVideoPlaybackQuality().totalVideoFrames ?? 0";

pub(crate) async fn in_a_real_browser_the_room_sees_the_avatar_move_and_hears_it(
    world: &World,
) -> Result<()> {
    let chromium = Browser::find().context("no Chromium is installed")?;
    let in_browser = SimulatorConfig {
        pages: PageMode::Chromium(Some(chromium)),
        ..vendors()
    };
    let system = world
        .start_avatars(AvatarProvider::LiveAvatar, in_browser)
        .await?;
    let simulator = &system.simulator;
    simulator.studio_opens(SOON).await?;
    let room = Room::new(&system);
    let room = room.meet_with_a_face(MeetingScript::instant()).await?;
    room.until_greeted().await?;
    room.until(|meeting| meeting["avatar"]["state"] == "ready")
        .await?;
    let session = room.avatar_session().await?;
    let told = |kind: &'static str| move |news: &PageNews| *news == PageNews::Told(kind.to_owned());
    let said = |news: &PageNews| matches!(news, PageNews::Said(message) if message["type"] == "avatar.tracks");
    let joined = room.page_last(told("avatar.join"))?;
    let shown = between(joined, room.page_last(said)?);
    ensure!(shown < SHOWN_WITHIN, "{shown:?}");

    let bot = room.bot()?.id;
    let body = "document.body.dataset.shown";
    ensure!(simulator.evaluate_in_page(&bot, body).await? == "avatar");
    let before = pictures(&simulator.evaluate_in_page(&bot, PICTURES).await?)?;
    let sound_before = simulator.page_sound(&bot).len();
    let length = room.length_ms(LONG).await?;
    // What follows too soon after the greeting is measured as one sound with it.
    room.page_sounds_to(&room.greeting()).await?;
    let mut live = room.api.live(&room.id).await?;
    let id = say(&room, LONG).await?;
    events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    let after = pictures(&simulator.evaluate_in_page(&bot, PICTURES).await?)?;
    // A machine with two cores draws, encodes and decodes some ten pictures a second.
    let fewest = length / 1_000 * 5;
    ensure!(
        after - before > fewest,
        "{before} and then {after} pictures"
    );
    let mut heard = room.page_sounds_to(LONG).await?;
    let heard = heard.pop().context("it was heard")?;
    ensure!(heard.measured && is_from(&heard, &session), "{heard:?}");
    ensure!(
        heard.duration_ms.abs_diff(length) < MEASURED_SLACK_MS,
        "{heard:?} of {length} ms"
    );
    let sound = simulator.page_sound(&bot);
    ensure!(
        loudest(&sound[sound_before..]) > 1_000,
        "the sound is faint"
    );
    println!(
        "avatar in Chromium: shown {} ms after it was told to, {} pictures and {} of {length} ms of sound in a sentence",
        shown.as_millis(),
        after - before,
        heard.duration_ms
    );
    let meeting = room.ends_with_no_session_left().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    Ok(())
}

fn pictures(count: &Value) -> Result<u64> {
    count.as_u64().with_context(|| format!("{count} pictures"))
}

/// The loudest sample of 16-bit sound.
fn loudest(pcm: &[u8]) -> u16 {
    let samples = pcm.chunks_exact(2);
    let loud = samples.map(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs());
    loud.max().unwrap_or(0)
}
