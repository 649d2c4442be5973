//! How long a cold start takes: from the start of the process to the first answered webhook.
//!
//! The meeting is in storage already, so the first webhook pays for everything a new instance has to do.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::Runtime;
use crate::subject::{ALL, Storage, Subject, Workshop};
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
