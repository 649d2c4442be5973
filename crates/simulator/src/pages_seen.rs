//! What tests ask of the pages that bots show.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::journal::{Entry, What};
use crate::pages::{PageHabits, PageNews, PageOrder};
use crate::recall::HeardPage;
use crate::simulator::Simulator;

impl Simulator {
    /// What the page of a bot has played so far, without the silence between: 16 kHz mono S16LE, as it
    /// was heard in the browser.
    pub fn page_sound(&self, bot_id: &str) -> Vec<u8> {
        self.world.pages.sound(bot_id)
    }

    /// The value of an expression in the open page of a bot.
    pub async fn evaluate_in_page(&self, bot_id: &str, expression: &str) -> Result<Value> {
        let expression = expression.to_owned();
        self.ask_page(bot_id, |answer| PageOrder::Evaluate(expression, answer))
            .await
    }

    /// What the open page of a bot looks like, as a PNG.
    pub async fn page_picture(&self, bot_id: &str) -> Result<Vec<u8>> {
        self.ask_page(bot_id, PageOrder::Picture).await
    }

    /// Loads the open page of a bot again.
    pub async fn reload_page(&self, bot_id: &str) -> Result<()> {
        self.ask_page(bot_id, PageOrder::Reload).await
    }

    /// Breaks the socket of a bot's open page, which then comes back.
    pub async fn drop_page_socket(&self, bot_id: &str) -> Result<()> {
        self.ask_page(bot_id, PageOrder::DropSocket).await
    }

    /// Lets the browser refuse to play the sound of a bot's open page, or stop refusing; the stand-in's
    /// only.
    pub async fn block_page_sound(&self, bot_id: &str, blocked: bool) -> Result<()> {
        self.ask_page(bot_id, |answer| PageOrder::BlockSound(blocked, answer))
            .await
    }

    /// Decides how pages behave in the meetings of this link, from the next load of a page on.
    pub fn set_page_habits(&self, meeting_url: &str, habits: PageHabits) {
        self.world.pages.set_habits(meeting_url, habits);
    }

    async fn ask_page<T>(
        &self,
        bot_id: &str,
        order: impl FnOnce(oneshot::Sender<Result<T>>) -> PageOrder,
    ) -> Result<T> {
        let page = self.world.pages.orders(bot_id);
        let page = page.with_context(|| format!("bot {bot_id} has no open page"))?;
        let (answered, answer) = oneshot::channel();
        page.send(order(answered))
            .await
            .ok()
            .context("the page was closed")?;
        answer.await.context("the page was closed")?
    }

    /// What the room of this link heard from its bots' pages, in order.
    pub fn heard_from_pages(&self, meeting_url: &str) -> Vec<HeardPage> {
        let heard = self.heard(meeting_url);
        heard
            .iter()
            .filter_map(|heard| heard.page().cloned())
            .collect()
    }

    /// Waits for the first news, old or new, of a page in this meeting that matches.
    pub async fn wait_for_page(
        &self,
        meeting_url: &str,
        mut matches: impl FnMut(&PageNews) -> bool,
        timeout: Duration,
    ) -> Result<Entry> {
        let wanted = |entry: &Entry| matches!(&entry.what, What::Page { meeting_url: url, news, .. } if url == meeting_url && matches(news));
        self.wait_for(wanted, timeout).await
    }

    /// Waits until a page in this meeting says a message of this type on its socket.
    pub async fn wait_for_page_to_say(
        &self,
        meeting_url: &str,
        kind: &str,
        timeout: Duration,
    ) -> Result<Value> {
        let says =
            |news: &PageNews| matches!(news, PageNews::Said(message) if message["type"] == kind);
        let entry = self.wait_for_page(meeting_url, says, timeout).await?;
        match entry.what.page() {
            Some((_, PageNews::Said(message))) => Ok(message.clone()),
            Some(_) | None => Ok(Value::Null),
        }
    }
}
