//! The fault matrix: every call of every vendor that a meeting needs, with everything that may go wrong with it.
//!
//! Each cell is a short meeting of its own on the built Worker in its real runtime, many at a time, watched from outside
//! only. No meeting may hang, lie or leak, and what each does is written in `docs/faults.md`, which must say what is
//! seen. Without more, some cells are tried that hold every call and every fault at least once;
//! `ATTACHE_FAULTS=whole` tries all of them, and `ATTACHE_FAULTS=write` writes the page from them.

mod catalogue;
mod elsewhere;
mod ledger;
mod play;
mod room;
mod stage;
mod table;
mod verdict;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use libtest_mimic::{Arguments, Trial};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;

use catalogue::{Case, Place};
use elsewhere::Elsewhere;
use stage::Stage;
use table::Table;

/// How many meetings go on at a time: most of them wait for something most of the time.
const SIDE_BY_SIDE: usize = 40;

/// How many go on at a time when what they do is in question.
const FEW: usize = 8;

/// A meeting begins this often at most: beginning one takes a Worker and its vendors about a quarter of a second, and
/// a page that finds a Worker overwhelmed is not loaded again.
const BEGINS_EVERY: Duration = Duration::from_millis(250);

/// The longest a meeting may take, all its bounds together.
const LONGEST: Duration = Duration::from_mins(6);

/// The variable that says how much is tried.
const VARIABLE: &str = "ATTACHE_FAULTS";

/// What came of one case.
struct Outcome {
    case: Case,
    sentence: String,
    wrongs: Vec<String>,
    story: String,
    took: Duration,
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let mode = std::env::var(VARIABLE).unwrap_or_default();
    let (whole, write) = (!mode.is_empty(), mode == "write");
    let mut cases = catalogue::cases(whole);
    if let Some(filter) = &arguments.filter {
        cases.retain(|case| case.name().contains(filter.as_str()));
    }
    if arguments.list {
        cases.clear();
    }
    // It has chosen what is tried; the trials only tell what was found.
    arguments.filter = None;
    let runtime = tokio::runtime::Runtime::new().context("could not start tokio")?;
    let (trials, table) = runtime.block_on(run(&cases))?;
    let mut trials: Vec<Trial> = trials
        .into_iter()
        .map(|(name, result)| {
            Trial::test(name, move || {
                result.map_err(|error| format!("{error:#}").into())
            })
        })
        .collect();
    trials.push(Trial::test("the_page_tells_what_was_seen", move || {
        let told = if write {
            table.write()
        } else {
            table.is_as_committed()
        };
        told.map_err(|error| format!("{error:#}").into())
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    Ok(ExitCode::from(u8::from(conclusion.has_failed())))
}

/// Holds all meetings, and gives what each part of the matrix came to, by name.
async fn run(cases: &[Case]) -> Result<(Vec<(String, Result<()>)>, Table)> {
    let elsewhere = Elsewhere::start().await?;
    let places = cases.iter().map(|case| case.part.place);
    let stages = stage::start(places, &elsewhere.url).await?;
    let started = Instant::now();
    let mut outcomes = hold(cases, &stages, SIDE_BY_SIDE).await;
    hold_again(&mut outcomes, &stages).await?;
    println!(
        "{} meetings in {:.0} s",
        cases.len(),
        started.elapsed().as_secs_f32()
    );
    let mut trials = by_part(&outcomes);
    trials.push((
        "nothing_follows_a_redirect_to_another_host".to_owned(),
        elsewhere.received_nothing().await,
    ));
    for (place, stage) in &stages {
        trials.push((
            format!("no_secret_is_printed_at_{place:?}"),
            stage.printed_no_secret(),
        ));
        trials.push((
            format!("no_huge_answer_is_taken_in_at_{place:?}"),
            stage.took_in_no_huge_answer(),
        ));
    }
    let mut table = Table::default();
    for outcome in outcomes {
        if outcome.wrongs.is_empty() {
            table.insert(&outcome.case, outcome.sentence);
        }
    }
    Ok((trials, table))
}

/// Holds those meetings again, fewer at a time, that went otherwise than the page tells or did not get to the call that
/// was to fail: a busy machine lets patience run out that has nothing to do with the fault. What hangs, lies or leaks is
/// not given another chance, and what goes otherwise twice does so.
async fn hold_again(outcomes: &mut Vec<Outcome>, stages: &BTreeMap<Place, Stage>) -> Result<()> {
    let page = Table::committed()?;
    let (as_told, others): (Vec<_>, Vec<_>) =
        std::mem::take(outcomes).into_iter().partition(|outcome| {
            let is_told = page.tells(&outcome.case, &outcome.sentence);
            let missed = outcome
                .wrongs
                .iter()
                .any(|wrong| wrong == verdict::NEVER_ASKED);
            !missed && (is_told || !outcome.wrongs.is_empty())
        });
    *outcomes = as_told;
    let cases: Vec<Case> = others.into_iter().map(|outcome| outcome.case).collect();
    if !cases.is_empty() {
        println!("{} meetings are held again", cases.len());
        outcomes.extend(hold(&cases, stages, FEW).await);
    }
    Ok(())
}

async fn hold(
    cases: &[Case],
    stages: &BTreeMap<Place, Stage>,
    side_by_side: usize,
) -> Vec<Outcome> {
    let mut pace = tokio::time::interval(BEGINS_EVERY);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pace = Mutex::new(pace);
    let meetings = cases.iter().map(async |case| {
        pace.lock().await.tick().await;
        let started = Instant::now();
        let played = match stages.get(&case.part.place) {
            Some(stage) => tokio::time::timeout(LONGEST, play::play(stage, case)).await,
            None => Ok(Err(anyhow::anyhow!("there is no Worker for it"))),
        };
        let (sentence, wrongs, story) = match played {
            Ok(Ok(seen)) => (verdict::sentence(case, &seen), seen.wrongs, seen.story),
            Ok(Err(error)) => (String::new(), vec![format!("{error:#}")], String::new()),
            Err(_) => {
                let wrong = format!("hangs: not over after {LONGEST:?}");
                (String::new(), vec![wrong], String::new())
            }
        };
        Outcome {
            story,
            case: case.clone(),
            sentence,
            wrongs,
            took: started.elapsed(),
        }
    });
    let mut going_on = futures_util::stream::iter(meetings).buffer_unordered(side_by_side);
    let mut outcomes = Vec::new();
    while let Some(outcome) = going_on.next().await {
        let (over, took) = (outcomes.len() + 1, outcome.took.as_secs());
        let name = outcome.case.name();
        println!(
            "{over} of {} ({took} s) {name}: {}",
            cases.len(),
            outcome.sentence
        );
        if !outcome.wrongs.is_empty() {
            println!(
                "wrong: {}: {}\n{}",
                outcome.case.name(),
                outcome.wrongs.join("; "),
                outcome.story
            );
        }
        outcomes.push(outcome);
    }
    outcomes
}

/// One result for each call of a vendor.
fn by_part(outcomes: &[Outcome]) -> Vec<(String, Result<()>)> {
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for outcome in outcomes {
        let part = outcome.case.part;
        let wrongs = parts
            .entry(format!("{}: {}", part.vendor, part.title))
            .or_default();
        if !outcome.wrongs.is_empty() {
            let took = outcome.took.as_secs();
            wrongs.push(format!(
                "{} ({took} s): {}",
                outcome.case.name(),
                outcome.wrongs.join("; ")
            ));
        }
    }
    let result = |wrongs: Vec<String>| {
        if wrongs.is_empty() {
            Ok(())
        } else {
            Err(anyhow::anyhow!(wrongs.join("\n")))
        }
    };
    parts
        .into_iter()
        .map(|(part, wrongs)| (part, result(wrongs)))
        .collect()
}
