//! The search for a life that breaks a promise: random schedules, made as simple as can be once one is found, and
//! the files that keep them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use proptest::{
    prelude::*,
    strategy::{NewTree, ValueTree},
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use crate::{
    coverage::Coverage,
    life::{Outcome, Violation, live},
    sabotage::Sabotage,
};

/// The longest schedule: enough for trouble all through a call of some minutes.
const MAX_CHOICES: usize = 1_500;
/// A life that breaks a promise is made simpler for so many attempts and so long, whichever is over first.
const MAX_SHRINKS: u32 = 3_000;
const MAX_SHRINK_MS: u32 = 40_000;

/// How much of a story is kept: its end tells the most.
const MAX_KEPT_LINES: usize = 300;

/// A walk through random lives.
#[derive(Debug)]
pub struct Search {
    runner: TestRunner,
    sabotage: Option<Sabotage>,
    /// How many lives were lived.
    pub lives: u64,
    /// How many events they took in.
    pub steps: u64,
    /// What they came across.
    pub coverage: Coverage,
}

/// A schedule that breaks a promise, as simple as it could be made.
#[derive(Clone, Debug)]
pub struct Found {
    /// The numbers.
    pub numbers: Vec<u16>,
    /// The promise.
    pub violation: Violation,
    /// What happens, told.
    pub story: String,
}

/// A schedule that once broke a promise, and its file.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// The numbers.
    pub numbers: Vec<u16>,
}

impl Search {
    /// A walk that is the same for the same seed; what it finds is made simpler in so many attempts at most.
    pub fn new(seed: u64, sabotage: Option<Sabotage>, shrinks: u32) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: shrinks.min(MAX_SHRINKS),
            max_shrink_time: MAX_SHRINK_MS,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(config, rng),
            sabotage,
            lives: 0,
            steps: 0,
            coverage: Coverage::default(),
        }
    }

    /// Lives one more life; gives the schedule if it breaks a promise.
    pub fn next_life(&mut self) -> Option<Found> {
        let sabotage = self.sabotage;
        let (lives, steps) = (&mut self.lives, &mut self.steps);
        let coverage = &mut self.coverage;
        let schedules = Schedules {
            harsh: sabotage.is_some(),
        };
        let tree = schedules.new_tree(&mut self.runner).ok()?;
        // While it is made simpler it goes on breaking the same promise.
        let told = std::cell::RefCell::new((lives, steps, coverage));
        let broken = std::cell::Cell::new(None);
        let failed = self.runner.run_one(tree, |numbers| {
            let outcome = guarded(&numbers, sabotage, false);
            let (lives, steps, coverage) = &mut *told.borrow_mut();
            **lives += 1;
            **steps += outcome.steps;
            coverage.add(&outcome.coverage);
            match outcome.violation {
                Some(violation) if broken.get().is_none_or(|first| first == violation.promise) => {
                    broken.set(Some(violation.promise));
                    Err(TestCaseError::fail(violation.what))
                }
                Some(_) | None => Ok(()),
            }
        });
        match failed {
            Err(TestError::Fail(_, numbers)) => {
                let outcome = guarded(&numbers, sabotage, true);
                let used = outcome.used.min(numbers.len());
                Some(Found {
                    numbers: numbers[..used].to_vec(),
                    violation: outcome.violation?,
                    story: outcome.story,
                })
            }
            Ok(_) | Err(TestError::Abort(_)) => None,
        }
    }
}

/// Lives a life, and takes a panic for a broken promise.
fn guarded(numbers: &[u16], sabotage: Option<Sabotage>, tell: bool) -> Outcome {
    let lived = std::panic::catch_unwind(|| live(numbers, sabotage, tell));
    lived.unwrap_or_else(|_| Outcome {
        steps: 0,
        used: numbers.len(),
        coverage: Coverage::default(),
        violation: Some(Violation {
            promise: "panic",
            what: "the core panicked".to_owned(),
        }),
        story: String::new(),
    })
}

/// Random schedules.
#[derive(Debug)]
struct Schedules {
    /// Whether all of them have as much trouble and as many crashes as there are.
    harsh: bool,
}

impl Strategy for Schedules {
    type Tree = Schedule;
    type Value = Vec<u16>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let rng = runner.rng();
        let length = rng.random_range(0..=MAX_CHOICES);
        let mut numbers: Vec<u16> = (0..length).map(|_| rng.random()).collect();
        if self.harsh {
            numbers
                .iter_mut()
                .take(2)
                .for_each(|number| *number = u16::MAX);
        }
        Ok(Schedule::new(numbers))
    }
}

/// A schedule that is made simpler by taking out ever smaller stretches, then by putting zeros in their place.
#[derive(Debug)]
struct Schedule {
    numbers: Vec<u16>,
    before: Vec<u16>,
    edit: Edit,
    stretch: usize,
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    TakeOut,
    Clear,
    Halve,
    Nothing,
}

impl Schedule {
    fn new(numbers: Vec<u16>) -> Self {
        let stretch = numbers.len().div_ceil(2).max(1);
        Self {
            before: Vec::new(),
            edit: Edit::TakeOut,
            stretch,
            at: 0,
            numbers,
        }
    }

    /// Goes on to the next size of stretches, or the next kind of edit.
    fn go_on(&mut self) {
        self.at = 0;
        if self.stretch > 1 {
            self.stretch = self.stretch.div_ceil(2);
            return;
        }
        self.edit = match self.edit {
            Edit::TakeOut => Edit::Clear,
            Edit::Clear => Edit::Halve,
            Edit::Halve | Edit::Nothing => Edit::Nothing,
        };
        self.stretch = if self.edit == Edit::Clear {
            self.numbers.len().div_ceil(8).max(1)
        } else {
            1
        };
    }
}

impl ValueTree for Schedule {
    type Value = Vec<u16>;

    fn current(&self) -> Vec<u16> {
        self.numbers.clone()
    }

    fn simplify(&mut self) -> bool {
        while self.edit != Edit::Nothing {
            if self.at >= self.numbers.len() {
                self.go_on();
                continue;
            }
            let end = (self.at + self.stretch).min(self.numbers.len());
            let before = self.numbers.clone();
            match self.edit {
                Edit::TakeOut => {
                    self.numbers.drain(self.at..end);
                }
                Edit::Clear => self.numbers[self.at..end].fill(0),
                Edit::Halve | Edit::Nothing => self.numbers[self.at] /= 2,
            }
            if self.edit != Edit::TakeOut {
                // Whether it is kept or taken back, the next stretch is the next.
                self.at = end;
            }
            if self.numbers != before {
                self.before = before;
                return true;
            }
        }
        false
    }

    fn complicate(&mut self) -> bool {
        if self.before.is_empty() {
            return false;
        }
        self.numbers = std::mem::take(&mut self.before);
        if self.edit == Edit::TakeOut {
            self.at += self.stretch;
        }
        true
    }
}

impl Found {
    /// Writes the schedule and its story into a folder.
    pub fn keep(&self, folder: &Path) -> Result<PathBuf> {
        let hash = self
            .numbers
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, number| {
                (hash ^ u64::from(*number)).wrapping_mul(0x0100_0000_01b3)
            });
        let promise = self.violation.promise.replace(' ', "-");
        let path = folder.join(format!("{promise}-{hash:016x}.txt"));
        let numbers: Vec<_> = self.numbers.iter().map(u16::to_string).collect();
        let lines: Vec<_> = self.story.lines().collect();
        let last = lines.len().saturating_sub(MAX_KEPT_LINES);
        let mut story = String::new();
        for line in &lines[last..] {
            writeln!(story, "# {line}").context("a string takes any text")?;
        }
        let text = format!(
            "# {}: {}\n{}\n\n{story}",
            self.violation.promise,
            self.violation.what,
            numbers.join(" ")
        );
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }
}

/// Reads the schedules that once broke a promise, in the order of their names.
pub fn kept(folder: &Path) -> Result<Vec<Kept>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let numbers = lines.flat_map(str::split_whitespace).map(str::parse);
        let numbers = numbers.collect::<Result<Vec<u16>, _>>();
        let numbers =
            numbers.with_context(|| format!("{} holds more than numbers", path.display()))?;
        found.push(Kept { path, numbers });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
