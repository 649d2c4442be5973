//! Attacks of somebody who has a tenant's key, and of somebody who has none.

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{MeetingScript, Operation};
use attache_tests::{Api, AudioSocket, Live, PageSocket, read};
use futures_util::future::{join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::face_page::token;
use crate::tenants::tenant;
use crate::world::{World, is_problem, text, wrong_fields};

/// More levels than any reader of JSON here follows.
const BOTTOMLESS: usize = 100_000;

/// As many watch one meeting at most.
const MAX_WATCHERS: usize = 100;

/// Sends a request whose path is not cleaned up on the way, and answers the status and all that came.
async fn raw(api: &Api, key: &str, method: &str, path: &str) -> Result<(u16, String)> {
    let host = api.base_url().trim_start_matches("http://").to_owned();
    let mut socket = TcpStream::connect(&host).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // A server that refuses may reset the connection after its answer.
    socket.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.with_context(|| format!("{path}: {answer}"))?, answer))
}

pub(crate) async fn whatever_stands_in_the_place_of_an_id_leads_nowhere(
    world: &World,
) -> Result<()> {
    let system = world.system().await?;
    let room = world.meet(MeetingScript::manual()).await?;
    let minted = tenant(system, "attacker-ids", &json!({})).await?;
    let before = room.until_status("bot_joining").await?;
    let id = &room.id;
    let bare = id.trim_start_matches("mtg_");
    let long = "a".repeat(6_000);
    let paths = [
        format!("/v1/meetings/x/../{id}"),
        format!("/v1/meetings/%2e%2e/meetings/{id}"),
        format!("/v1/meetings/..%2f..%2fv1%2fmeetings%2f{id}"),
        format!("/v1/tenants/../meetings/{id}"),
        format!("//v1/meetings/{id}"),
        format!("/v1//meetings/{id}"),
        format!("/v1/meetings//{id}"),
        format!("/v1/meetings/{id}/"),
        format!("/v1/meetings/{id}%2flive"),
        format!("/v1/meetings/{id}%00"),
        format!("/v1/meetings/{id}%0d%0ax-attache-tenant:%20default"),
        format!("/v1/meetings/{id};tenant_id=default"),
        format!("/v1/meetings/{id}?tenant_id=default"),
        format!("/v1/meetings/%6dtg_{bare}"),
        format!("/v1/meetings/MTG_{bare}"),
        format!("/v1/meetings/{}", id.to_uppercase()),
        format!("/v1/meetings/mtg_{long}"),
        "/v1/meetings/mtg_8zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        "/v1/meetings/mtg_%e2%80%ae%f0%9f%92%a9".to_owned(),
        "/v1/meetings/mtg_%ff%fe".to_owned(),
        "/v1/meetings/default".to_owned(),
        "/v1/tenants/default".to_owned(),
        "/v1/tenants/%64efault".to_owned(),
        "/v1/tenants/default/keys".to_owned(),
        format!("/recall/media/{id}/"),
        format!("/recall/media/..%2f{id}/"),
        // What our own parts call each other.
        "/webhook".to_owned(),
        "/live".to_owned(),
        "/page".to_owned(),
        "/media".to_owned(),
        "/".to_owned(),
    ];
    let stranger = minted.key();
    let refused = async |method: &str, path: &String| {
        let (status, answer) = raw(&room.api, stranger, method, path).await?;
        ensure!((400..500).contains(&status), "{method} {path}: {answer}");
        ensure!(!answer.contains(&room.agent), "{method} {path}: {answer}");
        Ok(())
    };
    for method in ["GET", "POST", "DELETE"] {
        try_join_all(paths.iter().map(|path| refused(method, path))).await?;
    }
    // The owner's key makes none of the odd spellings good either.
    for odd in [&paths[7], &paths[8], &paths[13], &paths[15]] {
        let (status, answer) = raw(&room.api, room.api.key(), "GET", odd).await?;
        ensure!(status == 404, "{odd}: {answer}");
    }
    let after = room.meeting().await?;
    for field in ["status", "agent", "ended", "title", "metadata"] {
        ensure!(after[field] == before[field], "{field}: {after}");
    }
    Ok(())
}

pub(crate) async fn headers_of_our_own_parts_mean_nothing_from_outside(
    world: &World,
) -> Result<()> {
    let system = world.system().await?;
    let room = world.meet(MeetingScript::manual()).await?;
    let stranger = tenant(system, "attacker-headers", &json!({})).await?;
    let path = format!("/v1/meetings/{}", room.id);
    let inside = |request: reqwest::RequestBuilder| {
        request
            .header("x-attache-tenant", "default")
            .header("x-attache-message-id", "msg_inside")
            .header("x-forwarded-for", "127.0.0.1")
            .header("x-http-method-override", "DELETE")
    };
    let plain = read(inside(stranger.request(Method::GET, &path))).await?;
    is_problem(&plain, 404, "meeting_not_found")?;
    let upgrade = |request: reqwest::RequestBuilder| {
        inside(request)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "AAECAwQFBgcICQoLDA0ODw==")
    };
    let live = stranger.request(Method::GET, &format!("{path}/live"));
    is_problem(&read(upgrade(live)).await?, 404, "meeting_not_found")?;

    // A page's token names its tenant, and so does no header.
    let foreign = token(system, &room.id, "attacker-headers", 60)?;
    let page = PageSocket::request(&stranger, &room.id, &foreign);
    is_problem(&read(inside(page)).await?, 404, "meeting_not_found")?;
    let audio = AudioSocket::request(&stranger, &room.id);
    is_problem(&read(inside(audio)).await?, 401, "invalid_signature")?;
    let webhook = stranger.request(Method::POST, "/webhooks/recall");
    let body = json!({ "event": "bot.done", "data": { "bot": { "metadata": { "meeting_id": room.id } } } });
    is_problem(
        &read(inside(webhook.json(&body))).await?,
        401,
        "invalid_signature",
    )?;

    // And a header does not turn the owner's reading into anything else.
    let own = read(inside(room.api.request(Method::GET, &path))).await?;
    ensure!(own.expect(200)?["status"] == "bot_joining");
    ensure!(room.meeting().await?["status"] == "bot_joining");
    Ok(())
}

pub(crate) async fn cursors_and_idempotency_keys_reach_ones_own_meetings_only(
    world: &World,
) -> Result<()> {
    let system = world.system().await?;
    let mut room = world.room().await?;
    let stranger = tenant(system, "attacker-cursors", &json!({})).await?;
    let booking = room.booking_for_next_week();
    let own = room
        .api
        .create_meeting_once(&booking, "the same key")
        .await?;
    room.id = text(&own.expect(201)?["id"]);

    // The key of another tenant is another key.
    let booked = stranger
        .create_meeting_once(&booking, "the same key")
        .await?;
    let booked = booked.expect(201)?;
    ensure!(booked["id"] != room.id && booked["tenant_id"] == "attacker-cursors");
    let other = room.booking_with(json!({ "title": "Another body" }));
    let answer = room.api.create_meeting_once(&other, "the same key").await?;
    is_problem(&answer, 409, "idempotency_key_reused")?;
    let again = room
        .api
        .create_meeting_once(&booking, "the same key")
        .await?;
    ensure!(again.expect(200)?["id"] == room.id);

    // A cursor is a place, not a permission.
    for cursor in [&room.id, "mtg_7zzzzzzzzzzzzzzzzzzzzzzzzz"] {
        let listed = stranger.meetings(&format!("cursor={cursor}")).await?;
        let listed = listed.expect(200)?;
        let meetings = listed["meetings"].as_array().context("a list")?;
        let own = |meeting: &Value| meeting["tenant_id"] == "attacker-cursors";
        ensure!(meetings.iter().all(own), "{listed}");
    }
    for cursor in ["' OR 1=1 --", "%25", "-1", "18446744073709551616", "mtg_"] {
        let listed = stranger
            .request(Method::GET, "/v1/meetings")
            .query(&[("cursor", cursor)]);
        ensure!(wrong_fields(read(listed).await?)? == ["cursor"], "{cursor}");
    }
    for key in [String::new(), "k".repeat(256)] {
        let refused = room.api.create_meeting_once(&booking, &key).await?;
        ensure!(wrong_fields(refused)? == ["Idempotency-Key"]);
    }
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    stranger
        .delete_meeting(&text(&booked["id"]))
        .await?
        .expect(202)?;
    Ok(())
}

/// So many levels of objects and lists.
fn nested(levels: usize) -> String {
    let (mut open, mut close) = (String::new(), String::new());
    for level in 0..levels {
        open.push_str(if level % 2 == 0 { "[" } else { "{\"x\":" });
        close.insert(0, if level % 2 == 0 { ']' } else { '}' });
    }
    format!("{open}0{close}")
}

pub(crate) async fn hostile_bodies_are_refused_and_leave_nothing_behind(
    world: &World,
) -> Result<()> {
    let system = world.system().await?;
    let api = tenant(system, "attacker-bodies", &json!({})).await?;
    let post = async |body: Vec<u8>, content_type: &str| {
        let request = api.request(Method::POST, "/v1/meetings");
        read(request.header("content-type", content_type).body(body)).await
    };
    let url = "https://meet.google.com/att-acke-rsx";
    for (body, content_type) in [
        ("[".repeat(BOTTOMLESS).into_bytes(), "application/json"),
        (
            "{\"x\":".repeat(BOTTOMLESS).into_bytes(),
            "application/json",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\",\"starts_at\":1e999}}").into(),
            "application/json",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\",\"metadata\":{{\"n\":-1e999}}}}").into(),
            "application/json",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\",\"title\":\"\\ud800\"}}").into(),
            "application/json",
        ),
        (
            [b"{\"title\":\"", [0xff, 0xfe].as_slice(), b"\"}"].concat(),
            "application/json",
        ),
        (
            format!("meeting_url={url}").into(),
            "application/x-www-form-urlencoded",
        ),
        (
            format!("<m><meeting_url>{url}</meeting_url></m>").into(),
            "application/xml",
        ),
        (
            format!("\u{feff}{{\"meeting_url\":\"{url}\"}}").into(),
            "application/json",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\"}}{{}}").into(),
            "application/json",
        ),
    ] {
        is_problem(&post(body, content_type).await?, 400, "malformed_json")?;
    }
    for (body, field) in [
        (
            format!("{{\"meeting_url\":\"{url}\",\"__proto__\":{{\"x\":1}}}}"),
            "__proto__",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\",\"tenant_id\":\"default\"}}"),
            "tenant_id",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\",\"id\":\"mtg_1\"}}"),
            "id",
        ),
        (
            format!("{{\"meeting_url\":\"{url}\",\"agent\":{{\"name\":[\"Ada\"]}}}}"),
            "agent.name",
        ),
        (
            format!(
                "{{\"meeting_url\":\"{url}\",\"title\":{}}}",
                "9".repeat(300)
            ),
            "title",
        ),
        // Of two that say different things the one that is checked is the one that would be booked.
        (
            format!("{{\"meeting_url\":\"{url}\",\"meeting_url\":\"https://evil.example/x\"}}"),
            "meeting_url",
        ),
    ] {
        let wrong = wrong_fields(post(body.clone().into(), "application/json").await?)?;
        ensure!(wrong == [field], "{wrong:?} of {body}");
    }
    // What is nested as deep as can be read here must still be readable further in, and in lists.
    for levels in [
        33, 60, 90, 110, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
    ] {
        let deep = nested(levels);
        let body = format!("{{\"meeting_url\":\"{url}\",\"metadata\":{{\"x\":{deep}}}}}");
        let wrong = wrong_fields(post(body.into(), "application/json").await?);
        ensure!(wrong.context(levels)? == ["metadata"], "{levels} levels");
    }
    let listed = api.meetings("").await?.expect(200)?;
    ensure!(listed["meetings"] == json!([]), "{listed}");
    Ok(())
}

pub(crate) async fn what_a_booking_may_hold_comes_back_as_it_was(world: &World) -> Result<()> {
    let system = world.system().await?;
    let api = tenant(system, "attacker-depths", &json!({})).await?;
    let url = "https://meet.google.com/att-acke-rsy";
    let deep: Value = serde_json::from_str(&nested(32))?;
    let body = json!({ "meeting_url": url, "starts_at": (Timestamp::now() + SignedDuration::from_hours(48)).to_string(),
        "title": "a\u{0}b\u{202e}c", "agent": { "name": "Ada" }, "metadata": { "x": deep, "__proto__": { "admin": true } } });
    let booked = api.create_meeting_once(&body, "deep").await?.expect(201)?;
    ensure!(booked["metadata"] == body["metadata"] && booked["title"] == body["title"]);
    ensure!(api.create_meeting_once(&body, "deep").await?.expect(200)?["id"] == booked["id"]);
    let listed = api.meetings("").await?.expect(200)?;
    ensure!(
        listed["meetings"][0]["metadata"] == body["metadata"],
        "{listed}"
    );
    api.delete_meeting(&text(&booked["id"]))
        .await?
        .expect(202)?;
    Ok(())
}

pub(crate) async fn the_words_of_a_booking_stay_words(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    room.simulator
        .script_meeting(&room.url, MeetingScript::instant());
    let name = format!("{} {{company_name}}\"'\\ <b>&", room.agent);
    let company = "{agent_name}\r\nX-Evil: 1 --> </v>";
    let booking = room.booking_with(json!({
        "agent": { "name": name, "company": company, "voice_id": "../../v1/user?x=1#y\r\nhost: evil.example" },
        "metadata": { "meeting_id": "mtg_00000000000000000000000000", "tenant_id": "somebody-else" },
    }));
    let booked = room.book(&booking).await?;
    let greeting = format!("Hi, this is {name} joining from {company}.");
    ensure!(booked["greeting"]["text"] == greeting, "{booked}");
    room.until_greeted().await?;

    // Recall is told the name as it is, and whose the bot is cannot be said by anybody else.
    let bot = room.bot()?;
    ensure!(bot.metadata["meeting_id"] == room.id, "{:?}", bot.metadata);
    ensure!(bot.metadata["tenant_id"] == "default", "{:?}", bot.metadata);
    let created = room.requests(Operation::CreateBot);
    let asked = created.first().and_then(|request| request.body.as_ref());
    ensure!(asked.context("a bot")?["bot_name"] == name, "{asked:?}");
    // A voice's id is one segment of the path, whatever is in it.
    let spoken = room.requests(Operation::TextToSpeech);
    let request = spoken.first().context("speech")?;
    let segment = request.path.strip_prefix("/v1/text-to-speech/");
    let segment = segment.with_context(|| request.path.clone())?;
    ensure!(!segment.contains(['/', '?', '#', '\r']), "{}", request.path);
    ensure!(
        request.query.starts_with("output_format="),
        "{}",
        request.query
    );
    let said: Vec<String> = room
        .clips()
        .into_iter()
        .filter_map(|clip| clip.text)
        .chain(room.chats())
        .collect();
    ensure!(said.first() == Some(&greeting), "{said:?}");
    Ok(())
}

pub(crate) async fn a_link_that_parsers_read_differently_sends_no_bot(world: &World) -> Result<()> {
    let system = world.system().await?;
    let api = tenant(system, "attacker-links", &json!({})).await?;
    for link in [
        "https://meet.google.com@evil.example/abc-defg-hij",
        "https://evil.example@meet.google.com/abc-defg-hij",
        "https://@meet.google.com/abc-defg-hij",
        "https://:@meet.google.com/abc-defg-hij",
        "https://meet.google.com:443/abc-defg-hij",
        "https://meet.google.com:/abc-defg-hij",
        "https://meet.google.com:22/abc-defg-hij",
        "https://evil.example\\@meet.google.com/abc-defg-hij",
        "https://meet.google.com\\.evil.example/abc-defg-hij",
        "https:meet.google.com/abc-defg-hij",
        "https:/meet.google.com/abc-defg-hij",
        "https:///meet.google.com/abc-defg-hij",
        "https://meet.google.com./abc-defg-hij",
        "https://meet%2egoogle.com/abc-defg-hij",
        "https://meet.google.com%2f.evil.example/abc-defg-hij",
        "https://meet\u{3002}google.com/abc-defg-hij",
        "https://m\u{435}et.google.com/abc-defg-hij",
        "https://xn--met-8cd.google.com/abc-defg-hij",
        "https://zoom.us.evil.example/j/1",
        "https://[::1]/j/1",
        "https://127.0.0.1/j/1",
        "https://2130706433/j/1",
        "https://evil.example#@zoom.us/j/1",
        "https://evil.example?.zoom.us/j/1",
        "https://zoom.us\t/j/1",
        "https://zoom.us\n/j/1",
        "http://zoom.us/j/1",
        "file:///zoom.us/j/1",
        "javascript:alert(1)//zoom.us/j/1",
    ] {
        let booking = json!({ "meeting_url": link, "agent": { "name": "Mallory" } });
        let refused = wrong_fields(api.create_meeting(&booking).await?);
        ensure!(refused.context(link)? == ["meeting_url"], "{link}");
    }
    let journal = system.simulator.journal();
    let named = |body: &Value| body["bot_name"] == "Mallory";
    let sent = journal.iter().filter_map(|entry| entry.what.request());
    ensure!(!sent.filter_map(|request| request.body.as_ref()).any(named));
    Ok(())
}

pub(crate) async fn a_flood_of_watchers_and_messages_meets_its_bounds(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let watch = || Live::connect(&room.api, &room.id);
    let opened = join_all((0..MAX_WATCHERS + 20).map(|_| watch())).await;
    let (mut watching, mut refused) = (Vec::new(), Vec::new());
    for outcome in opened {
        match outcome {
            Ok(live) => watching.push(live),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    ensure!(
        watching.len() <= MAX_WATCHERS && refused.len() >= 20,
        "{}",
        watching.len()
    );
    ensure!(
        refused.iter().all(|error| error.contains("429")),
        "{refused:?}"
    );
    // Neither the other tenants nor the meeting itself are in the way of that.
    let chats =
        (0..150).map(async |number| room.api.chat(&room.id, &format!("Flood {number}")).await);
    let statuses: Vec<u16> = join_all(chats)
        .await
        .into_iter()
        .map(|answer| answer.map(|answer| answer.status))
        .collect::<Result<_>>()?;
    ensure!(
        statuses.iter().all(|status| [202, 409].contains(status)),
        "{statuses:?}"
    );
    ensure!(statuses.contains(&409), "there was no bound");
    ensure!(room.meeting().await?["status"] == "in_progress");
    drop(watching);
    // Who has gone makes room again.
    let mut attempts = 0;
    while watch().await.is_err() {
        attempts += 1;
        ensure!(attempts < 1_000, "nobody can watch any more");
        tokio::task::yield_now().await;
    }
    Ok(())
}
