//! The avatar's sessions at its vendor: begun, kept, replaced, and stopped whatever happens.
//!
//! A session costs from its start to its stop, so it is begun only once the page is there to see it, every session
//! that may be live is remembered until the vendor has confirmed that it is not, and a new one is begun only when
//! none is left, except to take over from one that nears its limit. While there is no session the page draws a face
//! of its own. What the avatar says is `avatar_speech`'s.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{
    after,
    bot_manager::BotManager,
    effect::{AvatarOrder, Effect, EffectId, PageOrder, Refusal},
    face::BUILTIN,
    limits,
    speech::first_chars,
    state::{
        AvatarState, Meeting, Presence, Session, SessionStage, SpeechStage, Status, Utterance,
        WarningCode,
    },
};
use crate::{
    http::{Advice, CallError, FailureKind},
    page::ToPage,
    vendors::{
        avatar::{AvatarProvider, AvatarSession, AvatarSessionId, Opening},
        liveavatar::{Beginning, LinkReport},
    },
    view::AvatarDetails,
};

impl BotManager<'_> {
    /// Does everything about the sessions that is due.
    pub(super) fn watch_avatar(&mut self) {
        self.stop_again();
        if self.meeting.status != Status::InProgress || self.meeting.leaving {
            return self.close_avatar();
        }
        let Some(provider) = self.meeting.booking.avatar_provider else {
            return;
        };
        self.fail_overdue();
        self.keep_alive();
        self.take_over();
        if self.meeting.begins_session(self.now) {
            self.open_session(provider);
        }
        self.join_rooms();
    }

    /// The call is over or the bot leaves: every session goes.
    pub(super) fn close_avatar(&mut self) {
        for index in 0..self.meeting.avatar.sessions.len() {
            self.dismiss(index);
        }
    }

    fn open_session(&mut self, provider: AvatarProvider) {
        let avatar = &mut self.meeting.avatar;
        avatar.retry_at = None;
        if avatar.sessions.is_empty() && avatar.failures == 0 {
            avatar.patience = Some(after(self.now, limits::AVATAR_PATIENCE));
        }
        let effect = self.order(Effect::OpenAvatar { provider });
        let unwanted = false;
        let session = Session::new(SessionStage::Starting { effect, unwanted });
        self.meeting.avatar.sessions.push(session);
    }

    /// The vendor has a session for us.
    pub(super) fn avatar_opened(&mut self, id: EffectId, opening: Opening) {
        let Some((index, unwanted)) = self.starting(id) else {
            return self.stop_stray(&opening.session_id);
        };
        let (provider, session_id) = (opening.provider, opening.session_id.clone());
        self.meeting.avatar.sessions[index].opening = Some(opening);
        if unwanted {
            return self.stop(index, 0);
        }
        let effect = self.order(Effect::StartAvatar {
            provider,
            session_id,
        });
        self.meeting.avatar.sessions[index].stage = SessionStage::Starting { effect, unwanted };
    }

    /// The avatar appears, and costs.
    pub(super) fn avatar_started(&mut self, id: EffectId, details: AvatarSession) {
        let Some((index, unwanted)) = self.starting(id) else {
            return self.stop_stray(&details.session_id);
        };
        let now = self.now;
        let has_socket = details.socket_url.is_some();
        let session_id = details.session_id.clone();
        let session = &mut self.meeting.avatar.sessions[index];
        session.details = Some(details);
        session.started_at = Some(now);
        if unwanted {
            return self.stop(index, 0);
        }
        session.stage = SessionStage::Live;
        session.due = Some(after(now, limits::AVATAR_UP_PATIENCE));
        session.linked = !has_socket;
        session.keep_alive_at = (!has_socket).then(|| after(now, limits::AVATAR_KEEP_ALIVE));
        self.note(
            "avatar_started",
            "a session of the avatar was started",
            &json!({ "session_id": session_id }),
        );
        if has_socket {
            let beginning = Beginning::Fresh;
            self.step.avatar.push(AvatarOrder::Connect {
                session_id,
                beginning,
            });
        }
    }

    /// There is no session, or it may have been started and nobody knows.
    pub(super) fn avatar_not_started(&mut self, id: EffectId, error: &CallError) {
        let Some((index, unwanted)) = self.starting(id) else {
            return;
        };
        if self.meeting.avatar.sessions[index].opening.is_some() {
            self.stop(index, 0);
        } else {
            self.meeting.avatar.sessions.remove(index);
        }
        if !unwanted {
            // A start whose answer was lost is refused the second time, and says nothing of the next session.
            let last = !error.maybe_done
                && matches!(
                    error.kind,
                    FailureKind::Unauthorized
                        | FailureKind::Forbidden
                        | FailureKind::InsufficientCredit
                        | FailureKind::AvatarUnknown
                        | FailureKind::InvalidRequest
                );
            self.avatar_failed(&error.reason, last);
        }
    }

    /// Whether the session that an order is to ask the vendor for is not wanted any more; then it is forgotten.
    pub(super) fn gives_up_opening(&mut self, id: EffectId) -> bool {
        let Some((index, true)) = self.starting(id) else {
            return false;
        };
        self.meeting.avatar.sessions.remove(index);
        true
    }

    fn starting(&self, id: EffectId) -> Option<(usize, bool)> {
        let mut sessions = self.meeting.avatar.sessions.iter().enumerate();
        sessions.find_map(|(index, session)| match session.stage {
            SessionStage::Starting { effect, unwanted } if effect == id => Some((index, unwanted)),
            SessionStage::Starting { .. } | SessionStage::Live | SessionStage::Stopping { .. } => {
                None
            }
        })
    }

    /// An answer that nobody waits for any more may tell of a session that nobody knows.
    pub(super) fn stop_stray(&mut self, id: &AvatarSessionId) {
        let known = self.meeting.avatar.sessions.iter();
        let Some(provider) = self.meeting.booking.avatar_provider else {
            return;
        };
        if known.filter_map(Session::id).any(|known| known == id) {
            return;
        }
        let effect = self.order(Effect::StopAvatar {
            provider,
            session_id: id.clone(),
        });
        self.meeting.avatar.sessions.push(Session {
            stray: Some((provider, id.clone())),
            ..Session::new(SessionStage::Stopping {
                effect: Some(effect),
                again_at: None,
                times: 1,
            })
        });
    }

    fn stop(&mut self, index: usize, before: u32) {
        let session = &self.meeting.avatar.sessions[index];
        let (Some(provider), Some(session_id)) = (session.provider(), session.id().cloned()) else {
            return;
        };
        let effect = self.order(Effect::StopAvatar {
            provider,
            session_id,
        });
        self.meeting.avatar.sessions[index].stage = SessionStage::Stopping {
            effect: Some(effect),
            again_at: None,
            times: before + 1,
        };
    }

    fn stopping(&self, id: EffectId) -> Option<(usize, u32)> {
        let mut sessions = self.meeting.avatar.sessions.iter().enumerate();
        sessions.find_map(|(index, session)| match session.stage {
            SessionStage::Stopping { effect, times, .. } if effect == Some(id) => {
                Some((index, times))
            }
            SessionStage::Starting { .. } | SessionStage::Live | SessionStage::Stopping { .. } => {
                None
            }
        })
    }

    /// The vendor says that it has stopped a session; its list of what is live has the last word.
    pub(super) fn avatar_stopped(&mut self, id: EffectId) {
        let Some((index, times)) = self.stopping(id) else {
            return;
        };
        let session = &self.meeting.avatar.sessions[index];
        let (Some(provider), Some(session_id)) = (session.provider(), session.id().cloned()) else {
            return;
        };
        let check = self.order(Effect::CheckAvatar {
            provider,
            session_id,
        });
        self.meeting.avatar.sessions[index].stage = SessionStage::Stopping {
            effect: Some(check),
            again_at: None,
            times,
        };
    }

    /// The vendor's list of what is live has been read, or cannot be.
    pub(super) fn avatar_checked(&mut self, id: EffectId, live: bool) {
        let Some((index, times)) = self.stopping(id) else {
            return;
        };
        if live && times < limits::MAX_AVATAR_STOPS {
            return self.stop_later(index, times, limits::AVATAR_STOP_PAUSE);
        }
        if live {
            self.not_stopped(index, "the vendor goes on listing it");
        } else {
            let session = self.meeting.avatar.sessions.remove(index);
            self.note(
                "avatar_stopped",
                "a session of the avatar is over",
                &json!({ "session_id": session.id() }),
            );
        }
    }

    /// The vendor could not be told to stop a session, in an hour; or it refused, as a firewall does for a while.
    pub(super) fn avatar_stop_failed(&mut self, id: EffectId, error: &CallError) {
        let Some((index, times)) = self.stopping(id) else {
            return;
        };
        if error.advice == Advice::GiveUp && times < limits::MAX_AVATAR_STOPS {
            self.stop_later(index, times, limits::AVATAR_REFUSED_STOP_PAUSE);
        } else {
            self.not_stopped(index, &error.reason);
        }
    }

    fn stop_later(&mut self, index: usize, times: u32, pause: Duration) {
        self.meeting.avatar.sessions[index].stage = SessionStage::Stopping {
            effect: None,
            again_at: Some(after(self.now, pause)),
            times,
        };
    }

    fn not_stopped(&mut self, index: usize, why: &str) {
        let session = self.meeting.avatar.sessions.remove(index);
        let id = session.id().map_or("?", |id| id.0.as_str());
        self.warn(
            WarningCode::AvatarFailed,
            format!("the avatar's session {id} could not be stopped: {why}"),
        );
    }

    fn stop_again(&mut self) {
        for index in 0..self.meeting.avatar.sessions.len() {
            if let SessionStage::Stopping {
                again_at: Some(at),
                times,
                ..
            } = self.meeting.avatar.sessions[index].stage
                && at <= self.now
            {
                self.stop(index, times);
            }
        }
    }

    /// Lets go of a session: the page leaves its room, its socket closes, and it is stopped.
    fn dismiss(&mut self, index: usize) {
        let session = &mut self.meeting.avatar.sessions[index];
        match &mut session.stage {
            SessionStage::Starting { unwanted, .. } => *unwanted = true,
            SessionStage::Stopping { .. } => {}
            SessionStage::Live => {
                let Some(details) = session.details.clone() else {
                    return;
                };
                let joined = std::mem::take(&mut session.joined);
                if joined && self.meeting.page.connected {
                    let session = details.session_id.0.clone();
                    self.tell_page(ToPage::AvatarLeave { session });
                }
                if details.socket_url.is_some() {
                    let session_id = details.session_id;
                    self.step.avatar.push(AvatarOrder::Close { session_id });
                }
                self.stop(index, 0);
            }
        }
    }

    /// A live session is of no use any more; what it was saying is said by the page.
    pub(super) fn session_failed(&mut self, id: &AvatarSessionId, why: &str) {
        let Some(index) = self.live(id) else { return };
        self.rescue_speech(id);
        self.avatar_failed(why, false);
        self.dismiss(index);
    }

    fn avatar_failed(&mut self, why: &str, last: bool) {
        let why = first_chars(why, limits::MAX_NOTED_CHARS);
        self.warn(
            WarningCode::AvatarFailed,
            format!("the avatar failed: {why}"),
        );
        let avatar = &mut self.meeting.avatar;
        avatar.failures += 1;
        avatar.patience = None;
        let pause = limits::AVATAR_PAUSE * 2_u32.saturating_pow(avatar.failures - 1);
        avatar.retry_at = Some(after(self.now, pause));
        // A session that still does its work stays when another cannot take over from it.
        avatar.given_up |= last || avatar.failures >= limits::MAX_AVATAR_FAILURES;
    }

    pub(super) fn live(&self, id: &AvatarSessionId) -> Option<usize> {
        let sessions = self.meeting.avatar.sessions.iter();
        let live = |session: &Session| session.is_live() && session.id() == Some(id);
        sessions.clone().position(live)
    }

    fn fail_overdue(&mut self) {
        let overdue = |meeting: &Meeting, session: &Session, now| {
            let due = [meeting.due_of(session), session.ends_at()];
            session.is_live() && due.into_iter().flatten().any(|due| due <= now)
        };
        while let Some(session) = self
            .meeting
            .avatar
            .sessions
            .iter()
            .find(|session| overdue(self.meeting, session, self.now))
        {
            let why = match (session.due, session.linked) {
                (None, _) => "its session was about to reach its limit",
                (Some(_), true) => "the page could not show it in time",
                (Some(_), false) => "its socket could not be used in time",
            };
            let Some(id) = session.id().cloned() else {
                return;
            };
            self.session_failed(&id, why);
        }
    }

    fn keep_alive(&mut self) {
        for index in 0..self.meeting.avatar.sessions.len() {
            let session = &mut self.meeting.avatar.sessions[index];
            if !session.is_live() || session.keep_alive_at.is_none_or(|at| at > self.now) {
                continue;
            }
            session.keep_alive_at = Some(after(self.now, limits::AVATAR_KEEP_ALIVE));
            if let (Some(provider), Some(session_id)) = (session.provider(), session.id().cloned())
            {
                self.order(Effect::KeepAvatarAlive {
                    provider,
                    session_id,
                });
            }
        }
    }

    /// A session that is up takes over from those before it, once they are silent.
    fn take_over(&mut self) {
        let Some(newest) = self.meeting.current_session() else {
            return;
        };
        let newest = newest.id().cloned();
        for index in 0..self.meeting.avatar.sessions.len() {
            let session = &self.meeting.avatar.sessions[index];
            let older = session.is_live() && session.id() != newest.as_ref();
            let came_before = self.meeting.avatar.sessions[index + 1..]
                .iter()
                .any(|later| later.id() == newest.as_ref());
            if older && came_before && !self.says(session.id()) {
                self.dismiss(index);
            }
        }
    }

    /// Lets the page enter the rooms of live sessions, but not while it speaks itself.
    fn join_rooms(&mut self) {
        if !self.meeting.page.ready || self.is_on_page() {
            return;
        }
        let due = after(self.now, limits::AVATAR_UP_PATIENCE);
        for session in &mut self.meeting.avatar.sessions {
            if let Some(session_id) = session.id().cloned()
                && session.is_live()
                && !session.joined
            {
                session.joined = true;
                session.due = Some(due);
                self.step.page.push(PageOrder::JoinAvatar { session_id });
            }
        }
    }

    /// The page is there, perhaps again: it knows of no room.
    pub(super) fn show_avatar(&mut self) {
        self.hide_avatar();
        let avatar = &mut self.meeting.avatar;
        if avatar.sessions.iter().any(Session::is_live) {
            avatar.patience = Some(after(self.now, limits::AVATAR_PATIENCE));
        }
    }

    /// The page is gone. A session that nobody can see is of no use for long.
    pub(super) fn hide_avatar(&mut self) {
        let due = after(self.now, limits::AVATAR_UNSEEN_PATIENCE);
        for session in &mut self.meeting.avatar.sessions {
            if session.is_live() {
                (session.joined, session.seen) = (false, false);
                session.due = Some(due);
            }
        }
    }

    /// The page shows a session.
    pub(super) fn avatar_seen(&mut self, id: &AvatarSessionId) {
        self.doubt_is_seen(id);
        self.improve(id, |session| session.seen = session.joined);
    }

    /// The page has heard sound from a session.
    pub(super) fn avatar_heard(&mut self, id: &AvatarSessionId) {
        let Some(index) = self.live(id) else { return };
        self.meeting.avatar.sessions[index].heard = true;
        self.doubt_is_heard(id);
    }

    fn improve(&mut self, id: &AvatarSessionId, change: impl FnOnce(&mut Session)) {
        let Some(index) = self.live(id) else { return };
        let session = &mut self.meeting.avatar.sessions[index];
        let was_up = session.is_up();
        change(session);
        if was_up || !session.is_up() {
            return;
        }
        session.due = None;
        let has_socket = session
            .details
            .as_ref()
            .is_some_and(|d| d.socket_url.is_some());
        self.meeting.avatar.failures = 0;
        self.meeting.avatar.retry_at = None;
        self.note(
            "avatar_ready",
            "the avatar can be seen and takes orders",
            &json!({ "session_id": id }),
        );
        if has_socket {
            let session_id = id.clone();
            self.step.avatar.push(AvatarOrder::Listening {
                session_id,
                on: true,
            });
        }
    }

    /// After a restart the sockets are gone and are opened again.
    pub(super) fn resume_avatar(&mut self) {
        self.resume_avatar_speech();
        let due = after(self.now, limits::AVATAR_UP_PATIENCE);
        for session in &mut self.meeting.avatar.sessions {
            if let (true, Some(details)) = (session.is_live(), &session.details)
                && details.socket_url.is_some()
            {
                session.linked = false;
                session.due = Some(session.due.map_or(due, |known| known.max(due)));
                self.step.avatar.push(AvatarOrder::Connect {
                    session_id: details.session_id.clone(),
                    beginning: Beginning::Resumed,
                });
            }
        }
    }

    /// The socket of a session has something to tell.
    pub(super) fn avatar_reported(&mut self, id: &AvatarSessionId, report: LinkReport) {
        match report {
            LinkReport::Ready { .. } => self.improve(id, |session| session.linked = true),
            LinkReport::Speaking { event_id, .. } => self.avatar_speaks(id, &event_id),
            LinkReport::Spoken { event_id, heard_ms } => {
                self.avatar_spoke(id, &event_id, heard_ms);
            }
            LinkReport::Cut {
                event_id,
                reason,
                heard_ms,
                ..
            } => self.avatar_cut(id, &event_id, reason, heard_ms),
            LinkReport::Reconnecting { reason, attempt } => {
                self.unlink(id, &reason, attempt);
            }
            LinkReport::Failed { reason } => self.session_failed(id, &reason),
            LinkReport::Closed => {}
            LinkReport::Trouble { kind, message } => self.note(
                "avatar_trouble",
                "the avatar's vendor tells of trouble",
                &json!({ "kind": kind, "message": first_chars(&message, limits::MAX_NOTED_CHARS) }),
            ),
            LinkReport::Unknown { kind } => self.note(
                "unknown_message",
                "the avatar's vendor sent a message this version does not know",
                &json!({ "type": first_chars(&kind, limits::MAX_NOTED_CHARS) }),
            ),
        }
    }

    fn unlink(&mut self, id: &AvatarSessionId, reason: &str, attempt: u32) {
        let Some(index) = self.live(id) else { return };
        let due = after(self.now, limits::AVATAR_UP_PATIENCE);
        let session = &mut self.meeting.avatar.sessions[index];
        session.linked = false;
        session.due.get_or_insert(due);
        let reason = first_chars(reason, limits::MAX_NOTED_CHARS);
        self.note(
            "avatar_reconnecting",
            "the socket of the avatar's session is lost",
            &json!({ "session_id": id, "reason": reason, "attempt": attempt }),
        );
    }

    /// `avatar/rotate`.
    pub(super) fn rotate_avatar(&mut self) {
        if self.meeting.booking.presence != Presence::Avatar {
            self.step.refusal = Some(Refusal::NoAvatar);
            return;
        }
        let sessions = &self.meeting.avatar.sessions;
        let (Some(provider), true) = (
            self.meeting.booking.avatar_provider,
            sessions.iter().any(Session::is_live),
        ) else {
            self.step.refusal = Some(Refusal::NoSession);
            return;
        };
        if sessions.len() == 1 {
            self.note(
                "rotation_requested",
                "somebody asked for a new session",
                &json!({}),
            );
            self.open_session(provider);
        }
    }
}

impl Session {
    /// A session of which nothing is known yet.
    fn new(stage: SessionStage) -> Self {
        Self {
            stage,
            opening: None,
            details: None,
            stray: None,
            started_at: None,
            due: None,
            joined: false,
            seen: false,
            heard: false,
            linked: false,
            keep_alive_at: None,
        }
    }

    pub(super) fn id(&self) -> Option<&AvatarSessionId> {
        let opened = self.opening.as_ref().map(|opening| &opening.session_id);
        let started = self.details.as_ref().map(|details| &details.session_id);
        let stray = self.stray.as_ref().map(|(_, id)| id);
        started.or(opened).or(stray)
    }

    fn provider(&self) -> Option<AvatarProvider> {
        let opened = self.opening.as_ref().map(|opening| opening.provider);
        let started = self.details.as_ref().map(|details| details.provider);
        let stray = self.stray.as_ref().map(|(provider, _)| *provider);
        started.or(opened).or(stray)
    }

    pub(super) fn is_live(&self) -> bool {
        self.stage == SessionStage::Live
    }

    /// Whether it can be seen and takes orders.
    fn is_up(&self) -> bool {
        self.is_live() && self.seen && self.linked
    }

    fn is_coming(&self) -> bool {
        matches!(
            self.stage,
            SessionStage::Starting {
                unwanted: false,
                ..
            }
        )
    }

    /// When the next session is begun: a minute before the limit, or sooner where that is short.
    fn rotates_at(&self) -> Option<Timestamp> {
        self.before_limit(limits::AVATAR_ROTATION, 4)
    }

    /// When it is let go of, whether or not another has taken over.
    fn ends_at(&self) -> Option<Timestamp> {
        self.before_limit(limits::AVATAR_END, 8)
    }

    fn before_limit(&self, margin: Duration, share: u32) -> Option<Timestamp> {
        let length = self.details.as_ref()?.max_duration()?;
        let length = length.saturating_sub(margin.min(length / share));
        Some(after(self.started_at?, length))
    }
}

impl Meeting {
    /// The session that takes orders: the newest that is up.
    pub(super) fn current_session(&self) -> Option<&Session> {
        self.avatar.sessions.iter().rev().find(|s| s.is_up())
    }

    /// Gives what starts an opened session.
    pub fn avatar_opening(&self, id: &AvatarSessionId) -> Option<&Opening> {
        let openings = self
            .avatar
            .sessions
            .iter()
            .filter_map(|s| s.opening.as_ref());
        openings
            .into_iter()
            .find(|opening| opening.session_id == *id)
    }

    /// Gives what a started session consists of.
    pub fn avatar_session(&self, id: &AvatarSessionId) -> Option<&AvatarSession> {
        let started = self
            .avatar
            .sessions
            .iter()
            .filter_map(|s| s.details.as_ref());
        started
            .into_iter()
            .find(|details| details.session_id == *id)
    }

    /// When a session counts as failed; not while the page speaks and so enters no room.
    fn due_of(&self, session: &Session) -> Option<Timestamp> {
        let first = self.speech.front().map(|first| &first.progress);
        let waits = !session.joined && matches!(first, Some(SpeechStage::OnPage { .. }));
        session.due.filter(|_| !waits)
    }

    /// Whether a session is to be begun at `now`: where there is none, or where one nears its limit.
    fn begins_session(&self, now: Timestamp) -> bool {
        self.next_session_at().is_some_and(|at| at <= now)
    }

    fn next_session_at(&self) -> Option<Timestamp> {
        let avatar = &self.avatar;
        let wanted = self.booking.avatar_provider.is_some()
            && self.status == Status::InProgress
            && !self.leaving
            && !avatar.given_up
            && self.page.ready;
        let at = match avatar.sessions.as_slice() {
            [] => Some(Timestamp::MIN),
            [only] if only.is_live() => only.rotates_at(),
            [_, ..] => None,
        }?;
        wanted.then(|| avatar.retry_at.map_or(at, |retry| retry.max(at)))
    }

    /// When the sessions need looking after.
    pub(super) fn avatar_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.speech.front().is_some_and(|first| {
            matches!(
                first.progress,
                SpeechStage::Text | SpeechStage::Ready { .. }
            )
        });
        let of_session = |session: &Session| {
            let again = match session.stage {
                SessionStage::Stopping { again_at, .. } => again_at,
                SessionStage::Starting { .. } | SessionStage::Live => None,
            };
            let live = session.is_live();
            let times = [
                self.due_of(session),
                session.keep_alive_at,
                session.ends_at(),
            ];
            let times = times.into_iter().flatten().filter(move |_| live);
            times.chain(again).min()
        };
        let sessions = self.avatar.sessions.iter().filter_map(of_session);
        let patience = self.avatar.patience.filter(|until| waits && *until > now);
        sessions.chain(patience).chain(self.next_session_at()).min()
    }

    /// Gives the state of the avatar as the API shows it.
    pub(crate) fn avatar_state(&self) -> AvatarState {
        if self.booking.presence == Presence::Voice {
            return AvatarState::Off;
        }
        match self.status {
            Status::Scheduled => return AvatarState::Off,
            Status::Ended | Status::Failed | Status::Cancelled => return AvatarState::Stopped,
            Status::BotJoining | Status::InProgress => {}
        }
        let sessions = &self.avatar.sessions;
        let lives = sessions.iter().any(Session::is_live);
        let rotates = lives
            && (sessions.iter().any(Session::is_coming)
                || sessions.iter().filter(|s| s.is_live()).count() > 1);
        let failed = self.avatar.given_up || self.avatar.failures > 0;
        let is_speaking = self.page.ready
            && matches!(
                self.speech.front().map(|first| &first.progress),
                Some(
                    SpeechStage::OnPage { since: Some(_), .. }
                        | SpeechStage::OnAvatar { since: Some(_), .. }
                )
            );
        if is_speaking {
            AvatarState::Speaking
        } else if rotates {
            AvatarState::Rotating
        } else if self.current_session().is_some() {
            AvatarState::Ready
        } else if self.booking.avatar_provider.is_some() && failed {
            AvatarState::Failed
        } else if self.booking.avatar_provider.is_none() && self.page.ready {
            AvatarState::Ready
        } else {
            AvatarState::Starting
        }
    }

    /// Gives the avatar's provider as the API shows it.
    pub(crate) fn avatar_provider(&self) -> Option<String> {
        let vendor = self.booking.avatar_provider.map(AvatarProvider::as_str);
        (self.booking.presence == Presence::Avatar).then(|| vendor.unwrap_or(BUILTIN).to_owned())
    }

    /// Gives the avatar in detail, without credentials.
    pub fn avatar_details(&self) -> AvatarDetails {
        let newest = self.avatar.sessions.iter().rev().find(|s| s.is_live());
        let session = self.current_session().or(newest);
        AvatarDetails {
            provider: self.avatar_provider(),
            state: self.avatar_state(),
            session_id: session.and_then(|s| s.id()).map(ToString::to_string),
            started_at: session.and_then(|s| s.started_at),
            rotates_at: session.and_then(Session::rotates_at),
        }
    }

    /// Whether a session may still be live.
    pub(super) fn has_sessions(&self) -> bool {
        !self.avatar.sessions.is_empty()
    }
}

/// Whether an utterance is this session's to say.
pub(super) fn is_said_by(utterance: &Utterance, id: &AvatarSessionId) -> bool {
    matches!(&utterance.progress, SpeechStage::OnAvatar { session_id, .. } if session_id == id)
}
