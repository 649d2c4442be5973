//! Faults waiting for their call: what goes wrong, with which call, of which meeting.

use std::time::Duration;

use crate::operation::Operation;

/// One thing that goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status instead of the call's work.
    Status {
        /// The HTTP status.
        code: u16,
        /// What the body says.
        body: FaultBody,
        /// The `Retry-After` header: seconds or an HTTP date, sent as it is.
        retry_after: Option<String>,
    },
    /// The call waits, then works. An idempotency key counts as in flight while it waits.
    Latency(Duration),
    /// The work is done, but the answer never comes; bounded by [`NEVER_ANSWERED`].
    TimeoutAfterAccept,
    /// The connection stays open, nothing is done and nothing is answered; bounded by
    /// [`NEVER_ANSWERED`]. A socket opens first, and then nothing is read or sent on it any more.
    HalfOpen,
    /// The connection closes and nothing was done.
    CloseWithoutAnswer,
    /// The work is done, then the connection closes.
    CloseAfterAccept,
    /// The work is done, half of the answer's body arrives, then the connection closes.
    CloseMidBody,
    /// The work is done, but the answer is 200 with something that is not JSON.
    Garbage,
    /// A proxy's 502 page, and nothing was done.
    HtmlError,
    /// 200 with a body of this many bytes, and nothing was done. They are made while they are sent.
    HugeBody(usize),
    /// 307 to the same path on another host, [`SimulatorConfig::elsewhere`], and nothing was done.
    ///
    /// [`SimulatorConfig::elsewhere`]: crate::SimulatorConfig::elsewhere
    Redirect,
}

/// How long [`Fault::TimeoutAfterAccept`] and [`Fault::HalfOpen`] keep the connection open: longer
/// than any sane client waits, short enough to let a test end.
pub const NEVER_ANSWERED: Duration = Duration::from_mins(1);

/// The body of a [`Fault::Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultBody {
    /// What the vendor answers with this status.
    VendorDefault,
    /// The older of the vendor's two error shapes, where it has two.
    VendorLegacy,
    /// Exactly this, as JSON.
    Json(serde_json::Value),
    /// A page of whoever stands before the vendor: a firewall or a proxy.
    Html,
    /// No body at all.
    Empty,
}

impl Fault {
    /// A status with the vendor's own body for it and no `Retry-After`.
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            body: FaultBody::VendorDefault,
            retry_after: None,
        }
    }

    /// A status with the vendor's own body and a `Retry-After` in seconds.
    pub fn status_retry_after(code: u16, seconds: u32) -> Self {
        let retry_after = Some(seconds.to_string());
        Self::Status {
            code,
            body: FaultBody::VendorDefault,
            retry_after,
        }
    }

    /// A status with a firewall's page instead of the vendor's own body.
    pub fn status_html(code: u16) -> Self {
        Self::Status {
            code,
            body: FaultBody::Html,
            retry_after: None,
        }
    }

    /// A status with a body of the test's choice.
    pub fn status_with(code: u16, body: serde_json::Value) -> Self {
        Self::Status {
            code,
            body: FaultBody::Json(body),
            retry_after: None,
        }
    }
}

/// Which calls a fault is meant for, besides the operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FaultScope {
    /// All of them.
    #[default]
    Any,
    /// Those about the meeting with this link, as far as they name it or something that belongs to it.
    MeetingUrl(String),
    /// Those that name the meeting with this id, as metadata, in a filter or in a header.
    MeetingId(String),
    /// Those about this bot.
    Bot(String),
    /// Speech for a text that contains this.
    Text(String),
    /// Those that ask for this avatar, and those about a session of it.
    Avatar(String),
}

/// What is known about a call when its fault is looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) meeting_url: Option<String>,
    pub(crate) meeting_id: Option<String>,
    pub(crate) bot_id: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) avatar: Option<String>,
}

impl FaultScope {
    fn covers(&self, subject: &Subject) -> bool {
        let is = |known: &Option<String>, wanted: &String| known.as_ref() == Some(wanted);
        match self {
            Self::Any => true,
            Self::MeetingUrl(url) => is(&subject.meeting_url, url),
            Self::MeetingId(id) => is(&subject.meeting_id, id),
            Self::Bot(id) => is(&subject.bot_id, id),
            Self::Avatar(avatar) => is(&subject.avatar, avatar),
            Self::Text(part) => {
                let text = subject.text.as_ref();
                text.is_some_and(|text| text.contains(part.as_str()))
            }
        }
    }
}

/// The queue of faults; each is used as often as it says, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    queue: Vec<Queued>,
}

#[derive(Debug)]
struct Queued {
    operation: Operation,
    scope: FaultScope,
    fault: Fault,
    left: usize,
}

impl Faults {
    pub(crate) fn push(
        &mut self,
        operation: Operation,
        scope: FaultScope,
        fault: Fault,
        times: usize,
    ) {
        self.queue.push(Queued {
            operation,
            scope,
            fault,
            left: times,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Forgets the faults that were meant for exactly these calls.
    pub(crate) fn lift(&mut self, scope: &FaultScope) {
        self.queue.retain(|queued| queued.scope != *scope);
    }

    /// Takes the oldest fault meant for this call.
    pub(crate) fn take(&mut self, operation: Operation, subject: &Subject) -> Option<Fault> {
        let index = self.queue.iter().position(|queued| {
            queued.operation == operation && queued.left > 0 && queued.scope.covers(subject)
        })?;
        let queued = &mut self.queue[index];
        queued.left -= 1;
        let fault = queued.fault.clone();
        if queued.left == 0 {
            self.queue.remove(index);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_as_often_as_it_says_and_then_gone() {
        let mut faults = Faults::default();
        faults.push(Operation::CreateBot, FaultScope::Any, Fault::status(507), 2);
        let mut take = || faults.take(Operation::CreateBot, &Subject::default());
        assert_eq!(take(), Some(Fault::status(507)));
        assert_eq!(take(), Some(Fault::status(507)));
        assert_eq!(take(), None);
    }

    #[test]
    fn a_scoped_fault_waits_for_its_meeting() {
        let mut faults = Faults::default();
        let scope = FaultScope::MeetingUrl("https://meet.google.com/a".to_owned());
        faults.push(Operation::LeaveCall, scope, Fault::HtmlError, 1);
        let other = Subject {
            meeting_url: Some("https://meet.google.com/b".to_owned()),
            ..Subject::default()
        };
        assert_eq!(faults.take(Operation::LeaveCall, &other), None);
        let ours = Subject {
            meeting_url: Some("https://meet.google.com/a".to_owned()),
            ..Subject::default()
        };
        assert_eq!(
            faults.take(Operation::LeaveCall, &ours),
            Some(Fault::HtmlError)
        );
    }

    #[test]
    fn lifted_faults_are_gone_and_others_stay() {
        let avatar = |name: &str| FaultScope::Avatar(name.to_owned());
        let mut faults = Faults::default();
        for name in ["ours", "theirs"] {
            let always = usize::MAX;
            faults.push(
                Operation::LiveAvatarToken,
                avatar(name),
                Fault::HalfOpen,
                always,
            );
        }
        faults.lift(&avatar("ours"));
        let mut take = |name: &str| {
            let subject = Subject {
                avatar: Some(name.to_owned()),
                ..Subject::default()
            };
            faults.take(Operation::LiveAvatarToken, &subject)
        };
        assert_eq!(take("ours"), None);
        assert_eq!(take("theirs"), Some(Fault::HalfOpen));
        assert_eq!(take("theirs"), Some(Fault::HalfOpen));
    }
}
