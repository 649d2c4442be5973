//! Never two bots for one meeting, whatever becomes of the call that makes the bot; and none without saying so.

use std::time::Duration;

use anyhow::{Result, ensure};
use attache_simulator::{
    BotState, Delivery, Fault, FaultBody, MeetingScript, Operation, RequestSeen,
};
use serde_json::{Value, json};

use crate::world::{Room, SOON, World, text, warnings};

const RETRIED: &str = "bot_creation_retried";

/// Meets with these faults on the way of the create calls, to the end, and holds that one bot did it all.
async fn made_despite<'a>(
    world: &'a World,
    script: MeetingScript,
    faults: &[Fault],
) -> Result<(Room<'a>, Value)> {
    let room = world.room().await?;
    for fault in faults {
        let simulator = room.simulator;
        simulator.fault_for(&room.url, Operation::CreateBot, fault.clone());
    }
    let room = room.meet(script).await?;
    room.until_greeted().await?;
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    room.one_bot_and_one_greeting()?;
    ensure!(meeting["ended"]["by"] == "host", "{meeting}");
    Ok((room, meeting))
}

fn creations(room: &Room<'_>) -> Vec<RequestSeen> {
    room.requests(Operation::CreateBot)
}

/// The idempotency keys of the create calls, in order.
fn keys(room: &Room<'_>) -> Vec<String> {
    let keys = creations(room);
    let key = |request: &RequestSeen| {
        request
            .header("idempotency-key")
            .unwrap_or("none")
            .to_owned()
    };
    keys.iter().map(key).collect()
}

/// Holds that the call was repeated under the same key, and that the meeting says that it was repeated.
fn was_repeated(room: &Room<'_>, meeting: &Value, times: usize) -> Result<()> {
    let keys = keys(room);
    ensure!(
        keys.len() == times,
        "{} create calls\n{}",
        keys.len(),
        room.story()
    );
    ensure!(
        keys.iter().all(|key| *key == keys[0] && key != "none"),
        "{keys:?}"
    );
    ensure!(warnings(meeting) == [RETRIED], "{meeting}");
    Ok(())
}

pub(crate) async fn a_rate_limit_is_waited_for_with_the_same_key(world: &World) -> Result<()> {
    let (room, meeting) =
        made_despite(world, MeetingScript::instant(), &[Fault::status(429)]).await?;
    was_repeated(&room, &meeting, 2)?;

    let limited = Fault::status_retry_after(429, 3);
    let (room, meeting) = made_despite(world, MeetingScript::instant(), &[limited]).await?;
    was_repeated(&room, &meeting, 2)?;
    let journal = room.simulator.journal();
    let times: Vec<_> = journal
        .iter()
        .filter(|entry| {
            entry.what.request().is_some_and(|request| {
                request.operation == Some(Operation::CreateBot)
                    && request.meeting_url.as_deref() == Some(room.url.as_str())
            })
        })
        .map(|entry| entry.at)
        .collect();
    ensure!(times[1].duration_since(times[0]).as_millis() >= 2_900);
    Ok(())
}

pub(crate) async fn an_empty_pool_is_asked_again_with_a_new_key_each_time(
    world: &World,
) -> Result<()> {
    let empty = Fault::status_retry_after(507, 1);
    let (room, meeting) =
        made_despite(world, MeetingScript::instant(), &[empty.clone(), empty]).await?;
    let mut keys = keys(&room);
    ensure!(keys.len() == 3, "{keys:?}");
    keys.sort();
    keys.dedup();
    ensure!(keys.len() == 3, "keys were used again: {keys:?}");
    ensure!(warnings(&meeting) == [RETRIED], "{meeting}");
    Ok(())
}

pub(crate) async fn an_empty_pool_is_given_half_a_minute_when_it_names_no_time(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_for(&room.url, Operation::CreateBot, Fault::status(507));
    let room = room.meet(MeetingScript::instant()).await?;
    let patience = SOON + Duration::from_secs(30);
    room.until_within(patience, |meeting| meeting["status"] == "in_progress")
        .await?;
    let keys = keys(&room);
    ensure!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    room.bot()?;
    Ok(())
}

pub(crate) async fn an_error_of_the_server_is_tried_again_with_the_same_key(
    world: &World,
) -> Result<()> {
    for faults in [
        vec![Fault::status(500)],
        vec![Fault::HtmlError],
        vec![Fault::status(503), Fault::status(504)],
    ] {
        let (room, meeting) = made_despite(world, MeetingScript::instant(), &faults).await?;
        was_repeated(&room, &meeting, faults.len() + 1)?;
    }
    Ok(())
}

pub(crate) async fn a_conflict_is_tried_again_with_the_same_key(world: &World) -> Result<()> {
    let (room, meeting) =
        made_despite(world, MeetingScript::instant(), &[Fault::status(409)]).await?;
    was_repeated(&room, &meeting, 2)
}

pub(crate) async fn a_call_that_breaks_off_unheard_is_made_again(world: &World) -> Result<()> {
    let (room, meeting) = made_despite(
        world,
        MeetingScript::instant(),
        &[Fault::CloseWithoutAnswer],
    )
    .await?;
    was_repeated(&room, &meeting, 2)
}

pub(crate) async fn a_bot_whose_making_was_answered_with_garbage_is_found_and_kept(
    world: &World,
) -> Result<()> {
    for fault in [Fault::Garbage, Fault::CloseMidBody, Fault::CloseAfterAccept] {
        let name = format!("{fault:?}");
        let (room, meeting) = made_despite(world, MeetingScript::instant(), &[fault]).await?;
        let created = creations(&room).len();
        ensure!(
            created <= 2,
            "{name}: {created} create calls\n{}",
            room.story()
        );
        ensure!(
            warnings(&meeting) == [RETRIED] || warnings(&meeting).is_empty(),
            "{meeting}"
        );
    }
    Ok(())
}

pub(crate) async fn a_bot_that_reports_while_its_making_is_never_answered_is_kept(
    world: &World,
) -> Result<()> {
    let (room, _) = made_despite(
        world,
        MeetingScript::instant(),
        &[Fault::TimeoutAfterAccept],
    )
    .await?;
    ensure!(creations(&room).len() == 1, "{}", room.story());
    Ok(())
}

pub(crate) async fn a_bot_that_reports_before_its_making_is_answered_is_kept(
    world: &World,
) -> Result<()> {
    let delivery = Delivery {
        before_create_response: true,
        ..Delivery::default()
    };
    let script = MeetingScript::instant().with_delivery(delivery);
    let (room, meeting) = made_despite(world, script.clone(), &[]).await?;
    ensure!(
        warnings(&meeting).is_empty() && creations(&room).len() == 1,
        "{meeting}"
    );

    let faults = [Fault::CloseAfterAccept];
    let (room, _) = made_despite(world, script, &faults).await?;
    ensure!(creations(&room).len() <= 2);
    Ok(())
}

pub(crate) async fn a_silent_bot_of_a_call_that_was_never_answered_is_found_by_asking(
    world: &World,
) -> Result<()> {
    // What closes at once is found at once, what never answers after the half minute it is given.
    for (fault, patience) in [
        (Fault::CloseAfterAccept, SOON),
        (Fault::TimeoutAfterAccept, SOON + Duration::from_secs(30)),
    ] {
        let room = world.room().await?;
        let simulator = room.simulator;
        simulator.fault_for(&room.url, Operation::CreateBot, fault);
        let room = room.meet(MeetingScript::manual()).await?;
        let meeting = room
            .until_within(patience, |meeting| meeting["bot"].is_object())
            .await?;
        ensure!(meeting["bot"]["id"] == room.bot()?.id && warnings(&meeting) == [RETRIED]);
        ensure!(creations(&room).len() == 1, "{}", room.story());
    }
    Ok(())
}

pub(crate) async fn asking_for_a_bot_goes_on_beyond_the_quick_attempts(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = room.simulator;
    simulator.fault_n_for(&room.url, Operation::CreateBot, Fault::status(500), 3);
    let room = room.meet(MeetingScript::instant()).await?;
    let patience = SOON + Duration::from_secs(40);
    room.until_within(patience, |meeting| meeting["status"] == "in_progress")
        .await?;
    room.bot()?;
    ensure!(creations(&room).len() == 4, "{}", room.story());
    Ok(())
}

pub(crate) async fn a_refusal_fails_the_meeting_and_says_who_refused_and_why(
    world: &World,
) -> Result<()> {
    let field = json!({ "meeting_url": ["This meeting link cannot be used."] });
    let tenant =
        json!({ "code": "teams_blacklisted_tenant", "detail": "The tenant forbids bots." });
    let empty = Fault::Status {
        code: 400,
        body: FaultBody::Empty,
        retry_after: None,
    };
    for (fault, reason, words) in [
        (
            Fault::status_with(400, field),
            "bot_creation_refused",
            "This meeting link cannot be used.",
        ),
        (
            Fault::status_with(400, tenant),
            "teams_blacklisted_tenant",
            "The tenant forbids bots.",
        ),
        (empty, "bot_creation_refused", "HTTP 400"),
        (
            Fault::status(401),
            "authentication_failed",
            "Invalid API token",
        ),
        (Fault::status(402), "payment_required", "no credits left"),
        (Fault::status(403), "bot_creation_refused", "firewall"),
    ] {
        let room = world.room().await?;
        let simulator = room.simulator;
        simulator.fault_for(&room.url, Operation::CreateBot, fault);
        let room = room.meet(MeetingScript::instant()).await?;
        let meeting = room.until_status("failed").await?;
        let ended = &meeting["ended"];
        ensure!(
            ended["by"] == "vendor" && ended["reason"] == reason,
            "{ended}, not {reason}"
        );
        let told = room.timeline().await?;
        let told = told
            .iter()
            .any(|entry| text(&entry["summary"]).contains(words));
        ensure!(told, "the timeline does not say {words:?}");
        ensure!(creations(&room).len() == 1 && room.bots().is_empty());
        ensure!(meeting["greeting"]["state"] == "skipped", "{meeting}");
    }
    Ok(())
}

pub(crate) async fn a_bot_that_turns_up_after_the_meeting_was_called_off_is_sent_away(
    world: &World,
) -> Result<()> {
    let room = world.room().await?;
    let simulator = &world.system().await?.simulator;
    let slow = Fault::Latency(Duration::from_secs(2));
    simulator.fault_for(&room.url, Operation::CreateBot, slow);
    let room = room.meet(MeetingScript::instant()).await?;
    let cancelled = room.api.delete_meeting(&room.id).await?.expect(202)?;
    ensure!(cancelled["status"] == "cancelled", "{cancelled}");
    room.seen(|request| {
        request.operation == Some(Operation::LeaveCall) && request.status == Some(200)
    })
    .await?;
    simulator
        .wait_for_status(&room.url, "call_ended", SOON)
        .await?;
    ensure!(room.bot()?.over && room.meeting().await?["status"] == "cancelled");
    Ok(())
}

pub(crate) async fn a_second_bot_that_carries_the_meetings_name_is_sent_away(
    world: &World,
) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let own = room.bot()?;
    let other = json!({ "meeting_url": room.url, "metadata": own.metadata });
    let made = reqwest::Client::new()
        .post(format!("{}/bot/", room.simulator.recall_base_url()))
        .header("authorization", "Token fake-recall-key")
        .json(&other)
        .send()
        .await?
        .error_for_status()?;
    let other: Value = made.json().await?;
    let other = text(&other["id"]);
    room.seen(|request| {
        request.operation == Some(Operation::LeaveCall) && request.path.contains(&other)
    })
    .await?;
    let is_own = |bot: &BotState| bot.id == own.id;
    ensure!(room.bots().iter().any(|bot| is_own(bot) && bot.in_call));
    let meeting = room.meeting().await?;
    ensure!(meeting["bot"]["id"] == own.id && meeting["status"] == "in_progress");
    ensure!(room.greetings_heard() == 1);
    Ok(())
}
