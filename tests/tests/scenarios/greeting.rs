//! The greeting: heard once, in whatever order news come, and written where it cannot be spoken.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::audio::mp3;
use attache_simulator::{
    Delivery, Fault, MadeUpWebhook, MeetingScript, Operation, Reorder, RequestSeen,
};
use serde_json::{Value, json};

use crate::world::{Room, SOON, World, text, vendors, warnings};

/// Joins bit by bit, so that there is something to reorder.
fn step_by_step(delivery: Delivery) -> MeetingScript {
    use attache_simulator::Event::{
        InCallNotRecording, InCallRecording, InWaitingRoom, JoiningCall,
    };

    let pause = Duration::from_millis(150);
    MeetingScript::empty()
        .then(Duration::ZERO, JoiningCall)
        .then(pause, InWaitingRoom)
        .then(pause, InCallNotRecording)
        .then(pause, InCallRecording)
        .with_ending(attache_simulator::instant_ending())
        .with_delivery(delivery)
}

pub(crate) async fn the_greeting_is_made_as_the_bot_needs_it_and_heard_as_it_was_made(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let asked = room.requests(Operation::TextToSpeech);
    ensure!(asked.len() == 1, "{}", room.story());
    let (asked, clip) = (&asked[0], &room.clips()[0]);
    let body = asked
        .body
        .as_ref()
        .context("speech was asked for with a body")?;
    ensure!(
        body["text"] == room.greeting() && body["model_id"] == "eleven_flash_v2_5",
        "{body}"
    );
    ensure!(clip.text == Some(room.greeting()) && clip.duration_ms > 1_000);

    // The same speech again, to look into what the room was played.
    let simulator = room.simulator;
    let again = reqwest::Client::new()
        .post(format!(
            "{}{}?{}",
            simulator.elevenlabs_base_url(),
            asked.path,
            asked.query
        ))
        .header("xi-api-key", "fake-elevenlabs-key")
        .json(body)
        .send()
        .await?
        .error_for_status()?;
    let bytes = again.bytes().await?;
    ensure!(bytes.len() == clip.bytes && simulator.spoken_text(&clip.sha256).is_some());
    let audio = mp3::inspect(&bytes).ok().context("the speech is no mp3")?;
    ensure!(audio.sample_rate == 22_050 && !audio.truncated);
    // The two highest bits of a frame's fourth byte are the channel mode; both set is mono.
    ensure!(
        audio
            .frames
            .iter()
            .all(|frame| bytes[frame.start + 3] >> 6 == 0b11)
    );

    let meeting = room.meeting().await?;
    let greeting = &meeting["greeting"];
    ensure!(greeting["via"] == "output_audio" && greeting["text"] == room.greeting());
    ensure!(
        greeting["at"].is_string() && greeting["reason"].is_null(),
        "{greeting}"
    );
    Ok(())
}

pub(crate) async fn a_meetings_own_greeting_is_a_template(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    let template = "{agent_name} of {company_name} here, {name}.";
    let agent = json!({ "name": room.agent, "company": "Initech", "greeting": template });
    let booking = room.booking_with(json!({ "agent": agent }));
    room.book(&booking).await?;
    let meeting = room.until_greeted().await?;
    let words = format!("{} of Initech here, {{name}}.", room.agent);
    ensure!(meeting["greeting"]["text"] == words, "{meeting}");
    ensure!(room.clips()[0].text == Some(words));
    Ok(())
}

/// Meets to the end, and holds that the room was greeted once and aloud.
async fn greets_once(world: &World, delivery: Delivery) -> Result<()> {
    let room = world.greeted(step_by_step(delivery)).await?;
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    ensure!(
        warnings(&meeting).is_empty() && room.chats().is_empty(),
        "{meeting}"
    );
    ensure!(meeting["bot"]["code"] == "done", "{meeting}");
    room.one_bot_and_one_greeting()
}

pub(crate) async fn webhooks_that_come_twice_greet_once(world: &World) -> Result<()> {
    let delivery = Delivery {
        duplicate: true,
        ..Delivery::default()
    };
    greets_once(world, delivery).await
}

pub(crate) async fn webhooks_that_overtake_each_other_greet_once(world: &World) -> Result<()> {
    for seed in 1..=4 {
        let delivery = Delivery {
            duplicate: seed % 2 == 0,
            reorder: Some(Reorder {
                window: Duration::from_millis(800),
                seed,
            }),
            ..Delivery::default()
        };
        greets_once(world, delivery)
            .await
            .with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

pub(crate) async fn entering_again_and_again_greets_once(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let bot = room.bot()?;
    for code in [
        "in_call_not_recording",
        "in_call_recording",
        "joining_call",
        "in_call_recording",
    ] {
        let now = room.simulator.now().to_string();
        let status = json!({ "code": code, "sub_code": null, "updated_at": now });
        let about = json!({ "id": bot.id, "metadata": bot.metadata });
        let body =
            json!({ "event": format!("bot.{code}"), "data": { "data": status, "bot": about } });
        let answered = room
            .simulator
            .emit_webhook(MadeUpWebhook::new(&body))
            .await?;
        ensure!(answered == [200], "{answered:?}");
    }
    room.host_ends().await?;
    room.until_settled().await?;
    ensure!(room.requests(Operation::TextToSpeech).len() == 1);
    room.one_bot_and_one_greeting()
}

/// Meets with these faults, and holds that the room was greeted in the chat, once, and that the meeting went on.
async fn greets_in_the_chat(room: Room<'_>, patience: Duration) -> Result<()> {
    let room = room.meet(MeetingScript::instant()).await?;
    let meeting = room
        .until_within(patience, |meeting| {
            meeting["greeting"]["state"] != "pending"
        })
        .await?;
    let greeting = &meeting["greeting"];
    ensure!(
        greeting["state"] == "sent" && greeting["via"] == "chat",
        "{greeting}"
    );
    ensure!(!text(&greeting["reason"]).is_empty(), "{greeting}");
    ensure!(warnings(&meeting) == ["greeting_failed"], "{meeting}");
    ensure!(room.chats() == [room.greeting()], "{:?}", room.chats());
    ensure!(room.clips().is_empty() && meeting["status"] == "in_progress");

    room.api
        .say(&room.id, "I can speak again.")
        .await?
        .expect(202)?;
    room.seen(|request| {
        request.operation == Some(Operation::OutputAudio) && request.status == Some(200)
    })
    .await?;
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    ensure!(meeting["transcript"]["state"] == "ready", "{meeting}");
    ensure!(room.chats().len() == 1 && room.bot()?.over);
    Ok(())
}

pub(crate) async fn speech_that_cannot_be_made_greets_in_the_chat(world: &World) -> Result<()> {
    for (fault, times) in [
        (Fault::status(401), 1),
        (Fault::status(402), 1),
        (Fault::status(422), 1),
        (Fault::status(500), 3),
        (Fault::HtmlError, 3),
        (Fault::Garbage, 3),
        (Fault::CloseWithoutAnswer, 3),
        (Fault::Redirect, 3),
    ] {
        let name = format!("{fault:?}");
        let room = world.room().await?;
        for _ in 0..times {
            let simulator = room.simulator;
            simulator.fault_for_text(&room.agent, Operation::TextToSpeech, fault.clone());
        }
        greets_in_the_chat(room, SOON).await.context(name)?;
    }
    Ok(())
}

pub(crate) async fn speech_that_does_not_come_in_time_greets_in_the_chat(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_for_text(
        &room.agent,
        Operation::TextToSpeech,
        Fault::TimeoutAfterAccept,
    );
    greets_in_the_chat(room, SOON).await
}

pub(crate) async fn speech_that_cannot_be_played_greets_in_the_chat(world: &World) -> Result<()> {
    for (fault, times) in [(Fault::status(400), 1), (Fault::status(500), 3)] {
        let room = world.room().await?;
        let simulator = room.simulator;
        simulator.fault_n_for(&room.url, Operation::OutputAudio, fault, times);
        greets_in_the_chat(room, SOON).await?;
    }
    Ok(())
}

pub(crate) async fn without_a_speech_vendor_the_delegate_greets_in_the_chat(
    world: &World,
) -> Result<()> {
    let system = world
        .start(vendors(), |settings| settings.without("ELEVENLABS_API_KEY"))
        .await?;
    let room = Room::new(&system).meet(MeetingScript::instant()).await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "chat", "{meeting}");
    ensure!(text(&meeting["greeting"]["reason"]).contains("ELEVENLABS_API_KEY"));
    ensure!(warnings(&meeting) == ["greeting_failed"] && room.chats() == [room.greeting()]);
    Ok(())
}

/// Waits until the greeting has failed for good, and gives the meeting.
async fn silent(room: &Room<'_>) -> Result<Value> {
    let meeting = room.until_greeted().await?;
    let greeting = &meeting["greeting"];
    ensure!(
        greeting["state"] == "failed" && greeting["via"].is_null(),
        "{greeting}"
    );
    ensure!(
        !text(&greeting["reason"]).is_empty() && greeting["at"].is_null(),
        "{greeting}"
    );
    ensure!(warnings(&meeting).contains(&"greeting_failed".to_owned()));
    ensure!(meeting["status"] == "in_progress" && room.heard().is_empty());
    Ok(meeting)
}

pub(crate) async fn a_greeting_neither_spoken_nor_written_says_so_and_the_meeting_goes_on(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_for_text(&room.agent, Operation::TextToSpeech, Fault::status(401));
    simulator.fault_for(&room.url, Operation::SendChatMessage, Fault::status(400));
    let room = room.meet(MeetingScript::instant()).await?;
    silent(&room).await?;
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    ensure!(meeting["transcript"]["state"] == "ready" && meeting["recording"]["state"] == "ready");
    Ok(())
}

pub(crate) async fn a_platform_without_a_chat_is_not_greeted_in_it(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    room.url = format!(
        "https://acme.webex.com/meet/{}",
        room.agent.replace(' ', "-")
    );
    let simulator = room.simulator;
    simulator.fault_for_text(&room.agent, Operation::TextToSpeech, Fault::status(401));
    let room = room.meet(MeetingScript::instant()).await?;
    silent(&room).await?;
    Ok(())
}

pub(crate) async fn a_greeting_whose_playing_is_in_doubt_is_heard_once(
    world: &World,
) -> Result<()> {
    for fault in [Fault::CloseAfterAccept, Fault::CloseMidBody, Fault::Garbage] {
        let room = world.room().await?;
        let simulator = room.simulator;
        simulator.fault_for(&room.url, Operation::OutputAudio, fault);
        let room = room.meet(MeetingScript::instant()).await?;
        room.until_greeted().await?;
        room.host_ends().await?;
        room.until_settled().await?;
        room.one_bot_and_one_greeting()?;
        let key = |request: &RequestSeen| request.header("idempotency-key").map(str::to_owned);
        let played = room.requests(Operation::OutputAudio);
        ensure!(played.iter().all(|request| key(request) == key(&played[0])));
    }
    Ok(())
}

pub(crate) async fn a_greeting_whose_playing_is_never_answered_is_heard_once(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_for(&room.url, Operation::OutputAudio, Fault::TimeoutAfterAccept);
    let room = room.meet(MeetingScript::instant()).await?;
    // A call to the vendor has half a minute to be answered, and is repeated then.
    let patience = SOON + Duration::from_secs(35);
    let known = |meeting: &Value| meeting["greeting"]["state"] != "pending";
    let meeting = room.until_within(patience, known).await?;
    let greeting = &meeting["greeting"];
    ensure!(
        greeting["state"] == "sent" && greeting["via"] == "output_audio",
        "{meeting}"
    );
    ensure!(
        room.greetings_heard() == 1 && room.chats().is_empty(),
        "{}",
        room.story()
    );
    Ok(())
}
