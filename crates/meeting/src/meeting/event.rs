//! Facts: everything that can happen to a meeting.

use serde::{Deserialize, Serialize};

use super::effect::EffectId;
use crate::{
    http::CallError,
    ids::{BotId, UtteranceId},
    page::{FromPage, Reaction},
    vendors::{
        avatar::{AvatarSession, AvatarSessionId, Opening},
        deepgram::SttReport,
        liveavatar::LinkReport,
        recall::{
            ArtifactCode, ArtifactSnapshot, BotSnapshot, BotStatusChange, RecallEvent,
            RecordingSnapshot,
        },
    },
};

/// A fact that [`super::Meeting::handle`] takes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A fresh instance of the shell took the meeting over; what was under way is lost.
    Restored {
        /// Whether the bot's page is still connected: its socket outlives an instance, but not the runtime.
        page_connected: bool,
    },
    /// The alarm rang; harmless when it is early or repeated.
    Woke,
    /// `POST …/join`.
    JoinRequested,
    /// `DELETE …`.
    CancelRequested,
    /// `DELETE …?purge=true`.
    PurgeRequested,
    /// `POST …/say`.
    SayRequested {
        /// The id minted for it.
        utterance_id: UtteranceId,
        /// What to say.
        text: String,
        /// Whether to cut off what is being said.
        interrupt: bool,
    },
    /// `POST …/interrupt`.
    InterruptRequested,
    /// `POST …/chat`.
    ChatRequested {
        /// What to write.
        text: String,
    },
    /// A signed webhook.
    RecallReported {
        /// The bot it is about, as far as it says.
        bot_id: Option<BotId>,
        /// The vendor's name of it.
        name: String,
        /// What it says.
        report: RecallEvent,
    },
    /// `POST …/reaction`.
    ReactionRequested {
        /// Which one.
        reaction: Reaction,
    },
    /// `POST …/avatar/rotate`.
    RotationRequested,
    /// The bot's page opened its socket.
    PageConnected,
    /// The socket of the bot's page is gone; also what an instance says that finds none.
    PageDisconnected,
    /// The bot's page reported something.
    PageReported {
        /// What.
        report: FromPage,
    },
    /// The socket of an avatar's session has something to tell.
    AvatarReported {
        /// Which session.
        session_id: AvatarSessionId,
        /// What.
        report: LinkReport,
    },
    /// Recall opened the audio socket.
    MediaConnected,
    /// The audio socket is gone.
    MediaDisconnected,
    /// The audio socket brought something that is no sound; told once for each kind.
    MediaFrameIgnored {
        /// What kind of thing.
        kind: String,
    },
    /// The transcriber's session has something to tell.
    SttReported {
        /// What.
        report: SttReport,
    },
    /// An order was carried out or refused.
    EffectFinished {
        /// The order.
        id: EffectId,
        /// What came of it.
        result: Result<Answer, CallError>,
    },
}

impl Event {
    /// Tells whether the event is of use only to those who watch right now, so that nothing is stored for it.
    pub fn is_passing(&self) -> bool {
        let recalls = matches!(
            self,
            Self::RecallReported {
                report: RecallEvent::Transcript { partial: true, .. },
                ..
            }
        );
        recalls || matches!(self, Self::SttReported { report } if report.is_passing())
    }
}

/// What came back from an order that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It is done, and there is nothing to tell.
    Done,
    /// Recall made the bot.
    BotCreated {
        /// Its id.
        bot_id: BotId,
        /// Whether it delivers the call's sound to us.
        delivers_sound: bool,
    },
    /// These bots carry this meeting's id.
    BotsFound {
        /// Each with its state.
        bots: Vec<FoundBot>,
    },
    /// The bot's state.
    BotRead {
        /// What Recall knows of it.
        bot: BotState,
    },
    /// The audio was made and stored.
    Synthesized {
        /// The utterance.
        utterance_id: UtteranceId,
        /// Its length.
        duration_ms: u64,
    },
    /// The avatar's vendor has a session for us.
    AvatarOpened {
        /// What starts it.
        opening: Opening,
    },
    /// The avatar appears.
    AvatarStarted {
        /// What a viewer and we need.
        session: AvatarSession,
    },
    /// Whether a session is live.
    AvatarChecked {
        /// It is.
        live: bool,
    },
    /// The avatar says what it was told to.
    AvatarSays {
        /// How long that takes.
        duration_ms: u64,
    },
    /// The final transcript was read and stored.
    TranscriptStored {
        /// How many segments it has.
        segments: u64,
    },
}

/// A bot that turned up in a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundBot {
    /// Its id.
    pub id: BotId,
    /// Its newest status, none while it is only scheduled.
    pub newest: Option<BotStatusChange>,
}

impl From<BotSnapshot> for FoundBot {
    fn from(bot: BotSnapshot) -> Self {
        Self {
            newest: bot.newest().cloned(),
            id: bot.id,
        }
    }
}

/// What Recall tells of a bot when it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BotState {
    /// Its id.
    pub id: BotId,
    /// Every status it has had, oldest first.
    pub statuses: Vec<BotStatusChange>,
    /// What it has recorded.
    pub recordings: Vec<RecordingState>,
}

/// How far the artifacts of one recording are; none that is not to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingState {
    /// The transcript.
    pub transcript: Option<ArtifactStatus>,
    /// The video.
    pub video: Option<ArtifactStatus>,
    /// The audio.
    pub audio: Option<ArtifactStatus>,
}

/// How far one artifact is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArtifactStatus {
    /// The vendor's status code.
    pub code: ArtifactCode,
    /// Why, in the vendor's words.
    pub sub_code: Option<String>,
}

impl From<BotSnapshot> for BotState {
    fn from(bot: BotSnapshot) -> Self {
        Self {
            id: bot.id,
            statuses: bot.statuses,
            recordings: bot
                .recordings
                .into_iter()
                .map(RecordingState::from)
                .collect(),
        }
    }
}

impl From<RecordingSnapshot> for RecordingState {
    fn from(recording: RecordingSnapshot) -> Self {
        let status = |artifact: Option<ArtifactSnapshot>| {
            let ArtifactSnapshot {
                status, sub_code, ..
            } = artifact?;
            Some(ArtifactStatus {
                code: status?.into(),
                sub_code,
            })
        };
        Self {
            transcript: status(recording.transcript),
            video: status(recording.video_mixed),
            audio: status(recording.audio_mixed),
        }
    }
}
