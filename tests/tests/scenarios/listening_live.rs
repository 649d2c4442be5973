//! Many who watch what is heard: all see the same, none is in the way of another, and none keeps a meeting awake.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use attache_simulator::{Event, MeetingScript};
use attache_tests::API_KEY;
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::ears::{DANA, heard, listened, says, watch};
use crate::world::{Room, SOON, World};

/// How many watch at once.
const WATCHERS: usize = 50;

/// What is written in the call before a watcher that reads nothing: more than any system keeps for a socket.
const CHATS: usize = 60;
const CHAT: usize = 100_000;

/// The runtime takes an idle object out of memory after ten seconds, and tells nobody.
const SLEEPS_AFTER: Duration = Duration::from_secs(12);
const NAPS: usize = 4;

pub(crate) async fn fifty_watchers_see_the_same(world: &World) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    room.until_greeted().await?;
    let opened = (0..WATCHERS).map(|_| room.api.live(&room.id));
    let mut watchers = try_join_all(opened).await?;
    for live in &mut watchers {
        ensure!(live.next_event(SOON).await?["type"] == "meeting");
    }
    let words = "Can everybody follow what is said here?";
    room.happens(says(DANA, words))?;
    let seen = try_join_all(watchers.iter_mut().map(|live| watch(live, words))).await?;
    // Some were there before the others.
    let since = |events: &[Value]| {
        let first = events
            .iter()
            .position(|event| event["type"] == "speech.started");
        events[first.unwrap_or_default()..].to_vec()
    };
    let expected = since(&seen[0]);
    ensure!(
        expected
            .iter()
            .any(|event| event["type"] == "transcript.partial"),
        "{expected:?}"
    );
    for events in &seen {
        ensure!(
            since(events) == expected,
            "{events:?} instead of {expected:?}"
        );
    }
    room.hang_up().await.map(drop)
}

/// A watcher that takes as little as a socket can, and then nothing at all.
async fn deaf(room: &Room<'_>) -> Result<WebSocketStream<TcpStream>> {
    let address = room.api.base_url().replacen("http://", "", 1);
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let stream = socket.connect(address.parse()?).await?;
    let mut request =
        format!("ws://{address}/v1/meetings/{}/live", room.id).into_client_request()?;
    request
        .headers_mut()
        .insert("authorization", format!("Bearer {API_KEY}").parse()?);
    let (socket, _response) = client_async(request, stream).await?;
    Ok(socket)
}

pub(crate) async fn a_watcher_that_reads_nothing_is_in_nobodys_way(world: &World) -> Result<()> {
    let room = listened(world.listening().await?, MeetingScript::instant()).await?;
    let deaf = deaf(&room).await?;
    let mut live = room.api.live(&room.id).await?;
    for number in 0..CHATS {
        let words = format!("{number} {}", "x".repeat(CHAT));
        room.happens(Event::Chats {
            name: DANA.to_owned(),
            text: words.clone(),
        })?;
        // Each is seen before the next is written.
        loop {
            let event = live
                .next_event(SOON)
                .await
                .with_context(|| format!("chat {number}"))?;
            if event["type"] == "chat" && event["text"] == words.as_str() {
                break;
            }
        }
    }
    let words = "Then let us go on with the agenda.";
    room.happens(says(DANA, words))?;
    watch(&mut live, words).await?;
    let told = room.hang_up().await?;
    ensure!(heard(&told) == words, "{told:?}");
    drop(deaf);
    Ok(())
}

pub(crate) async fn a_finished_meeting_sleeps_although_somebody_watches(
    world: &World,
) -> Result<()> {
    let system = world.listening().await?;
    let room = listened(system, MeetingScript::instant()).await?;
    room.says(DANA, "Good night.").await?;
    room.until_heard("Good night.").await?;
    room.hang_up().await?;
    room.until_settled().await?;
    let mut live = room.api.live(&room.id).await?;
    ensure!(live.next_event(SOON).await?["type"] == "meeting");
    let loaded = || {
        let lines = system.runtime.output();
        let own = lines
            .iter()
            .filter(|line| line.contains("a meeting was loaded") && line.contains(&room.id));
        own.count()
    };
    let before = loaded();
    let ended = room.meeting().await?;
    for _ in 0..NAPS {
        tokio::time::sleep(SLEEPS_AFTER).await;
        live.send("ping").await?;
        ensure!(live.next_text(SOON).await? == "pong");
        ensure!(loaded() == before, "a ping woke the meeting");
        // Whoever asks wakes it, and finds it as it was.
        ensure!(room.meeting().await? == ended);
        // The line is written before the answer, and read by another thread.
        if loaded() > before {
            live.send("ping").await?;
            ensure!(live.next_text(SOON).await? == "pong");
            return Ok(());
        }
    }
    bail!("the meeting never slept")
}
