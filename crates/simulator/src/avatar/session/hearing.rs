//! What a session does with the commands of its client, by socket or by call.

use std::time::Duration;

use jiff::Timestamp;

use super::Session;
use crate::avatar::commands::{self, Command, Kind};
use crate::avatar::state::{AvatarInterrupt, AvatarNews, AvatarUtteranceState as Said};
use crate::avatar::utterance::{SAMPLE_RATE, lasts};

/// The vendor's limit for one message, 1 MB.
const LONGEST_MESSAGE: usize = 1_000_000;
/// The first piece is advised to be 400 ms (the vendor's own SDK) to 600 ms long (its guide). Ten
/// milliseconds either way are rounding.
const FIRST_PIECE: [Duration; 2] = [Duration::from_millis(390), Duration::from_millis(610)];
/// The others are advised to be about a second long.
const NEXT_PIECE: [Duration; 2] = [Duration::from_millis(900), Duration::from_millis(1_100)];
/// Of a message that cannot be read, this much is written down.
const ECHO: usize = 200;

impl Session {
    /// A binary frame came.
    pub(crate) fn read_binary(&mut self, bytes: usize, now: Timestamp) {
        self.violation(now, format!("a binary frame of {bytes} bytes"));
        self.tell_error(
            "invalid_request_error",
            "binary messages are not supported",
            None,
        );
    }

    /// A text frame came.
    pub(crate) fn read(&mut self, text: &str, now: Timestamp) {
        self.tick(now);
        if text.len() > LONGEST_MESSAGE {
            self.violation(now, format!("a message of {} bytes", text.len()));
            return self.close(1009, "message too big");
        }
        let begin: String = text.chars().take(ECHO).collect();
        if self.ended.is_some() {
            return self.violation(now, format!("after the session's end: {begin}"));
        }
        if !self.wire.is_connected() {
            return self.violation(
                now,
                format!("dropped, as it came before connected: {begin}"),
            );
        }
        match commands::read(text, self.terms.provider) {
            Ok(command) => self.obey(command, now),
            Err(problem) => {
                self.violation(now, format!("{}: {begin}", problem.message));
                let event_id = problem.event_id.as_deref();
                self.tell_error("invalid_request_error", &problem.message, event_id);
            }
        }
    }

    fn obey(&mut self, Command { kind, event_id }: Command, now: Timestamp) {
        self.last_sign = now;
        let event_id = event_id.as_deref();
        match kind {
            Kind::Speak(pcm) => self.hear(&pcm, event_id, now),
            Kind::SpeakEnd(pcm) => {
                if !pcm.is_empty() {
                    self.hear(&pcm, event_id, now);
                }
                self.end_utterance(event_id, now);
            }
            Kind::Interrupt => self.interrupt(event_id, now),
            Kind::StartListening => self.listen(true, event_id, now),
            Kind::StopListening => self.listen(false, event_id, now),
            Kind::KeepAlive => self.keep_alive(now),
        }
    }

    fn hear(&mut self, pcm: &[u8], event_id: Option<&str>, now: Timestamp) {
        if pcm.is_empty() {
            return self.violation(now, "agent.speak without sound".to_owned());
        }
        if pcm.len() % 2 == 1 {
            self.violation(
                now,
                format!("{} bytes are no whole number of samples", pcm.len()),
            );
        }
        if pcm.starts_with(b"RIFF") {
            self.violation(now, "a file header is heard as noise".to_owned());
        }
        self.note_late_chunk(event_id, now);
        let (utterance, new) = self.voice.append(event_id, pcm, now);
        self.show_sound(utterance, pcm, now);
        if new {
            self.note(now, AvatarNews::Fed { utterance });
        } else {
            self.check_piece_before_last(utterance, now);
            let first = &self.voice.utterances()[utterance].event_id;
            if first.as_deref() != event_id {
                let what =
                    format!("utterance {utterance} goes on under another event_id: {event_id:?}");
                self.deviation(now, what);
            }
        }
        self.tell_appended(utterance, event_id);
    }

    /// Lets the viewers hear the newest piece when its time has come.
    fn show_sound(&self, utterance: usize, pcm: &[u8], now: Timestamp) {
        let pieces = self.voice.utterances()[utterance].pieces();
        let from = pieces.last().map_or(now, |piece| piece.from);
        let soon = Duration::try_from(from.duration_since(now)).unwrap_or_default();
        self.livekit.studio.say(&self.terms.id, soon, pcm);
    }

    /// Only the next piece tells that the one before was not the last, which may be short.
    fn check_piece_before_last(&mut self, utterance: usize, now: Timestamp) {
        let pieces = self.voice.utterances()[utterance].pieces();
        let place = pieces.len().saturating_sub(2);
        let length = lasts(pieces[place].bytes);
        let [shortest, longest] = if place == 0 { FIRST_PIECE } else { NEXT_PIECE };
        if length < shortest || length > longest {
            self.deviation(
                now,
                format!("piece {place} of utterance {utterance} is {length:?} long"),
            );
        }
    }

    fn end_utterance(&mut self, event_id: Option<&str>, now: Timestamp) {
        let spoken = self.spoken.clone();
        let Some(utterance) = self.voice.commit(now, &spoken) else {
            return self.violation(now, "agent.speak_end without an utterance".to_owned());
        };
        let said = &self.voice.utterances()[utterance];
        let last = said
            .pieces()
            .last()
            .map_or(Duration::ZERO, |piece| lasts(piece.bytes));
        if last > NEXT_PIECE[1] {
            self.deviation(
                now,
                format!("the last piece of utterance {utterance} is {last:?} long"),
            );
        }
        if let Some(rate) = self.voice.utterances()[utterance]
            .made_at
            .filter(|rate| *rate != SAMPLE_RATE)
        {
            let what = format!(
                "utterance {utterance} was made at {rate} Hz and is heard at {SAMPLE_RATE} Hz"
            );
            self.violation(now, what);
        }
        self.tell_committed(utterance, event_id);
    }

    /// Drops what was not said yet.
    pub(crate) fn interrupt(&mut self, event_id: Option<&str>, now: Timestamp) {
        self.tick(now);
        self.last_sign = now;
        let spoken = self.spoken.clone();
        let cut = self.voice.cut(now, Said::Interrupted, &spoken);
        self.livekit.studio.hush(&self.terms.id);
        self.tell_interrupted(&cut, event_id);
        self.interrupts.push(AvatarInterrupt {
            event_id: event_id.map(str::to_owned),
            at: now,
            cut: cut.clone(),
            last_late_chunk: None,
        });
        self.note(now, AvatarNews::Interrupted { cut });
        self.show(self.pose(), event_id, now);
    }

    /// Sound that continues what was interrupted is said after all.
    fn note_late_chunk(&mut self, event_id: Option<&str>, now: Timestamp) {
        let utterances = self.voice.utterances();
        let Some(interrupt) = self.interrupts.last_mut().filter(|_| event_id.is_some()) else {
            return;
        };
        let mut cut = interrupt.cut.iter();
        if cut.any(|place| utterances[*place].event_id.as_deref() == event_id) {
            interrupt.last_late_chunk = Some(now);
            let what = format!("sound of {event_id:?} came after it was interrupted");
            self.violation(now, what);
        }
    }

    /// Turns the attentive pose on or off; an avatar that talks takes it afterwards.
    pub(crate) fn listen(&mut self, on: bool, event_id: Option<&str>, now: Timestamp) {
        self.tick(now);
        self.last_sign = now;
        self.listens = on;
        if self.voice.talks() {
            self.deviation(now, "a pose while the avatar talks".to_owned());
        } else {
            self.show(self.pose(), event_id, now);
        }
    }

    /// Says a text with this sound; returns its place.
    pub(crate) fn say_text(&mut self, text: &str, task: &str, pcm: &[u8], now: Timestamp) -> usize {
        self.tick(now);
        self.last_sign = now;
        let spoken = self.spoken.clone();
        let utterance = self.voice.tell(text, task, pcm, now, &spoken);
        self.show_sound(utterance, pcm, now);
        self.note(now, AvatarNews::Fed { utterance });
        utterance
    }
}
