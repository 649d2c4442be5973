//! Known vulnerabilities of the dependencies, as far as they can be looked up from here.
//!
//! Both sources are on the network: the database of `RustSec`, and what the npm registry knows of the locked packages.
//! A finding fails the check. A source that cannot be reached does not, as a machine may be offline; then the check
//! says what was not looked up and why, and whoever runs it sees that at the end.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::rust_tools::CARGO_DENY;
use crate::{paths, run};

/// The database is some megabytes; whoever waits longer is as good as offline.
const FETCH_PATIENCE: Duration = Duration::from_mins(1);

/// The registry answers one request, after two attempts of npm's own at most.
const AUDIT_PATIENCE: Duration = Duration::from_mins(1);

/// Looks at crates and packages; gives what could not be looked up.
pub(crate) fn check() -> Result<Vec<String>> {
    let crates = crates();
    // The one does not hide what the other finds.
    let packages = packages();
    Ok([crates?, packages?].into_iter().flatten().collect())
}

/// By the rules of deny.toml, with the newest database that can be had.
fn crates() -> Result<Option<String>> {
    let mut fetch = deny();
    fetch.args(["fetch", "db"]);
    // No questions on the terminal, and no waiting for a connection that hangs, even by git alone.
    fetch
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
        .env("GIT_HTTP_LOW_SPEED_TIME", "30");
    let unreachable = match run::within(&mut fetch, FETCH_PATIENCE)? {
        Some(fetched) if fetched.status.success() => None,
        Some(fetched) => Some(reason(&String::from_utf8_lossy(&fetched.stderr))),
        None => Some(format!("no answer in {} s", FETCH_PATIENCE.as_secs())),
    };
    if unreachable.is_some() && !has_database() {
        return Ok(unreachable.map(|why| {
            format!("crates were not checked for known vulnerabilities, as the database cannot be fetched: {why}")
        }));
    }
    let mut check = deny();
    check.args(["--offline", "check", "--hide-inclusion-graph", "advisories"]);
    run::shown(&mut check).context("crates have known vulnerabilities")?;
    Ok(unreachable.map(|why| {
        format!("crates were checked with an earlier database of vulnerabilities, as a new one cannot be fetched: {why}")
    }))
}

fn deny() -> Command {
    let mut command = Command::new(CARGO_DENY.path());
    command
        .args(["--log-level", "error"])
        .current_dir(paths::root());
    command
}

/// Whether an earlier fetch left a database; beside it lies a lock file.
fn has_database() -> bool {
    let entries = fs::read_dir(paths::tools().join("advisories"));
    entries.is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}

/// What the registry knows of the packages in package-lock.json: of those in the bot's page, and of the tools.
fn packages() -> Result<Option<String>> {
    let mut audit = Command::new("npm");
    audit
        .args([
            "audit",
            "--json",
            "--fetch-retries=1",
            "--fetch-timeout=20000",
        ])
        .current_dir(paths::root());
    let Some(output) = run::within(&mut audit, AUDIT_PATIENCE)? else {
        let seconds = AUDIT_PATIENCE.as_secs();
        return Ok(Some(not_audited(&format!("no answer in {seconds} s"))));
    };
    judge_audit(&String::from_utf8_lossy(&output.stdout))
}

fn not_audited(why: &str) -> String {
    format!("npm packages were not checked for known vulnerabilities: {why}")
}

/// Reads npm's report. High and critical ones fail; tools that run on our own input may have lesser ones.
fn judge_audit(report: &str) -> Result<Option<String>> {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    let Some(counts) = report.pointer("/metadata/vulnerabilities") else {
        let why = report["message"]
            .as_str()
            .or(report["error"]["summary"].as_str());
        return Ok(Some(not_audited(&reason(
            why.unwrap_or("npm gave no report"),
        ))));
    };
    let count = |severity: &str| counts[severity].as_u64().unwrap_or(0);
    if count("high") + count("critical") > 0 {
        bail!(
            "npm packages have known vulnerabilities: {}",
            severe(&report).join(", ")
        );
    }
    let lesser = count("moderate") + count("low") + count("info");
    Ok((lesser > 0)
        .then(|| format!("npm knows of {lesser} lesser vulnerabilities: see `npm audit`")))
}

fn severe(report: &Value) -> Vec<&str> {
    let found = report["vulnerabilities"].as_object().into_iter().flatten();
    let severe =
        found.filter(|(_, about)| matches!(about["severity"].as_str(), Some("high" | "critical")));
    severe.map(|(name, _)| name.as_str()).collect()
}

/// The last line that says something, which is where git and npm put it.
fn reason(told: &str) -> String {
    let line = told.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.unwrap_or("no reason was given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_does_not_answer_is_told_and_does_not_fail() {
        let refused =
            r#"{"message": "405 Method Not Allowed", "statusCode": 405, "error": {"summary": ""}}"#;
        let told = judge_audit(refused)
            .expect("it does not fail")
            .expect("it is told");
        assert!(
            told.contains("not checked") && told.contains("405 Method Not Allowed"),
            "{told}"
        );
        assert!(judge_audit("").expect("it does not fail").is_some());
    }

    #[test]
    fn a_severe_vulnerability_fails_with_the_name_of_the_package() {
        let report = r#"{"vulnerabilities": {"ws": {"severity": "high"}, "sharp": {"severity": "low"}},
            "metadata": {"vulnerabilities": {"info": 0, "low": 1, "moderate": 0, "high": 1, "critical": 0, "total": 2}}}"#;
        let error = judge_audit(report).expect_err("it fails").to_string();
        assert!(error.ends_with("vulnerabilities: ws"), "{error}");
    }

    #[test]
    fn nothing_is_told_of_packages_without_vulnerabilities() {
        let counts = |low: u32| {
            format!(
                r#"{{"metadata": {{"vulnerabilities": {{"low": {low}, "high": 0, "critical": 0}}}}}}"#
            )
        };
        assert_eq!(judge_audit(&counts(0)).expect("it passes"), None);
        let lesser = judge_audit(&counts(2))
            .expect("it passes")
            .expect("it is told");
        assert!(lesser.contains("2 lesser"), "{lesser}");
    }

    #[test]
    fn the_reason_is_the_last_line_with_words() {
        assert_eq!(
            reason("Cloning …\nfatal: could not resolve host\n\n"),
            "fatal: could not resolve host"
        );
    }
}
