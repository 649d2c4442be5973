//! Connections that are lost, refused, dead, muted or killed: what becomes of the sound, byte by byte.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use attache_simulator::{
    Event, Fault, ListeningDrop, ListeningNews, MeetingScript, Operation, Simulator,
    SimulatorConfig, SpokenLine,
};
use attache_tests::System;
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use subtp::srt::SubRip;
use subtp::vtt::WebVtt;

use crate::ears::{DANA, heard, listened, monologue, says, seconds};
use crate::world::{FAST, Room, SOON, World, listening_vendors, text, warnings};

/// How long the long meetings are.
const TEN_MINUTES: f64 = 600.0;

/// How long nobody can be heard, in meeting time: much longer than Deepgram waits for a sign of life.
const SILENCE: Duration = Duration::from_mins(4);

/// The sound that is kept for Deepgram, in seconds.
const KEPT: f64 = 30.0;

/// How long Deepgram wants to be left alone, in seconds.
const AWAY: u32 = 45;

/// How much later than it could a busy machine may do something, in seconds.
const LATE: f64 = 10.0;

/// What Deepgram has not made final yet, in seconds of sound.
const NOT_FINAL: f64 = 5.5;

/// Words are final a third of a second of meeting time after they were said, if nothing holds them up.
const KEEPS_UP: SignedDuration = SignedDuration::from_millis(500);

/// How soon after a restart a call is listened to again.
const LISTENS_AGAIN_WITHIN: Duration = Duration::from_secs(5);

/// Ten minutes of talk, in hundreds of lines of different lengths.
fn ten_minutes(simulator: &Simulator) -> Vec<Arc<SpokenLine>> {
    let mut left = TEN_MINUTES;
    let mut lines = Vec::new();
    while left > 0.0 {
        let number = lines.len() + 1;
        let words = match number % 3 {
            0 => format!("That settles point {number}."),
            1 => format!("Some more thought is needed for point {number}."),
            _ => format!("So far nobody has taken the time to look into point {number}."),
        };
        let line = simulator.line(DANA, &words);
        left -= seconds(line.pcm.len()) + 0.5;
        lines.push(line);
    }
    lines
}

fn speaks(lines: &[Arc<SpokenLine>]) -> MeetingScript {
    monologue(lines.iter().map(|line| line.text.as_str()))
}

/// Waits until the last line was said and the call is over, and holds that every word of it was told, at its time.
async fn all_is_told(room: &Room<'_>, lines: &[Arc<SpokenLine>]) -> Result<Vec<Value>> {
    let last = lines.last().context("there are lines")?;
    room.was_said(&last.text).await?;
    room.hang_up().await?;
    let segments = room.segments("&words=true").await?;
    let told = room.sound()?.is_told(lines, &segments);
    let warned = room.meeting().await?["warnings"].clone();
    told.with_context(|| format!("warned of {warned}\n{}", room.story()))?;
    Ok(segments)
}

/// Holds that each session got a stretch of what was sent, and all together got all of it.
fn nothing_is_missing(room: &Room<'_>) -> Result<()> {
    let sound = room.sound()?;
    let places = sound.places(&room.sessions())?;
    let holes = sound.holes(&places);
    ensure!(
        holes.is_empty(),
        "{holes:?} of {} were never sent; sessions got {places:?}\n{}",
        sound.bytes.len(),
        room.story()
    );
    Ok(())
}

/// Holds that more segments than one page takes read the same in every format, with and without their words.
async fn is_a_long_transcript(room: &Room<'_>, segments: &[Value]) -> Result<()> {
    ensure!(segments.len() > 100, "{} segments", segments.len());
    let ids: Vec<String> = segments.iter().map(|found| text(&found["id"])).collect();
    let numbered: Vec<String> = (1..=segments.len())
        .map(|number| format!("seg_{number}"))
        .collect();
    ensure!(ids == numbered, "{ids:?}");
    ensure!(
        segments
            .iter()
            .filter(|found| found["ends_utterance"] == true)
            .count()
            > 100
    );
    let plain = room.segments("").await?;
    for (plain, full) in plain.iter().zip(segments) {
        let mut bare = full.clone();
        let fields = bare.as_object_mut().context("a segment")?;
        fields.remove("words");
        fields.remove("ends_utterance");
        ensure!(*plain == bare, "{plain} {full}");
    }
    let read = async |format: &str| {
        let query = format!("format={format}&source=live");
        anyhow::Ok(room.api.transcript(&room.id, &query).await?.text)
    };
    let (lines, vtt, srt) = (read("text").await?, read("vtt").await?, read("srt").await?);
    ensure!(lines.lines().count() == segments.len());
    ensure!(
        WebVtt::parse(&vtt).is_ok_and(|vtt| vtt.blocks.len() == segments.len()),
        "{vtt}"
    );
    ensure!(
        SubRip::parse(&srt).is_ok_and(|srt| srt.subtitles.len() == segments.len()),
        "{srt}"
    );
    for segment in segments {
        let words = text(&segment["text"]);
        ensure!(
            [&lines, &vtt, &srt]
                .iter()
                .all(|written| written.contains(&words)),
            "{words}"
        );
    }
    Ok(())
}

pub(crate) async fn ten_minutes_and_five_lost_connections_cost_no_byte_and_double_no_word(
    world: &World,
) -> Result<()> {
    let system = world.fast().await?;
    let lines = ten_minutes(&system.simulator);
    let room = listened(system, speaks(&lines)).await?;
    let close = |reason: &str| ListeningDrop::Close {
        code: 1011,
        reason: reason.to_owned(),
    };
    let ways = [
        ListeningDrop::Abort,
        close("NET-0000"),
        close("https://dpgm.net/net0001"),
        ListeningDrop::code(1000),
        ListeningDrop::internal(),
    ];
    for (number, how) in ways.iter().enumerate() {
        let from = (number + 1) * lines.len() / 6;
        let next = until_deepgram_keeps_up(&room, &lines, from).await?;
        // Right behind words that are not final yet.
        room.was_said(&lines[next].text).await?;
        ensure!(
            room.simulator.drop_listening_for(&room.id, how) == 1,
            "{}",
            room.story()
        );
        room.simulator
            .wait_for_listening_session(&room.id, number + 2, SOON)
            .await?;
    }
    let segments = all_is_told(&room, &lines).await?;
    nothing_is_missing(&room)?;
    ensure!(seconds(room.sound()?.bytes.len()) > TEN_MINUTES);
    ensure!(room.sessions().len() == ways.len() + 1, "{}", room.story());
    room.last_session_was_closed()?;
    let meeting = room.meeting().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    is_a_long_transcript(&room, &segments).await
}

/// Waits for a line, from this one on, which Deepgram had heard soon after it was said, and answers what comes next.
///
/// Sound is kept for a bounded time, and in so fast a meeting a busy machine may be behind by more than that.
async fn until_deepgram_keeps_up(
    room: &Room<'_>,
    lines: &[Arc<SpokenLine>],
    from: usize,
) -> Result<usize> {
    for (number, line) in lines.iter().enumerate().skip(from) {
        let said = room.was_said(&line.text).await?;
        // The number of the point, which is in no other line.
        let last_word = line.text.split(' ').next_back();
        let is_final = |news: &ListeningNews| matches!(news, ListeningNews::Final { text, .. } if text.split(' ').next_back() == last_word);
        let heard = room.session_news(is_final).await?;
        if heard.duration_since(said) < KEEPS_UP {
            return Ok(number + 1);
        }
    }
    bail!("Deepgram was never soon enough\n{}", room.story())
}

pub(crate) async fn a_connection_that_is_dead_without_a_word_is_noticed_and_nothing_is_lost(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let words = [
        "It all began on a Monday.",
        "On Tuesday somebody asked whether anybody was listening at all.",
        "Nobody answered on Wednesday, which we took for a yes.",
        "Thursday went by without any news from the other side of the ocean.",
        "On Friday we sent everything again, and then once more to be sure.",
        "The weekend was quiet.",
    ];
    let lines = words.map(|words| system.simulator.line(DANA, words));
    let dead = [ListeningDrop::HalfOpen, ListeningDrop::Mute].map(async |how| {
        let room = listened(system, monologue(words)).await?;
        room.until_heard(words[0]).await?;
        ensure!(room.simulator.drop_listening_for(&room.id, &how) == 1);
        room.simulator
            .wait_for_listening_session(&room.id, 2, SOON * 2)
            .await?;
        room.was_said(words[words.len() - 1]).await?;
        room.until_all_is_sent(words[words.len() - 1]).await?;
        all_is_told(&room, &lines).await?;
        nothing_is_missing(&room)?;
        let meeting = room.meeting().await?;
        ensure!(
            warnings(&meeting).is_empty() && room.sessions().len() == 2,
            "{meeting}"
        );
        room.last_session_was_closed()
    });
    try_join_all(dead).await.map(drop)
}

pub(crate) async fn what_is_lost_while_deepgram_is_away_for_too_long_is_said_in_seconds(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let room = listened(system, MeetingScript::instant()).await?;
    let words = [
        "Until here everything is fine.",
        "This is said while nobody listens.",
        "And this is kept until somebody does.",
    ];
    let lines = words.map(|words| room.simulator.line(DANA, words));
    room.says(DANA, words[0]).await?;
    room.until_heard(words[0]).await?;
    let away = Fault::status_retry_after(503, AWAY);
    room.simulator.fault_for(&room.url, Operation::Listen, away);
    room.simulator
        .drop_listening_for(&room.id, &ListeningDrop::Abort);
    room.session_news(|news| matches!(news, ListeningNews::Refused { .. }))
        .await?;
    room.says(DANA, words[1]).await?;
    // Nobody does anything until the sound that is kept begins after that.
    tokio::time::sleep(Duration::from_secs(25)).await;
    room.says(DANA, words[2]).await?;
    room.simulator
        .wait_for_listening_session(&room.id, 2, SOON)
        .await?;
    room.until_all_is_sent(words[2]).await?;
    let told = room.hang_up().await?;
    ensure!(
        heard(&told) == format!("{} {}", words[0], words[2]),
        "{told:?}\n{}",
        room.story()
    );

    let sound = room.sound()?;
    let places = sound.places(&room.sessions())?;
    let holes = sound.holes(&places);
    ensure!(
        holes.len() == 1 && holes[0].end == places[1].start,
        "{holes:?} {places:?}"
    );
    let missing = seconds(holes[0].len());
    let meeting = room.meeting().await?;
    let lost = warnings(&meeting);
    ensure!(lost == ["audio_lost"], "{meeting}");
    let message = text(&meeting["warnings"][0]["message"]);
    let told = message.split(' ').next().unwrap_or_default();
    let told: f64 = told.parse().with_context(|| message.clone())?;
    // What was sent on the lost connection and never became final is lost as well.
    ensure!(
        missing - 0.1 <= told && told <= missing + NOT_FINAL,
        "{missing} s are missing: {message}"
    );
    // No more than that: all that may be kept was kept.
    let kept = sound.find(&lines[2], 0).context("the last line was sent")?;
    ensure!(
        places[1].start <= kept && missing < f64::from(AWAY) - KEPT + LATE,
        "{missing} s are missing, {places:?}, {kept}"
    );
    Ok(())
}

pub(crate) async fn a_deepgram_that_is_busy_or_down_is_asked_until_it_listens(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let busy: [&[Fault]; 4] = [
        &[Fault::status(429), Fault::status(500), Fault::status(503)],
        &[Fault::CloseWithoutAnswer, Fault::HtmlError],
        &[Fault::status_retry_after(429, 4)],
        &[Fault::TimeoutAfterAccept],
    ];
    let asked = busy.map(async |faults| {
        let room = Room::new(system);
        for fault in faults {
            system
                .simulator
                .fault_for(&room.url, Operation::Listen, fault.clone());
        }
        let words = ["Can you hear me already?", "Now you should."];
        let room = room.meet(monologue(words)).await?;
        room.was_said(words[0]).await?;
        room.until_within(SOON, |meeting| meeting["listening"]["state"] == "open")
            .await?;
        let lines = words.map(|words| room.simulator.line(DANA, words));
        all_is_told(&room, &lines).await?;
        nothing_is_missing(&room)?;
        let meeting = room.meeting().await?;
        ensure!(
            warnings(&meeting).is_empty() && room.sessions().len() == 1,
            "{faults:?} {meeting}"
        );
        let waits = waits(&room);
        ensure!(waits.len() == faults.len(), "{faults:?}: {waits:?}");
        if faults.iter().any(|fault| {
            matches!(
                fault,
                Fault::Status {
                    retry_after: Some(_),
                    ..
                }
            )
        }) {
            ensure!(waits[0] >= 4.0, "{waits:?}");
        }
        anyhow::Ok(())
    });
    try_join_all(asked).await.map(drop)
}

/// The seconds between one handshake and the next.
fn waits(room: &Room<'_>) -> Vec<f64> {
    let journal = room.simulator.journal();
    let asked = journal.iter().filter(|entry| {
        entry.what.request().is_some_and(|request| {
            request.operation == Some(Operation::Listen)
                && request.meeting_url.as_ref() == Some(&room.url)
        })
    });
    let times: Vec<Timestamp> = asked.map(|entry| entry.at).collect();
    let pairs = times.windows(2);
    pairs
        .map(|pair| pair[1].duration_since(pair[0]).as_secs_f64())
        .collect()
}

pub(crate) async fn a_call_in_which_nobody_can_be_heard_is_listened_to_all_the_same(
    world: &World,
) -> Result<()> {
    let system = world.fast().await?;
    let (mute, unmute) = (
        Event::Mutes(DANA.to_owned()),
        Event::Unmutes(DANA.to_owned()),
    );
    let (before, after) = ("I will be quiet for a while.", "Here I am again.");
    // So soon that no silence of the call itself ends the utterance.
    let muted = |script: MeetingScript| {
        script
            .then(Duration::ZERO, mute.clone())
            .then(SILENCE, unmute.clone())
            .then(Duration::from_secs(1), says(DANA, after))
    };
    let calls = [
        (muted(monologue([before])), vec![before, after], true),
        (muted(MeetingScript::instant()), vec![after], true),
        (
            monologue([before]).then(SILENCE / 2, says(DANA, after)),
            vec![before, after],
            false,
        ),
    ];
    let heard = calls.map(async |(script, words, muted)| {
        let room = listened(system, script).await?;
        if words[0] == before {
            room.until_heard(before).await?;
            ensure!(room.meeting().await?["status"] == "in_progress");
        }
        let lines: Vec<_> = words
            .iter()
            .map(|words| room.simulator.line(DANA, words))
            .collect();
        all_is_told(&room, &lines).await?;
        nothing_is_missing(&room)?;
        let sessions = room.sessions();
        ensure!(sessions.len() == 1, "{}", room.story());
        let meeting = room.meeting().await?;
        ensure!(warnings(&meeting).is_empty(), "{meeting}");
        let texts = sessions[0].texts.iter();
        let kept_alive = texts.filter(|message| message.text.contains("KeepAlive"));
        // One about every four seconds.
        let enough = SILENCE.as_secs_f64() / FAST / 5.0;
        let kept_alive = u32::try_from(kept_alive.count())?;
        ensure!(
            !muted || f64::from(kept_alive) >= enough,
            "{kept_alive} signs of life"
        );
        anyhow::Ok(())
    });
    try_join_all(heard).await.map(drop)
}

pub(crate) async fn killed_in_mid_call_it_listens_again_within_five_seconds(
    world: &World,
) -> Result<()> {
    // As slow as the real Recall in dialling again.
    let vendors = SimulatorConfig {
        realtime_retry_scale: 1.0,
        ..listening_vendors()
    };
    let System {
        simulator,
        mut runtime,
        api,
    } = world.start_listening(vendors).await?;
    let room = Room::at(&simulator, &api)
        .meet(MeetingScript::instant())
        .await?;
    room.until_listening("open").await?;
    let (mut lines, mut waits) = (vec![], vec![]);
    for (number, words) in [
        "This is said before the first crash.",
        "This is said between the crashes.",
        "And this after both of them.",
    ]
    .into_iter()
    .enumerate()
    {
        room.says(DANA, words).await?;
        lines.push(simulator.line(DANA, words));
        let before = room.until_heard(words).await?;
        if number == 2 {
            break;
        }
        runtime.kill();
        room.says(DANA, "Nobody can hear this.").await?;
        runtime.start_again().await?;
        let up = Instant::now();
        room.until_listening("open").await?;
        waits.push(up.elapsed());
        ensure!(room.segments("").await? == before);
        let meeting = room.meeting().await?;
        let missing = meeting["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|warning| warning["code"] == "audio_lost")
            .cloned()
            .unwrap_or_default();
        ensure!(text(&missing["message"]).contains("restart"), "{meeting}");
    }
    // A busy machine may spoil one of them.
    let best = waits.iter().min().context("there were crashes")?;
    ensure!(*best < LISTENS_AGAIN_WITHIN, "{waits:?}\n{}", room.story());
    room.hang_up().await?;
    let segments = room.segments("&words=true").await?;
    room.sound()?.is_told(&lines, &segments)?;
    let ids: BTreeSet<String> = segments.iter().map(|found| text(&found["id"])).collect();
    ensure!(ids.len() == segments.len(), "{segments:?}");
    // Speakers are numbered anew by each session, and must not be taken for each other.
    let speakers: BTreeSet<String> = segments
        .iter()
        .map(|found| text(&found["speaker"]["id"]))
        .collect();
    ensure!(speakers.len() == 3, "{speakers:?}");
    ensure!(
        runtime.leaked_secrets().is_empty(),
        "{:?}",
        runtime.leaked_secrets()
    );
    room.last_session_was_closed()
}
