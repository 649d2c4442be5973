//! How many webhooks a second, and what one costs: rounds in which the subjects take turns.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::{self, Measured, Span};
use crate::subject::{ALL, Subject, Workshop};
use crate::vendors::Vendors;
use crate::webhooks::Webhooks;
use crate::{meeting, say};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) span: Span,
}

pub(crate) const FULL: Plan = Plan {
    rounds: 5,
    span: Span {
        warm_up: Duration::from_secs(1),
        measured: Duration::from_secs(5),
    },
};

pub(crate) const QUICK: Plan = Plan {
    rounds: 1,
    span: Span {
        warm_up: Duration::from_millis(300),
        measured: Duration::from_secs(1),
    },
};

/// Webhooks made per second of load: more than any of the Workers takes. Should they run out, the round is shorter.
const WEBHOOKS_PER_SECOND: f64 = 12_000.0;

/// How many different webhooks the bare runtime gets, which does not look at them.
const REPEATED: usize = 1_000;

/// One round of one subject.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) subject: Subject,
    pub(crate) measured: Measured,
    /// Resident memory in bytes at the end.
    pub(crate) memory: Option<u64>,
}

/// Everything measured.
#[derive(Clone, Debug)]
pub(crate) struct Throughput {
    pub(crate) rounds: Vec<Round>,
    pub(crate) body_bytes: u64,
}

/// Runs all rounds.
pub(crate) async fn measure(
    workshop: &Workshop,
    vendors: &Vendors,
    plan: Plan,
) -> Result<Throughput> {
    let mut measured = Throughput {
        rounds: Vec::new(),
        body_bytes: 0,
    };
    for number in 1..=plan.rounds {
        for subject in ALL {
            let (round, body_bytes) = run(workshop, vendors, subject, plan.span)
                .await
                .with_context(|| format!("round {number} of {}", subject.name()))?;
            say::step(
                "Measured",
                &format!("round {number} of {}: {}", plan.rounds, line(&round)),
            );
            measured.rounds.push(round);
            measured.body_bytes = body_bytes;
        }
    }
    Ok(measured)
}

async fn run(
    workshop: &Workshop,
    vendors: &Vendors,
    subject: Subject,
    span: Span,
) -> Result<(Round, u64)> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = door.local_addr()?;
    let origin = format!("http://{address}");
    let storage = workshop.storage()?;
    let mut runtime = workshop.start(subject, storage.path(), door, &vendors.variables(&origin))?;
    runtime.listens().await?;
    let outcome = async {
        let to = meeting::begin(subject, &origin, vendors).await?;
        let sign = |count| {
            Webhooks::sign(
                0..count,
                &to,
                vendors.webhook_secret(),
                &address.to_string(),
            )
        };
        let webhooks = match subject {
            Subject::Bare => sign(REPEATED)?.repeated(),
            Subject::Attache | Subject::JavaScript => sign(enough(span))?,
        };
        let body_bytes = webhooks.body_bytes();
        let measured = load::run(&runtime, address, webhooks, span).await?;
        let memory = runtime.memory();
        if subject != Subject::Bare {
            meeting::check(&origin, &to, measured.sent).await?;
        }
        anyhow::Ok((
            Round {
                subject,
                measured,
                memory,
            },
            body_bytes,
        ))
    };
    match outcome.await {
        Ok(result) => {
            runtime.stop().await?;
            Ok(result)
        }
        Err(error) => Err(error.context(runtime.explain("the runtime was ended").await)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "some ten thousands"
)]
fn enough(span: Span) -> usize {
    let seconds = (span.warm_up + span.measured).as_secs_f64();
    (seconds * WEBHOOKS_PER_SECOND) as usize
}

fn line(round: &Round) -> String {
    let mut line = format!(
        "{:<12} {:>6.0} requests/s",
        round.subject.name(),
        round.measured.requests_per_second
    );
    if let Some(time) = round.measured.processor_time {
        line += &format!(", {:.0} µs of CPU each", time.as_secs_f64() * 1e6);
    }
    if let Some((runtime, generator)) = round.measured.cores {
        line += &format!(
            " (runtime on {:.0} % of a core, load generator on {:.0} %)",
            runtime * 100.0,
            generator * 100.0
        );
    }
    line
}
