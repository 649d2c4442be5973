//! What the object and the bot's page tell each other over their socket.
//!
//! Text frames are JSON with a `type`, binary frames are sound. Types that one side does not know it ignores, as a
//! page may have been loaded before a deploy. The page says `ready` after every `hello`, and gives every utterance
//! that was started one end: `spoken`, `playing` with `interrupted`, or `speak.failed`. It reads the other side of
//! this in `web/bot/protocol.ts`.

use serde::{Deserialize, Serialize};

use crate::ids::UtteranceId;

/// How the face looks while nobody speaks through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pose {
    /// Attentive.
    #[default]
    Listening,
    /// About to say something.
    Thinking,
    /// At rest.
    Idle,
}

/// A passing sign that the delegate follows the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// A nod.
    Nod,
    /// A look of interest.
    Interested,
    /// A thoughtful look.
    Thinking,
}

/// A text frame to the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type")]
pub enum ToPage {
    /// The first frame: whose face it is and how it looks now.
    #[serde(rename = "hello")]
    Hello {
        /// Who appears.
        agent: PageAgent,
        /// The pose.
        pose: Pose,
        /// Whether the page is to send what it hears.
        microphone: bool,
    },
    /// Binary frames up to `speak.end` are the sound of this utterance.
    #[serde(rename = "speak.start")]
    SpeakStart {
        /// Which one.
        utterance_id: UtteranceId,
        /// `mp3` or `pcm_24000`.
        format: &'static str,
        /// What is said.
        text: String,
    },
    /// The sound is complete.
    #[serde(rename = "speak.end")]
    SpeakEnd {
        /// Of this one.
        utterance_id: UtteranceId,
    },
    /// Stop playing and forget what waits.
    #[serde(rename = "interrupt")]
    Interrupt,
    /// Change the pose.
    #[serde(rename = "pose")]
    Pose {
        /// To this one.
        pose: Pose,
    },
    /// React.
    #[serde(rename = "react")]
    React {
        /// Like this.
        reaction: Reaction,
    },
    /// Enter the room of an avatar's session and show it once it can be seen.
    #[serde(rename = "avatar.join")]
    AvatarJoin {
        /// Whose it is.
        provider: &'static str,
        /// The room's `LiveKit` server.
        url: String,
        /// What opens the room: a viewer's token, no key of ours.
        token: String,
        /// Which session.
        session: String,
    },
    /// Leave the room of an avatar's session.
    #[serde(rename = "avatar.leave")]
    AvatarLeave {
        /// Which session.
        session: String,
    },
    /// Answer with `pong`.
    #[serde(rename = "ping")]
    Ping,
}

/// Who appears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageAgent {
    /// The name.
    pub name: String,
    /// The company.
    pub company: Option<String>,
}

/// A text frame from the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum FromPage {
    /// It can show and play.
    #[serde(rename = "ready")]
    Ready,
    /// It plays an utterance.
    #[serde(rename = "playing")]
    Playing {
        /// Which one.
        utterance_id: UtteranceId,
        /// How much of it has been heard.
        played_ms: u64,
        /// Whether that is all, because it was told to stop.
        #[serde(default)]
        interrupted: bool,
    },
    /// It has played an utterance to its end.
    #[serde(rename = "spoken")]
    Spoken {
        /// Which one.
        utterance_id: UtteranceId,
    },
    /// It cannot play an utterance, or not to its end.
    #[serde(rename = "speak.failed")]
    SpeakFailed {
        /// Which one.
        utterance_id: UtteranceId,
        /// Why.
        reason: String,
        /// How much of it has been heard.
        #[serde(default)]
        played_ms: u64,
    },
    /// The browser does not let it play sound.
    #[serde(rename = "sound.blocked")]
    SoundBlocked,
    /// The picture and the sound of an avatar's session are there.
    #[serde(rename = "avatar.tracks")]
    AvatarTracks {
        /// Which session.
        session: String,
        /// How long the first picture took.
        first_frame_ms: u64,
    },
    /// Sound has come from an avatar's session, for the first time or some time before.
    #[serde(rename = "avatar.heard")]
    AvatarHeard {
        /// Which session.
        session: String,
    },
    /// An avatar's picture stands still.
    #[serde(rename = "video.frozen")]
    VideoFrozen {
        /// Of which session.
        session: String,
    },
    /// The room of an avatar's session is lost.
    #[serde(rename = "avatar.disconnected")]
    AvatarDisconnected {
        /// Which session.
        session: String,
        /// Why.
        reason: String,
    },
    /// It is alive.
    #[serde(rename = "pong")]
    Pong,
    /// Something that this version does not know.
    #[serde(other, rename = "unknown")]
    Unknown,
}

impl FromPage {
    /// Reads a text frame; what cannot be read is unknown.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_to_the_page_are_as_the_page_expects_them() {
        let hello = ToPage::Hello {
            agent: PageAgent {
                name: "Ada".to_owned(),
                company: None,
            },
            pose: Pose::Listening,
            microphone: false,
        };
        assert_eq!(
            serde_json::to_value(hello).unwrap(),
            json!({"type": "hello", "agent": {"name": "Ada", "company": null}, "pose": "listening",
                "microphone": false})
        );
        let react = ToPage::React {
            reaction: Reaction::Nod,
        };
        assert_eq!(
            serde_json::to_value(react).unwrap(),
            json!({"type": "react", "reaction": "nod"})
        );
    }

    #[test]
    fn frames_from_the_page_are_read_and_strange_ones_are_unknown() {
        let utterance_id = UtteranceId::mint("2026-12-01T12:00:00Z".parse().unwrap(), 1);
        let id = utterance_id.as_str();
        let session = "a".to_owned();
        for (frame, read) in [
            (json!({"type": "ready"}), FromPage::Ready),
            (json!({"type": "pong"}), FromPage::Pong),
            (json!({"type": "sound.blocked"}), FromPage::SoundBlocked),
            (
                json!({"type": "playing", "utterance_id": id, "played_ms": 250, "more": 1}),
                FromPage::Playing {
                    utterance_id: utterance_id.clone(),
                    played_ms: 250,
                    interrupted: false,
                },
            ),
            (
                json!({"type": "playing", "utterance_id": id, "played_ms": 9, "interrupted": true}),
                FromPage::Playing {
                    utterance_id: utterance_id.clone(),
                    played_ms: 9,
                    interrupted: true,
                },
            ),
            (
                json!({"type": "spoken", "utterance_id": id}),
                FromPage::Spoken {
                    utterance_id: utterance_id.clone(),
                },
            ),
            (
                json!({"type": "speak.failed", "utterance_id": id, "reason": "no sound"}),
                FromPage::SpeakFailed {
                    utterance_id: utterance_id.clone(),
                    reason: "no sound".to_owned(),
                    played_ms: 0,
                },
            ),
            (
                json!({"type": "speak.failed", "utterance_id": id, "reason": "", "played_ms": 40}),
                FromPage::SpeakFailed {
                    utterance_id: utterance_id.clone(),
                    reason: String::new(),
                    played_ms: 40,
                },
            ),
            (
                json!({"type": "avatar.heard", "session": "a"}),
                FromPage::AvatarHeard {
                    session: session.clone(),
                },
            ),
            (
                json!({"type": "avatar.tracks", "session": "a", "first_frame_ms": 800}),
                FromPage::AvatarTracks {
                    session: session.clone(),
                    first_frame_ms: 800,
                },
            ),
            (
                json!({"type": "video.frozen", "session": "a"}),
                FromPage::VideoFrozen {
                    session: session.clone(),
                },
            ),
            (
                json!({"type": "avatar.disconnected", "session": "a", "reason": "gone"}),
                FromPage::AvatarDisconnected {
                    session,
                    reason: "gone".to_owned(),
                },
            ),
        ] {
            assert_eq!(FromPage::read(&frame.to_string()), read);
        }
        for strange in ["", "[]", "{\"type\":\"dance\"}", "{\"type\":\"playing\"}"] {
            assert_eq!(FromPage::read(strange), FromPage::Unknown);
        }
    }
}
