//! Attacks of somebody who has a page's token, or something like it.

use anyhow::{Context as _, Result, ensure};
use attache_simulator::MeetingScript;
use attache_tests::{Api, PageSocket, System, read};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::face_page::{token, without_page};
use crate::talking::{events_until, is_utterance, say};
use crate::world::{Room, SOON, World, is_problem, text, warnings};

/// How many refusals are asked for at a time.
const AT_A_TIME: usize = 20;

/// How many frames make a flood.
const FLOOD: usize = 1_000;

/// What a thing that is said leaves in the timeline has fewer entries; a flood would have thousands.
const MOST_ENTRIES: usize = 20;

/// What no page should know, and no timeline show.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9fakefakefake0123456789";

async fn ask(api: &Api, id: &str, token: &str) -> Result<attache_tests::Answer> {
    read(PageSocket::request(&api.with_key("none"), id, token)).await
}

/// Opens the page's socket, says that it is ready, and waits until it is given the greeting.
async fn given_the_greeting(system: &System, room: &Room<'_>) -> Result<(PageSocket, String)> {
    let token = token(system, &room.id, "default", 600)?;
    let mut page = PageSocket::open(&room.api, &room.id, &token).await?;
    page.until_told("hello", SOON).await?;
    page.say(&json!({ "type": "ready" })).await?;
    let start = page.until_told("speak.start", SOON).await?;
    page.until_told("speak.end", SOON).await?;
    Ok((page, text(&start["utterance_id"])))
}

pub(crate) async fn a_token_that_is_damaged_or_shortened_anywhere_opens_nothing(
    world: &World,
) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let other = without_page(system).await?;
    let good = token(system, &room.id, "default", 60)?;
    let mut bad: Vec<String> = (0..good.len())
        .map(|place| {
            let other = if good.as_bytes()[place] == b'A' {
                "B"
            } else {
                "A"
            };
            format!("{}{other}{}", &good[..place], &good[place + 1..])
        })
        .collect();
    bad.extend((0..good.len()).step_by(7).map(|end| good[..end].to_owned()));
    bad.extend([
        format!("{good}A"),
        format!("{good}="),
        format!("{good}{good}"),
        format!("%00{good}"),
        good.to_uppercase(),
    ]);
    for batch in bad.chunks(AT_A_TIME) {
        try_join_all(batch.iter().map(async |token| {
            is_problem(
                &ask(&room.api, &room.id, token).await?,
                401,
                "invalid_page_token",
            )
        }))
        .await?;
    }
    // Which of two meetings is meant is not decided twice.
    let (a, b) = (&room.id, &other.id);
    let path = format!("/bot/socket?meeting_id={b}&meeting_id={a}&t={good}");
    let twice = read(room.api.request(Method::GET, &path)).await?;
    is_problem(&twice, 401, "invalid_page_token")?;
    let path =
        format!("/bot/socket?meeting_id={a}&meeting_id={b}&tenant_id=somebody-else&t={good}");
    let twice = read(room.api.request(Method::GET, &path)).await?;
    is_problem(&twice, 426, "upgrade_required")?;
    let (first, second) = (room.meeting().await?, other.meeting().await?);
    ensure!(first["avatar"]["state"] == "starting" && second["avatar"]["state"] == "starting");

    // It is no key of the API's, and a key of the API's is no token.
    is_problem(
        &room.api.with_key(&good).meeting(a).await?,
        401,
        "unauthorized",
    )?;
    let key = room.api.key();
    is_problem(&ask(&room.api, a, key).await?, 401, "invalid_page_token")
}

pub(crate) async fn a_token_outlives_neither_the_call_nor_what_is_kept_of_it(
    world: &World,
) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let good = token(system, &room.id, "default", 3_600)?;
    let mut page = PageSocket::open(&room.api, &room.id, &good).await?;
    page.until_told("hello", SOON).await?;
    room.host_ends().await?;
    page.until_closed(SOON).await?;
    is_problem(&ask(&room.api, &room.id, &good).await?, 409, "no_page")?;
    room.until_settled().await?;
    let path = format!("/v1/meetings/{}?purge=true", room.id);
    read(room.api.request(Method::DELETE, &path))
        .await?
        .expect(202)?;
    while room.api.meeting(&room.id).await?.status == 200 {
        tokio::task::yield_now().await;
    }
    is_problem(
        &ask(&room.api, &room.id, &good).await?,
        404,
        "meeting_not_found",
    )
}

/// A meeting whose page has greeted and has nothing more to say.
async fn greeted_by_hand(system: &System) -> Result<(Room<'_>, PageSocket, String)> {
    let room = without_page(system).await?;
    let (mut page, id) = given_the_greeting(system, &room).await?;
    let mut live = room.api.live(&room.id).await?;
    page.say(&json!({ "type": "playing", "utterance_id": id, "played_ms": 0 }))
        .await?;
    page.say(&json!({ "type": "spoken", "utterance_id": id }))
        .await?;
    events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    Ok((room, page, id))
}

pub(crate) async fn a_page_that_lies_and_floods_changes_only_what_it_was_given(
    world: &World,
) -> Result<()> {
    let system = world.by_hand().await?;
    let (room, mut page, own) = greeted_by_hand(system).await?;
    let (other, _other_page, others) = greeted_by_hand(system).await?;
    let before = (room.timeline().await?, other.timeline().await?);
    let nobodys = "utt_00000000000000000000000000";
    let lies = [
        json!({ "type": "spoken", "utterance_id": others }),
        json!({ "type": "playing", "utterance_id": others, "played_ms": 0 }),
        json!({ "type": "spoken", "utterance_id": own }),
        json!({ "type": "speak.failed", "utterance_id": own, "reason": "no" }),
        json!({ "type": "spoken", "utterance_id": nobodys }),
        json!({ "type": "speak.failed", "utterance_id": nobodys, "reason": "no" }),
        json!({ "type": "playing", "utterance_id": own, "played_ms": -1 }),
        json!({ "type": "playing", "utterance_id": own, "played_ms": 1e300 }),
        json!({ "type": "avatar.tracks", "session": "made-up", "first_frame_ms": u64::MAX }),
        json!({ "type": "video.frozen", "session": "made-up" }),
        json!({ "type": "avatar.disconnected", "session": "made-up", "reason": "x" }),
        json!({ "type": "hello", "agent": { "name": "Mallory" } }),
        json!({ "type": "meeting", "status": "ended" }),
        json!({ "type": ["spoken"], "utterance_id": own }),
        json!({ "type": "spoken", "utterance_id": "x".repeat(10_000) }),
        json!({ "type": "ready" }),
        json!([]),
        json!("spoken"),
    ];
    for lie in lies.iter().cycle().take(FLOOD) {
        page.say(lie).await?;
    }
    for _ in 0..30 {
        page.hear(&vec![0x7f; 60_000]).await?;
    }
    // Frames are read in order: once this shows, all of them were.
    page.say(&json!({ "type": "sound.blocked" })).await?;
    room.until(|meeting| !warnings(meeting).is_empty()).await?;
    let mut live = room.api.live(&room.id).await?;
    let id = say(&room, "Still here.").await?;
    let start = page.until_told("speak.start", SOON).await?;
    ensure!(
        start["utterance_id"] == id && start["text"] == "Still here.",
        "{start}"
    );
    for played_ms in [0, u64::MAX, 0, u64::MAX / 2, 1] {
        page.say(&json!({ "type": "playing", "utterance_id": id, "played_ms": played_ms }))
            .await?;
    }
    page.say(&json!({ "type": "spoken", "utterance_id": id }))
        .await?;
    let events = events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    let heard = events.last().and_then(|event| event["heard_ms"].as_u64());
    ensure!(heard.is_some_and(|ms| ms < 60_000), "{events:?}");

    ensure!(other.timeline().await? == before.1);
    let added = room.timeline().await?.split_off(before.0.len());
    ensure!(added.len() < MOST_ENTRIES, "{added:?}");
    let meeting = room.meeting().await?;
    ensure!(
        meeting["status"] == "in_progress" && warnings(&meeting) == ["sound_blocked"],
        "{meeting}"
    );
    ensure!(meeting["listening"]["state"] == "off", "{meeting}");
    ensure!(room.chats().is_empty() && other.chats().is_empty());
    Ok(())
}

pub(crate) async fn what_a_page_says_went_wrong_is_told_without_addresses_and_tokens(
    world: &World,
) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let (mut page, greeting) = given_the_greeting(system, &room).await?;
    let reason = format!(
        "\u{1b}]0;owned\u{7}no\r\nsound wss://evil.example/rtc?access_token={TOKEN} {TOKEN}"
    );
    page.say(&json!({ "type": "speak.failed", "utterance_id": greeting, "reason": reason }))
        .await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "chat", "{meeting}");
    let why = text(&meeting["greeting"]["reason"]);
    ensure!(why.contains("no sound wss://evil.example/… ***"), "{why}");
    told_plainly(&room, &[TOKEN]).await
}

/// Holds that nothing of the meeting that can be read shows one of these, or what a terminal would obey.
pub(crate) async fn told_plainly(room: &Room<'_>, secrets: &[&str]) -> Result<()> {
    let told = json!([room.meeting().await?, room.timeline().await?]);
    for text in texts(&told) {
        ensure!(!text.contains(char::is_control), "{text:?}");
        let shown = secrets.iter().find(|secret| text.contains(**secret));
        ensure!(shown.is_none(), "{text:?}");
    }
    Ok(())
}

/// Every text in a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

pub(crate) async fn what_opens_a_page_is_shown_to_nobody(world: &World) -> Result<()> {
    let system = world.by_hand().await?;
    let room = Room::new(system)
        .meet_with_a_face(MeetingScript::instant())
        .await?;
    room.until_status("in_progress").await?;
    let config = room.bot()?.config;
    let url = text(&config["output_media"]["camera"]["config"]["url"]);
    let (_, sealed) = url.split_once("&t=").context("the page's address")?;
    ensure!(sealed.len() > 50, "{config}");
    told_plainly(&room, &[sealed, "&t="]).await?;
    let listed = room.api.meetings("limit=100").await?;
    ensure!(listed.status == 200 && !listed.text.contains(sealed));
    ensure!(
        !system
            .runtime
            .output()
            .iter()
            .any(|line| line.contains(sealed))
    );
    Ok(())
}
