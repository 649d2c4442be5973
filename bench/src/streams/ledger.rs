//! What was sent and what arrived, of all streams of a round: nothing may be missing, doubled, reordered or changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::audio::{Audio, Origin, told_number};

/// How many frames of a stream may be on their way: ten seconds of the shortest. A stream with more is given up.
pub(crate) const MOST_ON_THEIR_WAY: u32 = 512;

/// No time: nothing is recorded.
const NEVER: u64 = u64::MAX;

/// The books of a round. One thread keeps them, so nothing here is ever waited for.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) audio: Audio,
    /// Text instead of sound arrives, as it was sent.
    is_text: bool,
    began: Instant,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    /// Frames sent from here on are measured, in nanoseconds from the beginning.
    record_from: AtomicU64,
    /// How long the measured frames took, in microseconds.
    times: Mutex<Vec<u32>>,
    problem: Mutex<Option<String>>,
    changed: Notify,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) stream: u32,
    pub(crate) meeting_id: String,
    pub(crate) origin: Origin,
    sent: AtomicU32,
    received: AtomicU32,
    sessions: AtomicU32,
    finals: AtomicU32,
    sent_at: Box<[AtomicU64]>,
}

impl Ledger {
    /// Books for streams of this audio.
    pub(crate) fn new(audio: Audio, is_text: bool) -> Self {
        Self {
            audio,
            is_text,
            began: Instant::now(),
            accounts: Mutex::default(),
            record_from: AtomicU64::new(NEVER),
            times: Mutex::default(),
            problem: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Opens the account of a meeting.
    pub(crate) fn open(&self, stream: u32, meeting_id: &str, bot_id: &str) -> Arc<Account> {
        let account = Arc::new(Account {
            stream,
            meeting_id: meeting_id.to_owned(),
            origin: Origin::new(meeting_id, bot_id),
            sent: AtomicU32::new(0),
            received: AtomicU32::new(0),
            sessions: AtomicU32::new(0),
            finals: AtomicU32::new(0),
            sent_at: (0..MOST_ON_THEIR_WAY).map(|_| AtomicU64::new(0)).collect(),
        });
        locked(&self.accounts).insert(meeting_id.to_owned(), Arc::clone(&account));
        account
    }

    /// The account of a meeting whose session begins; a meeting has one session.
    pub(crate) fn session(&self, meeting_id: &str) -> Result<Arc<Account>> {
        let account = locked(&self.accounts).get(meeting_id).cloned();
        let account = account.with_context(|| format!("nobody knows the meeting {meeting_id}"))?;
        let before = account.sessions.fetch_add(1, Relaxed);
        ensure!(before == 0, "a second session for the meeting {meeting_id}");
        self.changed.notify_one();
        Ok(account)
    }

    /// Notes that the next frame of a stream is handed over now, and tells its number.
    pub(crate) fn send(&self, account: &Account) -> Result<u32> {
        let number = account.sent.load(Relaxed);
        let on_their_way = number - account.received.load(Relaxed);
        ensure!(
            on_their_way < MOST_ON_THEIR_WAY,
            "{on_their_way} frames of a stream are on their way"
        );
        account.slot(number).store(self.now(), Relaxed);
        account.sent.store(number + 1, Relaxed);
        Ok(number)
    }

    /// Checks what arrived after `position` bytes of a stream, and tells the new position.
    pub(crate) fn receive(&self, account: &Account, position: u64, bytes: &[u8]) -> Result<u64> {
        if self.is_text {
            let number = account.received.load(Relaxed);
            let mut expected = Vec::with_capacity(bytes.len());
            let (stream, origin) = (account.stream, &account.origin);
            self.audio
                .write_message(stream, number, origin, &mut expected);
            ensure!(bytes == expected, "message {number} is not as it was sent");
            self.complete(account, number)?;
            return Ok(position + self.audio.frame_bytes() as u64);
        }
        ensure!(
            !bytes.is_empty(),
            "an empty frame, at which Deepgram closes"
        );
        let frame_bytes = self.audio.frame_bytes();
        let mut offset = usize::try_from(position % frame_bytes as u64)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let number = account.received.load(Relaxed);
            let (part, after) = rest.split_at(rest.len().min(frame_bytes - offset));
            if !self.audio.is_part(account.stream, number, offset, part) {
                bail!(
                    "stream {} expected frame {number}, and got something else that says it is frame {:?}",
                    account.stream,
                    told_number(part)
                );
            }
            if offset + part.len() == frame_bytes {
                self.complete(account, number)?;
            }
            (rest, offset) = (after, 0);
        }
        Ok(position + bytes.len() as u64)
    }

    /// All of a frame is there.
    fn complete(&self, account: &Account, number: u32) -> Result<()> {
        let sent = account.sent.load(Relaxed);
        ensure!(number < sent, "a frame that was never sent");
        account.received.store(number + 1, Relaxed);
        let sent_at = account.slot(number).load(Relaxed);
        if sent_at >= self.record_from.load(Relaxed) {
            let micros = (self.now() - sent_at) / 1000;
            locked(&self.times).push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        if number + 1 == sent {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Measures the frames sent from now on.
    pub(crate) fn record(&self) {
        locked(&self.times).clear();
        self.record_from.store(self.now(), Relaxed);
    }

    /// Stops measuring; how long the frames took, sorted.
    pub(crate) fn recorded(&self) -> Vec<Duration> {
        self.record_from.store(NEVER, Relaxed);
        let mut times = std::mem::take(&mut *locked(&self.times));
        times.sort_unstable();
        let times = times.into_iter();
        times
            .map(|micros| Duration::from_micros(micros.into()))
            .collect()
    }

    /// Notes what is wrong; the first problem counts.
    pub(crate) fn complain(&self, error: &anyhow::Error) {
        locked(&self.problem).get_or_insert_with(|| format!("{error:#}"));
        self.changed.notify_one();
    }

    /// Fails if anything was wrong so far.
    pub(crate) fn check(&self) -> Result<()> {
        match &*locked(&self.problem) {
            Some(problem) => bail!("{problem}"),
            None => Ok(()),
        }
    }

    /// Waits until every stream has its session.
    pub(crate) async fn all_in_session(&self, at_most: Duration) -> Result<()> {
        self.until(at_most, |account| account.sessions.load(Relaxed) == 1)
            .await
            .context("not every stream came to Deepgram")
    }

    /// Waits until every frame that was sent has arrived.
    pub(crate) async fn all_arrived(&self, at_most: Duration) -> Result<()> {
        let is_level =
            |account: &Account| account.sent.load(Relaxed) == account.received.load(Relaxed);
        self.until(at_most, is_level)
            .await
            .context("not every frame arrived")
    }

    async fn until(&self, at_most: Duration, holds: impl Fn(&Account) -> bool) -> Result<()> {
        let waiting = async {
            loop {
                self.check()?;
                if locked(&self.accounts)
                    .values()
                    .all(|account| holds(account))
                {
                    return Ok(());
                }
                self.changed.notified().await;
            }
        };
        timeout(at_most, waiting)
            .await
            .unwrap_or_else(|_| bail!("waited {at_most:?}"))
    }

    /// How many frames were sent, of all streams.
    pub(crate) fn frames_sent(&self) -> u64 {
        let accounts = locked(&self.accounts);
        accounts
            .values()
            .map(|account| u64::from(account.sent.load(Relaxed)))
            .sum()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("a round is shorter than 500 years")
    }
}

impl Account {
    /// Notes that a final result goes out, and tells its number.
    pub(crate) fn next_final(&self) -> u32 {
        self.finals.fetch_add(1, Relaxed)
    }

    /// How many final results went out.
    pub(crate) fn finals(&self) -> u32 {
        self.finals.load(Relaxed)
    }

    fn slot(&self, number: u32) -> &AtomicU64 {
        &self.sent_at[(number % MOST_ON_THEIR_WAY) as usize]
    }
}

/// A panic ends the program, so a lock is never left half-way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stream with so many frames sent, and their bytes.
    fn sent(frames: u32) -> (Ledger, Arc<Account>, Vec<u8>) {
        use base64::Engine as _;
        let ledger = Ledger::new(Audio::new(20), false);
        let account = ledger.open(3, "mtg_1", "bot_1");
        let mut bytes = Vec::new();
        for _ in 0..frames {
            let number = ledger.send(&account).unwrap();
            let mut message = Vec::new();
            ledger
                .audio
                .write_message(3, number, &account.origin, &mut message);
            let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
            let buffer = message["data"]["data"]["buffer"].as_str().unwrap();
            bytes.extend(
                base64::engine::general_purpose::STANDARD
                    .decode(buffer)
                    .unwrap(),
            );
        }
        (ledger, account, bytes)
    }

    #[tokio::test]
    async fn frames_arrive_whole_however_they_are_cut() {
        let (ledger, account, bytes) = sent(3);
        ledger.record();
        ledger.send(&account).unwrap();
        let mut position = 0;
        for part in bytes.chunks(500) {
            position = ledger.receive(&account, position, part).unwrap();
        }
        assert_eq!(position, 3 * 640);
        assert!(ledger.recorded().is_empty(), "none of these was measured");
        assert!(ledger.all_arrived(Duration::ZERO).await.is_err());
    }

    #[test]
    fn a_lost_doubled_or_invented_frame_is_a_problem() {
        let (ledger, account, bytes) = sent(2);
        let lost = ledger.receive(&account, 0, &bytes[640..]);
        assert!(lost.unwrap_err().to_string().contains("Some(1)"));
        let position = ledger.receive(&account, 0, &bytes[..640]).unwrap();
        assert!(ledger.receive(&account, position, &bytes[..640]).is_err());
        let (ledger, account, _) = sent(1);
        assert!(
            ledger.receive(&account, 0, &bytes).is_err(),
            "the second was not sent"
        );
    }

    #[test]
    fn a_stream_that_stands_still_is_given_up() {
        let (ledger, account, _) = sent(MOST_ON_THEIR_WAY);
        assert!(ledger.send(&account).is_err());
    }
}
