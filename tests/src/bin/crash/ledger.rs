//! The books about one branch, kept from its vendors' journal as it is written: which webhooks were accepted, and what
//! has come back since the last start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attache_simulator::{Entry, ListeningNews, Operation, PageNews, Simulator, WebhookSent, What};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{Notify, watch};

/// A webhook that leaves something behind, as far as the meeting's own record shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trace {
    /// A segment of the live transcript with these words.
    Segment(String),
    /// An entry about this participant.
    Participant { action: String, id: String },
    /// An entry about a chat message from this participant.
    Chat { from: String },
    /// An entry about a bot with this status.
    Status(String),
}

/// One message, in all its attempts.
#[derive(Clone, Debug)]
struct Message {
    trace: Option<Trace>,
    accepted: bool,
}

/// How often something was sent, and how much of that was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) accepted: usize,
}

#[derive(Debug, Default)]
struct Books {
    /// By meeting, then by message.
    messages: BTreeMap<String, BTreeMap<String, Message>>,
    /// When Deepgram last began to listen, by meeting.
    listening: BTreeMap<String, Timestamp>,
    /// When the page's socket was last opened, by bot.
    pages: BTreeMap<String, Timestamp>,
    /// The bots whose page began to play something, which the room hears even if the call ends at once.
    playing: BTreeSet<String>,
    /// The bots that were made, by the link they were sent to.
    bots: BTreeMap<String, BTreeSet<String>>,
    /// When the runtime was last started, and how long after that a webhook was accepted.
    started: Option<Timestamp>,
    first_accepted: Option<Duration>,
    violations: Vec<String>,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
    changed: Notify,
}

/// Keeps the books until it is aborted; `accepted` counts what was.
pub(crate) async fn keep(
    ledger: Arc<Ledger>,
    simulator: Arc<Simulator>,
    accepted: Arc<watch::Sender<u64>>,
) {
    let mut seen = 0;
    loop {
        for entry in simulator.journal_since(seen) {
            seen = entry.seq + 1;
            if ledger.enter(&entry) {
                accepted.send_modify(|count| *count += 1);
            }
        }
        ledger.changed.notify_waiters();
        simulator.journal_grows_beyond(seen).await;
    }
}

impl Ledger {
    /// Begins anew to look for the first accepted webhook.
    pub(crate) fn started(&self, at: Timestamp) {
        let mut books = self.books();
        books.started = Some(at);
        books.first_accepted = None;
    }

    /// How long after the last start the first webhook was accepted.
    pub(crate) fn first_accepted(&self) -> Option<Duration> {
        self.books().first_accepted
    }

    /// When Deepgram last began to listen to a meeting.
    pub(crate) fn listens_since(&self, meeting_id: &str) -> Option<Timestamp> {
        self.books().listening.get(meeting_id).copied()
    }

    /// When a bot's page last opened its socket.
    pub(crate) fn page_since(&self, bot_id: &str) -> Option<Timestamp> {
        self.books().pages.get(bot_id).copied()
    }

    /// What was sent about a meeting, by the trace it has to leave.
    pub(crate) fn tallies(&self, meeting_id: &str) -> BTreeMap<Trace, Tally> {
        let mut tallies: BTreeMap<Trace, Tally> = BTreeMap::new();
        let books = self.books();
        let messages = books.messages.get(meeting_id).into_iter().flatten();
        for (_, message) in messages {
            let Some(trace) = &message.trace else {
                continue;
            };
            let tally = tallies.entry(trace.clone()).or_default();
            tally.sent += 1;
            tally.accepted += usize::from(message.accepted);
        }
        tallies
    }

    /// Whether a bot's page began to play something.
    pub(crate) fn has_played(&self, bot_id: &str) -> bool {
        self.books().playing.contains(bot_id)
    }

    /// How many bots were made for a link.
    pub(crate) fn bots_made(&self, meeting_url: &str) -> usize {
        self.books().bots.get(meeting_url).map_or(0, BTreeSet::len)
    }

    /// How many webhooks of all meetings were accepted.
    pub(crate) fn accepted(&self) -> usize {
        let books = self.books();
        let messages = books.messages.values().flat_map(BTreeMap::values);
        messages.filter(|message| message.accepted).count()
    }

    /// What the vendors had to object to.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.books().violations.clone()
    }

    /// Waits for news, at most so long.
    pub(crate) async fn changes(&self, at_most: Duration) {
        // Whether there were any is seen by looking.
        let _ = tokio::time::timeout(at_most, self.changed.notified()).await;
    }

    /// Takes in an entry; says whether it is a webhook that was accepted.
    fn enter(&self, entry: &Entry) -> bool {
        let mut books = self.books();
        match &entry.what {
            What::Webhook(sent) => return books.webhook(sent, entry.at),
            What::Listening {
                meeting_id: Some(id),
                news,
                ..
            } => match news {
                ListeningNews::Opened => {
                    books.listening.insert(id.clone(), entry.at);
                }
                ListeningNews::Violation(what) => {
                    books.violations.push(format!("Deepgram, {id}: {what}"));
                }
                ListeningNews::Refused { .. }
                | ListeningNews::FirstAudio
                | ListeningNews::Told(_)
                | ListeningNews::Final { .. }
                | ListeningNews::Dropped(_)
                | ListeningNews::Closed { .. } => {}
            },
            What::Page {
                bot_id,
                news: PageNews::SocketOpened,
                ..
            } => {
                books.pages.insert(bot_id.clone(), entry.at);
            }
            What::Request(request) if request.operation == Some(Operation::CreateBot) => {
                if let (Some(url), Some(bot)) = (&request.meeting_url, &request.bot_id) {
                    let bots = books.bots.entry(url.clone()).or_default();
                    bots.insert(bot.clone());
                }
            }
            What::Page {
                bot_id,
                news: PageNews::Said(message),
                ..
            } if message["type"] == "playing" => {
                books.playing.insert(bot_id.clone());
            }
            // A bot whose making was never answered shows itself all the same.
            What::Status {
                bot_id,
                meeting_url,
                ..
            } => {
                let bots = books.bots.entry(meeting_url.clone()).or_default();
                bots.insert(bot_id.clone());
            }
            What::Request(_)
            | What::Heard { .. }
            | What::Said { .. }
            | What::Listening { .. }
            | What::Avatar { .. }
            | What::Page { .. }
            | What::Audio { .. }
            | What::HugeAnswer { .. }
            | What::Note(_) => {}
        }
        false
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn webhook(&mut self, sent: &WebhookSent, at: Timestamp) -> bool {
        let accepted = sent
            .status
            .is_some_and(|status| (200..300).contains(&status));
        let data = &sent.body["data"];
        let Some(meeting_id) = data["bot"]["metadata"]["meeting_id"].as_str() else {
            return accepted;
        };
        let messages = self.messages.entry(meeting_id.to_owned()).or_default();
        let message = messages.entry(sent.id.clone()).or_insert_with(|| Message {
            trace: Trace::of(&sent.event, data),
            accepted: false,
        });
        message.accepted |= accepted;
        if let Some(started) = self.started.filter(|started| accepted && *started <= at) {
            let after = Duration::try_from(at.duration_since(started)).unwrap_or_default();
            self.first_accepted.get_or_insert(after);
        }
        accepted
    }
}

impl Trace {
    fn of(event: &str, data: &Value) -> Option<Self> {
        let inner = &data["data"];
        if event == "transcript.data" {
            return Some(Self::Segment(words(&inner["words"])));
        }
        if let Some(action) = event.strip_prefix("participant_events.") {
            // Without a participant it is about the artifact of this name.
            let id = inner["participant"]["id"].as_u64()?.to_string();
            return Some(if action == "chat_message" {
                Self::Chat { from: id }
            } else {
                let action = action.to_owned();
                Self::Participant { action, id }
            });
        }
        let status = event.strip_prefix("bot.")?;
        Some(Self::Status(status.to_owned()))
    }
}

fn words(words: &Value) -> String {
    let texts = words.as_array().into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(|word| word["text"].as_str()).collect();
    texts.join(" ")
}
