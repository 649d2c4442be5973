//! How long a vendor call may take, and how often and how soon it is tried again: one table.
//!
//! Whether a failure is worth another attempt at all, the vendor module says in
//! [`CallError::advice`]; the wait comes from here and depends on nothing but its arguments.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::http::{Advice, CallError, FailureKind, RetryAfter};

/// How an operation is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is tried in all.
    pub attempts: u32,
    /// How often it is tried in all while no bot is free: the pool refills within two minutes, and
    /// the vendor advises up to ten attempts half a minute apart.
    pub pool_attempts: u32,
    /// How often it is tried in all while the vendor sees a conflict.
    pub conflict_attempts: u32,
    /// The wait before the second attempt, before jitter.
    pub min: Duration,
    /// The longest wait that we choose ourselves, jitter included.
    pub max: Duration,
    /// How long one attempt may take.
    pub deadline: Duration,
}

impl RetryPolicy {
    /// Gives how often it is tried in all while it fails like this.
    pub fn attempts_for(&self, kind: FailureKind) -> u32 {
        match kind {
            FailureKind::PoolEmpty => self.pool_attempts,
            FailureKind::InFlight => self.conflict_attempts,
            FailureKind::NoAnswer
            | FailureKind::Unavailable
            | FailureKind::UnexpectedAnswer
            | FailureKind::InvalidRequest
            | FailureKind::Unauthorized
            | FailureKind::InsufficientCredit
            | FailureKind::Forbidden
            | FailureKind::NotFound
            | FailureKind::AlreadyDispatched
            | FailureKind::NotStarted
            | FailureKind::AlreadyOver
            | FailureKind::RateLimited
            | FailureKind::ConcurrencyReached
            | FailureKind::AvatarUnknown
            | FailureKind::SessionGone => self.attempts,
        }
    }
}

/// The longest wait that a vendor may ask for: beyond it a meeting is better served by trying.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// What holds where the table says nothing else: three attempts, a second and then two apart, and
/// ten seconds for an answer.
const DEFAULT: RetryPolicy = RetryPolicy {
    attempts: 3,
    pool_attempts: 3,
    conflict_attempts: 3,
    min: Duration::from_secs(1),
    max: Duration::from_secs(10),
    deadline: Duration::from_secs(10),
};

/// A read of Recall.
const READ: RetryPolicy = DEFAULT;

/// A change at Recall, which takes its time over bots.
const WRITE: RetryPolicy = RetryPolicy {
    deadline: Duration::from_secs(30),
    ..DEFAULT
};

/// A file of megabytes.
const DOWNLOAD: RetryPolicy = RetryPolicy {
    deadline: Duration::from_secs(30),
    ..DEFAULT
};

/// Speech, for people who wait for it: a conflict is tried again once, as the vendor's own SDKs do.
const SPEECH: RetryPolicy = RetryPolicy {
    conflict_attempts: 2,
    deadline: Duration::from_secs(30),
    ..DEFAULT
};

/// Something the people in the call wait for.
const PROMPT: RetryPolicy = DEFAULT;

/// A connection that is tried again for as long as the call goes on, and soon: people are speaking.
const LISTEN: RetryPolicy = RetryPolicy {
    attempts: u32::MAX,
    min: Duration::from_millis(200),
    ..DEFAULT
};

/// A part of our own that is rarely down and must be told in the end: tried for about an hour.
const OWN: RetryPolicy = RetryPolicy {
    attempts: 60,
    max: Duration::from_mins(1),
    ..DEFAULT
};

/// A step towards an avatar session, for people who look at an empty tile: a place that was just given up is free
/// again within 0.8 to 3 seconds.
const AVATAR_START: RetryPolicy = RetryPolicy {
    min: Duration::from_millis(800),
    max: Duration::from_secs(3),
    ..DEFAULT
};

/// The end of an avatar session, which costs money until then: tried for about an hour, by when every session has
/// ended of itself.
const AVATAR_STOP: RetryPolicy = RetryPolicy {
    attempts: 70,
    max: Duration::from_mins(1),
    ..DEFAULT
};

/// The socket of an avatar session: after some seconds without it another session is better.
const AVATAR_CONNECT: RetryPolicy = RetryPolicy {
    attempts: 5,
    min: Duration::from_millis(200),
    max: Duration::from_secs(3),
    ..DEFAULT
};

/// Every operation and its policy.
const TABLE: [(&str, RetryPolicy); 37] = [
    (
        "recall.create_bot",
        RetryPolicy {
            pool_attempts: 10,
            ..WRITE
        },
    ),
    ("recall.get_bot", READ),
    ("recall.find_bots", READ),
    ("recall.send_audio", PROMPT),
    ("recall.stop_audio", PROMPT),
    ("recall.start_output_media", WRITE),
    ("recall.stop_output_media", WRITE),
    ("recall.send_chat_message", PROMPT),
    ("recall.leave_call", WRITE),
    ("recall.delete_bot", WRITE),
    ("recall.delete_media", WRITE),
    ("recall.get_recording", READ),
    ("recall.get_transcript", DOWNLOAD),
    ("recall.get_legacy_transcript", DOWNLOAD),
    ("elevenlabs.synthesize_full", SPEECH),
    ("elevenlabs.synthesize_stream", SPEECH),
    ("deepgram.listen", LISTEN),
    ("liveavatar.create_token", AVATAR_START),
    ("liveavatar.start", AVATAR_START),
    ("liveavatar.stop", AVATAR_STOP),
    ("liveavatar.keep_alive", DEFAULT),
    ("liveavatar.list_active", READ),
    ("liveavatar.get_session", READ),
    ("liveavatar.connect", AVATAR_CONNECT),
    ("heygen.new", AVATAR_START),
    ("heygen.start", AVATAR_START),
    ("heygen.stop", AVATAR_STOP),
    ("heygen.keep_alive", DEFAULT),
    ("heygen.list_active", READ),
    ("heygen.speak", PROMPT),
    ("heygen.react", PROMPT),
    ("heygen.interrupt", PROMPT),
    ("heygen.start_listening", PROMPT),
    ("heygen.stop_listening", PROMPT),
    ("directory.record_bot", OWN),
    ("tenant.update_index", OWN),
    ("meeting.wipe", OWN),
];

/// Gives the policy of an operation, as named in [`crate::http::Request::operation`].
pub fn policy(operation: &str) -> RetryPolicy {
    let row = TABLE.iter().find(|(name, _)| *name == operation);
    row.map_or(DEFAULT, |(_, policy)| *policy)
}

/// Gives the wait after the given attempt, counted from 1, has failed like this; none if it was the
/// last, or if another cannot help. The seed decides the jitter.
pub fn wait(error: &CallError, attempt: u32, seed: u64) -> Option<Duration> {
    let policy = policy(&error.operation);
    let policy = RetryPolicy {
        attempts: policy.attempts_for(error.kind),
        ..policy
    };
    match error.advice {
        Advice::GiveUp => None,
        Advice::Retry { after } | Advice::RetryWithNewKey { after } => {
            delay(&policy, attempt, seed, after)
        }
    }
}

/// Gives the wait after the given attempt, counted from 1; none if it was the last.
///
/// The wait is never shorter than the vendor asked for, up to a bound.
pub fn delay(
    policy: &RetryPolicy,
    attempt: u32,
    seed: u64,
    after: Option<RetryAfter>,
) -> Option<Duration> {
    if attempt >= policy.attempts {
        return None;
    }
    let mut waits = ExponentialBuilder::new()
        .with_min_delay(policy.min)
        .with_max_delay(policy.max)
        .with_max_times(usize::try_from(policy.attempts).unwrap_or(usize::MAX))
        .with_jitter()
        .with_jitter_seed(seed)
        .build();
    let own = waits.nth(usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX))?;
    let asked = after.map_or(Duration::ZERO, |RetryAfter(ms)| Duration::from_millis(ms));
    Some(own.min(policy.max).max(asked.min(MAX_RETRY_AFTER)))
}

/// Tells whether the table has a row for an operation.
#[cfg(test)]
pub(crate) fn is_listed(operation: &str) -> bool {
    TABLE.iter().any(|(name, _)| *name == operation)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(operation: &str, kind: FailureKind, advice: Advice) -> CallError {
        CallError {
            operation: operation.to_owned(),
            status: None,
            code: None,
            kind,
            reason: String::new(),
            advice,
            maybe_done: false,
        }
    }

    fn attempts(error: &CallError) -> u32 {
        (1..100)
            .find(|attempt| wait(error, *attempt, 7).is_none())
            .expect("every policy ends")
    }

    #[test]
    fn three_attempts_with_growing_waits_are_the_rule() {
        let waits: Vec<_> = (1..4)
            .map(|attempt| delay(&DEFAULT, attempt, 7, None))
            .collect();
        let seconds = |wait: Option<Duration>| wait.unwrap().as_secs();
        assert_eq!(seconds(waits[0]), 1);
        assert!((2..4).contains(&seconds(waits[1])));
        assert_eq!(waits[2], None);
    }

    #[test]
    fn the_same_seed_waits_the_same_and_another_seed_does_not() {
        let wait = |seed| delay(&DEFAULT, 1, seed, None);
        assert_eq!(wait(7), wait(7));
        assert_ne!(wait(7), wait(8));
    }

    #[test]
    fn the_vendors_wait_is_honoured_within_bounds() {
        let after = |ms| delay(&DEFAULT, 1, 7, Some(RetryAfter(ms))).unwrap();
        assert_eq!(after(30_000), Duration::from_secs(30));
        assert_eq!(after(u64::MAX), MAX_RETRY_AFTER);
        assert_eq!(after(1), delay(&DEFAULT, 1, 7, None).unwrap());
    }

    #[test]
    fn an_empty_pool_is_asked_longer_and_a_conflict_over_speech_once_more() {
        let retry = Advice::Retry { after: None };
        for (operation, kind, expected) in [
            ("recall.create_bot", FailureKind::Unavailable, 3),
            ("recall.create_bot", FailureKind::PoolEmpty, 10),
            ("recall.create_bot", FailureKind::InFlight, 3),
            ("elevenlabs.synthesize_full", FailureKind::InFlight, 2),
            ("elevenlabs.synthesize_full", FailureKind::RateLimited, 3),
        ] {
            assert_eq!(
                attempts(&failed(operation, kind, retry)),
                expected,
                "{operation} {kind:?}"
            );
        }
        let hopeless = failed(
            "recall.create_bot",
            FailureKind::Unauthorized,
            Advice::GiveUp,
        );
        assert_eq!(attempts(&hopeless), 1);
    }

    #[test]
    fn an_operation_nobody_knows_gets_the_default() {
        assert_eq!(policy("recall.sing"), DEFAULT);
        assert_eq!(
            policy("recall.create_bot").deadline,
            Duration::from_secs(30)
        );
    }

    proptest! {
        #[test]
        fn our_own_waits_stay_between_the_bounds(attempt in 1..10_u32, seed in any::<u64>()) {
            let wait = delay(&RetryPolicy { attempts: 11, ..DEFAULT }, attempt, seed, None).unwrap();
            prop_assert!(wait >= DEFAULT.min && wait <= DEFAULT.max, "{wait:?}");
        }
    }
}
