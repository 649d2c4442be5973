//! Scenarios: the built Worker in its real runtime against the simulated vendors, through the public API only.
//!
//! Most of them wait most of the time, so they run side by side on one Worker; each has a room of its own.

mod talking;
mod world;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::{Handle, Runtime};

use world::World;

/// How many scenarios run at a time: they wait more than they work.
const SIDE_BY_SIDE: usize = 12;

/// The longest a scenario may take; the slowest waits for a poll of a minute.
const LONGEST: Duration = Duration::from_secs(150);

/// Makes a trial of each scenario.
macro_rules! trials {
    ($stage:expr; $($theme:ident: $($scenario:ident)+;)+) => {
        vec![$($({
            let stage = $stage.clone();
            let name = concat!(stringify!($theme), "::", stringify!($scenario));
            Trial::test(name, move || stage.play($theme::$scenario(&stage.world)))
        },)+)+]
    };
}

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(SIDE_BY_SIDE);
    let runtime = Runtime::new().context("could not start tokio")?;
    let stage = Arc::new(Stage {
        world: World::default(),
        handle: runtime.handle().clone(),
    });
    let conclusion = libtest_mimic::run(&arguments, trials(&stage));
    // The Worker stops here, and its folder goes.
    let _inside = runtime.enter();
    drop(stage);
    Ok(conclusion.exit_code())
}

/// Where scenarios are played.
struct Stage {
    world: World,
    handle: Handle,
}

impl Stage {
    fn play(&self, scenario: impl Future<Output = Result<()>>) -> Result<(), Failed> {
        let bounded = async { tokio::time::timeout(LONGEST, scenario).await };
        match self.handle.block_on(bounded) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{error:#}").into()),
            Err(_) => Err(format!("not over after {LONGEST:?}").into()),
        }
    }
}

fn trials(stage: &Arc<Stage>) -> Vec<Trial> {
    trials! { stage;
        talking:
            a_delegate_is_booked_greets_talks_and_leaves_with_the_transcript_and_the_recording
        ;
    }
}
