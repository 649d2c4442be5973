//! Picture and sound of an avatar, from browser to browser, into the vendor's own client.
#![allow(
    clippy::unwrap_used,
    reason = "a broken browser fails the test that uses it"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use attache_simulator::{Autoplay, AvatarNews, Browser, Page, RoomFault, Simulator};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde_json::{Value, json};
use support::Bench;
use support::avatar::{Client, connected, say, speech};
use support::browser::tools;

/// A browser on a busy machine takes its time.
const SOON: Duration = Duration::from_secs(40);
/// Joins a room as a viewer does and keeps what happens.
const VIEWER: &str = r#"<!doctype html><body><video autoplay playsinline></video><script src="/livekit-client.js"></script>
<script>
const events = [];
const video = document.querySelector("video");
let loudest = 0;
async function watch(url, token) {
  // The microphone first: it is what allows sound to play.
  await navigator.mediaDevices.getUserMedia({ audio: true });
  const room = new LivekitClient.Room();
  room.on("trackSubscribed", (track, _, participant) => {
    events.push(`${participant.identity} ${track.kind}`);
    track.attach(video);
    if (track.kind === "audio") listen(track.mediaStreamTrack);
  });
  for (const name of ["signalReconnecting", "reconnected", "participantDisconnected"]) {
    room.on(name, () => events.push(name));
  }
  room.on("disconnected", (reason) => events.push(`disconnected ${reason}`));
  await room.connect(url, token);
  window.room = room;
}
function listen(track) {
  const context = new AudioContext();
  const meter = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream([track])).connect(meter);
  const levels = new Float32Array(meter.fftSize);
  setInterval(() => {
    meter.getFloatTimeDomainData(levels);
    loudest = Math.max(loudest, ...levels.map(Math.abs));
  }, 20);
}
async function moves() {
  const frames = () => video.getVideoPlaybackQuality().totalVideoFrames;
  const before = frames();
  await new Promise((resolve) => setTimeout(resolve, 400));
  return frames() > before;
}
</script>"#;

/// Serves the viewer's page; returns its URL.
async fn serve(client: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let page = || async { ([(CONTENT_TYPE, "text/html")], VIEWER) };
    let script = move || async move { ([(CONTENT_TYPE, "text/javascript")], client) };
    let app = Router::new()
        .route("/", get(page))
        .route("/livekit-client.js", get(script));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

async fn happens(page: &Page, what: &str) {
    page.wait_until(&format!("events.includes({})", json!(what)), SOON)
        .await
        .unwrap();
}

/// Joins and waits until that is done.
async fn watch(browser: &Browser, url: &str, session: &Value) -> Page {
    let page = join(browser, url, session).await;
    page.wait_until("window.room !== undefined", SOON)
        .await
        .unwrap();
    page
}

async fn join(browser: &Browser, url: &str, session: &Value) -> Page {
    let page = browser.open(url).await.unwrap();
    page.wait_until("typeof watch === 'function'", SOON)
        .await
        .unwrap();
    let (room, token) = (&session["livekit_url"], &session["livekit_client_token"]);
    page.evaluate(&format!("void watch({room}, {token})"))
        .await
        .unwrap();
    page
}

async fn studio(sim: &Simulator, chromium: &Path) -> Browser {
    let browser = Browser::launch(chromium, Autoplay::Always).await.unwrap();
    browser.open(&sim.studio_url()).await.unwrap();
    sim.studio_opens(SOON).await.unwrap();
    browser
}

#[tokio::test]
async fn a_viewer_sees_and_hears_the_avatar_until_the_room_is_deleted() {
    let Some((chromium, client_script)) = tools() else {
        return;
    };
    let bench = Bench::instant().await;
    let sim = &bench.sim;
    let _studio = studio(sim, &chromium).await;
    let url = serve(client_script).await;
    let browser = Browser::launch(&chromium, Autoplay::AsUsual).await.unwrap();
    let client = Client::new(sim, "mtg_1");
    let session = client.start().await;
    let id = session["session_id"].as_str().unwrap();
    let page = watch(&browser, &url, &session).await;
    happens(&page, "heygen video").await;
    happens(&page, "heygen audio").await;
    page.wait_until("moves()", SOON).await.unwrap();
    assert_eq!(page.evaluate("room.canPlaybackAudio").await.unwrap(), true);
    assert!(page.evaluate("loudest").await.unwrap().as_f64().unwrap() < 0.01);
    let mut socket = connected(&session).await;
    say(
        &mut socket,
        "utt-1",
        &speech(&bench, "Hi, this is Ada joining from Acme.").await,
    )
    .await;
    page.wait_until("loudest > 0.05", SOON).await.unwrap();
    sim.room_fault(id, RoomFault::SignalLost);
    happens(&page, "reconnected").await;
    page.wait_until("moves()", SOON).await.unwrap();
    sim.room_fault(id, RoomFault::PictureFrozen);
    page.wait_until("moves().then((moving) => !moving)", SOON)
        .await
        .unwrap();
    client.stop(&session).await;
    happens(&page, "disconnected 5").await;
    let session = sim.avatar_session(id).unwrap();
    assert!(
        !session.viewers.is_empty()
            && session
                .viewers
                .iter()
                .all(|viewer| viewer.left_at.is_some())
    );
    let journal = format!("{:?}", sim.journal());
    assert!(!journal.contains("eyJ"), "no token is written down");
    page.close().await.unwrap();
}

#[tokio::test]
async fn a_viewer_waits_for_the_studio_and_a_second_one_takes_its_place() {
    let Some((chromium, client_script)) = tools() else {
        return;
    };
    let bench = Bench::instant().await;
    let sim = &bench.sim;
    let url = serve(client_script).await;
    let browser = Browser::launch(&chromium, Autoplay::AsUsual).await.unwrap();
    let client = Client::new(sim, "mtg_1");
    let session = client.start().await;
    let page = join(&browser, &url, &session).await;
    let joined = |_: &str, news: &AvatarNews| *news == AvatarNews::ViewerJoined;
    sim.wait_for_avatar(joined, SOON).await.unwrap();
    assert_eq!(page.evaluate("events").await.unwrap(), json!([]));
    let _studio = studio(sim, &chromium).await;
    happens(&page, "heygen video").await;
    page.wait_until("moves()", SOON).await.unwrap();
    sim.room_fault(
        session["session_id"].as_str().unwrap(),
        RoomFault::AvatarLeft,
    );
    happens(&page, "participantDisconnected").await;
    let second = watch(&browser, &url, &session).await;
    happens(&page, "disconnected 2").await;
    second.close().await.unwrap();
}
