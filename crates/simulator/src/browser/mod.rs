//! A real Chromium without a screen, driven by its own remote protocol.
//!
//! It is what a bot's machine runs: 1280 by 720, the microphone granted, sound played only by the
//! browser's own rules. It ends with this value, and its folder is removed.

mod devtools;
mod page;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use self::devtools::Devtools;
pub use self::devtools::Notice;
pub use self::page::Page;
pub(crate) use self::page::Preparation;

/// From the start of the process to its first words.
const STARTING: Duration = Duration::from_secs(30);
/// How the process says where it is reached.
const REACHED_AT: &str = "DevTools listening on ";
/// Where packages put it.
const PLACES: [&str; 3] = [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
];
const ARGUMENTS: [&str; 13] = [
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    // Candidates with real addresses, as nobody resolves the names that hide them; and pages may reach this
    // machine, where all vendors are.
    "--disable-features=WebRtcHideLocalIpsWithMdns,LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--window-size=1280,720",
];

/// A running browser.
#[derive(Debug)]
pub struct Browser {
    devtools: Arc<Devtools>,
    _process: Child,
    _profile: TempDir,
}

/// What the browser's rules for sound are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autoplay {
    /// Nothing plays before the page was used or hears the microphone, as in any browser.
    AsUsual,
    /// Everything plays.
    Always,
}

impl Browser {
    /// Where a Chromium is installed: `CHROMIUM_BIN`, or where packages put it.
    pub fn find() -> Option<PathBuf> {
        let named = std::env::var_os("CHROMIUM_BIN").map(PathBuf::from);
        let mut places = named.into_iter().chain(PLACES.map(PathBuf::from));
        places.find(|place| place.is_file())
    }

    /// Starts the browser that is installed at this place.
    pub async fn launch(program: &Path, autoplay: Autoplay) -> Result<Self> {
        let profile = TempDir::with_prefix("attache-browser-")?;
        let policy = match autoplay {
            Autoplay::AsUsual => "--autoplay-policy=document-user-activation-required",
            Autoplay::Always => "--autoplay-policy=no-user-gesture-required",
        };
        let mut process = Command::new(program)
            .args(ARGUMENTS)
            .arg(policy)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let url = tokio::time::timeout(STARTING, address(&mut process)).await;
        let url = url.context("the browser says nothing")??;
        let devtools = Devtools::connect(&url).await?;
        Ok(Self {
            devtools: Arc::new(devtools),
            _process: process,
            _profile: profile,
        })
    }

    /// Opens a page that starts by itself; nobody clicks.
    pub async fn open(&self, url: &str) -> Result<Page> {
        let page = self.prepare(&Preparation::default()).await?;
        let answer = page.call("Page.navigate", &json!({ "url": url })).await?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("the page could not be opened: {error}");
        }
        Ok(page)
    }

    /// An empty page, ready to be opened.
    pub(crate) async fn prepare(&self, preparation: &Preparation) -> Result<Page> {
        Page::create(self.devtools.clone(), preparation).await
    }
}

/// Where the process is reached; the rest of what it says is read and forgotten.
async fn address(process: &mut Child) -> Result<String> {
    let words = process.stderr.take().context("the browser has no stderr")?;
    let mut lines = BufReader::new(words).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix(REACHED_AT) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(url.to_owned());
        }
    }
    bail!("the browser ended at once")
}
