//! Deepgram, as far as the streams need it: takes audio, checks every byte, answers with what was said.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use super::ledger::Ledger;
use super::speech::Speech;
use super::wire::{Asked, Inbox, Kind, write_plain};
use crate::vendors::DEEPGRAM_API_KEY;

/// Several frames fit, so that one read empties a socket.
const READ_BYTES: usize = 16 * 1024;

const KEEP_ALIVE: &[u8] = br#"{"type":"KeepAlive"}"#;
const FINALIZE: &[u8] = br#"{"type":"Finalize"}"#;

/// A listening Deepgram; it ends with this value.
#[derive(Debug)]
pub(crate) struct Deepgram {
    pub(crate) address: SocketAddr,
    door: JoinHandle<()>,
}

impl Deepgram {
    /// Listens, and keeps the books.
    pub(crate) async fn start(ledger: Arc<Ledger>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let door = tokio::spawn(async move {
            // Sessions end with the door.
            let mut sessions = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let ledger = Arc::clone(&ledger);
                sessions.spawn(async move {
                    if let Err(error) = listen(socket, &ledger).await {
                        ledger.complain(&error.context("at Deepgram"));
                    }
                });
            }
        });
        Ok(Self { address, door })
    }
}

impl Drop for Deepgram {
    fn drop(&mut self) {
        self.door.abort();
    }
}

/// The path and the header by which a session is opened for a meeting.
pub(crate) fn session(meeting_id: &str) -> (String, (&'static str, String)) {
    let target = format!("/v1/listen?extra=meeting_id:{meeting_id}");
    (
        target,
        ("Authorization", format!("Token {DEEPGRAM_API_KEY}")),
    )
}

async fn listen(mut socket: TcpStream, ledger: &Ledger) -> Result<()> {
    let asked = Asked::read(&mut socket).await?;
    let meeting_id = admit(&asked)?;
    let account = ledger.session(&meeting_id)?;
    asked.accept(&mut socket).await?;

    let mut inbox = Inbox::default();
    let mut answers = Vec::new();
    let mut speech = Speech::default();
    let mut position = 0;
    loop {
        let room = inbox.room();
        room.reserve(READ_BYTES);
        if socket.read_buf(room).await? == 0 {
            bail!("the session of {meeting_id} broke off");
        }
        while let Some((kind, payload)) = inbox.next()? {
            match kind {
                // A stream that pauses between measurements is kept alive; when little is pending, Deepgram need not
                // answer that it is final.
                Kind::Text if payload == KEEP_ALIVE || payload == FINALIZE => {}
                Kind::Text if payload.starts_with(br#"{"type":"#) => {
                    bail!(
                        "an unexpected message: {}",
                        String::from_utf8_lossy(payload)
                    )
                }
                Kind::Binary | Kind::Text => {
                    position = ledger.receive(&account, position, payload)?;
                    speech.hear(position, || account.next_final(), &mut answers);
                }
                Kind::Ping => write_plain(Kind::Pong, payload, &mut answers),
                Kind::Pong => {}
                Kind::Close => bail!("the session of {meeting_id} was closed"),
            }
        }
        if !answers.is_empty() {
            socket.write_all(&answers).await?;
            answers.clear();
        }
    }
}

/// The meeting a session is for, if it may be opened.
fn admit(asked: &Asked) -> Result<String> {
    let key = asked.header("authorization").unwrap_or_default();
    ensure!(key == format!("Token {DEEPGRAM_API_KEY}"), "a wrong key");
    let url = Url::parse("http://deepgram")?.join(&asked.target)?;
    ensure!(
        url.path() == "/v1/listen",
        "the unknown path {}",
        url.path()
    );
    let mut extras = url.query_pairs().filter(|(name, _)| name == "extra");
    let meeting_id =
        extras.find_map(|(_, value)| value.strip_prefix("meeting_id:").map(str::to_owned));
    meeting_id.context("the session does not say which meeting it is for")
}
