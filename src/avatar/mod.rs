//! The avatar of a meeting: the sockets of its sessions, and the calls around them.
//!
//! When a session is opened, told to speak or stopped, the meeting decides; what goes over a session's socket and
//! when, [`LiveAvatarLink`] decides. Here are the sockets, the timers and the sound.
//!
//! [`LiveAvatarLink`]: attache_meeting::vendors::liveavatar::LiveAvatarLink

mod calls;
mod feed;
mod line;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use attache_meeting::{
    ids::UtteranceId,
    meeting::{AvatarOrder, Event, Meeting},
    vendors::{
        avatar::AvatarSessionId,
        liveavatar::{BYTES_PER_SECOND, Beginning, CutReason, LinkReport},
    },
};

pub(crate) use self::calls::AvatarCalls;
use self::line::Line;
use crate::objects::Shell;

/// The samples that avatars are given, in a millisecond.
pub(crate) const PCM_BYTES_PER_MS: u64 = BYTES_PER_SECOND as u64 / 1_000;

/// How many sessions have a socket at once: the one that speaks and the one that takes over.
const MAX_LINES: usize = 2;

/// The open sockets of a meeting's avatar, for as long as the object's instance lives.
#[derive(Default)]
pub(crate) struct Avatar {
    lines: RefCell<Vec<Rc<Line>>>,
    /// How often an avatar that is given text was silenced.
    silenced: Cell<u32>,
}

impl Avatar {
    /// Carries out an order of the meeting's. What comes of it is reported, nothing else.
    pub(crate) fn carry_out(&self, shell: &Rc<Shell>, order: AvatarOrder) {
        match order {
            AvatarOrder::Connect {
                session_id,
                beginning,
            } => self.connect(shell, session_id, beginning),
            AvatarOrder::Speak {
                session_id,
                utterance_id,
            } => match self.line(&session_id) {
                Some(line) => line.speak(utterance_id),
                None => report(shell, session_id, not_said(&utterance_id)),
            },
            AvatarOrder::Interrupt { session_id } => {
                if let Some(line) = self.line(&session_id) {
                    line.interrupt();
                }
            }
            AvatarOrder::Listening { session_id, on } => {
                if let Some(line) = self.line(&session_id) {
                    line.listening(on);
                }
            }
            AvatarOrder::Close { session_id } => {
                if let Some(line) = self.line(&session_id) {
                    line.close();
                }
            }
        }
    }

    /// Notes that an avatar that is given text is being silenced: of a text that is on its way, no part follows.
    fn silence(&self) {
        self.silenced.set(self.silenced.get().wrapping_add(1));
    }

    /// Does what is due; an early call is harmless.
    pub(crate) fn poll(&self) {
        let lines = self.lines.borrow().clone();
        for line in lines {
            line.poll();
        }
    }

    /// Closes every socket and tells nobody.
    pub(crate) fn drop_all(&self) {
        drop(self.lines.take());
    }

    /// The socket is over, and there will be no other.
    fn forget(&self, line: &Rc<Line>) {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|known| !Rc::ptr_eq(known, line));
    }

    fn line(&self, session: &AvatarSessionId) -> Option<Rc<Line>> {
        let lines = self.lines.borrow();
        let line = lines.iter().find(|line| line.session() == session);
        line.cloned()
    }

    fn connect(&self, shell: &Rc<Shell>, session_id: AvatarSessionId, beginning: Beginning) {
        if self.line(&session_id).is_some() {
            return;
        }
        let url = |meeting: &Meeting| meeting.avatar_session(&session_id)?.socket_url.clone();
        let url = shell.with_meeting(url).flatten();
        let lines = self.lines.borrow();
        let open = lines.iter().filter(|line| !line.is_over()).count();
        drop(lines);
        let reason = match url {
            Some(_) if open >= MAX_LINES => "too many sessions are open",
            Some(url) => {
                let line = Line::new(shell, session_id, url, beginning);
                self.lines.borrow_mut().push(Rc::clone(&line));
                return line.begin();
            }
            None => "the session has no socket",
        };
        let reason = reason.to_owned();
        report(shell, session_id, LinkReport::Failed { reason });
    }
}

fn report(shell: &Rc<Shell>, session_id: AvatarSessionId, report: LinkReport) {
    shell.report(Event::AvatarReported { session_id, report });
}

/// An utterance that there was no way to begin.
fn not_said(utterance_id: &UtteranceId) -> LinkReport {
    LinkReport::Cut {
        event_id: utterance_id.to_string(),
        reason: CutReason::Empty,
        heard_ms: 0,
        sent_ms: 0,
        unsent_ms: 0,
    }
}
