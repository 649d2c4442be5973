//! Recall.ai, whose bots sit in the meetings: webhooks in, API calls out.
//!
//! Written against the API generation v1.11, with the older event shapes understood as well.

mod bot_request;
mod client;
mod errors;
mod events;
mod media;
mod speech;
mod status;
mod wire;
mod words;

pub use bot_request::{AudioEndpoint, BotRequest, DEFAULT_RETENTION_HOURS, Presence};
pub use client::{
    ArtifactSnapshot, BotPage, BotSnapshot, CreatedBot, MAX_CHAT_CHARACTERS,
    MAX_CHAT_CHARACTERS_GOOGLE_MEET, RecallClient, RecordingSnapshot, build_output_media_url,
};
pub use events::{
    Artifact, ArtifactChange, ArtifactCode, ChatEvent, ParseError, Participant, ParticipantAction,
    ParticipantEvent, RecallEvent, RecallWebhook, WebhookRoute, parse_webhook, route,
};
pub use media::{FrameForm, MediaFrame, MediaFrameError, read_media_frame};
pub use speech::{Speaker, SpokenSegment, Word};
pub use status::{BotCode, BotStatusChange};
