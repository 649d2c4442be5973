//! A crowd of meetings in one runtime: thousands that are booked, hundreds that go on, and webhooks as fast as they
//! are taken.
//!
//! The booked ones are in storage and sleep; what they cost is memory, disk and a longer start. Nothing may be lost:
//! every webhook that was accepted is read back, and alarms must ring on time after the runtime was killed.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use attache_simulator::SimulatorConfig;
use attache_tests::{API_KEY, Api};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::load::{self, CONNECTIONS, Measured, Span};
use crate::process::Runtime;
use crate::stats::percentile;
use crate::subject::{Storage, Subject, Workshop};
use crate::table::{lay_out, megabytes, milliseconds, optional};
use crate::vendors::Vendors;
use crate::webhooks::{Addressee, Webhooks, text};
use crate::{meeting, say};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    booked: usize,
    going_on: usize,
    reads: usize,
    span: Span,
}

pub(crate) const FULL: Plan = Plan {
    booked: 10_000,
    going_on: 200,
    reads: 1_000,
    span: Span {
        warm_up: Duration::from_secs(5),
        measured: Duration::from_secs(10),
    },
};

pub(crate) const QUICK: Plan = Plan {
    booked: 300,
    going_on: 10,
    reads: 50,
    span: Span {
        warm_up: Duration::from_millis(300),
        measured: Duration::from_secs(1),
    },
};

/// Objects without a request leave memory after ten seconds; this is twice that.
const REST: Duration = Duration::from_secs(20);
/// Webhooks made per second of load: twice what the Worker takes.
const WEBHOOKS_PER_SECOND: usize = 2_500;
/// How many meetings have their alarm soon after the kill, and how soon after they are booked.
const ALARMS: usize = 20;
const ALARM_IN: SignedDuration = SignedDuration::from_secs(8);
/// An alarm that rings at all rings within this time.
const ALARM_PATIENCE: Duration = Duration::from_mins(1);
/// How far before its start a meeting is joined.
const EARLY: SignedDuration = SignedDuration::from_mins(3);
/// Further ahead than what is joined while this is measured.
const TOMORROW: SignedDuration = SignedDuration::from_hours(24);
/// How often it is looked whether bots were made.
const LOOK: Duration = Duration::from_millis(20);
/// Meetings in one page of the list.
const PAGE: usize = 100;
/// Every so many bookings a line of progress is printed.
const PROGRESS: usize = 1_000;
/// The most a start on all these objects may take.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// Times, sorted.
type Times = Vec<Duration>;

/// What was measured.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    /// Bookings a second, and how long each took.
    booking_rate: f64,
    booking: Times,
    /// Resident memory without a meeting, right after the bookings, and at rest.
    memory: [Option<u64>; 3],
    disk: u64,
    get: Times,
    list: Times,
    /// From the start after the kill to the first answer.
    restart: Duration,
    /// How late the bots of due meetings were made.
    late: Times,
    load: Measured,
    memory_under_load: Option<u64>,
}

/// The runtime and what belongs to it.
struct Stage<'a> {
    workshop: &'a Workshop,
    vendors: &'a Vendors,
    storage: TempDir,
    door: TcpListener,
    address: SocketAddr,
    origin: String,
    api: Api,
}

/// Measures one crowd.
pub(crate) async fn measure(workshop: &Workshop, plan: Plan) -> Result<Crowd> {
    let vendors = Vendors::start_with(SimulatorConfig::default()).await?;
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = door.local_addr()?;
    let origin = format!("http://{address}");
    let webhook_url = format!("{origin}/webhooks/recall").parse()?;
    vendors.simulator.set_webhook_url(webhook_url);
    let stage = Stage {
        workshop,
        vendors: &vendors,
        storage: Storage::fastest().folder()?,
        door,
        address,
        api: Api::new(&origin, API_KEY),
        origin,
    };
    let mut runtime = stage.start().await?;
    match stage.measure(&mut runtime, plan).await {
        Ok(crowd) => {
            runtime.stop().await?;
            Ok(crowd)
        }
        Err(error) => Err(error.context(runtime.explain("the runtime was ended").await)),
    }
}

impl Stage<'_> {
    async fn start(&self) -> Result<Runtime> {
        let mut runtime = self.workshop.start(
            Subject::Attache,
            self.storage.path(),
            self.door.try_clone()?,
            &self.vendors.variables(&self.origin),
        )?;
        runtime.listens().await?;
        Ok(runtime)
    }

    async fn measure(&self, runtime: &mut Runtime, plan: Plan) -> Result<Crowd> {
        self.api.health().await?.expect(200)?;
        let empty = runtime.memory();
        let begun = Instant::now();
        let (ids, booking) = self.book(plan.booked, TOMORROW).await?;
        let booking_rate = per_second(ids.len(), begun.elapsed());
        self.until_bots(plan.booked, ALARM_PATIENCE).await?;
        let busy = runtime.memory();
        say::step(
            "Resting",
            &format!("{REST:?}, {} meetings booked", ids.len()),
        );
        sleep(REST).await;
        let resting = runtime.memory();
        let disk = bytes_in(self.storage.path())?;
        let get = self.read(&ids, plan.reads).await?;
        let list = self.list(plan.reads / 10).await?;
        let (restart, late) = self.kill(runtime, plan).await?;
        let people = self.begin(plan.going_on).await?;
        let (load, memory_under_load) = self.load(runtime, &people, plan).await?;
        Ok(Crowd {
            booking_rate,
            booking,
            memory: [empty, busy, resting],
            disk,
            get,
            list,
            restart,
            late,
            load,
            memory_under_load,
        })
    }

    /// Books meetings that are joined so long from now, as many at a time as there are connections.
    async fn book(&self, count: usize, joins_in: SignedDuration) -> Result<(Vec<String>, Times)> {
        let starts_at = Timestamp::now() + joins_in + EARLY;
        let bookings = (0..count).map(|number| async move {
            if number > 0 && number.is_multiple_of(PROGRESS) {
                say::step("Booked", &format!("{number} of {count} meetings"));
            }
            let begun = Instant::now();
            let booking = json!({
                "meeting_url": meeting::MEETING_URL,
                "title": format!("Launch review {number}"),
                "starts_at": starts_at.to_string(),
            });
            let booked = self.api.create_meeting(&booking).await?.expect(201)?;
            let id = booked["id"].as_str().context("a meeting has an id")?;
            anyhow::Ok((id.to_owned(), begun.elapsed()))
        });
        let booked: Vec<(String, Duration)> = stream::iter(bookings)
            .buffer_unordered(CONNECTIONS)
            .try_collect()
            .await?;
        let (ids, times) = booked.into_iter().unzip();
        Ok((ids, sorted(times)))
    }

    /// Waits until so many bots were made.
    async fn until_bots(&self, count: usize, at_most: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let made = self.vendors.simulator.bots().len();
            if made >= count {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < at_most,
                "{made} of {count} bots were made"
            );
            sleep(LOOK).await;
        }
    }

    /// Reads meetings from all over the crowd.
    async fn read(&self, ids: &[String], reads: usize) -> Result<Times> {
        let step = (ids.len() / reads).max(1);
        let asked = ids.iter().step_by(step).map(|id| async move {
            let begun = Instant::now();
            let meeting = self.api.meeting(id).await?.expect(200)?;
            ensure!(meeting["status"] == "scheduled", "{meeting}");
            Ok(begun.elapsed())
        });
        let times = stream::iter(asked).buffer_unordered(CONNECTIONS);
        Ok(sorted(times.try_collect().await?))
    }

    /// Goes through the list page by page, as long as there are pages.
    async fn list(&self, pages: usize) -> Result<Times> {
        let mut times = Vec::new();
        let mut cursor = String::new();
        for _ in 0..pages {
            let begun = Instant::now();
            let query = format!("limit={PAGE}{cursor}");
            let page = self.api.meetings(&query).await?.expect(200)?;
            times.push(begun.elapsed());
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        Ok(sorted(times))
    }

    /// Kills the runtime shortly before some alarms are due, and sees how late they ring.
    async fn kill(&self, runtime: &mut Runtime, plan: Plan) -> Result<(Duration, Times)> {
        let due = Timestamp::now() + ALARM_IN;
        let known: BTreeSet<String> = self.bot_ids();
        self.book(ALARMS, due.duration_since(Timestamp::now()))
            .await?;
        runtime.kill().await?;
        *runtime = self.start().await?;
        self.api.health().await?.expect(200)?;
        let restart = runtime.started_at().elapsed();
        ensure!(restart < START_PATIENCE, "the start took {restart:?}");
        self.until_bots(plan.booked + ALARMS, ALARM_PATIENCE)
            .await?;
        let bots = self.vendors.simulator.bots();
        let made = bots.iter().filter(|bot| !known.contains(&bot.id));
        let late = made.map(|bot| {
            // `due` is a little before the time of each booking's own.
            Duration::try_from(bot.created_at.duration_since(due)).unwrap_or_default()
        });
        Ok((restart, sorted(late.collect())))
    }

    fn bot_ids(&self) -> BTreeSet<String> {
        let bots = self.vendors.simulator.bots().into_iter();
        bots.map(|bot| bot.id).collect()
    }

    /// Brings meetings into their calls.
    async fn begin(&self, count: usize) -> Result<Vec<Addressee>> {
        say::step("Beginning", &format!("{count} meetings"));
        let (origin, vendors) = (self.origin.as_str(), self.vendors);
        let begun = (0..count).map(|_| meeting::begin(Subject::Attache, origin, vendors));
        let begun = stream::iter(begun).buffer_unordered(CONNECTIONS);
        begun.try_collect().await
    }

    /// Sends webhooks to all who are there, and reads every one back.
    async fn load(
        &self,
        runtime: &Runtime,
        people: &[Addressee],
        plan: Plan,
    ) -> Result<(Measured, Option<u64>)> {
        let span = plan.span;
        let seconds = span.warm_up.as_secs() + span.measured.as_secs() + 1;
        let count = WEBHOOKS_PER_SECOND * usize::try_from(seconds)?;
        let webhooks = Webhooks::sign_for_all(
            count,
            people,
            self.vendors.webhook_secret(),
            &self.address.to_string(),
        )?;
        say::step("Sending", &format!("webhooks to {} meetings", people.len()));
        let measured = load::run(runtime, self.address, webhooks, span).await?;
        let memory = runtime.memory();
        ensure!(measured.sent < count, "more webhooks were taken than made");
        let checks = people.iter().enumerate().map(|(place, to)| {
            let own = (place..measured.sent).step_by(people.len());
            meeting::check_texts(&self.origin, to, own.map(text).collect())
        });
        let checks = stream::iter(checks).buffer_unordered(CONNECTIONS);
        checks.try_collect::<()>().await?;
        Ok((measured, memory))
    }
}

impl Crowd {
    /// The table.
    pub(crate) fn table(&self, plan: Plan) -> String {
        let mut rows = Vec::new();
        let mut row = |what: String, value: String| rows.push(vec![what, value]);
        let times = |times: &Times| {
            let at = |share| milliseconds(percentile(times, share));
            format!("{:.1} / {:.1} / {:.1}", at(0.5), at(0.99), at(1.0))
        };
        let count = plan.booked;
        let [empty, busy, resting] = self.memory;
        let mb = |memory: Option<u64>| optional(memory.map(megabytes), 0);
        let each = |grown: Option<u64>| optional(grown.map(|bytes| kilobytes(bytes, count)), 1);
        let grown = |memory: Option<u64>| Some(memory?.saturating_sub(empty?));
        row(
            format!("booking {count}, meetings/s"),
            format!("{:.0}", self.booking_rate),
        );
        row("a booking, ms".to_owned(), times(&self.booking));
        row("memory before, MB".to_owned(), mb(empty));
        row("memory right after, MB".to_owned(), mb(busy));
        row("memory at rest, MB".to_owned(), mb(resting));
        row(
            "memory at rest, KB/meeting".to_owned(),
            each(grown(resting)),
        );
        row("storage, KB/meeting".to_owned(), each(Some(self.disk)));
        row("reading a meeting, ms".to_owned(), times(&self.get));
        row(
            format!("a page of {PAGE} of the list, ms"),
            times(&self.list),
        );
        row(
            "killed: first answer after, ms".to_owned(),
            format!("{:.0}", milliseconds(self.restart)),
        );
        row(
            format!("killed: {} alarms late by, ms", self.late.len()),
            times(&self.late),
        );
        let on = plan.going_on;
        row(
            format!("{on} going on, webhooks/s"),
            format!("{:.0}", self.load.requests_per_second),
        );
        row("a webhook, ms".to_owned(), times(&self.load.latencies));
        row(
            "a webhook, CPU µs".to_owned(),
            optional(
                self.load
                    .processor_time
                    .map(|time| time.as_secs_f64() * 1e6),
                0,
            ),
        );
        row("memory then, MB".to_owned(), mb(self.memory_under_load));
        row(
            "webhooks accepted / read back".to_owned(),
            format!("{0} / {0}", self.load.sent),
        );
        format!(
            "One process, objects {}; {CONNECTIONS} requests at a time; {} s of webhooks after {} s of warm-up. Times are p50 / p99 / max.\n\n{}",
            match Storage::fastest() {
                Storage::Memory => "in memory",
                Storage::Disk => "on disk",
            },
            plan.span.measured.as_secs_f64(),
            plan.span.warm_up.as_secs_f64(),
            lay_out(&["", "attache"], &rows)
        )
    }
}

fn sorted(mut times: Times) -> Times {
    times.sort_unstable();
    times
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

fn kilobytes(bytes: u64, count: usize) -> f64 {
    megabytes(bytes) * 1e3 / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// What a folder takes on disk.
fn bytes_in(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() {
            bytes_in(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_what_all_its_files_take() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("one"), [0; 10]).unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        fs::write(folder.path().join("more/two"), [0; 5]).unwrap();
        assert_eq!(bytes_in(folder.path()).unwrap(), 15);
    }
}
