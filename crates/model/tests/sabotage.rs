//! The checks bite: each fault that is put in on purpose is found within some lives.

use attache_model::{Sabotage, Search};

/// The rarest of them is found in a fraction of these.
const MAX_LIVES: u64 = 1_500;

#[test]
fn every_fault_that_is_put_in_is_found() {
    let mut missed = Vec::new();
    for sabotage in Sabotage::ALL {
        let mut search = Search::new(7, Some(sabotage), 0);
        let found = loop {
            if let Some(found) = search.next_life() {
                break Some(found);
            }
            if search.lives >= MAX_LIVES {
                break None;
            }
        };
        match found {
            Some(found) => println!(
                "{sabotage:?}: life {}: {:?}",
                search.lives, found.violation.promise
            ),
            None => missed.push(sabotage),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
