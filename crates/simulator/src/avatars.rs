//! What tests ask of the simulated avatar vendors.

use std::time::Duration;

use anyhow::{Result, anyhow};
use jiff::Timestamp;

use crate::avatar::{AvatarFault, AvatarHabits, AvatarNews, AvatarSeat, AvatarSession, driver};
use crate::deepgram::Side;
use crate::journal::{Entry, What};
use crate::livekit::RoomFault;
use crate::simulator::Simulator;

/// How many sessions were started and what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvatarBalance {
    /// Sessions that began to cost.
    pub started: usize,
    /// Of these, those that the client stopped.
    pub stopped: usize,
    /// Of these, those that the vendor ended.
    pub ended_by_vendor: usize,
    /// Of these, those that go on.
    pub live: usize,
}

/// A time in which two sessions of one meeting were live at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AvatarOverlap {
    /// The session that was started first.
    pub first: String,
    /// The other.
    pub second: String,
    /// When the other was started.
    pub from: Timestamp,
    /// When one of them ended, or now.
    pub until: Timestamp,
}

impl AvatarOverlap {
    /// How long it was.
    pub fn duration(&self) -> Duration {
        Duration::try_from(self.until.duration_since(self.from)).unwrap_or_default()
    }
}

impl Simulator {
    /// The sessions of both vendors, in the order they were asked for.
    pub fn avatar_sessions(&self) -> Vec<AvatarSession> {
        driver::with(&self.world, |models, now| {
            let streams = models.avatars.streams().iter();
            streams.map(|stream| stream.lock().view(now)).collect()
        })
    }

    /// The sessions of one meeting, in the order they were asked for.
    pub fn avatar_sessions_for(&self, meeting_id: &str) -> Vec<AvatarSession> {
        let mut sessions = self.avatar_sessions();
        sessions.retain(|session| session.meeting_id.as_deref() == Some(meeting_id));
        sessions
    }

    /// The sessions that show this avatar, in the order they were asked for.
    pub fn avatar_sessions_of(&self, avatar: &str) -> Vec<AvatarSession> {
        driver::with(&self.world, |models, now| {
            let sessions = models.avatars.streams().iter().map(|stream| stream.lock());
            let shown = sessions.filter(|session| session.terms().avatar == avatar);
            shown.map(|session| session.view(now)).collect()
        })
    }

    /// One session.
    pub fn avatar_session(&self, id: &str) -> Option<AvatarSession> {
        driver::with(&self.world, |models, now| {
            let stream = models.avatars.by_id(id)?;
            Some(stream.lock().view(now))
        })
    }

    /// How many sessions were started, and what became of them.
    pub fn avatar_balance(&self) -> AvatarBalance {
        let mut balance = AvatarBalance::default();
        for session in self.avatar_sessions() {
            if session.started_at.is_none() {
                continue;
            }
            balance.started += 1;
            match session.ended.map(|ended| ended.by) {
                None => balance.live += 1,
                Some(Side::Client) => balance.stopped += 1,
                Some(Side::Vendor) => balance.ended_by_vendor += 1,
            }
        }
        balance
    }

    /// The times in which a meeting had two live sessions: each rotation is one, and nothing else may
    /// be.
    pub fn avatar_overlaps(&self, meeting_id: &str) -> Vec<AvatarOverlap> {
        let now = self.now();
        let lives: Vec<(String, Timestamp, Timestamp)> = self
            .avatar_sessions_for(meeting_id)
            .into_iter()
            .filter_map(|session| {
                let until = session.ended.map_or(now, |ended| ended.at);
                Some((session.id, session.started_at?, until))
            })
            .collect();
        let mut overlaps = Vec::new();
        for (index, one) in lives.iter().enumerate() {
            for other in &lives[index + 1..] {
                let (first, second) = if one.1 <= other.1 {
                    (one, other)
                } else {
                    (other, one)
                };
                let until = first.2.min(second.2);
                if second.1 < until {
                    overlaps.push(AvatarOverlap {
                        first: first.0.clone(),
                        second: second.0.clone(),
                        from: second.1,
                        until,
                    });
                }
            }
        }
        overlaps
    }

    /// Changes how the vendors behave: limits and credits at once, the rest for sessions that are asked
    /// for from now on.
    pub fn set_avatar_habits(&self, habits: AvatarHabits) {
        driver::with(&self.world, |models, _| models.avatars.set_habits(habits));
    }

    /// How the vendors behave now, with the credits that are left.
    pub fn avatar_habits(&self) -> AvatarHabits {
        driver::with(&self.world, |models, _| models.avatars.habits().clone())
    }

    /// Makes something go wrong with one session; says whether it could.
    pub fn avatar_fault(&self, session_id: &str, fault: &AvatarFault) -> bool {
        self.avatar_fault_where(fault, |session| session.id == session_id) > 0
    }

    /// Makes something go wrong with the live sessions of one meeting; returns how many there were.
    pub fn avatar_fault_for(&self, meeting_id: &str, fault: &AvatarFault) -> usize {
        self.avatar_fault_where(fault, |session| {
            session.meeting_id.as_deref() == Some(meeting_id) && session.is_live()
        })
    }

    fn avatar_fault_where(
        &self,
        fault: &AvatarFault,
        concerned: impl Fn(&AvatarSession) -> bool,
    ) -> usize {
        driver::with(&self.world, |models, now| {
            let streams = models.avatars.streams().iter();
            streams
                .filter(|stream| {
                    let mut session = stream.lock();
                    concerned(&session.view(now)) && session.fault(fault, now)
                })
                .count()
        })
    }

    /// Makes something go wrong in a session's room.
    pub fn room_fault(&self, session_id: &str, fault: RoomFault) {
        let stream = driver::with(&self.world, |models, _| {
            models.avatars.by_id(session_id).cloned()
        });
        self.world.livekit.fault(session_id, fault);
        if let Some(stream) = stream {
            stream.room_fault(fault);
        }
    }

    /// The page that plays the avatars, for a browser to open; one is enough for all sessions. It needs
    /// to be allowed to play sound without being asked.
    pub fn studio_url(&self) -> String {
        self.world.studio_url.clone()
    }

    /// Waits until the page that plays the avatars is open.
    pub async fn studio_opens(&self, timeout: Duration) -> Result<()> {
        let mut open = self.world.livekit.studio.subscribe();
        let opened = tokio::time::timeout(timeout, open.wait_for(|open| *open)).await;
        match opened {
            Ok(_) => Ok(()),
            Err(_) => Err(anyhow!("no studio within {timeout:?}")),
        }
    }

    /// Watches the session that this viewer token is for, without a browser, for as long as the seat is
    /// kept. A session is told to be the meeting's if it was not known whose it is.
    pub fn watch_avatar(&self, viewer_token: &str, meeting_id: Option<&str>) -> Option<AvatarSeat> {
        AvatarSeat::take(&self.world, viewer_token, meeting_id)
    }

    /// Waits until a session was started for a meeting, the `nth` of them, counted from 1.
    pub async fn wait_for_avatar_session(
        &self,
        meeting_id: &str,
        nth: usize,
        timeout: Duration,
    ) -> Result<AvatarSession> {
        let mut started = 0;
        let wanted = |entry: &Entry| {
            let is_next = matches!(&entry.what, What::Avatar { meeting_id: Some(id), news: AvatarNews::Started, .. }
                if id == meeting_id);
            started += usize::from(is_next);
            is_next && started == nth
        };
        self.wait_for_avatar_entry(wanted, timeout).await
    }

    /// Waits for the first news, old or new, of a session that matches.
    pub async fn wait_for_avatar(
        &self,
        mut matches: impl FnMut(&str, &AvatarNews) -> bool,
        timeout: Duration,
    ) -> Result<AvatarSession> {
        let wanted = |entry: &Entry| {
            let news = entry.what.avatar();
            news.is_some_and(|(session_id, news)| matches(session_id, news))
        };
        self.wait_for_avatar_entry(wanted, timeout).await
    }

    /// Waits until a session of a meeting has said something that contains `part`.
    pub async fn wait_for_avatar_speech(
        &self,
        meeting_id: &str,
        part: &str,
        timeout: Duration,
    ) -> Result<AvatarSession> {
        let wanted = |entry: &Entry| {
            matches!(&entry.what, What::Avatar { meeting_id: Some(id), news: AvatarNews::Spoken { text: Some(text), .. }, .. }
                if id == meeting_id && text.contains(part))
        };
        self.wait_for_avatar_entry(wanted, timeout).await
    }

    async fn wait_for_avatar_entry(
        &self,
        wanted: impl FnMut(&Entry) -> bool,
        timeout: Duration,
    ) -> Result<AvatarSession> {
        let entry = self.wait_for(wanted, timeout).await?;
        let id = entry
            .what
            .avatar()
            .map(|(id, _)| id.to_owned())
            .unwrap_or_default();
        self.avatar_session(&id)
            .ok_or_else(|| anyhow!("there is no session {id}"))
    }
}
