//! The avatar's vendors: sessions that cost until they are stopped, and their sockets as the object reports them.

use std::time::Duration;

use attache_meeting::{
    http::{CallError, FailureKind},
    ids::UtteranceId,
    meeting::{Answer, AvatarOrder, Event, Via},
    secret::Secret,
    vendors::{
        avatar::{AvatarProvider, AvatarSession, AvatarSessionId, Opening, Viewer},
        liveavatar::{Beginning, CutReason, LinkReport},
    },
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    calls::{failure, length_ms},
    life::{Happening, Life},
    sabotage::Sabotage,
};

/// A session that nothing is done with ends of itself.
const HEYGEN_IDLE: Duration = Duration::from_mins(2);
/// How many sockets an instance holds.
const MAX_LINES: usize = 2;
/// What has begun is heard for so long before anything can break it off.
const BEGUN: Duration = Duration::from_millis(200);
/// What the socket takes for silence, and for an end that was not told.
const NOT_BEGUN: Duration = Duration::from_millis(3_500);
const END_UNTOLD: Duration = Duration::from_secs(2);

/// The account at the vendor, as far as it concerns this meeting.
#[derive(Debug, Default)]
pub(crate) struct AvatarVendor {
    pub sessions: Vec<VendorSession>,
    lines: Vec<Line>,
}

/// A session at the vendor.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct VendorSession {
    pub id: AvatarSessionId,
    pub provider: AvatarProvider,
    pub live: bool,
    pub started: bool,
    pub stopped: bool,
    /// It goes on being listed after so many stops.
    stubborn: u32,
    limit: Option<u64>,
    used_at: Timestamp,
    /// How often the object has tried to stop it.
    pub stops: u32,
    /// A look at whether it was stopped has failed, so that it counts as stopped.
    pub never_looked_up: bool,
}

/// A session's socket, in an instance's memory.
#[derive(Debug)]
struct Line {
    session: AvatarSessionId,
    saying: Option<Saying>,
}

#[derive(Clone, Debug)]
struct Saying {
    utterance: UtteranceId,
    token: u32,
    since: Option<Timestamp>,
}

/// What a session's socket is about to tell.
#[derive(Debug)]
pub(crate) enum LineNews {
    Ready {
        session: AvatarSessionId,
    },
    Lost {
        session: AvatarSessionId,
    },
    Over {
        session: AvatarSessionId,
    },
    Begins {
        session: AvatarSessionId,
        utterance: UtteranceId,
        token: u32,
    },
    Ends {
        session: AvatarSessionId,
        token: u32,
    },
    Fails {
        session: AvatarSessionId,
        token: u32,
        reason: CutReason,
    },
}

impl Life {
    pub(crate) fn open_avatar(&mut self, provider: AvatarProvider) -> Answer {
        let number = self.avatars.sessions.len() + 1;
        let id = AvatarSessionId(format!("session-{number}"));
        let limit = self
            .choices
            .pick(&[None, None, Some(90), Some(600), Some(40)]);
        let stubborn = u32::from(self.trouble(5));
        self.avatars.sessions.push(VendorSession {
            id: id.clone(),
            provider,
            live: false,
            started: false,
            stopped: false,
            stubborn,
            limit,
            used_at: self.now,
            stops: 0,
            never_looked_up: false,
        });
        let grant = match provider {
            AvatarProvider::LiveAvatar => json!({"kind": "token", "token": "fake"}),
            AvatarProvider::HeyGen => json!({
                "kind": "room", "max_seconds": limit,
                "viewer": {"url": "wss://rooms.example", "token": "fake"},
            }),
        };
        if provider == AvatarProvider::HeyGen {
            self.goes_live(number - 1);
        }
        let opening = json!({"provider": provider, "session_id": id, "grant": grant});
        let opening: Opening =
            serde_json::from_value(opening).expect("an opening in its stored form");
        Answer::AvatarOpened { opening }
    }

    pub(crate) fn start_avatar(&mut self, id: &AvatarSessionId) -> Result<Answer, CallError> {
        let gone = || failure("liveavatar.start", 404, FailureKind::SessionGone);
        let index = self.session(id).ok_or_else(gone)?;
        if self.avatars.sessions[index].stopped {
            return Err(gone());
        }
        self.goes_live(index);
        let session = &self.avatars.sessions[index];
        let has_socket = session.provider == AvatarProvider::LiveAvatar;
        Ok(Answer::AvatarStarted {
            session: AvatarSession {
                provider: session.provider,
                session_id: id.clone(),
                viewer: Viewer {
                    url: "wss://rooms.example".to_owned(),
                    token: Secret::new("fake"),
                },
                socket_url: has_socket.then(|| Secret::new("wss://sound.example/fake")),
                max_seconds: session.limit,
            },
        })
    }

    fn goes_live(&mut self, index: usize) {
        let session = &mut self.avatars.sessions[index];
        if session.started {
            return;
        }
        (session.started, session.live, session.used_at) = (true, true, self.now);
        self.coverage.count("avatar: sessions started");
        let limit = session.limit.map(Duration::from_secs);
        let idle = (session.provider == AvatarProvider::HeyGen).then_some(HEYGEN_IDLE);
        self.check_sessions();
        for wait in [limit, idle].into_iter().flatten() {
            self.later(wait, Happening::SessionEnds { session: index });
        }
    }

    /// A session's limit, or the time that it does without anything to do.
    pub(crate) fn session_ends(&mut self, index: usize) {
        let now = self.now;
        let session = &mut self.avatars.sessions[index];
        if !session.live {
            return;
        }
        let idle_until = session.used_at + HEYGEN_IDLE;
        if session.provider == AvatarProvider::HeyGen && session.limit.is_none() && idle_until > now
        {
            let wait = Duration::try_from(idle_until.duration_since(now)).unwrap_or_default();
            return self.later(wait, Happening::SessionEnds { session: index });
        }
        session.live = false;
        let id = session.id.clone();
        self.coverage
            .count("avatar: sessions that ended of themselves");
        self.story
            .tell(now, "avatar", || format!("{id} ends of itself"));
        let instance = self.shell.instance;
        self.later(
            Duration::from_millis(50),
            Happening::Line {
                instance,
                news: LineNews::Over { session: id },
            },
        );
    }

    pub(crate) fn stop_avatar(&mut self, id: &AvatarSessionId) -> Answer {
        if self.sabotage == Some(Sabotage::DropStops) {
            return Answer::Done;
        }
        if let Some(index) = self.session(id) {
            let session = &mut self.avatars.sessions[index];
            if session.stubborn > 0 {
                session.stubborn -= 1;
            } else {
                (session.live, session.stopped) = (false, true);
                let id = id.clone();
                self.story
                    .tell(self.now, "avatar", || format!("{id} is stopped"));
                let instance = self.shell.instance;
                self.later(
                    Duration::from_millis(50),
                    Happening::Line {
                        instance,
                        news: LineNews::Over { session: id },
                    },
                );
            }
        }
        Answer::Done
    }

    pub(crate) fn check_avatar(&self, id: &AvatarSessionId) -> Answer {
        let hides = self.sabotage == Some(Sabotage::DropStops);
        Answer::AvatarChecked {
            live: self.is_live(id) && !hides,
        }
    }

    pub(crate) fn keep_avatar(
        &mut self,
        id: &AvatarSessionId,
        operation: &str,
    ) -> Result<Answer, CallError> {
        let now = self.now;
        let index = self
            .session(id)
            .filter(|index| self.avatars.sessions[*index].live);
        let index = index.ok_or_else(|| failure(operation, 404, FailureKind::SessionGone))?;
        self.avatars.sessions[index].used_at = now;
        Ok(Answer::Done)
    }

    pub(crate) fn avatar_says(
        &mut self,
        id: &AvatarSessionId,
        text: &str,
    ) -> Result<Answer, CallError> {
        self.keep_avatar(id, "heygen.speak")?;
        if let Some(utterance) = self.room.utterance_of(text) {
            self.hear_avatar(id, &utterance);
        }
        Ok(Answer::AvatarSays {
            duration_ms: length_ms(text),
        })
    }

    /// The room hears the avatar begin, and so does the page.
    fn hear_avatar(&mut self, id: &AvatarSessionId, utterance: &UtteranceId) {
        self.hear(utterance, Via::Avatar, 0);
        self.page_hears_avatar(id);
    }

    /// Notes an attempt to stop a session, whatever comes of it.
    pub(crate) fn stop_ordered(&mut self, id: &AvatarSessionId) {
        if let Some(index) = self.session(id) {
            self.avatars.sessions[index].stops += 1;
        }
    }

    pub(crate) fn never_looked_up(&mut self, id: &AvatarSessionId) {
        if let Some(index) = self.session(id) {
            self.avatars.sessions[index].never_looked_up = true;
        }
    }

    fn session(&self, id: &AvatarSessionId) -> Option<usize> {
        self.avatars
            .sessions
            .iter()
            .position(|session| session.id == *id)
    }

    pub(crate) fn is_live(&self, id: &AvatarSessionId) -> bool {
        self.session(id)
            .is_some_and(|index| self.avatars.sessions[index].live)
    }

    pub(crate) fn has_lines(&self) -> bool {
        !self.avatars.lines.is_empty()
    }

    pub(crate) fn forget_lines(&mut self) {
        self.avatars.lines.clear();
    }

    fn line(&mut self, session: &AvatarSessionId) -> Option<&mut Line> {
        self.avatars
            .lines
            .iter_mut()
            .find(|line| line.session == *session)
    }

    /// What a session's socket does at once when it gets its order; says whether more follows outside.
    pub(crate) fn tell_line(&mut self, order: &AvatarOrder) -> bool {
        match order {
            AvatarOrder::Connect { session_id, .. } => {
                if self.line(session_id).is_some() {
                    return false;
                }
                if self.avatars.lines.len() >= MAX_LINES {
                    let reason = "too many sessions are open".to_owned();
                    self.report_link_at_once(session_id, LinkReport::Failed { reason });
                    return false;
                }
                self.avatars.lines.push(Line {
                    session: session_id.clone(),
                    saying: None,
                });
                true
            }
            AvatarOrder::Speak {
                session_id,
                utterance_id,
            } => {
                self.check_said_again(utterance_id, 0, "avatar");
                let token = self.number();
                let saying = Saying {
                    utterance: utterance_id.clone(),
                    token,
                    since: None,
                };
                let has_clip = self.shell.store.clips.contains_key(utterance_id);
                match self.line(session_id) {
                    Some(line) if line.saying.is_none() && has_clip => {
                        line.saying = Some(saying);
                        true
                    }
                    Some(_) | None => {
                        let cut = cut(utterance_id, CutReason::Empty, 0);
                        self.report_link_at_once(session_id, cut);
                        false
                    }
                }
            }
            AvatarOrder::Interrupt { session_id } => {
                self.cut_at_once(session_id, CutReason::Interrupted);
                false
            }
            AvatarOrder::Listening { .. } => false,
            AvatarOrder::Close { session_id } => {
                self.cut_at_once(session_id, CutReason::Closed);
                let before = self.avatars.lines.len();
                self.avatars
                    .lines
                    .retain(|line| line.session != *session_id);
                if self.avatars.lines.len() < before {
                    self.report_link_at_once(session_id, LinkReport::Closed);
                }
                false
            }
        }
    }

    fn report_link_at_once(&mut self, session: &AvatarSessionId, report: LinkReport) {
        self.report_at_once(Event::AvatarReported {
            session_id: session.clone(),
            report,
        });
    }

    fn cut_at_once(&mut self, session: &AvatarSessionId, reason: CutReason) {
        let now = self.now;
        let saying = self.line(session).and_then(|line| line.saying.take());
        if let Some(saying) = saying {
            let cut = cut(&saying.utterance, reason, saying.heard_ms(now));
            self.report_link_at_once(session, cut);
        }
    }

    /// What follows once the order is out.
    pub(crate) fn line_ordered(&mut self, order: AvatarOrder) {
        match order {
            AvatarOrder::Connect {
                session_id,
                beginning,
            } => {
                let wait = Duration::from_millis(200) + self.way(Duration::from_secs(2));
                let fails = self.trouble(self.plan.trouble / 2);
                let session = session_id;
                if beginning == Beginning::Resumed {
                    self.coverage
                        .count("avatar: sessions taken up by a fresh instance");
                }
                if fails && self.choices.percent(50) {
                    self.plan_line(wait, LineNews::Over { session });
                } else if fails {
                    self.plan_line(wait, LineNews::Lost { session });
                } else {
                    self.plan_line(wait, LineNews::Ready { session });
                }
            }
            AvatarOrder::Speak {
                session_id,
                utterance_id,
            } => {
                let saying = self.line(&session_id).and_then(|line| line.saying.clone());
                let Some(Saying { token, .. }) = saying else {
                    return;
                };
                if self.trouble(self.plan.trouble / 2) {
                    let reason = CutReason::NotBegun;
                    return self.plan_line(
                        NOT_BEGUN,
                        LineNews::Fails {
                            session: session_id,
                            token,
                            reason,
                        },
                    );
                }
                let wait = Duration::from_millis(100) + self.way(Duration::from_millis(700));
                let begins = LineNews::Begins {
                    session: session_id,
                    utterance: utterance_id,
                    token,
                };
                self.plan_line(wait, begins);
            }
            AvatarOrder::Interrupt { .. }
            | AvatarOrder::Listening { .. }
            | AvatarOrder::Close { .. } => {}
        }
    }

    fn plan_line(&mut self, wait: Duration, news: LineNews) {
        let instance = self.shell.instance;
        self.later(wait, Happening::Line { instance, news });
    }

    pub(crate) fn line_news(&mut self, instance: u32, news: LineNews) {
        if instance != self.shell.instance {
            // What was sent before a crash the avatar may say all the same, and nobody is told.
            if let LineNews::Begins {
                session, utterance, ..
            } = news
                && self.is_live(&session)
                && self.choices.percent(50)
            {
                self.hear_avatar(&session, &utterance);
            }
            return;
        }
        match news {
            LineNews::Ready { session } => {
                if self.line(&session).is_some() {
                    self.report_link(session, LinkReport::Ready { connections: 1 });
                }
            }
            LineNews::Lost { session } => {
                if self.line(&session).is_some() {
                    let reason = "closed with 1006".to_owned();
                    self.cut_now(&session, CutReason::SocketLost);
                    let again = LineNews::Ready {
                        session: session.clone(),
                    };
                    self.plan_line(Duration::from_secs(1), again);
                    self.report_link(session, LinkReport::Reconnecting { reason, attempt: 1 });
                }
            }
            LineNews::Over { session } => {
                if self.line(&session).is_some() {
                    self.cut_now(&session, CutReason::SessionOver);
                    self.avatars.lines.retain(|line| line.session != session);
                    let reason = "the session is over".to_owned();
                    self.report_link(session, LinkReport::Failed { reason });
                }
            }
            LineNews::Begins {
                session,
                utterance,
                token,
            } => self.line_begins(session, &utterance, token),
            LineNews::Ends { session, token } => {
                let saying = self.take_saying(&session, token);
                if let Some(saying) = saying {
                    let heard_ms = saying.heard_ms(self.now);
                    let event_id = saying.utterance.to_string();
                    self.report_link(session, LinkReport::Spoken { event_id, heard_ms });
                }
            }
            LineNews::Fails {
                session,
                token,
                reason,
            } => {
                if let Some(saying) = self.take_saying(&session, token) {
                    self.coverage
                        .count("fault: the avatar does not say it to its end");
                    let heard = saying.heard_ms(self.now);
                    self.report_link(session.clone(), cut(&saying.utterance, reason, heard));
                    if reason == CutReason::SocketLost {
                        self.plan_line(Duration::ZERO, LineNews::Lost { session });
                    } else if reason == CutReason::SessionOver {
                        self.plan_line(Duration::ZERO, LineNews::Over { session });
                    }
                }
            }
        }
    }

    fn line_begins(&mut self, session: AvatarSessionId, utterance: &UtteranceId, token: u32) {
        let now = self.now;
        if !self.is_live(&session) {
            return;
        }
        let length = self
            .shell
            .store
            .clips
            .get(utterance)
            .copied()
            .unwrap_or(1_000);
        let length = Duration::from_millis(length);
        let Some(line) = self.line(&session) else {
            return;
        };
        let Some(saying) = line.saying.as_mut().filter(|saying| saying.token == token) else {
            return;
        };
        saying.since = Some(now);
        self.hear_avatar(&session, utterance);
        let broken = [
            CutReason::SocketLost,
            CutReason::FellSilent,
            CutReason::SessionOver,
            CutReason::EndUntold,
            CutReason::Starved,
            CutReason::Refused,
        ];
        if self.trouble(self.plan.trouble / 2) {
            let reason = self.choices.pick(&broken);
            let wait = if reason == CutReason::EndUntold {
                length + END_UNTOLD
            } else {
                BEGUN + self.choices.time(length.saturating_sub(BEGUN))
            };
            self.plan_line(
                wait,
                LineNews::Fails {
                    session: session.clone(),
                    token,
                    reason,
                },
            );
        } else {
            self.plan_line(
                length,
                LineNews::Ends {
                    session: session.clone(),
                    token,
                },
            );
        }
        let event_id = utterance.to_string();
        self.report_link(
            session,
            LinkReport::Speaking {
                event_id,
                after_ms: 100,
            },
        );
    }

    fn take_saying(&mut self, session: &AvatarSessionId, token: u32) -> Option<Saying> {
        let line = self.line(session)?;
        line.saying.take_if(|saying| saying.token == token)
    }

    fn cut_now(&mut self, session: &AvatarSessionId, reason: CutReason) {
        let now = self.now;
        let saying = self.line(session).and_then(|line| line.saying.take());
        if let Some(saying) = saying {
            let cut = cut(&saying.utterance, reason, saying.heard_ms(now));
            self.report_link(session.clone(), cut);
        }
    }

    fn report_link(&mut self, session: AvatarSessionId, report: LinkReport) {
        self.report(Event::AvatarReported {
            session_id: session,
            report,
        });
    }
}

impl Saying {
    fn heard_ms(&self, now: Timestamp) -> u64 {
        self.since.map_or(0, |since| {
            u64::try_from(now.duration_since(since).as_millis()).unwrap_or(0)
        })
    }
}

fn cut(utterance: &UtteranceId, reason: CutReason, heard_ms: u64) -> LinkReport {
    LinkReport::Cut {
        event_id: utterance.to_string(),
        reason,
        heard_ms,
        sent_ms: heard_ms,
        unsent_ms: 0,
    }
}
