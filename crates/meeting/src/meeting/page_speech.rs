//! What the bot's page plays.
//!
//! The page has one utterance at a time and tells how far it is; its word counts. When its socket is lost it may have
//! been loaded again and know of nothing, or play on and come back: then nothing that was begun is said again, and
//! nothing that was not begun is lost. What it cannot play in time is written to the chat.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    after, between,
    bot_manager::BotManager,
    effect::PageOrder,
    limits,
    speech::first_chars,
    state::{PageTurn, Purpose, SpeechStage, Utterance, UtteranceState, Via},
};
use crate::{ids::UtteranceId, page::ToPage, vendors::reason::tidy};

/// What is known of an utterance that the page has: the fields of [`SpeechStage::OnPage`].
#[derive(Clone, Copy)]
struct Playing {
    duration_ms: u64,
    since: Option<Timestamp>,
    until: Timestamp,
    turn: PageTurn,
}

impl BotManager<'_> {
    /// Lets the page play the first utterance, whose audio is ready.
    pub(super) fn play_on_page(&mut self) {
        let Some(first) = self.meeting.speech.front().cloned() else {
            return;
        };
        let SpeechStage::Ready { duration_ms } = first.progress else {
            return;
        };
        if !self.meeting.page.ready {
            return;
        }
        self.step.page.push(PageOrder::Speak {
            utterance_id: first.id,
            text: first.text,
            format: self.meeting.speech_format(),
            from_ms: first.from_ms,
        });
        self.set_playing(Playing {
            duration_ms: duration_ms.saturating_sub(first.from_ms),
            since: None,
            until: after(self.now, limits::PAGE_PATIENCE),
            turn: PageTurn::Play,
        });
    }

    /// Whether the first utterance is the page's to play.
    pub(super) fn is_on_page(&self) -> bool {
        self.playing_on_page().is_some()
    }

    fn playing_on_page(&self) -> Option<Playing> {
        playing(&self.meeting.speech.front()?.progress)
    }

    fn set_playing(&mut self, playing: Playing) {
        let Playing {
            duration_ms,
            since,
            until,
            turn,
        } = playing;
        let progress = SpeechStage::OnPage {
            duration_ms,
            since,
            until,
            turn,
        };
        self.set_progress(0, progress);
    }

    /// The first utterance, if it is this one and the page has it.
    fn first_on_page(&self, id: &UtteranceId) -> Option<(Utterance, Playing)> {
        let first = self.meeting.speech.front().filter(|u| u.id == *id)?;
        Some((first.clone(), playing(&first.progress)?))
    }

    /// The page plays, and has played this much.
    pub(super) fn page_playing(&mut self, id: &UtteranceId, played_ms: u64) {
        let Some((utterance, known)) = self.first_on_page(id) else {
            return;
        };
        let played = Duration::from_millis(played_ms.min(known.duration_ms));
        let began = self.now.checked_sub(played).unwrap_or(self.now);
        let as_expected = known.since.is_some_and(|since| {
            between(since, began).max(between(began, since)) <= limits::PAGE_PROGRESS_SLACK
        });
        match known.turn {
            PageTurn::Halt => return,
            PageTurn::Play if as_expected => return,
            PageTurn::Play | PageTurn::Return { .. } => {}
        }
        let rest = Duration::from_millis(known.duration_ms).saturating_sub(played);
        self.set_playing(Playing {
            since: Some(began),
            until: after(self.now, rest + limits::PAGE_PATIENCE),
            turn: PageTurn::Play,
            ..known
        });
        if known.since.is_none() {
            let (speaking, heard) = (UtteranceState::Speaking, Some(0));
            self.tell(&utterance, speaking, Some(Via::Page), heard);
            self.heard_greeting_on_page(&utterance);
        }
    }

    fn heard_greeting_on_page(&mut self, utterance: &Utterance) {
        if utterance.purpose == Purpose::Greeting && self.meeting.owes_greeting() {
            self.greeted(Via::Page);
        }
    }

    /// The page has played an utterance to its end.
    pub(super) fn page_spoken(&mut self, id: &UtteranceId) {
        let Some((utterance, known)) = self.first_on_page(id) else {
            return self.spoken_after_all(id);
        };
        self.heard_greeting_on_page(&utterance);
        self.end_on_page(UtteranceState::Spoken, known.duration_ms);
    }

    /// The page, long away, has played what was given up in the meantime: it need not be written any more.
    fn spoken_after_all(&mut self, id: &UtteranceId) {
        let Some(utterance) = self.take_from_chat(|utterance| utterance.id == *id) else {
            return;
        };
        self.heard_greeting_on_page(&utterance);
        self.finish(&utterance, UtteranceState::Spoken, Some(Via::Page), None);
    }

    /// The page has stopped an utterance after this much of it.
    pub(super) fn page_halted(&mut self, id: &UtteranceId, played_ms: u64) {
        let Some((utterance, known)) = self.first_on_page(id) else {
            return;
        };
        if played_ms > 0 {
            self.heard_greeting_on_page(&utterance);
        }
        if utterance.purpose == Purpose::Greeting && self.meeting.owes_greeting() {
            return self.fall_back_to_chat(0, "the bot's page did not play it");
        }
        let heard = played_ms.min(known.duration_ms);
        self.end_on_page(UtteranceState::Interrupted, heard);
    }

    /// The page cannot play an utterance, or not beyond this much of it.
    pub(super) fn page_failed(&mut self, id: &UtteranceId, reason: &str, played_ms: u64) {
        let Some((utterance, known)) = self.first_on_page(id) else {
            return;
        };
        if played_ms > 0 {
            self.heard_greeting_on_page(&utterance);
            let heard = played_ms.min(known.duration_ms);
            return self.end_on_page(UtteranceState::Interrupted, heard);
        }
        if known.since.is_some() || known.turn == PageTurn::Halt {
            return self.cut_off_on_page();
        }
        let reason = first_chars(&tidy(reason), limits::MAX_NOTED_CHARS);
        self.fall_back_to_chat(0, &format!("the bot's page could not play it: {reason}"));
    }

    /// Tells the page to stop an utterance that it has, and lets it say how much was heard; gives any other back.
    pub(super) fn halt_on_page(&mut self, utterance: Utterance) -> (Utterance, bool) {
        let SpeechStage::OnPage {
            duration_ms,
            since,
            turn,
            ..
        } = utterance.progress
        else {
            return (utterance, false);
        };
        match turn {
            PageTurn::Halt => (utterance, true),
            PageTurn::Return { .. } => {
                self.tell_page(ToPage::Interrupt);
                (utterance, false)
            }
            PageTurn::Play => {
                self.tell_page(ToPage::Interrupt);
                let progress = SpeechStage::OnPage {
                    duration_ms,
                    since,
                    until: after(self.now, limits::PAGE_HALT_PATIENCE),
                    turn: PageTurn::Halt,
                };
                let utterance = Utterance {
                    progress,
                    ..utterance
                };
                (utterance, true)
            }
        }
    }

    /// The page's socket is gone: what it has is known again when it is back.
    pub(super) fn await_page_return(&mut self) {
        let Some(known) = self.playing_on_page() else {
            return;
        };
        let gone = match known.turn {
            PageTurn::Halt => return self.cut_off_on_page(),
            PageTurn::Play => self.now,
            PageTurn::Return { gone } => gone,
        };
        let missing = self.meeting.page.missing_since.unwrap_or(self.now);
        self.set_playing(Playing {
            until: after(missing, limits::PAGE_READY_PATIENCE),
            turn: PageTurn::Return { gone },
            ..known
        });
    }

    /// The page is back: if it plays on it says so at once.
    pub(super) fn page_returned(&mut self) {
        if let Some(known) = self.playing_on_page() {
            self.set_playing(Playing {
                until: after(self.now, limits::PAGE_RESUME_PATIENCE),
                ..known
            });
        }
    }

    /// Does something about an utterance of which the page has not told what it should have.
    pub(super) fn watch_page_speech(&mut self) {
        let Some(known) = self.playing_on_page() else {
            return;
        };
        if known.until > self.now {
            return;
        }
        if self.meeting.page.ready && known.turn != PageTurn::Halt {
            // Should it play after all, then nobody would know.
            self.tell_page(ToPage::Interrupt);
        }
        match (known.turn, known.since) {
            (PageTurn::Halt, _) | (PageTurn::Play | PageTurn::Return { .. }, Some(_)) => {
                self.cut_off_on_page();
            }
            (PageTurn::Play, None) => self.fall_back_to_chat(0, "the bot's page did not play it"),
            (PageTurn::Return { .. }, None) => {
                let before = self.meeting.speech.front().map_or(0, |first| first.from_ms);
                let duration_ms = known.duration_ms + before;
                self.set_progress(0, SpeechStage::Ready { duration_ms });
            }
        }
    }

    /// What the page was playing has ended before its end, as far as is known.
    fn cut_off_on_page(&mut self) {
        let first = self.meeting.speech.front();
        let heard = first.map_or(0, |first| heard_on_page(&first.progress, self.now));
        self.end_on_page(UtteranceState::Interrupted, heard);
    }

    fn end_on_page(&mut self, state: UtteranceState, heard_ms: u64) {
        if let Some(first) = self.meeting.speech.pop_front() {
            let heard = first.from_ms + heard_ms;
            self.finish(&first, state, Some(Via::Page), Some(heard));
        }
    }
}

fn playing(progress: &SpeechStage) -> Option<Playing> {
    let SpeechStage::OnPage {
        duration_ms,
        since,
        until,
        turn,
    } = *progress
    else {
        return None;
    };
    Some(Playing {
        duration_ms,
        since,
        until,
        turn,
    })
}

/// How much of an utterance the page has played by `now`, by its last word.
pub(super) fn heard_on_page(progress: &SpeechStage, now: Timestamp) -> u64 {
    let Some(Playing {
        duration_ms,
        since: Some(since),
        turn,
        ..
    }) = playing(progress)
    else {
        return 0;
    };
    let until = match turn {
        PageTurn::Return { gone } => gone,
        PageTurn::Play | PageTurn::Halt => now,
    };
    let heard = u64::try_from(between(since, until).as_millis());
    heard.map_or(duration_ms, |heard| heard.min(duration_ms))
}
