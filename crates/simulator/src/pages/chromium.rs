//! A bot's page in a real Chromium: what it plays is measured, and its microphone hears the room.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::Url;

use super::meter::{Meter, Stretch};
use super::news::PageNews;
use super::url::{SOCKET_PATH, without_queries};
use super::{Job, PageOrder};
use crate::browser::{Autoplay, Browser, Notice, Page, Preparation};
use crate::journal::What;
use crate::recall::{HeardPage, PageVoice};
use crate::world::World;

/// What the page's script calls back by.
const BINDING: &str = "attacheHeard";
const TAP: &str = include_str!("tap.js");
/// How often the page's microphone is given what the room said since.
const LISTENS_EVERY: Duration = Duration::from_millis(100);
/// An avatar is heard so much later than it speaks, at most.
const LATE: Duration = Duration::from_secs(2);
/// Longer complaints are cut.
const LONGEST_COMPLAINT: usize = 500;

/// Starts the browser and opens the studio in it.
pub(super) async fn start(place: Option<PathBuf>, world: &World) -> Result<Browser> {
    let program = place
        .or_else(Browser::find)
        .context("no Chromium is installed")?;
    let browser = Browser::launch(&program, Autoplay::AsUsual).await?;
    browser
        .open(&world.studio_url)
        .await
        .context("opening the studio")?;
    Ok(browser)
}

/// Plays a page until it has to be closed.
pub(super) async fn play(mut job: Job, browser: &Browser) {
    let preparation = Preparation {
        script: TAP.to_owned(),
        binding: Some(BINDING),
        hold_documents: true,
    };
    let opened = browser.prepare(&preparation).await;
    let page = match opened {
        Ok(page) => page,
        Err(error) => return job.note(PageNews::Failed(format!("{error:#}"))),
    };
    let mut show = Show {
        meter: Meter::default(),
        hears: false,
        given_until: job.world.clock.now(),
        given: HashMap::new(),
        texts: Vec::new(),
        rooms: BTreeSet::new(),
        stopped: false,
    };
    show.run(&mut job, page).await;
}

/// What is known of an open page.
struct Show {
    meter: Meter,
    /// Its microphone is open.
    hears: bool,
    given_until: Timestamp,
    /// What it was given to say and has not begun to, by the utterance's id.
    given: HashMap<String, String>,
    /// What it began to say since it was last silent.
    texts: Vec<String>,
    /// The sessions whose rooms it joined.
    rooms: BTreeSet<String>,
    /// It was interrupted since it was last silent.
    stopped: bool,
}

impl Show {
    async fn run(&mut self, job: &mut Job, mut page: Page) {
        let navigation = page
            .begin("Page.navigate", &json!({ "url": job.wanted.url }))
            .await;
        if navigation.is_err() {
            return job.note(PageNews::Failed("the browser is gone".to_owned()));
        }
        let mut clock = tokio::time::interval(LISTENS_EVERY);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                notice = page.notice() => match notice {
                    Some(notice) => self.notice(job, &page, &notice).await,
                    None => return job.note(PageNews::Failed("the browser is gone".to_owned())),
                },
                Some(order) = job.orders.recv() => obey(job, &page, order).await,
                _ = clock.tick() => {
                    let now = job.world.clock.now();
                    if let Some(stretch) = self.meter.tick(now) {
                        self.heard(job, stretch);
                    }
                    self.let_hear(job, &page, now).await;
                }
                _ = &mut job.closing => break,
            }
        }
        if let Some(stretch) = self.meter.end() {
            self.heard(job, stretch);
        }
        // A browser that is gone has no pages left.
        let _ = page.close().await;
    }

    async fn notice(&mut self, job: &Job, page: &Page, notice: &Notice) {
        let params = &notice.params;
        match notice.method.as_str() {
            "Runtime.bindingCalled" => {
                self.called_back(job, params["payload"].as_str().unwrap_or_default());
            }
            "Fetch.requestPaused" => let_pass(job, page, params).await,
            "Network.webSocketCreated" => {
                self.created(job, params["url"].as_str().unwrap_or_default());
            }
            "Network.webSocketClosed" => job.note(PageNews::SocketClosed),
            "Network.webSocketFrameReceived" => self.told(job, &params["response"]),
            "Network.webSocketFrameSent" => self.said(job, &params["response"]),
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                let what = details["exception"]["description"]
                    .as_str()
                    .or(details["text"].as_str());
                complain(job, what.unwrap_or_default());
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                let words = params["args"].as_array().into_iter().flatten();
                let words: Vec<String> = words
                    .map(|word| {
                        word["value"]
                            .as_str()
                            .or(word["description"].as_str())
                            .unwrap_or_default()
                            .to_owned()
                    })
                    .collect();
                complain(job, &words.join(" "));
            }
            "Inspector.targetCrashed" => job.note(PageNews::Failed("the page crashed".to_owned())),
            _ => {}
        }
    }

    /// The page's tap has something.
    fn called_back(&mut self, job: &Job, message: &str) {
        if message == "listens" {
            self.hears = true;
            self.given_until = job.world.clock.now();
        }
        let Some(pcm) = message
            .strip_prefix("sound ")
            .and_then(|text| STANDARD.decode(text).ok())
        else {
            return;
        };
        job.world.pages.keep(&job.wanted.bot_id, &pcm);
        if self.meter.hear(&pcm, job.world.clock.now()) {
            job.note(PageNews::SoundBegan);
        }
    }

    fn told(&mut self, job: &Job, frame: &Value) {
        let Some(message) = message_in(frame) else {
            return;
        };
        let kind = message["type"].as_str().unwrap_or_default();
        if kind == "speak.start"
            && let (Some(id), Some(text)) =
                (message["utterance_id"].as_str(), message["text"].as_str())
        {
            self.given.insert(id.to_owned(), text.to_owned());
        }
        job.note(PageNews::Told(kind.to_owned()));
    }

    fn heard(&mut self, job: &Job, stretch: Stretch) {
        let duration_ms = u64::try_from(stretch.duration.as_millis()).unwrap_or(u64::MAX);
        job.note(PageNews::SoundEnded { duration_ms });
        let until = stretch.began_at + stretch.duration;
        let said = self.avatars_said(job, stretch.began_at, until);
        let voice = match said.first() {
            Some((_, session, _)) if self.texts.is_empty() => PageVoice::Avatar(session.clone()),
            Some(_) | None => PageVoice::Page,
        };
        let mut texts: Vec<String> = said.into_iter().map(|(_, _, text)| text).collect();
        texts.append(&mut self.texts);
        job.heard(HeardPage {
            duration_ms,
            text: (!texts.is_empty()).then(|| texts.join(" ")),
            voice,
            stopped: std::mem::take(&mut self.stopped),
            measured: true,
            at: stretch.began_at,
        });
    }

    /// The page opened a socket: to its meeting, or to a room, which tells whose avatar it shows.
    fn created(&mut self, job: &Job, url: &str) {
        let Ok(url) = Url::parse(url) else { return };
        let token = url.query_pairs().find(|(name, _)| name == "access_token");
        let Some((_, token)) = token else {
            return job.note(PageNews::SocketOpened);
        };
        let stream = job
            .world
            .look(|models, _| models.avatars.by_viewer_token(&token).cloned());
        if let Some(stream) = stream {
            let mut session = stream.lock();
            if let Some(meeting_id) = job.wanted.meeting_id.as_deref() {
                session.belongs_to(meeting_id);
            }
            self.rooms.insert(session.id().to_owned());
        }
    }

    /// The page says something on its socket, which tells what it is playing.
    fn said(&mut self, job: &Job, frame: &Value) {
        let Some(message) = message_in(frame) else {
            return;
        };
        let id = message["utterance_id"].as_str().unwrap_or_default();
        match message["type"].as_str() {
            Some("playing") if message["interrupted"] == true => {
                // What was not begun will not be heard.
                if self.given.remove(id).is_none() {
                    self.stopped = true;
                }
            }
            Some("playing" | "spoken") => self.texts.extend(self.given.remove(id)),
            Some(_) | None => {}
        }
        job.note(PageNews::Said(message));
    }

    /// What the avatars in the page's rooms said while the page was heard: when, in which session, what.
    /// It is heard a little later.
    fn avatars_said(
        &self,
        job: &Job,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<(Timestamp, String, String)> {
        let mut found = Vec::new();
        job.world.look(|models, now| {
            for stream in models.avatars.streams() {
                let session = stream.lock().view(now);
                if !self.rooms.contains(&session.id) {
                    continue;
                }
                for said in session.utterances {
                    let Some((began, text)) = said.began_at.zip(said.text) else {
                        continue;
                    };
                    let ended = said.ended_at.unwrap_or(now);
                    if began <= until && from <= ended + LATE {
                        found.push((began, session.id.clone(), text));
                    }
                }
            }
        });
        found.sort();
        found
    }

    /// Gives the page's microphone what the room said since the last time.
    async fn let_hear(&mut self, job: &Job, page: &Page, now: Timestamp) {
        if !self.hears {
            return;
        }
        let (bot_id, from) = (
            &job.wanted.bot_id,
            std::mem::replace(&mut self.given_until, now),
        );
        let pcm = job
            .world
            .look(|models, _| models.recall.sound_for_page(bot_id, from, now));
        if pcm.iter().any(|byte| *byte != 0) {
            let expression = format!("attacheRoom(\"{}\")", STANDARD.encode(pcm));
            // A page that is just being loaded again has not got the function yet.
            let _ = page
                .begin("Runtime.evaluate", &json!({ "expression": expression }))
                .await;
        }
    }
}

/// Lets a document through. In this world rooms have no TLS, so a policy that lets the page reach rooms
/// with it lets it reach them without.
async fn let_pass(job: &Job, page: &Page, params: &Value) {
    let id = &params["requestId"];
    let Some(status) = params["responseStatusCode"].as_u64() else {
        let reason = params["responseErrorReason"].as_str().unwrap_or("Failed");
        job.note(PageNews::Failed(reason.to_owned()));
        let failed = json!({ "requestId": id, "errorReason": reason });
        return drop(page.begin("Fetch.failRequest", &failed).await);
    };
    job.note(PageNews::Loaded(u16::try_from(status).unwrap_or(0)));
    let Some(headers) = with_open_rooms(&params["responseHeaders"]) else {
        return drop(
            page.begin("Fetch.continueResponse", &json!({ "requestId": id }))
                .await,
        );
    };
    // A policy counts as it came from the network, unless the whole answer is made here.
    let body = page
        .call("Fetch.getResponseBody", &json!({ "requestId": id }))
        .await;
    let body = body.unwrap_or_default();
    let text = body["body"].as_str().unwrap_or_default();
    let encoded = if body["base64Encoded"] == true {
        text.to_owned()
    } else {
        STANDARD.encode(text)
    };
    let answer = json!({ "requestId": id, "responseCode": status, "responseHeaders": headers, "body": encoded });
    drop(page.begin("Fetch.fulfillRequest", &answer).await);
}

/// The headers with a wider policy, if there is one to widen.
fn with_open_rooms(headers: &Value) -> Option<Vec<Value>> {
    let is = |header: &Value, name: &str| {
        header["name"]
            .as_str()
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    let mut widened = false;
    let mut kept = Vec::new();
    for header in headers.as_array()? {
        // The body is not as it was on the wire.
        if is(header, "content-encoding")
            || is(header, "content-length")
            || is(header, "transfer-encoding")
        {
            continue;
        }
        let mut header = header.clone();
        let policy = header["value"].as_str().unwrap_or_default();
        if is(&header, "content-security-policy") && policy.contains(" wss:") {
            header["value"] = policy
                .replace(" wss:", " wss: ws://127.0.0.1:* http://127.0.0.1:*")
                .into();
            widened = true;
        }
        kept.push(header);
    }
    widened.then_some(kept)
}

/// A message of the page's protocol, if the frame holds one.
fn message_in(frame: &Value) -> Option<Value> {
    const TEXT: u64 = 1;
    let text = frame["payloadData"]
        .as_str()
        .filter(|_| frame["opcode"].as_u64() == Some(TEXT))?;
    let message: Value = serde_json::from_str(text).ok()?;
    message["type"].is_string().then_some(message)
}

fn complain(job: &Job, what: &str) {
    let what: String = without_queries(what)
        .chars()
        .take(LONGEST_COMPLAINT)
        .collect();
    job.world.write(What::Page {
        bot_id: job.wanted.bot_id.clone(),
        meeting_url: job.wanted.meeting_url.clone(),
        news: PageNews::Complained(what),
    });
}

async fn obey(job: &Job, page: &Page, order: PageOrder) {
    // Whoever asked may have given up waiting.
    match order {
        PageOrder::Evaluate(expression, answer) => {
            drop(answer.send(page.evaluate(&expression).await));
        }
        PageOrder::Picture(answer) => drop(answer.send(page.picture().await)),
        PageOrder::Reload(answer) => {
            let reloaded = page.begin("Page.reload", &json!({})).await;
            job.note(PageNews::Reloaded);
            drop(answer.send(reloaded));
        }
        PageOrder::DropSocket(answer) => {
            let drops = format!("attacheDrop({})", json!(SOCKET_PATH));
            drop(answer.send(page.evaluate(&drops).await.map(drop)));
        }
        PageOrder::BlockSound(_, answer) => {
            let real = anyhow::anyhow!("a real browser decides for itself what it plays");
            drop(answer.send(Err(real)));
        }
    }
}
