//! A host that nobody should tell anything: it notes what it is sent, as it came, and answers everybody the same.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::world::SOON;

/// What is read of a request's head.
const MAX_HEAD: usize = 64 * 1024;

/// The host; it closes when dropped.
#[derive(Debug)]
pub(crate) struct Trap {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

impl Trap {
    /// Opens it; `answer` gives the raw answer from the trap's own origin.
    pub(crate) async fn open(answer: impl Fn(&str) -> String) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let answer: Arc<str> = answer(&format!("http://127.0.0.1:{port}")).into();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (told, count) = watch::channel(0);
        let noted = Arc::clone(&heads);
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(head) = serve(socket, &answer).await else {
                    continue;
                };
                let mut heads = noted.lock().expect("nobody panics with it");
                heads.push(head);
                told.send_replace(heads.len());
            }
        });
        Ok(Self {
            port,
            heads,
            count,
            server,
        })
    }

    /// Its address under this scheme and path.
    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// The heads of the requests so far, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("nobody panics with it").clone()
    }

    /// Waits until it was sent something.
    pub(crate) async fn until_sent(&self) -> Result<()> {
        let mut count = self.count.clone();
        timeout(SOON, count.wait_for(|count| *count > 0))
            .await
            .context("nothing was sent there")??;
        Ok(())
    }

    /// Holds that what it was sent is this path and no other, with nothing in it that opens anything.
    pub(crate) fn was_told_nothing(&self, path: &str, secrets: &[&str]) -> Result<()> {
        for head in self.heads() {
            ensure!(head.starts_with(&format!("get {path}")), "{head}");
            for header in ["authorization:", "xi-api-key:", "x-api-key:", "cookie:"] {
                ensure!(!head.contains(header), "{head}");
            }
            for secret in secrets {
                ensure!(!head.contains(&secret.to_lowercase()), "{head}");
            }
        }
        Ok(())
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut socket: TcpStream, answer: &str) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(socket.read_u8().await?);
    }
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    Ok(String::from_utf8_lossy(&head).to_lowercase())
}
