//! Whole lives: those that once broke a promise, and many more.

use std::path::{Path, PathBuf};

use attache_model::{Search, kept, live};

/// Enough for every kind of trouble, and a matter of seconds.
const STEPS: u64 = 100_000;
/// Where the walk begins; `cargo xtask soak` begins elsewhere each time.
const SEED: u64 = 20_261_201;

fn regressions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

#[test]
fn what_once_broke_a_promise_keeps_it() {
    for kept in kept(&regressions()).unwrap() {
        let outcome = live(&kept.numbers, None, true);
        let path = kept.path.display();
        assert_eq!(outcome.violation, None, "{}\n{path}", outcome.story);
    }
}

#[test]
fn every_promise_holds_whatever_is_lost_repeated_refused_or_killed() {
    let mut search = Search::new(SEED, None, 3_000);
    while search.steps < STEPS {
        if let Some(found) = search.next_life() {
            let path = found.keep(&regressions()).unwrap();
            let (violation, story) = (found.violation, found.story);
            panic!("{story}\n{violation:?}\nkept in {}", path.display());
        }
    }
    for what in [
        "end: ended",
        "end: failed",
        "end: cancelled",
        "end: purged",
        "greeting: sent via output audio",
        "greeting: sent via the page",
        "greeting: sent via the avatar",
        "greeting: sent via chat",
        "restart: crash before the transaction",
        "restart: crash after the transaction",
        "restart: eviction",
        "webhook: dropped",
        "webhook: doubled",
        "webhook: repeated, and known",
        "ears: segments stored",
        "avatar: sessions taken up by a fresh instance",
        "fault: the page is loaded anew",
        "fault: done and never answered",
    ] {
        assert!(search.coverage.of(what) > 0, "no life came across “{what}”");
    }
    println!("{} steps in {} lives", search.steps, search.lives);
}

#[test]
fn the_same_numbers_live_the_same_life() {
    let numbers: Vec<u16> = (0..800_u32)
        .map(|n| u16::try_from(n.wrapping_mul(40_503) % 65_536).unwrap())
        .collect();
    let (first, second) = (live(&numbers, None, true), live(&numbers, None, true));
    assert!(!first.story.is_empty());
    assert_eq!(first.story, second.story);
}
