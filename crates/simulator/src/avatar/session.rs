//! One avatar session without its sockets: calls, commands and the time in, events and the end out.
//!
//! Whoever drives it calls [`Session::tick`] at [`Session::deadline`] or later; earlier and repeated
//! calls do nothing.

mod hearing;
mod telling;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::habits::AvatarHabits;
use super::state::{
    AvatarEnd, AvatarEnded, AvatarFault, AvatarInterrupt, AvatarNews, AvatarProvider,
    AvatarSession, AvatarUtteranceState as Said, AvatarViewer,
};
use super::voice::{Voice, VoiceEvent};
use crate::deepgram::Side;
use crate::livekit::LiveKit;
use crate::recall::ids::Ids;
use crate::spoken::Spoken;

pub(crate) use self::wire::Out;
use self::wire::Wire;

/// What is paid for at once.
const CREDIT: Duration = Duration::from_mins(1);
/// More violations, deviations and keep-alives than this are one and the same over and over.
const KEPT: usize = 500;

/// What was agreed when a session was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) id: String,
    pub(crate) provider: AvatarProvider,
    pub(crate) meeting_id: Option<String>,
    pub(crate) avatar: String,
    pub(crate) request: Value,
    pub(crate) longest: Duration,
    pub(crate) idle_window: Duration,
    /// It costs nothing.
    pub(crate) free: bool,
    pub(crate) habits: AvatarHabits,
    /// The client's token for calls about this session.
    pub(crate) session_token: String,
    /// What opens its room to a viewer.
    pub(crate) viewer_token: String,
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Session {
    terms: Terms,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    /// When `HeyGen` was told to begin, in a second call.
    pub(crate) begun_at: Option<Timestamp>,
    ended: Option<AvatarEnded>,
    /// Its end was not told, and its room is still there.
    ended_silently: bool,
    /// Paid for until then.
    paid_until: Option<Timestamp>,
    credits: u32,
    last_sign: Timestamp,
    last_watched: Timestamp,
    viewers: Vec<AvatarViewer>,
    voice: Voice,
    listens: bool,
    shown: &'static str,
    wire: Wire,
    interrupts: Vec<AvatarInterrupt>,
    keep_alives: Vec<Timestamp>,
    violations: Vec<String>,
    deviations: Vec<String>,
    ids: Ids,
    spoken: Arc<Spoken>,
    livekit: Arc<LiveKit>,
    news: Vec<(Timestamp, AvatarNews)>,
}

/// Something time brings to a session.
#[derive(Clone, Copy, Debug)]
enum Due {
    Connected,
    Voice,
    Ends(AvatarEnd),
}

impl Session {
    pub(crate) fn new(
        terms: Terms,
        scale: f64,
        (spoken, livekit): (Arc<Spoken>, Arc<LiveKit>),
        now: Timestamp,
    ) -> Self {
        Self {
            voice: Voice::new(scale, terms.habits.reaction),
            ids: Ids::new(terms.seed),
            terms,
            created_at: now,
            started_at: None,
            begun_at: None,
            ended: None,
            ended_silently: false,
            paid_until: None,
            credits: 0,
            last_sign: now,
            last_watched: now,
            viewers: Vec::new(),
            listens: false,
            shown: "idle",
            wire: Wire::default(),
            interrupts: Vec::new(),
            keep_alives: Vec::new(),
            violations: Vec::new(),
            deviations: Vec::new(),
            spoken,
            livekit,
            news: Vec::new(),
        }
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(crate) fn id(&self) -> &str {
        &self.terms.id
    }

    pub(crate) fn meeting_id(&self) -> Option<&str> {
        self.terms.meeting_id.as_deref()
    }

    pub(crate) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    pub(crate) fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    pub(crate) fn ended(&self) -> Option<AvatarEnded> {
        self.ended
    }

    pub(crate) fn is_live(&self) -> bool {
        self.started_at.is_some() && self.ended.is_none()
    }

    /// Whether there is a room that viewers can be in.
    pub(crate) fn has_room(&self) -> bool {
        self.is_live() || self.ended_silently
    }

    pub(crate) fn credits(&self) -> u32 {
        self.credits
    }

    /// It begins, and with it its first minute, which is paid.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.started_at = Some(now);
        (self.last_sign, self.last_watched) = (now, now);
        if !self.terms.free {
            self.pay(now);
        }
        self.livekit.appear(&self.terms.id, &self.terms.avatar);
        self.note(now, AvatarNews::Started);
    }

    /// Whether another minute has begun.
    pub(crate) fn owes(&self, now: Timestamp) -> bool {
        self.is_live() && self.paid_until.is_some_and(|until| until <= now)
    }

    /// Pays for one more minute.
    pub(crate) fn pay(&mut self, now: Timestamp) {
        self.paid_until = Some(self.paid_until.unwrap_or(now) + CREDIT);
        self.credits += 1;
    }

    /// It ends, and says so unless that is to be silent.
    pub(crate) fn end(&mut self, reason: AvatarEnd, by: Side, silently: bool, now: Timestamp) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(AvatarEnded {
            at: now,
            reason,
            by,
        });
        let spoken = self.spoken.clone();
        self.voice.cut(now, Said::Lost, &spoken);
        self.ended_silently = silently;
        if silently {
            self.livekit.studio.hush(&self.terms.id);
        } else {
            self.tell_end();
            self.livekit.vanish(&self.terms.id);
            for viewer in &mut self.viewers {
                viewer.left_at.get_or_insert(now);
            }
        }
        self.note(now, AvatarNews::Ended { reason, by });
    }

    /// The token that asked for it is good for its calls too.
    pub(crate) fn may_be_commanded_with(&mut self, token: String) {
        self.terms.session_token = token;
    }

    /// An id for something a call asks it to say.
    pub(crate) fn next_task(&mut self) -> String {
        self.ids.uuid()
    }

    /// The client's call to keep it alive.
    pub(crate) fn keep_alive(&mut self, now: Timestamp) {
        self.last_sign = now;
        if self.keep_alives.len() < KEPT {
            self.keep_alives.push(now);
        }
        self.note(now, AvatarNews::KeptAlive);
    }

    /// A sign of life that is not worth a line.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.last_sign = now;
    }

    /// The meeting is known now, if it was not.
    pub(crate) fn belongs_to(&mut self, meeting_id: &str) {
        self.terms
            .meeting_id
            .get_or_insert_with(|| meeting_id.to_owned());
    }

    /// Somebody came to watch.
    pub(crate) fn watch(&mut self, now: Timestamp) -> usize {
        self.viewers.push(AvatarViewer {
            joined_at: now,
            left_at: None,
        });
        self.note(now, AvatarNews::ViewerJoined);
        self.viewers.len() - 1
    }

    /// Somebody who watched left.
    pub(crate) fn unwatch(&mut self, viewer: usize, now: Timestamp) {
        if self.viewers[viewer].left_at.is_none() {
            self.viewers[viewer].left_at = Some(now);
            self.last_watched = now;
            self.note(now, AvatarNews::ViewerLeft);
        }
    }

    fn is_watched(&self) -> bool {
        self.viewers.iter().any(|viewer| viewer.left_at.is_none())
    }

    /// When [`Self::tick`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let paid_until = self.paid_until.filter(|_| self.is_live());
        let due = self.due().map(|(due, _)| due);
        due.into_iter().chain(paid_until).min()
    }

    fn due(&self) -> Option<(Timestamp, Due)> {
        let started_at = self.started_at?;
        if self.ended.is_some() {
            return None;
        }
        let unwatched = self.terms.habits.unwatched.filter(|_| !self.is_watched());
        [
            self.wire.connects_at().map(|due| (due, Due::Connected)),
            self.voice.deadline().map(|due| (due, Due::Voice)),
            Some((
                started_at + self.terms.longest,
                Due::Ends(AvatarEnd::MaxDurationReached),
            )),
            Some((
                self.last_sign + self.terms.idle_window,
                Due::Ends(AvatarEnd::IdleTimeout),
            )),
            unwatched.map(|after| {
                (
                    self.last_watched + after,
                    Due::Ends(AvatarEnd::ZombieSessionReap),
                )
            }),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(due, _)| *due)
    }

    /// Lets everything happen that is due by `now`, in order of time.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        while let Some((at, due)) = self.due().filter(|(at, _)| *at <= now) {
            match due {
                Due::Connected => self.connected(at),
                Due::Voice => self.speak_on(at),
                Due::Ends(reason) => {
                    let silently = reason == AvatarEnd::MaxDurationReached
                        && !self.terms.habits.announces_limit;
                    self.end(reason, Side::Vendor, silently, at);
                }
            }
        }
    }

    fn speak_on(&mut self, now: Timestamp) {
        let Some((at, event)) = self.voice.next_due(now) else {
            return;
        };
        match event {
            VoiceEvent::Begins(utterance) => {
                self.note(at, AvatarNews::Talking { utterance });
                self.tell_begins(utterance);
                self.show("talking", None, at);
            }
            VoiceEvent::Ends(utterance) => {
                let text = self.voice.utterances()[utterance].text().map(str::to_owned);
                self.note(at, AvatarNews::Spoken { utterance, text });
                self.tell_ends(utterance);
                if !self.voice.goes_on_at(at) {
                    self.show(self.pose(), None, at);
                }
            }
            VoiceEvent::Starves(_) => {
                self.violation(at, "the sound ran out before agent.speak_end".to_owned());
                self.tell_error("video_starvation", "no frames to render", None);
            }
        }
    }

    fn pose(&self) -> &'static str {
        if self.listens { "listening" } else { "idle" }
    }

    /// Makes something go wrong, if the session is live or only its socket is left.
    pub(crate) fn fault(&mut self, fault: &AvatarFault, now: Timestamp) -> bool {
        let of_session = matches!(fault, AvatarFault::End(_) | AvatarFault::SilentEnd);
        if (of_session && !self.is_live()) || (!of_session && !self.wire.is_open()) {
            return false;
        }
        self.note(now, AvatarNews::Faulted(fault.clone()));
        match fault {
            AvatarFault::Abort | AvatarFault::HalfOpen => self.wire.break_off(fault),
            AvatarFault::Mute => self.wire.mute(),
            AvatarFault::Close { code, reason } => self.close(*code, reason),
            AvatarFault::Error { kind, message } => self.tell_error(kind.name(), message, None),
            AvatarFault::End(reason) => self.end(*reason, Side::Vendor, false, now),
            AvatarFault::SilentEnd => {
                self.end(AvatarEnd::MaxDurationReached, Side::Vendor, true, now);
            }
        }
        true
    }

    fn note(&mut self, at: Timestamp, news: AvatarNews) {
        self.news.push((at, news));
    }

    pub(crate) fn take_news(&mut self) -> Vec<(Timestamp, AvatarNews)> {
        std::mem::take(&mut self.news)
    }

    /// What the client did that is refused or ignored.
    pub(crate) fn violation(&mut self, at: Timestamp, what: String) {
        if self.violations.len() < KEPT {
            self.note(at, AvatarNews::Violation(what.clone()));
            self.violations.push(what);
        }
    }

    fn deviation(&mut self, at: Timestamp, what: String) {
        if self.deviations.len() < KEPT {
            self.note(at, AvatarNews::Deviation(what.clone()));
            self.deviations.push(what);
        }
    }

    pub(crate) fn view(&self, now: Timestamp) -> AvatarSession {
        let scale = self.voice.scale();
        let utterances = self.voice.utterances().iter();
        AvatarSession {
            id: self.terms.id.clone(),
            provider: self.terms.provider,
            meeting_id: self.terms.meeting_id.clone(),
            avatar: self.terms.avatar.clone(),
            request: self.terms.request.clone(),
            created_at: self.created_at,
            started_at: self.started_at,
            ended: self.ended,
            longest: self.terms.longest,
            credits: self.credits,
            connected: self.wire.is_connected(),
            sockets: self.wire.opened(),
            state: self.shown,
            utterances: utterances
                .map(|utterance| utterance.view(now, scale, &self.spoken))
                .collect(),
            interrupts: self.interrupts.clone(),
            keep_alives: self.keep_alives.clone(),
            viewers: self.viewers.clone(),
            violations: self.violations.clone(),
            deviations: self.deviations.clone(),
        }
    }
}
