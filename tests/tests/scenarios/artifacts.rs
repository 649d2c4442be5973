//! What is kept of a call: the transcript in four formats, and the way to the recording.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    ArtifactKind, Code, Delivery, Event, Fault, MeetingScript, Operation, Person, Step,
    instant_ending,
};
use serde_json::Value;
use subtp::srt::SubRip;
use subtp::vtt::{VttBlock, WebVtt};

use crate::world::{Room, SOON, World, is_problem, text, warnings};

/// Who says what in the call; some of it looks like markup.
const SAID: [(&str, &str); 3] = [
    ("Dana Whitfield", "Welcome. Is 5 < 7 & 8 > 2?"),
    ("Pat & <Moreno>", "Sí, “naturally” --> yes."),
    ("Dana Whitfield", "Then we are done."),
];

/// Two people talk; the call goes on until it is ended.
fn conversation() -> MeetingScript {
    let pat = Person {
        name: SAID[1].0.to_owned(),
        is_host: false,
    };
    let script = MeetingScript::instant().then(Duration::ZERO, Event::Joins(pat));
    SAID.iter().fold(script, |script, (name, text)| {
        script.then(
            Duration::from_millis(100),
            Event::Says {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
            },
        )
    })
}

/// The conversation was had, and the call still goes on.
async fn talked(world: &World) -> Result<Room<'_>> {
    let room = world.greeted(conversation()).await?;
    room.until(|meeting| meeting["listening"]["segments"] == SAID.len())
        .await?;
    Ok(room)
}

/// Holds that the segments are what was said, in order, by whom it was said.
fn is_what_was_said(transcript: &Value, source: &str) -> Result<()> {
    ensure!(transcript["source"] == source, "{transcript}");
    let segments = transcript["segments"].as_array().context("segments")?;
    let heard: Vec<(String, String)> = segments
        .iter()
        .map(|segment| (text(&segment["speaker"]["name"]), text(&segment["text"])))
        .collect();
    let said = SAID.map(|(name, words)| (name.to_owned(), words.to_owned()));
    ensure!(heard == said, "{heard:?}");
    let mut clock = 0.0;
    for segment in segments {
        let times = (segment["start"].as_f64(), segment["end"].as_f64());
        let (Some(start), Some(end)) = times else {
            anyhow::bail!("a segment without times: {segment}");
        };
        ensure!(clock <= start && start < end, "{transcript}");
        ensure!(text(&segment["id"]).starts_with("seg_") && segment["speaker"]["id"].is_string());
        clock = start;
    }
    Ok(())
}

pub(crate) async fn the_transcript_is_live_in_the_call_and_final_after_it(
    world: &World,
) -> Result<()> {
    let room = talked(world).await?;
    let read = async |query: &str| room.api.transcript(&room.id, query).await?.expect(200);
    is_what_was_said(&read("").await?, "live")?;
    let none_yet = read("source=final").await?;
    ensure!(none_yet["source"] == "final" && none_yet["segments"] == Value::Array(vec![]));
    ensure!(room.meeting().await?["transcript"]["state"] == "live");

    room.host_ends().await?;
    room.until_settled().await?;
    is_what_was_said(&read("").await?, "final")?;
    is_what_was_said(&read("source=live").await?, "live")?;
    let first = read("limit=2").await?;
    let cursor = text(&first["next_cursor"]);
    let second = read(&format!("limit=2&cursor={cursor}")).await?;
    let count = |page: &Value| page["segments"].as_array().map_or(0, Vec::len);
    ensure!((count(&first), count(&second)) == (2, 1) && second["next_cursor"].is_null());
    Ok(())
}

pub(crate) async fn the_transcript_reads_as_text_and_as_captions(world: &World) -> Result<()> {
    let room = talked(world).await?;
    room.host_ends().await?;
    room.until_settled().await?;
    for source in ["live", "final"] {
        let read = async |format: &str, content_type: &str| {
            let query = format!("format={format}&source={source}");
            let answer = room.api.transcript(&room.id, &query).await?;
            let given = answer.header("content-type").unwrap_or_default();
            ensure!(
                answer.status == 200 && given.starts_with(content_type),
                "{given}"
            );
            anyhow::Ok(answer.text)
        };
        let lines = read("text", "text/plain").await?;
        for (name, words) in SAID {
            ensure!(lines.contains(name) && lines.contains(words), "{lines}");
        }
        is_vtt(&read("vtt", "text/vtt").await?)?;
        is_srt(&read("srt", "application/x-subrip").await?)?;
    }
    Ok(())
}

fn is_vtt(vtt: &str) -> Result<()> {
    let parsed = WebVtt::parse(vtt)
        .ok()
        .with_context(|| format!("no WebVTT: {vtt}"))?;
    ensure!(parsed.blocks.len() == SAID.len(), "{vtt}");
    for (block, (_, words)) in parsed.blocks.into_iter().zip(SAID) {
        let VttBlock::Que(cue) = block else {
            anyhow::bail!("no cue: {block:?}");
        };
        let (start, end): (Duration, Duration) = (cue.timings.start.into(), cue.timings.end.into());
        let payload = cue.payload.join("\n");
        ensure!(start < end && payload.starts_with("<v "), "{payload}");
        let spoken = payload.split_once('>').map_or("", |(_, spoken)| spoken);
        let plain = spoken
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        ensure!(plain == words && !spoken.contains("-->"), "{payload}");
    }
    ensure!(vtt.contains("<v Dana Whitfield>"), "{vtt}");
    Ok(())
}

fn is_srt(srt: &str) -> Result<()> {
    let parsed = SubRip::parse(srt)
        .ok()
        .with_context(|| format!("no SubRip: {srt}"))?;
    ensure!(parsed.subtitles.len() == SAID.len(), "{srt}");
    for (index, cue) in parsed.subtitles.into_iter().enumerate() {
        let (start, end): (Duration, Duration) = (cue.start.into(), cue.end.into());
        ensure!(start < end && cue.sequence as usize == index + 1, "{srt}");
        let line = cue.text.join("\n");
        let (speaker, spoken) = line.split_once(": ").context("a cue without a speaker")?;
        ensure!(
            !speaker.is_empty() && !spoken.is_empty() && !line.contains('<'),
            "{line}"
        );
    }
    ensure!(srt.contains("Dana Whitfield: Then we are done."), "{srt}");
    Ok(())
}

pub(crate) async fn the_recording_is_found_at_a_fresh_url_each_time(world: &World) -> Result<()> {
    let room = world.greeted(MeetingScript::instant()).await?;
    let early = room.api.recording(&room.id).await?;
    is_problem(&early, 404, "recording_not_ready")?;
    room.host_ends().await?;
    room.until_settled().await?;

    let mut urls = Vec::new();
    for _ in 0..2 {
        let found = room.api.recording(&room.id).await?.expect(200)?;
        ensure!(found["expires_in_s"].as_u64() >= Some(60 * 60), "{found}");
        urls.push(text(&found["url"]));
        let redirect = room.api.recording_redirect(&room.id).await?;
        ensure!(redirect.status == 302, "{}", redirect.status);
        urls.push(redirect.header("location").unwrap_or_default().to_owned());
    }
    for url in &urls {
        ensure!(
            urls.iter().filter(|other| *other == url).count() == 1,
            "a URL was given twice"
        );
        let video = reqwest::get(url).await?.error_for_status()?;
        ensure!(!video.bytes().await?.is_empty());
    }
    Ok(())
}

/// An ending in which one artifact fails instead of being done.
fn ending_without(lost: ArtifactKind) -> Vec<Step> {
    let mut ending = instant_ending();
    for step in &mut ending {
        if step.event == Event::Artifact(lost, Code::Done) {
            step.event = Event::Artifact(lost, Code::Failed(Some("a_vendors_reason".to_owned())));
        }
    }
    ending
}

pub(crate) async fn an_artifact_that_the_vendor_could_not_make_is_missed_aloud(
    world: &World,
) -> Result<()> {
    for (lost, which, other) in [
        (ArtifactKind::Transcript, "transcript", "recording"),
        (ArtifactKind::VideoMixed, "recording", "transcript"),
    ] {
        let script = MeetingScript::instant().with_ending(ending_without(lost));
        let room = world.greeted(script).await?;
        room.host_ends().await?;
        let meeting = room.until_settled().await?;
        ensure!(
            meeting[which]["state"] == "failed" && meeting[other]["state"] == "ready",
            "{meeting}"
        );
        ensure!(warnings(&meeting) == ["artifact_missing"], "{meeting}");
        let told = text(&meeting["warnings"][0]["message"]);
        ensure!(
            told.contains(which) && told.contains("a_vendors_reason"),
            "{told}"
        );
        ensure!(meeting["status"] == "ended" && meeting["ended"]["by"] == "host");
    }
    Ok(())
}

pub(crate) async fn artifacts_whose_webhooks_are_lost_are_found_by_asking(
    world: &World,
) -> Result<()> {
    // The first five are joining_call, the two in_call, recording.processing and call_ended.
    let delivery = Delivery {
        drop: (5..100).collect(),
        ..Delivery::default()
    };
    let room = world
        .greeted(conversation().with_delivery(delivery))
        .await?;
    room.until(|meeting| meeting["listening"]["segments"] == SAID.len())
        .await?;
    room.host_ends().await?;
    let meeting = room.until_status("ended").await?;
    ensure!(
        meeting["transcript"]["state"] == "pending" && meeting["recording"]["state"] == "pending"
    );
    room.until_settled_within(SOON + Duration::from_secs(20))
        .await?;
    let transcript = room.api.transcript(&room.id, "").await?.expect(200)?;
    is_what_was_said(&transcript, "final")?;
    ensure!(room.api.recording(&room.id).await?.status == 200);
    Ok(())
}

pub(crate) async fn artifacts_are_fetched_although_the_vendor_stumbles(
    world: &World,
) -> Result<()> {
    let room = talked(world).await?;
    let simulator = room.simulator;
    for fault in [Fault::HtmlError, Fault::CloseWithoutAnswer] {
        simulator.fault_for(&room.url, Operation::RetrieveBot, fault);
    }
    room.host_ends().await?;
    let meeting = room.until_settled().await?;
    ensure!(warnings(&meeting).is_empty(), "{meeting}");
    is_what_was_said(
        &room.api.transcript(&room.id, "").await?.expect(200)?,
        "final",
    )
}

pub(crate) async fn what_is_purged_is_gone_here_and_at_the_vendor(world: &World) -> Result<()> {
    let room = talked(world).await?;
    let purge = || async {
        let path = format!("/v1/meetings/{}?purge=true", room.id);
        attache_tests::read(room.api.request(reqwest::Method::DELETE, &path)).await
    };
    is_problem(&purge().await?, 409, "meeting_not_over")?;
    ensure!(room.meeting().await?["status"] == "in_progress");

    room.host_ends().await?;
    room.until_settled().await?;
    purge().await?.expect(202)?;
    room.seen(|request| {
        request.operation == Some(Operation::DeleteMedia) && request.status == Some(200)
    })
    .await?;
    while room.api.meeting(&room.id).await?.status == 200 {
        tokio::task::yield_now().await;
    }
    for path in ["", "/transcript", "/recording", "/timeline"] {
        let path = format!("/v1/meetings/{}{path}", room.id);
        is_problem(&room.api.get(&path).await?, 404, "meeting_not_found")?;
    }
    let listed = room.api.meetings("limit=100").await?.expect(200)?;
    ensure!(!listed.to_string().contains(&room.id));
    Ok(())
}
