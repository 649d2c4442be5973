//! Drives avatar sessions through time, whether or not they have a socket.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Stream;
use crate::journal::What;
use crate::world::{Models, World};

/// Without anything due, look again this often: the clock may have been moved.
const IDLE: Duration = Duration::from_secs(1);
/// Not more often than this, whatever is due: sockets look after their own sessions.
const PACE: Duration = Duration::from_millis(20);

/// Runs until it is aborted.
pub(crate) async fn run(world: Arc<World>) {
    loop {
        let due = with(&world, |models, now| {
            let deadline = models.avatars.deadline();
            deadline.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or_default())
        });
        let pause = due.unwrap_or(IDLE).clamp(PACE, IDLE);
        tokio::select! {
            () = world.avatars_changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Brings the sessions up to now, lets `act` use them, and writes down what happened.
pub(crate) fn with<T>(world: &World, act: impl FnOnce(&mut Models, Timestamp) -> T) -> T {
    let (result, streams) = world.look(|models, now| {
        models.avatars.tick(now);
        let result = act(models, now);
        models.avatars.tick(now);
        (result, models.avatars.streams().to_vec())
    });
    for stream in streams {
        if write_news(world, &stream) {
            stream.changed.notify_one();
        }
    }
    result
}

/// Writes down what happened to a session; says whether anything did.
pub(crate) fn write_news(world: &World, stream: &Stream) -> bool {
    let mut session = stream.lock();
    let news = session.take_news();
    let some = !news.is_empty();
    for (at, news) in news {
        let what = What::Avatar {
            session_id: session.id().to_owned(),
            provider: session.terms().provider,
            meeting_id: session.meeting_id().map(str::to_owned),
            news,
        };
        world.journal.write(at, what);
    }
    if some {
        stream.told.send_replace(());
    }
    some
}
