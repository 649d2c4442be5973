//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! Runs every stage even after a failure, so that one run tells the whole story, and ends with one line that counts.
//! What a stage could not check, for want of a network, is told just before it.
//!
//! Some stages run beside another one, which leaves most of the machine idle: each is a run of this program of its own,
//! whose output is shown in one piece once it is over.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::iter;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::rust_tools::CARGO_DENY;
use crate::{advisories, build, chromium, demo, fuzz, page, paths, run, say, toolchain};

/// One part of the whole check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// The source is formatted
    Format,
    /// clippy on this machine's target, warnings denied
    Lint,
    /// clippy on the Worker as it is deployed, warnings denied
    LintWasm,
    /// Licences, duplicates, origins and known vulnerabilities of the dependencies
    Dependencies,
    /// The tests of every crate, without the runtime
    Unit,
    /// The Worker, the bot's page and the programs of the tests build
    Build,
    /// The fuzz targets, on the inputs that are kept and for some seconds more
    Fuzz,
    /// The bot's page in a real browser, against a meeting and an avatar's room of the tests
    Page,
    /// Meetings whose vendors fail and whose runtime is killed
    Faults,
    /// The demo plays from start to end
    Demo,
    /// The built Worker in its runtime against the simulated vendors
    Scenarios,
}

/// Stages that run beside the one before them, and how much they stand back: the tests of the crates and of the page
/// mostly wait, but measure time, and the build of the Worker ends with minutes on one core.
const BESIDE: [(Stage, Niceness); 3] = [(Stage::Build, 10), (Stage::Fuzz, 19), (Stage::Faults, 0)];

/// The fuzz targets are a workspace of their own.
const FUZZ: [&str; 2] = ["--manifest-path", "fuzz/Cargo.toml"];

/// The tests that need the built Worker.
const TESTS: [&str; 2] = ["--package", "attache-tests"];

/// All of them but the scenarios.
const FAULTS: [&str; 8] = [
    "--lib", "--bins", "--test", "crashes", "--test", "named", "--test", "faults",
];

/// How much of the processor a process leaves to others, as `nice` takes it.
type Niceness = u8;

/// How many tests passed and failed. A stage that is no test run and fails counts as one failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// What came of a stage.
struct Report {
    stage: Stage,
    outcome: Result<()>,
    count: Count,
    took: Duration,
}

/// Runs the stages, all of them if none is named, and tells whether everything holds.
pub(crate) fn run(only: &[Stage]) -> bool {
    let stages: Vec<Stage> = Stage::value_variants()
        .iter()
        .copied()
        .filter(|stage| only.is_empty() || only.contains(stage))
        .collect();
    let mut reports = Vec::new();
    let mut unchecked = Vec::new();
    let mut waiting = stages.iter().copied().peekable();
    let mut number = 0;
    while let Some(stage) = waiting.next() {
        let mut beside = Vec::new();
        while let Some(found) = waiting.peek().and_then(|next| niceness_of(*next)) {
            beside.push(found);
            waiting.next();
        }
        for stage in iter::once(stage).chain(beside.iter().map(|(stage, _)| *stage)) {
            number += 1;
            let what = format!("{number} of {}: {}", stages.len(), stage.describe());
            say::step("Stage", &what);
        }
        let mut shown = thread::scope(|scope| {
            let beside: Vec<_> = beside
                .into_iter()
                .map(|(stage, niceness)| scope.spawn(move || stage.report_apart(niceness)))
                .collect();
            let mut reports = vec![stage.report(&mut unchecked)];
            let apart = beside.into_iter().map(thread::ScopedJoinHandle::join);
            reports.extend(apart.filter_map(Result::ok));
            reports
        });
        reports.append(&mut shown);
    }
    eprintln!();
    let mut total = Count::default();
    for report in &reports {
        total.passed += report.count.passed;
        total.failed += report.count.failed;
        let line = result_line(report.stage, &report.outcome, report.took);
        if report.outcome.is_ok() {
            say::step("Passed", &line);
        } else {
            say::problem("Failed", &line);
        }
    }
    for what in unchecked {
        say::note(&what);
    }
    if reports.len() < stages.len() {
        total.failed += stages.len() - reports.len();
        say::problem("Failed", "a stage broke off");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
}

/// A stage that runs beside the one before it, with its niceness.
fn niceness_of(stage: Stage) -> Option<(Stage, Niceness)> {
    BESIDE.into_iter().find(|(beside, _)| *beside == stage)
}

fn result_line(stage: Stage, outcome: &Result<()>, took: Duration) -> String {
    let told = format!("{} in {:.1} s", stage.describe(), took.as_secs_f32());
    match outcome {
        Ok(()) => told,
        Err(error) => format!("{told}: {error:#}"),
    }
}

impl Stage {
    fn describe(self) -> &'static str {
        match self {
            Self::Format => "formatting",
            Self::Lint => "lints, this machine",
            Self::LintWasm => "lints, the Worker as deployed",
            Self::Dependencies => "dependencies: licences, origins, vulnerabilities",
            Self::Unit => "tests of every crate",
            Self::Fuzz => "the fuzz targets",
            Self::Build => "the builds of Worker, page and tests",
            Self::Page => "the page in a real browser",
            Self::Faults => "faults and kills in the real runtime",
            Self::Scenarios => "scenarios in the real runtime",
            Self::Demo => "the demo",
        }
    }

    fn report(self, unchecked: &mut Vec<String>) -> Report {
        self.report_of(|count| self.run(count, unchecked))
    }

    /// Runs the stage in a process of its own, and shows what it printed when it is over.
    fn report_apart(self, niceness: Niceness) -> Report {
        self.report_of(|count| self.run_apart(niceness, count))
    }

    fn report_of(self, run: impl FnOnce(&mut Count) -> Result<()>) -> Report {
        let start = Instant::now();
        let mut count = Count::default();
        let outcome = run(&mut count);
        if outcome.is_err() && count.failed == 0 {
            count.failed = 1;
        }
        Report {
            stage: self,
            outcome,
            count,
            took: start.elapsed(),
        }
    }

    fn run_apart(self, niceness: Niceness, count: &mut Count) -> Result<()> {
        let name = self.to_possible_value();
        let name = name.as_ref().context("every stage has a name")?.get_name();
        let log: PathBuf = paths::root().join(format!("target/test-{name}.log"));
        let file = File::create(&log).context("could not create a log")?;
        let status = Command::new("nice")
            .args(["-n", &niceness.to_string()])
            .arg(std::env::current_exe()?)
            .args(["test", "--only", name])
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .current_dir(paths::root())
            .status()
            .context("could not start it")?;
        let told = fs::read(&log).context("could not read a log")?;
        let told = String::from_utf8_lossy(&told);
        // In one go, as another stage may be showing what it printed.
        io::stdout().lock().write_all(told.as_bytes())?;
        let last = told.lines().last().and_then(parse_total);
        *count = last.context("it broke off")?;
        if !status.success() {
            bail!("see its output above ({status})");
        }
        Ok(())
    }

    /// Counts tests, and collects what could not be checked here.
    fn run(self, count: &mut Count, unchecked: &mut Vec<String>) -> Result<()> {
        match self {
            Self::Format => {
                run::shown(&mut cargo(&["fmt", "--all", "--check"]))?;
                run::shown(cargo(&["fmt", "--check"]).args(FUZZ))
            }
            Self::Lint => {
                run::shown(&mut cargo(&[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ]))?;
                run::shown(
                    cargo(&["clippy", "--lib", "--target-dir", "target"])
                        .args(FUZZ)
                        .args(["--", "-D", "warnings"]),
                )
            }
            Self::LintWasm => {
                toolchain::ensure_wasm()?;
                run::shown(
                    cargo(&[
                        "clippy",
                        "--package",
                        "attache",
                        "--target",
                        toolchain::WASM,
                    ])
                    .args(["--", "-D", "warnings"]),
                )
            }
            Self::Dependencies => dependencies(unchecked),
            Self::Unit => cargo_test(&["--workspace", "--exclude", "attache-tests"], count),
            Self::Fuzz => fuzz_targets(count),
            Self::Build => build_all(),
            Self::Page => counted(&mut page::tests()?, parse_node_result, count),
            Self::Faults => on_the_worker(&FAULTS, count),
            Self::Demo => demo::both(),
            Self::Scenarios => on_the_worker(&["--test", "scenarios"], count),
        }
    }
}

/// Everything that the later stages run, so that nothing is compiled or installed beside what measures time.
fn build_all() -> Result<()> {
    build::run()?;
    chromium::ensure()?;
    run::shown(&mut cargo(&[
        "test",
        "--no-run",
        "--package",
        "attache-tests",
    ]))
}

/// Runs tests of the built Worker. It is built before them, as their time is bounded and a build takes minutes.
fn on_the_worker(tests: &[&str], count: &mut Count) -> Result<()> {
    build_all()?;
    cargo_test(&[&TESTS[..], tests].concat(), count)
}

/// Needs no network once the dependencies are there, except for known vulnerabilities.
fn dependencies(unchecked: &mut Vec<String>) -> Result<()> {
    CARGO_DENY.ensure()?;
    let rules = licences_and_origins();
    let advisories = advisories::check();
    rules?;
    unchecked.extend(advisories?);
    Ok(())
}

fn licences_and_origins() -> Result<()> {
    run::shown(
        Command::new(CARGO_DENY.path())
            .args([
                "--log-level",
                "error",
                "check",
                "--hide-inclusion-graph",
                "licenses",
                "bans",
                "sources",
            ])
            .current_dir(paths::root()),
    )
}

fn fuzz_targets(count: &mut Count) -> Result<()> {
    let (passed, failed) = fuzz::short()?;
    count.passed += passed;
    count.failed += failed;
    if failed > 0 {
        bail!("{failed} of {} targets are broken", passed + failed);
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(paths::root());
    command
}

fn cargo_test(selection: &[&str], count: &mut Count) -> Result<()> {
    let mut command = cargo(&["test", "--no-fail-fast"]);
    command.args(selection);
    counted(&mut command, parse_result, count)
}

/// Runs tests, shows their output and adds up the lines that count.
fn counted(
    command: &mut Command,
    parse: fn(&str) -> Option<Count>,
    count: &mut Count,
) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start the tests")?;
    let output = child.stdout.take().context("standard output is piped")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("could not read the output of the tests")?;
        println!("{line}");
        if let Some(result) = parse(&line) {
            count.passed += result.passed;
            count.failed += result.failed;
        }
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        bail!("the tests do not build, or a program broke off ({status})");
    }
    if !status.success() {
        bail!(
            "{} of {} tests failed ({status})",
            count.failed,
            count.passed + count.failed
        );
    }
    Ok(())
}

/// Reads the last line of this program.
fn parse_total(line: &str) -> Option<Count> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Count {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

/// Reads a line such as `test result: ok. 8 passed; 0 failed; 1 ignored; …`.
fn parse_result(line: &str) -> Option<Count> {
    let parts = line.strip_prefix("test result: ")?;
    let number = |what: &str| {
        let before = parts
            .split(';')
            .find_map(|part| part.trim().strip_suffix(what))?;
        before.split_whitespace().last()?.parse().ok()
    };
    Some(Count {
        passed: number(" passed")?,
        failed: number(" failed")?,
    })
}

/// Reads the lines `ℹ pass 8` and `ℹ fail 0` at the end of Node's test runner.
fn parse_node_result(line: &str) -> Option<Count> {
    let (what, number) = line.strip_prefix("ℹ ")?.split_once(' ')?;
    let number = number.parse().ok()?;
    let mut count = Count::default();
    match what {
        "pass" => count.passed = number,
        "fail" | "cancelled" => count.failed = number,
        _ => return None,
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let failed = "test result: FAILED. 6 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1s";
        assert_eq!(
            parse_result(failed),
            Some(Count {
                passed: 6,
                failed: 2
            })
        );
        assert_eq!(parse_result("test runtime::tests::it_starts ... ok"), None);
    }

    #[test]
    fn what_a_run_of_its_own_comes_to_is_counted() {
        let count = Some(Count {
            passed: 10,
            failed: 2,
        });
        assert_eq!(parse_total("10 passed, 2 failed"), count);
        assert_eq!(parse_total("Everything happened, in 28 s."), None);
    }

    #[test]
    fn the_summary_of_node_is_counted_and_its_other_lines_are_not() {
        let count = |passed, failed| Some(Count { passed, failed });
        assert_eq!(parse_node_result("ℹ pass 21"), count(21, 0));
        assert_eq!(parse_node_result("ℹ fail 2"), count(0, 2));
        assert_eq!(parse_node_result("ℹ duration_ms 2381.4"), None);
        assert_eq!(parse_node_result("✔ it starts (2.1ms)"), None);
    }
}
