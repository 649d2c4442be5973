//! Lives random meetings for as long as it is told, on every core, and keeps what breaks a promise.

#![expect(
    clippy::disallowed_methods,
    reason = "a native program, which measures itself"
)]

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use attache_model::{Coverage, Found, Search, kept, live};
use clap::Parser;

/// How often a line tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How many lives are lived before they are added up.
const BATCH: usize = 50;

#[derive(Parser)]
#[command(about = "Lives random meetings in a world full of trouble")]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Where to begin; the same seed on the same number of threads lives the same lives
    #[arg(long)]
    seed: Option<u64>,
    /// On how many threads; as many as there are cores without it
    #[arg(long)]
    threads: Option<usize>,
    /// Goes on after a broken promise, up to this many
    #[arg(long, default_value_t = 1)]
    violations: usize,
    /// How many attempts are made to make one simpler
    #[arg(long, default_value_t = 3_000)]
    shrinks: u32,
    /// Where schedules that break a promise are kept
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions"))]
    folder: PathBuf,
}

/// What all threads have come to.
#[derive(Default)]
struct Sum {
    lives: u64,
    steps: u64,
    coverage: Coverage,
    found: Vec<Found>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if !replay(&arguments.folder)? {
        return Ok(ExitCode::FAILURE);
    }
    let seed = arguments.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    });
    let threads = arguments
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    println!(
        "seed {seed}, {threads} threads, {} minutes",
        arguments.minutes
    );
    let started = Instant::now();
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let (sum, over) = (Mutex::new(Sum::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        for thread in 0..threads {
            let (sum, over, most) = (&sum, &over, arguments.violations);
            let shrinks = arguments.shrinks;
            let seed = seed.wrapping_add(thread as u64 * 0x1_0000_0000);
            scope.spawn(move || walk(seed, shrinks, most, sum, over));
        }
        while started.elapsed() < length && !over.load(Ordering::Relaxed) {
            let left = length.saturating_sub(started.elapsed());
            wait(left.min(PROGRESS_EVERY), &over);
            progress(&sum, started.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    let sum = sum.into_inner().expect("no thread panics with the sum");
    report(&sum, started.elapsed());
    for found in &sum.found {
        let path = found.keep(&arguments.folder)?;
        println!(
            "\n{}\nbroken promise: {}: {}\nkept in {}",
            found.story,
            found.violation.promise,
            found.violation.what,
            path.display()
        );
    }
    Ok(if sum.found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lives first what once broke a promise.
fn replay(folder: &std::path::Path) -> Result<bool> {
    let mut holds = true;
    for kept in kept(folder)? {
        let outcome = live(&kept.numbers, None, true);
        if let Some(violation) = outcome.violation {
            println!("{}", outcome.story);
            println!(
                "{} breaks a promise again: {violation:?}",
                kept.path.display()
            );
            holds = false;
        }
    }
    Ok(holds)
}

fn walk(seed: u64, shrinks: u32, most: usize, sum: &Mutex<Sum>, over: &AtomicBool) {
    let mut search = Search::new(seed, None, shrinks);
    while !over.load(Ordering::Relaxed) {
        let found: Vec<_> = (0..BATCH)
            .find_map(|_| search.next_life())
            .into_iter()
            .collect();
        let mut sum = sum.lock().expect("no thread panics with the sum");
        sum.lives += std::mem::take(&mut search.lives);
        sum.steps += std::mem::take(&mut search.steps);
        sum.coverage.add(&std::mem::take(&mut search.coverage));
        sum.found.extend(found);
        if sum.found.len() >= most {
            over.store(true, Ordering::Relaxed);
        }
    }
}

fn wait(time: Duration, over: &AtomicBool) {
    let end = Instant::now() + time;
    while Instant::now() < end && !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50).min(time));
    }
}

fn progress(sum: &Mutex<Sum>, time: Duration) {
    let sum = sum.lock().expect("no thread panics with the sum");
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let speed = sum.steps as f64 / time.as_secs_f64();
    println!(
        "{:>5.0} s  {:>10} steps  {:>8} lives  {speed:>7.0} steps/s  {} violations",
        time.as_secs_f64(),
        sum.steps,
        sum.lives,
        sum.found.len()
    );
}

fn report(sum: &Sum, time: Duration) {
    println!("\nWhat the lives came across:");
    for (what, count) in sum.coverage.counts() {
        println!("{count:>12}  {what}");
    }
    println!();
    progress(
        &Mutex::new(Sum {
            found: sum.found.clone(),
            coverage: Coverage::default(),
            ..*sum
        }),
        time,
    );
}
