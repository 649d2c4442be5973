//! Another program and everything it starts, as one thing that can be killed.
//!
//! The group dies with `kill`, with the value, and with this very process, however that ends: its first member is a
//! shell that waits on a pipe only we hold. Output is kept line by line; waiting for a line is by notification.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::watch;

/// Runs the arguments; when they end, or when our end of the pipe closes, the whole group is killed.
const GUARD: &str = r#"( "$@" </dev/null; kill -9 0 ) & read -r _; kill -9 0"#;

/// Far above what a scenario prints (some hundred lines); stops a runaway program from eating the memory.
const MAX_LINES: usize = 200_000;

/// How many of the last lines an error shows.
const SHOWN_LINES: usize = 30;

/// The lines printed so far, by one program or by several one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Output {
    /// A copy of every line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .expect("no thread panics while it holds the lines")
            .clone()
    }

    /// The last lines, to explain a failure.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        *self.count.borrow()
    }

    fn push(&self, line: String) {
        let mut lines = self
            .lines
            .lock()
            .expect("no thread panics while it holds the lines");
        if lines.len() < MAX_LINES {
            lines.push(line);
            self.count.send_replace(lines.len());
        }
    }
}

/// A running group of processes.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    guard: Child,
    output: Output,
    ended: watch::Receiver<bool>,
    readers: Vec<JoinHandle<()>>,
}

impl ProcessGroup {
    /// Starts `command` in a group of its own, its output going to `output`.
    pub(crate) fn spawn(command: &Command, output: &Output) -> Result<Self> {
        let mut guarded = Command::new("sh");
        guarded
            .args(["-c", GUARD, "sh"])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut guard = guarded.spawn().context("could not start a shell")?;
        let (end, ended) = watch::channel(false);
        let readers = vec![
            read(
                guard.stdout.take().context("standard output is piped")?,
                output,
                end.clone(),
            ),
            read(
                guard.stderr.take().context("standard error is piped")?,
                output,
                end,
            ),
        ];
        Ok(Self {
            guard,
            output: output.clone(),
            ended,
            readers,
        })
    }

    /// Waits for a line, from line number `from` on, that contains `text`.
    pub(crate) async fn wait_for_line(
        &self,
        text: &str,
        from: usize,
        at_most: Duration,
    ) -> Result<()> {
        let mut count = self.output.count.subscribe();
        let mut ended = self.ended.clone();
        let seen = async {
            loop {
                if self
                    .output
                    .lines()
                    .iter()
                    .skip(from)
                    .any(|line| line.contains(text))
                {
                    return Ok(());
                }
                tokio::select! {
                    changed = count.changed() => changed.context("the output has a sender as long as it exists")?,
                    // An error means that the readers are gone, which is the end too.
                    _ = ended.wait_for(|ended| *ended) => bail!("the program ended"),
                }
            }
        };
        let outcome = tokio::time::timeout(at_most, seen)
            .await
            .unwrap_or_else(|_| bail!("waited {at_most:?}"));
        outcome.with_context(|| {
            format!(
                "no line with {text:?}; the last lines were:\n{}",
                self.output.tail()
            )
        })
    }

    /// Kills every process of the group at once (SIGKILL) and waits until they are gone.
    pub(crate) fn kill(&mut self) {
        // It fails only when the whole group is gone already.
        let _ = kill_process_group(Pid::from_child(&self.guard), Signal::KILL);
        let _ = self.guard.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(
    source: impl Read + Send + 'static,
    output: &Output,
    end: watch::Sender<bool>,
) -> JoinHandle<()> {
    let output = output.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            output.push(String::from_utf8_lossy(&line).into_owned());
        }
        end.send_replace(true);
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_line_is_found_when_it_is_printed() {
        let output = Output::default();
        let group =
            ProcessGroup::spawn(&shell("echo one; echo two; exec sleep 60"), &output).unwrap();
        group.wait_for_line("two", 0, SOON).await.unwrap();
        assert_eq!(output.lines(), ["one", "two"]);
    }

    #[tokio::test]
    async fn waiting_for_a_line_ends_when_the_program_ends() {
        let output = Output::default();
        let group = ProcessGroup::spawn(&shell("echo only this"), &output).unwrap();
        let error = group
            .wait_for_line("something else", 0, SOON)
            .await
            .unwrap_err();
        assert!(format!("{error:#}").contains("only this"), "{error:#}");
        assert!(
            format!("{error:#}").contains("the program ended"),
            "{error:#}"
        );
    }

    #[tokio::test]
    async fn killing_the_group_kills_what_the_program_started() {
        let output = Output::default();
        let mut group =
            ProcessGroup::spawn(&shell("sleep 60 & echo started; wait"), &output).unwrap();
        group.wait_for_line("started", 0, SOON).await.unwrap();
        let start = Instant::now();
        // Returns once nobody holds the output any more, and the sleeping grandchild holds it.
        group.kill();
        assert!(start.elapsed() < SOON);
    }
}
