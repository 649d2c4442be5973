//! The page that a bot shows and speaks with: when it is open, and what the room hears of it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::bot::Bot;
use super::heard::{Heard, HeardPage};
use super::{Model, Services};

/// A page that has to be open now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageWanted {
    pub(crate) bot_id: String,
    pub(crate) meeting_url: String,
    /// As the bot's metadata names it.
    pub(crate) meeting_id: Option<String>,
    pub(crate) url: String,
}

impl Model {
    /// The pages of all bots that are in their calls, in the order of the bots.
    pub(crate) fn pages(&self) -> Vec<PageWanted> {
        self.bots.values().filter_map(Bot::page).collect()
    }

    /// The room has heard something from a bot's page.
    pub(crate) fn page_was_heard(&mut self, bot_id: &str, heard: HeardPage, now: Timestamp) {
        let number = self.numbers.get(bot_id).copied();
        let Some(bot) = number.and_then(|number| self.bots.get_mut(&number)) else {
            return;
        };
        self.services.now = now;
        bot.page_was_heard(heard, &mut self.services);
        self.reschedule(number.unwrap_or_default());
    }

    /// What a bot's page hears of the room between two moments: samples as in [`super::room`].
    pub(crate) fn sound_for_page(
        &self,
        bot_id: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<u8> {
        let bot = self
            .numbers
            .get(bot_id)
            .and_then(|number| self.bots.get(number));
        let recording = bot.and_then(|bot| bot.recordings.last());
        recording.map_or_else(Vec::new, |recording| {
            let room = &recording.room;
            room.read(&(room.place(from)..room.place(until)))
        })
    }
}

impl Bot {
    fn page(&self) -> Option<PageWanted> {
        let media = self
            .request
            .output_media
            .as_ref()
            .filter(|_| self.output_media_on && self.in_call())?;
        let url = media["camera"]["config"]["url"].as_str()?;
        let meeting_id = self.request.metadata.get("meeting_id");
        Some(PageWanted {
            bot_id: self.id.clone(),
            meeting_url: self.request.meeting_url.raw.clone(),
            meeting_id: meeting_id.and_then(Value::as_str).map(str::to_owned),
            url: url.to_owned(),
        })
    }

    fn page_was_heard(&mut self, heard: HeardPage, services: &mut Services) {
        if !self.in_call() {
            return;
        }
        self.timers.silent = Some(heard.at + Duration::from_millis(heard.duration_ms));
        self.hear(Heard::Page(heard), services);
    }
}
