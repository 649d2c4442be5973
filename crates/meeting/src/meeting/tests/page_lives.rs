//! Random lives of the bot's page: it loads again, loses its socket, loses what it said, and the object crashes.
//! Whatever happens, nothing is begun twice, and everything that was to be said has one end.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use proptest::prelude::*;

use crate::{
    ids::UtteranceId,
    meeting::{
        Answer, Event, LiveEvent, PageOrder, Step, UtteranceState,
        tests::{
            face::in_call,
            room::{Room, audio},
            world::Chance,
        },
    },
    page::{FromPage, ToPage},
};

/// How long everything takes to be played.
const LENGTH: Duration = Duration::from_secs(2);
/// How often the page tells how far it is, and how finely time passes here.
const TICK: Duration = Duration::from_millis(250);

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_begun_twice_and_everything_has_one_end(seed: u64) {
        let mut life = Life::new(seed);
        for _ in 0..200 {
            life.happen();
        }
        life.end();
    }
}

struct Life {
    room: Room,
    chance: Chance,
    /// Whether the page's socket is open.
    connected: bool,
    /// What the page has, the first playing since then.
    queue: VecDeque<(UtteranceId, Timestamp)>,
    /// What it has to tell once it is connected again.
    waiting: Vec<FromPage>,
    /// It has begun something that the meeting does not know of.
    ahead: bool,
    begun: Vec<UtteranceId>,
    said: u128,
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            room: in_call(),
            chance: Chance::new(seed),
            connected: false,
            queue: VecDeque::new(),
            waiting: Vec::new(),
            ahead: false,
            begun: Vec::new(),
            said: 0,
        }
    }

    fn happen(&mut self) {
        match self.chance.below(40) {
            0..=2 if self.room.meeting.speech.len() < 5 => self.say(),
            3 => self.send(Event::InterruptRequested),
            4 => self.lose_socket(),
            5 if !self.ahead => {
                self.lose_socket();
                // Loaded again, it knows of nothing.
                self.queue.clear();
                self.waiting.clear();
            }
            6 => {
                self.connected = false;
                self.room.orders.clear();
                self.send(Event::Restored {
                    page_connected: false,
                });
            }
            7..=9 => self.connect(),
            10..=12 => self.answer(),
            _ => self.tick(),
        }
    }

    fn say(&mut self) {
        self.said += 1;
        let event = Event::SayRequested {
            utterance_id: UtteranceId::mint(self.room.now, self.said),
            text: "hello".to_owned(),
            interrupt: self.chance.percent(30),
        };
        self.send(event);
    }

    fn send(&mut self, event: Event) {
        let step = self.room.send(event);
        self.obey(step);
    }

    fn lose_socket(&mut self) {
        if self.connected {
            self.connected = false;
            self.send(Event::PageDisconnected);
        }
    }

    fn connect(&mut self) {
        if self.connected {
            return;
        }
        self.connected = true;
        self.send(Event::PageConnected);
        self.tell(FromPage::Ready);
        for fact in std::mem::take(&mut self.waiting) {
            self.tell(fact);
        }
        self.progress();
    }

    fn answer(&mut self) {
        for operation in self.room.open() {
            let result = match operation {
                "elevenlabs.synthesize_full" => audio(2_000),
                _ => Ok(Answer::Done),
            };
            let order = self.room.take(operation);
            let step = self.room.finish(order.id, result);
            self.obey(step);
        }
    }

    fn tick(&mut self) {
        let until = self.room.now + TICK;
        for _ in 0..100 {
            let due = self.room.meeting.deadline(self.room.now);
            let Some(at) = due.filter(|at| *at <= until) else {
                self.room.now = until;
                return self.progress();
            };
            self.room.now = at.max(self.room.now);
            self.send(Event::Woke);
        }
        panic!("the meeting asks to be woken again and again");
    }

    /// The page plays on, and tells how far it is.
    fn progress(&mut self) {
        let now = self.room.now;
        let Some((id, since)) = self.queue.front().cloned() else {
            return;
        };
        if since + LENGTH <= now {
            self.queue.pop_front();
            let more = !self.queue.is_empty();
            self.tell(FromPage::Spoken { utterance_id: id });
            if more {
                self.begin();
            }
        } else {
            self.tell(playing(id, since, now, false));
        }
    }

    fn begin(&mut self) {
        if let Some(first) = self.queue.front_mut() {
            first.1 = self.room.now;
            let id = first.0.clone();
            assert!(!self.begun.contains(&id), "{id} is begun twice");
            self.begun.push(id.clone());
            self.ahead = true;
            self.tell(playing(id, self.room.now, self.room.now, false));
        }
    }

    /// Says something, which may be lost together with the socket.
    fn tell(&mut self, fact: FromPage) {
        let progress = matches!(
            fact,
            FromPage::Playing {
                interrupted: false,
                ..
            }
        );
        if self.connected && progress && self.chance.percent(3) {
            return self.lose_socket();
        }
        if self.connected {
            self.ahead &= !progress;
            self.send(Event::PageReported { report: fact });
        } else if !progress && fact != FromPage::Ready {
            self.waiting.push(fact);
        }
    }

    fn obey(&mut self, step: Step) {
        for order in step.page {
            if !self.connected {
                return;
            }
            match order {
                PageOrder::Speak { utterance_id, .. } => {
                    self.queue.push_back((utterance_id, self.room.now));
                    if self.queue.len() == 1 {
                        self.begin();
                    }
                }
                PageOrder::Send(ToPage::Interrupt) => {
                    self.ahead = false;
                    for (place, (id, since)) in
                        std::mem::take(&mut self.queue).into_iter().enumerate()
                    {
                        let since = if place == 0 { since } else { self.room.now };
                        self.tell(playing(id, since, self.room.now, true));
                    }
                }
                PageOrder::Send(ToPage::Ping) => self.tell(FromPage::Pong),
                PageOrder::Send(_) => {}
                PageOrder::JoinAvatar { .. } => unreachable!("the page draws the face"),
                PageOrder::Close => self.lose_socket(),
            }
        }
    }

    /// Without any more trouble everything comes to its end.
    fn end(&mut self) {
        for _ in 0..400 {
            self.connect();
            self.answer();
            self.tick();
        }
        assert!(
            self.room.meeting.speech.is_empty(),
            "something is left to say"
        );
        let mut ends = BTreeMap::new();
        for event in &self.room.live {
            let LiveEvent::Utterance {
                utterance_id,
                state,
                ..
            } = event
            else {
                continue;
            };
            let count = ends.entry(utterance_id.clone()).or_insert(0);
            *count += match state {
                UtteranceState::Queued | UtteranceState::Speaking => 0,
                UtteranceState::Spoken | UtteranceState::Interrupted | UtteranceState::Failed => 1,
            };
        }
        assert!(ends.values().all(|count| *count == 1), "{ends:?}");
        assert!(
            ends.len() > usize::try_from(self.said).unwrap(),
            "the greeting too"
        );
        assert!(!self.room.meeting.owes_greeting());
    }
}

fn playing(id: UtteranceId, since: Timestamp, now: Timestamp, interrupted: bool) -> FromPage {
    let played = now.duration_since(since).as_millis();
    FromPage::Playing {
        utterance_id: id,
        played_ms: u64::try_from(played).unwrap(),
        interrupted,
    }
}
