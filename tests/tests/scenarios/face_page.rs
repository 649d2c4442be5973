//! The bot's page, opened by hand: who is let in, what it may reach, and what happens when it does not do its part.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::MeetingScript;
use attache_tests::{PageSocket, System, read, seal_page_token};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;

use crate::talking::{events_until, is_utterance, say};
use crate::world::{Room, SOON, World, is_problem, text, warnings};

/// A meeting whose page nobody has opened.
pub(crate) async fn without_page(system: &System) -> Result<Room<'_>> {
    let room = Room::new(system)
        .meet_with_a_face(MeetingScript::instant())
        .await?;
    room.until_status("in_progress").await?;
    Ok(room)
}

/// Seals a token for a meeting's page that is good for so many seconds.
pub(crate) fn token(
    system: &System,
    meeting_id: &str,
    tenant: &str,
    seconds: i64,
) -> Result<String> {
    let settings = system.runtime.settings();
    let secret = settings.get("TOKEN_SECRET").context("a TOKEN_SECRET")?;
    let expires_at = Timestamp::now() + SignedDuration::from_secs(seconds);
    seal_page_token(secret, meeting_id, tenant, expires_at)
}

/// Opens the page's socket, and is greeted there.
async fn open(system: &System, room: &Room<'_>) -> Result<PageSocket> {
    let token = token(system, &room.id, "default", 60)?;
    let mut page = PageSocket::open(&room.api, &room.id, &token).await?;
    let hello = page.until_told("hello", SOON).await?;
    ensure!(
        hello
            == json!({ "type": "hello", "agent": { "name": room.agent, "company": "Acme" },
                "pose": "listening", "microphone": false }),
        "{hello}"
    );
    Ok(page)
}

pub(crate) async fn only_the_meetings_own_page_is_let_in(world: &World) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let other = without_page(system).await?;
    let good = token(system, &room.id, "default", 60)?;
    let forged = {
        let other_secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let expires_at = Timestamp::now() + SignedDuration::from_secs(60);
        seal_page_token(other_secret, &room.id, "default", expires_at)?
    };
    let changed = {
        let last = if good.ends_with('A') { 'B' } else { 'A' };
        format!("{}{last}", &good[..good.len() - 1])
    };
    let ask = async |id: &str, token: &str| {
        let api = room.api.with_key("none");
        read(PageSocket::request(&api, id, token)).await
    };
    for bad in [
        "",
        "nonsense",
        &forged,
        &changed,
        &"A".repeat(4_000),
        &token(system, &room.id, "default", -1)?,
        &token(system, &other.id, "default", 60)?,
    ] {
        is_problem(&ask(&room.id, bad).await?, 401, "invalid_page_token")?;
    }
    for id in ["", "nonsense", &other.id] {
        is_problem(&ask(id, &good).await?, 401, "invalid_page_token")?;
    }
    // Another tenant's meeting is not there, and one without a face has no page.
    let foreign = token(system, &room.id, "somebody-else", 60)?;
    is_problem(&ask(&room.id, &foreign).await?, 404, "meeting_not_found")?;
    let voice = Room::new(system).meet(MeetingScript::manual()).await?;
    let voices = token(system, &voice.id, "default", 60)?;
    is_problem(&ask(&voice.id, &voices).await?, 409, "no_page")?;
    let path = format!("/bot/socket?meeting_id={}&t={good}", room.id);
    let plain = read(room.api.request(Method::GET, &path)).await?;
    is_problem(&plain, 426, "upgrade_required")?;

    // After all that nobody is there, and with the right token somebody is.
    ensure!(room.meeting().await?["avatar"]["state"] == "starting");
    let mut page = open(system, &room).await?;
    page.say(&json!({ "type": "ready" })).await?;
    room.until(|meeting| meeting["avatar"]["state"] == "ready")
        .await?;
    room.host_ends().await?;
    page.until_closed(SOON).await?;
    is_problem(&ask(&room.id, &good).await?, 409, "no_page")
}

pub(crate) async fn a_page_that_does_not_come_leaves_the_greeting_to_the_chat(
    world: &World,
) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "chat", "{meeting}");
    ensure!(
        warnings(&meeting) == ["page_not_ready", "greeting_failed"],
        "{meeting}"
    );
    ensure!(room.chats() == [room.greeting()], "{:?}", room.chats());

    // When it comes after all it does not greet again, and says what is to be said.
    let mut page = open(system, &room).await?;
    page.say(&json!({ "type": "ready" })).await?;
    let mut live = room.api.live(&room.id).await?;
    let id = say(&room, "I am here now.").await?;
    let start = page.until_told("speak.start", SOON).await?;
    ensure!(
        start
            == json!({ "type": "speak.start", "utterance_id": id, "format": "mp3",
                "text": "I am here now." }),
        "{start}"
    );
    let end = page.until_told("speak.end", SOON).await?;
    ensure!(end["utterance_id"] == id, "{end}");
    page.say(&json!({ "type": "playing", "utterance_id": id, "played_ms": 0 }))
        .await?;
    page.say(&json!({ "type": "spoken", "utterance_id": id }))
        .await?;
    events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    ensure!(room.chats().len() == 1);
    Ok(())
}

pub(crate) async fn a_page_whose_sound_is_blocked_is_a_warning(world: &World) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let mut page = open(system, &room).await?;
    for said in ["ready", "sound.blocked", "sound.blocked", "nonsense"] {
        page.say(&json!({ "type": said })).await?;
    }
    // It is given the greeting, and never says that it plays it.
    page.until_told("speak.end", SOON).await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "chat", "{meeting}");
    ensure!(
        warnings(&meeting) == ["sound_blocked", "greeting_failed"],
        "{meeting}"
    );
    page.until_told("interrupt", SOON).await?;
    ensure!(room.chats() == [room.greeting()], "{:?}", room.chats());
    Ok(())
}

pub(crate) async fn a_page_that_takes_over_is_the_only_one(world: &World) -> Result<()> {
    let system = world.by_hand().await?;
    let room = without_page(system).await?;
    let mut first = open(system, &room).await?;
    let mut second = open(system, &room).await?;
    first.until_closed(SOON).await?;
    second.say(&json!({ "type": "ready" })).await?;
    let start = second.until_told("speak.start", SOON).await?;
    let id = text(&start["utterance_id"]);
    second
        .say(&json!({ "type": "playing", "utterance_id": id, "played_ms": 0 }))
        .await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "page", "{meeting}");
    second
        .say(&json!({ "type": "spoken", "utterance_id": id }))
        .await?;
    // Signs of life keep it from being dropped.
    for _ in 0..2 {
        second.until_told("ping", Duration::from_secs(35)).await?;
        second.say(&json!({ "type": "pong" })).await?;
    }
    // The object may have slept meanwhile; the page is there all the same.
    say(&room, "Still here.").await?;
    let start = second.until_told("speak.start", SOON).await?;
    ensure!(start["text"] == "Still here.", "{start}");
    ensure!(warnings(&room.meeting().await?).is_empty());
    let timeline = room.timeline().await?;
    ensure!(
        timeline
            .iter()
            .all(|entry| entry["name"] != "page_disconnected"),
        "{timeline:?}"
    );
    Ok(())
}

pub(crate) async fn the_page_is_served_under_its_policy_and_shows_no_key(
    world: &World,
) -> Result<()> {
    let system = world.by_hand().await?;
    let api = system.api.with_key("none");
    let mut shown = String::new();
    for file in [
        "",
        "main.js",
        "style.css",
        "speech.worklet.js",
        "microphone.worklet.js",
    ] {
        let answer = api.get(&format!("/bot/{file}")).await?;
        ensure!(answer.status == 200, "{file}: {}", answer.status);
        let policy = answer
            .header("content-security-policy")
            .context("no policy")?;
        ensure!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        ensure!(answer.header("referrer-policy") == Some("no-referrer"));
        shown.push_str(&answer.text);
    }
    let room = without_page(system).await?;
    let mut page = open(system, &room).await?;
    page.say(&json!({ "type": "ready" })).await?;
    for kind in ["ping", "speak.start", "speak.end"] {
        shown.push_str(&page.until_told(kind, SOON).await?.to_string());
    }
    for secret in system.runtime.settings().secrets() {
        ensure!(!shown.contains(secret), "the page shows a secret");
    }
    // What is no file of the page's is the Worker's to answer.
    is_problem(&api.get("/bot/nothing").await?, 404, "not_found")?;
    is_problem(&api.get("/v1/meetings").await?, 401, "unauthorized")
}
