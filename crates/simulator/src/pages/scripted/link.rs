//! The stand-in's connection: how it is made, and how long the page waits before it tries again.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use crate::pages::url::without_queries;

/// A connection that lasted this long was a good one; the page has the same bound.
pub(super) const GOOD_AFTER: Duration = Duration::from_secs(5);
/// How long a server may take to open a socket.
const CONNECTING: Duration = Duration::from_secs(10);
/// The page's own waits between connections: doubling.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

pub(super) type Socket = WebSocketStream<TcpStream>;

/// How long to wait before the next connection. The page draws between half of this and all of it; the
/// stand-in takes the middle.
pub(super) fn reconnect_delay(failures: u32) -> Duration {
    let full = FIRST_DELAY.saturating_mul(1 << failures.min(16));
    full.min(LONGEST_DELAY).mul_f64(0.75)
}

/// Connects, or says what a page would complain of.
pub(super) async fn connect(url: Url) -> Result<Socket, String> {
    match tokio::time::timeout(CONNECTING, open(&url)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(without_queries(&error.to_string())),
        Err(_) => Err("no answer to the handshake".to_owned()),
    }
}

async fn open(url: &Url) -> anyhow::Result<Socket> {
    anyhow::ensure!(url.scheme() == "ws", "there is no TLS here, only ws works");
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, url.port_or_known_default().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(url.as_str().into_client_request()?, stream).await?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_up_to_the_longest() {
        let waits = [0, 1, 2, 30].map(|failures| reconnect_delay(failures).as_micros());
        assert_eq!(waits, [187_500, 375_000, 750_000, 7_500_000]);
    }
}
