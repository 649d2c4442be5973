//! What a user would expect of the meeting, held against what happened.

use std::time::Duration;

use anyhow::Result;
use attache_simulator::{Heard, PageVoice, Simulator, What};
use attache_tests::{Api, Runtime};
use jiff::Timestamp;
use serde_json::Value;

use crate::MEETING_URL;
use crate::hearing::{self, sentences, texts};
use crate::page::Seen;
use crate::paper;
use crate::story::{Story, word};

/// 16 kHz, one channel, two bytes a sample.
const BYTES_PER_SECOND: usize = 32_000;

/// Each expectation in words, and whether it holds.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    findings: Vec<(bool, String)>,
    totals: Vec<String>,
}

impl Verdict {
    /// Looks at the meeting through the API and at the room through the simulator.
    pub(crate) async fn reach(
        api: &Api,
        id: &str,
        simulator: &Simulator,
        runtime: &Runtime,
        story: &Story,
        seen: Option<&Seen>,
    ) -> Result<Self> {
        let mut verdict = Self::default();
        let meeting = api.meeting(id).await?.expect(200)?;
        verdict.meeting(&meeting);
        verdict.room(&meeting, simulator);
        if let Some(seen) = seen {
            verdict.page(&meeting, simulator, seen);
        }
        verdict.ears(simulator, story);
        verdict.live(api, id, story).await?;
        verdict.transcript(api, id).await?;
        verdict.recording(api, id).await?;
        verdict.timeline(api, id).await?;
        let leaks = runtime.leaked_secrets().len();
        verdict.find(
            leaks == 0,
            format!("no secret in the log ({} lines)", runtime.output().len()),
        );
        Ok(verdict)
    }

    pub(crate) fn is_good(&self) -> bool {
        self.findings.iter().all(|(holds, _)| *holds)
    }

    pub(crate) fn print(&self, took: Duration) {
        println!("\nWhat a user would expect:");
        for (holds, text) in &self.findings {
            paper::finding(*holds, text);
        }
        println!("\nTotals: {}", self.totals.join(", "));
        let missing = self.findings.iter().filter(|(holds, _)| !holds).count();
        let seconds = took.as_secs_f32();
        if missing == 0 {
            paper::conclusion(true, &format!("Everything happened, in {seconds:.0} s."));
        } else {
            paper::conclusion(
                false,
                &format!(
                    "{missing} of {} missing, after {seconds:.0} s.",
                    self.findings.len()
                ),
            );
        }
    }

    fn find(&mut self, holds: bool, text: impl Into<String>) {
        self.findings.push((holds, text.into()));
    }

    fn total(&mut self, text: String) {
        self.totals.push(text);
    }

    fn meeting(&mut self, meeting: &Value) {
        let (status, by) = (word(&meeting["status"]), word(&meeting["ended"]["by"]));
        self.find(
            status == "ended" && by == "host",
            format!("the host ended the meeting (status {status}, by {by})"),
        );
        let codes: Vec<&str> = meeting["warnings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|warning| word(&warning["code"]))
            .collect();
        let found = if codes.is_empty() {
            "no warnings".to_owned()
        } else {
            codes.join(", ")
        };
        self.find(codes.is_empty(), format!("nothing was degraded ({found})"));
    }

    fn room(&mut self, meeting: &Value, simulator: &Simulator) {
        let bots = simulator.bots();
        let left = bots.iter().filter(|bot| !bot.over).count();
        self.find(
            bots.len() == 1,
            format!("there was one bot ({} created)", bots.len()),
        );
        self.find(
            left == 0,
            format!("no bot outlived the meeting ({left} left)"),
        );

        let greeting = word(&meeting["greeting"]["text"]);
        let heard = simulator.heard(MEETING_URL);
        let spoken: Vec<&Heard> = heard
            .iter()
            .filter(|heard| !heard.automatic() && !matches!(heard, Heard::Chat { .. }))
            .collect();
        let greetings: Vec<&&Heard> = spoken
            .iter()
            .filter(|heard| heard.text() == Some(greeting))
            .collect();
        let whole = greetings.iter().all(|greeting| match greeting {
            Heard::Audio(audio) => !audio.stopped && !audio.truncated,
            Heard::Page(page) => !page.stopped,
            Heard::Chat { .. } => false,
        });
        self.find(
            greetings.len() == 1 && whole,
            format!(
                "the room heard the whole greeting, once ({} heard)",
                greetings.len()
            ),
        );
        let overlaps = spoken
            .windows(2)
            .any(|pair| pair[1].at() < pair[0].ends_at());
        self.find(!overlaps, "the delegate never spoke over itself");
        if let (Some(entered), Some(greeting)) = (entered_at(simulator), greetings.first()) {
            let silence = Duration::try_from(greeting.at() - entered).unwrap_or_default();
            self.total(format!(
                "greeting {} ms after the bot was in the call",
                silence.as_millis()
            ));
        }
    }

    /// Whether the delegate spoke and was seen through its avatar, and what that cost.
    fn page(&mut self, meeting: &Value, simulator: &Simulator, seen: &Seen) {
        let heard = simulator.heard_from_pages(MEETING_URL);
        let via = word(&meeting["greeting"]["via"]);
        let by_avatar = heard
            .iter()
            .all(|heard| matches!(heard.voice, PageVoice::Avatar(_)));
        let milliseconds: u64 = heard.iter().map(|heard| heard.duration_ms).sum();
        let how = if heard.iter().any(|heard| heard.measured) {
            "measured in the browser"
        } else {
            "worked out by the stand-in"
        };
        self.find(
            via == "avatar" && by_avatar && !heard.is_empty(),
            format!(
                "the greeting came through the avatar (via {via}, {milliseconds} ms of sound, {how})"
            ),
        );
        match seen {
            Seen::Picture { shown, path } => self.find(
                shown == "avatar",
                format!("the room saw the {shown}: {}", path.display()),
            ),
            Seen::NothingToSee => {}
            Seen::Missed(why) => self.find(false, format!("the room saw the avatar ({why})")),
        }
        let balance = simulator.avatar_balance();
        self.find(
            balance.started == 1 && balance.stopped == 1,
            format!(
                "its session was stopped ({} started, {} stopped)",
                balance.started, balance.stopped
            ),
        );
        let sessions = simulator.avatar_sessions();
        let objections = sessions
            .iter()
            .map(|session| session.violations.len() + session.deviations.len());
        let objections: usize = objections.sum();
        self.find(
            objections == 0,
            format!("it was made to speak as the vendor wants it ({objections} objections)"),
        );
    }

    async fn live(&mut self, api: &Api, id: &str, story: &Story) -> Result<()> {
        let said = sentences();
        let answer = api.transcript(id, "format=json&source=live").await?;
        for (heard, how) in [
            (story.lines(), "came live word for word"),
            (&texts(&answer.body)[..], "is in the live transcript"),
        ] {
            let missed = hearing::missed(&said, heard);
            for sentence in &missed {
                self.find(false, format!("“{sentence}” {how}"));
            }
            let invented = hearing::invented(&said, heard);
            let count = said.len() - missed.len();
            self.find(
                count > 0 && missed.is_empty() && invented == 0,
                format!("every sentence {how}, and nothing else ({count} of {}, {invented} words too many)", said.len()),
            );
        }
        Ok(())
    }

    /// Whether the call's sound went through the delegate's ears unharmed.
    fn ears(&mut self, simulator: &Simulator, story: &Story) {
        self.find(story.listened(), "the delegate listened itself");
        let sent: Vec<u8> = simulator
            .audio_sent(MEETING_URL)
            .into_iter()
            .flat_map(|frame| frame.bytes)
            .collect();
        let sessions = simulator.listening_sessions();
        let heard: Vec<u8> = sessions
            .iter()
            .flat_map(|session| session.audio.to_vec())
            .collect();
        self.find(
            !sent.is_empty() && sent == heard,
            format!(
                "Deepgram got the call's sound to the byte ({} of {})",
                heard.len(),
                sent.len()
            ),
        );
        let violations: Vec<&String> = sessions.iter().flat_map(|s| &s.violations).collect();
        self.find(
            violations.is_empty(),
            format!("as the vendor wants it ({} objections)", violations.len()),
        );
        let lost = simulator.audio_lost(MEETING_URL).as_millis();
        self.total(format!(
            "{} s of sound heard, {lost} ms lost",
            sent.len() / BYTES_PER_SECOND
        ));
    }

    async fn transcript(&mut self, api: &Api, id: &str) -> Result<()> {
        let said = sentences();
        for format in ["json", "text", "vtt", "srt"] {
            let answer = api
                .transcript(id, &format!("format={format}&source=final"))
                .await?;
            let whole = !said.is_empty() && said.iter().all(|line| answer.text.contains(line));
            let text = format!("the transcript as {format} ({} bytes)", answer.text.len());
            self.find(answer.status == 200 && whole, text);
        }
        Ok(())
    }

    async fn recording(&mut self, api: &Api, id: &str) -> Result<()> {
        let answer = api.recording(id).await?;
        let mut bytes = 0;
        if let Some(url) = answer.body["url"].as_str()
            && let Ok(response) = reqwest::get(url).await
            && response.status().is_success()
        {
            bytes = response.bytes().await?.len();
        }
        self.find(
            answer.status == 200 && bytes > 0,
            format!("the recording downloads ({bytes} bytes)"),
        );
        Ok(())
    }

    async fn timeline(&mut self, api: &Api, id: &str) -> Result<()> {
        let answer = api.timeline(id, "limit=100").await?;
        let entries = answer.body["entries"].as_array().map_or(0, Vec::len);
        self.find(
            entries > 0,
            format!("the timeline explains it ({entries} entries)"),
        );
        Ok(())
    }
}

/// When the bot entered the call.
fn entered_at(simulator: &Simulator) -> Option<Timestamp> {
    let entered =
        |what: &What| matches!(what, What::Status { code, .. } if code == "in_call_not_recording");
    simulator
        .journal()
        .iter()
        .find(|entry| entered(&entry.what))
        .map(|entry| entry.at)
}
