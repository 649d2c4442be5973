//! What is told in the end: tables of medians and ratios, on the terminal and between the marks of RESULTS.md.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use attache_tests::checkout;

use crate::Plan;
use crate::load::CONNECTIONS;
use crate::size::Size;
use crate::start_up::ColdStart;
use crate::stats::{at, median, percentile, sorted};
use crate::subject::{ALL, Storage, Subject};
use crate::table::lay_out;
use crate::throughput::{Case, Round, Throughput};

const BEGIN: &str = "<!-- tables: begin -->";
const END: &str = "<!-- tables: end -->";

/// Everything that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) quick: bool,
    pub(crate) plan: Plan,
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) throughput: Throughput,
    pub(crate) size: Vec<Size>,
    pub(crate) start_up: Vec<ColdStart>,
}

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

impl Report {
    /// Writes all tables.
    pub(crate) fn text(&self) -> String {
        let note = if self.quick {
            "A quick run shows that everything works; its numbers mean little.\n\n"
        } else {
            ""
        };
        format!(
            "{note}{}\n### Webhooks\n\n{}\n{}\n{}\n### Start-up\n\n{}\n### Size\n\n{}",
            self.machine(),
            self.method(),
            self.rounds(),
            self.ratios(),
            self.cold_starts(),
            self.sizes()
        )
    }

    /// Puts the tables in the place of the last ones in RESULTS.md.
    pub(crate) fn write(&self) -> Result<()> {
        let path = checkout().join("bench/RESULTS.md");
        let present = fs::read_to_string(&path)?;
        fs::write(&path, replace_tables(&present, &self.text())?)?;
        Ok(())
    }

    fn machine(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .machine
            .iter()
            .map(|(name, value)| vec![(*name).to_owned(), value.clone()])
            .collect();
        lay_out(&["", ""], &rows)
    }

    fn method(&self) -> String {
        let span = self.plan.throughput.span;
        format!(
            "Rounds: {}; {CONNECTIONS} connections, {} s of warm-up and {} s measured, bodies of {} bytes. Medians of the rounds; the ratios are medians of the ratios within a round.\n",
            self.plan.throughput.rounds,
            span.warm_up.as_secs_f64(),
            span.measured.as_secs_f64(),
            self.throughput.body_bytes,
        )
    }

    fn rounds(&self) -> String {
        const FIGURES: [Figure; 6] = [RATE, PROCESSOR_TIME, P50, P99, FIRST_SECOND, MEMORY];
        let mut head = vec![""];
        head.extend(FIGURES.iter().map(|(name, ..)| *name));
        head.push("requests/s by round");
        let rows: Vec<Vec<String>> = self
            .throughput
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
        let cases = &self.throughput.cases;
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

    fn cold_starts(&self) -> String {
        let of = |subject: Subject, time: fn(&ColdStart) -> Duration| -> Vec<f64> {
            let starts = self
                .start_up
                .iter()
                .filter(|start| start.subject == subject);
            sorted(starts.map(|start| milliseconds(time(start))).collect())
        };
        let whole = |start: &ColdStart| start.to_first_answer;
        let first = |start: &ColdStart| start.first_request;
        let base = [whole, first].map(|time| median(of(Subject::JavaScript, time)));
        let rows: Vec<Vec<String>> = ALL
            .into_iter()
            .map(|subject| {
                let mut row = vec![subject.name().to_owned()];
                for (time, base) in [whole, first].into_iter().zip(base) {
                    let times = of(subject, time);
                    row.push(format!(
                        "{:.1} ({:.1}–{:.1})",
                        median(times.clone()),
                        at(&times, 0.1),
                        at(&times, 0.9)
                    ));
                    row.push(format!("{:.2}", median(times) / base));
                }
                row
            })
            .collect();
        let head = [
            "",
            "process start to first answer, ms",
            ": JavaScript",
            "first request alone, ms",
            ": JavaScript",
        ];
        format!(
            "{} cold starts of each; median (10th to 90th percentile). The first request is a webhook for a meeting in storage.\n\n{}",
            self.plan.cold_starts,
            lay_out(&head, &rows)
        )
    }

    fn sizes(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .size
            .iter()
            .map(|size| {
                vec![
                    format!("{}, `{}`", size.subject.name(), size.module),
                    size.bytes.to_string(),
                    size.gzip_bytes.to_string(),
                ]
            })
            .collect();
        lay_out(&["", "bytes", "gzip bytes"], &rows)
    }

    fn of(&self, case: Case) -> impl Iterator<Item = &Round> {
        self.throughput
            .rounds
            .iter()
            .filter(move |round| round.case == case)
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

fn replace_tables(document: &str, tables: &str) -> Result<String> {
    let (before, rest) = document
        .split_once(BEGIN)
        .context("the first mark is missing")?;
    let (_, after) = rest.split_once(END).context("the second mark is missing")?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        tables.trim_end()
    ))
}

fn optional(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_take_the_place_of_the_last_ones_and_nothing_else() {
        let document = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let written = replace_tables(&document, "new\n").unwrap();
        assert_eq!(written, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
        assert_eq!(replace_tables(&written, "new\n").unwrap(), written);
        assert!(replace_tables("no marks", "new").is_err());
    }
}
