//! How long a cold start takes: from the start of the process to the first answered webhook.
//!
//! The meeting is in storage already, so the first webhook pays for everything a new instance has to do.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::Runtime;
use crate::stats::{at, median, sorted};
use crate::subject::{ALL, Storage, Subject, Workshop};
use crate::table::{lay_out, milliseconds};
use crate::vendors::Vendors;
use crate::webhooks::{Addressee, Webhooks};
use crate::{load, meeting, say};

/// One cold start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColdStart {
    pub(crate) subject: Subject,
    /// From the start of the process to the whole first answer.
    pub(crate) to_first_answer: Duration,
    /// The first request alone: the runtime listened before it was sent.
    pub(crate) first_request: Duration,
}

/// A subject with a meeting in its storage.
struct Prepared {
    subject: Subject,
    storage: TempDir,
    to: Addressee,
}

/// Starts every subject `times` times, in turns.
pub(crate) async fn measure(
    workshop: &Workshop,
    vendors: &Vendors,
    times: usize,
) -> Result<Vec<ColdStart>> {
    let mut prepared = Vec::new();
    for subject in ALL {
        let ready = prepare(workshop, vendors, subject).await;
        prepared.push(ready.with_context(|| format!("preparing {}", subject.name()))?);
    }
    let mut starts = Vec::new();
    for number in 0..times {
        for ready in &prepared {
            let start = start_once(workshop, vendors, ready, number).await;
            starts.push(start.with_context(|| {
                format!("cold start {} of {}", number + 1, ready.subject.name())
            })?);
        }
    }
    say::step("Measured", &format!("{times} cold starts of each"));
    Ok(starts)
}

async fn prepare(workshop: &Workshop, vendors: &Vendors, subject: Subject) -> Result<Prepared> {
    let storage = Storage::fastest().folder()?;
    let (mut runtime, address) = open(workshop, vendors, subject, storage.path())?;
    runtime.listens().await?;
    let to = meeting::begin(subject, &format!("http://{address}"), vendors).await?;
    runtime.stop().await?;
    Ok(Prepared {
        subject,
        storage,
        to,
    })
}

async fn start_once(
    workshop: &Workshop,
    vendors: &Vendors,
    ready: &Prepared,
    number: usize,
) -> Result<ColdStart> {
    let (mut runtime, address) = open(workshop, vendors, ready.subject, ready.storage.path())?;
    let secret = vendors.webhook_secret();
    let webhooks = Webhooks::sign(number..number + 1, &ready.to, secret, &address.to_string())?;
    let webhook = webhooks.take().context("one was made")?;
    runtime.listens().await?;
    let mut sender = load::connect(address).await?;
    let sent_at = Instant::now();
    load::send(&mut sender, webhook).await?;
    let start = ColdStart {
        subject: ready.subject,
        to_first_answer: runtime.started_at().elapsed(),
        first_request: sent_at.elapsed(),
    };
    if ready.subject != Subject::Bare {
        meeting::check(&format!("http://{address}"), &ready.to, number + 1).await?;
    }
    runtime.stop().await?;
    Ok(start)
}

fn open(
    workshop: &Workshop,
    vendors: &Vendors,
    subject: Subject,
    storage: &Path,
) -> Result<(Runtime, SocketAddr)> {
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = door.local_addr()?;
    let variables = vendors.variables(&format!("http://{address}"));
    Ok((workshop.start(subject, storage, door, &variables)?, address))
}

/// The table of all cold starts.
pub(crate) fn table(starts: &[ColdStart], times: usize) -> String {
    let of = |subject: Subject, time: fn(&ColdStart) -> Duration| -> Vec<f64> {
        let starts = starts.iter().filter(|start| start.subject == subject);
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
        times,
        lay_out(&head, &rows)
    )
}
