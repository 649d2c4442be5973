//! The load: connections that are kept open, each sending the next webhook once the last is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::process::{Runtime, own_processor_time};
use crate::webhooks::Webhooks;

/// How many webhooks are on their way at a time.
pub(crate) const CONNECTIONS: usize = 16;
/// An answer takes milliseconds; a Worker that hangs ends the run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the load lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What was measured once the warm-up was over.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// All webhooks that were answered, the warm-up's included.
    pub(crate) sent: usize,
    pub(crate) requests_per_second: f64,
    /// How many webhooks were answered within the first second, when the code was new to the runtime.
    pub(crate) in_first_second: usize,
    /// How long an answer took, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// The runtime's processor time per request.
    pub(crate) processor_time: Option<Duration>,
    /// How much of a core the runtime and the load generator had.
    pub(crate) cores: Option<(f64, f64)>,
}

/// Puts the runtime under load until the time is over or no webhooks are left.
pub(crate) async fn run(
    runtime: &Runtime,
    address: SocketAddr,
    webhooks: Webhooks,
    span: Span,
) -> Result<Measured> {
    let webhooks = Arc::new(webhooks);
    let mut senders = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        senders.push(connect(address).await?);
    }
    let start = Instant::now();
    let (warm, end) = (start + span.warm_up, start + span.warm_up + span.measured);
    let mut connections = JoinSet::new();
    for sender in senders {
        connections.spawn(send_all(sender, Arc::clone(&webhooks), end));
    }
    sleep_until(warm.into()).await;
    let (warm, before, own_before) = (
        Instant::now(),
        runtime.processor_time(),
        own_processor_time(),
    );

    let mut answers: Vec<Answered> = Vec::new();
    while let Some(outcome) = connections.join_next().await {
        answers.extend(outcome.context("a connection broke off")??);
    }
    let elapsed = warm.elapsed();
    let (after, own_after) = (runtime.processor_time(), own_processor_time());

    let mut latencies: Vec<Duration> = answers
        .iter()
        .filter(|answer| answer.at >= warm)
        .map(|answer| answer.took)
        .collect();
    ensure!(
        !latencies.is_empty(),
        "no webhook was answered after the warm-up"
    );
    latencies.sort_unstable();
    let count = u32::try_from(latencies.len()).context("far fewer than 2^32 webhooks")?;
    let spent = after
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    let own = own_after
        .zip(own_before)
        .map(|(after, before)| after.saturating_sub(before));
    let share = |time: Duration| time.as_secs_f64() / elapsed.as_secs_f64();
    let first_second = start + Duration::from_secs(1);
    Ok(Measured {
        in_first_second: answers
            .iter()
            .filter(|answer| answer.at < first_second)
            .count(),
        sent: answers.len(),
        requests_per_second: f64::from(count) / elapsed.as_secs_f64(),
        latencies,
        processor_time: spent.map(|spent| spent / count),
        cores: spent
            .zip(own)
            .map(|(spent, own)| (share(spent), share(own))),
    })
}

/// One answer.
#[derive(Clone, Copy, Debug)]
struct Answered {
    at: Instant,
    took: Duration,
}

/// Opens a connection.
pub(crate) async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address)
        .await
        .context("could not connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // How it ends is seen by the requests on it.
    tokio::spawn(connection);
    Ok(sender)
}

/// Sends one webhook and waits for all of the answer; anything but success is an error.
pub(crate) async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    webhook: hyper::Request<Full<Bytes>>,
) -> Result<()> {
    let exchange = async {
        sender.ready().await?;
        let answer = sender.send_request(webhook).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, body))
    };
    let (status, body) = timeout(ANSWER_TIMEOUT, exchange)
        .await
        .map_err(|_| anyhow::anyhow!("no answer within {ANSWER_TIMEOUT:?}"))??;
    if !status.is_success() {
        bail!(
            "a webhook was answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
    }
    Ok(())
}

async fn send_all(
    mut sender: SendRequest<Full<Bytes>>,
    webhooks: Arc<Webhooks>,
    end: Instant,
) -> Result<Vec<Answered>> {
    let mut answers = Vec::new();
    let mut begin = Instant::now();
    while begin < end {
        let Some(webhook) = webhooks.take() else {
            break;
        };
        send(&mut sender, webhook).await?;
        let at = Instant::now();
        answers.push(Answered {
            at,
            took: at - begin,
        });
        begin = at;
    }
    Ok(answers)
}
