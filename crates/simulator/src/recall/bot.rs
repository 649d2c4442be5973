//! One bot: what it was asked to be and what has become of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::create::BotRequest;
use super::ears::Ears;
use super::frames;
use super::heard::Heard;
use super::outbox::Message;
use super::room::Room;
use crate::script::{ArtifactKind, Code, Event, MeetingScript, Step};

/// A bot asked for more than this ahead is scheduled; others come from the ad-hoc pool.
pub(crate) const SCHEDULED_AHEAD: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    pub(crate) request: BotRequest,
    /// Booked ahead, rather than taken from the ad-hoc pool.
    pub(crate) scheduled: bool,
    pub(crate) phase: Phase,
    /// Output media can be started and stopped in the call.
    pub(crate) output_media_on: bool,
    pub(crate) status_changes: Vec<StatusChange>,
    pub(crate) script: MeetingScript,
    /// What is still to happen, and when the one before it happened.
    pub(crate) queue: VecDeque<(Duration, Action)>,
    pub(crate) last_step_at: Timestamp,
    /// While the script waits for the bot to be heard: until when.
    pub(crate) holding_until: Option<Timestamp>,
    /// What follows from somebody speaking, by when it does; the script goes on beside it.
    pub(crate) talk: VecDeque<(Timestamp, Action)>,
    pub(crate) participants: Vec<Participant>,
    pub(crate) recordings: Vec<Recording>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// The endpoints that get the sound of the call, once there is any.
    pub(crate) ears: Vec<Ears>,
    /// Webhooks that wait until the ears are closed.
    pub(crate) held_back: Option<HeldBack>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) webhooks_sent: usize,
    pub(crate) timers: Timers,
    pub(crate) media_deleted: bool,
}

/// Where in its life a bot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing was seen of it yet.
    Created,
    /// `joining_call`, or the waiting room.
    Joining,
    WaitingRoom,
    InCall {
        recording: bool,
    },
    /// `leave_call` was accepted, the bot is on its way out.
    Leaving,
    /// `call_ended`, `done` or `fatal`.
    Over,
}

/// Workspace webhooks that come after something else.
#[derive(Debug)]
pub(crate) struct HeldBack {
    /// The longest wait.
    pub(crate) until: Timestamp,
    /// Each with when it would have been due, and whether twice.
    pub(crate) messages: Vec<(Message, bool, Timestamp)>,
}

/// A step of a script, or a part of one that takes time.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Event(Event),
    /// Nothing: the script waits while somebody speaks.
    Pause,
    SpeechOn {
        name: String,
    },
    Partial {
        name: String,
        line: Line,
    },
    Final {
        name: String,
        line: Line,
    },
    SpeechOff {
        name: String,
    },
}

/// What somebody says, with the times of its words since the recording began.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) words: Vec<Word>,
}

#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) start: f64,
    pub(crate) end: f64,
}

impl Line {
    pub(crate) fn text(&self) -> String {
        self.words
            .iter()
            .map(|word| word.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct StatusChange {
    pub(crate) code: String,
    pub(crate) sub_code: Option<String>,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct Participant {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) is_host: bool,
    pub(crate) present: bool,
    pub(crate) muted: bool,
}

#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) status: Status,
    pub(crate) artifacts: BTreeMap<ArtifactKind, Artifact>,
    /// Transcripts asked for after the call.
    pub(crate) extra_transcripts: Vec<Artifact>,
    /// Everything said, by the speaker's place in the participant list.
    pub(crate) lines: Vec<(u64, Line)>,
    /// Participant events, as their download shows them.
    pub(crate) events: Vec<Value>,
    /// What could be heard.
    pub(crate) room: Room,
}

#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    pub(crate) status: Status,
    pub(crate) metadata: Map<String, Value>,
    /// For transcripts: who made it and how.
    pub(crate) provider: Option<Value>,
    pub(crate) diarization: Option<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) code: &'static str,
    pub(crate) sub_code: Option<String>,
    pub(crate) at: Timestamp,
}

impl Status {
    pub(crate) fn new(code: &Code, at: Timestamp) -> Self {
        Self {
            code: code.name(),
            sub_code: code.sub_code().map(str::to_owned),
            at,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) failed: bool,
}

impl Endpoint {
    /// Whether this event is posted to it.
    pub(crate) fn wants(&self, event: &str) -> bool {
        !self.failed && self.kind == "webhook" && self.events.iter().any(|name| name == event)
    }

    /// Whether the sound of the call is sent to it.
    pub(crate) fn listens(&self) -> bool {
        self.kind == "websocket" && self.events.iter().any(|name| name == frames::EVENT)
    }
}

/// When the conditions began after which a bot leaves by itself.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    pub(crate) in_waiting_room: Option<Timestamp>,
    pub(crate) in_call: Option<Timestamp>,
    pub(crate) not_recording: Option<Timestamp>,
    pub(crate) recording: Option<Timestamp>,
    pub(crate) permission_denied: Option<Timestamp>,
    pub(crate) everyone_left: Option<Timestamp>,
    pub(crate) only_bots: Option<Timestamp>,
    pub(crate) silent: Option<Timestamp>,
}

impl Bot {
    /// A bot nothing has happened to yet.
    pub(crate) fn new(
        id: String,
        request: BotRequest,
        script: MeetingScript,
        endpoints: Vec<Endpoint>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            created_at: now,
            scheduled: false,
            phase: Phase::Created,
            output_media_on: request.output_media.is_some(),
            request,
            status_changes: Vec::new(),
            script,
            queue: VecDeque::new(),
            last_step_at: now,
            holding_until: None,
            talk: VecDeque::new(),
            participants: Vec::new(),
            recordings: Vec::new(),
            endpoints,
            ears: Vec::new(),
            held_back: None,
            heard: Vec::new(),
            webhooks_sent: 0,
            timers: Timers::default(),
            media_deleted: false,
        }
    }

    /// Whether it is too late to change or delete it.
    pub(crate) fn dispatched(&self, now: Timestamp) -> bool {
        !self.scheduled
            || self.phase != Phase::Created
            || self.request.join_at.is_none_or(|join_at| join_at <= now)
    }

    /// Whether a scheduled bot is so close to its time that its machine is being started.
    pub(crate) fn launching(&self, now: Timestamp) -> bool {
        self.phase == Phase::Created
            && self.scheduled
            && self
                .request
                .join_at
                .is_some_and(|join_at| join_at <= now + SCHEDULED_AHEAD)
    }

    pub(crate) fn in_call(&self) -> bool {
        matches!(self.phase, Phase::InCall { .. })
    }

    /// Puts the script's steps in the queue; the first counts from `from`.
    pub(crate) fn start_script(&mut self, from: Timestamp) {
        self.queue = steps(&self.script.steps);
        self.last_step_at = from;
    }

    /// Replaces what is still to happen.
    pub(crate) fn continue_with(&mut self, next: &[Step], at: Timestamp) {
        self.queue = steps(next);
        self.last_step_at = at;
        self.holding_until = None;
        self.talk.clear();
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = &Participant> {
        self.participants
            .iter()
            .filter(|participant| participant.present)
    }

    /// Whether a recording, an artifact or an endpoint with this id belongs to it.
    pub(crate) fn owns(&self, id: &str) -> bool {
        let recorded = self.recordings.iter().any(|recording| {
            let extra = &recording.extra_transcripts;
            let mut artifacts = recording.artifacts.values().chain(extra);
            recording.id == id || artifacts.any(|artifact| artifact.id == id)
        });
        recorded || self.endpoints.iter().any(|endpoint| endpoint.id == id)
    }

    pub(crate) fn status(&self) -> Option<&StatusChange> {
        self.status_changes.last()
    }
}

fn steps(steps: &[Step]) -> VecDeque<(Duration, Action)> {
    steps
        .iter()
        .map(|step| (step.after, Action::Event(step.event.clone())))
        .collect()
}
