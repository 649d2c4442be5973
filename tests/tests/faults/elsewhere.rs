//! The other host: where redirects lead, and where nothing may arrive.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// How much of a request is kept: its head, with whatever credentials it has.
const KEPT: usize = 4 * 1024;

/// A server that writes down the beginning of whatever reaches it.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) url: Url,
    received: Arc<Mutex<Vec<String>>>,
}

impl Elsewhere {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let kept = received.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = vec![0; KEPT];
                let length = socket.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                kept.lock().expect("nobody panics with it").push(head);
            }
        });
        Ok(Self {
            // Another name than the simulator's, so another host.
            url: Url::parse(&format!("http://localhost:{port}"))?,
            received,
        })
    }

    /// Holds that nothing arrived, and that it would have been noticed.
    pub(crate) async fn received_nothing(&self) -> Result<()> {
        let received = || self.received.lock().expect("nobody panics with it").clone();
        ensure!(received().is_empty(), "{:?}", received());
        let port = self.url.port().context("a port")?;
        let probe = TcpStream::connect(("127.0.0.1", port)).await?;
        drop(probe);
        while received().is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
