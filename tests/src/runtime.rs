//! The built Worker under the real `wrangler dev`.
//!
//! Starts on a free port with storage of its own, can be killed without warning and started again on the same port
//! and storage, and keeps everything it printed.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use url::Url;

use crate::api::Api;
use crate::home::{Home, checkout};
use crate::process::{Output, ProcessGroup};
use crate::settings::{API_KEY, Settings};
use crate::workerd;

/// Starting takes two seconds on an idle machine; a busy one gets ten times that.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A port is picked before it is used; somebody else may take it in between.
const START_ATTEMPTS: usize = 3;

/// After a kill the kernel frees the port at once; the bound is for a busy machine.
const PORT_TIMEOUT: Duration = Duration::from_secs(5);
const PORT_RETRY: Duration = Duration::from_millis(10);

/// What wrangler prints once it accepts connections.
const READY: &str = "Ready on http";

/// What wrangler prints once changed code has taken over.
const RELOADED: &str = "Local server updated and ready";

/// A Worker that runs, until it is killed or dropped.
#[derive(Debug)]
pub struct Runtime {
    home: Home,
    settings: Settings,
    port: u16,
    process: Option<ProcessGroup>,
    output: Output,
}

impl Runtime {
    /// Builds the Worker if needed, starts it and waits until it answers.
    pub async fn start(settings: Settings) -> Result<Self> {
        let home = Home::create().await?;
        let mut runtime = Self {
            home,
            settings,
            port: 0,
            process: None,
            output: Output::default(),
        };
        for attempt in 1..=START_ATTEMPTS {
            runtime.port = free_port()?;
            match runtime.start_again().await {
                Ok(()) => break,
                Err(error) if attempt == START_ATTEMPTS || !is_taken_port(&error) => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(runtime)
    }

    /// The Worker's origin, which is also its `PUBLIC_URL`.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where Recall sends its webhooks.
    pub fn webhook_url(&self) -> Result<Url> {
        Ok(Url::parse(&format!("{}/webhooks/recall", self.base_url()))?)
    }

    /// A client with the key of tenant `default`.
    pub fn api(&self) -> Api {
        Api::new(
            &self.base_url(),
            self.settings.get("API_KEY").unwrap_or(API_KEY),
        )
    }

    /// What the Worker was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Kills the runtime without warning: SIGKILL to all of its processes.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the Worker after a kill, on the same port and storage.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the Worker is running");
        wait_for_port(self.port).await?;
        let public_url = self.base_url();
        self.home
            .write_settings(&self.settings.clone().with("PUBLIC_URL", &public_url))?;
        let printed = self.output.len();
        let process = ProcessGroup::spawn(&self.wrangler(), &self.output)?;
        process
            .wait_for_line(READY, printed, START_TIMEOUT)
            .await
            .context("the Worker did not start")?;
        self.process = Some(process);
        let health = self.api().health().await?;
        ensure!(
            health.status == 200,
            "the Worker started but is not healthy: {} {}",
            health.status,
            health.text
        );
        Ok(())
    }

    /// Changes the code of the running Worker, as a rebuild does, and waits until wrangler has replaced it.
    pub async fn reload(&self) -> Result<()> {
        let process = self.process.as_ref();
        let process = process.context("the Worker is not running")?;
        let printed = self.output.len();
        self.home.change_code()?;
        process
            .wait_for_line(RELOADED, printed, START_TIMEOUT)
            .await
            .context("the Worker's code was not replaced")
    }

    /// Kills the runtime and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        self.start_again().await
    }

    /// Starts again with other settings, on the same port and storage.
    pub async fn restart_with(&mut self, settings: Settings) -> Result<()> {
        self.settings = settings;
        self.restart().await
    }

    /// Every line printed since the first start, the Worker's log included.
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Where the runtime keeps its databases: the objects' and the directory's.
    pub fn storage(&self) -> PathBuf {
        self.home.storage()
    }

    /// The secrets among the settings that appear in the output, by line.
    pub fn leaked_secrets(&self) -> Vec<String> {
        let secrets = self.settings.secrets();
        self.output()
            .into_iter()
            .filter(|line| secrets.iter().any(|secret| line.contains(secret)))
            .collect()
    }

    fn wrangler(&self) -> Command {
        let mut command = Command::new(checkout().join("node_modules/.bin/node"));
        command
            .arg(checkout().join("node_modules/wrangler/bin/wrangler.js"))
            .args([
                "dev",
                "--show-interactive-dev-session=false",
                "--log-level=log",
                "--ip=127.0.0.1",
            ])
            .arg(format!("--port={}", self.port))
            .args(["--inspector-port=0", "--persist-to"])
            .arg(self.home.storage())
            .current_dir(self.home.path())
            .env("CI", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_SEND_ERROR_REPORTS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("MINIFLARE_WORKERD_V8_FLAGS", workerd::V8_FLAGS)
            // Workers that run side by side must not find each other.
            .env("WRANGLER_REGISTRY_PATH", self.home.path().join("registry"))
            .env("WRANGLER_LOG_PATH", self.home.path().join("logs"));
        command
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

async fn wait_for_port(port: u16) -> Result<()> {
    let start = Instant::now();
    // There is no event for a port that becomes free.
    while TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        if start.elapsed() > PORT_TIMEOUT {
            bail!("port {port} is taken: Address already in use");
        }
        tokio::time::sleep(PORT_RETRY).await;
    }
    Ok(())
}

fn is_taken_port(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    text.contains("Address already in use") || text.contains("EADDRINUSE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_killed_worker_answers_again_on_the_same_port() {
        let settings = Settings::new(
            "http://127.0.0.1:9/api/v1",
            "http://127.0.0.1:9",
            "whsec_fake",
        );
        let mut runtime = Runtime::start(settings).await.unwrap();
        let (api, printed) = (runtime.api(), runtime.output().len());
        assert_eq!(api.health().await.unwrap().body["status"], "ok");

        runtime.kill();
        assert!(api.health().await.is_err());

        runtime.start_again().await.unwrap();
        assert_eq!(api.health().await.unwrap().body["status"], "ok");
        assert!(runtime.output().len() > printed);
        assert_eq!(runtime.leaked_secrets(), Vec::<String>::new());
    }
}
