//! The search for the highest number of streams: up in growing steps until it is too many, then halving the gap.

/// What is known so far. Numbers are multiples of the step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    first: usize,
    step: usize,
    most: usize,
    passed: usize,
    failed: Option<usize>,
}

impl Search {
    /// Begins with `first`; more than `most` are not tried.
    pub(crate) fn new(first: usize, step: usize, most: usize) -> Self {
        Self {
            first,
            step,
            most,
            passed: 0,
            failed: None,
        }
    }

    /// What to try next, if the answer is not known yet.
    pub(crate) fn next(&self) -> Option<usize> {
        let number = match self.failed {
            None if self.passed == 0 => self.first,
            None => self.passed + self.passed / 2,
            Some(failed) => usize::midpoint(self.passed, failed),
        };
        // Upwards, so that a small number grows at all.
        let rounded = number.next_multiple_of(self.step).min(self.most);
        let is_open = rounded > self.passed && self.failed.is_none_or(|failed| rounded < failed);
        is_open.then_some(rounded)
    }

    /// Takes an answer.
    pub(crate) fn note(&mut self, number: usize, is_fine: bool) {
        if is_fine {
            self.passed = number;
        } else {
            self.failed = Some(number);
        }
    }

    /// The highest number that was fine; zero if none was.
    pub(crate) fn highest(&self) -> usize {
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches where up to `limit` is fine, and tells what was tried.
    fn search(limit: usize) -> (usize, Vec<usize>) {
        let mut search = Search::new(100, 25, 1000);
        let mut tried = Vec::new();
        while let Some(number) = search.next() {
            tried.push(number);
            search.note(number, number <= limit);
        }
        (search.highest(), tried)
    }

    #[test]
    fn the_highest_multiple_of_the_step_is_found_wherever_it_is() {
        for limit in 0..=1100 {
            let (highest, tried) = search(limit);
            assert_eq!(highest, (limit / 25 * 25).min(1000));
            assert!(tried.len() <= 12, "{limit}: {tried:?}");
        }
        assert_eq!(search(310).1, [100, 150, 225, 350, 300, 325]);
        assert_eq!(
            search(2000),
            (1000, vec![100, 150, 225, 350, 525, 800, 1000])
        );
    }
}
