//! Tenants: whose meeting it is, who may see it, and that no key or secret lies around.

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{MeetingScript, Operation};
use attache_tests::{ADMIN_API_KEY, Api, Live, Runtime, Settings, System, read};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

use crate::world::{Room, World, is_problem, text, vendors, wrong_fields};

/// Makes a tenant with a key of its own.
pub(crate) async fn tenant(system: &System, id: &str, settings: &Value) -> Result<Api> {
    let admin = system.api.with_key(ADMIN_API_KEY);
    admin.put_tenant(id, settings).await?.expect(201)?;
    let minted = admin.create_key(id).await?.expect(201)?;
    Ok(system.api.with_key(&text(&minted["key"])))
}

pub(crate) async fn only_the_operator_makes_tenants_and_keys(world: &World) -> Result<()> {
    let system = world.system().await?;
    let admin = system.api.with_key(ADMIN_API_KEY);
    let settings = json!({ "agent_name": "Grace", "default_presence": "voice" });
    for api in [
        &system.api,
        &system.api.with_key("wrong"),
        &system.api.with_key(""),
    ] {
        is_problem(
            &api.put_tenant("acme", &settings).await?,
            401,
            "unauthorized",
        )?;
        is_problem(&api.tenant("acme").await?, 401, "unauthorized")?;
        is_problem(&api.create_key("acme").await?, 401, "unauthorized")?;
        is_problem(&api.revoke_key("acme", "key_1").await?, 401, "unauthorized")?;
    }
    // The operator's key is nobody's key.
    is_problem(&admin.meetings("").await?, 401, "unauthorized")?;
    is_problem(&admin.tenant("acme").await?, 404, "tenant_not_found")?;
    is_problem(&admin.create_key("acme").await?, 404, "tenant_not_found")?;

    let made = admin.put_tenant("acme", &settings).await?.expect(201)?;
    ensure!(made["id"] == "acme" && made["keys"] == json!([]), "{made}");
    ensure!(made["settings"]["agent_name"] == "Grace", "{made}");
    let changed = admin
        .put_tenant("acme", &json!({ "agent_name": "Hopper" }))
        .await?;
    ensure!(changed.expect(200)?["settings"]["agent_name"] == "Hopper");

    for id in ["Acme", "a b", "a.b", &*"x".repeat(65)] {
        ensure!(
            wrong_fields(admin.put_tenant(id, &settings).await?)? == ["tenant_id"],
            "{id}"
        );
    }
    let wrong = json!({ "agent_nmae": "x" });
    ensure!(wrong_fields(admin.put_tenant("acme", &wrong).await?)? == ["agent_nmae"]);
    let wrong = json!({ "agent_name": "", "language": "English" });
    ensure!(wrong_fields(admin.put_tenant("acme", &wrong).await?)? == ["agent_name", "language"]);
    Ok(())
}

pub(crate) async fn a_key_is_shown_once_and_stops_when_it_is_revoked(world: &World) -> Result<()> {
    let system = world.system().await?;
    let admin = system.api.with_key(ADMIN_API_KEY);
    admin.put_tenant("keys", &json!({})).await?.expect(201)?;
    let mut minted = Vec::new();
    for _ in 0..2 {
        minted.push(admin.create_key("keys").await?.expect(201)?);
    }
    let [first, second] = minted.as_slice() else {
        anyhow::bail!("two keys were minted");
    };
    let key = text(&first["key"]);
    ensure!(key.starts_with("att_") && key.len() > 40 && first["key"] != second["key"]);
    let shown = admin.tenant("keys").await?.expect(200)?;
    ensure!(!shown.to_string().contains(&key), "the key is shown again");
    let of_first = shown["keys"]
        .as_array()
        .and_then(|keys| keys.iter().find(|shown| shown["key_id"] == first["key_id"]));
    let of_first = of_first.context("the key is listed")?;
    ensure!(of_first["last_four"] == key[key.len() - 4..] && of_first["created_at"].is_string());

    let (one, other) = (
        system.api.with_key(&key),
        system.api.with_key(&text(&second["key"])),
    );
    ensure!(one.meetings("").await?.status == 200 && other.meetings("").await?.status == 200);
    let first_id = text(&first["key_id"]);
    // Nobody revokes a key in the name of another tenant.
    admin.put_tenant("keys2", &json!({})).await?.expect(201)?;
    is_problem(
        &admin.revoke_key("keys2", &first_id).await?,
        404,
        "key_not_found",
    )?;
    ensure!(admin.revoke_key("keys", &first_id).await?.status == 204);
    is_problem(&one.meetings("").await?, 401, "unauthorized")?;
    ensure!(other.meetings("").await?.status == 200);
    is_problem(
        &admin.revoke_key("keys", &first_id).await?,
        404,
        "key_not_found",
    )?;
    is_problem(
        &admin.revoke_key("keys", "nonsense").await?,
        404,
        "key_not_found",
    )
}

pub(crate) async fn a_tenants_settings_stand_in_for_what_a_booking_leaves_out(
    world: &World,
) -> Result<()> {
    let system = world.system().await?;
    let settings = json!({
        "agent_name": "Grace", "company_name": "Initech", "elevenlabs_voice_id": "another-voice",
        "greeting": "Good day, {agent_name} for {company_name}.",
    });
    let api = tenant(system, "settings", &settings).await?;
    for (agent, words) in [
        (json!({}), "Good day, Grace for Initech."),
        (json!({ "name": "Joan" }), "Good day, Joan for Initech."),
        (
            json!({ "company": "Acme", "greeting": "{agent_name}!" }),
            "Grace!",
        ),
    ] {
        let mut room = Room::new(system);
        room.api = api.clone();
        let booking = room.booking_with(json!({ "agent": agent }));
        let booked = room.book(&booking).await?;
        ensure!(booked["tenant_id"] == "settings" && booked["greeting"]["text"] == words);
        room.until_greeted().await?;
        ensure!(room.clips()[0].text.as_deref() == Some(words));
    }
    let journal = system.simulator.journal();
    let mut spoken = journal
        .iter()
        .filter_map(|entry| entry.what.request())
        .filter(|request| {
            request.operation == Some(Operation::TextToSpeech)
                && request
                    .body
                    .as_ref()
                    .is_some_and(|body| text(&body["text"]).contains("for Initech"))
        });
    ensure!(spoken.all(|request| request.path.contains("another-voice")));
    Ok(())
}

pub(crate) async fn another_tenants_meeting_is_not_there(world: &World) -> Result<()> {
    let system = world.system().await?;
    let room = world.greeted(MeetingScript::instant()).await?;
    let stranger = tenant(system, "stranger", &json!({})).await?;
    let before = room.meeting().await?;
    let text_body = json!({ "text": "Let me in." });
    for (method, path, body) in [
        (Method::GET, "", None),
        (Method::DELETE, "", None),
        (Method::DELETE, "?purge=true", None),
        (Method::POST, "/join", None),
        (Method::POST, "/say", Some(&text_body)),
        (Method::POST, "/interrupt", None),
        (Method::POST, "/chat", Some(&text_body)),
        (Method::GET, "/transcript", None),
        (Method::GET, "/transcript?format=vtt", None),
        (Method::GET, "/recording", None),
        (Method::GET, "/timeline", None),
        (Method::GET, "/avatar", None),
        (Method::POST, "/avatar/rotate", None),
        (
            Method::POST,
            "/reaction",
            Some(&json!({ "reaction": "nod" })),
        ),
    ] {
        let path = format!("/v1/meetings/{}{path}", room.id);
        let mut request = stranger.request(method.clone(), &path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = read(request).await?;
        is_problem(&answer, 404, "meeting_not_found")
            .with_context(|| format!("{method} {path}"))?;
    }
    for opened in [
        Live::connect(&stranger, &room.id).await,
        Live::connect_as_browser(&stranger, &room.id).await,
    ] {
        let refused = opened.err().context("a stranger watches")?;
        ensure!(format!("{refused:#}").contains("404"), "{refused:#}");
    }
    ensure!(room.meeting().await? == before && room.heard().len() == 1);
    let listed = stranger.meetings("").await?.expect(200)?;
    ensure!(listed["meetings"] == json!([]), "{listed}");
    Ok(())
}

pub(crate) async fn nothing_is_answered_without_a_good_key(world: &World) -> Result<()> {
    let room = world.meet(MeetingScript::manual()).await?;
    for path in ["", "/transcript", "/recording", "/timeline"] {
        let path = format!("/v1/meetings/{}{path}", room.id);
        for key in [
            "att_wrong",
            "att_fake_default_ke",
            "att_fake_default_key2",
            "",
        ] {
            let answer = room.api.with_key(key).get(&path).await?;
            is_problem(&answer, 401, "unauthorized")?;
            ensure!(answer.header("www-authenticate") == Some("Bearer"));
        }
        let unsigned = reqwest::get(format!("{}{path}", room.api.base_url())).await?;
        ensure!(unsigned.status() == 401);
    }
    is_problem(
        &room.api.with_key("x").meetings("").await?,
        401,
        "unauthorized",
    )?;
    let nowhere = room.api.meeting("mtg_00000000000000000000000000").await?;
    is_problem(&nowhere, 404, "meeting_not_found")?;
    is_problem(
        &room.api.meeting("nonsense").await?,
        404,
        "meeting_not_found",
    )
}

pub(crate) async fn no_key_and_no_secret_is_stored_or_logged(world: &World) -> Result<()> {
    let mut system = world.start(vendors(), |settings| settings).await?;
    let api = tenant(&system, "careful", &json!({})).await?;
    let admin = system.api.with_key(ADMIN_API_KEY);
    let minted = admin.create_key("careful").await?.expect(201)?;
    let mut room = Room::new(&system);
    room.api = system.api.with_key(&text(&minted["key"]));
    let room = room.meet(MeetingScript::instant()).await?;
    room.until_greeted().await?;
    room.host_ends().await?;
    room.until_settled().await?;
    let recording = room.api.recording(&room.id).await?.expect(200)?;
    // Refusals are logged too.
    admin.meetings("").await?;
    api.with_key("att_not_a_key").meetings("").await?;

    let url = text(&recording["url"]);
    let token = url
        .split("token=")
        .nth(1)
        .context("the URL is signed")?
        .to_owned();
    let known = room.id.clone();
    let mut secrets: Vec<String> = system
        .runtime
        .settings()
        .secrets()
        .into_iter()
        .map(str::to_owned)
        .collect();
    secrets.extend([
        text(&minted["key"]),
        token,
        "token=".to_owned(),
        "nonce=".to_owned(),
    ]);
    system.runtime.kill();
    for line in system.runtime.output() {
        let found = secrets.iter().find(|secret| line.contains(secret.as_str()));
        ensure!(found.is_none(), "in the log: {line}");
    }
    let stored = files(&system.runtime.storage())?;
    let contains = |needle: &str| {
        let holds = |content: &Vec<u8>| {
            content
                .windows(needle.len())
                .any(|part| part == needle.as_bytes())
        };
        stored.iter().any(holds)
    };
    ensure!(
        contains(&known),
        "the storage was looked for in the wrong place"
    );
    for secret in &secrets {
        ensure!(!contains(secret), "{secret} is stored");
    }
    Ok(())
}

/// The content of every file below a folder, without the traces that the local runtime keeps of its own accord.
fn files(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut contents = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.ends_with("observability") {
            continue;
        }
        if path.is_dir() {
            contents.extend(files(&path)?);
        } else {
            contents.push(std::fs::read(&path)?);
        }
    }
    Ok(contents)
}

pub(crate) async fn a_key_that_calls_too_often_is_slowed_down_alone(_: &World) -> Result<()> {
    const LIMIT: usize = 4;
    let nowhere = "http://127.0.0.1:9";
    let limit = u32::try_from(LIMIT)?;
    let settings = Settings::new(nowhere, nowhere, "whsec_fake")
        .with_rate_limit("CALL_RATE", limit)
        .with_rate_limit("BOOKING_RATE", 1);
    let runtime = Runtime::start(settings).await?;
    let (api, admin) = (runtime.api(), runtime.api().with_key(ADMIN_API_KEY));

    let mut refusals = Vec::new();
    let mut admitted = 0;
    // The minute that is counted may end on the way, once.
    for _ in 0..=2 * LIMIT {
        let answer = api.meetings("").await?;
        match answer.status {
            200 => admitted += 1,
            _ => refusals.push(answer),
        }
    }
    ensure!(admitted >= LIMIT, "{admitted} calls were admitted");
    let refused = refusals.first().context("a call too many was admitted")?;
    is_problem(refused, 429, "rate_limited")?;
    ensure!(refused.header("retry-after") == Some("60"));
    // Neither others nor what needs no key are held up, and a wrong key learns nothing.
    is_problem(&admin.tenant("acme").await?, 404, "tenant_not_found")?;
    api.health().await?.expect(200)?;
    is_problem(
        &api.with_key("wrong").meetings("").await?,
        401,
        "unauthorized",
    )?;

    let acme = admin.put_tenant("acme", &json!({})).await?.expect(201)?;
    ensure!(acme["id"] == "acme", "{acme}");
    let minted = admin.create_key("acme").await?.expect(201)?;
    let acme = api.with_key(&text(&minted["key"]));
    let wanted = json!({ "meeting_url": "https://meet.google.com/abc-defg-hij", "presence": "voice",
        "starts_at": jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24) });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(acme.create_meeting(&wanted).await?.status);
    }
    ensure!(
        statuses[0] == 201 && statuses[1..].contains(&429),
        "{statuses:?}"
    );
    Ok(())
}
