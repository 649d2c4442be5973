//! HTTP calls as values: vendor modules build a [`Request`], the shell sends it, vendor modules read the [`Outcome`].

use std::{collections::BTreeMap, time::Duration};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// No vendor's key is shorter, and shorter words are found in answers by accident.
const MIN_CENSORED_BYTES: usize = 8;

/// An HTTP method the vendors use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or commands.
    Post,
    /// Changes part of a resource.
    Patch,
    /// Removes.
    Delete,
}

/// A header's value; secret ones are starred in logs and snapshots.
#[derive(Clone, Debug)]
pub enum HeaderValue {
    /// May be printed.
    Plain(String),
    /// Must not be printed.
    Secret(Secret),
}

/// One call to a vendor, ready to be sent once.
///
/// The shell follows no redirects: credentials never travel to a host that the vendor names.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of the operation for logs and metrics, for example `recall.create_bot`.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// The absolute URL; treat as secret where it carries a signature.
    pub url: String,
    /// Headers in the order they are sent.
    pub headers: Vec<(&'static str, HeaderValue)>,
    /// The body, already encoded.
    pub body: Option<Vec<u8>>,
    /// How long the whole exchange, body included, may take.
    pub deadline: Duration,
    /// The largest body that is read.
    pub max_response_bytes: usize,
}

impl Request {
    /// Takes this request's credentials out of an answer that repeats them, so that they get no further.
    pub fn censor(&self, response: &mut Response) {
        for (_, value) in &self.headers {
            let HeaderValue::Secret(secret) = value else {
                continue;
            };
            // `Token …`, `Bearer …`, or the key alone.
            let key = secret.expose().split_whitespace().next_back();
            if let Some(key) = key.filter(|key| key.len() >= MIN_CENSORED_BYTES) {
                response.body = without(std::mem::take(&mut response.body), key.as_bytes());
            }
        }
    }
}

/// Replaces every occurrence of a key by stars.
fn without(body: Vec<u8>, key: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut end_of_last = 0;
    for start in memmem::find_iter(&body, key) {
        kept.extend_from_slice(&body[end_of_last..start]);
        kept.extend_from_slice(b"***");
        end_of_last = start + key.len();
    }
    if end_of_last == 0 {
        return body;
    }
    kept.extend_from_slice(&body[end_of_last..]);
    kept
}

/// A vendor's answer.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer. In every case the vendor may have done what was asked.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TransportError {
    /// The deadline passed.
    #[error("no answer within the deadline")]
    Timeout,
    /// The connection could not be made or broke.
    #[error("connection failed")]
    Connection,
    /// The body was larger than [`Request::max_response_bytes`].
    #[error("the answer is too large")]
    TooLarge,
}

impl Response {
    /// Tells whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reads `Retry-After`, given in seconds or as a date.
    ///
    /// A date is measured against the answer's own `Date` header, so that no clock is needed and
    /// the vendor's clock may be wrong; without that header a date is ignored.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        let value = self.headers.get("retry-after")?.trim();
        if let Ok(seconds) = value.parse::<u64>() {
            return Some(RetryAfter(seconds.saturating_mul(1_000)));
        }
        let until = jiff::fmt::rfc2822::parse(value).ok()?;
        let sent = jiff::fmt::rfc2822::parse(self.headers.get("date")?).ok()?;
        let wait = until.timestamp().as_millisecond() - sent.timestamp().as_millisecond();
        Some(RetryAfter(u64::try_from(wait).unwrap_or(0)))
    }
}

/// Why a WebSocket did not come about.
#[derive(Clone, Debug)]
pub enum HandshakeFailure {
    /// The vendor answered without upgrading.
    Refused(Response),
    /// There was no answer.
    Unanswered(TransportError),
}

/// What became of a [`Request`].
pub type Outcome = Result<Response, TransportError>;

/// A vendor call that did not do what was asked, with what to do next as data.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq, Serialize, Deserialize)]
#[error("{operation} failed: {reason}")]
pub struct CallError {
    /// The operation, as in [`Request::operation`].
    pub operation: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The vendor's stable error code, if it gave one.
    pub code: Option<String>,
    /// What kind of failure it is, in words of our own that hold for every vendor.
    pub kind: FailureKind,
    /// A short reason without secrets, fit for a timeline.
    pub reason: String,
    /// What to do next.
    pub advice: Advice,
    /// Whether the vendor may have done it all the same (timeouts, broken connections, 5xx).
    pub maybe_done: bool,
}

impl CallError {
    /// Describes a call that got no answer.
    pub fn unanswered(operation: &str, error: &TransportError) -> Self {
        Self {
            operation: operation.to_owned(),
            status: None,
            code: None,
            kind: match error {
                TransportError::Timeout | TransportError::Connection => FailureKind::NoAnswer,
                TransportError::TooLarge => FailureKind::UnexpectedAnswer,
            },
            reason: error.to_string(),
            advice: match error {
                TransportError::Timeout | TransportError::Connection => {
                    Advice::Retry { after: None }
                }
                TransportError::TooLarge => Advice::GiveUp,
            },
            maybe_done: true,
        }
    }

    /// Describes an answer that says it was done, in a form that cannot be read.
    pub fn unreadable(operation: &str, status: u16, reason: &str) -> Self {
        Self {
            operation: operation.to_owned(),
            status: Some(status),
            code: None,
            kind: FailureKind::UnexpectedAnswer,
            reason: reason.to_owned(),
            advice: Advice::GiveUp,
            maybe_done: true,
        }
    }
}

/// Why a call failed, as far as it decides what the meeting does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Timeout or broken connection.
    NoAnswer,
    /// The vendor is down or shedding load (5xx).
    Unavailable,
    /// An answer that claims success and cannot be read.
    UnexpectedAnswer,
    /// The vendor finds the request wrong (400, 422 and the like).
    InvalidRequest,
    /// The key is wrong, missing or of another region (401).
    Unauthorized,
    /// The account has no credit or quota left (402, or a vendor's code for it).
    InsufficientCredit,
    /// The key or plan does not allow it, or a firewall refused it (403).
    Forbidden,
    /// The thing does not exist, or no longer (404).
    NotFound,
    /// The bot is on its way and can only be asked to leave (405 on deleting a bot).
    AlreadyDispatched,
    /// The bot has not started, so it takes no commands yet.
    NotStarted,
    /// The bot is done, so it takes no commands any more.
    AlreadyOver,
    /// The same idempotency key is being worked on (409).
    InFlight,
    /// Too many calls (429).
    RateLimited,
    /// No bot is free right now (507).
    PoolEmpty,
    /// As many avatar sessions run as the plan allows.
    ConcurrencyReached,
    /// The avatar does not exist, is not ours to use, or is retired.
    AvatarUnknown,
    /// The avatar session is over, or never was.
    SessionGone,
}

/// What a failed call asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Advice {
    /// Trying again cannot help.
    GiveUp,
    /// Try again under the same idempotency key, not before `after` where the vendor says so.
    Retry {
        /// The vendor's `Retry-After`.
        after: Option<RetryAfter>,
    },
    /// Try again under a new idempotency key, as the vendor would replay its refusal under the old one.
    RetryWithNewKey {
        /// The vendor's `Retry-After`, or the wait its documentation asks for.
        after: Option<RetryAfter>,
    },
}

/// The wait a vendor asked for, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetryAfter(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> Response {
        Response {
            status: 429,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Vec::new(),
        }
    }

    #[test]
    fn an_answer_that_repeats_a_key_loses_it() {
        let request = Request {
            operation: "recall.get_bot",
            method: Method::Get,
            url: String::new(),
            headers: vec![
                ("accept", HeaderValue::Plain("application/json".to_owned())),
                (
                    "authorization",
                    HeaderValue::Secret(Secret::new("Token fake-key-1")),
                ),
                ("x-pin", HeaderValue::Secret(Secret::new("1234"))),
            ],
            body: None,
            deadline: Duration::ZERO,
            max_response_bytes: 0,
        };
        let censored = |body: &str| {
            let mut response = Response {
                body: body.as_bytes().to_vec(),
                ..Response::default()
            };
            request.censor(&mut response);
            String::from_utf8(response.body).unwrap()
        };
        assert_eq!(
            censored("fake-key-1 of Token fake-key-1fake-key-1!"),
            "*** of Token ******!"
        );
        let harmless = "application/json 1234 fake-key-2";
        assert_eq!(censored(harmless), harmless);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let seconds = answer(&[("retry-after", "7")]);
        assert_eq!(seconds.retry_after(), Some(RetryAfter(7_000)));
        let date = answer(&[
            ("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT"),
            ("date", "Sun, 22 Nov 2026 10:00:00 GMT"),
        ]);
        assert_eq!(date.retry_after(), Some(RetryAfter(30_000)));
    }

    #[test]
    fn retry_after_in_the_past_means_now_and_nonsense_means_nothing() {
        let past = answer(&[
            ("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT"),
            ("date", "Sun, 22 Nov 2026 10:00:00 GMT"),
        ]);
        assert_eq!(past.retry_after(), Some(RetryAfter(0)));
        for headers in [
            &[][..],
            &[("retry-after", "soon")],
            &[("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT")],
        ] {
            assert_eq!(answer(headers).retry_after(), None, "{headers:?}");
        }
    }
}
