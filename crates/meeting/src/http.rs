//! HTTP calls as values: vendor modules build a [`Request`], the shell sends it, vendor modules read the [`Outcome`].

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

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
    /// A short reason without secrets, fit for a timeline.
    pub reason: String,
    /// What to do next.
    pub advice: Advice,
    /// Whether the vendor may have done it all the same (timeouts, broken connections, 5xx).
    pub maybe_done: bool,
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
