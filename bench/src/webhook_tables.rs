//! What is told about the webhooks: medians of the rounds, and ratios within them.

use crate::load::CONNECTIONS;
use crate::stats::{median, percentile};
use crate::subject::{Storage, Subject};
use crate::table::{lay_out, megabytes, milliseconds, optional};
use crate::throughput::{Case, Plan, Round, Throughput};

/// What a round is told by: its name, its value if the system tells it, and the decimals worth showing.
type Figure = (&'static str, fn(&Round) -> Option<f64>, usize);

const RATE: Figure = (
    "requests/s",
    |round| Some(round.measured.requests_per_second),
    0,
);
const PROCESSOR_TIME: Figure = (
    "CPU µs/request",
    |round| Some(round.measured.processor_time?.as_secs_f64() * 1e6),
    0,
);
const P50: Figure = ("p50 ms", |round| Some(latency(round, 0.5)), 1);
const P99: Figure = ("p99 ms", |round| Some(latency(round, 0.99)), 1);
const FIRST_SECOND: Figure = (
    "in the first second",
    |round| {
        u32::try_from(round.measured.in_first_second)
            .ok()
            .map(f64::from)
    },
    0,
);
const MEMORY: Figure = ("memory MB", |round| round.memory.map(megabytes), 0);

/// The tables of all rounds.
pub(crate) fn webhooks(throughput: &Throughput, plan: Plan) -> String {
    format!(
        "{}\n{}\n{}",
        throughput.method(plan),
        throughput.table(),
        throughput.ratios()
    )
}

impl Throughput {
    fn method(&self, plan: Plan) -> String {
        let span = plan.span;
        format!(
            "Rounds: {}; {CONNECTIONS} connections, {} s of warm-up and {} s measured, bodies of {} bytes. Medians of the rounds; the ratios are medians of the ratios within a round.\n",
            plan.rounds,
            span.warm_up.as_secs_f64(),
            span.measured.as_secs_f64(),
            self.body_bytes,
        )
    }

    fn table(&self) -> String {
        const FIGURES: [Figure; 6] = [RATE, PROCESSOR_TIME, P50, P99, FIRST_SECOND, MEMORY];
        let mut head = vec![""];
        head.extend(FIGURES.iter().map(|(name, ..)| *name));
        head.push("requests/s by round");
        let rows: Vec<Vec<String>> = self
            .cases
            .iter()
            .map(|case| {
                let mut row = vec![case.name()];
                for (_, value, decimals) in FIGURES {
                    row.push(optional(median_of(self.of(*case), value), decimals));
                }
                let rates = self
                    .of(*case)
                    .map(|round| format!("{:.0}", round.measured.requests_per_second));
                row.push(rates.collect::<Vec<_>>().join(", "));
                row
            })
            .collect();
        lay_out(&head, &rows)
    }

    /// Compares what took turns within a round, and takes the median of the comparisons.
    fn ratios(&self) -> String {
        const FIGURES: [Figure; 4] = [RATE, PROCESSOR_TIME, P50, P99];
        let mut head = vec!["ratio"];
        head.extend(FIGURES.iter().map(|(name, ..)| *name));
        let is_pair = |one: &Case, other: &Case| {
            (one.subject, other.subject) == (Subject::Attache, Subject::JavaScript)
                && one.storage == other.storage
                || one.subject != Subject::Bare
                    && other.subject == Subject::Bare
                    && one.storage == Some(Storage::fastest())
        };
        let cases = &self.cases;
        let pairs = cases.iter().flat_map(|one| {
            let others = cases.iter().filter(move |other| is_pair(one, other));
            others.map(move |other| (*one, *other))
        });
        let rows: Vec<Vec<String>> = pairs
            .map(|(one, other)| {
                let mut row = vec![format!("{} : {}", one.name(), other.name())];
                for (_, value, _) in FIGURES {
                    let rounds = self.of(one).zip(self.of(other));
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

    fn of(&self, case: Case) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(move |round| round.case == case)
    }
}

fn median_of<'a>(
    rounds: impl Iterator<Item = &'a Round>,
    value: fn(&Round) -> Option<f64>,
) -> Option<f64> {
    rounds.map(value).collect::<Option<Vec<f64>>>().map(median)
}

fn latency(round: &Round, share: f64) -> f64 {
    milliseconds(percentile(&round.measured.latencies, share))
}
