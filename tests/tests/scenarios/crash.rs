//! The runtime is killed without warning and started again on the same storage: every meeting goes on, with its one
//! bot, and no room is greeted twice.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    Delivery, Entry, Event, Fault, MeetingScript, Operation, Simulator, SimulatorConfig,
    instant_ending,
};
use attache_tests::{Api, System};
use futures_util::future::{BoxFuture, FutureExt as _, join_all, try_join_all};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::mutation::Chance;
use crate::world::{Room, SOON, World, vendors};

/// Longer than all of what precedes the kill, and shorter than the Worker waits for an answer.
const HELD: Duration = Duration::from_secs(28);

/// The vendor has not begun.
const SLOW: Fault = Fault::Latency(HELD);

/// The vendor has done it, and the answer never comes.
const LOST: Fault = Fault::TimeoutAfterAccept;

/// Retries of webhooks reach a Worker that was away for some seconds.
fn patient_vendors() -> SimulatorConfig {
    SimulatorConfig {
        webhook_retry_scale: 0.01,
        ..vendors()
    }
}

/// The vendors and the client of a Worker that is killed.
struct Stage {
    simulator: Simulator,
    api: Api,
}

impl Stage {
    fn room(&self) -> Room<'_> {
        Room::at(&self.simulator, &self.api)
    }
}

/// A meeting, held at one step when the runtime is killed.
struct Held<'a> {
    step: &'static str,
    room: Room<'a>,
    /// Whether an order is under way, which is what the kill is aimed at.
    ordered: bool,
    /// What happens to its bot while the Worker is away.
    meanwhile: Vec<Event>,
}

impl<'a> Held<'a> {
    /// Held between two orders.
    fn between_orders(step: &'static str, room: Room<'a>) -> Self {
        Self {
            step,
            room,
            ordered: false,
            meanwhile: vec![],
        }
    }

    /// Held with an order under way.
    fn with_an_order(step: &'static str, room: Room<'a>) -> Self {
        Self {
            ordered: true,
            ..Self::between_orders(step, room)
        }
    }

    fn while_away(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.meanwhile.extend(events);
        self
    }
}

/// A held meeting in the making.
type Holding<'a> = BoxFuture<'a, Result<Held<'a>>>;

/// A bot that waits at the door is let in.
const LET_IN: [Event; 2] = [Event::InCallNotRecording, Event::InCallRecording];

fn to_the_door() -> MeetingScript {
    MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::ZERO, Event::InWaitingRoom)
        .with_ending(instant_ending())
}

/// Meets with a fault on one call, and waits until the call is at the vendor, if it is to get there.
async fn held_at<'a>(
    stage: &'a Stage,
    step: &'static str,
    script: MeetingScript,
    operation: Operation,
    fault: Fault,
) -> Result<Held<'a>> {
    let room = stage.room();
    let arrives = !matches!(fault, Fault::Latency(_));
    stage.simulator.fault_for(&room.url, operation, fault);
    let room = room.meet(script).await?;
    if arrives {
        room.seen(|request| request.operation == Some(operation) && request.fault.is_some())
            .await
            .context(step)?;
    }
    Ok(Held::with_an_order(step, room))
}

/// The steps at which a meeting can be held for long.
fn early(stage: &Stage) -> Vec<Holding<'_>> {
    vec![
        held_at(
            stage,
            "before the vendor makes the bot",
            MeetingScript::instant(),
            Operation::CreateBot,
            SLOW,
        )
        .boxed(),
        async {
            let step = "after the vendor made the bot";
            let script = MeetingScript::empty().with_ending(instant_ending());
            let held = held_at(stage, step, script, Operation::CreateBot, LOST).await?;
            Ok(held.while_away([Event::JoiningCall]).while_away(LET_IN))
        }
        .boxed(),
        async {
            let room = stage.room().meet(to_the_door()).await?;
            room.until(|meeting| meeting["bot"]["code"] == "in_waiting_room")
                .await?;
            Ok(Held::between_orders("at the door", room).while_away(LET_IN))
        }
        .boxed(),
        async {
            let room = stage.room();
            stage
                .simulator
                .fault_for_text(&room.agent, Operation::TextToSpeech, LOST);
            let room = room.meet(to_the_door()).await?;
            room.seen(|request| request.operation == Some(Operation::TextToSpeech))
                .await?;
            Ok(Held::with_an_order("while the greeting is made", room).while_away(LET_IN))
        }
        .boxed(),
        async {
            let room = stage.room().meet(MeetingScript::instant()).await?;
            room.until_greeted().await?;
            stage
                .simulator
                .fault_for(&room.url, Operation::LeaveCall, SLOW);
            let greeting = room.clips()[0].ends_at().duration_since(Timestamp::now());
            tokio::time::sleep(Duration::try_from(greeting).unwrap_or_default()).await;
            room.api.delete_meeting(&room.id).await?.expect(202)?;
            Ok(Held::with_an_order("while leaving", room))
        }
        .boxed(),
        async {
            let delivery = Delivery {
                drop: (5..100).collect(),
                ..Delivery::default()
            };
            let script = MeetingScript::instant().with_delivery(delivery);
            let room = stage.room().meet(script).await?;
            room.until_greeted().await?;
            room.host_ends().await?;
            room.until_status("ended").await?;
            Ok(Held::between_orders(
                "while the artifacts are waited for",
                room,
            ))
        }
        .boxed(),
    ]
}

/// The transcript of this meeting, and of no other, is on its way.
async fn fetching(stage: &Stage) -> Result<Held<'_>> {
    let room = stage.room().meet(MeetingScript::instant()).await?;
    room.until_greeted().await?;
    stage.simulator.fault(Operation::Download, LOST);
    room.host_ends().await?;
    let fetched = |entry: &Entry| {
        let request = entry.what.request();
        request.is_some_and(|request| request.operation == Some(Operation::Download))
    };
    stage.simulator.wait_for(fetched, SOON).await?;
    Ok(Held::with_an_order("while the transcript is fetched", room))
}

/// The steps that last for seconds only.
fn late(stage: &Stage) -> Vec<Holding<'_>> {
    vec![
        fetching(stage).boxed(),
        async {
            let step = "before the greeting is played";
            let held = held_at(
                stage,
                step,
                MeetingScript::instant(),
                Operation::OutputAudio,
                SLOW,
            )
            .await?;
            held.room.until_status("in_progress").await?;
            held.room
                .seen(|request| request.operation == Some(Operation::TextToSpeech))
                .await?;
            Ok(held)
        }
        .boxed(),
        held_at(
            stage,
            "after the greeting was begun",
            MeetingScript::instant(),
            Operation::OutputAudio,
            LOST,
        )
        .boxed(),
        async {
            let step = "after making the bot broke off";
            let broken = Fault::CloseWithoutAnswer;
            let held = held_at(
                stage,
                step,
                MeetingScript::instant(),
                Operation::CreateBot,
                broken,
            )
            .await?;
            Ok(Held {
                ordered: false,
                ..held
            })
        }
        .boxed(),
        async {
            let room = stage.room().meet(MeetingScript::instant()).await?;
            Ok(Held::between_orders("right after the booking", room))
        }
        .boxed(),
    ]
}

/// Sees the meeting through to its end.
async fn completes(held: &Held<'_>) -> Result<()> {
    let room = &held.room;
    let meeting = room.until_greeted().await?;
    ensure!(meeting["greeting"]["state"] == "sent", "{meeting}");
    if !room.bot()?.over {
        room.host_ends().await?;
    }
    let meeting = room
        .until_settled_within(SOON + Duration::from_secs(20))
        .await?;
    ensure!(meeting["transcript"]["state"] == "ready", "{meeting}");
    ensure!(room.api.recording(&room.id).await?.status == 200);
    let timeline = room.timeline().await?;
    let resumed = timeline.iter().any(|entry| entry["name"] == "restored");
    ensure!(resumed || !held.ordered, "the kill missed its step");
    // On a busy machine the restart may take longer than a room is left ungreeted; then it reads its greeting.
    let written = room.chats() == [room.greeting()];
    ensure!(
        written == (meeting["greeting"]["via"] == "chat"),
        "{:?}",
        room.chats()
    );
    ensure!(written || room.chats().is_empty(), "{:?}", room.chats());
    let greetings = room.greetings_heard() + usize::from(written);
    ensure!(greetings == 1, "{greetings} greetings\n{}", room.story());
    ensure!(room.bot()?.over, "the bot is still there\n{}", room.story());
    Ok(())
}

pub(crate) async fn killed_at_any_step_a_meeting_completes_with_one_bot_and_one_greeting(
    world: &World,
) -> Result<()> {
    let System {
        simulator,
        mut runtime,
        api,
    } = world.start(patient_vendors(), |settings| settings).await?;
    let stage = Stage { simulator, api };
    let mut held = try_join_all(early(&stage)).await?;
    held.extend(try_join_all(late(&stage)).await?);
    runtime.kill();
    for held in &held {
        for event in &held.meanwhile {
            held.room.happens(event.clone())?;
        }
    }
    runtime.start_again().await?;
    let ends = held
        .iter()
        .map(|held| completes(held).map(|end| end.context(held.step)));
    let ends = join_all(ends).await;
    let failed: Vec<String> = ends
        .into_iter()
        .filter_map(|end| end.err().map(|error| format!("killed {error:#}")))
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

/// How often the runtime is killed at moments that nobody chose, and the longest it runs in between.
const KILLS: usize = 4;
const BETWEEN_KILLS_MS: usize = 2_500;

pub(crate) async fn killed_again_and_again_meetings_complete_with_one_bot_and_one_greeting(
    world: &World,
) -> Result<()> {
    let slow_speech = SimulatorConfig {
        speech_latency: Duration::from_millis(300),
        ..patient_vendors()
    };
    let System {
        simulator,
        mut runtime,
        api,
    } = world.start(slow_speech, |settings| settings).await?;
    let stage = Stage { simulator, api };
    let seed = u64::try_from(Timestamp::now().as_millisecond())?;
    let mut chance = Chance::new(seed);
    // One meeting enters after the other, so that the kills find them at all kinds of steps.
    let mut rooms = Vec::new();
    for place in 0..6 {
        let pause = Duration::from_millis(700 * place);
        let script = MeetingScript::empty()
            .then(pause, Event::JoiningCall)
            .then(Duration::from_millis(300), Event::InWaitingRoom)
            .then(Duration::from_millis(300), Event::InCallNotRecording)
            .then(Duration::from_millis(300), Event::InCallRecording)
            .with_ending(instant_ending());
        rooms.push(stage.room().meet(script).await?);
    }
    for _ in 0..KILLS {
        let moment = u64::try_from(chance.below(BETWEEN_KILLS_MS))?;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        runtime.restart().await?;
    }
    let ends = rooms.into_iter().map(async |room| {
        let held = Held::between_orders("at random", room);
        completes(&held).await
    });
    try_join_all(ends)
        .await
        .with_context(|| format!("seed {seed}"))?;
    Ok(())
}

pub(crate) async fn killed_before_its_time_a_booked_meeting_is_joined_on_time(
    world: &World,
) -> Result<()> {
    let System {
        simulator,
        mut runtime,
        api,
    } = world.start(patient_vendors(), |settings| settings).await?;
    let stage = Stage { simulator, api };
    let mut rooms = Vec::new();
    // Of the first the time comes while the Worker is away, of the second after it is back.
    let join_times = [4, 15].map(|seconds| Timestamp::now() + SignedDuration::from_secs(seconds));
    for join_at in join_times {
        let mut room = stage.room();
        let starts_at = join_at + SignedDuration::from_mins(3);
        let booking = room.booking_with(json!({ "starts_at": starts_at.to_string() }));
        room.book(&booking).await?;
        rooms.push(room);
    }
    runtime.kill();
    let missed = join_times[0].duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(missed).unwrap_or_default()).await;
    ensure!(rooms.iter().all(|room| room.bots().is_empty()));
    runtime.start_again().await?;
    let back = Timestamp::now();
    for (room, join_at) in rooms.iter().zip(join_times) {
        room.until_status("in_progress").await?;
        let made = room.bot()?.created_at;
        let due = join_at.max(back);
        ensure!(
            join_at <= made && made < due + SignedDuration::from_secs(5),
            "made {made}, not {due}"
        );
    }
    Ok(())
}
