//! What the run tells: a line of progress, the tables at the end, and a row in docs/crashes.md.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use attache_tests::checkout;

use crate::killer::Resumed;
use crate::verdict::Proof;

/// Rows are added before this line.
const END_OF_ROWS: &str = "<!-- runs: end -->";

/// What is held against the limit of five seconds.
pub(crate) const RESUME_LIMIT: Duration = Duration::from_secs(5);

/// How many of the first rows are held against it; a page that was cut off again and again waits for up to ten seconds
/// before it comes back, by itself.
const HELD_AGAINST_LIMIT: usize = 5;

/// A whole run.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) kills: usize,
    pub(crate) at_once: usize,
    pub(crate) took: Duration,
    pub(crate) accepted: usize,
    pub(crate) resumed: Resumed,
    pub(crate) proof: Proof,
    pub(crate) violations: usize,
}

/// Half of the values, 95 in a hundred, and all of them lie at or below these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    pub(crate) half: Duration,
    pub(crate) most: Duration,
    pub(crate) all: Duration,
}

impl Spread {
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted
                .get(rank.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Self {
            half: at(50),
            most: at(95),
            all: at(100),
        }
    }
}

impl Run {
    /// What was measured, with what it is called.
    pub(crate) fn spreads(&self) -> [(&'static str, usize, Spread); 6] {
        let Resumed {
            answering,
            first_webhook,
            meeting,
            listening,
            listening_soon,
            page,
            not_back: _,
        } = &self.resumed;
        [
            ("the Worker answers", answering),
            ("the first webhook is accepted", first_webhook),
            ("a meeting under way answers", meeting),
            (
                "Deepgram hears a call again, Recall dialling after 3 s",
                listening,
            ),
            ("the same, Recall dialling after 0.3 s", listening_soon),
            ("a bot's page is connected again", page),
        ]
        .map(|(what, times)| (what, times.len(), Spread::of(times)))
    }

    /// Whether everything came back in time.
    pub(crate) fn is_back_in_time(&self) -> bool {
        let mut spreads = self.spreads().into_iter().take(HELD_AGAINST_LIMIT);
        self.resumed.not_back.is_empty() && spreads.all(|(.., spread)| spread.most < RESUME_LIMIT)
    }

    /// The tables.
    pub(crate) fn text(&self) -> String {
        let Proof {
            meetings,
            statuses,
            bots,
            spoken_greetings,
            written_greetings,
            ungreeted,
            in_doubt,
            sessions,
            strays,
            segments,
            entries,
            transcripts,
            restored,
            ..
        } = &self.proof;
        let statuses: Vec<String> = statuses
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        let mut text = format!(
            "\n{} kills in {:.0} s over {meetings} meetings, {} at once; seed {}\n\
             {} | bots made: {bots} | taken over by a fresh instance: {restored} times\n\
             greeted aloud: {spoken_greetings}, in the chat: {written_greetings} (of these {in_doubt} after all aloud too, which could not be known); not, with a reason: {ungreeted}\n\
             avatar sessions: {sessions}, none left; strays of calls without an answer, at HeyGen: {strays} | transcripts fetched: {transcripts}\n\
             webhooks accepted: {}; found again: {segments} segments, {entries} entries of participants and chat\n\n",
            self.kills,
            self.took.as_secs_f64(),
            self.at_once,
            self.seed,
            statuses.join(", "),
            self.accepted,
        );
        text.push_str("from the start of the process until …                        times    p50    p95    max\n");
        for (what, count, spread) in self.spreads() {
            let [half, most, all] =
                [spread.half, spread.most, spread.all].map(|time| time.as_secs_f64());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{what:<58} {count:>7} {half:>5.2}s {most:>5.2}s {all:>5.2}s"
            );
        }
        for what in &self.resumed.not_back {
            let _ = writeln!(text, "not back in time: {what}");
        }
        text
    }

    /// Adds a row about this run to docs/crashes.md.
    pub(crate) fn write(&self) -> Result<()> {
        let path = checkout().join("docs/crashes.md");
        let document = fs::read_to_string(&path).context("could not read docs/crashes.md")?;
        let (before, after) = document
            .split_once(END_OF_ROWS)
            .with_context(|| format!("{END_OF_ROWS} is missing"))?;
        let proof = &self.proof;
        let times: Vec<String> = self
            .spreads()
            .iter()
            .map(|(_, _, spread)| {
                let [half, most, all] =
                    [spread.half, spread.most, spread.all].map(|time| time.as_secs_f64());
                format!("{half:.2} / {most:.2} / {all:.2}")
            })
            .collect();
        let row = format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            jiff::Timestamp::now().strftime("%Y-%m-%d"),
            self.seed,
            self.kills,
            proof.meetings,
            self.accepted,
            proof.restored,
            self.violations,
            times.join(" | "),
        );
        fs::write(&path, format!("{before}{row}{END_OF_ROWS}{after}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let spread = Spread::of(&times);
        let expected = [100, 190, 200].map(Duration::from_millis);
        assert_eq!([spread.half, spread.most, spread.all], expected);
        assert_eq!(Spread::of(&[]), Spread::default());
    }
}
