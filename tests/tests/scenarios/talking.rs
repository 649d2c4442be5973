//! What the delegate says and writes in a call, and what those who watch it are told.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    Entry, Event, Fault, Heard, HeardAudio, MeetingScript, Operation, Person, RequestSeen, What,
};
use attache_tests::{Api, Live};
use serde_json::{Value, json};

use crate::world::{Room, SOON, World, is_problem, text, warnings, wrong_fields};

/// Speech of some seconds, to have something to cut.
pub(crate) const LONG: &str = "This goes on for a while, since there is so much to tell about the launch, the tests, and all \
                    the people who made it happen in the end.";

/// Says something and gives the utterance's id.
pub(crate) async fn say(room: &Room<'_>, words: &str) -> Result<String> {
    let accepted = room.api.say(&room.id, words).await?.expect(202)?;
    let id = text(&accepted["utterance_id"]);
    ensure!(id.starts_with("utt_"), "{accepted}");
    Ok(id)
}

/// Waits until the room begins to hear these words.
pub(crate) async fn heard(room: &Room<'_>, words: &str) -> Result<()> {
    let simulator = room.simulator;
    let begins = |entry: &Entry| matches!(&entry.what, What::Heard { meeting_url, heard, .. } if *meeting_url == room.url && heard.text() == Some(words));
    simulator
        .wait_for(begins, SOON)
        .await
        .with_context(|| room.story())?;
    Ok(())
}

/// The clips after the greeting.
fn said(room: &Room<'_>) -> Vec<HeardAudio> {
    room.clips().into_iter().skip(1).collect()
}

/// Collects events until one is as wanted, that one included.
pub(crate) async fn events_until(
    live: &mut Live,
    wanted: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>> {
    let mut seen = Vec::new();
    loop {
        let event = live
            .next_event(SOON)
            .await
            .with_context(|| format!("after {seen:?}"))?;
        let done = wanted(&event);
        seen.push(event);
        if done {
            return Ok(seen);
        }
    }
}

pub(crate) fn is_utterance(event: &Value, id: &str, state: &str) -> bool {
    event["type"] == "utterance" && event["utterance_id"] == id && event["state"] == state
}

/// The states of one utterance, in order.
pub(crate) fn states(events: &[Value], id: &str) -> Vec<String> {
    let of_it = events.iter().filter(|event| event["utterance_id"] == id);
    of_it.map(|event| text(&event["state"])).collect()
}

pub(crate) async fn one_thing_is_said_after_the_other(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let mut live = room.api.live(&room.id).await?;
    let first = say(&room, "First things first.").await?;
    let second = say(&room, "Then the second.").await?;
    let events = events_until(&mut live, |event| is_utterance(event, &second, "spoken")).await?;

    let clips = said(&room);
    let words: Vec<_> = clips
        .iter()
        .filter_map(|clip| clip.text.as_deref())
        .collect();
    ensure!(
        words == ["First things first.", "Then the second."],
        "{words:?}"
    );
    ensure!(
        clips.iter().all(|clip| !clip.overlapping && !clip.stopped),
        "{clips:?}"
    );
    ensure!(room.clips()[0].ends_at() <= clips[0].at && clips[0].ends_at() <= clips[1].at);
    for (id, clip) in [(&first, &clips[0]), (&second, &clips[1])] {
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
            told.abs_diff(clip.duration_ms) < 60 && spoken["via"] == "output_audio",
            "{spoken}"
        );
    }
    Ok(())
}

pub(crate) async fn an_interruption_cuts_what_is_said_and_drops_what_waits(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let mut live = room.api.live(&room.id).await?;
    let cut = say(&room, LONG).await?;
    let dropped = say(&room, "Nobody hears this.").await?;
    heard(&room, LONG).await?;
    let events = events_until(&mut live, |event| is_utterance(event, &cut, "speaking")).await?;
    ensure!(states(&events, &cut) == ["queued", "speaking"]);
    room.api.interrupt(&room.id).await?.expect(202)?;
    let events = events_until(&mut live, |event| {
        is_utterance(event, &dropped, "interrupted")
    })
    .await?;
    let event = events
        .iter()
        .find(|event| is_utterance(event, &cut, "interrupted"));
    let told = event
        .and_then(|event| event["heard_ms"].as_u64())
        .context("heard_ms")?;

    let after = say(&room, "Back to you.").await?;
    events_until(&mut live, |event| is_utterance(event, &after, "spoken")).await?;
    let clips = said(&room);
    let words: Vec<_> = clips
        .iter()
        .filter_map(|clip| clip.text.as_deref())
        .collect();
    ensure!(words == [LONG, "Back to you."], "{words:?}");
    ensure!(
        clips[0].stopped && clips[0].duration_ms < 5_000,
        "{clips:?}"
    );
    ensure!(
        told.abs_diff(clips[0].duration_ms) < 2_000,
        "{told} ms told, {clips:?}"
    );
    ensure!(!clips[1].stopped && !clips[1].overlapping);
    Ok(())
}

pub(crate) async fn something_urgent_is_said_at_once_instead(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    say(&room, LONG).await?;
    say(&room, "Nobody hears this.").await?;
    heard(&room, LONG).await?;
    room.api
        .say_at_once(&room.id, "Stop, please.")
        .await?
        .expect(202)?;
    heard(&room, "Stop, please.").await?;
    let clips = said(&room);
    let words: Vec<_> = clips
        .iter()
        .filter_map(|clip| clip.text.as_deref())
        .collect();
    ensure!(words == [LONG, "Stop, please."], "{words:?}");
    ensure!(clips[0].stopped && !clips[1].overlapping, "{clips:?}");
    Ok(())
}

pub(crate) async fn an_interruption_does_not_cost_the_room_its_greeting(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = &world.system().await?.simulator;
    let slow = Fault::Latency(Duration::from_secs(1));
    simulator.fault_for_text(&room.agent, Operation::TextToSpeech, slow);
    let room = room.meet(MeetingScript::instant()).await?;
    room.until_status("in_progress").await?;
    room.api.interrupt(&room.id).await?.expect(202)?;
    room.until_greeted().await?;
    room.host_ends().await?;
    room.until_settled().await?;
    room.one_bot_and_one_greeting()
}

pub(crate) async fn speaking_takes_a_call_in_progress_and_a_text_of_some_length(
    world: &World,
) -> Result<()> {
    let room = world.meet(MeetingScript::manual()).await?;
    is_problem(
        &room.api.say(&room.id, "Hello?").await?,
        409,
        "not_in_progress",
    )?;
    is_problem(
        &room.api.chat(&room.id, "Hello?").await?,
        409,
        "not_in_progress",
    )?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    for event in [
        Event::JoiningCall,
        Event::InCallNotRecording,
        Event::InCallRecording,
    ] {
        room.happens(event)?;
    }
    room.until_greeted().await?;

    for (words, field) in [("", "text"), (" \n", "text"), (&*"x".repeat(5_001), "text")] {
        ensure!(wrong_fields(room.api.say(&room.id, words).await?)? == [field]);
        ensure!(wrong_fields(room.api.chat(&room.id, words).await?)? == [field]);
    }
    let unknown = json!({ "text": "x", "loud": true });
    let path = format!("/v1/meetings/{}/say", room.id);
    ensure!(wrong_fields(room.api.post(&path, &unknown).await?)? == ["loud"]);
    ensure!(room.heard().len() == 1, "{:?}", room.heard());

    let longest = "word ".repeat(1_000);
    say(&room, &longest).await?;
    heard(&room, &longest).await?;
    room.api.interrupt(&room.id).await?.expect(202)?;

    room.happens(Event::CallEnded("call_ended_by_host".to_owned()))?;
    room.until_status("ended").await?;
    is_problem(
        &room.api.say(&room.id, "Hello?").await?,
        409,
        "not_in_progress",
    )?;
    is_problem(
        &room.api.chat(&room.id, "Hello?").await?,
        409,
        "not_in_progress",
    )
}

pub(crate) async fn the_queue_has_an_end(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let mut accepted = 0;
    let refused = loop {
        let answer = room.api.say(&room.id, LONG).await?;
        if answer.status != 202 {
            break answer;
        }
        accepted += 1;
        ensure!(accepted <= 100, "there is no end to the queue");
    };
    is_problem(&refused, 409, "queue_full")?;
    room.api
        .say_at_once(&room.id, "Enough.")
        .await?
        .expect(202)?;
    heard(&room, "Enough.").await?;
    Ok(())
}

pub(crate) async fn what_cannot_be_spoken_is_written(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let words = format!("{} has something to say.", room.agent);
    let simulator = room.simulator;
    simulator.fault_for_text(&words, Operation::TextToSpeech, Fault::status(401));
    let mut live = room.api.live(&room.id).await?;
    let id = say(&room, &words).await?;
    let events = events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    ensure!(
        events.last().is_some_and(|event| event["via"] == "chat"),
        "{events:?}"
    );
    ensure!(room.chats() == [words]);

    // Its voice is back for the next.
    let next = say(&room, "And now aloud.").await?;
    events_until(&mut live, |event| is_utterance(event, &next, "spoken")).await?;
    ensure!(said(&room).len() == 1);
    Ok(())
}

pub(crate) async fn chat_reaches_the_room_up_to_what_the_platform_takes(
    world: &World,
) -> Result<()> {
    for (url, limit) in [
        (None, 500),
        (Some("https://us02web.zoom.us/j/86098765432"), 4096),
    ] {
        let mut room = world.room().await?;
        room.url = url.map_or(room.url, str::to_owned);
        let room = room.meet(MeetingScript::instant()).await?;
        room.until_greeted().await?;
        let longest = "é".repeat(limit);
        room.api.chat(&room.id, &longest).await?.expect(202)?;
        let written = |request: &RequestSeen| {
            request.operation == Some(Operation::SendChatMessage) && request.status == Some(200)
        };
        room.seen(written).await?;
        ensure!(room.chats() == [longest.clone()], "{:?}", room.chats());
        let too_long = room.api.chat(&room.id, &format!("{longest}é")).await?;
        ensure!(wrong_fields(too_long)? == ["text"]);
        ensure!(room.chats().len() == 1);
    }
    let mut room = world.room().await?;
    room.url = format!(
        "https://acme.webex.com/meet/{}",
        room.agent.replace(' ', "-")
    );
    let room = room.meet(MeetingScript::instant()).await?;
    room.until_greeted().await?;
    let answer = room.api.chat(&room.id, "Hello?").await?;
    is_problem(&answer, 409, "chat_not_supported")
}

pub(crate) async fn watchers_are_told_the_meeting_first_and_then_all_that_happens(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    let starts_at = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(8);
    let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
    room.book(&booking).await?;
    let simulator = room.simulator;
    simulator.fault_for(&room.url, Operation::CreateBot, Fault::status(500));
    let mut live = room.api.live(&room.id).await?;
    let first = live.next_event(SOON).await?;
    ensure!(
        first["type"] == "meeting" && first["meeting"] == room.meeting().await?,
        "{first}"
    );

    room.api.join(&room.id).await?.expect(202)?;
    let is_greeted = |event: &Value| event["meeting"]["greeting"]["state"] == "sent";
    let mut events = events_until(&mut live, is_greeted).await?;
    let pat = Person {
        name: "Pat Moreno".to_owned(),
        is_host: false,
    };
    room.happens(Event::Joins(pat))?;
    let name = "Pat Moreno".to_owned();
    let words = "Shall we start with the launch date?".to_owned();
    room.happens(Event::Chats {
        name: name.clone(),
        text: "Hi all".to_owned(),
    })?;
    events.extend(events_until(&mut live, |event| event["type"] == "chat").await?);
    room.happens(Event::Says {
        name: name.clone(),
        text: words.clone(),
    })?;
    events.extend(events_until(&mut live, |event| event["type"] == "transcript.final").await?);
    room.host_ends().await?;
    let is_over = |event: &Value| event["meeting"]["status"] == "ended";
    events.extend(events_until(&mut live, is_over).await?);

    for event in &events {
        let stamped = event["at"].is_string() && event["meeting_id"] == room.id;
        ensure!(stamped, "{event}");
    }
    let find = |wanted: &dyn Fn(&Value) -> bool| {
        let found = events.iter().find(|event| wanted(event)).cloned();
        found.with_context(|| format!("not among {events:?}"))
    };
    let warning = find(&|event| event["type"] == "warning")?;
    ensure!(
        warning["warning"]["code"] == "bot_creation_retried",
        "{warning}"
    );
    find(&|event| {
        event["type"] == "participant"
            && event["action"] == "join"
            && event["participant"]["name"] == name
    })?;
    let chat = find(&|event| event["type"] == "chat")?;
    ensure!(
        chat["text"] == "Hi all" && chat["from"]["name"] == name,
        "{chat}"
    );
    let partial = find(&|event| event["type"] == "transcript.partial")?;
    let partial = text(&partial["segment"]["text"]);
    ensure!(
        !partial.is_empty() && words.starts_with(&partial),
        "{partial}"
    );
    let whole = find(&|event| event["type"] == "transcript.final")?;
    ensure!(whole["segment"]["text"] == words && whole["segment"]["speaker"]["name"] == name);
    let statuses: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "meeting")
        .map(|event| &event["meeting"]["status"])
        .collect();
    let mut order: Vec<&str> = statuses
        .iter()
        .filter_map(|status| status.as_str())
        .collect();
    order.dedup();
    // What lasts for a moment only may be over before it is news.
    order.retain(|status| !["scheduled", "bot_joining"].contains(status));
    ensure!(order == ["in_progress", "ended"], "{statuses:?}");
    let last = events.last().context("events")?;
    ensure!(warnings(&last["meeting"]) == ["bot_creation_retried"]);
    Ok(())
}

pub(crate) async fn every_watcher_sees_the_same_and_none_can_interfere(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let mut one = room.api.live(&room.id).await?;
    let mut other = Live::connect_as_browser(&room.api, &room.id).await?;
    for live in [&mut one, &mut other] {
        ensure!(live.next_event(SOON).await?["type"] == "meeting");
        live.send("ping").await?;
        // What happens in the meeting at the same moment may come before it.
        while live.next_text(SOON).await? != "pong" {}
        for noise in ["{\"type\":\"meeting\"}", "pong", "", "\u{0}"] {
            live.send(noise).await?;
        }
    }
    let id = say(&room, "Can everybody see this?").await?;
    let spoken = |event: &Value| is_utterance(event, &id, "spoken");
    let seen = events_until(&mut one, spoken).await?;
    ensure!(events_until(&mut other, spoken).await? == seen);
    // One that goes without a word does not harm the other.
    drop(one);
    room.api.chat(&room.id, "Still here.").await?.expect(202)?;
    events_until(&mut other, |event| {
        event["type"] == "chat" && event["text"] == "Still here."
    })
    .await?;
    Ok(())
}

pub(crate) async fn nobody_watches_without_a_key(world: &World) -> Result<()> {
    let room = world.meet(MeetingScript::manual()).await?;
    let wrong = room.api.with_key("att_wrong");
    let refused = |api: Api, id: String| async move {
        let by_header = Live::connect(&api, &id).await;
        let by_protocol = Live::connect_as_browser(&api, &id).await;
        [by_header, by_protocol].map(|opened| opened.err().map(|error| format!("{error:#}")))
    };
    for error in refused(wrong, room.id.clone()).await {
        ensure!(
            error.as_ref().is_some_and(|error| error.contains("401")),
            "{error:?}"
        );
    }
    let nowhere = "mtg_00000000000000000000000000".to_owned();
    for error in refused(room.api.clone(), nowhere).await {
        ensure!(
            error.as_ref().is_some_and(|error| error.contains("404")),
            "{error:?}"
        );
    }
    let path = format!("/v1/meetings/{}/live", room.id);
    is_problem(&room.api.get(&path).await?, 426, "upgrade_required")
}

pub(crate) async fn what_the_delegate_wrote_comes_back_marked_with_its_name(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let mut live = room.api.live(&room.id).await?;
    room.api
        .chat(&room.id, "Notes follow.")
        .await?
        .expect(202)?;
    let events = events_until(&mut live, |event| event["type"] == "chat").await?;
    let chat = events.last().context("a chat")?;
    ensure!(
        chat["text"] == "Notes follow." && chat["from"]["name"] == room.agent,
        "{chat}"
    );
    ensure!(
        room.heard()
            .iter()
            .filter(|heard| matches!(heard, Heard::Chat { .. }))
            .count()
            == 1
    );
    Ok(())
}
