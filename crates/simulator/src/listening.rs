//! What tests ask of the simulated Deepgram.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::deepgram::{ListeningDrop, ListeningNews, ListeningSession, ScriptedResult};
use crate::journal::{Entry, What};
use crate::simulator::Simulator;

impl Simulator {
    /// The streams that Deepgram accepted, in the order they were opened.
    pub fn listening_sessions(&self) -> Vec<ListeningSession> {
        self.world.look(|models, _| {
            let streams = models.deepgram.streams();
            streams.iter().map(|stream| stream.lock().state()).collect()
        })
    }

    /// The streams of one meeting, in the order they were opened.
    pub fn listening_sessions_for(&self, meeting_id: &str) -> Vec<ListeningSession> {
        let mut sessions = self.listening_sessions();
        sessions.retain(|session| session.meeting_id.as_deref() == Some(meeting_id));
        sessions
    }

    /// Breaks every open stream; returns how many there were.
    pub fn drop_listening(&self, how: &ListeningDrop) -> usize {
        self.drop_listening_where(how, |_| true)
    }

    /// Breaks the open streams of one meeting; returns how many there were.
    pub fn drop_listening_for(&self, meeting_id: &str, how: &ListeningDrop) -> usize {
        self.drop_listening_where(how, |id| id == Some(meeting_id))
    }

    fn drop_listening_where(
        &self,
        how: &ListeningDrop,
        concerned: impl Fn(Option<&str>) -> bool,
    ) -> usize {
        self.world.look(|models, _| {
            let mut dropped = 0;
            for stream in models.deepgram.streams() {
                let mut session = stream.lock();
                if concerned(session.meeting_id()) && session.break_off(how) {
                    dropped += 1;
                    stream.changed.notify_one();
                }
            }
            dropped
        })
    }

    /// Sends these messages as the audio reaches their places, instead of understanding it: on streams
    /// opened from now on for this meeting, or for every meeting without a script of its own.
    pub fn script_listening(&self, meeting_id: Option<&str>, results: Vec<ScriptedResult>) {
        self.world
            .look(|models, _| models.deepgram.script(meeting_id, results));
    }

    /// Switches messages and fields that only newer clients know on or off, for streams opened from
    /// now on.
    pub fn send_newer_listening_messages(&self, newer: bool) {
        self.world
            .look(|models, _| models.deepgram.send_newer_messages(newer));
    }

    /// The text that was made final on the streams of one meeting, in order.
    pub fn listening_finals(&self, meeting_id: &str) -> Vec<String> {
        let text = |entry: &Entry| {
            let (id, news) = entry.what.listening()?;
            if let ListeningNews::Final { text, .. } = news {
                (id == Some(meeting_id)).then(|| text.clone())
            } else {
                None
            }
        };
        self.journal().iter().filter_map(text).collect()
    }

    /// Waits until a stream was opened for a meeting, the `nth` of its streams, counted from 1.
    pub async fn wait_for_listening_session(
        &self,
        meeting_id: &str,
        nth: usize,
        timeout: Duration,
    ) -> Result<ListeningSession> {
        let mut opened = 0;
        let matches = |id: Option<&str>, news: &ListeningNews| {
            let is_next = id == Some(meeting_id) && *news == ListeningNews::Opened;
            opened += usize::from(is_next);
            is_next && opened == nth
        };
        self.wait_for_listening(matches, timeout).await
    }

    /// Waits until text that contains `part` was made final for a meeting.
    pub async fn wait_for_listening_final(
        &self,
        meeting_id: &str,
        part: &str,
        timeout: Duration,
    ) -> Result<ListeningSession> {
        let matches = |id: Option<&str>, news: &ListeningNews| {
            id == Some(meeting_id)
                && matches!(news, ListeningNews::Final { text, .. } if text.contains(part))
        };
        self.wait_for_listening(matches, timeout).await
    }

    /// Waits for the first news, old or new, of a stream that matches.
    pub async fn wait_for_listening(
        &self,
        mut matches: impl FnMut(Option<&str>, &ListeningNews) -> bool,
        timeout: Duration,
    ) -> Result<ListeningSession> {
        let wanted = |entry: &Entry| {
            let news = entry.what.listening();
            news.is_some_and(|(meeting_id, news)| matches(meeting_id, news))
        };
        let entry = self.wait_for(wanted, timeout).await?;
        let What::Listening { id, .. } = entry.what else {
            return Err(anyhow!("no news of a stream"));
        };
        let sessions = self.listening_sessions();
        let found = sessions.into_iter().find(|session| session.id == id);
        found.ok_or_else(|| anyhow!("the stream {id} was never opened"))
    }
}
