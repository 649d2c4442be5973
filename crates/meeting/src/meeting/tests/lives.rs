//! Whole lives of meetings in a world full of trouble: whatever happens, the promises hold.
//!
//! `PROPTEST_CASES=100000` lives that many; a seed that broke a promise is kept and lived again for ever.

use proptest::prelude::*;

use crate::meeting::tests::world::World;

proptest! {
    // A seed cannot be made simpler by making it smaller.
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_holds_whatever_is_lost_repeated_refused_or_killed(seed: u64) {
        World::new(seed).live();
    }
}
