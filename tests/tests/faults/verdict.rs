//! What was seen, judged: what must not be, and what happens, in words.

use anyhow::Result;
use attache_simulator::{Fault, Heard, PageVoice};
use serde_json::Value;

use crate::catalogue::{Case, Plot, Times};
use crate::play::{Hearing, Observed, is_over};
use crate::room::{Room, text};

/// More calls of one kind than a short meeting can need, whatever fails: a connection that is tried again for as long
/// as the call goes on makes about as many in a minute.
const MOST_CALLS: usize = 25;

/// The play did not come to the call that was to fail.
pub(crate) const NEVER_ASKED: &str = "the vendor was never asked";

/// Finds where a meeting hangs, lies or leaks; nothing if all is as it should be.
pub(crate) async fn wrongs(case: &Case, room: &Room<'_>, seen: &Observed) -> Result<Vec<String>> {
    let mut wrongs = Vec::new();
    let mut unless = |holds: bool, wrong: &str| {
        if !holds {
            wrongs.push(wrong.to_owned());
        }
    };
    let met = seen.calls.iter().filter(|call| call.faulted).count();
    unless(met > 0, NEVER_ASKED);
    unless(
        seen.calls.len() <= MOST_CALLS,
        &format!("asks {} times", seen.calls.len()),
    );
    unless(room.bots().len() <= 1, "two bots were made");
    let meeting = &seen.meeting;
    unless(is_over(meeting), "no end");
    unless(
        meeting["status"] == "cancelled" || !text(&meeting["ended"]["reason"]).is_empty(),
        "an end without a reason",
    );
    greeting(case, room, meeting, &mut unless);
    let warned = warnings(meeting);
    let warns = |code: &str| warned.iter().any(|warning| warning == code);
    for missing in missing_warnings(case, seen) {
        unless(warns(missing), &format!("no warning {missing}"));
    }
    if seen.purged_at_once.is_none() {
        let told = meeting["transcript"]["state"] == "ready";
        let there = room.has_final_transcript().await?;
        unless(told == there, "the transcript is not as told");
        let told = meeting["recording"]["state"] == "ready";
        let there = room.api.recording(&room.id).await?.status == 200;
        // A vendor that said to have lost it may find it again.
        unless(there || !told, "the recording is not as told");
        let shown = format!("{meeting}{}", room.timeline().await?);
        let secret = ["token=", "nonce=", "fake-", "whsec_", "Bearer "];
        unless(
            !secret.iter().any(|mark| shown.contains(mark)),
            "a secret is shown",
        );
    }
    Ok(wrongs)
}

/// What the API says of the greeting is what the room heard or read, at most once.
///
/// A vendor that does what it is asked and never says so leaves no way to know. Then the room is greeted in writing
/// besides, as far as there is a chat that answers, and the reason says that there was no answer.
fn greeting(case: &Case, room: &Room<'_>, meeting: &Value, unless: &mut impl FnMut(bool, &str)) {
    let words = room.greeting();
    let heard = room.heard();
    let greetings = || heard.iter().filter(|heard| heard.text() == Some(&*words));
    let clips = greetings().filter(|heard| heard.audio().is_some()).count();
    let pages = || greetings().filter_map(Heard::page);
    let whole_pages = pages().filter(|heard| !heard.stopped).count();
    let chats = greetings().count() - clips - pages().count();
    let told = &meeting["greeting"];
    let untold = case.times == Times::Always && never_tells(case) && names_no_answer(told);
    let times = clips + whole_pages + chats;
    let is_true = match (told["state"].as_str(), told["via"].as_str()) {
        (Some("sent"), Some("output_audio")) => clips == 1,
        (Some("sent"), Some("page" | "avatar")) => pages().count() > 0,
        (Some("sent"), Some("chat")) => chats == 1,
        (Some("failed" | "skipped"), None) => greetings().count() == 0 || untold,
        _ => false,
    };
    unless(
        is_true,
        &format!(
            "the greeting is told as {} by {}; the room heard {clips} clips, {whole_pages} whole from the page, read {chats}",
            told["state"], told["via"]
        ),
    );
    let spoken_and_written = clips + whole_pages == 1 && chats == 1 && untold;
    unless(
        times <= 1 || spoken_and_written,
        "the room is greeted twice",
    );
}

/// Whether the vendor does what it is asked, and the answer is lost.
fn never_tells(case: &Case) -> bool {
    matches!(
        case.trouble.fault,
        Fault::TimeoutAfterAccept | Fault::CloseMidBody
    )
}

fn names_no_answer(greeting: &Value) -> bool {
    let reason = text(&greeting["reason"]);
    ["no answer", "connection failed"]
        .iter()
        .any(|words| reason.contains(words))
}

/// What a meeting that went like this has to warn of.
fn missing_warnings(case: &Case, seen: &Observed) -> Vec<&'static str> {
    let mut codes = Vec::new();
    let meeting = &seen.meeting;
    let greeted = &meeting["greeting"];
    let took_place = meeting["status"] == "ended";
    if took_place && (greeted["state"] == "failed" || greeted["via"] == "chat") {
        codes.push("greeting_failed");
    }
    let failed = |artifact: &str| meeting[artifact]["state"] == "failed";
    if failed("transcript") || failed("recording") {
        codes.push("artifact_missing");
    }
    if case.part.plot == Plot::Avatar && !matches!(seen.voice, Some(PageVoice::Avatar(_))) {
        codes.push("avatar_failed");
    }
    if seen.hearing == Some(Hearing::Recall) {
        codes.push("listening_failed");
    }
    codes
}

/// Whether a warning names a session that its vendor says is gone and goes on listing.
pub(crate) fn names_what_is_left(meeting: &Value) -> bool {
    let mut warnings = meeting["warnings"].as_array().into_iter().flatten();
    warnings.any(|warning| text(&warning["message"]).contains("could not be stopped"))
}

/// The codes of the meeting's warnings, each once.
fn warnings(meeting: &Value) -> Vec<String> {
    let warnings = meeting["warnings"].as_array().into_iter().flatten();
    let mut codes: Vec<String> = warnings.map(|warning| text(&warning["code"])).collect();
    codes.sort();
    codes.dedup();
    codes
}

/// What happens, in words.
pub(crate) fn sentence(case: &Case, seen: &Observed) -> String {
    let mut clauses = vec![asked(case, seen)];
    clauses.extend(happened(case, seen));
    let meeting = &seen.meeting;
    if meeting["status"] == "failed" {
        let reason = text(&meeting["ended"]["reason"]);
        clauses.push(format!("the meeting fails: `{reason}`"));
    }
    if seen.purged_at_once.is_none() {
        for artifact in ["transcript", "recording"] {
            if meeting[artifact]["state"] == "failed" {
                clauses.push(format!("no {artifact}"));
            }
        }
    }
    if names_what_is_left(meeting) {
        clauses.push("the session ends of itself, and a warning names it".to_owned());
    }
    let codes = warnings(meeting);
    if !codes.is_empty() {
        clauses.push(format!("warns `{}`", codes.join("`, `")));
    }
    clauses.join("; ")
}

/// How often the vendor is asked.
fn asked(case: &Case, seen: &Observed) -> String {
    let met = seen.calls.iter().filter(|call| call.faulted).count();
    let last_met = seen.calls.iter().rposition(|call| call.faulted);
    let later = last_met.is_some_and(|at| at + 1 < seen.calls.len());
    match case.times {
        _ if case.is_slow() => "waits".to_owned(),
        Times::Once if later => "asks again".to_owned(),
        Times::Once => "does not ask again".to_owned(),
        Times::Always if seen.mended => "asks until it works".to_owned(),
        Times::Always if seen.called_off => "asks until called off".to_owned(),
        Times::Always if case.part.plot == Plot::Avatar || case.part.plot == Plot::Listen => {
            if met == 1 {
                "asks once".to_owned()
            } else {
                "asks again and again".to_owned()
            }
        }
        Times::Always if met == 1 => "asks once".to_owned(),
        Times::Always => format!("asks {met} times"),
    }
}

/// What came of it for the people in the call, and for whoever booked the meeting.
fn happened(case: &Case, seen: &Observed) -> Vec<String> {
    let mut clauses: Vec<&str> = Vec::new();
    let greeting = &seen.meeting["greeting"];
    let never_came = seen.called_off || seen.meeting["status"] == "failed";
    if never_came {
        clauses.push("nobody joins");
    } else {
        match case.part.plot {
            Plot::CallOff if seen.turned_up => {
                clauses.push("the bot is sent away when it shows up");
            }
            Plot::CallOff => clauses.push("the bot is gone"),
            Plot::Doubt => clauses.push(if seen.begun["bot"].is_object() {
                "the bot is found"
            } else {
                "the bot is not found until then"
            }),
            Plot::Voice
            | Plot::Chat
            | Plot::Leave
            | Plot::Purge
            | Plot::Face
            | Plot::Avatar
            | Plot::Listen => clauses.push(match greeting["via"].as_str() {
                Some("chat") => "greets in the chat",
                Some(_) => "greets aloud",
                None => "greets nobody, and says so",
            }),
        }
    }
    match &seen.voice {
        Some(PageVoice::Avatar(_)) => clauses.push("the avatar speaks"),
        Some(PageVoice::Page) => clauses.push("the drawn face speaks"),
        None if case.part.plot == Plot::Avatar => clauses.push("nobody speaks"),
        None => {}
    }
    match seen.hearing {
        Some(Hearing::Deepgram) => clauses.push("hears as it is said"),
        Some(Hearing::Recall) => clauses.push("hears through Recall"),
        Some(Hearing::Later) => clauses.push("hears it once it works"),
        Some(Hearing::Never) => clauses.push("hears nothing"),
        None => {}
    }
    if case.part.plot == Plot::Leave && !never_came {
        clauses.push("leaves");
    }
    match seen.purged_at_once {
        Some(true) => clauses.push("everything is deleted"),
        Some(false) if seen.mended => clauses.push("everything is deleted then"),
        Some(false) => clauses.push("nothing is deleted, until asked anew"),
        None => {}
    }
    clauses.into_iter().map(str::to_owned).collect()
}
