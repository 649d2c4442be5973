//! Where a life's luck comes from: a list of numbers, each deciding one thing.
//!
//! Small numbers decide for what is usual and harmless, and a list that is used up goes on with zeros. So a life
//! with fewer or smaller numbers is a simpler one, which is what shrinking needs.

use std::time::Duration;

/// The numbers of one life, and how many of them are used.
#[derive(Debug)]
pub(crate) struct Choices {
    numbers: Vec<u16>,
    used: usize,
}

impl Choices {
    pub(crate) fn new(numbers: Vec<u16>) -> Self {
        Self { numbers, used: 0 }
    }

    /// Tells whether nothing but what is usual happens from now on.
    pub(crate) fn are_used_up(&self) -> bool {
        self.used >= self.numbers.len()
    }

    /// How many numbers have decided something.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    fn next(&mut self) -> u64 {
        let number = self.numbers.get(self.used).copied().unwrap_or(0);
        self.used = (self.used + 1).min(self.numbers.len());
        u64::from(number)
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() * bound) >> 16
    }

    /// Whether something unusual happens that does in so many of a thousand cases. What never happens asks for no
    /// number.
    pub(crate) fn permille(&mut self, permille: u64) -> bool {
        permille > 0 && self.below(1_000) >= 1_000 - permille
    }

    /// Whether something unusual happens that does in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.permille(percent * 10)
    }

    /// One of several, the most usual first.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len() as u64);
        from[usize::try_from(index).expect("an index fits")]
    }

    /// A time below the longest.
    pub(crate) fn time(&mut self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).expect("no wait here takes that long");
        Duration::from_millis(self.below(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_decides_for_what_is_usual() {
        let mut choices = Choices::new(vec![u16::MAX]);
        assert!(choices.percent(1));
        assert!(choices.are_used_up());
        assert!(!choices.percent(99));
        assert_eq!(choices.pick(&["usual", "rare"]), "usual");
    }

    #[test]
    fn what_never_happens_asks_for_no_number() {
        let mut choices = Choices::new(vec![u16::MAX]);
        assert!(!choices.percent(0));
        assert_eq!(choices.used(), 0);
    }
}
