//! The documented rate limits, off unless a test switches them on.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::operation::Operation;

const WINDOW: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    calls: HashMap<Operation, VecDeque<Timestamp>>,
}

impl RateLimits {
    /// Counts a call. `Err` is the number of seconds until the next one is allowed.
    pub(crate) fn count(&mut self, operation: Operation, now: Timestamp) -> Result<(), u64> {
        let calls = self.calls.entry(operation).or_default();
        while calls.front().is_some_and(|call| *call + WINDOW <= now) {
            calls.pop_front();
        }
        if calls.len() < per_minute(operation) {
            calls.push_back(now);
            return Ok(());
        }
        let free = *calls.front().expect("a full window has a first call") + WINDOW;
        Err(u64::try_from(free.duration_since(now).as_secs()).unwrap_or(0) + 1)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one limit for most calls")]
fn per_minute(operation: Operation) -> usize {
    match operation {
        Operation::CreateBot
        | Operation::ListBots
        | Operation::ListRecordings
        | Operation::ListTranscripts
        | Operation::ListArtifacts
        | Operation::ListRealtimeEndpoints => 60,
        Operation::BillingUsage | Operation::CreateTranscript => 5,
        Operation::Download => usize::MAX,
        _ => 300,
    }
}
