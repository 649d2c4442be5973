//! Recall, ElevenLabs and the shell as a small random world: calls are lost, refused and repeated, webhooks are
//! dropped, doubled and delayed, and the shell crashes and forgets.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    http::{Advice, CallError, FailureKind, RetryAfter},
    ids::{BotId, UtteranceId},
    meeting::{
        Answer, ArtifactState, BotState, Effect, EffectId, Event, FoundBot, GreetingState, Meeting,
        Order, RecordingState, Step, Via,
        tests::{
            room::{artifact_done, booking, minutes, seconds, start_of_time},
            stored::Stored,
        },
    },
    vendors::{
        deepgram::{HeardSegment, SttReport},
        recall::{Artifact, ArtifactChange, ArtifactCode, BotCode, BotStatusChange, RecallEvent},
    },
};

/// A small generator of numbers: the same seed tells the same story.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn millis(&mut self, max: u64) -> Duration {
        Duration::from_millis(self.below(max))
    }
}

struct VendorBot {
    id: BotId,
    statuses: Vec<BotStatusChange>,
    /// What happens next to it, and when; later steps follow from it.
    next: Option<(Timestamp, &'static str)>,
}

impl VendorBot {
    fn code(&self) -> Option<&str> {
        self.statuses.last().map(|change| change.code.as_str())
    }

    fn is_gone(&self) -> bool {
        self.next.is_none()
            && self
                .code()
                .is_none_or(|code| matches!(code, "done" | "fatal" | "deleted"))
    }

    fn was_in_call(&self) -> bool {
        self.statuses
            .iter()
            .any(|s| s.code.as_str().starts_with("in_call"))
    }
}

pub(super) struct World {
    pub(super) meeting: Meeting,
    stored: Stored,
    pub(super) now: Timestamp,
    chance: Chance,
    trouble: u64,
    bots: Vec<VendorBot>,
    keys: BTreeMap<String, (Timestamp, BotId)>,
    /// An order to play was carried out and the answer lost for good, so that chat greets as well.
    audio_in_doubt: bool,
    /// Audio heard by the room, by the key it was sent under.
    heard: BTreeMap<String, UtteranceId>,
    chats: BTreeMap<String, String>,
    answers: Vec<(Timestamp, EffectId, Result<Answer, CallError>)>,
    webhooks: Vec<(Timestamp, Event)>,
    commands: Vec<(Timestamp, Event)>,
    pub(super) story: Vec<String>,
    quiet_from: Timestamp,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let starts_in = match chance.below(4) {
            0 => None,
            1 => Some(seconds(chance.below(600))),
            2 => Some(minutes(10) + seconds(chance.below(300))),
            _ => Some(minutes(20 + chance.below(120))),
        };
        let trouble = [0, 5, 20, 50][usize::try_from(chance.below(4)).unwrap()];
        let now = start_of_time();
        let (meeting, step) = Meeting::book(booking(starts_in), now);
        let mut world = Self {
            stored: Stored::new(&meeting),
            meeting,
            now,
            trouble,
            bots: Vec::new(),
            keys: BTreeMap::new(),
            audio_in_doubt: false,
            heard: BTreeMap::new(),
            chats: BTreeMap::new(),
            answers: Vec::new(),
            webhooks: Vec::new(),
            commands: Vec::new(),
            story: Vec::new(),
            // Trouble does not last for ever: a vendor that never answers again keeps nobody's promise.
            quiet_from: now + minutes(240),
            chance,
        };
        for _ in 0..world.chance.below(4) {
            let at = now + seconds(world.chance.below(9000));
            let event = match world.chance.below(5) {
                0 => Event::CancelRequested,
                1 => Event::JoinRequested,
                2 => Event::InterruptRequested,
                _ => Event::SayRequested {
                    utterance_id: UtteranceId::mint(at, u128::from(world.chance.next())),
                    text: "hello".to_owned(),
                    interrupt: world.chance.percent(30),
                },
            };
            world.commands.push((at, event));
        }
        for _ in 0..world.chance.below(12) {
            let at = now + seconds(world.chance.below(9000));
            let event = world.something_about_listening();
            world.commands.push((at, event));
        }
        world.start(step);
        world
    }

    /// The audio socket and the transcriber do as they like.
    fn something_about_listening(&mut self) -> Event {
        let report = match self.chance.below(9) {
            0 | 1 => return Event::MediaConnected,
            2 => return Event::MediaDisconnected,
            3 => SttReport::Open { session: 1 },
            4 => SttReport::Closed,
            5 => SttReport::Lost { seconds: 1.0 },
            6 => SttReport::Reconnecting {
                reason: "closed with 1006".to_owned(),
                attempt: 5,
            },
            7 if self.chance.percent(30) => SttReport::Failed {
                reason: "closed with 1008".to_owned(),
            },
            _ => SttReport::Final {
                session: 1,
                segments: vec![HeardSegment {
                    speaker: None,
                    start: 1.0,
                    end: 2.0,
                    text: "hello".to_owned(),
                    confidence: None,
                    words: Vec::new(),
                }],
                until: 2.0,
                ends_utterance: false,
            },
        };
        Event::SttReported { report }
    }

    /// Lives the meeting to its end and beyond; panics with the story if a promise is broken.
    pub(super) fn live(&mut self) {
        for _ in 0..20_000 {
            let Some(at) = self.next_moment() else { break };
            if at > start_of_time() + minutes(60 * 60) {
                break;
            }
            self.now = self.now.max(at);
            self.happen();
            self.check_always();
        }
        self.check_at_the_end();
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let vendor = self
            .bots
            .iter()
            .filter_map(|bot| bot.next.map(|(at, _)| at));
        let answers = self.answers.iter().map(|(at, ..)| *at);
        let events = self
            .webhooks
            .iter()
            .chain(&self.commands)
            .map(|(at, _)| *at);
        vendor
            .chain(answers)
            .chain(events)
            .chain(self.meeting.deadline(self.now))
            .min()
    }

    fn happen(&mut self) {
        if self.in_trouble() && self.chance.percent(2) {
            self.crash();
        }
        self.vendor_moves();
        let now = self.now;
        if let Some(index) = self.answers.iter().position(|(at, ..)| *at <= now) {
            let (_, id, result) = self.answers.remove(index);
            self.tell(Event::EffectFinished { id, result });
        } else if let Some(index) = self.webhooks.iter().position(|(at, _)| *at <= now) {
            let (_, event) = self.webhooks.remove(index);
            self.tell(event);
        } else if let Some(index) = self.commands.iter().position(|(at, _)| *at <= now) {
            let (_, event) = self.commands.remove(index);
            self.tell(event);
        } else if self.meeting.deadline(now).is_some_and(|at| at <= now) {
            self.tell(Event::Woke);
        }
    }

    /// What was under way is lost, answers included.
    fn crash(&mut self) {
        self.story.push(format!("{} crash", self.now));
        self.answers.clear();
        self.tell(Event::Restored {
            page_connected: false,
        });
    }

    fn tell(&mut self, event: Event) {
        self.story.push(format!("{} {event:?}", self.now));
        self.meeting = self.stored.load();
        let before = self.meeting.clone();
        let step = self.meeting.handle(event, self.now);
        self.stored.save(&before, &mut self.meeting, &step);
        let mut again = self.meeting.clone();
        let settled = again.handle(Event::Woke, self.now);
        assert!(
            settled.orders.is_empty(),
            "waking twice orders twice: {:?}\n{}",
            settled.orders,
            self.tale()
        );
        self.start(step);
    }

    fn in_trouble(&self) -> bool {
        self.now < self.quiet_from
    }

    fn start(&mut self, step: Step) {
        for order in step.orders {
            self.story.push(format!("{} order {order:?}", self.now));
            // The shell may crash before an order leaves the building.
            if self.in_trouble() && self.chance.percent(1) {
                continue;
            }
            let id = order.id;
            let (wait, result) = self.serve(order);
            self.answers.push((self.now + wait, id, result));
        }
    }

    /// Carries out an order at the vendor, or not, and decides what the caller gets to see of it.
    fn serve(&mut self, order: Order) -> (Duration, Result<Answer, CallError>) {
        let wait = self.chance.millis(2000);
        let operation = order.effect.operation();
        if self.in_trouble() && self.chance.percent(self.trouble) {
            self.audio_in_doubt |= matches!(order.effect, Effect::PlayAudio { .. });
            return match self.chance.below(6) {
                0 => (
                    wait,
                    Err(failure(operation, 429, FailureKind::RateLimited, false)),
                ),
                1 => (
                    wait,
                    Err(failure(operation, 500, FailureKind::Unavailable, true)),
                ),
                2 => {
                    let done = self.carry_out(order);
                    (
                        wait,
                        done.and(Err(failure(operation, 502, FailureKind::Unavailable, true))),
                    )
                }
                3 => (
                    seconds(10),
                    Err(failure(operation, 0, FailureKind::NoAnswer, true)),
                ),
                4 => {
                    let done = self.carry_out(order);
                    (
                        seconds(10),
                        done.and(Err(failure(operation, 0, FailureKind::NoAnswer, true))),
                    )
                }
                _ if operation == "recall.create_bot" && !self.is_known_key(&order.effect) => (
                    wait,
                    Err(failure(operation, 507, FailureKind::PoolEmpty, false)),
                ),
                _ => (
                    wait,
                    Err(failure(operation, 403, FailureKind::Forbidden, false)),
                ),
            };
        }
        (wait, self.carry_out(order))
    }

    /// A key that has made a bot is answered with that bot, never with an empty pool.
    fn is_known_key(&self, effect: &Effect) -> bool {
        matches!(effect, Effect::CreateBot { key, .. } if self.keys.contains_key(key))
    }

    fn carry_out(&mut self, order: Order) -> Result<Answer, CallError> {
        let operation = order.effect.operation();
        let key = order.id.idempotency_key(&self.meeting.booking().id);
        match order.effect {
            Effect::CreateBot { key, join_at } => Ok(Answer::BotCreated {
                delivers_sound: true,
                bot_id: self.create(key, join_at),
            }),
            Effect::FindBots => Ok(Answer::BotsFound {
                bots: self
                    .bots
                    .iter()
                    .filter(|b| b.code() != Some("deleted"))
                    .map(found)
                    .collect(),
            }),
            Effect::ReadBot { bot_id } => match self.bots.iter().find(|b| b.id == bot_id) {
                Some(bot) if bot.code() != Some("deleted") => {
                    Ok(Answer::BotRead { bot: state(bot) })
                }
                _ => Err(failure(operation, 404, FailureKind::NotFound, false)),
            },
            Effect::DeleteBot { bot_id } => self.delete(&bot_id, operation),
            Effect::LeaveCall { bot_id } => self.leave(&bot_id, operation),
            Effect::Synthesize { utterance_id, .. } => Ok(Answer::Synthesized {
                utterance_id,
                duration_ms: 2000,
            }),
            Effect::PlayAudio {
                bot_id,
                utterance_id,
            } => {
                self.in_call(&bot_id, operation)?;
                self.heard.insert(key, utterance_id);
                Ok(Answer::Done)
            }
            Effect::SendChat { bot_id, text } => {
                self.in_call(&bot_id, operation)?;
                self.chats.insert(key, text);
                Ok(Answer::Done)
            }
            Effect::FetchTranscript { .. } => Ok(Answer::TranscriptStored { segments: 1 }),
            Effect::OpenAvatar { .. }
            | Effect::StartAvatar { .. }
            | Effect::StopAvatar { .. }
            | Effect::CheckAvatar { .. }
            | Effect::KeepAvatarAlive { .. }
            | Effect::AvatarSay { .. }
            | Effect::AvatarInterrupt { .. }
            | Effect::AvatarReact { .. } => unreachable!("nobody has a face here"),
            Effect::RecordBot { .. }
            | Effect::StopAudio { .. }
            | Effect::DeleteMedia { .. }
            | Effect::UpdateIndex
            | Effect::Wipe => Ok(Answer::Done),
        }
    }

    fn create(&mut self, key: String, join_at: Option<Timestamp>) -> BotId {
        if let Some((at, id)) = self.keys.get(&key)
            && self.now < *at + minutes(60)
        {
            return id.clone();
        }
        let id = BotId(format!("bot-{}", self.bots.len() + 1));
        self.keys.insert(key, (self.now, id.clone()));
        let joins = join_at.unwrap_or(self.now).max(self.now) + self.chance.millis(5000);
        self.bots.push(VendorBot {
            id: id.clone(),
            statuses: Vec::new(),
            next: Some((joins, "joining_call")),
        });
        id
    }

    fn delete(&mut self, id: &BotId, operation: &str) -> Result<Answer, CallError> {
        let now = self.now;
        let bot = self
            .bots
            .iter_mut()
            .find(|b| b.id == *id)
            .expect("only known bots are deleted");
        match bot.code() {
            None => {
                bot.next = None;
                bot.statuses.push(change("deleted", now, None));
                Ok(Answer::Done)
            }
            Some("deleted") => Err(failure(operation, 404, FailureKind::NotFound, false)),
            Some(_) => Err(failure(
                operation,
                405,
                FailureKind::AlreadyDispatched,
                false,
            )),
        }
    }

    fn leave(&mut self, id: &BotId, operation: &str) -> Result<Answer, CallError> {
        let now = self.now;
        let bot = self
            .bots
            .iter_mut()
            .find(|b| b.id == *id)
            .expect("only known bots leave");
        match bot.code() {
            None => Err(failure(operation, 400, FailureKind::NotStarted, false)),
            Some("deleted") => Err(failure(operation, 404, FailureKind::NotFound, false)),
            Some("call_ended" | "done" | "fatal") => {
                Err(failure(operation, 400, FailureKind::AlreadyOver, false))
            }
            Some(_) => {
                bot.next = Some((now + seconds(2), "left"));
                Ok(Answer::Done)
            }
        }
    }

    fn in_call(&self, id: &BotId, operation: &str) -> Result<(), CallError> {
        let bot = self.bots.iter().find(|b| b.id == *id);
        match bot.and_then(VendorBot::code) {
            Some(code) if code.starts_with("in_call") => Ok(()),
            Some("call_ended" | "done" | "fatal") => {
                Err(failure(operation, 400, FailureKind::AlreadyOver, false))
            }
            _ => Err(failure(operation, 400, FailureKind::NotStarted, false)),
        }
    }

    /// Bots go through their lives and report it, more or less.
    fn vendor_moves(&mut self) {
        let now = self.now;
        for index in 0..self.bots.len() {
            let Some((at, code)) = self.bots[index].next else {
                continue;
            };
            if at > now {
                continue;
            }
            let (word, sub_code) = match code {
                "left" => ("call_ended", Some("bot_received_leave_call")),
                "call_ended" => ("call_ended", Some("call_ended_by_host")),
                other => (other, None),
            };
            let next = match code {
                "joining_call" if self.chance.percent(10) => Some((seconds(3), "fatal")),
                "joining_call" if self.chance.percent(30) => Some((seconds(1), "in_waiting_room")),
                "in_waiting_room" if self.chance.percent(20) => Some((minutes(10), "call_ended")),
                "joining_call" | "in_waiting_room" => {
                    Some((self.chance.millis(60_000), "in_call_not_recording"))
                }
                "in_call_not_recording" => Some((seconds(1), "in_call_recording")),
                "in_call_recording" => Some((self.chance.millis(3_600_000), "call_ended")),
                "call_ended" | "left" => Some((seconds(5), "done")),
                _ => None,
            };
            let status = change(word, now, sub_code);
            self.bots[index].statuses.push(status.clone());
            self.bots[index].next = next.map(|(wait, code)| (now + wait, code));
            let id = self.bots[index].id.clone();
            self.send_webhook(&id, &RecallEvent::BotStatus(status));
            if code == "done" && self.bots[index].was_in_call() {
                for artifact in ["recording", "video_mixed", "transcript"] {
                    let change = ArtifactChange {
                        artifact: Artifact::from(artifact.to_owned()),
                        code: ArtifactCode::Done,
                        sub_code: None,
                        recording_id: None,
                        artifact_id: None,
                        updated_at: Some(now),
                    };
                    self.send_webhook(&id, &RecallEvent::Artifact(change));
                }
            }
        }
    }

    fn send_webhook(&mut self, bot: &BotId, report: &RecallEvent) {
        let copies = if !self.in_trouble() || !self.chance.percent(self.trouble) {
            1
        } else {
            self.chance.below(3)
        };
        for _ in 0..copies {
            let late = if self.chance.percent(self.trouble) {
                60_000
            } else {
                500
            };
            let at = self.now + self.chance.millis(late);
            let event = Event::RecallReported {
                bot_id: Some(bot.clone()),
                name: "test".to_owned(),
                report: report.clone(),
            };
            self.webhooks.push((at, event));
        }
    }

    /// Promises that hold at every moment.
    fn check_always(&self) {
        let in_call = self
            .bots
            .iter()
            .filter(|b| b.code().is_some_and(|c| c.starts_with("in_call")));
        assert!(
            in_call.count() <= 1,
            "two bots are in the call\n{}",
            self.tale()
        );
        if !self.audio_in_doubt {
            let greetings = self.greetings() + self.written_greetings();
            assert!(
                greetings <= 1,
                "the room was greeted in speech and in chat\n{}",
                self.tale()
            );
        }
        assert!(
            self.greetings() <= 1,
            "the room heard the greeting twice\n{}",
            self.tale()
        );
    }

    /// Promises that hold in the end.
    fn check_at_the_end(&self) {
        let view = self.meeting.view();
        assert!(
            view.status.is_over(),
            "the meeting has no end\n{}",
            self.tale()
        );
        for bot in &self.bots {
            assert!(
                bot.is_gone(),
                "{} outlives its meeting\n{}",
                bot.id,
                self.tale()
            );
        }
        assert!(
            !view.listening.state.is_on(),
            "listening has no end\n{}",
            self.tale()
        );
        let entered = view
            .bot
            .as_ref()
            .and_then(|b| self.bots.iter().find(|v| v.id.0 == b.id));
        let entered = entered.is_some_and(VendorBot::was_in_call);
        match view.greeting.state {
            GreetingState::Pending => panic!("the greeting is still pending\n{}", self.tale()),
            GreetingState::Sent => match view.greeting.via {
                Some(Via::Chat) => assert!(!self.chats.is_empty(), "{}", self.tale()),
                _ => assert_eq!(self.greetings(), 1, "{}", self.tale()),
            },
            GreetingState::Failed | GreetingState::Skipped => {
                assert!(view.greeting.reason.is_some(), "{}", self.tale());
            }
        }
        if entered && view.status != crate::meeting::Status::Cancelled {
            let missing = [view.transcript.state, view.recording.state];
            let expected = self
                .bots
                .iter()
                .any(|b| b.code() == Some("done") && b.was_in_call());
            if expected {
                assert_eq!(
                    missing,
                    [ArtifactState::Ready; 2],
                    "an artifact was lost\n{}",
                    self.tale()
                );
            }
        }
        assert_eq!(
            self.meeting.deadline(self.now),
            None,
            "something is left to do\n{}",
            self.tale()
        );
    }

    fn written_greetings(&self) -> usize {
        let greeting = &self.meeting.booking().agent.greeting;
        self.chats.values().filter(|text| *text == greeting).count()
    }

    fn greetings(&self) -> usize {
        let greeting = UtteranceId::mint(start_of_time(), 0);
        self.heard.values().filter(|id| **id == greeting).count()
    }

    fn tale(&self) -> String {
        self.story.join("\n")
    }
}

fn change(code: &str, at: Timestamp, sub_code: Option<&str>) -> BotStatusChange {
    BotStatusChange {
        code: BotCode::from(code.to_owned()),
        sub_code: sub_code.map(str::to_owned),
        message: None,
        updated_at: Some(at),
    }
}

fn found(bot: &VendorBot) -> FoundBot {
    FoundBot {
        id: bot.id.clone(),
        newest: bot.statuses.last().cloned(),
    }
}

fn state(bot: &VendorBot) -> BotState {
    let done = bot.code() == Some("done") && bot.was_in_call();
    BotState {
        id: bot.id.clone(),
        statuses: bot.statuses.clone(),
        recordings: if done {
            vec![RecordingState {
                transcript: artifact_done(),
                video: artifact_done(),
                audio: None,
            }]
        } else {
            Vec::new()
        },
    }
}

fn failure(operation: &str, status: u16, kind: FailureKind, maybe_done: bool) -> CallError {
    CallError {
        operation: operation.to_owned(),
        status: (status > 0).then_some(status),
        code: None,
        kind,
        reason: format!("{kind:?}"),
        advice: match kind {
            FailureKind::RateLimited | FailureKind::Unavailable | FailureKind::NoAnswer => {
                Advice::Retry { after: None }
            }
            FailureKind::PoolEmpty => Advice::RetryWithNewKey {
                after: Some(RetryAfter(30_000)),
            },
            _ => Advice::GiveUp,
        },
        maybe_done,
    }
}
