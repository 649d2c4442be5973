//! The socket for a call's sound: who may open it, what may come on it, and what happens when it is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use attache_simulator::{
    AudioDelivery, AudioFault, AudioNews, AudioStyle, Delivery, Event, Junk, MeetingScript,
    SimulatorConfig,
};
use attache_tests::{AudioSocket, System, read, sign_upgrade};
use futures_util::future::try_join_all;
use reqwest::Method;
use tokio_tungstenite::tungstenite::Message;

use crate::ears::{DANA, heard, listened, monologue, seconds};
use crate::world::{Room, SOON, World, is_problem, text, warnings};

/// How long Recall's socket may be missing, with time for a busy machine.
const MEDIA_PATIENCE: Duration = Duration::from_secs(115);

/// What one frame holds, in bytes: 100 ms.
const FRAME: usize = 3_200;

/// A secret that is not Recall's.
const OTHER_SECRET: &str = "whsec_bm90IHRoZSBzZWNyZXQgb2YgUmVjYWxs";

/// A meeting whose bot waits at the door, so that Recall delivers no sound by itself.
async fn at_the_door(system: &System) -> Result<Room<'_>> {
    let script = MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::ZERO, Event::InWaitingRoom);
    let room = Room::new(system).meet(script).await?;
    room.until(|meeting| meeting["bot"]["code"] == "in_waiting_room")
        .await?;
    Ok(room)
}

fn secret() -> String {
    SimulatorConfig::default().webhook_secret
}

/// Sends a line from this second on, and the silence that ends it; answers the second after.
async fn send_line(
    socket: &mut AudioSocket,
    room: &Room<'_>,
    words: &str,
    from: f64,
) -> Result<f64> {
    let mut pcm = room.simulator.line(DANA, words).pcm.clone();
    pcm.resize(pcm.len().next_multiple_of(FRAME) + 10 * FRAME, 0);
    for (number, frame) in pcm.chunks(FRAME).enumerate() {
        socket
            .send_sound(from + seconds(number * FRAME), frame)
            .await?;
    }
    Ok(from + seconds(pcm.len()))
}

pub(crate) async fn only_recall_delivers_sound_and_only_to_a_meeting_that_wants_it(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let room = at_the_door(system).await?;
    let ask = async |id: &str, headers: &[(&'static str, String)]| {
        let mut request = AudioSocket::request(&room.api, id);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        read(request).await
    };
    let good = || sign_upgrade(&secret(), 0);
    let mut tampered = good()?;
    tampered[0].1.push('x');
    let unsigned: [Vec<(&str, String)>; 6] = [
        vec![],
        sign_upgrade(OTHER_SECRET, 0)?.to_vec(),
        sign_upgrade(&secret(), -6 * 60)?.to_vec(),
        sign_upgrade(&secret(), 6 * 60)?.to_vec(),
        tampered.to_vec(),
        good()?[..2].to_vec(),
    ];
    let nowhere = "mtg_00000000000000000000000000";
    for headers in &unsigned {
        // Who is not Recall learns nothing, not even which meetings there are.
        for id in [room.id.as_str(), nowhere, "nonsense"] {
            is_problem(&ask(id, headers).await?, 401, "invalid_signature")?;
        }
    }
    for id in [nowhere, "nonsense"] {
        is_problem(&ask(id, &good()?).await?, 404, "meeting_not_found")?;
    }
    let path = format!("/recall/media/{}/", room.id);
    is_problem(&room.api.get(&path).await?, 401, "invalid_signature")?;
    let mut plain = room.api.request(Method::GET, &path);
    for (name, value) in good()? {
        plain = plain.header(name, value);
    }
    is_problem(&read(plain).await?, 426, "upgrade_required")?;
    let meeting = room.api.delete_meeting(&room.id).await?.expect(202)?;
    ensure!(meeting["listening"]["state"] == "off", "{meeting}");
    is_problem(&ask(&room.id, &good()?).await?, 409, "not_listening")?;
    ensure!(room.sessions().is_empty());

    // Without a key for Deepgram nobody would listen.
    let keyless = at_the_door(world.system().await?).await?;
    let mut request = AudioSocket::request(&keyless.api, &keyless.id);
    for (name, value) in good()? {
        request = request.header(name, value);
    }
    is_problem(&read(request).await?, 409, "listening_off")
}

pub(crate) async fn a_second_dial_takes_the_place_of_the_first(world: &World) -> Result<()> {
    let room = at_the_door(world.listening().await?).await?;
    let mut first = AudioSocket::dial(&room.api, &room.id, &secret()).await?;
    room.until_listening("open").await?;
    let then = send_line(&mut first, &room, "This comes over the first socket.", 5.0).await?;
    room.until_heard("This comes over the first socket.")
        .await?;

    let mut second = AudioSocket::dial(&room.api, &room.id, &secret()).await?;
    // It may be on its way to be closed, or closed.
    send_line(
        &mut first,
        &room,
        "Nobody listens to this one any more.",
        then,
    )
    .await
    .ok();
    first.until_closed(SOON).await?;
    send_line(&mut second, &room, "And this over the second.", then).await?;
    room.until_heard("And this over the second.").await?;
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    drop(second);
    room.until_listening("off").await?;
    let segments = room.segments("").await?;
    ensure!(
        heard(&segments) == "This comes over the first socket. And this over the second.",
        "{segments:?}"
    );
    let sessions = room.sessions();
    let sent: Vec<u8> = [
        "This comes over the first socket.",
        "And this over the second.",
    ]
    .iter()
    .flat_map(|words| {
        let mut pcm = room.simulator.line(DANA, words).pcm.clone();
        pcm.resize(pcm.len().next_multiple_of(FRAME) + 10 * FRAME, 0);
        pcm
    })
    .collect();
    ensure!(
        sessions.len() == 1 && *sessions[0].audio == sent,
        "{} bytes of {}",
        sessions[0].audio.len(),
        sent.len()
    );
    room.no_complaints()
}

pub(crate) async fn recall_may_dial_again_while_it_still_delivers(world: &World) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    room.says(DANA, "Is this the first connection?").await?;
    room.until_heard("Is this the first connection?").await?;
    room.simulator
        .audio_fault(&room.url, &AudioFault::DialAgain)?;
    room.audio_news(1, |news| *news == AudioNews::Opened)
        .await?;
    room.says(DANA, "Then this is the second.").await?;
    let told = room.hang_up().await?;
    ensure!(
        heard(&told) == "Is this the first connection? Then this is the second.",
        "{told:?}\n{}",
        room.story()
    );
    ensure!(room.sessions().len() == 1 && room.simulator.audio_connections(&room.url).len() == 2);
    ensure!(warnings(&room.meeting().await?).is_empty());
    Ok(())
}

pub(crate) async fn what_is_no_sound_or_comes_twice_changes_nothing(world: &World) -> Result<()> {
    let words = [
        "Some frames come twice.",
        "Some are no sound at all.",
        "And some are of a strange size.",
    ];
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    let faults = [
        AudioFault::Repeat,
        AudioFault::Junk(Junk::NotJson),
        AudioFault::Repeat,
        AudioFault::Junk(Junk::BadBase64),
        AudioFault::Sizes(vec![1, 639, 2001, 33, 6400]),
        AudioFault::Junk(Junk::EmptyBuffer),
        AudioFault::Junk(Junk::UnknownEvent),
        AudioFault::Repeat,
        AudioFault::Junk(Junk::Binary),
    ];
    for words in words {
        for fault in &faults {
            room.simulator.audio_fault(&room.url, fault)?;
        }
        room.says(DANA, words).await?;
    }
    let told = room.hang_up().await?;
    ensure!(heard(&told) == words.join(" "), "{told:?}");
    let sessions = room.sessions();
    let sound = room.sound()?;
    ensure!(
        sessions.len() == 1 && *sessions[0].audio == sound.bytes,
        "{} bytes instead of {}\n{}",
        sessions[0].audio.len(),
        sound.bytes.len(),
        room.story()
    );
    let ignored = room.timeline().await?;
    let ignored: BTreeSet<String> = ignored
        .iter()
        .filter(|entry| entry["name"] == "media_frame_ignored")
        .map(|entry| text(&entry["data"]["kind"]))
        .collect();
    ensure!(
        ignored.len() == 4
            && ignored.contains("audio_mixed_raw.peaks")
            && ignored.contains("a binary frame"),
        "{ignored:?}"
    );
    ensure!(warnings(&room.meeting().await?).is_empty());
    Ok(())
}

pub(crate) async fn however_frames_are_written_their_sound_arrives(world: &World) -> Result<()> {
    let system = world.listening().await?;
    let plain = AudioStyle::default();
    let styles = [
        AudioStyle {
            spaced: true,
            ..plain
        },
        AudioStyle {
            legacy_key: true,
            extra_fields: true,
            ..plain
        },
        AudioStyle {
            reversed: true,
            extra_fields: true,
            spaced: true,
            ..plain
        },
    ];
    let written = styles.map(async |style| {
        let audio = AudioDelivery {
            style,
            ..AudioDelivery::default()
        };
        let script = monologue(["However this is written, it is heard."]).with_delivery(Delivery {
            audio,
            ..Delivery::default()
        });
        let room = listened(system, script).await?;
        room.was_said("However this is written, it is heard.")
            .await?;
        let told = room.hang_up().await?;
        ensure!(
            heard(&told) == "However this is written, it is heard.",
            "{style:?}: {told:?}"
        );
        let (sound, sessions) = (room.sound()?, room.sessions());
        ensure!(
            sessions.len() == 1 && *sessions[0].audio == sound.bytes,
            "{style:?}"
        );
        anyhow::Ok(())
    });
    try_join_all(written).await.map(drop)
}

pub(crate) async fn a_lost_socket_is_dialled_again_and_times_stay_on_one_clock(
    world: &World,
) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    let words = [
        "Before anything is lost.",
        "After a second without frames.",
        "After the connection broke.",
        "While it was held up for a while.",
    ];
    let (gap, stall) = (Duration::from_secs(1), Duration::from_secs(2));
    room.says(DANA, words[0]).await?;
    room.until_heard(words[0]).await?;
    room.simulator
        .audio_fault(&room.url, &AudioFault::Gap(10))?;
    // Nothing tells of frames that are not sent.
    tokio::time::sleep(gap + gap / 2).await;
    room.says(DANA, words[1]).await?;
    room.until_heard(words[1]).await?;
    room.simulator.audio_fault(&room.url, &AudioFault::Abort)?;
    room.audio_news(1, |news| *news == AudioNews::Opened)
        .await?;
    room.says(DANA, words[2]).await?;
    room.simulator
        .audio_fault(&room.url, &AudioFault::Stall(stall))?;
    room.says(DANA, words[3]).await?;
    room.hang_up().await?;
    let lines = words.map(|words| room.simulator.line(DANA, words));
    room.sound()?
        .is_told(&lines, &room.segments("&words=true").await?)?;
    ensure!(room.sessions().len() == 1, "{}", room.story());
    let timeline = room.timeline().await?;
    let noted: Vec<&str> = timeline
        .iter()
        .filter_map(|entry| entry["name"].as_str()?.strip_prefix("media_"))
        .collect();
    ensure!(
        noted == ["connected", "disconnected", "connected", "disconnected"],
        "{noted:?}"
    );
    ensure!(warnings(&room.meeting().await?).is_empty());
    Ok(())
}

pub(crate) async fn a_socket_that_is_gone_for_good_is_missed_aloud(world: &World) -> Result<()> {
    let room = at_the_door(world.listening().await?).await?;
    let mut socket = AudioSocket::dial(&room.api, &room.id, &secret()).await?;
    room.until_listening("open").await?;
    send_line(&mut socket, &room, "This is the last you hear of me.", 0.0).await?;
    room.until_heard("This is the last you hear of me.").await?;
    socket.send(Message::Close(None)).await?;
    let meeting = room
        .until_within(MEDIA_PATIENCE, |meeting| {
            meeting["listening"]["state"] == "failed"
        })
        .await?;
    ensure!(
        warnings(&meeting) == ["listening_failed"] && meeting["status"] == "bot_joining",
        "{meeting}"
    );
    // It is welcome all the same.
    let mut again = AudioSocket::dial(&room.api, &room.id, &secret()).await?;
    room.until_listening("open").await?;
    send_line(&mut again, &room, "Or so I thought.", 200.0).await?;
    room.until_heard("This is the last you hear of me. Or so I thought.")
        .await?;
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    drop(again);
    room.until_listening("off").await?;
    room.no_complaints()
}
