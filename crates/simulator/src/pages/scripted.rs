//! The stand-in for a bot's page: loads it, speaks its protocol, and works out what the room hears.
//!
//! It watches the avatars it is told to watch and plays the speech it is given, in meeting time, whether
//! or not it has a socket. It comes back when its socket is lost, as the page does. Its [`PageHabits`]
//! are those at the time it is loaded.

mod link;
mod speaking;
mod watching;

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use self::link::{GOOD_AFTER, Socket, connect, reconnect_delay};
use self::speaking::Speaking;
use self::watching::Watching;
use super::habits::PageHabits;
use super::news::PageNews;
use super::url::socket;
use super::{Job, PageOrder};

/// How long a server may take to show the page.
const LOADING: Duration = Duration::from_secs(10);
/// A server that takes nothing for so long is lost.
const STUCK: Duration = Duration::from_secs(5);
/// A server that pings does so at least twice in this time; the page has the same bound.
const SILENCE: Duration = Duration::from_secs(70);
/// Facts that wait for a socket; the page has the same bound.
const MOST_WAITING: usize = 64;
/// Ends of utterances that are told again; the page has the same bound.
const MOST_REMEMBERED: usize = 8;
/// Without anything due, look again this often: the clock may have been moved.
const IDLE: Duration = Duration::from_secs(1);

/// How a page, or its connection, ended.
enum End {
    /// The page has to be closed.
    Closing,
    /// The page is to be loaded again, and forgets everything.
    Reload,
    /// The connection is lost.
    Lost,
}

/// What came up meanwhile.
enum Next {
    /// Look at the clock.
    Tick,
    /// Tell this.
    Tell(Vec<Value>),
    Over(End),
}

/// Plays a page until it has to be closed.
pub(super) async fn play(mut job: Job) {
    let Some(url) = socket(&job.wanted.url) else {
        return job.note(PageNews::Failed("the page's address is none".to_owned()));
    };
    loop {
        let mut stage = Stage::new(&job);
        let end = stage.live(&mut job, &url).await;
        // The window is gone: what still plays is not heard any more.
        stage.fall_silent(&job);
        match end {
            End::Closing | End::Lost => return,
            End::Reload => job.note(PageNews::Reloaded),
        }
    }
}

/// What a page holds beyond its connection.
struct Stage {
    habits: PageHabits,
    speaking: Speaking,
    watching: Watching,
    /// Facts that wait for the next hello.
    waiting: Vec<Value>,
    /// How the last utterances ended: told again after every hello.
    ended: VecDeque<Value>,
    greeted: bool,
    /// Since the server pinged first, its silence means something.
    pings: bool,
}

impl Stage {
    fn new(job: &Job) -> Self {
        let habits = job.world.pages.habits(&job.wanted.meeting_url);
        let scale = job
            .world
            .look(|models, _| models.avatars.settings().time_scale);
        Self {
            habits,
            speaking: Speaking::new(scale, habits.sound_blocked),
            watching: Watching::new(scale),
            waiting: Vec::new(),
            ended: VecDeque::new(),
            greeted: false,
            pings: false,
        }
    }

    /// One load of the page, from its beginning to its end.
    async fn live(&mut self, job: &mut Job, url: &Url) -> End {
        match self.load_and_link(job, url).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn load_and_link(
        &mut self,
        job: &mut Job,
        url: &Url,
    ) -> Result<std::convert::Infallible, End> {
        let loads = load(job.wanted.url.clone());
        let loaded = self.meanwhile(job, loads).await?;
        let is_there = matches!(loaded, PageNews::Loaded(200..=299));
        job.note(loaded);
        if !is_there {
            // There is no script that could do anything.
            self.meanwhile(job, std::future::pending::<()>()).await?;
        }
        let mut failures = 0;
        loop {
            match self.meanwhile(job, connect(url.clone())).await? {
                Ok(mut socket) => {
                    let opened = Instant::now();
                    self.visit(job, &mut socket).await?;
                    failures = if opened.elapsed() > GOOD_AFTER {
                        0
                    } else {
                        failures + 1
                    };
                }
                Err(complaint) => {
                    job.note(PageNews::Complained(complaint));
                    failures += 1;
                }
            }
            let pause = tokio::time::sleep(reconnect_delay(failures));
            self.meanwhile(job, pause).await?;
        }
    }

    /// Plays on without a connection until some work is done.
    async fn meanwhile<T>(
        &mut self,
        job: &mut Job,
        work: impl Future<Output = T>,
    ) -> Result<T, End> {
        let mut work = pin!(work);
        loop {
            let (facts, pause) = self.tick(job);
            for fact in facts {
                self.keep(fact);
            }
            tokio::select! {
                done = &mut work => return Ok(done),
                next = self.next(job, pause) => match next {
                    Next::Tick | Next::Over(End::Lost) => {}
                    Next::Tell(facts) => facts.into_iter().for_each(|fact| self.keep(fact)),
                    Next::Over(end) => return Err(end),
                },
            }
        }
    }

    /// One connection, from its beginning to its end; an error is the page's end.
    async fn visit(&mut self, job: &mut Job, socket: &mut Socket) -> Result<(), End> {
        job.note(PageNews::SocketOpened);
        let end = self.attend(job, socket).await;
        job.note(PageNews::SocketClosed);
        (self.greeted, self.pings) = (false, false);
        for fact in self.speaking.cut_off("the connection was lost") {
            self.keep(fact);
        }
        match end {
            End::Lost => Ok(()),
            End::Closing | End::Reload => Err(end),
        }
    }

    async fn attend(&mut self, job: &mut Job, socket: &mut Socket) -> End {
        let mut last_sign = Instant::now();
        loop {
            let (mut facts, pause) = self.tick(job);
            if self.pings && last_sign.elapsed() > SILENCE {
                return End::Lost;
            }
            if facts.is_empty() {
                tokio::select! {
                    message = socket.next() => {
                        last_sign = Instant::now();
                        match self.receive(job, message) {
                            Some(answers) => facts = answers,
                            None => return End::Lost,
                        }
                    }
                    next = self.next(job, pause) => match next {
                        Next::Tick => {}
                        Next::Tell(told) => facts = told,
                        Next::Over(end) => return end,
                    },
                }
            }
            for fact in facts {
                if self.tell(job, socket, fact).await.is_err() {
                    return End::Lost;
                }
            }
        }
    }

    /// Takes a frame; returns what is answered, or nothing if there are no more frames.
    fn receive(&mut self, job: &Job, frame: Option<Result<Message, Error>>) -> Option<Vec<Value>> {
        match frame {
            Some(Ok(Message::Text(text))) => return Some(self.obey(job, text.as_str())),
            Some(Ok(Message::Binary(sound))) => self.speaking.hear(&sound),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
        }
        Some(Vec::new())
    }

    /// Plays on to now; what is to be told, and how long nothing more is due.
    fn tick(&mut self, job: &Job) -> (Vec<Value>, Duration) {
        let now = job.world.clock.now();
        let mut facts = self.speaking.tick(job, now);
        facts.extend(self.watching.tick(job, now, !self.speaking.is_blocked()));
        let due = self
            .speaking
            .deadline()
            .into_iter()
            .chain(self.watching.deadline())
            .min();
        let pause = due.map_or(IDLE, |due| {
            let pause = Duration::try_from(due.duration_since(now)).unwrap_or_default();
            pause.min(IDLE)
        });
        (facts, pause)
    }

    /// Waits for an order, for news of an avatar, or for the time to come.
    async fn next(&mut self, job: &mut Job, pause: Duration) -> Next {
        tokio::select! {
            Some(order) = job.orders.recv() => self.take_order(job, order),
            () = self.watching.changed() => Next::Tick,
            () = tokio::time::sleep(pause) => Next::Tick,
            _ = &mut job.closing => Next::Over(End::Closing),
        }
    }

    fn take_order(&mut self, job: &Job, order: PageOrder) -> Next {
        let nothing = || anyhow::anyhow!("the stand-in has no page to look into");
        // Whoever asked may have given up waiting.
        match order {
            PageOrder::Evaluate(_, answer) => drop(answer.send(Err(nothing()))),
            PageOrder::Picture(answer) => drop(answer.send(Err(nothing()))),
            PageOrder::Reload(answer) => {
                drop(answer.send(Ok(())));
                return Next::Over(End::Reload);
            }
            PageOrder::DropSocket(answer) => {
                drop(answer.send(Ok(())));
                return Next::Over(End::Lost);
            }
            PageOrder::BlockSound(blocked, answer) => {
                drop(answer.send(Ok(())));
                let begins = self.speaking.block(blocked, job.world.clock.now());
                // Without a connection the next hello is the time to tell.
                if begins && self.greeted {
                    return Next::Tell(vec![json!({ "type": "sound.blocked" })]);
                }
            }
        }
        Next::Tick
    }

    /// Does what a message says; returns what is answered.
    fn obey(&mut self, job: &Job, text: &str) -> Vec<Value> {
        let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let kind = message["type"].as_str().unwrap_or_default();
        job.note(PageNews::Told(kind.to_owned()));
        if !self.habits.alive {
            return Vec::new();
        }
        let now = job.world.clock.now();
        match kind {
            "hello" => self.greet(now),
            "ping" => {
                self.pings = true;
                vec![json!({ "type": "pong" })]
            }
            "avatar.join" => self.watching.join(job, &message, now),
            "avatar.leave" => {
                let session = message["session"].as_str().unwrap_or_default();
                let audible = !self.speaking.is_blocked();
                self.watching.leave(job, session, now, audible);
                Vec::new()
            }
            "speak.start" => {
                let id = &message["utterance_id"];
                self.ended.retain(|ending| ending["utterance_id"] != *id);
                self.speaking.start(&message)
            }
            "speak.end" => self.speaking.end(&message),
            "interrupt" => self.speaking.interrupt(job, now),
            _ => Vec::new(),
        }
    }

    fn greet(&mut self, now: Timestamp) -> Vec<Value> {
        self.greeted = true;
        let mut facts = vec![json!({ "type": "ready" })];
        facts.append(&mut self.waiting);
        facts.extend(self.ended.iter().cloned());
        facts.extend(self.speaking.progress(now));
        if self.speaking.is_blocked() {
            facts.push(json!({ "type": "sound.blocked" }));
        }
        facts
    }

    /// Sends a fact, or keeps it for the next connection.
    async fn tell(&mut self, job: &Job, socket: &mut Socket, fact: Value) -> Result<(), ()> {
        if !self.greeted {
            self.keep(fact);
            return Ok(());
        }
        self.remember(&fact);
        let sent = tokio::time::timeout(STUCK, socket.send(Message::text(fact.to_string()))).await;
        job.note(PageNews::Said(fact));
        if matches!(sent, Ok(Ok(()))) {
            Ok(())
        } else {
            Err(())
        }
    }

    /// Keeps a fact for the next connection, unless it is about speech and told then anyway.
    fn keep(&mut self, fact: Value) {
        if fact["utterance_id"].is_string() {
            return self.remember(&fact);
        }
        self.waiting.push(fact);
        if self.waiting.len() > MOST_WAITING {
            self.waiting.remove(0);
        }
    }

    /// Remembers how an utterance ended.
    fn remember(&mut self, fact: &Value) {
        let ends = match fact["type"].as_str() {
            Some("spoken" | "speak.failed") => true,
            Some("playing") => fact["interrupted"] == true,
            _ => false,
        };
        if !ends || self.ended.contains(fact) {
            return;
        }
        self.ended.push_back(fact.clone());
        if self.ended.len() > MOST_REMEMBERED {
            self.ended.pop_front();
        }
    }

    fn fall_silent(&mut self, job: &Job) {
        let now = job.world.clock.now();
        let audible = !self.speaking.is_blocked();
        self.watching.tick(job, now, audible);
        self.watching.leave_all(job, now, audible);
        self.speaking.tick(job, now);
        self.speaking.stop(job, now);
    }
}

/// Loads the page itself, as a browser would.
async fn load(url: String) -> PageNews {
    let client = reqwest::Client::builder().timeout(LOADING).build();
    let loaded = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match loaded {
        Ok(answer) => PageNews::Loaded(answer.status().as_u16()),
        Err(error) => PageNews::Failed(error.without_url().to_string()),
    }
}
