//! What is told about the streams: medians of the rounds, ratios within them, and the hour.

use super::cost::{self, Cost, Spent};
use super::hour::{self, Hour};
use super::{CASES, Case, FRAMES, LATE, Plan, Round};
use crate::stats::median;
use crate::subject::{self, Subject};
use crate::table::{lay_out, megabytes, milliseconds, optional};

/// What a round is told by: its name, its value if there is one, and the decimals worth showing.
type Figure = (&'static str, fn(&Round) -> Option<f64>, usize);

const HIGHEST: Figure = ("most streams", |round| count(round.highest), 0);
const MEMORY: Figure = (
    "memory KB/stream",
    |round| {
        let grown = megabytes(round.base.memory?) - megabytes(round.memory_before?);
        Some(grown * 1e3 / count(round.base.streams)?)
    },
    0,
);
const P50: Figure = ("p50 ms", |round| Some(milliseconds(round.base.p50)), 2);
const P99: Figure = ("p99 ms", |round| Some(milliseconds(round.base.p99)), 2);
const OWN_SHARE: Figure = (
    "load generator, % of a core",
    |round| {
        let own = round.base.own_processor_time?.as_secs_f64();
        Some(own / round.base.elapsed.as_secs_f64() * 100.0)
    },
    0,
);

/// What the processor is told by: its name, its value if there is one, and the decimals worth showing.
type Expense = (&'static str, fn(&Spent) -> Option<f64>, usize);

const CPU_PER_MINUTE: Expense = ("CPU ms/stream-minute", Spent::per_minute, 0);
const CPU_PER_FRAME: Expense = ("CPU µs/frame", Spent::per_frame, 1);

/// Which Worker is compared to which.
const PAIRS: [(Subject, Subject); 3] = [
    (Subject::Attache, Subject::JavaScript),
    (Subject::Attache, Subject::Bare),
    (Subject::JavaScript, Subject::Bare),
];

/// The tables of all rounds.
pub(crate) fn streams(
    rounds: &[Round],
    plan: Plan,
    costs: &[Cost],
    cost_plan: cost::Plan,
) -> String {
    let method = format!(
        "Rounds: {}; medians of the rounds, and ratios within them. \"Most streams\" is the highest number with a p99 below {} ms, to {} streams; more than {} were not tried. Memory, p50 and p99 are at {} streams, measured for {} s after {} s of warm-up.",
        plan.rounds,
        LATE.as_millis(),
        plan.step,
        plan.most,
        plan.base,
        plan.measured.as_secs(),
        plan.warm_up.as_secs(),
    );
    let cost_method = format!(
        "CPU is measured on all Workers at once, with {} streams each, for {} s after {} s of warm-up in each of two orders; rounds: {}.",
        cost_plan.streams,
        cost_plan.measured.as_secs(),
        cost_plan.warm_up.as_secs(),
        cost_plan.rounds,
    );
    let frames = rounds.iter().map(|round| round.frames);
    let finals = rounds.iter().map(|round| round.finals);
    let outcome = format!(
        "Of {} frames and {} final results not one was lost, doubled, reordered or changed.",
        frames
            .chain(costs.iter().map(|cost| cost.frames))
            .sum::<u64>(),
        finals
            .chain(costs.iter().map(|cost| cost.finals))
            .sum::<u64>(),
    );
    let tables = FRAMES.map(|milliseconds| {
        let of = |case: Case| -> Vec<&Round> {
            let is_meant =
                |round: &&Round| round.case == case && round.milliseconds == milliseconds;
            rounds.iter().filter(is_meant).collect()
        };
        let costs: Vec<&Cost> = costs
            .iter()
            .filter(|cost| cost.milliseconds == milliseconds)
            .collect();
        format!(
            "#### Frames of {milliseconds} ms\n\n{}\n{}\n{}\n{}",
            medians(of),
            ratios(of),
            expenses(&costs),
            expense_ratios(&costs),
        )
    });
    format!(
        "{method}\n{cost_method}\n{outcome}\n\n{}",
        tables.join("\n")
    )
}

fn expenses(costs: &[&Cost]) -> String {
    let head = [
        "all at once",
        CPU_PER_MINUTE.0,
        CPU_PER_FRAME.0,
        "µs/frame by round",
    ];
    let rows: Vec<Vec<String>> = subject::ALL
        .iter()
        .enumerate()
        .map(|(place, subject)| {
            let spent = || costs.iter().map(|cost| &cost.spent[place]);
            let mut row = vec![subject.name().to_owned()];
            for (_, value, decimals) in [CPU_PER_MINUTE, CPU_PER_FRAME] {
                let values: Option<Vec<f64>> = spent().map(value).collect();
                row.push(optional(values.map(median), decimals));
            }
            let (_, value, decimals) = CPU_PER_FRAME;
            row.push(by_round(spent().map(value), decimals));
            row
        })
        .collect();
    lay_out(&head, &rows)
}

fn expense_ratios(costs: &[&Cost]) -> String {
    let (name, value, _) = CPU_PER_FRAME;
    let head = ["ratio", name, "by round"];
    let rows: Vec<Vec<String>> = PAIRS
        .into_iter()
        .map(|(one, other)| {
            let of = |cost: &Cost, subject: Subject| {
                let place = subject::ALL.iter().position(|each| *each == subject)?;
                value(cost.spent.get(place)?)
            };
            let ratios: Vec<Option<f64>> = costs
                .iter()
                .map(|cost| Some(of(cost, one)? / of(cost, other)?))
                .collect();
            let known: Option<Vec<f64>> = ratios.iter().copied().collect();
            vec![
                format!("{} : {}", one.name(), other.name()),
                optional(known.map(median), 2),
                by_round(ratios.into_iter(), 2),
            ]
        })
        .collect();
    lay_out(&head, &rows)
}

fn by_round(values: impl Iterator<Item = Option<f64>>, decimals: usize) -> String {
    let told: Vec<String> = values.map(|value| optional(value, decimals)).collect();
    told.join(", ")
}

fn medians<'a>(of: impl Fn(Case) -> Vec<&'a Round>) -> String {
    const FIGURES: [Figure; 5] = [HIGHEST, MEMORY, P50, P99, OWN_SHARE];
    let mut head = vec![""];
    head.extend(FIGURES.iter().map(|(name, ..)| *name));
    head.push("most streams by round");
    let rows: Vec<Vec<String>> = CASES
        .into_iter()
        .map(|case| {
            let rounds = of(case);
            let mut row = vec![case.name().to_owned()];
            for (_, value, decimals) in FIGURES {
                let values: Option<Vec<f64>> = rounds.iter().map(|round| value(round)).collect();
                row.push(optional(values.map(median), decimals));
            }
            row.push(by_round(rounds.iter().map(|round| count(round.highest)), 0));
            row
        })
        .collect();
    lay_out(&head, &rows)
}

fn ratios<'a>(of: impl Fn(Case) -> Vec<&'a Round>) -> String {
    const FIGURES: [Figure; 4] = [HIGHEST, MEMORY, P50, P99];
    let mut head = vec!["ratio"];
    head.extend(FIGURES.iter().map(|(name, ..)| *name));
    let rows: Vec<Vec<String>> = PAIRS
        .into_iter()
        .map(|(one, other)| {
            let mut row = vec![format!("{} : {}", one.name(), other.name())];
            let (ones, others) = (of(Case::Through(one)), of(Case::Through(other)));
            for (_, value, _) in FIGURES {
                let rounds = ones.iter().zip(&others);
                let ratios: Option<Vec<f64>> = rounds
                    .map(|(above, below)| Some(value(above)? / value(below)?))
                    .collect();
                row.push(optional(ratios.map(median), 2));
            }
            row
        })
        .collect();
    lay_out(&head, &rows)
}

/// The table of the hour.
pub(crate) fn hour(hours: &[Hour], plan: hour::Plan) -> String {
    let method = format!(
        "{} meetings at once, frames of {} ms, played {} times as fast: {} stretches of {} min of audio. Memory in MB at the end of each.",
        plan.meetings,
        plan.milliseconds,
        plan.speed,
        plan.stretches,
        plan.stretch.as_secs_f64() / 60.0,
    );
    let numbers: Vec<String> = (1..=plan.stretches)
        .map(|number| number.to_string())
        .collect();
    let mut head = vec!["", "before"];
    head.extend(numbers.iter().map(String::as_str));
    head.extend([
        "flat",
        "CPU ms/stream-minute",
        "frames",
        "lost",
        "final results",
    ]);
    let rows: Vec<Vec<String>> = hours
        .iter()
        .map(|hour| {
            let memory = |bytes: Option<u64>| optional(bytes.map(megabytes), 0);
            let mut row = vec![hour.subject.name().to_owned(), memory(hour.memory_before)];
            row.extend(hour.stretches.iter().map(|level| memory(level.memory)));
            let flat = hour
                .is_flat()
                .map_or("–", |flat| if flat { "yes" } else { "no" });
            let audio: f64 = hour
                .stretches
                .iter()
                .map(|level| level.audio.as_secs_f64())
                .sum();
            let spent: Option<f64> = hour
                .stretches
                .iter()
                .map(|level| level.processor_time.map(milliseconds))
                .sum();
            row.push(flat.to_owned());
            row.push(optional(spent.map(|spent| spent / (audio / 60.0)), 0));
            // A lost frame or result fails the run.
            row.extend([
                hour.frames.to_string(),
                "0".to_owned(),
                hour.finals.to_string(),
            ]);
            row
        })
        .collect();
    format!("{method}\n\n{}", lay_out(&head, &rows))
}

fn count(number: usize) -> Option<f64> {
    u32::try_from(number).ok().map(f64::from)
}
