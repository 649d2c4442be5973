//! What happens in a meeting, and what the network does to the news of it.

use std::time::Duration;

use crate::audio_script::AudioDelivery;
use crate::signing::HeaderFamily;

/// The course of one call, from dispatch to the last artifact.
#[derive(Clone, Debug, PartialEq)]
pub struct MeetingScript {
    /// What happens, in order, until the call is over; the rest is dropped when it ends early.
    pub steps: Vec<Step>,
    /// What happens after `call_ended`.
    pub ending: Vec<Step>,
    /// What happens after `fatal`.
    pub after_fatal: Vec<Step>,
    /// How webhooks about this meeting travel.
    pub delivery: Delivery,
    /// The meeting's title, where the platform tells it.
    pub title: Option<String>,
}

/// Something that happens, a while after the step before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How long after the step before, in meeting time: divided by the simulator's time scale.
    pub after: Duration,
    /// What happens.
    pub event: Event,
}

/// Something that happens to a bot or around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The bot is started and connects.
    JoiningCall,
    /// The bot knocks and waits in the lobby.
    InWaitingRoom,
    /// The bot is in the call, not recording yet.
    InCallNotRecording,
    /// The host allows the recording (Zoom).
    RecordingPermissionAllowed,
    /// The host refuses the recording (Zoom), with the sub-code.
    RecordingPermissionDenied(String),
    /// The recording runs; real-time events flow from here.
    InCallRecording,
    /// Somebody joins.
    Joins(Person),
    /// Somebody leaves, by name.
    Leaves(String),
    /// Somebody speaks: speech on, partial transcripts, the final one, speech off. Takes as long
    /// as the sound of the text. Made to happen by `Simulator::advance`, it holds up nobody.
    Says {
        /// Who, by name.
        name: String,
        /// What.
        text: String,
    },
    /// The same, but the script goes on at once: others may speak at the same time.
    TalksOver {
        /// Who, by name.
        name: String,
        /// What.
        text: String,
    },
    /// Somebody's microphone is closed, by name; what they are saying breaks off. Whoever joins
    /// has an open one.
    Mutes(String),
    /// Somebody's microphone is opened again.
    Unmutes(String),
    /// Somebody writes in the chat.
    Chats {
        /// Who, by name.
        name: String,
        /// What.
        text: String,
    },
    /// Nothing happens until the bot was heard (or read in the chat) and has finished.
    WaitUntilHeard {
        /// The longest wait, in meeting time.
        at_most: Duration,
    },
    /// The call is over for the bot, with the sub-code that says why.
    CallEnded(String),
    /// The bot is shut down and its uploads are finished.
    Done,
    /// The bot could not join, or died.
    Fatal(String),
    /// The recording's own status changes: `done`, `failed`, `deleted`, `paused`.
    Recording(Code),
    /// An artifact's status changes.
    Artifact(ArtifactKind, Code),
    /// The Recall bot emits a status of any name, known or not.
    OtherStatus {
        /// The code.
        code: String,
        /// The sub-code.
        sub_code: Option<String>,
    },
}

/// A status of a recording or an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the vendor's own codes")]
pub enum Code {
    Processing,
    Paused,
    Done,
    Failed(Option<String>),
    Deleted,
}

impl Code {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) fn sub_code(&self) -> Option<&str> {
        match self {
            Self::Failed(sub_code) => sub_code.as_deref(),
            Self::Processing | Self::Paused | Self::Done | Self::Deleted => None,
        }
    }
}

/// What a recording leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the vendor's own artifacts")]
pub enum ArtifactKind {
    VideoMixed,
    AudioMixed,
    Transcript,
    ParticipantEvents,
    MeetingMetadata,
}

impl ArtifactKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::VideoMixed => "video_mixed",
            Self::AudioMixed => "audio_mixed",
            Self::Transcript => "transcript",
            Self::ParticipantEvents => "participant_events",
            Self::MeetingMetadata => "meeting_metadata",
        }
    }
}

/// Somebody in the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// As the participant list shows it.
    pub name: String,
    /// Whether this is a host.
    pub is_host: bool,
}

/// What happens to the webhooks about a meeting on their way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The names of the signature headers of workspace webhooks.
    pub headers: HeaderFamily,
    /// Each webhook arrives twice with the same id.
    pub duplicate: bool,
    /// Workspace webhooks overtake each other within this window.
    pub reorder: Option<Reorder>,
    /// These workspace webhooks (0 is the first) are never sent.
    pub drop: Vec<usize>,
    /// Each webhook starts this much later, in real time.
    pub delay: Duration,
    /// The answer to Create Bot waits until the first workspace webhook was answered.
    pub before_create_response: bool,
    /// Status changes come as `bot.status_change`, in the shape of API version 1.10.
    pub legacy_status: bool,
    /// The signature header also carries an entry made with this secret, and it comes first.
    pub rotated_secret: Option<String>,
    /// How the sound of the call is delivered to a WebSocket that asked for it.
    pub audio: AudioDelivery,
}

/// How far and how webhooks overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// Each webhook is late by a random part of this, in real time.
    pub window: Duration,
    /// The same seed gives the same order.
    pub seed: u64,
}

/// How long a bot takes from being asked for to `joining_call`.
const BOOT: Duration = Duration::from_millis(300);

impl Default for MeetingScript {
    fn default() -> Self {
        Self::short_demo()
    }
}

impl MeetingScript {
    /// About half a minute: a waiting room, two people who speak, the host ends the call.
    pub fn short_demo() -> Self {
        let says = |name: &str, text: &str| Event::Says {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        Self::empty()
            .then(BOOT, Event::JoiningCall)
            .then(secs(1), Event::InWaitingRoom)
            .then(secs(2), Event::InCallNotRecording)
            .then(millis(500), Event::InCallRecording)
            .then(
                millis(200),
                Event::Joins(Person {
                    name: "Dana Whitfield".to_owned(),
                    is_host: true,
                }),
            )
            .then(
                millis(300),
                Event::Joins(Person {
                    name: "Pat Moreno".to_owned(),
                    is_host: false,
                }),
            )
            .then(millis(100), Event::WaitUntilHeard { at_most: secs(8) })
            .then(
                millis(500),
                says("Dana Whitfield", "Welcome, good to have you with us."),
            )
            .then(
                millis(400),
                says("Pat Moreno", "Hi all. Shall we start with the launch date?"),
            )
            .then(
                millis(400),
                says(
                    "Dana Whitfield",
                    "Yes. We moved it to Tuesday, the tests are green.",
                ),
            )
            .then(
                millis(300),
                Event::Chats {
                    name: "Pat Moreno".to_owned(),
                    text: "Notes are in the shared folder.".to_owned(),
                },
            )
            .then(
                millis(300),
                says("Pat Moreno", "Great, then we are done. Talk soon."),
            )
            .then(millis(300), Event::Leaves("Pat Moreno".to_owned()))
            .then(
                millis(500),
                Event::CallEnded("call_ended_by_host".to_owned()),
            )
            .with_ending(default_ending())
    }

    /// In the call at once, and there until it is told otherwise.
    pub fn instant() -> Self {
        Self::empty()
            .then(Duration::ZERO, Event::JoiningCall)
            .then(Duration::ZERO, Event::InCallNotRecording)
            .then(Duration::ZERO, Event::InCallRecording)
            .then(
                Duration::ZERO,
                Event::Joins(Person {
                    name: "Dana Whitfield".to_owned(),
                    is_host: true,
                }),
            )
            .with_ending(instant_ending())
    }

    /// Nothing happens by itself: every step comes from `Simulator::advance`. Only `leave_call`
    /// still ends the call.
    pub fn manual() -> Self {
        Self::empty()
    }

    /// The bot tries to join and dies with this sub-code.
    pub fn fatal(sub_code: &str) -> Self {
        Self::empty()
            .then(BOOT, Event::JoiningCall)
            .then(millis(500), Event::Fatal(sub_code.to_owned()))
    }

    /// The bot waits in the lobby until its own or the platform's patience ends.
    pub fn never_admitted() -> Self {
        Self::empty()
            .then(BOOT, Event::JoiningCall)
            .then(millis(500), Event::InWaitingRoom)
            .with_ending(default_ending())
    }

    /// A script in which nothing happens, to build on.
    pub fn empty() -> Self {
        Self {
            steps: Vec::new(),
            ending: Vec::new(),
            after_fatal: Vec::new(),
            delivery: Delivery::default(),
            title: Some("Simulated meeting".to_owned()),
        }
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, after: Duration, event: Event) -> Self {
        self.steps.push(Step { after, event });
        self
    }

    /// Replaces what happens after the call.
    #[must_use]
    pub fn with_ending(mut self, ending: Vec<Step>) -> Self {
        self.ending = ending;
        self
    }

    /// Replaces how webhooks travel.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Adds a late `done` after `fatal`, as some accounts see it.
    #[must_use]
    pub fn with_late_done_after_fatal(mut self) -> Self {
        self.after_fatal = vec![Step {
            after: secs(1),
            event: Event::Done,
        }];
        self
    }
}

/// Shut down, then the recording, then its artifacts one by one.
pub fn default_ending() -> Vec<Step> {
    ending_events()
        .into_iter()
        .zip([1000, 700, 0, 200, 100, 300, 0, 800])
        .map(|(event, after)| Step {
            after: millis(after),
            event,
        })
        .collect()
}

/// The same as [`default_ending`], without any waiting.
pub fn instant_ending() -> Vec<Step> {
    ending_events()
        .into_iter()
        .map(|event| Step {
            after: Duration::ZERO,
            event,
        })
        .collect()
}

fn ending_events() -> [Event; 8] {
    [
        Event::Done,
        Event::Recording(Code::Done),
        Event::Artifact(ArtifactKind::Transcript, Code::Processing),
        Event::Artifact(ArtifactKind::ParticipantEvents, Code::Done),
        Event::Artifact(ArtifactKind::MeetingMetadata, Code::Done),
        Event::Artifact(ArtifactKind::VideoMixed, Code::Done),
        Event::Artifact(ArtifactKind::AudioMixed, Code::Done),
        Event::Artifact(ArtifactKind::Transcript, Code::Done),
    ]
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
