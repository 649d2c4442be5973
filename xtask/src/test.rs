//! `cargo xtask test`: everything that must hold before a change lands.
//!
//! Runs every stage even after a failure, so that one run tells the whole story, and ends with one line that counts.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::rust_tools::CARGO_DENY;
use crate::{build, demo, page, paths, run, say};

/// One part of the whole check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// The source is formatted
    Format,
    /// clippy on this machine's target, warnings denied
    Lint,
    /// clippy on the Worker as it is deployed, warnings denied
    LintWasm,
    /// Licences, duplicates and origins of the dependencies
    Dependencies,
    /// The tests of every crate, without the runtime
    Unit,
    /// The Worker and the bot's page build
    Build,
    /// The bot's page in a real browser, against a meeting and an avatar's room of the tests
    Page,
    /// The built Worker in its runtime against the simulated vendors
    Scenarios,
    /// The demo plays from start to end
    Demo,
}

/// How many tests passed and failed. A stage that is no test run and fails counts as one failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// Runs the stages, all of them if none is named, and tells whether everything holds.
pub(crate) fn run(only: &[Stage]) -> bool {
    let stages: Vec<Stage> = Stage::value_variants()
        .iter()
        .copied()
        .filter(|stage| only.is_empty() || only.contains(stage))
        .collect();
    let mut total = Count::default();
    let mut lines = Vec::new();
    for (number, stage) in (1..).zip(&stages) {
        say::step(
            "Stage",
            &format!("{number} of {}: {}", stages.len(), stage.describe()),
        );
        let start = Instant::now();
        let mut count = Count::default();
        let outcome = stage.run(&mut count);
        if outcome.is_err() && count.failed == 0 {
            count.failed = 1;
        }
        total.passed += count.passed;
        total.failed += count.failed;
        lines.push((
            outcome.is_ok(),
            result_line(*stage, &outcome, start.elapsed()),
        ));
    }
    eprintln!();
    for (holds, line) in lines {
        if holds {
            say::step("Passed", &line);
        } else {
            say::problem("Failed", &line);
        }
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    total.failed == 0
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
            Self::Dependencies => "licences and origins of dependencies",
            Self::Unit => "tests of every crate",
            Self::Build => "the Worker's build",
            Self::Page => "the page in a real browser",
            Self::Scenarios => "scenarios in the real runtime",
            Self::Demo => "the demo",
        }
    }

    fn run(self, count: &mut Count) -> Result<()> {
        match self {
            Self::Format => run::shown(&mut cargo(&["fmt", "--all", "--check"])),
            Self::Lint => run::shown(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])),
            Self::LintWasm => run::shown(
                cargo(&[
                    "clippy",
                    "--package",
                    "attache",
                    "--target",
                    "wasm32-unknown-unknown",
                ])
                .args(["--", "-D", "warnings"]),
            ),
            Self::Dependencies => dependencies(),
            Self::Unit => cargo_test(&["--workspace", "--exclude", "attache-tests"], count),
            Self::Build => build::run(),
            Self::Page => counted(&mut page::tests()?, parse_node_result, count),
            Self::Scenarios => cargo_test(&["--package", "attache-tests"], count),
            Self::Demo => demo::run("voice", false).and_then(|()| demo::run("avatar", false)),
        }
    }
}

/// Needs no network once the dependencies are there; known vulnerabilities are a matter of CI, which has one.
fn dependencies() -> Result<()> {
    CARGO_DENY.ensure()?;
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
    fn the_summary_of_node_is_counted_and_its_other_lines_are_not() {
        let count = |passed, failed| Some(Count { passed, failed });
        assert_eq!(parse_node_result("ℹ pass 21"), count(21, 0));
        assert_eq!(parse_node_result("ℹ fail 2"), count(0, 2));
        assert_eq!(parse_node_result("ℹ duration_ms 2381.4"), None);
        assert_eq!(parse_node_result("✔ it starts (2.1ms)"), None);
    }
}
