//! Recall's side: one signed socket per stream, into which frames go at the pace of the call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use attache_simulator::sign;
use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::ledger::{Account, Ledger};
use super::wire::{Inbox, Kind, dial, write_masked};

/// As often as tokio's timer can; all frames due by then go out together.
const TICK: Duration = Duration::from_millis(1);

/// The headers of a signed upgrade: the content that is signed is empty.
pub(crate) fn signed_upgrade(secret: &str, stream: u32) -> Result<[(&'static str, String); 3]> {
    let id = format!("msg_bench_media_{stream:010}");
    let now = Timestamp::now().as_second();
    let signature = sign(secret, &id, now, b"")?;
    Ok([
        ("webhook-id", id),
        ("webhook-timestamp", now.to_string()),
        ("webhook-signature", signature),
    ])
}

/// An open stream.
#[derive(Debug)]
struct Socket {
    writer: OwnedWriteHalf,
    account: Arc<Account>,
    /// What the socket did not take yet.
    backlog: Vec<u8>,
}

/// All open streams.
#[derive(Debug)]
pub(crate) struct Streams {
    ledger: Arc<Ledger>,
    sockets: Vec<Socket>,
    /// What comes back is read and thrown away; a socket that closes is a problem.
    readers: JoinSet<()>,
    message: Vec<u8>,
}

/// How well the load generator kept to the pace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Punctuality {
    /// The longest that a frame was sent after it was due.
    pub(crate) latest: Duration,
}

impl Streams {
    /// None yet.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            sockets: Vec::new(),
            readers: JoinSet::new(),
            message: Vec::new(),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Opens one more.
    pub(crate) async fn open(
        &mut self,
        account: Arc<Account>,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, String)],
    ) -> Result<()> {
        let socket: TcpStream = dial(address, path, headers).await?;
        let (reader, writer) = socket.into_split();
        let ledger = Arc::clone(&self.ledger);
        self.readers.spawn(async move {
            if let Err(error) = drain(reader).await {
                ledger.complain(&error.context("on a media socket"));
            }
        });
        self.sockets.push(Socket {
            writer,
            account,
            backlog: Vec::new(),
        });
        Ok(())
    }

    /// Sends on the first `count` streams, a frame on each every `pause`, spread evenly, for so long.
    pub(crate) async fn send(
        &mut self,
        count: usize,
        pause: Duration,
        lasting: Duration,
    ) -> Result<Punctuality> {
        let streams = u32::try_from(count).context("far fewer than 2^32 streams")?;
        let apart = pause / streams;
        let frames = per(lasting, apart);
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let start = Instant::now();
        let (mut done, mut latest) = (0, Duration::ZERO);
        while done < frames {
            clock.tick().await;
            self.ledger.check()?;
            let elapsed = start.elapsed();
            let due = (per(elapsed, apart) + 1).min(frames);
            if done < due {
                latest = latest.max(elapsed.saturating_sub(apart * done));
            }
            for socket in self
                .sockets
                .iter_mut()
                .filter(|socket| !socket.backlog.is_empty())
            {
                socket.flush()?;
            }
            for number in done..due {
                let socket = &mut self.sockets[(number % streams) as usize];
                socket.send(&self.ledger, &mut self.message)?;
            }
            done = due;
        }
        Ok(Punctuality { latest })
    }

    /// Waits until everything has arrived.
    pub(crate) async fn settle(&mut self, at_most: Duration) -> Result<()> {
        let rest = async {
            for socket in &mut self.sockets {
                while !socket.backlog.is_empty() {
                    socket.writer.writable().await?;
                    socket.flush()?;
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(at_most, rest)
            .await
            .context("the sockets do not take what was sent")??;
        self.ledger.all_arrived(at_most).await
    }
}

impl Socket {
    fn send(&mut self, ledger: &Ledger, message: &mut Vec<u8>) -> Result<()> {
        let number = ledger.send(&self.account)?;
        message.clear();
        let (stream, origin) = (self.account.stream, &self.account.origin);
        ledger.audio.write_message(stream, number, origin, message);
        let was_empty = self.backlog.is_empty();
        write_masked(Kind::Text, message, &mut self.backlog);
        if was_empty { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        match self.writer.try_write(&self.backlog) {
            Ok(written) => {
                self.backlog.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("a media socket broke off"),
        }
    }
}

/// How many times a pause fits into a time.
fn per(time: Duration, pause: Duration) -> u32 {
    u32::try_from(time.as_nanos() / pause.as_nanos()).unwrap_or(u32::MAX)
}

async fn drain(mut reader: OwnedReadHalf) -> Result<()> {
    let mut inbox = Inbox::default();
    loop {
        if reader.read_buf(inbox.room()).await? == 0 {
            bail!("it broke off");
        }
        while let Some((kind, _)) = inbox.next()? {
            if kind == Kind::Close {
                bail!("it was closed");
            }
        }
    }
}
