//! Whole lives of meetings in a world full of trouble: whatever happens, the promises hold.

use proptest::prelude::*;

use crate::meeting::tests::world::World;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_holds_whatever_is_lost_repeated_refused_or_killed(seed: u64) {
        World::new(seed).live();
    }
}
