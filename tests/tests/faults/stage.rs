//! Where the meetings are held: Workers that they share, with vendors of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{AvatarProvider, MeetingScript, SimulatorConfig, What};
use attache_tests::System;
use url::Url;

use crate::catalogue::Place;
use crate::ledger::Ledger;

/// One Worker with its vendors.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) system: System,
    pub(crate) ledger: Ledger,
}

/// Starts a Worker for each of these places.
pub(crate) async fn start(
    places: impl IntoIterator<Item = Place>,
    elsewhere: &Url,
) -> Result<BTreeMap<Place, Stage>> {
    let mut stages = BTreeMap::new();
    for place in places {
        if let std::collections::btree_map::Entry::Vacant(free) = stages.entry(place) {
            free.insert(Stage::start(place, elsewhere).await?);
        }
    }
    Ok(stages)
}

impl Stage {
    async fn start(place: Place, elsewhere: &Url) -> Result<Self> {
        let vendors = SimulatorConfig {
            webhook_retry_scale: 0.1,
            realtime_retry_scale: 0.2,
            default_script: MeetingScript::instant(),
            audio_frame: Duration::from_millis(200),
            deepgram_pace: false,
            deepgram_audio: false,
            elsewhere: Some(elsewhere.clone()),
            ..SimulatorConfig::default()
        };
        let (liveavatar, heygen, deepgram) = (
            vendors.liveavatar_api_key.clone(),
            vendors.heygen_api_key.clone(),
            vendors.deepgram_api_key.clone(),
        );
        let system = System::start_with(vendors, |settings| match place {
            Place::Plain => settings,
            Place::Deepgram => settings.with("DEEPGRAM_API_KEY", &deepgram),
            Place::LiveAvatar => settings.with_avatars(AvatarProvider::LiveAvatar, &liveavatar),
            Place::HeyGen => settings.with_avatars(AvatarProvider::HeyGen, &heygen),
        });
        Ok(Self {
            system: system.await.with_context(|| format!("{place:?}"))?,
            ledger: Ledger::default(),
        })
    }

    /// Holds that no huge answer was taken in, as far as there were some.
    pub(crate) fn took_in_no_huge_answer(&self) -> Result<()> {
        for entry in self.system.simulator.journal() {
            if let What::HugeAnswer { taken, bytes } = entry.what {
                ensure!(taken < bytes / 4, "{taken} of {bytes} bytes were taken");
            }
        }
        Ok(())
    }

    /// Holds that nothing secret was printed, and that something was.
    pub(crate) fn printed_no_secret(&self) -> Result<()> {
        let runtime = &self.system.runtime;
        let leaked = runtime.leaked_secrets();
        ensure!(leaked.is_empty(), "{leaked:?}");
        let output = runtime.output();
        let marks = ["att_", "token=", "nonce=", "&t="];
        let marked = |line: &&String| marks.iter().any(|mark| line.contains(mark));
        let leaks: Vec<&String> = output.iter().filter(marked).collect();
        ensure!(leaks.is_empty(), "{leaks:?}");
        let logged = output.iter().any(|line| line.contains("duration_ms"));
        ensure!(logged, "there is no log to look into");
        Ok(())
    }
}
