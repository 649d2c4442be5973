//! Recall, Deepgram, `ElevenLabs`, `LiveAvatar` and `HeyGen` as strict, scriptable local servers.
//!
//! Written from the vendors' documentation, not from the Worker's types: mistakes must not cancel
//! out. Each vendor is a model without IO (`recall`, `deepgram`, `elevenlabs`, `liveavatar`, `heygen`
//! inside) that refuses what the vendor would refuse; a thin HTTP face, a courier for webhooks and a
//! journal make it usable.
//!
//! Avatars can be seen and heard: a page of the simulator's own, the studio, plays them in a Chromium,
//! and the vendors' unmodified client gets picture and sound by WebRTC. A bot that shows a page opens
//! it in that Chromium as well, and what the room hears of it is measured; without one, a stand-in
//! speaks the page's protocol. See [`PageMode`].
//!
//! Stricter than the vendors on purpose: fields, filters and query parameters nobody knows are
//! refused, and so are text to speech without a model and an endpoint for mixed audio on a bot that
//! records none. Real-time endpoints of type `websocket` get the mixed audio and nothing else.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use attache_simulator::{MeetingScript, Simulator, SimulatorConfig};
//!
//! let sim = Simulator::start(SimulatorConfig::default()).await?;
//! sim.script_meeting("https://meet.google.com/abc-defg-hij", MeetingScript::instant());
//! // … point RECALL_BASE_URL at sim.recall_base_url(), book a meeting …
//! assert_eq!(sim.bots().len(), 1);
//! # Ok(())
//! # }
//! ```

mod answer;
pub mod audio;
mod audio_script;
mod avatar;
mod avatars;
mod browser;
mod call;
mod clock;
mod config;
mod courier;
mod deepgram;
mod elevenlabs;
mod faults;
mod heygen;
mod journal;
mod listening;
mod liveavatar;
mod livekit;
mod media_client;
mod operation;
mod pages;
mod pages_seen;
mod recall;
mod script;
mod seen;
mod sending;
mod server;
mod signing;
mod simulator;
mod spoken;
mod world;

pub use audio::voices::{LineWord, SAMPLE_RATE, SpokenLine};
pub use audio_script::{AudioClose, AudioDelivery, AudioFault, AudioStyle, Junk};
pub use avatar::{
    AvatarChunk, AvatarDialect, AvatarEnd, AvatarEnded, AvatarError, AvatarFault, AvatarHabits,
    AvatarInterrupt, AvatarNews, AvatarProvider, AvatarSeat, AvatarSession, AvatarUtterance,
    AvatarUtteranceState, AvatarViewer,
};
pub use avatars::{AvatarBalance, AvatarOverlap};
pub use browser::{Autoplay, Browser, Notice, Page};
pub use config::SimulatorConfig;
pub use deepgram::{
    ControlMessage, ListeningDrop, ListeningNews, ListeningSession, ScriptedResult, Side,
};
pub use faults::{Fault, FaultBody, FaultScope, NEVER_ANSWERED};
pub use journal::{Entry, RequestSeen, WebhookSent, What};
pub use livekit::RoomFault;
pub use operation::Operation;
pub use pages::{PageHabits, PageMode, PageNews};
pub use recall::{
    AudioConnection, AudioEnd, AudioNews, AudioSent, BotState, Heard, HeardAudio, HeardPage,
    PageVoice,
};
pub use script::{
    ArtifactKind, Code, Delivery, Event, MeetingScript, Person, Reorder, Step, default_ending,
    instant_ending,
};
pub use signing::{HeaderFamily, sign};
pub use simulator::{MadeUpWebhook, Simulator};
