//! Signed webhooks, made before anything is measured: each says something new in a meeting.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use attache_simulator::sign;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, header};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What somebody says, again and again, with a number at the end: as long as one stretch of speech usually is.
const SENTENCE: &str = "Let us move the launch to Tuesday, since the tests are green, item";

/// What comes between two webhooks, in the meeting's time.
const SECONDS_APART: f64 = 4.0;

/// The meeting the webhooks are for.
#[derive(Clone, Debug)]
pub(crate) struct Addressee {
    pub(crate) meeting_id: String,
    pub(crate) bot_id: String,
}

/// Ready-made requests that are handed out one after the other.
#[derive(Debug)]
pub(crate) struct Webhooks {
    requests: Vec<Request<Full<Bytes>>>,
    next: AtomicUsize,
    again: bool,
}

impl Webhooks {
    /// Makes webhooks number `numbers`, signed with `secret` just now, each to be sent once.
    pub(crate) fn sign(
        numbers: std::ops::Range<usize>,
        to: &Addressee,
        secret: &str,
        host: &str,
    ) -> Result<Self> {
        let now = Timestamp::now().as_second();
        let requests = numbers
            .map(|number| request(number, to, secret, host, now))
            .collect::<Result<_>>()?;
        Ok(Self {
            requests,
            next: AtomicUsize::new(0),
            again: false,
        })
    }

    /// Makes so many webhooks, signed just now, each to be sent once, for one meeting after the other.
    pub(crate) fn sign_for_all(
        count: usize,
        people: &[Addressee],
        secret: &str,
        host: &str,
    ) -> Result<Self> {
        let now = Timestamp::now().as_second();
        let requests = (0..count)
            .zip(people.iter().cycle())
            .map(|(number, to)| request(number, to, secret, host, now))
            .collect::<Result<_>>()?;
        Ok(Self {
            requests,
            next: AtomicUsize::new(0),
            again: false,
        })
    }

    /// The same webhooks, over and over.
    pub(crate) fn repeated(mut self) -> Self {
        self.again = true;
        self
    }

    /// The next one, if there is one left.
    pub(crate) fn take(&self) -> Option<Request<Full<Bytes>>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let index = if self.again {
            number % self.requests.len()
        } else {
            number
        };
        self.requests.get(index).cloned()
    }

    /// The length of a body, on average.
    pub(crate) fn body_bytes(&self) -> u64 {
        use hyper::body::Body as _;
        let sizes = self
            .requests
            .iter()
            .filter_map(|request| request.body().size_hint().exact());
        sizes.sum::<u64>() / self.requests.len().max(1) as u64
    }
}

/// The words of webhook number `number`.
pub(crate) fn text(number: usize) -> String {
    format!("{SENTENCE} {number}")
}

fn request(
    number: usize,
    to: &Addressee,
    secret: &str,
    host: &str,
    now: i64,
) -> Result<Request<Full<Bytes>>> {
    let body = body(number, to).to_string();
    let id = format!("msg_bench_{number:017}");
    let signature = sign(secret, &id, now, body.as_bytes())?;
    Ok(Request::builder()
        .method(Method::POST)
        .uri("/webhooks/recall")
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::from(body)))?)
}

/// A final piece of transcript, in the shape of Recall's real-time endpoints.
fn body(number: usize, to: &Addressee) -> Value {
    // Numbers of webhooks are far below 2^32.
    let begin = f64::from(u32::try_from(number).unwrap_or(u32::MAX)) * SECONDS_APART;
    let words: Vec<Value> = text(number)
        .split(' ')
        .zip(0_u32..)
        .map(|(word, index)| {
            let start = begin + f64::from(index) * 0.25;
            json!({ "text": word,
                "start_timestamp": { "relative": start },
                "end_timestamp": { "relative": start + 0.2 } })
        })
        .collect();
    let metadata = json!({ "meeting_id": to.meeting_id, "tenant_id": "default" });
    let reference = |id: &str| json!({ "id": id, "metadata": metadata });
    json!({
        "event": "transcript.data",
        "data": {
            "data": {
                "words": words,
                "language_code": "en",
                "participant": { "id": 100, "name": "Dana Whitfield", "is_host": true,
                    "platform": "desktop", "extra_data": null, "email": null },
            },
            "realtime_endpoint": reference("5f0c3e0a-8f3e-4f0e-9d6c-2f9a63f0b7a1"),
            "transcript": reference("8d3c7b52-0c7e-4b4f-8a93-0d1d3b0f4c2e"),
            "recording": reference("c1b7a7d0-5b0c-4b35-9f5e-6a2f1e9b8d47"),
            "bot": reference(&to.bot_id),
        },
    })
}
