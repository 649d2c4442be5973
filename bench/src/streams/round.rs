//! One round: a fresh process with meetings in their calls, streams into it and out of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tempfile::TempDir;
use tokio::time::sleep;

use super::audio::Audio;
use super::deepgram::{self, Deepgram};
use super::ledger::{Account, Ledger};
use super::media::{Streams, signed_upgrade};
use super::{Case, Level};
use crate::meeting;
use crate::process::{Runtime, own_processor_time};
use crate::stats::percentile;
use crate::subject::{Storage, Subject, Workshop};
use crate::vendors::Vendors;
use crate::webhooks::Addressee;

/// A greeting takes three seconds, so meetings are brought into their calls side by side.
const BOOKED_AT_ONCE: usize = 64;
/// A session is one handshake; the bound is for a busy machine.
const SESSION_TIMEOUT: Duration = Duration::from_secs(20);
/// After a level that was too much, what is still on its way takes about as long again.
const ARRIVAL_TIMEOUT: Duration = Duration::from_mins(1);
/// The last final results are stored moments after the last audio.
const STORED_TIMEOUT: Duration = Duration::from_secs(10);
const STORED_PAUSE: Duration = Duration::from_millis(100);

/// What the streams go through, and the books about them.
pub(crate) struct Stage {
    case: Case,
    ledger: Arc<Ledger>,
    deepgram: Deepgram,
    vendors: Vendors,
    /// None if the load generator is alone.
    worker: Option<Worker>,
    accounts: Vec<Arc<Account>>,
    pub(crate) streams: Streams,
}

struct Worker {
    runtime: Runtime,
    address: SocketAddr,
    _storage: TempDir,
}

impl Stage {
    /// Starts a process for streams with frames of this length.
    pub(crate) async fn set(workshop: &Workshop, case: Case, milliseconds: u32) -> Result<Self> {
        let is_text = !matches!(case, Case::Through(Subject::Attache | Subject::JavaScript));
        let ledger = Arc::new(Ledger::new(Audio::new(milliseconds), is_text));
        let deepgram = Deepgram::start(Arc::clone(&ledger)).await?;
        let vendors = Vendors::start_without_audio().await?;
        let worker = match case {
            Case::Alone => None,
            Case::Through(subject) => {
                Some(Worker::start(workshop, subject, &vendors, deepgram.address).await?)
            }
        };
        Ok(Self {
            case,
            streams: Streams::new(Arc::clone(&ledger)),
            ledger,
            deepgram,
            vendors,
            worker,
            accounts: Vec::new(),
        })
    }

    /// Brings meetings into their calls until there are so many.
    pub(crate) async fn book(&mut self, count: usize) -> Result<()> {
        let first = self.accounts.len();
        let missing = first..count.max(first);
        let Case::Through(subject @ (Subject::Attache | Subject::JavaScript)) = self.case else {
            let names = missing.map(|number| (number, format!("mtg_{number}")));
            for (number, meeting_id) in names {
                self.enter(number, &meeting_id, "bot")?;
            }
            return Ok(());
        };
        let origin = self.worker.as_ref().map(Worker::origin).unwrap_or_default();
        let booked: Vec<Addressee> = stream::iter(missing)
            .map(|_| meeting::begin(subject, &origin, &self.vendors))
            .buffered(BOOKED_AT_ONCE)
            .try_collect()
            .await?;
        for (number, to) in (first..).zip(booked) {
            self.enter(number, &to.meeting_id, &to.bot_id)?;
        }
        Ok(())
    }

    fn enter(&mut self, number: usize, meeting_id: &str, bot_id: &str) -> Result<()> {
        let stream = u32::try_from(number)?;
        self.accounts
            .push(self.ledger.open(stream, meeting_id, bot_id));
        Ok(())
    }

    /// Opens streams, each in a meeting of its own, until there are so many, and waits until Deepgram hears them.
    pub(crate) async fn open(&mut self, count: usize) -> Result<()> {
        self.book(count).await?;
        while self.streams.count() < count {
            let account = Arc::clone(&self.accounts[self.streams.count()]);
            let meeting_id = &account.meeting_id;
            if let Some(worker) = &self.worker {
                let path = format!("/recall/media/{meeting_id}/");
                let headers = signed_upgrade(self.vendors.webhook_secret(), account.stream)?;
                self.streams
                    .open(account, worker.address, &path, &headers)
                    .await?;
            } else {
                let (path, header) = deepgram::session(meeting_id);
                self.streams
                    .open(account, self.deepgram.address, &path, &[header])
                    .await?;
            }
        }
        self.ledger.all_in_session(SESSION_TIMEOUT).await
    }

    /// Sends on so many streams for a while, measures for a while, and waits until all has arrived.
    ///
    /// `speed` is how much faster than the call audio comes.
    pub(crate) async fn level(
        &mut self,
        streams: usize,
        speed: u32,
        settling: Duration,
        measured: Duration,
    ) -> Result<Level> {
        let pause = self.ledger.audio.frame() / speed;
        if !settling.is_zero() {
            self.streams.send(streams, pause, settling).await?;
        }
        self.ledger.record();
        let sent_before = self.ledger.frames_sent();
        let (before, own_before, start) =
            (self.processor_time(), own_processor_time(), Instant::now());
        let punctuality = self.streams.send(streams, pause, measured).await?;
        let (after, own_after, elapsed) =
            (self.processor_time(), own_processor_time(), start.elapsed());
        let frames = self.ledger.frames_sent() - sent_before;
        self.streams.settle(ARRIVAL_TIMEOUT).await?;
        let times = self.ledger.recorded();
        let spent = |before: Option<Duration>, after: Option<Duration>| {
            Some(after?.saturating_sub(before?))
        };
        Ok(Level {
            streams,
            frames,
            audio: self.ledger.audio.frame() * u32::try_from(frames)?,
            p50: percentile(&times, 0.5),
            p99: percentile(&times, 0.99),
            latest_send: punctuality.latest,
            elapsed,
            processor_time: spent(before, after),
            own_processor_time: spent(own_before, own_after),
            memory: self.memory(),
        })
    }

    /// Resident memory of the runtime in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.worker.as_ref()?.runtime.memory()
    }

    fn processor_time(&self) -> Option<Duration> {
        self.worker.as_ref()?.runtime.processor_time()
    }

    /// How many frames were sent since the beginning.
    pub(crate) fn frames_sent(&self) -> u64 {
        self.ledger.frames_sent()
    }

    /// Checks through the API that every final result is in its meeting's transcript once; how many there are.
    pub(crate) async fn check_transcripts(&self) -> Result<u64> {
        let finals = |account: &Arc<Account>| u64::from(account.finals());
        let all = self.accounts.iter().map(finals).sum();
        let Some(worker) = self.worker.as_ref().filter(|_| self.case.stores()) else {
            return Ok(all);
        };
        let deadline = Instant::now() + STORED_TIMEOUT;
        for account in &self.accounts {
            let to = Addressee {
                meeting_id: account.meeting_id.clone(),
                bot_id: String::new(),
            };
            while let Err(error) =
                meeting::check(&worker.origin(), &to, account.finals() as usize).await
            {
                if Instant::now() > deadline {
                    return Err(error.context("a final result was not stored"));
                }
                sleep(STORED_PAUSE).await;
            }
        }
        Ok(all)
    }

    /// Ends everything; an error is told with what the runtime complained of.
    pub(crate) async fn strike<T>(self, outcome: Result<T>) -> Result<T> {
        // First, or the end of the runtime would be a problem with every stream.
        drop((self.streams, self.deepgram));
        let Some(mut worker) = self.worker else {
            return outcome;
        };
        match outcome {
            Ok(result) => {
                worker.runtime.stop().await?;
                Ok(result)
            }
            Err(error) => {
                let words = worker.runtime.explain("the runtime was ended").await;
                Err(error.context(words))
            }
        }
    }
}

impl Worker {
    async fn start(
        workshop: &Workshop,
        subject: Subject,
        vendors: &Vendors,
        deepgram: SocketAddr,
    ) -> Result<Self> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = door.local_addr()?;
        let storage = Storage::fastest().folder()?;
        let variables = vendors.variables_with_ears(deepgram);
        let mut runtime = workshop.start(subject, storage.path(), door, &variables)?;
        runtime.listens().await?;
        Ok(Self {
            runtime,
            address,
            _storage: storage,
        })
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}
