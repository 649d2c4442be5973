//! Avatars that are not to be had, or die in mid-sentence: the builtin face goes on with the same voice.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarEnd, AvatarFault, AvatarHabits, AvatarProvider, Fault, MeetingScript, Operation,
    PageNews, PageVoice, RoomFault, Side, Simulator,
};

use crate::avatars::{SLACK_MS, between, greeted, is_from, kept_well, until_it_holds};
use crate::talking::{LONG, events_until, is_utterance, say, states};
use crate::world::{Room, World, text, vendors, warnings};

/// From a page that is ready to the greeting: two seconds in which an avatar may come up, and two more.
const GREETED_WITHIN: Duration = Duration::from_secs(4);

/// How soon the face goes on, once it can be known that the avatar does not.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(2);

/// More attempts than a meeting of some seconds makes.
const ALWAYS: usize = 100;

/// Why there is no avatar.
struct Refusal {
    why: &'static str,
    refuse: fn(&Simulator),
    /// Whether it could be otherwise a while later.
    may_pass: bool,
}

/// Sessions are asked for in vain, whatever the answer is.
fn refuse_tokens(simulator: &Simulator, status: u16) {
    simulator.fault_n(Operation::LiveAvatarToken, Fault::status(status), ALWAYS);
}

fn with_habits(simulator: &Simulator, habits: AvatarHabits) {
    simulator.set_avatar_habits(habits);
}

const REFUSALS: [Refusal; 5] = [
    Refusal {
        why: "the vendor is down",
        refuse: |simulator| refuse_tokens(simulator, 503),
        may_pass: true,
    },
    Refusal {
        why: "the key is wrong",
        refuse: |simulator| refuse_tokens(simulator, 401),
        may_pass: false,
    },
    Refusal {
        why: "there is no credit",
        refuse: |simulator| {
            with_habits(
                simulator,
                AvatarHabits {
                    credits: Some(0),
                    ..AvatarHabits::default()
                },
            );
        },
        may_pass: false,
    },
    Refusal {
        why: "there are too many sessions",
        refuse: |simulator| {
            with_habits(
                simulator,
                AvatarHabits {
                    concurrency: Some(0),
                    ..AvatarHabits::default()
                },
            );
        },
        may_pass: true,
    },
    Refusal {
        why: "the session takes no commands",
        refuse: |simulator| {
            with_habits(
                simulator,
                AvatarHabits {
                    connects_after: None,
                    ..AvatarHabits::default()
                },
            );
        },
        may_pass: true,
    },
];

pub(crate) async fn without_an_avatar_the_face_greets_in_time(world: &World) -> Result<()> {
    let system = world
        .start_avatars(AvatarProvider::LiveAvatar, vendors())
        .await?;
    for refusal in REFUSALS {
        system.simulator.clear_faults();
        system.simulator.set_avatar_habits(AvatarHabits::default());
        (refusal.refuse)(&system.simulator);
        refused(Room::new(&system), &refusal)
            .await
            .context(refusal.why)?;
    }
    ensure!(system.simulator.avatar_balance().live == 0);
    Ok(())
}

/// Meets without an avatar.
async fn refused(room: Room<'_>, refusal: &Refusal) -> Result<()> {
    let asked_before = asked(room.simulator);
    let room = room.meet_with_a_face(MeetingScript::instant()).await?;
    let meeting = room.until_greeted().await?;
    ensure!(
        meeting["greeting"]["via"] == "page" && meeting["greeting"]["state"] == "sent",
        "{meeting}\n{}",
        room.story()
    );
    let mut live = room.api.live(&room.id).await?;
    let id = say(&room, "I am here all the same.").await?;
    events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    let heard = room.page_sounds();
    ensure!(
        heard.len() == 2 && heard.iter().all(|heard| heard.voice == PageVoice::Page),
        "{heard:?}"
    );
    ensure!(heard[0].text == Some(room.greeting()) && !heard[0].stopped);
    let ready =
        |news: &PageNews| matches!(news, PageNews::Said(message) if message["type"] == "ready");
    let wait = between(room.page_last(ready)?, heard[0].at);
    ensure!(wait < GREETED_WITHIN, "{wait:?}\n{}", room.story());

    let meeting = room.until(|meeting| !warnings(meeting).is_empty()).await?;
    ensure!(warnings(&meeting) == ["avatar_failed"], "{meeting}");
    ensure!(meeting["status"] == "in_progress", "{meeting}");
    if refusal.may_pass {
        // What was in the way is gone, and the next attempt brings the avatar after all.
        room.simulator.clear_faults();
        room.simulator.set_avatar_habits(AvatarHabits::default());
        room.until(|meeting| meeting["avatar"]["state"] == "ready")
            .await?;
        let session = room.avatar_session().await?;
        let id = say(&room, "And now with a face.").await?;
        events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
        let mut heard = room.page_sounds_to("And now with a face.").await?;
        let heard = heard.pop().context("it was heard")?;
        ensure!(is_from(&heard, &session), "{heard:?}\n{}", room.story());
    } else {
        let avatar = room.avatar().await?;
        ensure!(avatar["state"] == "failed", "{avatar}");
    }
    room.host_ends().await?;
    room.until_settled().await?;
    if !refusal.may_pass {
        let asked = asked(room.simulator) - asked_before;
        ensure!(asked == 1, "asked {asked} times\n{}", room.story());
    }
    for session in room.until_no_session_is_left().await? {
        kept_well(&session)?;
    }
    let greeting = room.greeting();
    let greetings = room.voices().into_iter();
    ensure!(greetings.filter(|(words, _)| *words == greeting).count() == 1);
    ensure!(room.chats().is_empty(), "{:?}", room.chats());
    Ok(())
}

/// How often a session was asked for.
fn asked(simulator: &Simulator) -> usize {
    let journal = simulator.journal();
    let requests = journal.iter().filter_map(|entry| entry.what.request());
    requests
        .filter(|request| request.operation == Some(Operation::LiveAvatarToken))
        .count()
}

/// How an avatar dies.
struct Death {
    cause: fn(&Room<'_>, &str) -> bool,
    /// How long it cannot be known.
    unnoticed: Duration,
    /// How much of the sound may be heard twice, as nothing told that it had been heard.
    repeated: Duration,
    /// Who ends the session.
    by: Side,
}

/// Breaks off what the avatar says, and holds that the face says the rest, once, and that another session follows.
async fn dies_in_mid_sentence(world: &World, death: Death) -> Result<()> {
    let room = greeted(world.avatars().await?).await?;
    let first = room.avatar_session().await?;
    let length = room.length_ms(LONG).await?;
    let mut live = room.api.live(&room.id).await?;
    let broken = say(&room, LONG).await?;
    let next = say(&room, "That was all.").await?;
    events_until(&mut live, |event| is_utterance(event, &broken, "speaking")).await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let broken_at = room.simulator.now();
    ensure!((death.cause)(&room, &first.id), "nothing broke");
    let events = events_until(&mut live, |event| is_utterance(event, &next, "spoken")).await?;
    ensure!(
        states(&events, &broken).last().map(String::as_str) == Some("spoken"),
        "{events:?}"
    );

    let heard = room.page_sounds();
    let (last, before) = heard[1..].split_last().context("it was heard")?;
    ensure!(last.text.as_deref() == Some("That was all."), "{heard:?}");
    let begun = room.simulator.avatar_session(&first.id);
    let begun = begun.and_then(|session| session.utterances.get(1).map(|said| said.heard));
    let begun = u64::try_from(begun.context("the avatar began it")?.as_millis())?;
    let story = || format!("{begun} of {length} ms, then {heard:?}\n{}", room.story());
    let mut rests = before.iter().filter(|heard| heard.voice == PageVoice::Page);
    let rest = rests.next().with_context(story)?;
    ensure!(
        rests.next().is_none() && before.len() <= 2 && begun > 0,
        "{}",
        story()
    );
    ensure!(
        between(broken_at, rest.at) < death.unnoticed + TAKES_OVER_WITHIN,
        "{}",
        story()
    );
    let repeated = u64::try_from(death.repeated.as_millis())?;
    let said = begun + rest.duration_ms;
    ensure!(
        said <= length + SLACK_MS + repeated && said + SLACK_MS >= length,
        "{}",
        story()
    );
    let leave = |news: &PageNews| *news == PageNews::Told("avatar.leave".to_owned());
    room.page_last(leave)
        .context("the page was told to leave")?;

    let second = room.until_another_avatar(&first).await?;
    until_it_holds(room.simulator, || {
        let gone = room.simulator.avatar_session(&first.id);
        gone.is_some_and(|session| !session.is_live())
    })
    .await?;
    ensure!(room.avatar_overlaps().is_empty(), "{}", room.story());
    let id = say(&room, "Here I am again.").await?;
    events_until(&mut live, |event| is_utterance(event, &id, "spoken")).await?;
    let mut heard = room.page_sounds_to("Here I am again.").await?;
    let heard = heard.pop().context("it was heard")?;
    ensure!(
        is_from(&heard, &second) && heard.text.as_deref() == Some("Here I am again."),
        "{heard:?}"
    );
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    ensure!(warnings(&meeting) == ["avatar_failed"], "{meeting}");
    ensure!(text(&meeting["avatar"]["state"]) == "stopped", "{meeting}");
    let sessions = room.until_no_session_is_left().await?;
    ensure!(sessions.len() == 2, "{}", room.story());
    let ends: Vec<_> = sessions
        .iter()
        .filter_map(|session| session.ended.map(|ended| ended.by))
        .collect();
    ensure!(ends == [death.by, Side::Client], "{ends:?}");
    kept_well(&sessions[1])
}

pub(crate) async fn when_the_avatars_socket_is_lost_the_face_says_the_rest(
    world: &World,
) -> Result<()> {
    let death = Death {
        cause: |room, id| room.simulator.avatar_fault(id, &AvatarFault::Abort),
        unnoticed: Duration::ZERO,
        repeated: Duration::ZERO,
        by: Side::Client,
    };
    dies_in_mid_sentence(world, death).await
}

pub(crate) async fn when_the_vendor_ends_the_session_the_face_says_the_rest(
    world: &World,
) -> Result<()> {
    let death = Death {
        cause: |room, id| {
            let end = AvatarFault::End(AvatarEnd::ServerError);
            room.simulator.avatar_fault(id, &end)
        },
        unnoticed: Duration::ZERO,
        repeated: Duration::ZERO,
        by: Side::Vendor,
    };
    dies_in_mid_sentence(world, death).await
}

pub(crate) async fn when_the_session_falls_silent_the_face_says_the_rest(
    world: &World,
) -> Result<()> {
    let death = Death {
        cause: |room, id| room.simulator.avatar_fault(id, &AvatarFault::SilentEnd),
        // Sound is sent once a second, and may stay unacknowledged for a second and a half.
        unnoticed: Duration::from_millis(2_500),
        // The last acknowledgement is the last sign of life.
        repeated: Duration::from_secs(1),
        by: Side::Vendor,
    };
    dies_in_mid_sentence(world, death).await
}

pub(crate) async fn when_the_avatars_room_is_gone_the_face_says_the_rest(
    world: &World,
) -> Result<()> {
    let death = Death {
        cause: |room, id| {
            room.simulator.room_fault(id, RoomFault::RoomDeleted);
            true
        },
        unnoticed: Duration::ZERO,
        repeated: Duration::ZERO,
        by: Side::Client,
    };
    dies_in_mid_sentence(world, death).await
}

pub(crate) async fn when_the_picture_stands_still_the_face_says_the_rest(
    world: &World,
) -> Result<()> {
    let death = Death {
        cause: |room, id| {
            room.simulator.room_fault(id, RoomFault::PictureFrozen);
            true
        },
        // The page waits so long for the next picture; the sound goes on meanwhile.
        unnoticed: Duration::from_secs(3),
        repeated: Duration::ZERO,
        by: Side::Client,
    };
    dies_in_mid_sentence(world, death).await
}
