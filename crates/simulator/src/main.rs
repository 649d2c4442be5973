//! The simulator as a program: prints where it is, then a line for everything that happens.

use std::io::IsTerminal as _;

use anyhow::Result;
use attache_simulator::{Entry, MeetingScript, PageMode, Simulator, SimulatorConfig, What};
use clap::{Parser, ValueEnum};
use url::Url;

/// Recall, Deepgram, `ElevenLabs`, `LiveAvatar` and `HeyGen` on a local port.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where workspace webhooks go, for example `http://127.0.0.1:8787/webhooks/recall`.
    #[arg(long)]
    webhook_url: Option<Url>,
    /// What happens in every meeting.
    #[arg(long, value_enum, default_value_t = Script::Demo)]
    script: Script,
    /// Who plays the pages that bots show.
    #[arg(long, value_enum, default_value_t = Pages::Scripted)]
    pages: Pages,
    /// How much faster than real time meetings run.
    #[arg(long, default_value_t = 1.0)]
    time_scale: f64,
    /// The key Recall accepts.
    #[arg(long)]
    recall_key: Option<String>,
    /// The key `ElevenLabs` accepts.
    #[arg(long)]
    elevenlabs_key: Option<String>,
    /// The key Deepgram accepts.
    #[arg(long)]
    deepgram_key: Option<String>,
    /// The key `LiveAvatar` accepts.
    #[arg(long)]
    liveavatar_key: Option<String>,
    /// The key `HeyGen` accepts.
    #[arg(long)]
    heygen_key: Option<String>,
    /// The secret webhooks are signed with: whsec_ and base64.
    #[arg(long)]
    webhook_secret: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Script {
    /// Half a minute with a waiting room, two people and an end.
    Demo,
    /// In the call at once, until told to leave.
    Instant,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pages {
    /// Nobody.
    Nobody,
    /// A stand-in that speaks the page's protocol.
    Scripted,
    /// A real Chromium, if one is installed.
    Chromium,
}

#[tokio::main]
async fn main() -> Result<()> {
    let sim = Simulator::start(config(Arguments::parse())).await?;
    println!("RECALL_BASE_URL={}", sim.recall_base_url());
    println!("ELEVENLABS_BASE_URL={}", sim.elevenlabs_base_url());
    println!("DEEPGRAM_BASE_URL={}", sim.deepgram_base_url());
    println!("LIVEAVATAR_BASE_URL={}", sim.liveavatar_base_url());
    println!("HEYGEN_BASE_URL={}", sim.heygen_base_url());
    println!(
        "# with a browser of your own, the avatars are played at {}",
        sim.studio_url()
    );
    let colours = std::io::stdout().is_terminal();
    tokio::select! {
        () = print_all(&sim, colours) => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    sim.stop().await;
    Ok(())
}

fn config(arguments: Arguments) -> SimulatorConfig {
    let mut config = SimulatorConfig {
        webhook_url: arguments.webhook_url,
        time_scale: arguments.time_scale,
        default_script: match arguments.script {
            Script::Demo => MeetingScript::short_demo(),
            Script::Instant => MeetingScript::instant(),
        },
        pages: match arguments.pages {
            Pages::Nobody => PageMode::Nobody,
            Pages::Scripted => PageMode::Scripted,
            Pages::Chromium => PageMode::Chromium(None),
        },
        ..SimulatorConfig::default()
    };
    config.bind.set_port(arguments.port);
    for (given, field) in [
        (arguments.recall_key, &mut config.recall_api_key),
        (arguments.elevenlabs_key, &mut config.elevenlabs_api_key),
        (arguments.deepgram_key, &mut config.deepgram_api_key),
        (arguments.liveavatar_key, &mut config.liveavatar_api_key),
        (arguments.heygen_key, &mut config.heygen_api_key),
        (arguments.webhook_secret, &mut config.webhook_secret),
    ] {
        if let Some(given) = given {
            *field = given;
        }
    }
    config
}

async fn print_all(sim: &Simulator, colours: bool) {
    let mut next = 0;
    loop {
        sim.journal_grows_beyond(next).await;
        for entry in sim.journal_since(next) {
            next = entry.seq + 1;
            println!("{}", line(&entry, colours));
        }
    }
}

fn line(entry: &Entry, colours: bool) -> String {
    let colour = match &entry.what {
        What::Request(request) if request.status.is_none_or(|status| status >= 400) => "31",
        What::Request(_) => "36",
        What::Webhook(sent) if sent.status.is_some_and(|status| status < 300) => "90",
        What::Webhook(_) => "31",
        What::Status { .. } => "33",
        What::Heard { .. } => "32",
        What::Audio { .. } | What::Listening { .. } => "35",
        What::Avatar { .. } | What::Page { .. } => "34",
        What::Said { .. } | What::HugeAnswer { .. } | What::Note(_) => "0",
    };
    if colours {
        format!("\x1b[{colour}m{entry}\x1b[0m")
    } else {
        entry.to_string()
    }
}
