//! Running other programs.

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often a command with a time limit is looked at; there is no waiting for a process with one.
const LOOK: Duration = Duration::from_millis(50);

/// Runs a command with its output shown; a failure names the command.
pub(crate) fn shown(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start {}", name(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs a command to its end and gives what it wrote; nothing if it takes longer, and then it is killed.
pub(crate) fn within(command: &mut Command, limit: Duration) -> Result<Option<Output>> {
    let name = name(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {name}"))?;
    let stdout = read(child.stdout.take().context("standard output is piped")?);
    let stderr = read(child.stderr.take().context("standard error is piped")?);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    };
    Ok(Some(Output {
        status,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    }))
}

/// Reads beside the waiting, as a full pipe would stop the command.
fn read(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until it broke is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

fn name(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![
        program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy(),
    ];
    words.extend(command.get_args().map(std::ffi::OsStr::to_string_lossy));
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_takes_too_long_is_killed_and_one_that_does_not_is_read() {
        let start = Instant::now();
        let mut sleeps = Command::new("sleep");
        let limit = Duration::from_millis(100);
        let output = within(sleeps.arg("60"), limit).expect("it starts");
        assert!(output.is_none() && start.elapsed() < Duration::from_secs(30));

        // More than a pipe holds.
        let mut writes = Command::new("seq");
        let output = within(writes.arg("100000"), Duration::from_secs(30));
        let output = output.expect("it starts").expect("it ends");
        assert!(output.status.success() && output.stdout.ends_with(b"100000\n"));
    }
}
