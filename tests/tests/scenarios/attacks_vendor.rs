//! Attacks of a vendor, of somebody who poses as one, and of somebody who has seen what they send.

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarProvider, Fault, HeaderFamily, MadeUpWebhook, MeetingScript, Operation, SimulatorConfig,
    sign,
};
use attache_tests::{AudioSocket, System, read, sign_upgrade};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::attacks_page::told_plainly;
use crate::trap::Trap;
use crate::webhooks::{about, emit, samples};
use crate::world::{Room, World, is_problem, text, vendors, warnings};

/// What a terminal would obey, and more words than anybody reads.
const NOISE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nSet-Cookie: a=b\r\n";

/// Shaped as the keys of `LiveAvatar` are: nothing in it looks opaque.
const LIVEAVATAR_KEY: &str = "0badfeed-fa4e-4bad-8bad-fa4efa4efa4e";

/// What opens an avatar's socket.
const SOCKET_TOKEN: &str = "fake-socket-token";

/// A status in the vendor's words, about this bot.
fn status(code: &str, bot: &Value) -> Value {
    let data =
        json!({ "code": code, "sub_code": null, "updated_at": Timestamp::now().to_string() });
    json!({ "event": format!("bot.{code}"), "data": { "data": data, "bot": bot } })
}

/// Sends them side by side, signed as they should be; each is accepted.
async fn all_are_accepted(room: &Room<'_>, payloads: &[Value]) -> Result<()> {
    let sent = payloads.iter().enumerate().map(async |(place, payload)| {
        let mut webhook = MadeUpWebhook::new(payload);
        webhook.id = format!("{}_{place}", webhook.id);
        let answered = emit(room, webhook).await?;
        ensure!(answered == 200, "{answered} for {payload}");
        Ok(())
    });
    try_join_all(sent).await?;
    Ok(())
}

/// Holds that these parts of a meeting are as they were.
fn unchanged(before: &Value, after: &Value, fields: &[&str]) -> Result<()> {
    for field in fields {
        ensure!(after[field] == before[field], "{field}: {after}");
    }
    Ok(())
}

pub(crate) async fn a_signed_webhook_moves_only_the_meeting_whose_bot_it_names(
    world: &World,
) -> Result<()> {
    let named = world.greeted(MeetingScript::instant()).await?;
    let other = world.greeted(MeetingScript::instant()).await?;
    let before = (named.meeting().await?, other.meeting().await?);
    // The one meeting's id and the other one's bot, whatever else is said of it.
    let mixed = json!({ "id": other.bot()?.id, "metadata": {
        "meeting_id": named.id, "tenant_id": "somebody-else", "__proto__": { "x": 1 } } });
    let mut sent = Vec::new();
    for sample in samples()? {
        let event = text(&sample["event"]);
        let is_told = [
            "transcript.",
            "participant_events.",
            "recording.",
            "video_mixed.",
            "audio_mixed.",
        ];
        if is_told.iter().any(|family| event.starts_with(family))
            && sample["data"]["bot"].is_object()
        {
            let mut payload = sample;
            payload["data"]["bot"] = mixed.clone();
            sent.push(payload);
        }
    }
    ensure!(sent.len() >= 5, "{} samples", sent.len());
    sent.extend(["call_ended", "done", "fatal"].map(|code| status(code, &mixed)));
    all_are_accepted(&named, &sent).await?;
    let fields = [
        "status",
        "bot",
        "greeting",
        "listening",
        "transcript",
        "recording",
        "ended",
        "warnings",
    ];
    unchanged(&before.0, &named.meeting().await?, &fields)?;
    unchanged(&before.1, &other.meeting().await?, &fields)?;
    let transcript = named.api.transcript(&named.id, "").await?.expect(200)?;
    ensure!(transcript["segments"] == json!([]), "{transcript}");

    // Without a meeting's name it is the bot's meeting that is meant, and only that.
    let bare = json!({ "id": other.bot()?.id, "metadata": {} });
    ensure!(emit(&named, MadeUpWebhook::new(&status("call_ended", &bare))).await? == 200);
    other.until_status("ended").await?;
    ensure!(named.meeting().await?["status"] == "in_progress");
    named.host_ends().await?;
    named.until_status("ended").await?;
    Ok(())
}

pub(crate) async fn what_comes_after_the_end_brings_nobody_back(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    room.host_ends().await?;
    let before = room.until_settled().await?;
    let heard = room.heard().len();
    let bot = room.bot()?;
    let bot = json!({ "id": bot.id, "metadata": bot.metadata });
    let mut late = Vec::new();
    for sample in samples()? {
        late.push(about(&room, sample)?);
    }
    let codes = [
        "joining_call",
        "in_call_recording",
        "fatal",
        "call_ended",
        "done",
    ];
    late.extend(codes.map(|code| status(code, &bot)));
    all_are_accepted(&room, &late).await?;
    unchanged(
        &before,
        &room.meeting().await?,
        &["status", "greeting", "ended"],
    )?;
    ensure!(room.heard().len() == heard);
    room.one_bot_and_one_greeting()
}

pub(crate) async fn what_is_signed_for_one_thing_is_no_good_for_another(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let secret = vendors().webhook_secret;
    let [id, at, signed] = HeaderFamily::Webhook.names();
    let bot = room.bot()?;
    let bot = json!({ "id": bot.id, "metadata": bot.metadata });
    let body = status("call_ended", &bot).to_string();
    let now = Timestamp::now().as_second();
    let of_webhook = [
        (id, "msg_seen".to_owned()),
        (at, now.to_string()),
        (signed, sign(&secret, "msg_seen", now, body.as_bytes())?),
    ];
    let of_upgrade = sign_upgrade(&secret, 0)?;

    let mut audio = AudioSocket::request(&room.api, &room.id);
    for (name, value) in &of_webhook {
        audio = audio.header(*name, value);
    }
    is_problem(&read(audio).await?, 401, "invalid_signature")?;
    for (body, status, code) in [
        (body.as_str(), 401, "invalid_signature"),
        ("", 400, "malformed_webhook"),
    ] {
        let mut webhook = room.api.request(Method::POST, "/webhooks/recall");
        for (name, value) in &of_upgrade {
            webhook = webhook.header(*name, value);
        }
        is_problem(&read(webhook.body(body.to_owned())).await?, status, code)?;
    }
    // Neither is a signature a key, nor does one of a message cover another message.
    let borrowed = room.api.with_key(&of_webhook[2].1);
    is_problem(&borrowed.meeting(&room.id).await?, 401, "unauthorized")?;
    let mut webhook = room.api.request(Method::POST, "/webhooks/recall");
    for (name, value) in &of_webhook {
        webhook = webhook.header(*name, value);
    }
    let other = body.replace("call_ended", "fatal");
    is_problem(&read(webhook.body(other)).await?, 401, "invalid_signature")?;
    ensure!(room.meeting().await?["status"] == "in_progress");
    Ok(())
}

pub(crate) async fn a_vendor_that_repeats_our_key_gets_it_no_further(world: &World) -> Result<()> {
    let system = world.system().await?;
    let settings = system.runtime.settings();
    let recall = settings.get("RECALL_API_KEY").context("a key")?;
    let elevenlabs = settings.get("ELEVENLABS_API_KEY").context("a key")?;
    let long = "x ".repeat(50_000);

    let refused = world.room().await?;
    let words = format!("{NOISE}no bot for Token {recall}: {recall}{recall} {long}");
    let fault = Fault::status_with(403, json!({ "code": recall, "detail": words }));
    system
        .simulator
        .fault_for(&refused.url, Operation::CreateBot, fault);
    let refused = refused.meet(MeetingScript::instant()).await?;
    refused.until_status("failed").await?;
    told_plainly(&refused, &[recall]).await?;
    let story = json!(refused.timeline().await?).to_string();
    ensure!(story.contains("no bot for Token ***: ******"), "{story}");

    let mute = world.room().await?;
    let detail = json!({ "status": elevenlabs, "message": format!("{NOISE}no voice for {elevenlabs} {long}") });
    let fault = Fault::status_with(401, json!({ "detail": detail }));
    system
        .simulator
        .fault_for_text(&mute.agent, Operation::TextToSpeech, fault);
    let mute = mute.meet(MeetingScript::instant()).await?;
    let meeting = mute.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "chat", "{meeting}");
    told_plainly(&mute, &[elevenlabs]).await?;
    let story = json!(mute.timeline().await?).to_string();
    ensure!(story.contains("no voice for ***"), "{story}");

    // What a caller is told at once of a vendor's answer is no exception.
    let over = world.greeted(MeetingScript::instant()).await?;
    over.host_ends().await?;
    over.until_settled().await?;
    let fault = Fault::status_with(
        403,
        json!({ "detail": format!("{NOISE}not with {recall}") }),
    );
    system
        .simulator
        .fault_for_bot(&over.bot()?.id, Operation::RetrieveBot, fault);
    let answer = over.api.recording(&over.id).await?;
    is_problem(&answer, 502, "vendor_error")?;
    let detail = text(&answer.body["detail"]);
    ensure!(
        detail.contains("not with ***") && !detail.contains(char::is_control),
        "{detail}"
    );

    let leaked = system.runtime.leaked_secrets();
    ensure!(leaked.is_empty(), "{leaked:?}");
    let output = system.runtime.output();
    ensure!(!output.iter().any(|line| line.contains("\u{1b}[2J")));
    Ok(())
}

/// A bot that is done, as Recall shows it, whose artifacts are at this address.
fn done_bot(room: &Room<'_>, id: &str, url: &str) -> Fault {
    let artifact = |name: &str| json!({ "id": name, "status": { "code": "done" }, "data": { "download_url": url } });
    let at = Timestamp::now().to_string();
    Fault::status_with(
        200,
        json!({
            "id": id, "meeting_url": room.url, "metadata": { "meeting_id": room.id, "tenant_id": "default" },
            "status_changes": [{ "code": "call_ended", "sub_code": "call_ended_by_host", "created_at": at },
                { "code": "done", "sub_code": null, "created_at": at }],
            "recordings": [{ "id": "rec_made_up", "status": { "code": "done" }, "media_shortcuts": {
                "transcript": artifact("tra_made_up"), "video_mixed": artifact("vid_made_up") } }],
        }),
    )
}

pub(crate) async fn an_address_that_a_vendor_names_is_told_no_credential(
    world: &World,
) -> Result<()> {
    let system = world.system().await?;
    // It sets a cookie and sends everybody on to where the rest would be.
    let trap = Trap::open(|origin| {
        format!(
            "HTTP/1.1 302 Found\r\nlocation: {origin}/onwards\r\nset-cookie: fake=1; path=/\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        )
    })
    .await?;
    let there = trap.url("http", "/transcript?sig=fake-signature");
    let room = world.greeted(MeetingScript::instant()).await?;
    let bot = room.bot()?.id;
    for _ in 0..2 {
        let fault = done_bot(&room, &bot, &there);
        room.simulator
            .fault_for_bot(&bot, Operation::RetrieveBot, fault);
    }
    room.host_ends().await?;
    trap.until_sent().await?;
    room.until(|meeting| meeting["recording"]["state"] == "ready")
        .await?;
    trap.was_told_nothing(
        "/transcript?sig=fake-signature ",
        &system.runtime.settings().secrets(),
    )?;
    told_plainly(&room, &["fake-signature"]).await?;

    Ok(())
}

pub(crate) async fn nobody_who_asks_for_a_recording_is_sent_out_of_the_web(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let bot = room.bot()?.id;
    room.host_ends().await?;
    room.until_settled().await?;
    let there = "http://127.0.0.1:9/recording?sig=fake-signature";
    for (address, status) in [
        ("javascript:alert(document.domain)", 404),
        ("file:///etc/passwd", 404),
        ("data:text/html,<script>alert(1)</script>", 404),
        ("\\\\evil.example\\share", 502),
        (there, 302),
    ] {
        let fault = done_bot(&room, &bot, address);
        room.simulator
            .fault_for_bot(&bot, Operation::RetrieveBot, fault);
        let answer = room.api.recording_redirect(&room.id).await?;
        ensure!(
            answer.status == status,
            "{address}: {} {}",
            answer.status,
            answer.text
        );
        let location = answer.header("location");
        ensure!(
            location.is_none_or(|location| location == there),
            "{location:?}"
        );
    }
    told_plainly(&room, &["fake-signature"]).await
}

pub(crate) async fn a_vendor_that_redirects_takes_no_key_along(world: &World) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_for(&room.url, Operation::CreateBot, Fault::Redirect);
    simulator.fault_for_text(&room.agent, Operation::TextToSpeech, Fault::Redirect);
    let room = room.meet(MeetingScript::instant()).await?;
    room.until(|meeting| {
        meeting["status"] == "failed" || meeting["greeting"]["state"] != "pending"
    })
    .await?;
    let journal = simulator.journal();
    let mut seen = journal.iter().filter_map(|entry| entry.what.request());
    ensure!(
        seen.clone().any(|request| request.fault.is_some()),
        "there was no redirect"
    );
    ensure!(
        seen.all(|request| !request.path.starts_with("/elsewhere")),
        "{}",
        room.story()
    );
    Ok(())
}

/// A started session whose socket is at this address.
fn started(socket: &str) -> Fault {
    let data = json!({
        "session_id": "made-up", "livekit_url": "ws://127.0.0.1:9/livekit", "livekit_client_token": "fake-viewer-token",
        "max_session_duration": 600, "ws_url": socket,
    });
    Fault::status_with(
        201,
        json!({ "code": 1000, "data": data, "message": "started" }),
    )
}

pub(crate) async fn an_avatars_vendor_gets_our_key_nowhere(world: &World) -> Result<()> {
    let vendors = SimulatorConfig {
        liveavatar_api_key: LIVEAVATAR_KEY.to_owned(),
        ..vendors()
    };
    let system = world
        .start_avatars(AvatarProvider::LiveAvatar, vendors)
        .await?;
    // A refusal that repeats the key, which looks like any id.
    let words = format!("{NOISE}the key {LIVEAVATAR_KEY} is not known");
    let fault = Fault::status_with(401, json!({ "code": 4010, "data": null, "message": words }));
    system.simulator.fault(Operation::LiveAvatarToken, fault);
    let refused = meets(&system).await?;
    ensure!(warnings(&refused.meeting().await?) == ["avatar_failed"]);
    told_plainly(&refused, &[LIVEAVATAR_KEY]).await?;
    let story = json!(refused.timeline().await?).to_string();
    ensure!(story.contains("the key *** is not known"), "{story}");

    // A socket that is elsewhere, and sends on to elsewhere again.
    let trap = Trap::open(|origin| {
        format!("HTTP/1.1 302 Found\r\nlocation: {origin}/onwards\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    })
    .await?;
    let path = format!("/socket?token={SOCKET_TOKEN}");
    system
        .simulator
        .fault(Operation::LiveAvatarStart, started(&trap.url("ws", &path)));
    let led_astray = meets(&system).await?;
    trap.until_sent().await?;
    trap.was_told_nothing(&format!("{path} "), &[LIVEAVATAR_KEY, "fake-viewer-token"])?;
    // Addresses that are none lead nowhere.
    for address in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//127.0.0.1/x",
        "no address",
        "ws://",
    ] {
        system
            .simulator
            .fault(Operation::LiveAvatarStart, started(address));
        meets(&system).await.context(address)?;
    }
    told_plainly(
        &led_astray,
        &[SOCKET_TOKEN, "fake-viewer-token", LIVEAVATAR_KEY],
    )
    .await?;
    let leaked = system.runtime.leaked_secrets();
    ensure!(leaked.is_empty(), "{leaked:?}");
    ensure!(
        !system
            .runtime
            .output()
            .iter()
            .any(|line| line.contains(SOCKET_TOKEN))
    );
    Ok(())
}

/// Meets with a face that is left alone by its avatar, and greets all the same.
async fn meets(system: &System) -> Result<Room<'_>> {
    let room = Room::new(system)
        .meet_with_a_face(MeetingScript::instant())
        .await?;
    let meeting = room
        .until(|meeting| meeting["greeting"]["state"] == "sent" && !warnings(meeting).is_empty())
        .await?;
    ensure!(meeting["greeting"]["via"] == "page", "{meeting}");
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    Ok(room)
}
