//! `cargo xtask timeline <meeting>`: what happened in a meeting, for the operator who has to find out why.
//!
//! Asks a running Worker for the meeting and all of its timeline, and prints both as text.
//! What it knows: the API's two answers and how they read well.
//! What it does not know: what an entry means for the meeting; docs/operations.md tells that.

mod render;
mod request;

#[cfg(test)]
mod handbook;
#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::say::Paint;
use request::Worker;

/// The key that `cargo xtask dev` and `cargo xtask demo --keep` print.
const LOCAL_KEY: &str = "att_fake_default_key";

/// Where a key is looked for that is not on the command line.
const KEY_VARIABLE: &str = "ATTACHE_API_KEY";

/// Pages of 100 entries each. A meeting of hours has some thousand entries; this only stops a Worker that never ends.
const MAX_PAGES: usize = 1000;

/// Which meeting, and where to ask.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The meeting's id, mtg_…
    meeting: String,
    /// The Worker's address
    #[arg(long, default_value = "http://127.0.0.1:8787")]
    url: String,
    /// The tenant's API key; better put into the variable `ATTACHE_API_KEY`, where nobody else sees it
    #[arg(long)]
    key: Option<String>,
}

/// Prints the meeting and its timeline.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let id = &arguments.meeting;
    let plain = |c: char| c.is_ascii_alphanumeric();
    ensure!(
        id.strip_prefix("mtg_")
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain)),
        "`{id}` is no meeting's id; one looks like mtg_01m81medpe6atgxjhhsvwxqfwt"
    );
    let key = arguments
        .key
        .clone()
        .or_else(|| std::env::var(KEY_VARIABLE).ok())
        .unwrap_or_else(|| LOCAL_KEY.to_owned());
    let worker = Worker::new(&arguments.url, &key)?;
    let meeting = worker.get(&format!("/v1/meetings/{id}"))?;
    let entries = all_entries(&worker, id)?;
    print!("{}", render::page(&meeting, &entries, Paint::for_results()));
    Ok(())
}

fn all_entries(worker: &Worker, id: &str) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    let mut cursor = String::new();
    for _ in 0..MAX_PAGES {
        let mut page = worker.get(&format!("/v1/meetings/{id}/timeline?limit=100{cursor}"))?;
        let found = page["entries"].take();
        let Value::Array(found) = found else {
            anyhow::bail!("the Worker's timeline has no entries");
        };
        entries.extend(found);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(entries),
        }
    }
    Err(anyhow::anyhow!("it goes on after {MAX_PAGES} pages")).context("the timeline does not end")
}
