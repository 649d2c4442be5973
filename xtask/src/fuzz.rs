//! `cargo xtask fuzz`: searches for inputs that break what the targets in `fuzz/` promise.
//!
//! The targets are built once, without a sanitizer: the code is safe Rust, and without one it is tried twice as often.
//! A long run continues from its own corpus below `target/`, and with `--keep` puts what is worth keeping into
//! `fuzz/corpus`; a short one, as `cargo xtask test` makes it, begins with what is kept there.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::rust_tools::CARGO_FUZZ;
use crate::{nightly, paths, run, say};

/// How many targets run at a time: each takes one core.
const AT_ONCE: usize = 2;
/// How often a run that finds nothing says that it goes on.
const PROGRESS: Duration = Duration::from_secs(30);
/// An input that takes this long, in seconds, is a finding: stories take milliseconds, on a busy machine some hundred.
const SLOWEST: u32 = 10;
/// So much memory, in megabytes, is a finding; a Worker has 128 for everything.
const MOST_MEMORY: u32 = 1_024;
/// The longest input, in bytes: many steps, or a long message.
const LONGEST_INPUT: u32 = 4_096;
/// How long each target searches within `cargo xtask test`, beyond trying what is kept.
const SHORT: Duration = Duration::from_secs(3);

/// How a run went.
struct Outcome {
    target: String,
    executions: u64,
    /// Edges of the program that were reached.
    edges: u64,
    inputs: u64,
    took: Duration,
    /// What broke, if anything did: the input's path, or the last words of the program.
    broken: Option<String>,
}

/// What `cargo xtask fuzz` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long each target searches; two run at a time
    #[arg(long, default_value_t = 10.0)]
    minutes: f32,
    /// Runs this target only; may be repeated
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
    /// Puts the fewest inputs that reach all that was reached into fuzz/corpus/
    #[arg(long)]
    keep: bool,
}

/// Searches for some minutes in each target, all of them if none is named.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let targets = chosen(&arguments.only)?;
    build()?;
    let time = Duration::from_secs_f32(arguments.minutes * 60.0);
    let outcomes = search(&targets, |target| Plan {
        corpus: grown(target),
        time,
    })?;
    for line in table(&outcomes) {
        println!("{line}");
    }
    let whole: Vec<&Outcome> = outcomes.iter().filter(|o| o.broken.is_none()).collect();
    if arguments.keep {
        for outcome in &whole {
            keep_smallest(&outcome.target)?;
        }
    }
    verdict(&outcomes)
}

/// Tries everything that is kept and searches for some seconds more; tells how many targets hold and do not.
pub(crate) fn short() -> Result<(usize, usize)> {
    let targets = chosen(&[])?;
    build()?;
    let scratch = folder("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("could not clear up after an earlier run")?;
    }
    let outcomes = search(&targets, |target| Plan {
        corpus: scratch.join(target),
        time: SHORT,
    })?;
    for outcome in &outcomes {
        if outcome.broken.is_none() && outcome.executions == 0 {
            bail!("{} tried nothing", outcome.target);
        }
    }
    let broken = outcomes.iter().filter(|o| o.broken.is_some()).count();
    for line in table(&outcomes) {
        println!("{line}");
    }
    Ok((outcomes.len() - broken, broken))
}

/// One target's run.
struct Plan {
    /// Where inputs that reach something new are put.
    corpus: PathBuf,
    time: Duration,
}

fn home() -> PathBuf {
    paths::root().join("fuzz")
}

/// What runs leave behind.
fn folder(name: &str) -> PathBuf {
    paths::root().join("target/fuzz").join(name)
}

/// The corpus that long runs continue from.
fn grown(target: &str) -> PathBuf {
    folder("corpus").join(target)
}

fn kept(target: &str) -> PathBuf {
    home().join("corpus").join(target)
}

/// The targets asked for, in the order of the alphabet.
fn chosen(only: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(home().join("fuzz_targets")).context("could not list the targets")? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default();
        all.push(name.to_string_lossy().into_owned());
    }
    all.sort();
    if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
        bail!("no target {unknown}; there are {}", all.join(", "));
    }
    all.retain(|name| only.is_empty() || only.contains(name));
    Ok(all)
}

/// Builds all targets, unless they are up to date.
fn build() -> Result<()> {
    CARGO_FUZZ.ensure()?;
    let nightly = nightly::ensure()?;
    say::step("Building", "the fuzz targets");
    let mut command = Command::new(CARGO_FUZZ.path());
    command
        .args([
            "fuzz",
            "build",
            "--sanitizer",
            "none",
            "--strip-dead-code",
            "--target-dir",
        ])
        .arg(folder("build"))
        .current_dir(paths::root());
    nightly.choose(&mut command);
    run::shown(&mut command).context("building the targets takes a C++ compiler, for libFuzzer")
}

/// Where the built targets are.
fn programs() -> Result<PathBuf> {
    let platforms = fs::read_dir(folder("build")).context("nothing was built")?;
    let mut releases = platforms
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("release"));
    releases
        .find(|path| path.join("webhook").exists())
        .context("the built targets are not where they should be")
}

/// Runs the targets, some at a time, and gives what came of each, in their order.
fn search(targets: &[String], plan: impl Fn(&str) -> Plan + Sync) -> Result<Vec<Outcome>> {
    let programs = programs()?;
    let waiting: Mutex<VecDeque<&String>> = Mutex::new(targets.iter().collect());
    let next = || {
        waiting
            .lock()
            .map_or(None, |mut waiting| waiting.pop_front())
    };
    let worker = || -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        while let Some(target) = next() {
            outcomes.push(try_target(&programs, target, &plan(target))?);
        }
        Ok(outcomes)
    };
    let results: Vec<Result<Vec<Outcome>>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| bail!("a run broke off")))
            .collect()
    });
    let mut outcomes = Vec::new();
    for result in results {
        outcomes.extend(result?);
    }
    outcomes.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(outcomes)
}

fn try_target(programs: &Path, target: &str, plan: &Plan) -> Result<Outcome> {
    let findings = home().join("artifacts").join(target);
    for folder in [&plan.corpus, &findings] {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
    }
    let start = Instant::now();
    let mut child = Command::new(programs.join(target))
        .arg(&plan.corpus)
        .args(Some(kept(target)).filter(|folder| folder.exists()))
        .args(flags(target, &findings))
        .arg(format!("-max_total_time={}", plan.time.as_secs().max(1)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {target}"))?;
    let output = child.stderr.take().context("its output is piped")?;
    let mut outcome = Outcome {
        target: target.to_owned(),
        executions: 0,
        edges: 0,
        inputs: 0,
        took: Duration::ZERO,
        broken: None,
    };
    let mut last_words = VecDeque::new();
    let mut told = Instant::now();
    for line in BufReader::new(output).lines() {
        let line = line.unwrap_or_default();
        outcome.take_in(&line);
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            say::step("Fuzzing", &outcome.progress());
        }
        last_words.push_back(line);
        if last_words.len() > 12 {
            last_words.pop_front();
        }
    }
    let status = child.wait()?;
    outcome.took = start.elapsed();
    if status.success() {
        say::step("Fuzzed", &outcome.progress());
    } else {
        let words: Vec<String> = last_words.into();
        let path = words
            .iter()
            .find_map(|line| line.split("written to ").nth(1));
        let broken = path.map_or_else(|| words.join("\n"), str::to_owned);
        say::problem("Broken", &format!("{target}: {broken}"));
        outcome.broken = Some(broken);
    }
    Ok(outcome)
}

/// What every run of a target is told.
fn flags(target: &str, findings: &Path) -> Vec<String> {
    let mut flags = vec![
        format!("-artifact_prefix={}/", findings.display()),
        format!("-timeout={SLOWEST}"),
        format!("-rss_limit_mb={MOST_MEMORY}"),
        format!("-max_len={LONGEST_INPUT}"),
        "-print_final_stats=1".to_owned(),
    ];
    let dictionary = home().join(format!("dictionaries/{target}.dict"));
    if dictionary.exists() {
        flags.push(format!("-dict={}", dictionary.display()));
    }
    flags
}

impl Outcome {
    /// Reads lines such as `#4096 NEW cov: 812 ft: 1800 corp: 120/9Kb …` and `stat::number_of_executed_units: 4096`.
    fn take_in(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "stat::number_of_executed_units:" {
            self.executions = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        }
        let Some(count) = first.strip_prefix('#').and_then(|n| n.parse().ok()) else {
            return;
        };
        self.executions = count;
        let words: Vec<&str> = words.collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at + 1)?.split('/').next()?.parse().ok()
        };
        self.edges = after("cov:").unwrap_or(self.edges);
        self.inputs = after("corp:").unwrap_or(self.inputs);
    }

    fn progress(&self) -> String {
        format!(
            "{}: {} executions, {} edges, {} inputs",
            self.target, self.executions, self.edges, self.inputs
        )
    }
}

fn table(outcomes: &[Outcome]) -> Vec<String> {
    let mut lines = vec![
        "| Target | Executions | a second | Edges | Inputs | Crashes |".to_owned(),
        "| --- | ---: | ---: | ---: | ---: | --- |".to_owned(),
    ];
    for outcome in outcomes {
        let seconds = outcome.took.as_secs().max(1);
        lines.push(format!(
            "| `{}` | {} | {} | {} | {} | {} |",
            outcome.target,
            outcome.executions,
            outcome.executions / seconds,
            outcome.edges,
            outcome.inputs,
            outcome.broken.as_deref().unwrap_or("none")
        ));
    }
    lines
}

fn verdict(outcomes: &[Outcome]) -> Result<()> {
    let broken: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.broken.is_some())
        .map(|outcome| outcome.target.as_str())
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    bail!("broken: {}", broken.join(", "))
}

/// Puts the fewest inputs that reach everything that was reached in place of those that are kept.
fn keep_smallest(target: &str) -> Result<()> {
    let fewest = folder("fewest").join(target);
    if fewest.exists() {
        fs::remove_dir_all(&fewest)?;
    }
    fs::create_dir_all(&fewest)?;
    let output = Command::new(programs()?.join(target))
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .arg(format!("-max_len={LONGEST_INPUT}"))
        .args([&fewest, &kept(target), &grown(target)])
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("could not start {target}"))?;
    if !output.success() {
        bail!("the corpus of {target} could not be minimised");
    }
    let kept = kept(target);
    fs::remove_dir_all(&kept)?;
    fs::create_dir_all(&kept)?;
    let mut count = 0;
    for entry in fs::read_dir(&fewest)? {
        let entry = entry?;
        fs::copy(entry.path(), kept.join(entry.file_name()))?;
        count += 1;
    }
    say::step("Kept", &format!("{target}: {count} inputs"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_says_is_read() {
        let mut outcome = Outcome {
            target: "webhook".to_owned(),
            executions: 0,
            edges: 0,
            inputs: 0,
            took: Duration::ZERO,
            broken: None,
        };
        outcome.take_in(
            "#4096\tNEW    cov: 812 ft: 1800 corp: 120/9Kb lim: 64 exec/s: 2048 rss: 40Mb",
        );
        outcome.take_in("INFO: Loaded 1 modules   (60217 inline 8-bit counters)");
        assert_eq!(
            (outcome.executions, outcome.edges, outcome.inputs),
            (4096, 812, 120)
        );
        outcome.take_in("stat::number_of_executed_units: 5000");
        assert_eq!(outcome.executions, 5000);
    }
}
