//! What is heard of a call: live while it is said, to the last word, told once, and whatever the vendors add to it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AudioClose, AudioDelivery, Delivery, Event, Fault, ListeningDrop, ListeningNews, MeetingScript,
    Operation,
};
use futures_util::future::{try_join, try_join_all};
use serde_json::Value;

use crate::ears::{DANA, PAT, heard, joins, listened, monologue, says, watch};
use crate::world::{Room, SOON, World, text, warnings};

/// What the delegate asks Deepgram for, besides its names and the meeting's.
const ASKED_FOR: [(&str, &str); 11] = [
    ("model", "nova-3"),
    ("language", "en-US"),
    ("encoding", "linear16"),
    ("sample_rate", "16000"),
    ("channels", "1"),
    ("smart_format", "true"),
    ("interim_results", "true"),
    ("endpointing", "300"),
    ("utterance_end_ms", "1000"),
    ("vad_events", "true"),
    ("diarize_model", "latest"),
];

/// What a segment tells to those who do not ask for more.
const SEGMENT: [&str; 6] = ["id", "speaker", "start", "end", "text", "confidence"];

pub(crate) async fn what_is_said_is_live_while_it_is_said_and_kept(world: &World) -> Result<()> {
    let script = MeetingScript::instant().then(Duration::ZERO, joins(PAT));
    let room = listened(world.listening().await?, script).await?;
    let mut live = room.api.live(&room.id).await?;
    let lines = [
        (
            DANA,
            "Shall we begin with the launch date and who takes care of the press?",
        ),
        (PAT, "The launch is on Tuesday."),
    ];
    let mut events = Vec::new();
    for (name, words) in lines {
        room.happens(says(name, words))?;
        let told = watch(&mut live, words)
            .await
            .with_context(|| room.story())?;
        let mut kinds = told.iter().map(|event| text(&event["type"]));
        for kind in [
            "speech.started",
            "transcript.partial",
            "transcript.final",
            "utterance.end",
        ] {
            ensure!(
                kinds.any(|told| told == kind),
                "no {kind}, or too soon: {told:?}"
            );
        }
        events.extend(told);
    }
    for event in &events {
        ensure!(
            event["at"].is_string() && event["meeting_id"] == room.id,
            "{event}"
        );
    }
    let of_type = |kind: &str| {
        events
            .iter()
            .filter(move |event| event["type"] == kind)
            .collect::<Vec<_>>()
    };
    let partial = text(&of_type("transcript.partial")[0]["segment"]["text"]);
    ensure!(
        !partial.is_empty() && lines[0].1.starts_with(&partial),
        "{partial}"
    );
    let finals: Vec<Value> = of_type("transcript.final")
        .iter()
        .map(|event| event["segment"].clone())
        .collect();
    ensure!(
        heard(&finals) == format!("{} {}", lines[0].1, lines[1].1),
        "{finals:?}"
    );
    let speakers: BTreeSet<String> = finals
        .iter()
        .map(|found| text(&found["speaker"]["id"]))
        .collect();
    ensure!(
        speakers.len() == 2
            && finals
                .iter()
                .all(|found| found["speaker"]["name"].is_null()),
        "{finals:?}"
    );
    let ends: Vec<f64> = of_type("utterance.end")
        .iter()
        .filter_map(|event| event["end"].as_f64())
        .collect();
    let last = finals
        .last()
        .and_then(|found| found["end"].as_f64())
        .context("an end")?;
    let told = ends.last().context("an end of an utterance")?;
    ensure!((told - last).abs() < 0.01, "{ends:?}, {last}");
    let starts: Vec<f64> = of_type("speech.started")
        .iter()
        .filter_map(|event| event["start"].as_f64())
        .collect();
    let first = finals[0]["start"].as_f64().context("a start")?;
    ensure!((starts[0] - first).abs() < 0.5, "{starts:?}, {first}");

    let told = room.hang_up().await?;
    ensure!(told == finals, "{told:?}");
    for segment in &told {
        let keys: BTreeSet<&str> = segment
            .as_object()
            .context("a segment")?
            .keys()
            .map(String::as_str)
            .collect();
        ensure!(keys == BTreeSet::from(SEGMENT), "{segment}");
    }
    let script = lines.map(|(name, words)| room.simulator.line(name, words));
    room.sound()?
        .is_told(&script, &room.segments("&words=true").await?)?;
    room.last_session_was_closed()
}

pub(crate) async fn deepgram_is_asked_for_what_the_meeting_needs(world: &World) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    let sessions = room.sessions();
    ensure!(sessions.len() == 1, "{}", room.story());
    for (name, value) in ASKED_FOR {
        ensure!(
            sessions[0].parameter(name) == Some(value),
            "{name}: {:?}",
            sessions[0].parameters
        );
    }
    let keyterms: Vec<&str> = sessions[0]
        .parameters
        .iter()
        .filter(|(name, _)| name == "keyterm")
        .map(|(_, term)| term.as_str())
        .collect();
    ensure!(keyterms == [room.agent.as_str(), "Acme"], "{keyterms:?}");
    ensure!(
        sessions[0]
            .user_agent
            .as_deref()
            .is_some_and(|agent| agent.starts_with("attache/"))
    );
    room.hang_up().await.map(drop)
}

pub(crate) async fn the_states_of_listening_are_told_as_they_come(world: &World) -> Result<()> {
    let system = world.listening().await?;
    let mut room = Room::new(system);
    let script = MeetingScript::empty()
        .then(Duration::ZERO, Event::JoiningCall)
        .then(Duration::ZERO, Event::InWaitingRoom);
    room = room.meet(script).await?;
    room.until(|meeting| meeting["bot"]["code"] == "in_waiting_room")
        .await?;
    let mut live = room.api.live(&room.id).await?;
    system
        .simulator
        .fault_n_for(&room.url, Operation::Listen, Fault::status(503), 1);
    for event in [
        Event::InCallNotRecording,
        Event::InCallRecording,
        joins(DANA),
    ] {
        room.happens(event)?;
    }
    room.until_listening("open").await?;
    system
        .simulator
        .drop_listening_for(&room.id, &ListeningDrop::Abort);
    room.until_listening("reconnecting").await?;
    room.until_listening("open").await?;
    room.hang_up().await?;
    let mut states: Vec<String> = Vec::new();
    while states.last().map(String::as_str) != Some("off") || states.len() == 1 {
        let event = live
            .next_event(SOON)
            .await
            .with_context(|| format!("{states:?}"))?;
        if event["type"] == "meeting" {
            states.push(text(&event["meeting"]["listening"]["state"]));
            states.dedup();
        }
    }
    let course = [
        "off",
        "connecting",
        "reconnecting",
        "open",
        "reconnecting",
        "open",
        "off",
    ];
    ensure!(states == course, "{states:?}");
    Ok(())
}

pub(crate) async fn the_last_words_are_heard_however_the_call_ends(world: &World) -> Result<()> {
    let system = world.listening().await?;
    let later = |close| {
        MeetingScript::instant().with_delivery(Delivery {
            audio: AudioDelivery {
                close,
                ..AudioDelivery::default()
            },
            ..Delivery::default()
        })
    };
    let ways = [
        AudioClose::BeforeCallEnded,
        AudioClose::After(Duration::from_millis(300)),
        // Longer than the Worker waits for the socket to close.
        AudioClose::After(Duration::from_secs(8)),
    ];
    let ended = ways.map(async |close| {
        let room = listened(system, later(close)).await?;
        room.says(DANA, "That was all for today, thank you.")
            .await?;
        room.happens(Event::CallEnded("call_ended_by_host".to_owned()))?;
        let told = room.until_heard_out().await?;
        ensure!(
            heard(&told) == "That was all for today, thank you.",
            "{close:?}: {told:?}\n{}",
            room.story()
        );
        room.last_session_was_closed()?;
        let sound = room.sound()?;
        ensure!(sound.holes(&sound.places(&room.sessions())?).is_empty());
        anyhow::Ok(())
    });
    try_join_all(ended).await.map(drop)
}

pub(crate) async fn what_is_said_until_the_delegate_is_sent_away_is_heard(
    world: &World,
) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    room.says(DANA, "Before you go.").await?;
    let long = "I would like to add one more thing. ".repeat(10);
    let long = long.trim_end();
    room.happens(says(DANA, long))?;
    let mut live = room.api.live(&room.id).await?;
    loop {
        let event = live.next_event(SOON).await?;
        let heard = text(&event["segment"]["text"]);
        if heard.split(' ').count() > 3 {
            break;
        }
    }
    room.api.delete_meeting(&room.id).await?.expect(202)?;
    let told = heard(&room.until_heard_out().await?);
    let rest = told
        .strip_prefix("Before you go. ")
        .with_context(|| told.clone())?;
    // The word that was cut off is some sound, not a word; two of them if most of a long one was said.
    let words: Vec<&str> = rest.split(' ').filter(|word| *word != "(speech)").collect();
    let rest = words.join(" ");
    ensure!(
        long.starts_with(&rest) && rest.len() < long.len() && rest.contains(' '),
        "{told}"
    );
    let sound = room.sound()?;
    ensure!(sound.holes(&sound.places(&room.sessions())?).is_empty());
    room.last_session_was_closed()
}

pub(crate) async fn what_deepgram_adds_some_day_changes_nothing(world: &World) -> Result<()> {
    let lines = [
        "Let us see what is new.",
        "Nothing that would concern us, it seems.",
        "Then we are done here.",
    ];
    let meet = async |system| {
        let room = listened(system, monologue(lines)).await?;
        room.was_said(lines[2]).await?;
        room.hang_up().await?;
        anyhow::Ok(room)
    };
    let (plain, newer) =
        try_join(meet(world.listening().await?), meet(world.fast().await?)).await?;
    // Where segments begin and end depends on when the sound came, too.
    let told = async |room: &Room<'_>| {
        let segments = room.segments("&words=true").await?;
        let words = segments.iter().flat_map(|segment| {
            let words = segment["words"].as_array().into_iter().flatten();
            words.map(|word| {
                let (text, sure) = (word["text"].clone(), word["confidence"].clone());
                (segment["speaker"].clone(), text, sure)
            })
        });
        anyhow::Ok((heard(&segments), words.collect::<Vec<_>>()))
    };
    let (plainly, newly) = (told(&plain).await?, told(&newer).await?);
    ensure!(plainly == newly, "{plainly:?} {newly:?}");
    ensure!(warnings(&newer.meeting().await?).is_empty());
    let unknown = async |room: &Room<'_>| {
        let timeline = room.timeline().await?;
        let kinds = timeline
            .iter()
            .filter(|entry| entry["name"] == "unknown_message");
        anyhow::Ok(
            kinds
                .map(|entry| text(&entry["data"]["type"]))
                .collect::<Vec<_>>(),
        )
    };
    ensure!(unknown(&plain).await?.is_empty());
    let kinds = unknown(&newer).await?;
    let distinct: BTreeSet<&String> = kinds.iter().collect();
    ensure!(
        kinds.iter().any(|kind| kind == "AmbienceReport") && distinct.len() == kinds.len(),
        "{kinds:?}"
    );
    Ok(())
}

pub(crate) async fn words_are_told_once_although_recall_transcribes_too(
    world: &World,
) -> Result<()> {
    let room = listened(
        world.listening().await?,
        monologue(["One of two listeners is enough.", "Is it not?"]),
    )
    .await?;
    let mut live = room.api.live(&room.id).await?;
    room.was_said("Is it not?").await?;
    room.until_heard("Is it not?").await?;
    let own = |what: &attache_simulator::What| {
        what.webhook().is_some_and(|sent| {
            sent.event == "transcript.data"
                && sent.status == Some(200)
                && room.bots()[0].id == sent.bot_id.clone().unwrap_or_default()
        })
    };
    room.simulator
        .wait_for(|entry| own(&entry.what), SOON)
        .await?;
    let told = room.hang_up().await?;
    ensure!(
        heard(&told) == "One of two listeners is enough. Is it not?",
        "{told:?}"
    );
    let mut finals = Vec::new();
    loop {
        let event = live.next_event(SOON).await?;
        match event["type"].as_str() {
            Some("transcript.final") => finals.push(event["segment"].clone()),
            Some("meeting") if event["meeting"]["listening"]["state"] == "off" => break,
            _ => {}
        }
    }
    ensure!(finals == told, "{finals:?}");
    Ok(())
}

pub(crate) async fn a_refusing_deepgram_is_asked_once_and_recall_is_heard_instead(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let refused = [400, 401, 402, 403].map(async |status| {
        let room = Room::new(system);
        system
            .simulator
            .fault_n_for(&room.url, Operation::Listen, Fault::status(status), 10);
        let room = room.meet(MeetingScript::instant()).await?;
        let meeting = room.until_listening("failed").await?;
        let told = meeting["warnings"].as_array().context("warnings")?;
        let message = text(&told[0]["message"]);
        ensure!(
            told.len() == 1
                && told[0]["code"] == "listening_failed"
                && message.contains(&status.to_string()),
            "{told:?}"
        );
        // Recall's own transcript needs no ears.
        room.says(DANA, "Somebody listens all the same.").await?;
        room.until_heard("Somebody listens all the same.").await?;
        let told = room.hang_up().await?;
        ensure!(
            heard(&told) == "Somebody listens all the same." && told[0]["speaker"]["name"] == DANA,
            "{told:?}"
        );
        ensure!(
            room.requests(Operation::Listen).len() == 1 && room.sessions().is_empty(),
            "{}",
            room.story()
        );
        anyhow::Ok(())
    });
    try_join_all(refused).await.map(drop)
}

pub(crate) async fn recall_is_heard_from_the_moment_deepgram_gives_up(world: &World) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    room.says(DANA, "This is for Deepgram.").await?;
    room.until_heard("This is for Deepgram.").await?;
    room.simulator
        .drop_listening_for(&room.id, &ListeningDrop::undecodable());
    let meeting = room.until_listening("failed").await?;
    ensure!(warnings(&meeting) == ["listening_failed"], "{meeting}");
    room.says(DANA, "And this is for Recall.").await?;
    room.until_heard("And this is for Recall.").await?;
    let told = room.hang_up().await?;
    ensure!(
        heard(&told) == "This is for Deepgram. And this is for Recall.",
        "{told:?}"
    );
    let times: Vec<(f64, f64)> = told
        .iter()
        .filter_map(|found| Some((found["start"].as_f64()?, found["end"].as_f64()?)))
        .collect();
    ensure!(
        times.len() == 2 && times[0].1 < times[1].0 && times[1].0 < times[1].1,
        "{times:?}"
    );
    ensure!(room.sessions().len() == 1);
    Ok(())
}

pub(crate) async fn the_final_transcript_takes_the_place_of_the_live_one_which_stays(
    world: &World,
) -> Result<()> {
    let room = listened(world.listening().await?, monologue(["Is this for good?"])).await?;
    room.until_heard("Is this for good?").await?;
    let read = async |query: &str| room.api.transcript(&room.id, query).await?.expect(200);
    ensure!(read("").await?["source"] == "live");
    room.hang_up().await?;
    room.until_settled().await?;
    let last = read("").await?;
    ensure!(
        last["source"] == "final" && last["segments"][0]["speaker"]["name"] == DANA,
        "{last}"
    );
    let live = read("source=live").await?;
    ensure!(
        live["source"] == "live" && live["segments"][0]["speaker"]["name"].is_null(),
        "{live}"
    );
    ensure!(
        heard(&room.segments("").await?) == heard(last["segments"].as_array().context("segments")?),
        "{live} {last}"
    );
    Ok(())
}

pub(crate) async fn a_session_that_is_asked_to_end_says_its_last_words_first(
    world: &World,
) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    room.says(DANA, "One last thing.").await?;
    room.happens(Event::CallEnded("call_ended_by_host".to_owned()))?;
    room.session_news(|news| matches!(news, ListeningNews::Closed { code: 1000, .. }))
        .await?;
    let told = room.until_heard_out().await?;
    ensure!(heard(&told) == "One last thing.", "{told:?}");
    let sent = room.sessions()[0].texts.clone();
    ensure!(
        sent.iter()
            .filter(|message| message.text.contains("CloseStream"))
            .count()
            == 1,
        "{sent:?}"
    );
    Ok(())
}
