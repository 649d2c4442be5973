//! Booking: when the bot is made and joins, and what a booking must look like.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{MeetingScript, Operation};
use attache_tests::{ADMIN_API_KEY, read};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Body, Method};
use serde_json::{Value, json};

use crate::world::{Room, World, is_problem, text, vendors, wrong_fields};

/// How far from its time an alarm may be, on a busy machine: the time of a request or two.
const ALARM_SLACK: SignedDuration = SignedDuration::from_secs(5);

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

fn time(value: &Value) -> Result<Timestamp> {
    text(value)
        .parse()
        .with_context(|| format!("{value} is not a time"))
}

pub(crate) async fn a_meeting_ahead_is_booked_with_recall_at_once_to_join_early(
    world: &World,
) -> Result<()> {
    for (minutes, dedicated) in [(12, false), (120, true)] {
        let mut room = world.room().await?;
        let simulator = room.simulator;
        simulator.script_meeting(&room.url, MeetingScript::manual());
        let starts_at = in_seconds(minutes * 60);
        let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
        let booked = room.book(&booking).await?;
        let join_at = starts_at - SignedDuration::from_mins(3);
        ensure!(time(&booked["join_at"])? == join_at, "{booked}");

        let meeting = room.until(|meeting| meeting["bot"].is_object()).await?;
        let bot = room.bot()?;
        ensure!(bot.join_at == Some(join_at) && bot.scheduled == dedicated);
        ensure!(meeting["status"] == "scheduled" && meeting["bot"]["id"] == bot.id);
        ensure!(room.requests(Operation::CreateBot).len() == 1);
    }
    Ok(())
}

pub(crate) async fn a_bot_booked_ahead_is_not_made_again_when_its_time_has_come(
    world: &World,
) -> Result<()> {
    // The earliest join there is brings the time of a bot made ahead within seconds.
    let system = world
        .start(vendors(), |settings| {
            settings.with("EARLY_JOIN_MINUTES", "10")
        })
        .await?;
    let mut room = Room::new(&system);
    system
        .simulator
        .script_meeting(&room.url, MeetingScript::manual());
    let join_at = in_seconds(6);
    let starts_at = join_at + SignedDuration::from_mins(10);
    let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
    room.book(&booking).await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    ensure!(Timestamp::now() < join_at, "this machine is too slow");

    // Nothing must happen when the time comes, and nothing tells of it.
    let wait = join_at + ALARM_SLACK - Timestamp::now();
    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
    room.bot()?;
    ensure!(room.requests(Operation::CreateBot).len() == 1);
    Ok(())
}

pub(crate) async fn a_meeting_that_starts_soon_is_joined_by_the_alarm_and_not_before(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    let join_at = in_seconds(4);
    let starts_at = join_at + SignedDuration::from_mins(3);
    let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
    let booked = room.book(&booking).await?;
    ensure!(booked["status"] == "scheduled" && time(&booked["join_at"])? == join_at);

    let meeting = room.until_status("in_progress").await?;
    let made = room.bot()?.created_at;
    ensure!(
        join_at <= made && made < join_at + ALARM_SLACK,
        "made {made}, not {join_at}"
    );
    ensure!(meeting["warnings"] == json!([]), "{meeting}");
    ensure!(room.requests(Operation::CreateBot).len() == 1);
    Ok(())
}

pub(crate) async fn a_meeting_without_a_start_or_past_it_is_joined_at_once(
    world: &World,
) -> Result<()> {
    let past = in_seconds(-600).to_string();
    for starts_at in [json!(null), json!(past)] {
        let mut room = world.room().await?;
        let booking = room.booking_with(json!({ "starts_at": starts_at }));
        let booked = room.book(&booking).await?;
        ensure!(booked["join_at"] == booked["created_at"], "{booked}");
        room.until_status("in_progress").await?;
        ensure!(room.bot()?.join_at.is_none());
    }
    Ok(())
}

pub(crate) async fn joining_early_replaces_the_bot_that_was_booked_ahead(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    let booking = room.booking_with(json!({ "starts_at": in_seconds(3 * 3600).to_string() }));
    room.book(&booking).await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    let first = room.bot()?.id;

    room.api.join(&room.id).await?.expect(202)?;
    room.until(|meeting| meeting["status"] == "in_progress" && meeting["bot"]["id"] != first)
        .await?;
    let second = room.bot()?;
    ensure!(second.id != first && second.join_at.is_none());
    let deleted = room.requests(Operation::DeleteBot);
    ensure!(
        deleted.len() == 1 && deleted[0].status == Some(204),
        "{deleted:?}"
    );

    // Joining what is joined already changes nothing.
    room.api.join(&room.id).await?.expect(202)?;
    room.until_greeted().await?;
    room.host_ends().await?;
    room.until_settled().await?;
    ensure!(is_refused_as_over(&room).await?);
    room.one_bot_and_one_greeting()
}

async fn is_refused_as_over(room: &Room<'_>) -> Result<bool> {
    let answer = room.api.join(&room.id).await?;
    Ok(answer.status == 409 && answer.body["code"] == "meeting_over")
}

pub(crate) async fn joining_early_joins_a_meeting_that_waits_for_its_alarm(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    let booking = room.booking_with(json!({ "starts_at": in_seconds(8 * 60).to_string() }));
    let booked = room.book(&booking).await?;
    ensure!(booked["bot"].is_null() && room.bots().is_empty());
    room.api.join(&room.id).await?.expect(202)?;
    room.until_status("in_progress").await?;
    room.bot()?;
    Ok(())
}

pub(crate) async fn one_idempotency_key_books_one_meeting(world: &World) -> Result<()> {
    let room = world.room().await?;
    let key = format!("key of {}", room.agent);
    let booking = room.booking_with(json!({ "title": "once" }));
    let at_once = (0..5).map(|_| room.api.create_meeting_once(&booking, &key));
    let answers = try_join_all(at_once).await?;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let found = answers.iter().filter(|answer| answer.status == 200).count();
    ensure!((made, found) == (1, 4), "{made} made, {found} found");
    let id = &answers[0].body["id"];
    ensure!(answers.iter().all(|answer| answer.body["id"] == *id));

    let again = room.api.create_meeting_once(&booking, &key).await?;
    ensure!(again.expect(200)?["id"] == *id);
    let other = room.booking_with(json!({ "title": "other" }));
    let other = room.api.create_meeting_once(&other, &key).await?;
    is_problem(&other, 409, "idempotency_key_reused")?;

    let joined = |meeting: &Value| meeting["status"] == "in_progress";
    room.api
        .wait_until(&text(id), joined, crate::world::SOON)
        .await?;
    room.bot()?;
    Ok(())
}

pub(crate) async fn whatever_is_wrong_with_a_booking_is_named(world: &World) -> Result<()> {
    let room = world.room().await?;
    let cases = [
        (
            json!({ "titel": "x", "agent": { "nmae": "Ada" } }),
            vec!["agent.nmae", "titel"],
        ),
        (json!({ "meeting_url": null }), vec!["meeting_url"]),
        (
            json!({ "meeting_url": "http://meet.google.com/abc-defg-hij" }),
            vec!["meeting_url"],
        ),
        (
            json!({ "meeting_url": "https://meet.google.com.evil.example/abc" }),
            vec!["meeting_url"],
        ),
        (
            json!({ "meeting_url": "https://169.254.169.254/j/1" }),
            vec!["meeting_url"],
        ),
        (
            json!({ "meeting_url": "https://user:pass@zoom.us/j/1" }),
            vec!["meeting_url"],
        ),
        (json!({ "starts_at": "tomorrow" }), vec!["starts_at"]),
        (
            json!({ "starts_at": "2026-12-01T15:00:00" }),
            vec!["starts_at"],
        ),
        (
            json!({ "starts_at": "2999-12-01T15:00:00Z" }),
            vec!["starts_at"],
        ),
        (json!({ "starts_at": 1_790_000_000 }), vec!["starts_at"]),
        (json!({ "presence": "hologram" }), vec!["presence"]),
        (json!({ "metadata": [] }), vec!["metadata"]),
        (
            json!({ "meeting_url": "ftp://x", "starts_at": "soon", "title": "x".repeat(201), "agent": { "name": " " } }),
            vec!["meeting_url", "starts_at", "title", "agent.name"],
        ),
    ];
    for (fields, wrong) in cases {
        let booking = room.booking_with(fields.clone());
        let named = wrong_fields(room.api.create_meeting(&booking).await?)
            .with_context(|| fields.to_string())?;
        ensure!(named == wrong, "{fields}: {named:?}");
    }
    let missing = room.api.create_meeting(&json!({})).await?;
    ensure!(wrong_fields(missing)? == ["meeting_url"]);
    for body in ["", "{", "[]", "null"] {
        let request = room.api.request(Method::POST, "/v1/meetings");
        is_problem(&read(request.body(body)).await?, 400, "malformed_json")?;
    }
    ensure!(room.bots().is_empty());
    Ok(())
}

pub(crate) async fn a_body_over_one_mebibyte_is_refused_whether_or_not_it_says_so(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let large = room.booking_with(json!({ "title": "x".repeat(1024 * 1024) }));
    let declared = room.api.create_meeting(&large).await?;
    is_problem(&declared, 413, "body_too_large")?;

    let chunks = large.to_string().into_bytes();
    let chunks: Vec<std::io::Result<Vec<u8>>> = chunks
        .chunks(64 * 1024)
        .map(|chunk| Ok(chunk.to_vec()))
        .collect();
    let body = Body::wrap_stream(futures_util::stream::iter(chunks));
    let request = room.api.request(Method::POST, "/v1/meetings").body(body);
    is_problem(&read(request).await?, 413, "body_too_large")
}

pub(crate) async fn a_list_is_newest_first_in_pages_and_by_status(world: &World) -> Result<()> {
    let system = world.system().await?;
    let admin = system.api.with_key(ADMIN_API_KEY);
    admin.put_tenant("lists", &json!({})).await?.expect(201)?;
    let minted = admin.create_key("lists").await?.expect(201)?;
    let api = system.api.with_key(&text(&minted["key"]));

    let mut booked = Vec::new();
    for _ in 0..5 {
        let mut room = Room::new(system);
        room.api = api.clone();
        let starts_at = in_seconds(9 * 60).to_string();
        let booking = room.booking_with(json!({ "starts_at": starts_at }));
        booked.insert(0, text(&room.book(&booking).await?["id"]));
    }
    let (mut listed, mut sizes, mut query) = (Vec::new(), Vec::new(), "limit=2".to_owned());
    loop {
        let page = api.meetings(&query).await?.expect(200)?;
        let ids = ids(&page)?;
        sizes.push(ids.len());
        listed.extend(ids);
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("limit=2&cursor={cursor}");
    }
    ensure!(
        listed == booked && sizes == [2, 2, 1],
        "{listed:?} {sizes:?}"
    );

    api.delete_meeting(&booked[3]).await?.expect(202)?;
    let cancelled = |meeting: &Value| meeting["status"] == "cancelled";
    api.wait_until(&booked[3], cancelled, crate::world::SOON)
        .await?;
    // The index follows the meeting.
    let by_status = |status: &'static str| {
        let api = &api;
        async move {
            let page = api
                .meetings(&format!("status={status}"))
                .await?
                .expect(200)?;
            ids(&page)
        }
    };
    while by_status("cancelled").await? != [booked[3].clone()] {
        tokio::task::yield_now().await;
    }
    let scheduled = by_status("scheduled").await?;
    ensure!(scheduled.len() == 4 && !scheduled.contains(&booked[3]));
    ensure!(by_status("in_progress").await?.is_empty());
    Ok(())
}

fn ids(page: &Value) -> Result<Vec<String>> {
    let meetings = page["meetings"].as_array().context("a page has meetings")?;
    Ok(meetings
        .iter()
        .map(|meeting| text(&meeting["id"]))
        .collect())
}

pub(crate) async fn wrong_query_parameters_are_named(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    let starts_at = in_seconds(9 * 60).to_string();
    let booking = room.booking_with(json!({ "starts_at": starts_at }));
    room.book(&booking).await?;
    for (query, wrong) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("status=over", "status"),
        ("cursor=garbage", "cursor"),
        ("cursor=", "cursor"),
        ("page=2", "page"),
    ] {
        let named = wrong_fields(room.api.meetings(query).await?).context(query)?;
        ensure!(named == [wrong], "{query}: {named:?}");
    }
    for (query, wrong) in [
        ("format=pdf", "format"),
        ("source=best", "source"),
        ("limit=0", "limit"),
        ("cursor=-1", "cursor"),
    ] {
        let named = wrong_fields(room.api.transcript(&room.id, query).await?).context(query)?;
        ensure!(named == [wrong], "{query}: {named:?}");
    }
    let timeline = room.api.timeline(&room.id, "limit=101").await?;
    ensure!(wrong_fields(timeline)? == ["limit"]);
    Ok(())
}

pub(crate) async fn a_meeting_with_a_face_books_a_bot_that_shows_its_page(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    room.simulator
        .script_meeting(&room.url, MeetingScript::manual());
    room.book(&room.booking_with(json!({ "presence": "avatar" })))
        .await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    let config = room.bot()?.config;
    let camera = &config["output_media"]["camera"];
    let page = text(&camera["config"]["url"]);
    let origin = world.system().await?.runtime.base_url();
    ensure!(
        camera["kind"] == "webpage" && page.starts_with(&format!("{origin}/bot/")),
        "{config}"
    );
    ensure!(config["variant"]["google_meet"] == "web_4_core", "{config}");
    for excluded in ["automatic_audio_output", "automatic_video_output"] {
        ensure!(config[excluded].is_null(), "{config}");
    }
    let avatar = room.meeting().await?["avatar"].clone();
    ensure!(avatar["provider"] == "builtin", "{avatar}");
    Ok(())
}

/// Every call of this version, as the description is to name it.
const CALLS: [(&str, &str); 18] = [
    ("post", "/v1/meetings"),
    ("get", "/v1/meetings"),
    ("get", "/v1/meetings/{id}"),
    ("delete", "/v1/meetings/{id}"),
    ("post", "/v1/meetings/{id}/join"),
    ("post", "/v1/meetings/{id}/say"),
    ("post", "/v1/meetings/{id}/interrupt"),
    ("post", "/v1/meetings/{id}/chat"),
    ("post", "/v1/meetings/{id}/reaction"),
    ("get", "/v1/meetings/{id}/avatar"),
    ("post", "/v1/meetings/{id}/avatar/rotate"),
    ("get", "/v1/meetings/{id}/transcript"),
    ("get", "/v1/meetings/{id}/recording"),
    ("get", "/v1/meetings/{id}/timeline"),
    ("put", "/v1/tenants/{tenant_id}"),
    ("get", "/v1/tenants/{tenant_id}"),
    ("post", "/v1/tenants/{tenant_id}/keys"),
    ("delete", "/v1/tenants/{tenant_id}/keys/{key_id}"),
];

pub(crate) async fn the_api_describes_every_call_that_works_and_none_that_does_not(
    world: &World,
) -> Result<()> {
    let api = &world.system().await?.api;
    let document = api
        .with_key("none")
        .get("/openapi.json")
        .await?
        .expect(200)?;
    ensure!(text(&document["openapi"]).starts_with("3."));
    let paths = document["paths"].as_object().context("no paths")?;
    for (method, path) in CALLS {
        ensure!(
            paths[path][method].is_object(),
            "{method} {path} is missing"
        );
    }
    let methods = ["get", "put", "post", "delete", "patch"];
    for (path, item) in paths {
        for method in methods.iter().filter(|method| item[**method].is_object()) {
            let known = CALLS.contains(&(method, path.as_str()));
            ensure!(known || is_public(path), "{method} {path} is described");
        }
    }
    let health = api.with_key("none").health().await?.expect(200)?;
    ensure!(health["status"] == "ok" && health["version"].is_string());
    Ok(())
}

/// Calls that need no key of ours may be described too.
fn is_public(path: &str) -> bool {
    [
        "/healthz",
        "/openapi.json",
        "/webhooks/recall",
        "/recall/media/{meeting_id}/",
        "/bot/socket",
        "/v1/meetings/{id}/live",
    ]
    .contains(&path)
}
