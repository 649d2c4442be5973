//! One process of the runtime: started on an open socket, measured, killed.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::{SOCKET, STORAGE};

/// Starting takes some 20 ms on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How many of the last lines an error shows.
const SHOWN_LINES: usize = 20;
/// The length of a tick in which Linux reports processor time, on every architecture it runs on.
const TICK: Duration = Duration::from_millis(10);

/// A running runtime; it does not outlive this value.
#[derive(Debug)]
pub(crate) struct Runtime {
    child: Child,
    pid: u32,
    started_at: Instant,
    output: Option<Lines<BufReader<ChildStdout>>>,
    errors: JoinHandle<Vec<String>>,
}

impl Runtime {
    /// Starts the runtime; requests to the socket wait in its queue until it takes them.
    pub(crate) fn start(
        workerd: &Path,
        config: &Path,
        storage: &Path,
        door: TcpListener,
    ) -> Result<Self> {
        let mut command = Command::new(workerd);
        command
            .arg("serve")
            .arg(config)
            // Standard input is the socket, so no other process can take the port.
            .arg(format!("--socket-fd={SOCKET}=0"))
            .arg("--control-fd=1")
            .arg(format!("--directory-path={STORAGE}={}", storage.display()))
            .stdin(Stdio::from(OwnedFd::from(door)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let started_at = Instant::now();
        let mut child = command.spawn().context("could not start the runtime")?;
        let output = child.stdout.take().context("standard output is piped")?;
        let errors = child.stderr.take().context("standard error is piped")?;
        Ok(Self {
            pid: child.id().context("the runtime has just been started")?,
            child,
            started_at,
            output: Some(BufReader::new(output).lines()),
            errors: tokio::spawn(last_lines(BufReader::new(errors).lines())),
        })
    }

    /// When it was started.
    pub(crate) fn started_at(&self) -> Instant {
        self.started_at
    }

    /// Waits until it says that it listens.
    pub(crate) async fn listens(&mut self) -> Result<()> {
        let mut output = self.output.take().context("it is waited for once")?;
        let listening = async {
            while let Some(line) = output.next_line().await? {
                if line.contains("\"event\":\"listen\"") {
                    return Ok(());
                }
            }
            bail!("it ended")
        };
        let outcome = timeout(START_TIMEOUT, listening)
            .await
            .unwrap_or_else(|_| bail!("waited {START_TIMEOUT:?}"));
        // The Worker's own log comes the same way; somebody has to read it.
        tokio::spawn(last_lines(output));
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.explain("the runtime does not listen").await)),
        }
    }

    /// Processor time so far, of all its threads; none where the system does not tell.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        processor_time(&self.pid.to_string())
    }

    /// Resident memory in bytes; none where the system does not tell.
    pub(crate) fn memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.kill().await
    }

    /// Kills it, SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("could not end the runtime")
    }

    /// Kills it and tells what it complained of.
    pub(crate) async fn explain(&mut self, what: &str) -> String {
        // It fails only when the runtime has ended by itself.
        self.child.kill().await.ok();
        let lines = (&mut self.errors).await.unwrap_or_default();
        if lines.is_empty() {
            what.to_owned()
        } else {
            format!("{what}; its last words were:\n{}\n", lines.join("\n"))
        }
    }
}

/// Processor time of this very program.
pub(crate) fn own_processor_time() -> Option<Duration> {
    processor_time("self")
}

fn processor_time(process: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; user and system time are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let user: u32 = fields.get(11)?.parse().ok()?;
    let system: u32 = fields.get(12)?.parse().ok()?;
    Some(TICK * (user + system))
}

async fn last_lines(mut lines: Lines<BufReader<impl AsyncRead + Unpin>>) -> Vec<String> {
    let mut last = std::collections::VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if last.len() == SHOWN_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last.into()
}
