//! The project's commands: `cargo xtask <command>`.
//!
//! Each command installs what it needs first, says so in one line, and is silent about what is already there.
//! What it knows: the pinned tools, where they land, the order of steps.
//! What it does not know: anything about meetings or vendors.

mod advisories;
mod bench;
mod build;
mod chromium;
mod crash;
mod demo;
mod faults;
mod fingerprint;
mod fuzz;
mod nightly;
mod node;
mod page;
mod paths;
mod run;
mod rust_tools;
mod say;
mod soak;
mod test;
mod timeline;
mod toolchain;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds, runs and checks attache"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs everything that `build`, `dev` and `demo` need
    Setup,
    /// Builds the Worker into build/ and the bot's page into web/dist/, unless they are up to date
    Build,
    /// Runs the Worker for development: vendors without a key in .dev.vars are simulated
    Dev {
        /// Where the Worker listens
        #[arg(long, default_value_t = 8787)]
        port: u16,
    },
    /// Plays one simulated meeting from booking to recording, without any account
    Demo {
        /// How the delegate is seen and heard: `voice`, or `avatar` with its page in a Chromium, if there is one
        #[arg(long, default_value = "voice", value_parser = ["voice", "avatar"])]
        presence: String,
        /// Leaves the Worker and the simulator running afterwards
        #[arg(long)]
        keep: bool,
    },
    /// Measures the Worker side by side with plain JavaScript and the bare runtime
    Bench {
        /// One short round: shows that everything works, not how fast
        #[arg(long)]
        quick: bool,
        /// Puts the tables into bench/RESULTS.md
        #[arg(long, conflicts_with = "quick")]
        write: bool,
        /// Plays each part that is measured in rounds so many times; fewer are quicker and less certain
        #[arg(long, value_name = "NUMBER", conflicts_with = "quick")]
        rounds: Option<NonZeroUsize>,
        /// Measures this part only; may be repeated. Without it all but the hour are measured
        #[arg(long, value_name = "PART")]
        only: Vec<bench::Part>,
    },
    /// Kills the runtime again and again while a hundred meetings go on, and judges each of them
    Crash(crash::Arguments),
    /// Lives random meetings on a virtual clock and checks every promise
    Soak {
        /// How long
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        /// Where to begin; without it, somewhere else each time
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Tries every fault of every vendor's call on meetings in the real runtime, and writes docs/faults.md
    Faults {
        /// Compares the page with what was seen instead
        #[arg(long)]
        check: bool,
    },
    /// Takes the pictures of the bot's page in docs/page/
    Pictures,
    /// Prints what happened in a meeting of a running Worker
    Timeline(timeline::Arguments),
    /// Searches for inputs that break what the fuzz targets promise; exits 1 if it finds one
    Fuzz(fuzz::Arguments),
    /// Runs every check and test
    Test {
        /// Runs this stage only; may be repeated
        #[arg(long, value_name = "STAGE")]
        only: Vec<test::Stage>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => build::setup(),
        Command::Build => build::run(),
        Command::Dev { port } => demo::dev(port),
        Command::Demo { presence, keep } => demo::run(&presence, keep),
        Command::Crash(arguments) => crash::run(&arguments),
        Command::Soak { minutes, seed } => soak::run(minutes, seed),
        Command::Faults { check } => faults::run(check),
        Command::Pictures => page::pictures(),
        Command::Bench {
            quick,
            write,
            rounds,
            only,
        } => bench::run(quick, write, rounds, &only),
        Command::Timeline(arguments) => timeline::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        // The count is the last line, whatever it says.
        Command::Test { only } if test::run(&only) => Ok(()),
        Command::Test { .. } => return ExitCode::FAILURE,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::problem("Failed", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
