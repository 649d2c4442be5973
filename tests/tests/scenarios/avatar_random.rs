//! Meetings in which anything may happen to an avatar, at any time: no session is left, and nothing is said twice.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarEnd, AvatarFault, AvatarProvider, Event, Fault, MeetingScript, Operation, PageVoice,
    RoomFault,
};
use attache_tests::System;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde_json::Value;

use crate::avatars::{SLACK_MS, heard_ms, until_it_holds};
use crate::mutation::Chance;
use crate::world::{Room, World, text, vendors};

const MEETINGS: u64 = 30;

/// As many as a small machine can carry in real time.
const SIDE_BY_SIDE: usize = 10;

/// What happens in a meeting.
const STEPS: usize = 6;

/// How long a meeting may take to come to its end once it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(45);

/// The pause between two things that happen, at most.
const LONGEST_PAUSE_MS: usize = 1_500;

pub(crate) async fn thirty_meetings_whatever_happens_leave_no_session_and_say_nothing_twice(
    world: &World,
) -> Result<()> {
    let system = world
        .start_avatars(AvatarProvider::LiveAvatar, vendors())
        .await?;
    let base = u64::try_from(Timestamp::now().as_microsecond())?;
    println!("seeds of the meetings with avatars: {base} and the {MEETINGS} after it");
    let meetings = (0..MEETINGS).map(|number| {
        let (system, seed) = (&system, base + number);
        async move {
            let played = plays(system, seed).await;
            played.with_context(|| format!("seed {seed}"))
        }
    });
    let mut played = futures_util::stream::iter(meetings).buffer_unordered(SIDE_BY_SIDE);
    while let Some(played) = played.next().await {
        played?;
    }
    let simulator = &system.simulator;
    until_it_holds(simulator, || simulator.avatar_balance().live == 0).await?;
    let balance = simulator.avatar_balance();
    ensure!(
        balance.live == 0 && balance.started == balance.stopped + balance.ended_by_vendor,
        "{balance:?}"
    );
    ensure!(balance.started > 0 && balance.stopped > 0, "{balance:?}");
    Ok(())
}

async fn plays(system: &System, seed: u64) -> Result<()> {
    let mut chance = Chance::new(seed);
    let room = Room::new(system);
    let room = room.meet_with_a_face(MeetingScript::instant()).await?;
    room.until_status("in_progress").await?;
    let mut said = BTreeMap::new();
    let mut happened = Vec::new();
    for _ in 0..STEPS {
        let pause = chance.below(LONGEST_PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(u64::try_from(pause)?)).await;
        happened.push(something(&room, &mut chance, &mut said).await?);
    }
    let context = || format!("{happened:?}\n{}", room.story());
    if chance.below(2) == 0 {
        room.happens(Event::CallEnded("call_ended_by_host".to_owned()))?;
    } else {
        room.api.delete_meeting(&room.id).await?.expect(202)?;
    }
    room.until_within(ENDS_WITHIN, |meeting| meeting["status"] == "ended")
        .await
        .with_context(context)?;
    room.until_no_session_is_left()
        .await
        .with_context(context)?;
    nothing_twice(&room, &said).await.with_context(context)
}

/// Lets one thing happen, and says what it was.
async fn something(
    room: &Room<'_>,
    chance: &mut Chance,
    said: &mut BTreeMap<String, String>,
) -> Result<String> {
    let simulator = room.simulator;
    let bot = room.bot()?.id;
    let session = text(&room.avatar().await?["session_id"]);
    let what = match chance.below(20) {
        0..=7 => {
            let words = sentence(room, said.len(), chance);
            let urgent = chance.below(5) == 0;
            let accepted = if urgent {
                room.api.say_at_once(&room.id, &words).await?
            } else {
                room.api.say(&room.id, &words).await?
            };
            let id = text(&accepted.expect(202)?["utterance_id"]);
            said.insert(id, words.clone());
            return Ok(format!("say {words:?}, urgent: {urgent}"));
        }
        8 => {
            room.api.interrupt(&room.id).await?.expect(202)?;
            "interrupt"
        }
        9 | 10 => {
            // 409 where there is no session to replace.
            let answer = room.api.rotate_avatar(&room.id).await?;
            ensure!([202, 409].contains(&answer.status), "{answer:?}");
            "rotate"
        }
        11 => {
            // An error is a page that is not open now.
            let _ = simulator.reload_page(&bot).await;
            "reload"
        }
        12 => {
            let _ = simulator.drop_page_socket(&bot).await;
            "drop the page's socket"
        }
        13 => {
            simulator.avatar_fault(&session, &AvatarFault::Abort);
            "cut the avatar's socket"
        }
        14 => {
            simulator.avatar_fault(&session, &AvatarFault::SilentEnd);
            "end in silence"
        }
        15 => {
            let end = AvatarFault::End(AvatarEnd::ServerError);
            simulator.avatar_fault(&session, &end);
            "end aloud"
        }
        16 => {
            simulator.room_fault(&session, RoomFault::RoomDeleted);
            "delete the room"
        }
        17 => {
            simulator.room_fault(&session, RoomFault::PictureFrozen);
            "freeze the picture"
        }
        18 => {
            simulator.fault(Operation::LiveAvatarStop, Fault::status(503));
            "refuse to stop"
        }
        _ => {
            let operations = [Operation::LiveAvatarToken, Operation::LiveAvatarStart];
            let operation = operations[chance.below(operations.len())];
            let faults = [
                Fault::status(503),
                Fault::CloseAfterAccept,
                Fault::Garbage,
                Fault::Latency(Duration::from_secs(2)),
            ];
            let fault = faults[chance.below(faults.len())].clone();
            simulator.fault(operation, fault.clone());
            return Ok(format!("{fault:?} on {operation:?}"));
        }
    };
    Ok(what.to_owned())
}

/// Words nobody else says.
fn sentence(room: &Room<'_>, number: usize, chance: &mut Chance) -> String {
    let more = " and there is a lot more to say about it than that".repeat(chance.below(3));
    format!("Point {number} of {} is this{more}.", room.agent)
}

/// Holds that every utterance has one end, and that no more was heard than was said.
async fn nothing_twice(room: &Room<'_>, said: &BTreeMap<String, String>) -> Result<()> {
    let timeline = room.timeline().await?;
    let utterances = timeline.iter().filter(|entry| entry["name"] == "utterance");
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in utterances {
        let (id, state) = (&entry["data"]["utterance_id"], &entry["data"]["state"]);
        if is_end(state) {
            ends.entry(text(id)).or_default().push(text(state));
        }
    }
    for (id, words) in said {
        let ends = ends.get(id).map_or(0, Vec::len);
        ensure!(ends == 1, "{words:?} ({id}) has {ends} ends");
    }
    let heard = room.page_sounds();
    let chats = room.chats();
    let mut allowed = SLACK_MS;
    for words in said.values().chain([&room.greeting()]) {
        let written = chats.iter().filter(|chat| *chat == words).count();
        // A page that was loaded again in mid-sentence hears the same avatar go on.
        let mut voices: Vec<&PageVoice> = Vec::new();
        for heard in &heard {
            let counts = heard.text.as_ref() == Some(words) && heard.duration_ms > SLACK_MS;
            if counts && !voices.contains(&&heard.voice) {
                voices.push(&heard.voice);
            }
        }
        let begun = voices.len();
        ensure!(
            begun <= 1 && written <= 1 && (begun == 0 || written == 0),
            "{words:?} begun {begun} times, written {written} times: {heard:?}"
        );
        allowed += room.length_ms(words).await?;
    }
    // Each part after the first may repeat what was on its way when the one before was cut off.
    allowed += SLACK_MS * u64::try_from(heard.len())?;
    ensure!(
        heard_ms(&heard) <= allowed,
        "{} ms of {allowed} ms: {heard:?}",
        heard_ms(&heard)
    );
    Ok(())
}

fn is_end(state: &Value) -> bool {
    ["spoken", "interrupted", "failed"]
        .iter()
        .any(|end| state == end)
}
