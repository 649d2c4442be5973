//! What is tried: every call of a vendor that a meeting's life needs, and everything that may go wrong with one.

use std::time::Duration;

use attache_simulator::{Fault, Operation};

/// How long a slow vendor takes: long enough to be felt, shorter than any deadline.
const SLOW: Duration = Duration::from_secs(4);

/// What a vendor asks for that names a time after which it wants to be asked again.
const RETRY_AFTER_SECONDS: u32 = 2;

/// More than any answer has room for.
const HUGE: usize = 256 * 1024 * 1024;

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
}

/// How long it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Times {
    Once,
    Always,
}

/// Which of the shared Workers a meeting is held at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Neither listens itself nor has an avatar's vendor.
    Plain,
    Deepgram,
    LiveAvatar,
    HeyGen,
}

/// How the meeting is played, so that the call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plot {
    /// The delegate greets, somebody ends the call, the artifacts come.
    Voice,
    /// The same, and no speech can be made, so that the delegate writes.
    Chat,
    /// The same, and the delegate is sent out of the call.
    Leave,
    /// The meeting is days away, and is called off once its bot is booked.
    CallOff,
    /// The answer to the making of the bot is lost, and no webhook tells of it.
    Doubt,
    /// What is kept of the meeting is deleted after its end.
    Purge,
    /// The delegate has a face that the page draws.
    Face,
    /// The delegate has the avatar of a vendor.
    Avatar,
    /// Somebody speaks once the delegate listens.
    Listen,
}

/// One call of a vendor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) vendor: &'static str,
    /// As the tables are headed.
    pub(crate) title: &'static str,
    pub(crate) operation: Operation,
    pub(crate) place: Place,
    pub(crate) plot: Plot,
}

/// The calls without which a vendor does nothing; refused for good, they are soon given up.
const FIRST_CALLS: [Operation; 5] = [
    Operation::CreateBot,
    Operation::TextToSpeech,
    Operation::Listen,
    Operation::LiveAvatarToken,
    Operation::HeyGenNew,
];

/// Every call, vendor by vendor.
pub(crate) const PARTS: [Part; 21] = [
    recall("Make the bot", Operation::CreateBot, Plot::Voice),
    recall("Look for a bot in doubt", Operation::ListBots, Plot::Doubt),
    recall("Play a clip", Operation::OutputAudio, Plot::Voice),
    recall("Write to the chat", Operation::SendChatMessage, Plot::Chat),
    recall("Leave the call", Operation::LeaveCall, Plot::Leave),
    recall("Delete a booked bot", Operation::DeleteBot, Plot::CallOff),
    recall(
        "Read the bot and its artifacts",
        Operation::RetrieveBot,
        Plot::Voice,
    ),
    recall("Download the transcript", Operation::Download, Plot::Voice),
    recall("Delete the media", Operation::DeleteMedia, Plot::Purge),
    Part {
        vendor: "ElevenLabs",
        title: "Make a clip",
        operation: Operation::TextToSpeech,
        place: Place::Plain,
        plot: Plot::Voice,
    },
    Part {
        vendor: "ElevenLabs",
        title: "Make speech for the page",
        operation: Operation::TextToSpeech,
        place: Place::Plain,
        plot: Plot::Face,
    },
    Part {
        vendor: "Deepgram",
        title: "Open a session",
        operation: Operation::Listen,
        place: Place::Deepgram,
        plot: Plot::Listen,
    },
    liveavatar("Ask for a session", Operation::LiveAvatarToken),
    liveavatar("Start the session", Operation::LiveAvatarStart),
    liveavatar("Open the session's socket", Operation::AvatarSocket),
    liveavatar("Stop the session", Operation::LiveAvatarStop),
    liveavatar("Ask whether the session is over", Operation::LiveAvatarGet),
    heygen("Ask for a session", Operation::HeyGenNew),
    heygen("Start the session", Operation::HeyGenStart),
    heygen("Let the avatar speak", Operation::HeyGenTask),
    heygen("Stop the session", Operation::HeyGenStop),
];

const fn recall(title: &'static str, operation: Operation, plot: Plot) -> Part {
    Part {
        vendor: "Recall",
        title,
        operation,
        place: Place::Plain,
        plot,
    }
}

const fn liveavatar(title: &'static str, operation: Operation) -> Part {
    Part {
        vendor: "LiveAvatar",
        title,
        operation,
        place: Place::LiveAvatar,
        plot: Plot::Avatar,
    }
}

const fn heygen(title: &'static str, operation: Operation) -> Part {
    Part {
        vendor: "HeyGen",
        title,
        operation,
        place: Place::HeyGen,
        plot: Plot::Avatar,
    }
}

/// Everything that may go wrong, in the order of the tables.
pub(crate) fn troubles() -> Vec<Trouble> {
    let trouble = |name, fault| Trouble { name, fault };
    vec![
        trouble("slow", Fault::Latency(SLOW)),
        trouble("401", Fault::status(401)),
        trouble("402", Fault::status(402)),
        trouble("403 HTML", Fault::status_html(403)),
        trouble("404", Fault::status(404)),
        trouble("409", Fault::status(409)),
        trouble("422", Fault::status(422)),
        trouble("429", Fault::status(429)),
        trouble(
            "429 with Retry-After",
            Fault::status_retry_after(429, RETRY_AFTER_SECONDS),
        ),
        trouble("500", Fault::status(500)),
        trouble("502 HTML", Fault::HtmlError),
        trouble("507", Fault::status(507)),
        trouble("timeout after accept", Fault::TimeoutAfterAccept),
        trouble("half-open", Fault::HalfOpen),
        trouble("garbage", Fault::Garbage),
        trouble("huge body", Fault::HugeBody(HUGE)),
        trouble("redirect to another host", Fault::Redirect),
        trouble("mid-stream close", Fault::CloseMidBody),
    ]
}

/// One meeting in which one thing goes wrong with one call.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) part: Part,
    pub(crate) trouble: Trouble,
    pub(crate) times: Times,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        let Part { vendor, title, .. } = self.part;
        format!("{vendor}, {title}, {}, {:?}", self.trouble.name, self.times)
    }

    /// Whether the vendor does what it was asked, only late.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.trouble.fault, Fault::Latency(_))
    }
}

/// How far the troubles of the short selection are moved along, so that none of its meetings takes a minute.
const QUICK: usize = 10;

/// Every case; or some that end soon, of all parts and all troubles each at least one.
pub(crate) fn cases(whole: bool) -> Vec<Case> {
    let troubles = troubles();
    let mut cases = Vec::new();
    for (row, part) in PARTS.into_iter().enumerate() {
        for (column, trouble) in troubles.iter().enumerate() {
            for times in [Times::Once, Times::Always] {
                let chosen = match times {
                    Times::Once => column == (row + QUICK) % troubles.len(),
                    Times::Always => trouble.name == "401" && FIRST_CALLS.contains(&part.operation),
                };
                if whole || chosen {
                    cases.push(Case {
                        part,
                        trouble: trouble.clone(),
                        times,
                    });
                }
            }
        }
    }
    cases
}
