//! Everything the simulator saw and did, in order.
//!
//! Waiting for an entry is by notification. Credentials never get in; neither do the queries of
//! signed URLs.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::avatar::{AvatarNews, AvatarProvider};
use crate::deepgram::ListeningNews;
use crate::operation::Operation;
use crate::pages::PageNews;
use crate::recall::{AudioNews, Heard};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place in the journal.
    pub seq: u64,
    /// When, on the simulator's clock.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What an [`Entry`] is about.
#[derive(Clone, Debug)]
pub enum What {
    /// A request was decided; written before its answer leaves.
    Request(RequestSeen),
    /// A webhook was delivered, or was not.
    Webhook(WebhookSent),
    /// A bot's status changed.
    Status {
        /// The bot.
        bot_id: String,
        /// The meeting it was sent to.
        meeting_url: String,
        /// The new status.
        code: String,
        /// Why, where there is a reason.
        sub_code: Option<String>,
    },
    /// The room heard or read something from the bot.
    Heard {
        /// The bot.
        bot_id: String,
        /// The meeting it is in.
        meeting_url: String,
        /// What it was.
        heard: Heard,
    },
    /// Somebody in the call spoke or wrote.
    Said {
        /// The bot that listens.
        bot_id: String,
        /// Who.
        name: String,
        /// What.
        text: String,
    },
    /// Something happened to a stream to Deepgram.
    Listening {
        /// The request id.
        id: String,
        /// The meeting, where the handshake names one.
        meeting_id: Option<String>,
        /// What.
        news: ListeningNews,
    },
    /// Something happened to an avatar session.
    Avatar {
        /// The session.
        session_id: String,
        /// Whose it is.
        provider: AvatarProvider,
        /// The meeting it is for, where that is known.
        meeting_id: Option<String>,
        /// What.
        news: AvatarNews,
    },
    /// Something happened to the page that a bot shows.
    Page {
        /// The bot.
        bot_id: String,
        /// The meeting it is in.
        meeting_url: String,
        /// What.
        news: PageNews,
    },
    /// Something happened to a socket that carries a call's sound.
    Audio {
        /// The bot that listens.
        bot_id: String,
        /// The meeting it is in.
        meeting_url: String,
        /// The place of the connection among those of its endpoint.
        connection: usize,
        /// What.
        news: AudioNews,
    },
    /// A huge answer ended, or the client took no more of it.
    HugeAnswer {
        /// How many bytes went out, some of which may have stayed on the way.
        taken: usize,
        /// How many there were.
        bytes: usize,
    },
    /// Something worth knowing that is none of the above.
    Note(String),
}

/// A request and what became of it.
#[derive(Clone, Debug, Default)]
pub struct RequestSeen {
    /// Which call it was, if any.
    pub operation: Option<Operation>,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, empty for downloads.
    pub query: String,
    /// The headers, without credentials.
    pub headers: Vec<(String, String)>,
    /// Whether a credential came with it.
    pub credentials: bool,
    /// The JSON body, with long values shortened and media replaced by their size and hash.
    pub body: Option<Value>,
    /// The bot it is about.
    pub bot_id: Option<String>,
    /// The meeting it is about.
    pub meeting_url: Option<String>,
    /// The avatar it asks for, or that its session shows.
    pub avatar: Option<String>,
    /// The status answered, `None` if no answer is sent.
    pub status: Option<u16>,
    /// The beginning of the answer, where it is an error.
    pub refusal: Option<String>,
    /// The fault that was used on it.
    pub fault: Option<String>,
}

/// One attempt to deliver a webhook.
#[derive(Clone, Debug)]
pub struct WebhookSent {
    /// The message id, the same in each attempt.
    pub id: String,
    /// The event's name.
    pub event: String,
    /// The bot it is about.
    pub bot_id: Option<String>,
    /// Where it went, without the query.
    pub url: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The status answered.
    pub status: Option<u16>,
    /// Why there is no status.
    pub error: Option<String>,
    /// The body sent.
    pub body: Value,
}

impl What {
    /// The request, if this is about one.
    pub fn request(&self) -> Option<&RequestSeen> {
        if let Self::Request(request) = self {
            Some(request)
        } else {
            None
        }
    }

    /// The meeting and what happened, if this is about a stream to Deepgram.
    pub fn listening(&self) -> Option<(Option<&str>, &ListeningNews)> {
        if let Self::Listening {
            meeting_id, news, ..
        } = self
        {
            Some((meeting_id.as_deref(), news))
        } else {
            None
        }
    }

    /// The bot and what happened, if this is about its page.
    pub fn page(&self) -> Option<(&str, &PageNews)> {
        if let Self::Page { bot_id, news, .. } = self {
            Some((bot_id, news))
        } else {
            None
        }
    }

    /// The session and what happened, if this is about an avatar.
    pub fn avatar(&self) -> Option<(&str, &AvatarNews)> {
        if let Self::Avatar {
            session_id, news, ..
        } = self
        {
            Some((session_id, news))
        } else {
            None
        }
    }

    /// The webhook, if this is about one.
    pub fn webhook(&self) -> Option<&WebhookSent> {
        if let Self::Webhook(webhook) = self {
            Some(webhook)
        } else {
            None
        }
    }
}

/// More than a test with hundreds of bots writes; older entries make room beyond it.
const CAPACITY: usize = 500_000;

#[derive(Debug)]
pub(crate) struct Journal {
    entries: Mutex<Vec<Entry>>,
    written: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            written: watch::Sender::new(0),
        }
    }
}

impl Journal {
    pub(crate) fn write(&self, at: Timestamp, what: What) {
        let mut entries = self.lock();
        let seq = entries.last().map_or(0, |last| last.seq + 1);
        if entries.len() == CAPACITY {
            entries.drain(..CAPACITY / 10);
        }
        entries.push(Entry { seq, at, what });
        drop(entries);
        self.written.send_replace(seq + 1);
    }

    pub(crate) fn all(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Entries from `seq` on.
    pub(crate) fn since(&self, seq: u64) -> Vec<Entry> {
        let entries = self.lock();
        let from = entries.partition_point(|entry| entry.seq < seq);
        entries[from..].to_vec()
    }

    /// The first entry, old or new, that matches.
    pub(crate) async fn wait_for(
        &self,
        mut matches: impl FnMut(&Entry) -> bool,
        timeout: Duration,
    ) -> Result<Entry> {
        let mut written = self.subscribe();
        let mut seen = 0;
        let search = async {
            loop {
                let next = *written.borrow_and_update();
                if let Some(entry) = self.since(seen).into_iter().find(|entry| matches(entry)) {
                    return entry;
                }
                seen = next;
                written
                    .changed()
                    .await
                    .expect("the journal outlives its readers");
            }
        };
        match tokio::time::timeout(timeout, search).await {
            Ok(entry) => Ok(entry),
            Err(_) => bail!(
                "nothing in the journal matched within {timeout:?}\n{}",
                self.tail()
            ),
        }
    }

    /// The last entries in short, for the message of a failed wait.
    fn tail(&self) -> String {
        let entries = self.lock();
        let from = entries.len().saturating_sub(20);
        let lines: Vec<String> = entries[from..].iter().map(Entry::to_string).collect();
        lines.join(
            "
",
        )
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().expect("no panic holds the journal")
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.at.strftime("%H:%M:%S%.3f"), self.what)
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Request(request) => {
                write!(f, "request  {} {}", request.method, request.path)?;
                match request.status {
                    Some(status) => write!(f, " -> {status}")?,
                    None => write!(f, " -> no answer")?,
                }
                if let Some(fault) = &request.fault {
                    write!(f, " (fault {fault})")?;
                }
                request
                    .refusal
                    .as_ref()
                    .map_or(Ok(()), |refusal| write!(f, " {refusal}"))
            }
            Self::Webhook(webhook) => {
                write!(
                    f,
                    "webhook  {} {} attempt {}",
                    webhook.event, webhook.id, webhook.attempt
                )?;
                match (webhook.status, &webhook.error) {
                    (Some(status), _) => write!(f, " -> {status}"),
                    (None, Some(error)) => write!(f, " -> {error}"),
                    (None, None) => write!(f, " -> nothing"),
                }
            }
            Self::Status {
                bot_id,
                code,
                sub_code,
                ..
            } => {
                write!(f, "status   bot {} {code}", short(bot_id))?;
                sub_code
                    .as_ref()
                    .map_or(Ok(()), |sub_code| write!(f, " ({sub_code})"))
            }
            Self::Heard { bot_id, heard, .. } => {
                write!(f, "heard    bot {} {heard}", short(bot_id))
            }
            Self::Said { name, text, .. } => write!(f, "said     {name}: {text}"),
            Self::Listening { id, news, .. } => write!(f, "listen   stream {} {news}", short(id)),
            Self::Avatar {
                session_id, news, ..
            } => {
                write!(f, "avatar   session {} {news}", short(session_id))
            }
            Self::Page { bot_id, news, .. } => write!(f, "page     bot {} {news}", short(bot_id)),
            Self::Audio {
                bot_id,
                connection,
                news,
                ..
            } => write!(
                f,
                "audio    bot {} connection {connection} {news}",
                short(bot_id)
            ),
            Self::HugeAnswer { taken, bytes } => {
                write!(f, "answer   {taken} of {bytes} bytes were taken")
            }
            Self::Note(note) => write!(f, "note     {note}"),
        }
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
