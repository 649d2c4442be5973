//! How a simulator is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use crate::avatar::AvatarHabits;
use crate::pages::{PageHabits, PageMode};
use crate::script::MeetingScript;

/// Everything that can be chosen before the start. The defaults are what most tests want.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches of their own")]
pub struct SimulatorConfig {
    /// The only key Recall accepts.
    pub recall_api_key: String,
    /// The only key `ElevenLabs` accepts.
    pub elevenlabs_api_key: String,
    /// The only key Deepgram accepts.
    pub deepgram_api_key: String,
    /// The only key `LiveAvatar` accepts.
    pub liveavatar_api_key: String,
    /// The only key `HeyGen` accepts.
    pub heygen_api_key: String,
    /// The workspace's verification secret: `whsec_` and base64.
    pub webhook_secret: String,
    /// Where workspace webhooks go; without it they are dropped.
    pub webhook_url: Option<Url>,
    /// Where to listen. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// How much faster than real time meetings run. Sound is always heard in real time.
    pub time_scale: f64,
    /// Multiplies the pauses between attempts to deliver a workspace webhook.
    pub webhook_retry_scale: f64,
    /// Multiplies the pauses between attempts to deliver a real-time event, and to make the
    /// connection that carries the call's sound.
    pub realtime_retry_scale: f64,
    /// What happens in meetings that nobody scripted.
    pub default_script: MeetingScript,
    /// Enforces Recall's documented rate limits.
    pub rate_limits: bool,
    /// How many ad-hoc bots may live at once, if that is limited.
    pub adhoc_limit: Option<usize>,
    /// How much of the call's sound Recall puts in a frame, in meeting time. The vendor does not say;
    /// others see 100 to 200 ms.
    pub audio_frame: Duration,
    /// How long download URLs work, on the simulator's clock.
    pub download_lifetime: Duration,
    /// Voices `ElevenLabs` does not know.
    pub unknown_voices: Vec<String>,
    /// How many `ElevenLabs` requests may run at once, if that is limited.
    pub speech_concurrency: Option<usize>,
    /// `ElevenLabs` answers errors in its older shape.
    pub legacy_speech_errors: bool,
    /// How long `ElevenLabs` takes before the first byte of speech.
    pub speech_latency: Duration,
    /// The pause between two pieces of streamed speech.
    pub speech_chunk_interval: Duration,
    /// How many Deepgram streams may run at once, if that is limited.
    pub deepgram_concurrency: Option<usize>,
    /// How long Deepgram waits for audio or a sign of life, in meeting time.
    pub deepgram_patience: Duration,
    /// Deepgram mixes in messages and fields that only newer clients know, or none.
    pub deepgram_newer_messages: bool,
    /// Measures how fast audio comes to Deepgram; for meetings that run in real time.
    pub deepgram_pace: bool,
    /// Keeps the audio that came to Deepgram, up to 17 minutes of each stream.
    pub deepgram_audio: bool,
    /// Who plays the pages that bots show.
    pub pages: PageMode,
    /// How pages behave, where nothing else is said for a meeting.
    pub page_habits: PageHabits,
    /// How the avatar vendors behave.
    pub avatars: AvatarHabits,
    /// Where redirects lead; the simulator itself under another host name if it is not given.
    pub elsewhere: Option<Url>,
    /// Makes ids and chance; drawn at the start if it is not given.
    pub seed: Option<u64>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            recall_api_key: "fake-recall-key".to_owned(),
            elevenlabs_api_key: "fake-elevenlabs-key".to_owned(),
            deepgram_api_key: "fake-deepgram-key".to_owned(),
            liveavatar_api_key: "fake-liveavatar-key".to_owned(),
            heygen_api_key: "fake-heygen-key".to_owned(),
            webhook_secret: "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX".to_owned(),
            webhook_url: None,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            time_scale: 1.0,
            webhook_retry_scale: 1.0,
            realtime_retry_scale: 1.0,
            default_script: MeetingScript::default(),
            rate_limits: false,
            adhoc_limit: None,
            audio_frame: Duration::from_millis(100),
            download_lifetime: Duration::from_hours(6),
            unknown_voices: Vec::new(),
            speech_concurrency: None,
            legacy_speech_errors: false,
            speech_latency: Duration::ZERO,
            speech_chunk_interval: Duration::ZERO,
            deepgram_concurrency: None,
            deepgram_patience: Duration::from_secs(10),
            deepgram_newer_messages: false,
            deepgram_pace: true,
            deepgram_audio: true,
            pages: PageMode::default(),
            page_habits: PageHabits::default(),
            avatars: AvatarHabits::default(),
            elsewhere: None,
            seed: None,
        }
    }
}
