//! What kind of life it is going to be: the booking, the vendors, how much goes wrong and for how long.

use std::time::Duration;

use attache_meeting::{
    ids::{MeetingId, TenantId},
    meeting::{Agent, Booking, Platform, Presence},
    vendors::avatar::AvatarProvider,
};
use jiff::Timestamp;
use serde_json::Map;

use crate::choices::Choices;

/// Trouble does not last for ever: a vendor that never answers again keeps nobody's promise.
const TROUBLE_LASTS: Duration = Duration::from_hours(5);

/// What is settled before a life begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub booking: Booking,
    /// How many of a hundred calls, webhooks and sockets meet trouble.
    pub trouble: u64,
    /// How many of a thousand turns end in a crash.
    pub crashes: u64,
    /// Until when anything goes wrong.
    pub calm_from: Timestamp,
    /// Whether there is a key for the transcriber.
    pub hears: bool,
    /// Whether somebody watches `live`.
    pub watched: bool,
}

/// When every life begins.
pub(crate) fn beginning() -> Timestamp {
    Timestamp::from_second(1_796_126_400).expect("a time in December 2026")
}

/// The words of the greeting.
pub(crate) const GREETING: &str = "Hi, this is Ada joining from Acme.";

impl Plan {
    pub(crate) fn choose(choices: &mut Choices) -> Self {
        let now = beginning();
        let trouble = choices.pick(&[0, 5, 15, 40]);
        let crashes = choices.pick(&[0, 5, 20, 60]);
        let starts_in = choices.pick(&[None, Some(4), Some(13), Some(95)]);
        let faces = [
            (Presence::Voice, None),
            (Presence::Avatar, None),
            (Presence::Avatar, Some(AvatarProvider::LiveAvatar)),
            (Presence::Avatar, Some(AvatarProvider::HeyGen)),
        ];
        let (presence, avatar_provider) = choices.pick(&faces);
        let hears = choices.percent(60);
        let page_microphone = hears && presence == Presence::Avatar && choices.percent(20);
        let has_voice = !choices.percent(8);
        let platforms = [Platform::GoogleMeet, Platform::Zoom, Platform::Webex];
        let platform =
            platforms[usize::from(choices.percent(20)) + usize::from(choices.percent(5))];
        Self {
            booking: Booking {
                id: MeetingId::mint(now, 1),
                tenant_id: TenantId::default_tenant(),
                meeting_url: "https://meet.google.com/abc-defg-hij".to_owned(),
                platform,
                title: None,
                starts_at: starts_in.map(|minutes| now + Duration::from_mins(minutes)),
                presence,
                agent: Agent {
                    name: "Ada".to_owned(),
                    company: Some("Acme".to_owned()),
                    greeting: GREETING.to_owned(),
                    voice_id: has_voice.then(|| "voice".to_owned()),
                    avatar_id: Some("avatar".to_owned()),
                    language: "en-US".to_owned(),
                },
                metadata: Map::new(),
                avatar_provider,
                page_microphone,
                early_join_minutes: 3,
                created_at: now,
            },
            trouble,
            crashes,
            calm_from: now + TROUBLE_LASTS,
            hears,
            watched: choices.percent(30),
        }
    }
}
