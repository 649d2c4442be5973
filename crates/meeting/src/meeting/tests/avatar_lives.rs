//! Random lives of the avatar: its vendor refuses, answers late or not at all, its sockets break, it falls silent, the
//! page is loaded again, sessions are replaced, and the object crashes. Whatever happens, every session that was begun
//! is stopped, there are never two but to take over, and what was begun is not begun again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use proptest::prelude::*;

use crate::{
    http::FailureKind,
    ids::UtteranceId,
    meeting::{
        Answer, AvatarOrder, Effect, Event, LiveEvent, Order, PageOrder, Step, UtteranceState,
        tests::{
            avatar::{in_call, opening, started},
            room::{Room, audio, down, refused},
            world::Chance,
        },
    },
    page::{FromPage, ToPage},
    vendors::{
        avatar::{AvatarProvider, AvatarSessionId},
        liveavatar::{CutReason, LinkReport},
    },
};

/// How long everything takes to be said.
const LENGTH_MS: u64 = 2_000;
/// How finely time passes here.
const TICK: Duration = Duration::from_millis(250);
/// How far apart the avatar's word and the page's beginning may be.
const SLACK_MS: u64 = 1_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_session_is_stopped_and_nothing_is_said_twice(seed: u64) {
        let mut life = Life::new(seed);
        for _ in 0..150 {
            life.happen();
        }
        life.end();
    }
}

/// What a speaker is at.
type Saying = Option<(UtteranceId, Timestamp)>;

struct Life {
    room: Room,
    chance: Chance,
    provider: AvatarProvider,
    /// Sessions that cost.
    live: BTreeSet<AvatarSessionId>,
    /// The socket of each session, and what it says.
    links: BTreeMap<AvatarSessionId, Saying>,
    opened: u32,
    connected: bool,
    page: Saying,
    /// How far each utterance has come, in the avatar's words.
    heard: BTreeMap<UtteranceId, u64>,
    said: u128,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let provider = if chance.percent(70) {
            AvatarProvider::LiveAvatar
        } else {
            AvatarProvider::HeyGen
        };
        Self {
            room: in_call(provider),
            chance,
            provider,
            live: BTreeSet::new(),
            links: BTreeMap::new(),
            opened: 0,
            connected: false,
            page: None,
            heard: BTreeMap::new(),
            said: 0,
        }
    }

    fn happen(&mut self) {
        match self.chance.below(40) {
            0..=2 if self.room.meeting.speech.len() < 5 => self.say(),
            3 => self.send(Event::InterruptRequested),
            4 => self.send(Event::RotationRequested),
            5 => self.lose_page(),
            6 => self.crash(),
            7..=10 => self.load_page(),
            11..=18 => self.answer(true),
            19 => self.trouble(),
            _ => self.tick(),
        }
    }

    fn say(&mut self) {
        self.said += 1;
        let interrupt = self.chance.percent(30);
        self.send(Event::SayRequested {
            utterance_id: UtteranceId::mint(self.room.now, self.said),
            text: "hello".to_owned(),
            interrupt,
        });
    }

    fn send(&mut self, event: Event) {
        let step = self.room.send(event);
        self.obey(step);
    }

    fn crash(&mut self) {
        self.links.clear();
        self.room.orders.clear();
        (self.page, self.connected) = (None, false);
        self.send(Event::Restored {
            page_connected: false,
        });
    }

    fn lose_page(&mut self) {
        self.page = None;
        if self.connected {
            self.connected = false;
            self.send(Event::PageDisconnected);
        }
    }

    fn load_page(&mut self) {
        if !self.connected {
            self.connected = true;
            self.send(Event::PageConnected);
            self.tell(FromPage::Ready);
        }
    }

    fn tell(&mut self, report: FromPage) {
        if self.connected {
            self.send(Event::PageReported { report });
        }
    }

    fn report(&mut self, session_id: &AvatarSessionId, report: LinkReport) {
        let session_id = session_id.clone();
        self.send(Event::AvatarReported { session_id, report });
    }

    /// Carries out what is ordered, with or without trouble.
    fn answer(&mut self, trouble: bool) {
        for order in std::mem::take(&mut self.room.orders) {
            let luck = if trouble { self.chance.below(20) } else { 19 };
            let result = match luck {
                0 => Err(down(order.effect.operation())),
                1 => {
                    // It is done, and nobody is told.
                    self.carry_out(&order).ok();
                    continue;
                }
                2 if matches!(
                    order.effect,
                    Effect::OpenAvatar { .. } | Effect::StartAvatar { .. }
                ) && self.chance.percent(10) =>
                {
                    Err(refused(401, FailureKind::Unauthorized))
                }
                _ => self.carry_out(&order),
            };
            let step = self.room.finish(order.id, result);
            self.obey(step);
        }
    }

    fn carry_out(&mut self, order: &Order) -> Result<Answer, crate::http::CallError> {
        let has_socket = self.provider == AvatarProvider::LiveAvatar;
        match &order.effect {
            Effect::OpenAvatar { provider } => {
                self.opened += 1;
                let id = format!("s{}", self.opened);
                if !has_socket {
                    self.begin(AvatarSessionId(id.clone()));
                }
                let opening = opening(*provider, &id);
                Ok(Answer::AvatarOpened { opening })
            }
            Effect::StartAvatar {
                provider,
                session_id,
            } => {
                if has_socket {
                    self.begin(session_id.clone());
                }
                let limit = [None, Some(30), Some(120)];
                let limit = limit[usize::try_from(self.chance.below(3)).unwrap()];
                Ok(started(*provider, &session_id.0, limit))
            }
            Effect::StopAvatar { session_id, .. } => {
                self.live.remove(session_id);
                Ok(Answer::Done)
            }
            Effect::CheckAvatar { session_id, .. } => Ok(Answer::AvatarChecked {
                live: self.live.contains(session_id),
            }),
            Effect::AvatarSay { .. } => Ok(Answer::AvatarSays {
                duration_ms: LENGTH_MS,
            }),
            Effect::Synthesize { .. } => audio(LENGTH_MS),
            _ => Ok(Answer::Done),
        }
    }

    /// A session costs from now on.
    fn begin(&mut self, id: AvatarSessionId) {
        // HeyGen's answer to the opening can be lost, which leaves a session behind that ends by itself.
        if self.provider == AvatarProvider::LiveAvatar {
            let others = self.live.iter().filter(|live| **live != id).count();
            assert!(
                others <= 1,
                "a third session: {:?} are live, and of {:?} is known",
                self.live,
                self.room.meeting.avatar.sessions
            );
        }
        self.live.insert(id);
    }

    /// Something goes wrong at the vendor's or on the page.
    fn trouble(&mut self) {
        let Some(id) = self.live.iter().next_back().cloned() else {
            return;
        };
        let session = id.0.clone();
        match self.chance.below(5) {
            0 => self.tell(FromPage::VideoFrozen { session }),
            1 => self.tell(FromPage::AvatarDisconnected {
                session,
                reason: "5".to_owned(),
            }),
            2 if self.links.contains_key(&id) => {
                self.cut(&id, CutReason::SocketLost);
                let reason = "lost".to_owned();
                self.report(&id, LinkReport::Reconnecting { reason, attempt: 1 });
            }
            3 if self.links.contains_key(&id) => {
                self.cut(&id, CutReason::SessionOver);
                let reason = "over".to_owned();
                self.report(&id, LinkReport::Failed { reason });
            }
            _ => self.cut(&id, CutReason::FellSilent),
        }
    }

    fn cut(&mut self, id: &AvatarSessionId, reason: CutReason) {
        let Some(Some((utterance, since))) = self.links.get_mut(id).map(Option::take) else {
            return;
        };
        let heard_ms = self.heard_since(since);
        self.heard.insert(utterance.clone(), heard_ms);
        self.report(
            id,
            LinkReport::Cut {
                event_id: utterance.as_str().to_owned(),
                reason,
                heard_ms,
                sent_ms: heard_ms,
                unsent_ms: 0,
            },
        );
    }

    fn heard_since(&self, since: Timestamp) -> u64 {
        let heard = self.room.now.duration_since(since).as_millis();
        u64::try_from(heard).unwrap().min(LENGTH_MS)
    }

    fn tick(&mut self) {
        let until = self.room.now + TICK;
        for _ in 0..200 {
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

    /// Whoever speaks goes on.
    fn progress(&mut self) {
        for (id, saying) in self.links.clone() {
            if let Some((utterance, since)) = saying
                && self.heard_since(since) == LENGTH_MS
            {
                self.links.insert(id.clone(), None);
                self.heard.insert(utterance.clone(), LENGTH_MS);
                let event_id = utterance.as_str().to_owned();
                let heard_ms = LENGTH_MS;
                self.report(&id, LinkReport::Spoken { event_id, heard_ms });
            }
        }
        if let Some((utterance_id, since)) = self.page.clone() {
            if self.heard_since(since) == LENGTH_MS {
                self.page = None;
                self.tell(FromPage::Spoken { utterance_id });
            } else {
                self.tell_progress(utterance_id, since, false);
            }
        }
    }

    fn tell_progress(&mut self, utterance_id: UtteranceId, since: Timestamp, interrupted: bool) {
        let played_ms = self.heard_since(since);
        self.tell(FromPage::Playing {
            utterance_id,
            played_ms,
            interrupted,
        });
    }

    fn obey(&mut self, step: Step) {
        for order in step.avatar {
            match order {
                AvatarOrder::Connect { session_id, .. } => {
                    self.links.insert(session_id.clone(), None);
                    self.report(&session_id, LinkReport::Ready { connections: 1 });
                }
                AvatarOrder::Speak {
                    session_id,
                    utterance_id,
                } => {
                    assert!(
                        !self.heard.contains_key(&utterance_id),
                        "{utterance_id} is begun again"
                    );
                    let now = self.room.now;
                    let Some(link) = self.links.get_mut(&session_id) else {
                        continue;
                    };
                    assert!(link.is_none(), "two utterances at once");
                    *link = Some((utterance_id.clone(), now));
                    self.heard.insert(utterance_id.clone(), 0);
                    let event_id = utterance_id.as_str().to_owned();
                    let speaking = LinkReport::Speaking {
                        event_id,
                        after_ms: 0,
                    };
                    self.report(&session_id, speaking);
                }
                AvatarOrder::Interrupt { session_id } => {
                    self.cut(&session_id, CutReason::Interrupted);
                }
                AvatarOrder::Listening { .. } => {}
                AvatarOrder::Close { session_id } => {
                    self.cut(&session_id, CutReason::Closed);
                    self.links.remove(&session_id);
                }
            }
        }
        for order in step.page {
            if !self.connected {
                return;
            }
            match order {
                PageOrder::Speak {
                    utterance_id,
                    from_ms,
                    ..
                } => {
                    let heard = self.heard.get(&utterance_id).copied().unwrap_or(0);
                    assert!(
                        from_ms + SLACK_MS >= heard,
                        "{utterance_id} is said again: {heard} ms were heard, and now from {from_ms}"
                    );
                    let begun = Duration::from_millis(from_ms);
                    self.page = Some((utterance_id.clone(), self.room.now - begun));
                    let (played_ms, interrupted) = (0, false);
                    self.tell(FromPage::Playing {
                        utterance_id,
                        played_ms,
                        interrupted,
                    });
                }
                PageOrder::JoinAvatar { session_id } => {
                    if self.live.contains(&session_id) && !self.chance.percent(5) {
                        let first_frame_ms = 500;
                        self.tell(FromPage::AvatarTracks {
                            session: session_id.0,
                            first_frame_ms,
                        });
                    }
                }
                PageOrder::Send(ToPage::Interrupt) => {
                    if let Some((utterance_id, since)) = self.page.take() {
                        self.tell_progress(utterance_id, since, true);
                    }
                }
                PageOrder::Send(ToPage::Ping) => self.tell(FromPage::Pong),
                PageOrder::Send(_) => {}
                PageOrder::Close => self.lose_page(),
            }
        }
    }

    /// The call ends, and without any more trouble everything comes to its end.
    fn end(&mut self) {
        for _ in 0..800 {
            if self.room.meeting.speech.is_empty() {
                break;
            }
            self.load_page();
            self.answer(false);
            self.tick();
        }
        assert!(
            self.room.meeting.speech.is_empty(),
            "something is left to say: {:?}",
            self.room.meeting.speech
        );
        self.room.status("call_ended");
        let close = self.room.send(Event::Woke);
        self.obey(close);
        for _ in 0..400 {
            if !self.room.meeting.has_sessions() {
                break;
            }
            self.answer(false);
            self.tick();
        }
        assert!(!self.room.meeting.has_sessions(), "a session is remembered");
        if self.provider == AvatarProvider::LiveAvatar {
            assert!(self.live.is_empty(), "left behind: {:?}", self.live);
        }
        let mut ends = BTreeMap::new();
        for event in &self.room.live {
            if let LiveEvent::Utterance {
                utterance_id,
                state,
                ..
            } = event
            {
                let count = ends.entry(utterance_id.clone()).or_insert(0);
                *count += match state {
                    UtteranceState::Queued | UtteranceState::Speaking => 0,
                    UtteranceState::Spoken
                    | UtteranceState::Interrupted
                    | UtteranceState::Failed => 1,
                };
            }
        }
        assert!(ends.values().all(|count| *count == 1), "{ends:?}");
    }
}
