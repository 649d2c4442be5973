//! What is told in the end: tables of medians and ratios, on the terminal and between the marks of RESULTS.md.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use attache_tests::checkout;

use crate::Plan;
use crate::load::CONNECTIONS;
use crate::size::Size;
use crate::start_up::ColdStart;
use crate::subject::{ALL, Subject};
use crate::table::lay_out;
use crate::throughput::{Round, Throughput};

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

/// The medians of one subject's rounds.
struct Medians {
    requests_per_second: f64,
    processor_time: Option<f64>,
    p50: f64,
    p99: f64,
}

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
            "{} rounds, {CONNECTIONS} connections, {} s of warm-up and {} s measured, bodies of {} bytes. Medians of the rounds.\n",
            self.plan.throughput.rounds,
            span.warm_up.as_secs_f64(),
            span.measured.as_secs_f64(),
            self.throughput.body_bytes,
        )
    }

    fn rounds(&self) -> String {
        let head = [
            "",
            "requests/s",
            "CPU µs/request",
            "p50 ms",
            "p99 ms",
            "memory MB",
            "requests/s by round",
        ];
        let rows: Vec<Vec<String>> = ALL
            .into_iter()
            .map(|subject| {
                let medians = self.medians(subject);
                let rounds = self.of(subject);
                let rates: Vec<String> = rounds
                    .iter()
                    .map(|round| format!("{:.0}", round.measured.requests_per_second))
                    .collect();
                let memory: Option<Vec<f64>> = rounds
                    .iter()
                    .map(|round| round.memory.map(megabytes))
                    .collect();
                vec![
                    subject.name().to_owned(),
                    format!("{:.0}", medians.requests_per_second),
                    optional(medians.processor_time, 0),
                    format!("{:.1}", medians.p50),
                    format!("{:.1}", medians.p99),
                    optional(memory.map(median), 0),
                    rates.join(", "),
                ]
            })
            .collect();
        lay_out(&head, &rows)
    }

    fn ratios(&self) -> String {
        let head = ["ratio", "requests/s", "CPU/request", "p50", "p99"];
        let pairs = [
            (Subject::Attache, Subject::JavaScript),
            (Subject::Attache, Subject::Bare),
            (Subject::JavaScript, Subject::Bare),
        ];
        let rows: Vec<Vec<String>> = pairs
            .into_iter()
            .map(|(one, other)| {
                let (above, below) = (self.medians(one), self.medians(other));
                let processor_time = above.processor_time.zip(below.processor_time);
                vec![
                    format!("{} : {}", one.name(), other.name()),
                    format!(
                        "{:.2}",
                        above.requests_per_second / below.requests_per_second
                    ),
                    optional(processor_time.map(|(above, below)| above / below), 2),
                    format!("{:.2}", above.p50 / below.p50),
                    format!("{:.2}", above.p99 / below.p99),
                ]
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

    fn of(&self, subject: Subject) -> Vec<&Round> {
        self.throughput
            .rounds
            .iter()
            .filter(|round| round.subject == subject)
            .collect()
    }

    fn medians(&self, subject: Subject) -> Medians {
        let of =
            |value: fn(&Round) -> f64| median(self.of(subject).into_iter().map(value).collect());
        let processor_times: Option<Vec<f64>> = self
            .of(subject)
            .into_iter()
            .map(|round| Some(round.measured.processor_time?.as_secs_f64() * 1e6))
            .collect();
        Medians {
            requests_per_second: of(|round| round.measured.requests_per_second),
            processor_time: processor_times.map(median),
            p50: of(|round| milliseconds(percentile(&round.measured.latencies, 0.5))),
            p99: of(|round| milliseconds(percentile(&round.measured.latencies, 0.99))),
        }
    }
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

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted
        .get(index(sorted.len(), share))
        .copied()
        .unwrap_or(f64::NAN)
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted
        .get(index(sorted.len(), share))
        .copied()
        .unwrap_or_default()
}

/// The nearest rank.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of measurements are small, and a share is from 0 to 1"
)]
fn index(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).saturating_sub(1)
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

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 0.99), Duration::from_millis(1));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
