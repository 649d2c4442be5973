//! How often and how soon a vendor call is tried again, in one table.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::http::RetryAfter;

/// How a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is tried in all.
    pub attempts: u32,
    /// The wait before the second attempt.
    pub min: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How long one attempt may take.
    pub deadline: Duration,
}

/// The longest `Retry-After` that is honoured; what asks for more is treated as down.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Gives the policy of an operation.
pub fn policy(operation: &str) -> RetryPolicy {
    let deadline = match operation {
        "recall.create_bot" | "recall.delete_bot" => Duration::from_secs(30),
        _ => Duration::from_secs(10),
    };
    RetryPolicy {
        attempts: 3,
        min: Duration::from_secs(1),
        max: Duration::from_secs(10),
        deadline,
    }
}

/// Gives the wait before the attempt after `attempt`, none when it was the last.
pub fn delay(
    policy: &RetryPolicy,
    attempt: u32,
    seed: u64,
    after: Option<RetryAfter>,
) -> Option<Duration> {
    if attempt >= policy.attempts {
        return None;
    }
    let own = ExponentialBuilder::default()
        .with_min_delay(policy.min)
        .with_max_delay(policy.max)
        .with_jitter_seed(seed)
        .with_jitter()
        .build()
        .nth(attempt.saturating_sub(1) as usize)?;
    let asked = after.map_or(Duration::ZERO, |RetryAfter(ms)| Duration::from_millis(ms));
    Some(own.max(asked.min(MAX_RETRY_AFTER)))
}
