//! What scenarios of listening stand on: people who speak, the sound that Recall sent of it, and what became of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use attache_simulator::{
    AudioNews, Event, ListeningNews, ListeningSession, MeetingScript, Person, SAMPLE_RATE, Side,
    SpokenLine, What,
};
use attache_tests::{Live, System};
use jiff::Timestamp;
use serde_json::Value;

use crate::world::{Room, SOON, text};

/// The one who is in every call.
pub(crate) const DANA: &str = "Dana Whitfield";
/// The one who joins some.
pub(crate) const PAT: &str = "Pat Moreno";

/// Of 16-bit samples.
const BYTES_PER_SECOND: f64 = SAMPLE_RATE as f64 * 2.0;
/// What may be sent before the first sound, to keep the session: 20 ms of silence.
const PRIMER: usize = 640;
/// A page of the transcript.
const PAGE: usize = 100;
/// Times are told with fewer digits than samples have, and the sound may begin within a frame.
const TOLERANCE: f64 = 0.005;

/// In the call at once, where somebody waits for the delegate to greet and then says these lines, one after the other,
/// with a pause that ends an utterance.
pub(crate) fn monologue<'a>(lines: impl IntoIterator<Item = &'a str>) -> MeetingScript {
    let at_most = Duration::from_mins(5);
    let greeted = MeetingScript::instant().then(Duration::ZERO, Event::WaitUntilHeard { at_most });
    let pause = Duration::from_millis(400);
    lines
        .into_iter()
        .fold(greeted, |script, line| script.then(pause, says(DANA, line)))
}

pub(crate) fn says(name: &str, text: &str) -> Event {
    Event::Says {
        name: name.to_owned(),
        text: text.to_owned(),
    }
}

pub(crate) fn joins(name: &str) -> Event {
    Event::Joins(Person {
        name: name.to_owned(),
        is_host: false,
    })
}

/// A call that goes by this script, once it is listened to and its sound is delivered.
pub(crate) async fn listened(system: &System, script: MeetingScript) -> Result<Room<'_>> {
    let room = Room::new(system).meet(script).await?;
    room.until_listening("open").await?;
    room.audio_news(0, |news| *news == AudioNews::Opened)
        .await?;
    Ok(room)
}

impl Room<'_> {
    /// Waits until the session is in this state.
    pub(crate) async fn until_listening(&self, state: &str) -> Result<Value> {
        self.until(|meeting| meeting["listening"]["state"] == state)
            .await
    }

    /// Somebody says this, and has come to the last word.
    pub(crate) async fn says(&self, name: &str, words: &str) -> Result<()> {
        self.happens(says(name, words))?;
        self.was_said(words).await.map(drop)
    }

    /// Waits until somebody has said this to the last word, and answers when that was.
    pub(crate) async fn was_said(&self, words: &str) -> Result<Timestamp> {
        if self.bots().is_empty() {
            self.until(|meeting| meeting["bot"].is_object()).await?;
        }
        let bot = self.bot()?.id;
        self.entry(|what| matches!(what, What::Said { bot_id, text, .. } if *bot_id == bot && text == words)).await
    }

    /// Waits for news of any session of this meeting, past or to come, and answers when they came.
    pub(crate) async fn session_news(
        &self,
        matches: impl Fn(&ListeningNews) -> bool,
    ) -> Result<Timestamp> {
        self.entry(|what| {
            what.listening()
                .is_some_and(|(id, news)| id == Some(self.id.as_str()) && matches(news))
        })
        .await
    }

    /// Waits for news of this connection of the call's audio socket.
    pub(crate) async fn audio_news(
        &self,
        number: usize,
        matches: impl Fn(&AudioNews) -> bool,
    ) -> Result<Timestamp> {
        self.entry(|what| matches!(what, What::Audio { meeting_url, connection, news, .. } if *meeting_url == self.url && *connection == number && matches(news))).await
    }

    /// Waits for an entry of the vendors' journal, which may be a long meeting away.
    async fn entry(&self, matches: impl Fn(&What) -> bool) -> Result<Timestamp> {
        let waited = self
            .simulator
            .wait_for(|entry| matches(&entry.what), SOON * 4);
        let entry = waited.await.with_context(|| self.story())?;
        Ok(entry.at)
    }

    /// The sessions of this meeting, in order.
    pub(crate) fn sessions(&self) -> Vec<ListeningSession> {
        self.simulator.listening_sessions_for(&self.id)
    }

    /// Every live segment, page by page; with `words=true` also what only that tells.
    pub(crate) async fn segments(&self, more: &str) -> Result<Vec<Value>> {
        let mut segments = Vec::new();
        let mut cursor = String::new();
        loop {
            let query = format!("source=live&limit={PAGE}{cursor}{more}");
            let page = self.api.transcript(&self.id, &query).await?.expect(200)?;
            ensure!(page["source"] == "live", "{page}");
            let found = page["segments"].as_array().cloned().context("segments")?;
            let next = page["next_cursor"].clone();
            ensure!(
                next.is_null() || found.len() == PAGE,
                "a short page: {page}"
            );
            segments.extend(found);
            match next.as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(segments),
            }
        }
    }

    /// Waits until the live transcript is as wanted, and answers it.
    pub(crate) async fn until_segments(
        &self,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let mut live = self.api.live(&self.id).await?;
        loop {
            let segments = self.segments("").await?;
            if wanted(&segments) {
                return Ok(segments);
            }
            while live
                .next_event(SOON)
                .await
                .with_context(|| format!("heard only {:?}\n{}", heard(&segments), self.story()))?["type"]
                != "transcript.final"
            {}
        }
    }

    /// Waits until these words are in the live transcript.
    pub(crate) async fn until_heard(&self, words: &str) -> Result<Vec<Value>> {
        self.until_segments(|segments| heard(segments).contains(words))
            .await
    }

    /// Waits until the call is over, its last words are told, and the vendors have nothing to complain about.
    pub(crate) async fn until_heard_out(&self) -> Result<Vec<Value>> {
        self.until_within(SOON * 2, |meeting| {
            let over = meeting["status"] == "ended" || meeting["status"] == "failed";
            over && ["off", "failed"]
                .map(Value::from)
                .contains(&meeting["listening"]["state"])
        })
        .await?;
        self.no_complaints()?;
        self.segments("").await
    }

    /// Everybody is silent, so that what waits to be sent is sent as fast as it may be, up to these words.
    pub(crate) async fn until_all_is_sent(&self, words: &str) -> Result<()> {
        self.happens(Event::Mutes(DANA.to_owned()))?;
        self.until_heard(words).await.map(drop)
    }

    /// The host ends the call, and everything is heard.
    pub(crate) async fn hang_up(&self) -> Result<Vec<Value>> {
        self.host_ends().await?;
        self.until_heard_out().await
    }

    /// Holds that no session was used in a way that the vendor does not allow or advises against. How fast sound came
    /// is another question: on a busy machine it comes in bursts, see `alone`.
    pub(crate) fn no_complaints(&self) -> Result<()> {
        for session in self.sessions() {
            let violations = session.violations;
            ensure!(violations.is_empty(), "{violations:?}\n{}", self.story());
        }
        Ok(())
    }

    /// Holds that the last session ended as the vendor wants it: asked to, and after everything was told.
    pub(crate) fn last_session_was_closed(&self) -> Result<()> {
        let last = self.sessions().pop().context("there is no session")?;
        let asked = last.texts.last().map(|message| message.text.as_str());
        ensure!(
            asked == Some(r#"{"type":"CloseStream"}"#)
                && last.closed_by == Some(Side::Vendor)
                && last.closed.as_ref().is_some_and(|(code, _)| *code == 1000),
            "{:?} {:?}\n{}",
            last.texts,
            last.closed,
            self.story()
        );
        Ok(())
    }

    /// The sound that Recall sent.
    pub(crate) fn sound(&self) -> Result<Sound> {
        Sound::of(self)
    }
}

/// What a watcher is told up to the end of the utterance in which these are the last words.
pub(crate) async fn watch(live: &mut Live, words: &str) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut told = String::new();
    loop {
        let event = live
            .next_event(SOON)
            .await
            .with_context(|| format!("after {events:?}"))?;
        if event["type"] == "transcript.final" {
            told = format!("{told} {}", text(&event["segment"]["text"]));
        }
        let over = told.ends_with(words) && event["type"] == "utterance.end";
        events.push(event);
        if over {
            return Ok(events);
        }
    }
}

/// The text of segments, in a line.
pub(crate) fn heard(segments: &[Value]) -> String {
    let texts: Vec<String> = segments.iter().map(|found| text(&found["text"])).collect();
    texts.join(" ")
}

/// What Recall sent of a call, each moment once.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) bytes: Vec<u8>,
    /// From which byte on there is sound of which second of the recording; one entry for each gap.
    stretches: BTreeMap<usize, f64>,
}

impl Sound {
    fn of(room: &Room<'_>) -> Result<Self> {
        let mut frames = room.simulator.audio_sent(&room.url);
        frames.sort_by(|one, other| one.relative.total_cmp(&other.relative));
        let (mut bytes, mut stretches) = (Vec::new(), BTreeMap::new());
        let mut told = 0.0;
        for frame in frames {
            let ahead = frame.relative - told;
            if bytes.is_empty() || ahead > 0.5 / BYTES_PER_SECOND {
                stretches.insert(bytes.len(), frame.relative);
                told = frame.relative;
            }
            let known = (told - frame.relative) * BYTES_PER_SECOND;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "rounded, and not negative"
            )]
            let known = known.round() as usize;
            let Some(news) = frame.bytes.get(known..) else {
                continue;
            };
            bytes.extend_from_slice(news);
            told += seconds(news.len());
        }
        ensure!(!bytes.is_empty(), "Recall sent nothing\n{}", room.story());
        Ok(Self { bytes, stretches })
    }

    /// The seconds from the first sound to this byte, muted times included.
    pub(crate) fn time(&self, place: usize) -> f64 {
        let (first, last) = (
            self.stretches.values().next().copied().unwrap_or_default(),
            self.stretches.range(..=place).next_back(),
        );
        last.map_or(0.0, |(begin, relative)| {
            relative - first + seconds(place - begin)
        })
    }

    /// Where a line lies, from this byte on.
    pub(crate) fn find(&self, line: &SpokenLine, from: usize) -> Option<usize> {
        position(&self.bytes, &line.pcm, from..self.bytes.len())
    }

    /// Holds that the words are in the transcript as they were sent: all of them, none twice, each at its time.
    pub(crate) fn is_told(&self, lines: &[Arc<SpokenLine>], segments: &[Value]) -> Result<()> {
        let said: Vec<&str> = lines.iter().flat_map(|line| line.text.split(' ')).collect();
        let words: Vec<&Value> = segments
            .iter()
            .flat_map(|segment| segment["words"].as_array().into_iter().flatten())
            .collect();
        let told: Vec<String> = words.iter().map(|word| text(&word["text"])).collect();
        if told != said {
            let differs = told
                .iter()
                .zip(&said)
                .take_while(|(told, said)| told == said);
            let at = differs.count();
            bail!(
                "{} words were said, {} told; after {at}: {:?} instead of {:?}",
                said.len(),
                told.len(),
                &told[at..told.len().min(at + 20)],
                &said[at..said.len().min(at + 20)]
            );
        }
        let mut words = words.into_iter();
        let mut from = 0;
        for line in lines {
            let place = self
                .find(line, from)
                .with_context(|| format!("never sent: {}", line.text))?;
            from = place + line.pcm.len();
            for word in &line.words {
                let told = words.next().context("as many words as said")?;
                let (start, end) = (told["start"].as_f64(), told["end"].as_f64());
                for (told, place) in [(start, place + word.begin), (end, place + word.end)] {
                    let told = told.context("a time")?;
                    let expected = self.time(place);
                    ensure!(
                        (told - expected).abs() < TOLERANCE,
                        "{} was said at {expected:.3}, told at {told:.3}",
                        word.text
                    );
                }
            }
        }
        Ok(())
    }

    /// Where in the sound each session's bytes lie; an error if one holds anything else.
    pub(crate) fn places(&self, sessions: &[ListeningSession]) -> Result<Vec<Range<usize>>> {
        let mut covered = 0;
        let mut places = Vec::new();
        for (number, session) in sessions.iter().enumerate() {
            let audio = &session.audio[..];
            if audio.is_empty() {
                continue;
            }
            ensure!(
                audio.len() as u64 == session.audio_bytes,
                "not all audio was kept"
            );
            let found = self.place(audio, covered).or_else(|| {
                let rest = audio
                    .get(PRIMER..)
                    .filter(|_| audio[..PRIMER].iter().all(|byte| *byte == 0))?;
                self.place(rest, covered)
            });
            let found = found.with_context(|| {
                format!(
                    "{} bytes of session {number} are no stretch of what was sent",
                    audio.len()
                )
            })?;
            covered = covered.max(found.end);
            places.push(found);
        }
        Ok(places)
    }

    /// The latest place up to `covered` where these bytes lie, else the first after it.
    fn place(&self, audio: &[u8], covered: usize) -> Option<Range<usize>> {
        let last = self.bytes.len().checked_sub(audio.len())?;
        let before = (0..=covered.min(last)).rev().step_by(1);
        let found = before
            .filter(|at| at % 2 == 0)
            .find(|at| self.bytes[*at..].starts_with(audio))
            .or_else(|| position(&self.bytes, audio, covered..self.bytes.len()))?;
        Some(found..found + audio.len())
    }

    /// The stretches that no session got.
    pub(crate) fn holes(&self, places: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut holes = Vec::new();
        let mut covered = 0;
        for place in places {
            if place.start > covered {
                holes.push(covered..place.start);
            }
            covered = covered.max(place.end);
        }
        if covered < self.bytes.len() {
            holes.push(covered..self.bytes.len());
        }
        holes
    }
}

/// How long so many bytes last.
#[expect(
    clippy::cast_precision_loss,
    reason = "hours of sound are far below 2^52 bytes"
)]
pub(crate) fn seconds(bytes: usize) -> f64 {
    bytes as f64 / BYTES_PER_SECOND
}

fn position(bytes: &[u8], wanted: &[u8], within: Range<usize>) -> Option<usize> {
    let last = within.end.checked_sub(wanted.len())?;
    let begin = within.start.next_multiple_of(2);
    (begin..=last)
        .step_by(2)
        .find(|at| bytes[*at..].starts_with(wanted))
}
