//! How many webhooks a second, and what one costs: rounds in which the subjects take turns.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::load::{self, Measured, Span};
use crate::subject::{Storage, Subject, Workshop};
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
        // As long as V8 takes to optimise as much wasm as this.
        warm_up: Duration::from_secs(5),
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
const WEBHOOKS_PER_SECOND: f64 = 8_000.0;

/// How many different webhooks the bare runtime gets, which does not look at them.
const REPEATED: usize = 1_000;

/// A Worker, and where its objects are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) subject: Subject,
    /// Nowhere, if it has no objects.
    pub(crate) storage: Option<Storage>,
}

const fn case(subject: Subject, storage: Option<Storage>) -> Case {
    Case { subject, storage }
}

/// Everything that is measured, in the order in which it takes turns.
const CASES: [Case; 5] = [
    case(Subject::Attache, Some(Storage::Memory)),
    case(Subject::JavaScript, Some(Storage::Memory)),
    case(Subject::Bare, None),
    case(Subject::Attache, Some(Storage::Disk)),
    case(Subject::JavaScript, Some(Storage::Disk)),
];

impl Case {
    /// What the tables call it.
    pub(crate) fn name(self) -> String {
        let storage = match self.storage {
            None => "",
            Some(Storage::Memory) => ", memory",
            Some(Storage::Disk) => ", disk",
        };
        format!("{}{storage}", self.subject.name())
    }
}

/// One round of one case.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) case: Case,
    pub(crate) measured: Measured,
    /// Resident memory in bytes at the end.
    pub(crate) memory: Option<u64>,
}

/// Everything measured.
#[derive(Clone, Debug)]
pub(crate) struct Throughput {
    pub(crate) cases: Vec<Case>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) body_bytes: u64,
}

/// Runs all rounds.
pub(crate) async fn measure(
    workshop: &Workshop,
    vendors: &Vendors,
    plan: Plan,
) -> Result<Throughput> {
    let possible = |case: &Case| {
        case.storage != Some(Storage::Memory) || Storage::fastest() == Storage::Memory
    };
    let mut measured = Throughput {
        cases: CASES.into_iter().filter(possible).collect(),
        rounds: Vec::new(),
        body_bytes: 0,
    };
    for number in 1..=plan.rounds {
        for case in measured.cases.clone() {
            let (round, body_bytes) = run(workshop, vendors, case, plan.span)
                .await
                .with_context(|| format!("round {number} of {}", case.name()))?;
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
    case: Case,
    span: Span,
) -> Result<(Round, u64)> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = door.local_addr()?;
    let origin = format!("http://{address}");
    let subject = case.subject;
    let storage = case.storage.unwrap_or(Storage::Disk).folder()?;
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
                case,
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
    let measured = &round.measured;
    let rate = format!(
        "{:<18} {:>6.0} requests/s",
        round.case.name(),
        measured.requests_per_second
    );
    let Some((time, (runtime, generator))) = measured.processor_time.zip(measured.cores) else {
        return rate;
    };
    format!(
        "{rate}, {:>4.0} µs of CPU each; of a core the runtime had {:.0} %, the load generator {:.0} %",
        time.as_secs_f64() * 1e6,
        runtime * 100.0,
        generator * 100.0
    )
}
