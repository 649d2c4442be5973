//! A meeting and what it has ordered, without a world around it: whatever it is told, it can be stored and goes on.

use std::{collections::VecDeque, time::Duration};

use attache_meeting::{
    http::{CallError, TransportError},
    ids::{BotId, MeetingId, TenantId, UtteranceId},
    meeting::{
        Agent, Answer, Booking, BotState, Effect, Event, Meeting, Order, Platform, Presence,
        Status, Step,
    },
    vendors::{
        avatar::{AvatarProvider, AvatarSession, AvatarSessionId, AvatarVendor, Opening},
        elevenlabs::ElevenLabsTts,
        recall::{BotCode, BotStatusChange, RecallClient, RecallEvent},
    },
};
use jiff::Timestamp;
use serde_json::{Map, json};

use crate::{
    reason::{is_fit_to_be_stored, response},
    script::start_of_time,
};

/// The bot that the corpus tells of.
pub(crate) const BOT: &str = "bot_123";
/// What the page needs to see an avatar, and nobody else.
pub(crate) const VIEWER_TOKEN: &str = "fake-viewer-token";
/// What lets speak through an avatar.
const SOCKET_URL: &str = "wss://avatar.example/fake-socket-token";
/// The part of it that is secret.
pub(crate) const SOCKET_TOKEN: &str = "fake-socket-token";
/// How much one event may add to what is stored: a few cut words, an order or two.
const MOST_GROWTH: usize = 16 * 1024;
/// How many times an alarm may ring within one wait.
const MAX_WAKES: usize = 200;

/// The meeting that the corpus tells of.
pub(crate) fn meeting_id() -> MeetingId {
    MeetingId::mint(start_of_time(), 1)
}

/// A meeting, the time, and the orders that were not answered yet.
#[derive(Clone)]
pub(crate) struct Room {
    pub(crate) meeting: Meeting,
    pub(crate) now: Timestamp,
    orders: VecDeque<Order>,
    /// Whether the bot was told to leave or deleted.
    left: bool,
    /// The meeting as it is, in its stored form, if it was stored since it changed.
    stored: Option<String>,
    /// Whether everything that was stored is gone, so that nothing can happen to it any more.
    wiped: bool,
    sessions: u32,
    /// The newest session of the avatar.
    session: Option<AvatarSessionId>,
}

impl Room {
    /// Books a meeting.
    pub(crate) fn book(
        presence: Presence,
        provider: Option<AvatarProvider>,
        starts_in: Option<Duration>,
    ) -> Self {
        let now = start_of_time();
        let booking = Booking {
            id: meeting_id(),
            tenant_id: TenantId::default_tenant(),
            meeting_url: "https://meet.google.com/abc-defg-hij".to_owned(),
            platform: Platform::GoogleMeet,
            title: None,
            starts_at: starts_in.map(|wait| now + wait),
            presence,
            agent: Agent {
                name: "Ada".to_owned(),
                company: Some("Acme".to_owned()),
                greeting: "Hi, this is Ada joining from Acme.".to_owned(),
                voice_id: Some("voice".to_owned()),
                avatar_id: provider.map(|_| "avatar".to_owned()),
                language: "en-US".to_owned(),
            },
            metadata: Map::new(),
            avatar_provider: provider,
            page_microphone: false,
            early_join_minutes: 3,
            created_at: now,
        };
        let (meeting, step) = Meeting::book(booking, now);
        let mut room = Self {
            meeting,
            now,
            orders: VecDeque::new(),
            left: false,
            stored: None,
            wiped: false,
            sessions: 0,
            session: None,
        };
        room.orders.extend(step.orders);
        room
    }

    /// Gives the meeting an event, and checks what holds of every event.
    pub(crate) fn send(&mut self, event: &Event) {
        if self.wiped {
            return;
        }
        let before = self.meeting.clone();
        let stored_before = self.stored.take().unwrap_or_else(|| store(&before));
        let mut same = load(&stored_before);
        let step = self.meeting.handle(event.clone(), self.now);
        let stored = store(&self.meeting);
        assert_eq!(
            load(&stored),
            self.meeting,
            "what is stored is not what was"
        );
        let again = same.handle(event.clone(), self.now);
        assert_eq!(
            (&again, &same),
            (&step, &self.meeting),
            "a restart changes what follows"
        );
        if step.refusal.is_some() {
            assert_eq!(self.meeting, before, "a refused command changes something");
        }
        let growth = stored.len().saturating_sub(stored_before.len());
        let mut text = 0;
        if let Event::SayRequested { text: words, .. } | Event::ChatRequested { text: words } =
            event
        {
            text = words.len();
        }
        assert!(
            growth <= MOST_GROWTH + 4 * text,
            "one event adds {growth} bytes to what is stored"
        );
        self.stored = Some(stored);
        self.tells_no_secret(&step);
        self.meeting.deadline(self.now);
        self.orders.extend(step.orders);
    }

    fn tells_no_secret(&self, step: &Step) {
        let told = [
            serde_json::to_string(&step.timeline),
            serde_json::to_string(&step.live),
            serde_json::to_string(&self.meeting.view()),
            Ok(format!("{:?}", step.avatar)),
        ];
        for told in told {
            let told = told.expect("what is told can be written");
            assert!(
                !told.contains(VIEWER_TOKEN) && !told.contains(SOCKET_TOKEN),
                "{told}"
            );
        }
    }

    /// Lets time pass, with every alarm that is due on the way.
    pub(crate) fn wait(&mut self, wait: Duration) {
        let until = self.now.checked_add(wait).unwrap_or(Timestamp::MAX);
        for _ in 0..MAX_WAKES {
            let Some(at) = self.deadline().filter(|at| *at <= until) else {
                break;
            };
            self.now = self.now.max(at);
            self.go_on(&Event::Woke);
            let next = self.deadline();
            let later = next.is_none_or(|next| next > self.now);
            assert!(later, "the alarm would ring for ever");
        }
        self.now = until;
        self.send(&Event::Woke);
    }

    /// When the alarm is due.
    fn deadline(&self) -> Option<Timestamp> {
        let at = self.meeting.deadline(self.now);
        at.filter(|_| !self.wiped)
    }

    /// A fresh instance takes over; what was under way is lost.
    pub(crate) fn crash(&mut self) {
        self.orders.clear();
        self.send(&Event::Restored {
            page_connected: false,
        });
    }

    /// The oldest order is carried out.
    pub(crate) fn answer(&mut self) {
        if let Some(order) = self.orders.pop_front() {
            let answer = self.carry_out(&order.effect);
            self.finish(&order, Ok(answer));
        }
    }

    /// All orders are carried out, and those that follow from them.
    pub(crate) fn answer_all(&mut self) {
        for _ in 0..MAX_WAKES {
            if self.orders.is_empty() {
                break;
            }
            self.answer();
        }
    }

    /// The oldest order gets this answer of its vendor's; if that is no refusal, it is carried out.
    pub(crate) fn refuse(&mut self, answer: &str) {
        let Some(order) = self.orders.pop_front() else {
            return;
        };
        let operation = order.effect.operation();
        let outcome = Ok(response(answer));
        let refused = match operation.split('.').next() {
            Some("recall") => RecallClient::acknowledged(operation, outcome).err(),
            Some("elevenlabs") => ElevenLabsTts::speech(outcome).err(),
            Some("liveavatar" | "heygen") => AvatarVendor::acknowledged(operation, outcome).err(),
            _ => None,
        };
        let result = match refused {
            Some(error) => {
                is_fit_to_be_stored(&error);
                Err(error)
            }
            None => Ok(self.carry_out(&order.effect)),
        };
        self.finish(&order, result);
    }

    /// The oldest order gets no answer, whether it is carried out or not.
    pub(crate) fn lose(&mut self, carried_out: bool) {
        if let Some(order) = self.orders.pop_front() {
            if carried_out {
                self.carry_out(&order.effect);
            }
            let operation = order.effect.operation();
            let error = CallError::unanswered(operation, &TransportError::Timeout);
            self.finish(&order, Err(error));
        }
    }

    fn finish(&mut self, order: &Order, result: Result<Answer, CallError>) {
        self.send(&Event::EffectFinished {
            id: order.id,
            result,
        });
    }

    fn carry_out(&mut self, effect: &Effect) -> Answer {
        match effect {
            Effect::CreateBot { .. } => Answer::BotCreated {
                bot_id: BotId(BOT.to_owned()),
                delivers_sound: true,
            },
            Effect::FindBots => Answer::BotsFound { bots: Vec::new() },
            Effect::ReadBot { bot_id } => Answer::BotRead {
                bot: BotState {
                    id: bot_id.clone(),
                    statuses: self.statuses(),
                    recordings: Vec::new(),
                },
            },
            Effect::DeleteBot { .. } | Effect::LeaveCall { .. } => {
                self.left = true;
                Answer::Done
            }
            Effect::Synthesize { utterance_id, .. } => Answer::Synthesized {
                utterance_id: utterance_id.clone(),
                duration_ms: 2_000,
            },
            Effect::OpenAvatar { provider } => {
                self.sessions += 1;
                Answer::AvatarOpened {
                    opening: opening(*provider, self.sessions),
                }
            }
            Effect::StartAvatar {
                provider,
                session_id,
            } => {
                self.session = Some(session_id.clone());
                Answer::AvatarStarted {
                    session: session(*provider, session_id),
                }
            }
            Effect::CheckAvatar { .. } => Answer::AvatarChecked { live: false },
            Effect::AvatarSay { .. } => Answer::AvatarSays { duration_ms: 2_000 },
            Effect::FetchTranscript { .. } => Answer::TranscriptStored { segments: 1 },
            Effect::StopAvatar { .. }
            | Effect::KeepAvatarAlive { .. }
            | Effect::AvatarInterrupt { .. }
            | Effect::AvatarReact { .. }
            | Effect::RecordBot { .. }
            | Effect::PlayAudio { .. }
            | Effect::StopAudio { .. }
            | Effect::SendChat { .. }
            | Effect::DeleteMedia { .. }
            | Effect::UpdateIndex => Answer::Done,
            Effect::Wipe => {
                self.wiped = true;
                self.orders.clear();
                Answer::Done
            }
        }
    }

    /// Everything that the bot has done, as far as its end is concerned.
    fn statuses(&self) -> Vec<BotStatusChange> {
        let codes: &[&str] = if self.left {
            &["call_ended", "done"]
        } else {
            &[]
        };
        codes.iter().map(|code| self.change(code)).collect()
    }

    fn change(&self, code: &str) -> BotStatusChange {
        BotStatusChange {
            code: BotCode::from(code.to_owned()),
            sub_code: None,
            message: None,
            updated_at: Some(self.now),
        }
    }

    /// Recall reports a status of the bot.
    pub(crate) fn status(&mut self, code: &str) {
        let report = RecallEvent::BotStatus(self.change(code));
        self.send(&Event::RecallReported {
            bot_id: Some(BotId(BOT.to_owned())),
            name: format!("bot.{code}"),
            report,
        });
    }

    /// Gives the newest session of the avatar.
    pub(crate) fn session(&self) -> AvatarSessionId {
        let none = || AvatarSessionId("session-1".to_owned());
        self.session.clone().unwrap_or_else(none)
    }

    /// The id of something that is said.
    pub(crate) fn utterance(number: u8) -> UtteranceId {
        UtteranceId::mint(start_of_time(), u128::from(number))
    }

    /// Whoever is told to leave leaves, and nothing goes wrong any more: the meeting ends and falls silent.
    pub(crate) fn end(&mut self) {
        self.send(&Event::CancelRequested);
        for _ in 0..MAX_ROUNDS {
            while let Some(order) = self.orders.pop_front() {
                let answer = self.carry_out(&order.effect);
                self.go_on(&Event::EffectFinished {
                    id: order.id,
                    result: Ok(answer),
                });
            }
            let Some(at) = self.deadline() else {
                break;
            };
            self.now = self.now.max(at);
            self.go_on(&Event::Woke);
        }
        let status = self.meeting.status();
        assert!(status.is_over(), "the meeting has no end: {status:?}");
        let rests = self.deadline().is_none();
        assert!(rests, "an ended meeting finds no rest");
    }

    /// Gives the meeting an event without a look at it.
    fn go_on(&mut self, event: &Event) {
        if !self.wiped {
            self.stored = None;
            let step = self.meeting.handle(event.clone(), self.now);
            self.orders.extend(step.orders);
        }
    }
}

/// More alarms than a meeting has from any state to its end, with five hours of call at one each 25 seconds.
const MAX_ROUNDS: usize = 3_000;

fn store(meeting: &Meeting) -> String {
    meeting.to_snapshot().expect("a meeting can be stored")
}

fn load(stored: &str) -> Meeting {
    Meeting::from_snapshot(stored).expect("a stored meeting can be read")
}

fn opening(provider: AvatarProvider, number: u32) -> Opening {
    let grant = match provider {
        AvatarProvider::LiveAvatar => json!({"kind": "token", "token": "fake-session-token"}),
        AvatarProvider::HeyGen => json!({"kind": "room", "viewer": viewer(), "max_seconds": 600}),
    };
    let stored = json!({
        "provider": provider, "session_id": format!("session-{number}"), "grant": grant,
    });
    serde_json::from_value(stored).expect("an opened session can be read")
}

fn session(provider: AvatarProvider, id: &AvatarSessionId) -> AvatarSession {
    let socket = (provider == AvatarProvider::LiveAvatar).then_some(SOCKET_URL);
    let stored = json!({
        "provider": provider, "session_id": id, "viewer": viewer(), "socket_url": socket,
        "max_seconds": 600,
    });
    serde_json::from_value(stored).expect("a session can be read")
}

fn viewer() -> serde_json::Value {
    json!({"url": "wss://room.example", "token": VIEWER_TOKEN})
}

/// Meetings in every status, some with everything that a meeting can have.
pub(crate) fn everywhere() -> Vec<Room> {
    let minutes = |n: u64| Some(Duration::from_secs(n * 60));
    let voice = |starts_in| Room::book(Presence::Voice, None, starts_in);
    let joining = || {
        let mut room = voice(None);
        room.answer_all();
        room.status("joining_call");
        room.answer_all();
        room
    };
    let in_call = || {
        let mut room = joining();
        room.status("in_call_recording");
        room.send(&Event::MediaConnected);
        room.answer_all();
        room.wait(Duration::from_secs(3));
        room
    };
    let mut asking = voice(None);
    asking.lose(true);
    let mut ahead = voice(minutes(60));
    ahead.answer_all();
    let mut leaving = in_call();
    leaving.send(&Event::CancelRequested);
    let mut ended = in_call();
    ended.status("call_ended");
    ended.answer_all();
    let mut failed = joining();
    failed.status("fatal");
    let mut cancelled = ahead.clone();
    cancelled.send(&Event::CancelRequested);
    let rooms = vec![
        voice(minutes(60)),
        asking,
        ahead,
        joining(),
        in_call(),
        shown(None),
        shown(Some(AvatarProvider::LiveAvatar)),
        shown(Some(AvatarProvider::HeyGen)),
        leaving,
        ended,
        failed,
        cancelled,
    ];
    let reached: Vec<Status> = rooms.iter().map(|room| room.meeting.status()).collect();
    assert!(
        Status::ALL.iter().all(|status| reached.contains(status)),
        "{reached:?}"
    );
    rooms
}

/// A meeting in its call, with a page that is ready and, if there is one, the avatar's session on its way.
pub(crate) fn shown(provider: Option<AvatarProvider>) -> Room {
    let mut room = Room::book(Presence::Avatar, provider, None);
    room.answer_all();
    room.status("joining_call");
    room.send(&Event::PageConnected);
    room.status("in_call_recording");
    room.send(&Event::PageReported {
        report: attache_meeting::page::FromPage::Ready,
    });
    room.answer_all();
    room
}
