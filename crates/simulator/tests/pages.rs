//! The pages that bots show, played by the stand-in and by a real browser.
#![allow(
    clippy::unwrap_used,
    reason = "a broken page fails the test that uses it"
)]

mod support;

use std::path::PathBuf;
use std::time::Duration;

use attache_simulator::{
    AvatarNews, Browser, Event, Heard, MeetingScript, PageHabits, PageMode, PageNews, PageVoice,
    RoomFault, SimulatorConfig,
};
use serde_json::{Value, json};
use support::agent::Agent;
use support::avatar::{Client, connected, say, speech, tell};
use support::browser::tools;
use support::{Bench, MEET};

/// A browser on a busy machine takes its time.
const SOON: Duration = Duration::from_secs(40);

async fn bench(pages: PageMode) -> Bench {
    Bench::start(SimulatorConfig {
        pages,
        default_script: MeetingScript::instant(),
        ..SimulatorConfig::default()
    })
    .await
}

async fn page_news(bench: &Bench, wanted: impl FnMut(&PageNews) -> bool) {
    bench.sim.wait_for_page(MEET, wanted, SOON).await.unwrap();
}

/// The `nth` thing the room hears from the page.
async fn heard(bench: &Bench, nth: usize) -> attache_simulator::HeardPage {
    let wanted = |entry: &attache_simulator::Entry| {
        matches!(
            &entry.what,
            attache_simulator::What::Heard {
                heard: Heard::Page(_),
                ..
            }
        )
    };
    let mut seen = 0;
    let is_nth = |entry: &attache_simulator::Entry| {
        seen += usize::from(wanted(entry));
        wanted(entry) && seen == nth
    };
    bench.sim.wait_for(is_nth, SOON).await.unwrap();
    bench.sim.heard_from_pages(MEET)[nth - 1].clone()
}

#[tokio::test]
async fn the_page_is_open_while_the_bot_is_in_the_call() {
    let bench = Bench::start(SimulatorConfig {
        default_script: MeetingScript::manual(),
        ..SimulatorConfig::default()
    })
    .await;
    let mut agent = Agent::start("<!doctype html>").await;
    let bot = bench.create(&agent.bot()).await;
    bench.sim.advance(&bot, Event::JoiningCall).unwrap();
    assert!(bench.sim.reload_page(&bot).await.is_err());
    bench.sim.advance(&bot, Event::InCallNotRecording).unwrap();
    agent.hears("ready").await;
    page_news(&bench, |news| *news == PageNews::Loaded(200)).await;
    bench.sim.reload_page(&bot).await.unwrap();
    agent.hears("ready").await;
    bench
        .sim
        .advance(&bot, Event::CallEnded("call_ended_by_host".to_owned()))
        .unwrap();
    page_news(&bench, |news| *news == PageNews::Closed).await;
    let journal = format!("{:?}", bench.sim.journal());
    assert!(
        !journal.contains("sealed-page-token"),
        "no token is written down"
    );
}

#[tokio::test]
async fn what_the_page_is_given_to_say_is_heard_in_order_until_it_is_interrupted() {
    let bench = bench(PageMode::Scripted).await;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    agent.speak(
        "utt_1",
        "pcm_24000",
        &speech(&bench, "Hi, this is Ada.").await,
    );
    agent.speak(
        "utt_2",
        "pcm_24000",
        &speech(&bench, "This will never be said to its end.").await,
    );
    assert_eq!(agent.hears("spoken").await["utterance_id"], "utt_1");
    agent.hears("playing").await;
    agent.tell(&json!({ "type": "interrupt" }));
    let playing = agent.hears("playing").await;
    assert_eq!(
        (&playing["utterance_id"], &playing["interrupted"]),
        (&json!("utt_2"), &json!(true))
    );
    let first = heard(&bench, 1).await;
    assert_eq!(first.text.as_deref(), Some("Hi, this is Ada."));
    let second = heard(&bench, 2).await;
    assert!(second.text.as_ref().unwrap().starts_with("This will never"));
    assert!(second.duration_ms < 1_500 && !second.measured, "{second:?}");
    assert!(second.at >= first.at + Duration::from_millis(first.duration_ms));
}

#[tokio::test]
async fn the_page_comes_back_and_tells_what_it_could_not_tell() {
    let bench = bench(PageMode::Scripted).await;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    agent.tell(
        &json!({ "type": "speak.start", "utterance_id": "utt_1", "format": "mp3", "text": "…" }),
    );
    agent.tell(&json!({ "type": "ping" }));
    agent.hears("pong").await;
    agent.hang_up();
    agent.hears("ready").await;
    let failed = agent.hears("speak.failed").await;
    assert_eq!(failed["utterance_id"], "utt_1");
    assert_eq!(failed["played_ms"], 0);
}

#[tokio::test]
async fn what_is_cut_off_with_the_connection_is_played_as_far_as_it_came() {
    let bench = bench(PageMode::Scripted).await;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    let sound = speech(&bench, "Hi, this is Ada, and this is not all.").await;
    agent.begin_to_speak("utt_1", "pcm_24000", &sound);
    agent.hears("playing").await;
    agent.hang_up();
    agent.hears("ready").await;
    assert_eq!(agent.hears("playing").await["utterance_id"], "utt_1");
    let failed = agent.hears("speak.failed").await;
    assert_eq!(failed["reason"], "the connection was lost");
    let heard = heard(&bench, 1).await;
    assert!(heard.stopped && heard.duration_ms > 1_000, "{heard:?}");
    assert_eq!(failed["played_ms"], heard.duration_ms);
}

#[tokio::test]
async fn the_stand_in_watches_the_avatar_and_the_room_hears_it() {
    let bench = bench(PageMode::Scripted).await;
    let sim = &bench.sim;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    let client = Client::new(sim, "mtg_1");
    let session = client.start().await;
    let mut socket = connected(&session).await;
    agent.tell(&join(&session));
    assert_eq!(
        agent.hears("avatar.tracks").await["session"],
        session["session_id"]
    );
    say(
        &mut socket,
        "utt-1",
        &speech(&bench, "Hi, this is Ada.").await,
    )
    .await;
    let first = heard(&bench, 1).await;
    assert_eq!(first.text.as_deref(), Some("Hi, this is Ada."));
    let id = &session["session_id"];
    assert_eq!(agent.hears("avatar.heard").await["session"], *id);
    agent.tell(&join(&session));
    assert_eq!(agent.hears("avatar.heard").await["session"], *id);
    assert_eq!(agent.hears("avatar.tracks").await["session"], *id);
    say(
        &mut socket,
        "utt-2",
        &speech(&bench, "This will never be said to its end.").await,
    )
    .await;
    let talks = |_: &str, news: &AvatarNews| *news == AvatarNews::Talking { utterance: 1 };
    sim.wait_for_avatar(talks, SOON).await.unwrap();
    tell(&mut socket, "agent.interrupt", "int-1").await;
    let second = heard(&bench, 2).await;
    assert!(second.duration_ms < 1_000, "{second:?}");
    client.stop(&session).await;
    assert_eq!(
        agent.hears("avatar.disconnected").await["reason"],
        "room_deleted"
    );
    agent.tell(&join(&session));
    agent.hears("avatar.disconnected").await;
    assert_eq!(sim.avatar_sessions()[0].viewers.len(), 1);
}

fn join(session: &Value) -> Value {
    json!({ "type": "avatar.join", "provider": "liveavatar", "session": session["session_id"],
        "url": session["livekit_url"], "token": session["livekit_client_token"] })
}

#[tokio::test]
async fn the_room_hears_an_avatar_only_while_the_page_is_in_its_room() {
    let bench = bench(PageMode::Scripted).await;
    let sim = &bench.sim;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    let client = Client::new(sim, "mtg_1");
    let session = client.start().await;
    let mut socket = connected(&session).await;
    let unheard = speech(&bench, "Nobody is here to hear this.").await;
    say(&mut socket, "utt-1", &unheard).await;
    sim.wait_for_avatar_speech("mtg_1", "Nobody", SOON)
        .await
        .unwrap();
    agent.tell(&join(&session));
    agent.hears("avatar.tracks").await;
    let half = speech(&bench, "Of this sentence only the beginning is heard.").await;
    say(&mut socket, "utt-2", &half).await;
    let talks = |_: &str, news: &AvatarNews| *news == AvatarNews::Talking { utterance: 1 };
    sim.wait_for_avatar(talks, SOON).await.unwrap();
    agent.tell(&json!({ "type": "avatar.leave", "session": session["session_id"] }));
    let heard = heard(&bench, 1).await;
    assert!(heard.text.as_ref().unwrap().starts_with("Of this"));
    assert!(heard.stopped && heard.duration_ms < 1_500, "{heard:?}");
    let id = session["session_id"].as_str().unwrap().to_owned();
    assert_eq!(heard.voice, PageVoice::Avatar(id));
    sim.wait_for_avatar_speech("mtg_1", "Of this", SOON)
        .await
        .unwrap();
    assert_eq!(sim.heard_from_pages(MEET).len(), 1);
    client.stop(&session).await;
}

#[tokio::test]
async fn what_goes_wrong_in_a_room_the_page_tells() {
    let bench = bench(PageMode::Scripted).await;
    let sim = &bench.sim;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    let client = Client::new(sim, "mtg_1");
    let session = client.start().await;
    let id = session["session_id"].as_str().unwrap();
    agent.tell(&join(&session));
    agent.hears("avatar.tracks").await;
    sim.room_fault(id, RoomFault::PictureFrozen);
    assert_eq!(agent.hears("video.frozen").await["session"], id);
    sim.room_fault(id, RoomFault::AvatarLeft);
    let gone = agent.hears("avatar.disconnected").await;
    assert_eq!(gone["reason"], "the avatar left its room");
    client.stop(&session).await;
}

#[tokio::test]
async fn a_page_may_come_late_and_hang_until_it_is_loaded_again() {
    let late = Duration::from_millis(300);
    let bench = Bench::start(SimulatorConfig {
        default_script: MeetingScript::instant(),
        page_habits: PageHabits {
            opens_after: late,
            alive: false,
            ..PageHabits::default()
        },
        ..SimulatorConfig::default()
    })
    .await;
    let mut agent = Agent::start("<!doctype html>").await;
    let bot = bench.create(&agent.bot()).await;
    let told = |news: &PageNews| *news == PageNews::Told("hello".to_owned());
    let told = bench.sim.wait_for_page(MEET, told, SOON).await.unwrap();
    let in_call = bench.sim.wait_for(
        |entry| matches!(&entry.what, attache_simulator::What::Status { code, .. } if code == "in_call_not_recording"),
        SOON,
    );
    let in_call = in_call.await.unwrap();
    assert!(told.at.duration_since(in_call.at) >= late.try_into().unwrap());
    bench.sim.set_page_habits(MEET, PageHabits::default());
    bench.sim.reload_page(&bot).await.unwrap();
    agent.hears("ready").await;
    let said = |entry: &&attache_simulator::Entry| {
        matches!(entry.what.page(), Some((_, PageNews::Said(_))))
    };
    let journal = bench.sim.journal();
    assert_eq!(journal.iter().filter(said).count(), 1, "it hung before");
}

#[tokio::test]
async fn speech_goes_on_while_the_socket_is_lost() {
    let bench = bench(PageMode::Scripted).await;
    let mut agent = Agent::start("<!doctype html>").await;
    let bot = bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    agent.speak(
        "utt_1",
        "pcm_24000",
        &speech(&bench, "Hi, this is Ada.").await,
    );
    agent.hears("playing").await;
    bench.sim.drop_page_socket(&bot).await.unwrap();
    agent.hears("ready").await;
    assert_eq!(agent.hears("spoken").await["utterance_id"], "utt_1");
    let heard = heard(&bench, 1).await;
    assert!(
        !heard.stopped && heard.voice == PageVoice::Page,
        "{heard:?}"
    );
}

#[tokio::test]
async fn blocked_sound_is_told_and_waits() {
    let bench = bench(PageMode::Scripted).await;
    let blocked = PageHabits {
        sound_blocked: true,
        ..PageHabits::default()
    };
    bench.sim.set_page_habits(MEET, blocked);
    let mut agent = Agent::start("<!doctype html>").await;
    let bot = bench.create(&agent.bot()).await;
    agent.hears("sound.blocked").await;
    for (id, text) in [("utt_1", "Never heard."), ("utt_2", "Hi, this is Ada.")] {
        agent.speak(id, "pcm_24000", &speech(&bench, text).await);
        if id == "utt_1" {
            agent.tell(&json!({ "type": "interrupt" }));
            agent.tell(&json!({ "type": "ping" }));
            agent.hears("pong").await;
            bench.sim.block_page_sound(&bot, false).await.unwrap();
            let interrupted = agent.hears("playing").await;
            assert_eq!(
                (&interrupted["interrupted"], &interrupted["played_ms"]),
                (&json!(true), &json!(0))
            );
            bench.sim.block_page_sound(&bot, true).await.unwrap();
            agent.hears("sound.blocked").await;
        }
    }
    agent.tell(&json!({ "type": "ping" }));
    agent.hears("pong").await;
    assert!(bench.sim.heard_from_pages(MEET).is_empty());
    bench.sim.block_page_sound(&bot, false).await.unwrap();
    assert_eq!(agent.hears("spoken").await["utterance_id"], "utt_2");
    assert_eq!(heard(&bench, 1).await.text.unwrap(), "Hi, this is Ada.");
}

#[tokio::test]
async fn speech_that_cannot_be_played_has_failed_and_unknown_formats_are_left_out() {
    let bench = bench(PageMode::Scripted).await;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    agent.speak("utt_1", "opus", &[1; 2_000]);
    agent.speak("utt_2", "mp3", &[0; 2_000]);
    let failed = agent.hears("speak.failed").await;
    assert_eq!(
        (&failed["utterance_id"], &failed["reason"]),
        (&json!("utt_2"), &json!("no mp3 frames in the sound"))
    );
    assert!(bench.sim.heard_from_pages(MEET).is_empty());
}

#[tokio::test]
async fn without_a_browser_the_journal_says_so_and_the_stand_in_steps_in() {
    let bench = bench(PageMode::Chromium(Some(PathBuf::from("/nowhere/chromium")))).await;
    let mut agent = Agent::start("<!doctype html>").await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    page_news(&bench, |news| matches!(news, PageNews::NoBrowser(_))).await;
}

/// Says when it is ready, plays a tone of 440 Hz for as long as it is told to, and tells how loud its
/// microphone is.
const TONE: &str = r#"<!doctype html><body style="background: #123456"><script type="module">
const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
const context = new AudioContext();
const meter = context.createAnalyser();
context.createMediaStreamSource(stream).connect(meter);
const levels = new Float32Array(meter.fftSize);
window.loudest = 0;
setInterval(() => {
  meter.getFloatTimeDomainData(levels);
  window.loudest = Math.max(window.loudest, ...levels.map(Math.abs));
}, 20);
const socket = new WebSocket(`ws://${location.host}/bot/socket`);
const tell = (message) => socket.send(JSON.stringify(message));
socket.onmessage = ({ data }) => {
  if (typeof data !== "string") return;
  const message = JSON.parse(data);
  if (message.type === "hello") tell({ type: "ready" });
  if (message.type === "tone") {
    const tone = new OscillatorNode(context, { frequency: 440 });
    const gain = new GainNode(context, { gain: 0.2 });
    tone.connect(gain).connect(context.destination);
    tone.start();
    tone.stop(context.currentTime + message.seconds);
    tone.onended = () => {
      gain.disconnect(context.destination);
      tell({ type: "spoken", utterance_id: "tone" });
    };
  }
};
</script>"#;

#[tokio::test]
async fn in_a_real_browser_the_room_hears_the_page_and_the_page_the_room() {
    if Browser::find().is_none() {
        eprintln!("skipped: no Chromium is installed");
        return;
    }
    let bench = bench(PageMode::Chromium(None)).await;
    let sim = &bench.sim;
    let mut agent = Agent::start(TONE).await;
    let bot = bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    page_news(&bench, |news| *news == PageNews::Loaded(200)).await;
    let picture = sim.page_picture(&bot).await.unwrap();
    assert!(picture.starts_with(b"\x89PNG"));
    assert_eq!(
        sim.evaluate_in_page(&bot, "`${innerWidth} ${innerHeight}`")
            .await
            .unwrap(),
        "1280 720"
    );
    assert!(sim.heard_from_pages(MEET).is_empty());
    agent.tell(&json!({ "type": "tone", "seconds": 1.0 }));
    agent.hears("spoken").await;
    let tone = heard(&bench, 1).await;
    assert!(tone.measured && tone.voice == PageVoice::Page);
    assert!((800..1_400).contains(&tone.duration_ms), "{tone:?}");
    assert!((400.0..480.0).contains(&frequency(&sim.page_sound(&bot))));
    assert!(
        sim.evaluate_in_page(&bot, "loudest")
            .await
            .unwrap()
            .as_f64()
            .unwrap()
            < 0.01
    );
    let says = Event::Says {
        name: "Dana Whitfield".to_owned(),
        text: "Shall we begin?".to_owned(),
    };
    sim.advance(&bot, says).unwrap();
    agent_waits(sim, &bot, "loudest > 0.05").await;
    sim.drop_page_socket(&bot).await.unwrap();
    page_news(&bench, |news| *news == PageNews::SocketClosed).await;
    sim.reload_page(&bot).await.unwrap();
    agent.hears("ready").await;
    sim.advance(&bot, Event::CallEnded("call_ended_by_host".to_owned()))
        .unwrap();
    page_news(&bench, |news| *news == PageNews::Closed).await;
    let complaints = sim.journal().into_iter().filter(|entry| {
        matches!(
            entry.what.page(),
            Some((_, PageNews::Complained(_) | PageNews::Failed(_)))
        )
    });
    assert_eq!(
        complaints
            .map(|entry| entry.to_string())
            .collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

async fn agent_waits(sim: &attache_simulator::Simulator, bot: &str, expression: &str) {
    let holds = async {
        while sim.evaluate_in_page(bot, expression).await.unwrap() != true {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, holds).await.unwrap();
}

/// The pitch of a tone of 16,000 samples a second, by its passages through zero.
fn frequency(pcm: &[u8]) -> f64 {
    let samples: Vec<i16> = pcm
        .chunks_exact(2)
        .map(|s| i16::from_le_bytes([s[0], s[1]]))
        .collect();
    let loud = |sample: &i16| sample.unsigned_abs() > 500;
    let first = samples.iter().position(loud).unwrap();
    let last = samples.iter().rposition(loud).unwrap();
    let tone = &samples[first..last];
    let crossings = tone
        .windows(2)
        .filter(|pair| pair[0] < 0 && pair[1] >= 0)
        .count();
    let seconds = f64::from(u32::try_from(tone.len()).unwrap()) / 16_000.0;
    f64::from(u32::try_from(crossings).unwrap()) / seconds
}

/// Joins the room it is told to join, and shows and plays what is there.
const VIEWER: &str = r#"<!doctype html><body><video autoplay playsinline></video><script src="/script.js"></script>
<script type="module">
await navigator.mediaDevices.getUserMedia({ audio: true });
const socket = new WebSocket(`ws://${location.host}/bot/socket`);
const tell = (message) => socket.send(JSON.stringify(message));
socket.onmessage = async ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "hello") tell({ type: "ready" });
  if (message.type !== "avatar.join") return;
  const room = new LivekitClient.Room();
  let tracks = 0;
  room.on("trackSubscribed", (track) => {
    track.attach(document.querySelector("video"));
    tracks += 1;
    if (tracks === 2) tell({ type: "avatar.tracks", session: message.session, first_frame_ms: 1 });
  });
  await room.connect(message.url, message.token);
};
</script>"#;

#[tokio::test]
async fn in_a_real_browser_the_room_hears_the_avatar_that_the_page_watches() {
    let Some((chromium, client_script)) = tools() else {
        return;
    };
    let bench = bench(PageMode::Chromium(Some(chromium))).await;
    let sim = &bench.sim;
    let mut agent = Agent::with_script(VIEWER, client_script).await;
    bench.create(&agent.bot()).await;
    agent.hears("ready").await;
    let client = Client::new(sim, "mtg_of_nobody");
    let session = client.start().await;
    let mut socket = connected(&session).await;
    agent.tell(&join(&session));
    agent.hears("avatar.tracks").await;
    let pcm = speech(&bench, "Hi, this is Ada joining from Acme.").await;
    say(&mut socket, "utt-1", &pcm).await;
    let first = heard(&bench, 1).await;
    let spoken_ms = u64::try_from(pcm.len() / 48).unwrap();
    assert!(first.measured && matches!(first.voice, PageVoice::Avatar(_)));
    assert_eq!(
        first.text.as_deref(),
        Some("Hi, this is Ada joining from Acme.")
    );
    assert!(
        first.duration_ms.abs_diff(spoken_ms) < 700,
        "{first:?}, spoken {spoken_ms} ms"
    );
    assert_eq!(sim.avatar_sessions()[0].viewers.len(), 1);
    client.stop(&session).await;
}
