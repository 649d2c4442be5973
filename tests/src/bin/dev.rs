//! `cargo xtask dev`: the Worker under `wrangler dev` in the checkout, simulated vendors where `.dev.vars` has no key.
//!
//! wrangler keeps the terminal: it rebuilds on a change and stops on Ctrl-C, and the simulator with it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use attache_simulator::{Simulator, SimulatorConfig};
use attache_tests::{Settings, checkout};
use clap::Parser;
use url::Url;

/// Set to fakes when they are in neither `.dev.vars` nor a vendor's list.
const OWN: [&str; 4] = ["API_KEY", "ADMIN_API_KEY", "TOKEN_SECRET", "PUBLIC_URL"];

/// What each simulated vendor needs: the key that calls for the real one, its address, and more.
const VENDORS: [(&str, &[&str]); 3] = [
    (
        "Recall",
        &["RECALL_API_KEY", "RECALL_BASE_URL", "RECALL_WEBHOOK_SECRET"],
    ),
    ("Deepgram", &["DEEPGRAM_API_KEY", "DEEPGRAM_BASE_URL"]),
    (
        "ElevenLabs",
        &[
            "ELEVENLABS_API_KEY",
            "ELEVENLABS_BASE_URL",
            "ELEVENLABS_VOICE_ID",
        ],
    ),
];

#[derive(Parser)]
#[command(about = "Runs the Worker for development")]
struct Arguments {
    /// Where the Worker listens
    #[arg(long, default_value_t = 8787)]
    port: u16,
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = Arguments::parse().port;
    let origin = format!("http://127.0.0.1:{port}");
    let config = SimulatorConfig::default();
    let webhook_secret = config.webhook_secret.clone();
    let deepgram_key = config.deepgram_api_key.clone();
    let simulator = Simulator::start(config).await?;
    simulator.set_webhook_url(Url::parse(&format!("{origin}/webhooks/recall"))?);
    let (recall, elevenlabs) = (simulator.recall_base_url(), simulator.elevenlabs_base_url());
    let fakes = Settings::new(&recall, &elevenlabs, &webhook_secret)
        .with("DEEPGRAM_API_KEY", &deepgram_key)
        .with("DEEPGRAM_BASE_URL", &simulator.deepgram_base_url())
        .with("PUBLIC_URL", &origin);

    let names = names_to_fake(&names_in_dev_vars()?);
    println!("Worker at {origin}");
    for (vendor, vendor_names) in VENDORS {
        let (key, base_url) = (vendor_names[0], vendor_names[1]);
        if names.contains(&key) {
            println!(
                "{vendor} simulated at {}",
                fakes.get(base_url).unwrap_or_default()
            );
        } else {
            println!("{vendor} is the real one, with the key from .dev.vars");
        }
    }
    if names.contains(&"API_KEY") {
        println!("API key {}", attache_tests::API_KEY);
    }
    run_wrangler(
        port,
        names
            .iter()
            .filter_map(|name| Some((*name, fakes.get(name)?))),
    )
    .await
}

/// The variables that get a fake value, given those that the developer has set.
fn names_to_fake(set: &BTreeSet<String>) -> Vec<&'static str> {
    let own = OWN.into_iter().filter(|name| !set.contains(*name));
    let vendors = VENDORS.into_iter().map(|(_, names)| names);
    let faked = vendors.filter(|names| !set.contains(names[0]));
    own.chain(faked.flatten().copied()).collect()
}

fn names_in_dev_vars() -> Result<BTreeSet<String>> {
    let path = checkout().join(".dev.vars");
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let text = fs::read_to_string(path).context("could not read .dev.vars")?;
    Ok(set_names(&text))
}

/// The names that have a value; a line such as `DEEPGRAM_API_KEY=` is a blank to be filled in.
fn set_names(dev_vars: &str) -> BTreeSet<String> {
    let lines = dev_vars
        .lines()
        .map(|line| line.trim().trim_start_matches("export "));
    let pairs = lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='));
    let filled = pairs.filter(|(_, value)| !value.trim().trim_matches(['"', '\'']).is_empty());
    filled.map(|(name, _)| name.trim().to_owned()).collect()
}

async fn run_wrangler<'a>(port: u16, vars: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let mut wrangler = tokio::process::Command::new(checkout().join("node_modules/.bin/node"));
    wrangler
        .arg(checkout().join("node_modules/wrangler/bin/wrangler.js"))
        .args(["dev", "--ip=127.0.0.1", &format!("--port={port}")])
        .current_dir(checkout())
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
    for (name, value) in vars {
        wrangler.arg("--var").arg(format!("{name}:{value}"));
    }
    // Ctrl-C reaches wrangler as well; this program waits for it to end instead of ending first.
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    let status = wrangler
        .status()
        .await
        .context("could not start wrangler")?;
    ensure!(status.success(), "wrangler ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_is_simulated_until_its_key_is_filled_in() {
        let set = set_names("# ELEVENLABS_API_KEY=x\nRECALL_API_KEY=\nAPI_KEY=\"mine\"\n");
        assert_eq!(set, BTreeSet::from(["API_KEY".to_owned()]));
        let names = names_to_fake(&set);
        assert!(names.contains(&"RECALL_BASE_URL") && names.contains(&"ELEVENLABS_BASE_URL"));
        assert!(!names.contains(&"API_KEY"));

        let names = names_to_fake(&set_names("RECALL_API_KEY=fake\n"));
        assert!(!names.contains(&"RECALL_BASE_URL") && names.contains(&"ELEVENLABS_BASE_URL"));
    }
}
