//! What scenarios with an avatar stand on: its sessions at the vendor, and what the room heard through whom.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{
    AvatarOverlap, AvatarSession, Entry, HeardPage, MeetingScript, PageNews, PageVoice, Side,
    Simulator, What,
};
use attache_tests::System;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::world::{Room, SOON, text};

/// How much more or less than was told may be heard: until news of a loss are there, the avatar speaks on.
pub(crate) const SLACK_MS: u64 = 700;

/// A meeting whose delegate is there with its avatar, through which it has greeted.
pub(crate) async fn greeted(system: &System) -> Result<Room<'_>> {
    Room::new(system).greets_through_an_avatar().await
}

/// Waits until something holds at the vendors, which is looked at whenever there is news of them.
pub(crate) async fn until_it_holds(simulator: &Simulator, holds: impl Fn() -> bool) -> Result<()> {
    let wait = async {
        let mut seen = 0;
        loop {
            let news = simulator.journal_since(seen);
            seen = news.last().map_or(seen, |last| last.seq + 1);
            if holds() {
                return;
            }
            simulator.journal_grows_beyond(seen).await;
        }
    };
    tokio::time::timeout(SOON, wait)
        .await
        .with_context(|| format!("it does not hold after {SOON:?}"))
}

impl Room<'_> {
    /// Meets, and waits until the avatar is there and has greeted.
    pub(crate) async fn greets_through_an_avatar(self) -> Result<Self> {
        let room = self.meet_with_a_face(MeetingScript::instant()).await?;
        let meeting = room
            .until(|meeting| {
                meeting["greeting"]["state"] == "sent" && meeting["avatar"]["state"] == "ready"
            })
            .await?;
        ensure!(
            meeting["greeting"]["via"] == "avatar",
            "{meeting}\n{}",
            room.story()
        );
        Ok(room)
    }

    /// How the API shows the avatar.
    pub(crate) async fn avatar(&self) -> Result<Value> {
        self.api.avatar(&self.id).await?.expect(200)
    }

    /// The session that the API names.
    pub(crate) async fn avatar_session(&self) -> Result<AvatarSession> {
        let avatar = self.avatar().await?;
        let known = self.simulator.avatar_session(&text(&avatar["session_id"]));
        known.with_context(|| format!("no session is {avatar}\n{}", self.story()))
    }

    /// Waits until another session than this is there to speak.
    pub(crate) async fn until_another_avatar(&self, than: &AvatarSession) -> Result<AvatarSession> {
        let mut live = self.api.live(&self.id).await?;
        loop {
            let avatar = self.avatar().await?;
            let is_there = avatar["state"] == "ready" || avatar["state"] == "speaking";
            if is_there && avatar["session_id"] != json!(than.id) {
                return self.avatar_session().await;
            }
            live.next_event(SOON)
                .await
                .with_context(|| format!("{avatar}\n{}", self.story()))?;
        }
    }

    /// The sessions of this meeting, in order.
    pub(crate) fn avatar_sessions(&self) -> Vec<AvatarSession> {
        self.simulator.avatar_sessions_for(&self.id)
    }

    /// The times in which the meeting had two sessions.
    pub(crate) fn avatar_overlaps(&self) -> Vec<AvatarOverlap> {
        self.simulator.avatar_overlaps(&self.id)
    }

    /// What the room heard from the page in words, and through whom.
    pub(crate) fn voices(&self) -> Vec<(String, PageVoice)> {
        let heard = self.page_sounds().into_iter();
        heard
            .map(|heard| (heard.text.unwrap_or_default(), heard.voice))
            .collect()
    }

    /// Waits until the room has heard these words to their end, and tells all that it has heard from the page.
    ///
    /// Room and Worker learn of an avatar's end at the same time, so a meeting may have spoken what is not noted yet.
    pub(crate) async fn page_sounds_to(&self, words: &str) -> Result<Vec<HeardPage>> {
        let ends = |heard: &HeardPage| {
            heard
                .text
                .as_deref()
                .is_some_and(|text| text.ends_with(words))
        };
        until_it_holds(self.simulator, || self.page_sounds().iter().any(ends))
            .await
            .with_context(|| self.story())?;
        Ok(self.page_sounds())
    }

    /// When something last happened to the page.
    pub(crate) fn page_last(&self, matches: impl Fn(&PageNews) -> bool) -> Result<Timestamp> {
        let journal = self.simulator.journal();
        let about = |entry: &&Entry| matches!(&entry.what, What::Page { meeting_url, news, .. } if *meeting_url == self.url && matches(news));
        let last = journal.iter().rev().find(about);
        Ok(last.context("it did not happen")?.at)
    }

    /// How long the speech for these words is.
    pub(crate) async fn length_ms(&self, words: &str) -> Result<u64> {
        let origin = self.simulator.elevenlabs_base_url();
        let url = format!("{origin}/v1/text-to-speech/fake-voice?output_format=pcm_24000");
        let asked = reqwest::Client::new()
            .post(url)
            .header("xi-api-key", "fake-elevenlabs-key")
            .json(&json!({ "text": words, "model_id": "eleven_flash_v2_5" }));
        let pcm = asked.send().await?.error_for_status()?.bytes().await?;
        Ok(u64::try_from(pcm.len())? / 48)
    }

    /// Ends the call, and holds that it had one greeting and that every session is stopped and was kept well.
    pub(crate) async fn ends_with_no_session_left(&self) -> Result<Value> {
        self.host_ends().await?;
        let meeting = self.until_settled().await?;
        ensure!(meeting["avatar"]["state"] == "stopped", "{meeting}");
        let sessions = self.until_no_session_is_left().await?;
        for session in &sessions {
            let by = session.ended.map(|ended| ended.by);
            ensure!(
                by == Some(Side::Client),
                "not stopped by us: {session:?}\n{}",
                self.story()
            );
            kept_well(session)?;
        }
        let greeting = self.greeting();
        let voices = self.voices();
        let greetings = voices.iter().filter(|(words, _)| *words == greeting);
        ensure!(greetings.count() == 1, "{voices:?}");
        ensure!(self.chats().is_empty() && self.clips().is_empty());
        ensure!(self.bot()?.over);
        Ok(meeting)
    }

    /// Waits until no session of the meeting costs any more.
    pub(crate) async fn until_no_session_is_left(&self) -> Result<Vec<AvatarSession>> {
        let over = || {
            let sessions = self.avatar_sessions();
            sessions.iter().all(|session| !session.is_live())
        };
        until_it_holds(self.simulator, over)
            .await
            .with_context(|| self.story())?;
        Ok(self.avatar_sessions())
    }
}

/// Holds that the vendor had nothing to object to, and that nothing was against its advice.
pub(crate) fn kept_well(session: &AvatarSession) -> Result<()> {
    let objections: Vec<&String> = session
        .violations
        .iter()
        .chain(&session.deviations)
        .collect();
    ensure!(objections.is_empty(), "{}: {objections:?}", session.id);
    Ok(())
}

/// How long something was heard that is heard once, in parts or whole.
pub(crate) fn heard_ms<'a>(parts: impl IntoIterator<Item = &'a HeardPage>) -> u64 {
    parts.into_iter().map(|heard| heard.duration_ms).sum()
}

/// Whether it was heard through the avatar of this session.
pub(crate) fn is_from(heard: &HeardPage, session: &AvatarSession) -> bool {
    heard.voice == PageVoice::Avatar(session.id.clone())
}

/// The time from one moment to a later one.
pub(crate) fn between(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default()
}
