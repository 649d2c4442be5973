//! The project's commands: `cargo xtask <command>`.
//!
//! Each command installs what it needs first, says so in one line, and is silent about what is already there.
//! What it knows: the pinned tools, where they land, the order of steps.
//! What it does not know: anything about meetings or vendors.

mod build;
mod nightly;
mod node;
mod paths;
mod run;
mod rust_tools;
mod say;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, runs and checks attache",
    version
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs everything that `build` and `dev` need
    Setup,
    /// Builds the Worker into build/, unless it is up to date
    Build,
}

fn main() {
    let outcome = match Arguments::parse().command {
        Command::Setup => build::setup(),
        Command::Build => build::run(),
    };
    if let Err(error) = outcome {
        say::failure(&error);
        std::process::exit(1);
    }
}
