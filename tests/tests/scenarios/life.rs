//! The way of a meeting from the first status to the end: who ended it and why, and what changes nothing any more.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    Delivery, Entry, Event, Fault, MadeUpWebhook, MeetingScript, Operation, Person, instant_ending,
};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::{Room, SOON, World, text, vendors, warnings};

/// The bot is at the door, and what happens next is said by the scenario.
async fn at_the_door(world: &World) -> Result<Room<'_>> {
    let script = MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::ZERO, Event::InWaitingRoom)
        .with_ending(instant_ending());
    let room = world.meet(script).await?;
    room.until(|meeting| meeting["bot"]["code"] == "in_waiting_room")
        .await?;
    Ok(room)
}

/// A webhook about the room's bot with this status, as the workspace gets it.
fn status(room: &Room<'_>, code: &str, sub_code: Option<&str>, at: Timestamp) -> Result<Value> {
    let bot = room.bot()?;
    Ok(json!({
        "event": format!("bot.{code}"),
        "data": {
            "data": { "code": code, "sub_code": sub_code, "updated_at": at.to_string() },
            "bot": { "id": bot.id, "metadata": bot.metadata },
        },
    }))
}

async fn emit(room: &Room<'_>, body: &Value) -> Result<()> {
    let simulator = room.simulator;
    let answered = simulator.emit_webhook(MadeUpWebhook::new(body)).await?;
    ensure!(answered == [200], "{answered:?}");
    Ok(())
}

fn ended(meeting: &Value, status: &str, by: &str, reason: &str) -> Result<()> {
    let end = &meeting["ended"];
    ensure!(
        meeting["status"] == status
            && end["by"] == by
            && end["reason"] == reason
            && end["at"].is_string(),
        "expected {status} by {by}: {reason}, got {}: {end}",
        meeting["status"]
    );
    Ok(())
}

pub(crate) async fn a_bot_in_the_waiting_room_greets_only_once_it_is_let_in(
    world: &World,
) -> Result<()> {
    let room = at_the_door(world).await?;
    room.seen(|request| request.operation == Some(Operation::TextToSpeech))
        .await?;
    let meeting = room.meeting().await?;
    ensure!(meeting["status"] == "bot_joining" && meeting["greeting"]["state"] == "pending");
    ensure!(room.heard().is_empty() && room.requests(Operation::OutputAudio).is_empty());

    room.happens(Event::InCallNotRecording)?;
    room.until_greeted().await?;
    room.happens(Event::InCallRecording)?;
    let meeting = room
        .until(|meeting| meeting["recording"]["state"] == "live")
        .await?;
    ensure!(meeting["status"] == "in_progress" && warnings(&meeting).is_empty());
    room.host_ends().await?;
    ended(
        &room.until_settled().await?,
        "ended",
        "host",
        "call_ended_by_host",
    )?;
    room.one_bot_and_one_greeting()
}

pub(crate) async fn a_bot_that_is_never_let_in_says_whose_patience_ended(
    world: &World,
) -> Result<()> {
    for (sub_code, by) in [
        ("call_ended_by_platform_waiting_room_timeout", "platform"),
        ("timeout_exceeded_waiting_room", "timeout"),
        ("bot_kicked_from_waiting_room", "host"),
    ] {
        let room = at_the_door(world).await?;
        room.happens(Event::CallEnded(sub_code.to_owned()))?;
        let over = |meeting: &Value| meeting["ended"]["reason"] == sub_code;
        let meeting = room.until(over).await?;
        ended(&meeting, "ended", by, sub_code)?;
        ensure!(meeting["greeting"]["state"] == "skipped", "{meeting}");
        ensure!(
            meeting["transcript"]["state"] == "none" && meeting["recording"]["state"] == "none"
        );
        ensure!(room.heard().is_empty());
    }
    Ok(())
}

pub(crate) async fn the_end_says_who_ended_the_call_and_why(world: &World) -> Result<()> {
    let ends = [
        ("call_ended_by_host", "host"),
        ("bot_kicked_from_call", "host"),
        ("call_ended_by_platform_idle", "platform"),
        ("call_ended_by_platform_max_length", "platform"),
        ("timeout_exceeded_noone_joined", "timeout"),
        (
            "timeout_exceeded_only_bots_detected_using_participant_names",
            "timeout",
        ),
        ("timeout_exceeded_in_call_recording", "timeout"),
        ("a_reason_from_next_year", "unknown"),
    ];
    let played = ends.map(async |(sub_code, by)| {
        let room = world.greeted(MeetingScript::instant()).await?;
        room.happens(Event::CallEnded(sub_code.to_owned()))?;
        ended(&room.until_settled().await?, "ended", by, sub_code)
    });
    try_join_all(played).await?;
    Ok(())
}

pub(crate) async fn a_done_that_overtakes_the_end_of_the_call_hides_no_reason(
    world: &World,
) -> Result<()> {
    let room = world
        .greeted(MeetingScript::instant().with_ending(vec![]))
        .await?;
    let now = Timestamp::now();
    emit(&room, &status(&room, "done", None, now)?).await?;
    emit(
        &room,
        &status(&room, "call_ended", Some("call_ended_by_host"), now)?,
    )
    .await?;
    ended(
        &room.meeting().await?,
        "ended",
        "host",
        "call_ended_by_host",
    )
}

pub(crate) async fn when_everybody_has_left_the_bot_leaves_too(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    room.happens(Event::Leaves("Dana Whitfield".to_owned()))?;
    let patience = SOON + Duration::from_secs(30);
    // The word that it is done may overtake the one that says why.
    let over =
        |meeting: &Value| !["", "done"].contains(&text(&meeting["ended"]["reason"]).as_str());
    let meeting = room.until_within(patience, over).await?;
    ended(
        &meeting,
        "ended",
        "timeout",
        "timeout_exceeded_everyone_left",
    )?;
    room.until_settled().await?;
    room.one_bot_and_one_greeting()
}

pub(crate) async fn a_bot_that_cannot_join_fails_the_meeting_with_the_vendors_word(
    world: &World,
) -> Result<()> {
    let ends = [
        ("bot_errored", "vendor"),
        ("failed_to_launch_in_time", "vendor"),
        ("meeting_not_found", "platform"),
        ("meeting_password_incorrect", "platform"),
        ("google_meet_bot_blocked", "platform"),
        ("zoom_account_blocked", "platform"),
        ("microsoft_teams_captcha_detected", "platform"),
        ("webex_join_meeting_error", "platform"),
        ("a_failure_from_next_year", "unknown"),
    ];
    let played = ends.map(async |(sub_code, by)| {
        let script = MeetingScript::fatal(sub_code).with_late_done_after_fatal();
        let room = world.meet(script).await?;
        let meeting = room.until_status("failed").await?;
        ended(&meeting, "failed", by, sub_code)?;
        ensure!(meeting["bot"]["code"] == "fatal" && meeting["bot"]["sub_code"] == sub_code);
        ensure!(meeting["greeting"]["state"] == "skipped", "{meeting}");

        let simulator = room.simulator;
        let bot = room.bot()?.id;
        let late_done = |entry: &Entry| {
            entry.what.webhook().is_some_and(|webhook| {
                webhook.event == "bot.done"
                    && webhook.bot_id.as_ref() == Some(&bot)
                    && webhook.status == Some(200)
            })
        };
        simulator.wait_for(late_done, SOON).await?;
        ended(&room.meeting().await?, "failed", by, sub_code)
    });
    try_join_all(played).await?;
    Ok(())
}

pub(crate) async fn a_bot_that_dies_in_the_call_leaves_what_it_recorded(
    world: &World,
) -> Result<()> {
    let mut script = MeetingScript::instant();
    script.after_fatal = instant_ending();
    let room = world.greeted(script).await?;
    room.happens(Event::Says {
        name: "Dana Whitfield".to_owned(),
        text: "Where did it go?".to_owned(),
    })?;
    room.until(|meeting| meeting["listening"]["segments"] == 1)
        .await?;
    room.happens(Event::Fatal("bot_errored".to_owned()))?;
    let kept = |meeting: &Value| {
        meeting["transcript"]["state"] == "ready" && meeting["recording"]["state"] == "ready"
    };
    let meeting = room.until(kept).await?;
    ended(&meeting, "failed", "vendor", "bot_errored")
}

pub(crate) async fn a_call_that_may_not_be_recorded_is_greeted_and_leaves_nothing(
    world: &World,
) -> Result<()> {
    let mut room = world.room().await?;
    "https://us02web.zoom.us/j/86012345678?pwd=abc".clone_into(&mut room.url);
    let denied = "zoom_local_recording_request_denied_by_host".to_owned();
    let script = MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::ZERO, Event::InCallNotRecording)
        .then(Duration::ZERO, Event::RecordingPermissionDenied(denied))
        .with_ending(vec![]);
    let room = room.meet(script).await?;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["via"] == "output_audio" && meeting["platform"] == "zoom");
    room.host_ends().await?;
    let over = |meeting: &Value| meeting["ended"]["reason"] == "call_ended_by_host";
    let meeting = room.until(over).await?;
    ended(&meeting, "ended", "host", "call_ended_by_host")?;
    ensure!(meeting["recording"]["state"] == "none" && meeting["transcript"]["state"] == "none");
    Ok(())
}

pub(crate) async fn news_older_than_what_is_known_changes_nothing(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let before = room.meeting().await?;
    let known: Timestamp = text(&before["bot"]["updated_at"]).parse()?;
    let older = known - SignedDuration::from_secs(1);
    for code in ["joining_call", "in_waiting_room", "in_call_not_recording"] {
        emit(&room, &status(&room, code, None, older)?).await?;
    }
    ensure!(room.meeting().await? == before, "{before}");

    room.host_ends().await?;
    let over = room.until_settled().await?;
    let later = Timestamp::now() + SignedDuration::from_secs(1);
    for at in [older, later] {
        for code in ["in_call_recording", "fatal", "done"] {
            emit(&room, &status(&room, code, None, at)?).await?;
        }
    }
    let meeting = room.meeting().await?;
    ensure!(
        meeting["status"] == "ended" && meeting["ended"] == over["ended"],
        "{meeting}"
    );
    room.one_bot_and_one_greeting()
}

pub(crate) async fn calling_off_before_the_join_deletes_the_bot(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    let starts_at = Timestamp::now() + SignedDuration::from_hours(2);
    let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
    room.book(&booking).await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    let meeting = room.api.delete_meeting(&room.id).await?.expect(202)?;
    ended(&meeting, "cancelled", "api", "cancelled")?;
    room.seen(|request| {
        request.operation == Some(Operation::DeleteBot) && request.status == Some(204)
    })
    .await?;
    ensure!(room.bots().is_empty());

    room.api.delete_meeting(&room.id).await?.expect(202)?;
    ended(&room.meeting().await?, "cancelled", "api", "cancelled")?;
    ensure!(room.requests(Operation::DeleteBot).len() == 1);
    Ok(())
}

pub(crate) async fn calling_off_before_there_is_a_bot_makes_none(world: &World) -> Result<()> {
    let mut room = world.room().await?;
    let join_at = Timestamp::now() + SignedDuration::from_secs(2);
    let starts_at = join_at + SignedDuration::from_mins(3);
    let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
    room.book(&booking).await?;
    let meeting = room.api.delete_meeting(&room.id).await?.expect(202)?;
    ended(&meeting, "cancelled", "api", "cancelled")?;

    // Nothing must happen when the time comes; another meeting of the same time shows that it came.
    let mut other = world.room().await?;
    let booking = other.booking_with(json!({ "starts_at": starts_at.to_string() }));
    other.book(&booking).await?;
    other.until_status("in_progress").await?;
    ensure!(room.requests(Operation::CreateBot).is_empty() && room.bots().is_empty());
    Ok(())
}

pub(crate) async fn calling_off_while_the_machine_starts_makes_the_bot_leave(
    world: &World,
) -> Result<()> {
    // The vendor's clock is moved, so the vendor is not shared.
    let system = world.start(vendors(), |settings| settings).await?;
    let mut room = Room::new(&system);
    let starts_at = Timestamp::now() + SignedDuration::from_hours(2);
    let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
    room.book(&booking).await?;
    room.until(|meeting| meeting["bot"].is_object()).await?;
    system.simulator.skip(Duration::from_mins(110));

    room.api.delete_meeting(&room.id).await?.expect(202)?;
    room.seen(|request| {
        request.operation == Some(Operation::LeaveCall) && request.status == Some(200)
    })
    .await?;
    system
        .simulator
        .wait_for_status(&room.url, "call_ended", SOON)
        .await?;
    let refused = room.requests(Operation::DeleteBot);
    ensure!(
        refused.len() == 1 && refused[0].status == Some(405),
        "{}",
        room.story()
    );
    ended(&room.meeting().await?, "cancelled", "api", "cancelled")?;
    ensure!(room.bot()?.over && room.heard().is_empty());
    Ok(())
}

pub(crate) async fn calling_off_at_the_door_makes_the_bot_leave(world: &World) -> Result<()> {
    let room = at_the_door(world).await?;
    let meeting = room.api.delete_meeting(&room.id).await?.expect(202)?;
    ended(&meeting, "cancelled", "api", "cancelled")?;
    let simulator = room.simulator;
    simulator
        .wait_for_status(&room.url, "call_ended", SOON)
        .await?;
    let bot = room.bot()?;
    ensure!(
        bot.over
            && bot
                .status_changes
                .iter()
                .any(|(_, why)| why.as_deref() == Some("bot_received_leave_call"))
    );
    let meeting = room
        .until(|meeting| meeting["bot"]["code"] == "done")
        .await?;
    ended(&meeting, "cancelled", "api", "cancelled")?;
    ensure!(meeting["greeting"]["state"] == "skipped" && room.heard().is_empty());
    Ok(())
}

pub(crate) async fn leaving_the_call_is_asked_once_and_keeps_what_was_recorded(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let leaving = room.api.delete_meeting(&room.id).await?.expect(202)?;
    ensure!(leaving["status"] == "in_progress", "{leaving}");
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    let meeting = room.until_settled().await?;
    ended(&meeting, "ended", "api", "bot_received_leave_call")?;
    ensure!(meeting["transcript"]["state"] == "ready" && meeting["recording"]["state"] == "ready");

    room.api.delete_meeting(&room.id).await?.expect(202)?;
    ensure!(room.meeting().await?["ended"] == meeting["ended"]);
    ensure!(room.requests(Operation::LeaveCall).len() == 1 && room.bot()?.over);
    Ok(())
}

pub(crate) async fn without_any_webhook_the_meeting_is_followed_by_asking(
    world: &World,
) -> Result<()> {
    let silence = Delivery {
        drop: (0..100).collect(),
        ..Delivery::default()
    };
    let room = world
        .meet(MeetingScript::instant().with_delivery(silence))
        .await?;
    let patience = SOON + Duration::from_secs(45);
    let greeted = |meeting: &Value| meeting["greeting"]["state"] == "sent";
    room.until_within(patience, greeted).await?;
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    let meeting = room.until_settled_within(patience).await?;
    ended(&meeting, "ended", "api", "bot_received_leave_call")?;
    ensure!(meeting["transcript"]["state"] == "ready" && meeting["recording"]["state"] == "ready");
    let news = room.simulator.journal();
    let bot = room.bot()?.id;
    let told = news
        .iter()
        .filter_map(|entry| entry.what.webhook())
        .any(|webhook| webhook.event.starts_with("bot.") && webhook.bot_id.as_ref() == Some(&bot));
    ensure!(!told, "a webhook came through");
    Ok(())
}

pub(crate) async fn the_older_form_of_status_webhooks_is_understood(world: &World) -> Result<()> {
    // Without our metadata these are found by the bot's id, which is known a moment after the bot is made.
    let pause = Duration::from_secs(1);
    let dana = Person {
        name: "Dana Whitfield".to_owned(),
        is_host: true,
    };
    let script = MeetingScript::empty()
        .then(pause, Event::JoiningCall)
        .then(pause, Event::InWaitingRoom)
        .then(pause, Event::InCallNotRecording)
        .then(Duration::ZERO, Event::InCallRecording)
        .then(Duration::ZERO, Event::Joins(dana))
        .with_ending(instant_ending())
        .with_delivery(Delivery {
            legacy_status: true,
            ..Delivery::default()
        });
    let room = world.meet(script).await?;
    room.until(|meeting| meeting["bot"]["code"] == "joining_call")
        .await?;
    room.until(|meeting| meeting["bot"]["code"] == "in_waiting_room")
        .await?;
    room.until_greeted().await?;
    room.host_ends().await?;
    let meeting = room.until_settled().await.context("the artifacts")?;
    ended(&meeting, "ended", "host", "call_ended_by_host")?;
    room.one_bot_and_one_greeting()
}

pub(crate) async fn the_timeline_tells_the_story_in_order_and_in_pages(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_for(&room.url, Operation::CreateBot, Fault::status(500));
    let room = room.meet(MeetingScript::instant()).await?;
    room.until_greeted().await?;
    room.host_ends().await?;
    room.until_settled().await?;

    let entries = room.timeline().await?;
    for (place, entry) in entries.iter().enumerate() {
        ensure!(
            entry["seq"] == place + 1 && entry["at"].is_string(),
            "{entry}"
        );
        let kind = text(&entry["kind"]);
        ensure!(["event", "effect", "warning"].contains(&&*kind), "{entry}");
        ensure!(!text(&entry["summary"]).is_empty(), "{entry}");
    }
    let place = |kind: &str, name: &str| {
        let found = entries
            .iter()
            .position(|entry| entry["kind"] == kind && entry["name"] == name);
        found.with_context(|| format!("no {kind} {name} in {entries:?}"))
    };
    let story = [
        place("event", "booked")?,
        place("warning", "bot_creation_retried")?,
        place("event", "bot_created")?,
        place("event", "greeted")?,
        place("event", "ended")?,
        place("event", "transcript_ready")?,
    ];
    ensure!(story.is_sorted(), "{entries:?}");
    place("effect", "recall.create_bot")?;

    let page = room.api.timeline(&room.id, "limit=3").await?.expect(200)?;
    let cursor = text(&page["next_cursor"]);
    let query = format!("limit=3&cursor={cursor}");
    let next = room.api.timeline(&room.id, &query).await?.expect(200)?;
    let paged = [&page, &next].map(|page| page["entries"].as_array().cloned().unwrap_or_default());
    ensure!(paged.concat() == entries[..6], "{page} {next}");
    Ok(())
}
