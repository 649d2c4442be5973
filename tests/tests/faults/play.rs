//! Plays the meeting of one case from its booking to its end, and writes down what can be seen from outside.
//!
//! A vendor that is broken for good stays so until the meeting has come to its end, or for as long as people would
//! wait; then it is mended, and the meeting has to come to its end without anybody's help.

use std::time::Duration;

use anyhow::{Context as _, Result};
use attache_simulator::{Event, Fault, Operation, PageVoice};
use serde_json::Value;
use tokio::time::Instant;

use crate::catalogue::{Case, Plot, Times};
use crate::ledger::CallSeen;
use crate::room::{Room, dana_says};
use crate::stage::Stage;
use crate::verdict;

/// How long it may take until it is known how the room was greeted: two calls that are never answered, half a minute
/// each.
const BEGINS_WITHIN: Duration = Duration::from_mins(1);

/// How long a vendor stays broken after the end of a meeting.
const STAYS_BROKEN: Duration = Duration::from_secs(25);

/// How long a meeting may take to come to its end once nothing is broken any more: a call that is never answered, the
/// longest pause before the next look or attempt, a minute, and a busy machine.
const ENDS_WITHIN: Duration = Duration::from_mins(2);

/// How long an avatar is waited for: three calls that are never answered, ten seconds each, and the pauses.
const AVATAR_WITHIN: Duration = Duration::from_secs(38);

/// How long it may take until listening is decided: five failures in a row, of connections that break at once.
const LISTENS_WITHIN: Duration = Duration::from_secs(25);

/// How long words may take into the live transcript or into the room.
const HEARD_WITHIN: Duration = Duration::from_secs(12);

/// What was seen of one meeting.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The meeting at its end, as the API shows it.
    pub(crate) meeting: Value,
    /// The meeting when its beginning was decided, or not decided in time.
    pub(crate) begun: Value,
    /// The calls of the kind that goes wrong.
    pub(crate) calls: Vec<CallSeen>,
    /// Nobody ever came into the call, so the meeting was called off.
    pub(crate) called_off: bool,
    /// It took a working vendor to come to the end.
    pub(crate) mended: bool,
    /// A bot that was to be deleted showed up.
    pub(crate) turned_up: bool,
    /// How words of people in the call were told.
    pub(crate) hearing: Option<Hearing>,
    /// Who spoke in the room, avatar or page.
    pub(crate) voice: Option<PageVoice>,
    /// Whether a purge took the first time.
    pub(crate) purged_at_once: Option<bool>,
    /// What must not be.
    pub(crate) wrongs: Vec<String>,
    /// What the vendors saw, if something must not be.
    pub(crate) story: String,
}

/// How words of people in the call were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// While the vendor was as it was, by Deepgram.
    Deepgram,
    /// While the vendor was as it was, by Recall.
    Recall,
    /// Once the vendor was mended.
    Later,
    Never,
}

/// Plays one case. An error is a mistake of the play, not of the Worker.
pub(crate) async fn play(stage: &Stage, case: &Case) -> Result<Observed> {
    let mut play = Play {
        room: Room::new(stage),
        case,
        seen: Observed::default(),
    };
    play.run()
        .await
        .with_context(|| format!("{} ({}, {})", case.name(), play.room.agent, play.room.id))?;
    let mut seen = play.seen;
    let wrongs = verdict::wrongs(case, &play.room, &seen).await?;
    seen.wrongs.extend(wrongs);
    if !seen.wrongs.is_empty() {
        seen.story = play.room.story();
    }
    Ok(seen)
}

struct Play<'a> {
    room: Room<'a>,
    case: &'a Case,
    seen: Observed,
}

impl Play<'_> {
    async fn run(&mut self) -> Result<()> {
        let plot = self.case.part.plot;
        self.arrange();
        let when = breaks(self.case);
        if when == Breaks::First {
            self.break_vendor();
        }
        self.room.book(self.case).await?;
        if when == Breaks::Booked {
            self.break_vendor();
        }
        match plot {
            Plot::CallOff | Plot::Doubt => {
                let booked = |meeting: &Value| meeting["bot"].is_object() || is_over(meeting);
                let booked = self.room.until(BEGINS_WITHIN, booked).await;
                self.begun(booked).await?;
                self.room.delete().await?;
            }
            Plot::Voice
            | Plot::Chat
            | Plot::Leave
            | Plot::Purge
            | Plot::Face
            | Plot::Avatar
            | Plot::Listen => self.is_in_the_call().await?,
        }
        self.comes_to_its_end().await?;
        if plot == Plot::Purge {
            self.is_purged().await?;
        }
        self.mend();
        // A slow call is seen when it is answered.
        let operation = self.case.part.operation;
        let seen = || self.room.calls(operation).iter().any(|call| call.faulted);
        self.room.until_it_holds(HEARD_WITHIN, seen).await;
        self.seen.calls = self.room.calls(operation);
        Ok(())
    }

    /// What has to go wrong besides, so that the call is made at all.
    fn arrange(&self) {
        let room = &self.room;
        match self.case.part.plot {
            Plot::Chat => {
                let speech = Operation::TextToSpeech;
                let fault = Fault::status(401);
                let scope = room.scope(speech);
                room.simulator.fault_where(scope, speech, fault, 1);
            }
            Plot::Doubt => {
                let fault = Fault::CloseAfterAccept;
                room.simulator
                    .fault_for(&room.url, Operation::CreateBot, fault);
            }
            Plot::Voice
            | Plot::Leave
            | Plot::CallOff
            | Plot::Purge
            | Plot::Face
            | Plot::Avatar
            | Plot::Listen => {}
        }
    }

    fn break_vendor(&self) {
        let operation = self.case.part.operation;
        let times = match self.case.times {
            Times::Once => 1,
            Times::Always => usize::MAX,
        };
        let (scope, fault) = (self.room.scope(operation), self.case.trouble.fault.clone());
        let simulator = self.room.simulator;
        simulator.fault_where(scope, operation, fault, times);
    }

    fn mend(&self) {
        let scope = self.room.scope(self.case.part.operation);
        self.room.simulator.lift_faults(&scope);
    }

    /// Notes how the meeting began, or that it did not in time.
    async fn begun(&mut self, begun: Option<Value>) -> Result<()> {
        self.seen.begun = match begun {
            Some(meeting) => meeting,
            None => self.room.meeting().await?,
        };
        Ok(())
    }

    /// From the booking to whatever ends the call.
    async fn is_in_the_call(&mut self) -> Result<()> {
        let decided =
            |meeting: &Value| meeting["greeting"]["state"] != "pending" || is_over(meeting);
        let decided = self.room.until(BEGINS_WITHIN, decided).await;
        self.begun(decided).await?;
        if is_over(&self.seen.begun) {
            return Ok(());
        }
        if self.seen.begun["status"] != "in_progress" {
            self.seen.called_off = true;
            return self.room.delete().await;
        }
        match self.case.part.plot {
            Plot::Avatar => self.shows_its_avatar().await?,
            Plot::Listen => self.listens().await?,
            Plot::Voice
            | Plot::Chat
            | Plot::Leave
            | Plot::CallOff
            | Plot::Doubt
            | Plot::Purge
            | Plot::Face => {}
        }
        let silent = |meeting: &Value| meeting["avatar"]["state"] != "speaking";
        self.room.until(HEARD_WITHIN, silent).await;
        self.room.until_silent().await;
        if self.case.part.plot == Plot::Leave {
            return self.room.delete().await;
        }
        let ended = Event::CallEnded("call_ended_by_host".to_owned());
        self.room.happens(ended)
    }

    async fn shows_its_avatar(&mut self) -> Result<()> {
        let there = |meeting: &Value| meeting["avatar"]["state"] == "ready";
        self.room.until(AVATAR_WITHIN, there).await;
        if breaks(self.case) == Breaks::Greeted {
            self.break_vendor();
        }
        let words = format!("{} speaks again.", self.room.agent);
        self.seen.voice = self.room.says(&words, HEARD_WITHIN).await?;
        Ok(())
    }

    async fn listens(&mut self) -> Result<()> {
        let decided = |meeting: &Value| {
            ["open", "failed"]
                .map(Value::from)
                .contains(&meeting["listening"]["state"])
        };
        self.room.until(LISTENS_WITHIN, decided).await;
        self.room.until_silent().await;
        let line = "Welcome, good to have you with us.";
        let over = Instant::now() + self.room.lasts(line);
        self.room.happens(dana_says(line))?;
        let told = |meeting: &Value| meeting["listening"]["segments"].as_u64() > Some(0);
        let hearing = if let Some(meeting) = self.room.until(HEARD_WITHIN, told).await {
            if meeting["listening"]["state"] == "open" {
                Hearing::Deepgram
            } else {
                Hearing::Recall
            }
        } else {
            self.mend();
            self.seen.mended = true;
            match self.room.until(BEGINS_WITHIN, told).await {
                Some(_) => Hearing::Later,
                None => Hearing::Never,
            }
        };
        self.seen.hearing = Some(hearing);
        // Deepgram tells words before the line is over, and Recall's own transcript has whole lines only.
        tokio::time::sleep_until(over).await;
        Ok(())
    }

    /// From the end of the call to the last artifact.
    async fn comes_to_its_end(&mut self) -> Result<()> {
        let broken_until_later = self.case.part.plot == Plot::Purge;
        let patience = if broken_until_later {
            ENDS_WITHIN
        } else {
            STAYS_BROKEN
        };
        let mut settled = self.is_settled(patience).await;
        if !settled && !broken_until_later {
            self.mend();
            self.seen.mended = true;
            settled = self.is_settled(ENDS_WITHIN).await;
        }
        if !settled && self.case.part.plot == Plot::CallOff {
            // A bot that the vendor says is not there can only be sent away when it shows up.
            self.seen.turned_up = true;
            self.room.leftover_bots_start()?;
            settled = self.is_settled(ENDS_WITHIN).await;
        }
        self.seen.meeting = self.room.meeting().await?;
        if settled {
            return Ok(());
        }
        let wrong = match (self.room.bots_are_gone(), self.room.left_nothing()) {
            (true, true) => "hangs",
            (true, false) if verdict::names_what_is_left(&self.seen.meeting) => return Ok(()),
            _ => "leaves a bot or a session behind",
        };
        self.seen.wrongs.push(wrong.to_owned());
        Ok(())
    }

    async fn is_settled(&self, at_most: Duration) -> bool {
        let settled = self.room.until(at_most, is_settled).await.is_some();
        let gone = || self.room.left_nothing();
        settled && self.room.until_it_holds(at_most, gone).await
    }

    async fn is_purged(&mut self) -> Result<()> {
        self.room.purge().await?;
        let purged = self.room.until_purged(STAYS_BROKEN).await?;
        self.seen.purged_at_once = Some(purged);
        if purged {
            return Ok(());
        }
        self.mend();
        if self.room.until_purged(BEGINS_WITHIN).await? {
            self.seen.mended = true;
            return Ok(());
        }
        self.room.purge().await?;
        if !self.room.until_purged(ENDS_WITHIN).await? {
            self.seen
                .wrongs
                .push("keeps what was to be deleted".to_owned());
        }
        Ok(())
    }
}

/// From when on the vendor is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breaks {
    First,
    /// Once the meeting has its id, as the call names nothing else.
    Booked,
    /// Once the avatar is there, as it depends on the hurry of both whether it is in time for the greeting.
    Greeted,
}

fn breaks(case: &Case) -> Breaks {
    if case.part.plot == Plot::Doubt {
        Breaks::Booked
    } else if case.part.operation == Operation::HeyGenTask {
        Breaks::Greeted
    } else {
        Breaks::First
    }
}

/// Whether the meeting is over, whatever is still to come of it.
pub(crate) fn is_over(meeting: &Value) -> bool {
    ["ended", "failed", "cancelled"]
        .map(Value::from)
        .contains(&meeting["status"])
}

/// Whether nothing more is expected of the meeting.
fn is_settled(meeting: &Value) -> bool {
    let decided = |artifact: &str| {
        ["ready", "failed"]
            .map(Value::from)
            .contains(&meeting[artifact]["state"])
    };
    is_over(meeting)
        && (meeting["status"] != "ended" || decided("transcript") && decided("recording"))
}
