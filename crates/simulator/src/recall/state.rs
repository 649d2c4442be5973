//! What a test sees of a bot.

use jiff::Timestamp;
use serde_json::Value;

use super::bot::{Bot, Phase};
use super::create;
use super::heard::Heard;

/// A bot at one moment.
#[derive(Clone, Debug)]
pub struct BotState {
    /// Its id.
    pub id: String,
    /// The link it was sent to.
    pub meeting_url: String,
    /// The body of the create call, without media, updates merged in.
    pub config: Value,
    /// The metadata it was created with.
    pub metadata: serde_json::Map<String, Value>,
    /// Booked ahead rather than taken from the ad-hoc pool.
    pub scheduled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it joins, if that was said.
    pub join_at: Option<Timestamp>,
    /// Each status it had, with its sub-code, in order.
    pub status_changes: Vec<(String, Option<String>)>,
    /// Whether it is in the call right now.
    pub in_call: bool,
    /// Whether its life is over: call ended, done or fatal.
    pub over: bool,
    /// What the room heard from it.
    pub heard: Vec<Heard>,
    /// The ids of its real-time endpoints that were given up.
    pub failed_endpoints: Vec<String>,
}

impl BotState {
    /// The newest status.
    pub fn status(&self) -> Option<&str> {
        self.status_changes.last().map(|(code, _)| code.as_str())
    }
}

impl BotState {
    pub(crate) fn of(bot: &Bot) -> Self {
        Self {
            id: bot.id.clone(),
            meeting_url: bot.request.meeting_url.raw.clone(),
            config: create::without_media(&Value::Object(bot.request.raw.clone())),
            metadata: bot.request.metadata.clone(),
            scheduled: bot.scheduled,
            created_at: bot.created_at,
            join_at: bot.request.join_at,
            status_changes: bot
                .status_changes
                .iter()
                .map(|c| (c.code.clone(), c.sub_code.clone()))
                .collect(),
            in_call: bot.in_call(),
            over: bot.phase == Phase::Over,
            heard: bot.heard.clone(),
            failed_endpoints: bot
                .endpoints
                .iter()
                .filter(|e| e.failed)
                .map(|e| e.id.clone())
                .collect(),
        }
    }
}
