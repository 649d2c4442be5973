//! What the numbers were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use attache_tests::checkout;

use crate::subject::Workshop;
use crate::table::lay_out;

/// The machine and its tools, and the moment of the measurement.
#[derive(Debug)]
pub(crate) struct Machine {
    facts: Vec<(&'static str, String)>,
    date: String,
    source: String,
    load: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn describe(workshop: &Workshop) -> Result<Self> {
        let unknown = || "unknown".to_owned();
        let workerd = said(Command::new(workshop.workerd()).arg("--version"))?;
        let cores = std::thread::available_parallelism()?;
        let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let disk = file_system(workshop.path()).unwrap_or_else(unknown);
        Ok(Self {
            facts: vec![
                ("Processor", format!("{processor}, {cores} cores")),
                ("Memory", memory().unwrap_or_else(unknown)),
                ("System", system),
                ("Disk", disk),
                ("Runtime", workerd),
                ("`worker` crate", locked("worker")?),
            ],
            date: jiff::Zoned::now().date().to_string(),
            source: source()?,
            load: load().unwrap_or_else(unknown),
        })
    }

    /// What it was measured on.
    pub(crate) fn table(&self) -> String {
        let row = |(name, value): &(&str, String)| vec![(*name).to_owned(), value.clone()];
        let rows: Vec<Vec<String>> = self.facts.iter().map(row).collect();
        lay_out(&["", ""], &rows)
    }

    /// When it was measured, and what.
    pub(crate) fn moment(&self) -> String {
        let Self {
            date, source, load, ..
        } = self;
        format!("{date}, source {source}; load of the machine before the start {load}.")
    }
}

/// The commit, and whether the checkout differs from it.
fn source() -> Result<String> {
    let git =
        |arguments: &[&str]| said(Command::new("git").args(arguments).current_dir(checkout()));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = !git(&[
        "status",
        "--porcelain",
        "--",
        "src",
        "crates/meeting",
        "Cargo.lock",
    ])?
    .is_empty();
    Ok(if changed {
        format!("{commit}, with changes")
    } else {
        commit
    })
}

fn locked(krate: &str) -> Result<String> {
    let lock =
        fs::read_to_string(checkout().join("Cargo.lock")).context("Cargo.lock is missing")?;
    let lock: toml::Table = lock.parse().context("Cargo.lock is not TOML")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let package = packages
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(toml::Value::as_str) == Some(krate));
    let version = package.and_then(|package| package.get("version")?.as_str());
    Ok(version
        .with_context(|| format!("Cargo.lock does not name {krate}"))?
        .to_owned())
}

fn said(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("could not run {command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A field of a file of `name: value` lines.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<String> {
    let total = field("/proc/meminfo", "MemTotal")?;
    let kilobytes: u64 = total.split_whitespace().next()?.parse().ok()?;
    Some(format!("{} GB", (kilobytes + 512 * 1024) / (1024 * 1024)))
}

/// How many processes wanted a core during the last minute, on average.
fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split(' ').next()?.to_owned())
}

/// The kind of file system on which a folder lies.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let (_, kind) = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(mounted, _)| folder.starts_with(mounted))
        .max_by_key(|(mounted, _)| mounted.len())?;
    Some(kind.to_owned())
}
