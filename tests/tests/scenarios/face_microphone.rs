//! The page's microphone as the delegate's ears, where Recall's audio socket is not used.

use std::time::Duration;

use anyhow::{Result, ensure};
use attache_simulator::{PageMode, SimulatorConfig};
use attache_tests::PageSocket;
use serde_json::json;

use crate::face_page::{token, without_page};
use crate::world::{SOON, World, listening_vendors};

/// A tenth of a second of 16 kHz, which is how often it is sent.
const FRAME_BYTES: usize = 3_200;
const PACE: Duration = Duration::from_millis(100);

pub(crate) async fn the_call_can_be_heard_through_the_pages_microphone(
    world: &World,
) -> Result<()> {
    let vendors = SimulatorConfig {
        pages: PageMode::Nobody,
        ..listening_vendors()
    };
    let key = vendors.deepgram_api_key.clone();
    let with_microphone = |settings: attache_tests::Settings| {
        settings
            .with("DEEPGRAM_API_KEY", &key)
            .with("PAGE_MICROPHONE", "on")
    };
    let system = world.start(vendors, with_microphone).await?;
    let room = without_page(&system).await?;
    let token = token(&system, &room.id, "default", 60)?;
    let mut page = PageSocket::open(&room.api, &room.id, &token).await?;
    let hello = page.until_told("hello", SOON).await?;
    ensure!(hello["microphone"] == true, "{hello}");
    page.say(&json!({ "type": "ready" })).await?;

    let words = "The page hears this as well.";
    let line = system.simulator.line("Dana", words);
    let mut ticks = tokio::time::interval(PACE);
    for frame in line.pcm.chunks(FRAME_BYTES) {
        ticks.tick().await;
        page.hear(frame).await?;
    }
    room.until_heard(words).await?;
    let sessions = room.sessions();
    ensure!(sessions.len() == 1, "{} sessions", sessions.len());
    ensure!(*sessions[0].audio == line.pcm, "other sound than was sent");
    Ok(())
}
