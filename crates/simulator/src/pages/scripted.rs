//! The stand-in for a bot's page: loads it, speaks its protocol, and works out what the room hears.
//!
//! It watches the avatars it is told to watch and plays the speech it is given, in meeting time. It
//! comes back when its socket is lost, as the page does.

mod speaking;
mod watching;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use self::speaking::Speaking;
use self::watching::Watching;
use super::news::PageNews;
use super::url::{socket, without_queries};
use super::{Job, PageOrder};

/// How long a server may take to show the page or to open its socket.
const CONNECTING: Duration = Duration::from_secs(10);
/// The page's own waits between connections: doubling.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A server that takes nothing for so long is lost.
const STUCK: Duration = Duration::from_secs(5);
/// Without anything due, look again this often: the clock may have been moved.
const IDLE: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TcpStream>;

/// How a connection ended.
enum End {
    /// The page has to be closed.
    Closing,
    /// The page is to be loaded again, and forgets everything.
    Reload,
    Lost,
}

/// Plays a page until it has to be closed.
pub(super) async fn play(mut job: Job) {
    let Some(url) = socket(&job.wanted.url) else {
        return job.note(PageNews::Failed("the page's address is none".to_owned()));
    };
    loop {
        load(&job).await;
        let scale = job
            .world
            .look(|models, _| models.avatars.settings().time_scale);
        let mut stage = Stage {
            speaking: Speaking::new(scale),
            watching: Watching::default(),
            waiting: Vec::new(),
            greeted: false,
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match stage.visit(&mut job, &url, &mut pause).await {
                End::Closing => return,
                End::Reload => {
                    job.note(PageNews::Reloaded);
                    break;
                }
                End::Lost => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = &mut job.closing => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Loads the page itself, as a browser would.
async fn load(job: &Job) {
    let client = reqwest::Client::builder().timeout(CONNECTING).build();
    let loaded = match client {
        Ok(client) => client.get(&job.wanted.url).send().await,
        Err(error) => Err(error),
    };
    job.note(match loaded {
        Ok(answer) => PageNews::Loaded(answer.status().as_u16()),
        Err(error) => PageNews::Failed(error.without_url().to_string()),
    });
}

async fn connect(url: &Url) -> anyhow::Result<Socket> {
    anyhow::ensure!(url.scheme() == "ws", "there is no TLS here, only ws works");
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, url.port_or_known_default().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(url.as_str().into_client_request()?, stream).await?;
    Ok(socket)
}

/// What a page holds beyond its connection.
struct Stage {
    speaking: Speaking,
    watching: Watching,
    /// Facts that wait for the next hello.
    waiting: Vec<Value>,
    greeted: bool,
}

impl Stage {
    /// One connection, from its beginning to its end.
    async fn visit(&mut self, job: &mut Job, url: &Url, pause: &mut Duration) -> End {
        let connected = tokio::select! {
            connected = tokio::time::timeout(CONNECTING, connect(url)) => connected,
            _ = &mut job.closing => return End::Closing,
        };
        let mut socket = match connected {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                job.note(PageNews::Complained(without_queries(&error.to_string())));
                return End::Lost;
            }
            Err(_) => {
                job.note(PageNews::Complained(
                    "no answer to the handshake".to_owned(),
                ));
                return End::Lost;
            }
        };
        *pause = FIRST_PAUSE;
        job.note(PageNews::SocketOpened);
        let end = self.attend(job, &mut socket).await;
        self.greeted = false;
        self.waiting.extend(self.speaking.connection_lost());
        job.note(PageNews::SocketClosed);
        end
    }

    async fn attend(&mut self, job: &mut Job, socket: &mut Socket) -> End {
        loop {
            let now = job.world.clock.now();
            let mut facts = self.speaking.tick(job, now);
            facts.extend(self.watching.tick(job, now));
            for fact in facts {
                if self.tell(job, socket, fact).await.is_err() {
                    return End::Lost;
                }
            }
            let due = self
                .speaking
                .deadline()
                .into_iter()
                .chain(self.watching.deadline())
                .min();
            let pause = due.map_or(IDLE, |due| {
                Duration::try_from(due.duration_since(now))
                    .unwrap_or_default()
                    .min(IDLE)
            });
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        for fact in self.obey(job, text.as_str()) {
                            if self.tell(job, socket, fact).await.is_err() {
                                return End::Lost;
                            }
                        }
                    }
                    Some(Ok(Message::Binary(sound))) => self.speaking.hear(&sound),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Lost,
                },
                Some(order) = job.orders.recv() => if refuse(order) { return End::Reload },
                () = self.watching.changed() => {}
                () = tokio::time::sleep(pause) => {}
                _ = &mut job.closing => {
                    // The window is closed: what still plays is not heard any more.
                    self.speaking.interrupt(job, job.world.clock.now());
                    return End::Closing;
                }
            }
        }
    }

    /// Does what a message says; returns what is answered.
    fn obey(&mut self, job: &Job, text: &str) -> Vec<Value> {
        let message: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        let kind = message["type"].as_str().unwrap_or_default();
        job.note(PageNews::Told(kind.to_owned()));
        let now = job.world.clock.now();
        match kind {
            "hello" => {
                self.greeted = true;
                let mut facts = vec![json!({ "type": "ready" })];
                facts.append(&mut self.waiting);
                facts
            }
            "ping" => vec![json!({ "type": "pong" })],
            "avatar.join" => self.watching.join(job, &message, now),
            "avatar.leave" => {
                self.watching
                    .leave(message["session"].as_str().unwrap_or_default());
                Vec::new()
            }
            "speak.start" => self.speaking.start(&message),
            "speak.end" => {
                self.speaking.end(&message);
                Vec::new()
            }
            "interrupt" => self.speaking.interrupt(job, now),
            _ => Vec::new(),
        }
    }

    /// Sends a fact, or keeps it for the next connection; progress is not worth keeping.
    async fn tell(&mut self, job: &Job, socket: &mut Socket, fact: Value) -> Result<(), ()> {
        if !self.greeted {
            if fact["type"] != "playing" || fact["interrupted"] == true {
                self.waiting.push(fact);
            }
            return Ok(());
        }
        let sent = tokio::time::timeout(STUCK, socket.send(Message::text(fact.to_string()))).await;
        job.note(PageNews::Said(fact));
        if matches!(sent, Ok(Ok(()))) {
            Ok(())
        } else {
            Err(())
        }
    }
}

/// There is nothing to look at here; says whether the page is to be loaded again, which works.
fn refuse(order: PageOrder) -> bool {
    let nothing = || anyhow::anyhow!("the stand-in has no page to look into");
    match order {
        PageOrder::Evaluate(_, answer) => drop(answer.send(Err(nothing()))),
        PageOrder::Picture(answer) => drop(answer.send(Err(nothing()))),
        PageOrder::Reload(answer) => {
            drop(answer.send(Ok(())));
            return true;
        }
    }
    false
}
