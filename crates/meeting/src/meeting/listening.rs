//! Listening: the audio socket that Recall dials, the transcriber's session, and what is heard.
//!
//! | State | Event | Next | Order |
//! | --- | --- | --- | --- |
//! | off | Recall dials | connecting | open the session |
//! | connecting, reconnecting | the session is open | open | none |
//! | connecting, open | the session is lost | reconnecting | none, the session tries again by itself |
//! | any of these | a restart | reconnecting | open the session once Recall dials again |
//! | any of these | Recall dials again | same | the new socket replaces the old one |
//! | any of these | the session would fail each time | failed | none; Recall's own transcript takes over |
//! | any of these | no sound for [`limits::MEDIA_PATIENCE`] after the socket was lost | failed | close the session |
//! | any of these | the meeting is over | same | close the session, after the socket's last sound |
//! | any of these | the session is closed | off | none |

use serde_json::json;

use super::{
    after,
    bot_manager::BotManager,
    effect::{EarsOrder, ListenPlan, LiveEvent, Refusal},
    limits,
    state::{ArtifactState, ListeningState, Meeting, WarningCode},
};
use crate::{
    transcript::{Segment, SegmentWord, Speaker},
    vendors::{
        deepgram::{HeardSegment, SttReport},
        recall::SpokenSegment,
    },
};
use jiff::Timestamp;

/// So many attempts that failed in a row, about ten seconds of them, are worth a warning.
const ATTEMPTS_WORTH_A_WARNING: u32 = 5;
/// Recall's transcript and ours may differ by this much about when something was said.
const OVERLAP_SECONDS: f64 = 0.5;

impl BotManager<'_> {
    /// Recall has dialled the audio socket, for the first time or again.
    pub(super) fn media_connected(&mut self) {
        if self.meeting.status.is_over() {
            self.step.refusal = Some(Refusal::Over);
            return;
        }
        if self.meeting.listening.given_up {
            self.step.refusal = Some(Refusal::ListeningFailed);
            return;
        }
        let whose = if self.meeting.booking.page_microphone {
            "the page's microphone is heard"
        } else {
            "Recall opened the audio socket"
        };
        self.note("media_connected", whose, &json!({}));
        let listening = &mut self.meeting.listening;
        listening.media = true;
        listening.silent_until = None;
        match listening.state {
            ListeningState::Off => listening.state = ListeningState::Connecting,
            ListeningState::Failed => listening.state = ListeningState::Reconnecting,
            ListeningState::Connecting | ListeningState::Open | ListeningState::Reconnecting => {}
        }
        let agent = &self.meeting.booking.agent;
        self.step.ears = Some(EarsOrder::Open(ListenPlan {
            language: agent.language.clone(),
            keyterms: [Some(agent.name.clone()), agent.company.clone()]
                .into_iter()
                .flatten()
                .collect(),
            origin: self.meeting.listening.origin,
            sessions: self.meeting.listening.sessions,
        }));
    }

    /// The audio socket is gone; Recall dials again for a while unless the call is over.
    pub(super) fn media_disconnected(&mut self) {
        if !self.meeting.listening.media {
            return;
        }
        self.meeting.listening.media = false;
        self.note(
            "media_disconnected",
            "the audio socket was closed",
            &json!({}),
        );
        if self.meeting.status.is_over() {
            self.close_ears();
        } else {
            self.await_media(limits::MEDIA_PATIENCE);
        }
    }

    /// Ends the session, which may take a while over its last words.
    fn close_ears(&mut self) {
        self.step.ears = Some(EarsOrder::Close);
        let listening = &mut self.meeting.listening;
        listening.media = false;
        let until = after(self.now, limits::LISTENING_END_PATIENCE);
        listening.silent_until = listening.state.is_on().then_some(until);
    }

    /// A bot that delivers its call's sound has begun to record, so its socket is due.
    pub(super) fn expect_media(&mut self) {
        let delivers = self
            .meeting
            .bot
            .as_ref()
            .is_some_and(|bot| bot.delivers_sound);
        if delivers && !self.meeting.listening.media && !self.meeting.listening.given_up {
            self.await_media(limits::MEDIA_PATIENCE);
        }
    }

    fn await_media(&mut self, patience: std::time::Duration) {
        let until = after(self.now, patience);
        self.meeting.listening.silent_until.get_or_insert(until);
    }

    /// After a restart the sockets are gone; Recall dials again within seconds.
    pub(super) fn resume_listening(&mut self) {
        let was_on = self.meeting.listening.state.is_on();
        self.meeting.listening.media = false;
        if !was_on {
            return;
        }
        if self.meeting.status.is_over() {
            self.meeting.listening.state = ListeningState::Off;
            return;
        }
        self.meeting.listening.state = ListeningState::Reconnecting;
        self.await_media(limits::MEDIA_PATIENCE);
        self.warn(
            WarningCode::AudioLost,
            "a restart interrupted listening; what was said until it was back is missing",
        );
    }

    /// The meeting is over: the session ends once the audio socket has closed, or after a moment.
    pub(super) fn end_listening(&mut self) {
        self.meeting.listening.silent_until = None;
        if self.meeting.listening.media {
            self.await_media(limits::LAST_SOUND_PATIENCE);
        } else {
            self.close_ears();
        }
    }

    /// Does something about an audio socket that has been gone, or still there after the end, for too long.
    pub(super) fn watch_listening(&mut self) {
        if self
            .meeting
            .listening
            .silent_until
            .is_none_or(|at| at > self.now)
        {
            return;
        }
        self.meeting.listening.silent_until = None;
        if !self.meeting.status.is_over() {
            self.meeting.listening.state = ListeningState::Failed;
            self.close_ears();
            self.warn(
                WarningCode::ListeningFailed,
                "Recall does not deliver the call's sound",
            );
        } else if self.meeting.listening.media {
            self.close_ears();
        } else if self.meeting.listening.state.is_on() {
            self.meeting.listening.state = ListeningState::Off;
            self.note(
                "listening_abandoned",
                "the session did not come to its end in time",
                &json!({}),
            );
        }
    }

    /// Takes in what the transcriber's session has to tell.
    pub(super) fn stt_reported(&mut self, report: SttReport) {
        match report {
            SttReport::Began { origin } => {
                self.meeting.listening.origin.get_or_insert(origin);
                self.note("listening_began", "the first sound came", &json!({}));
            }
            SttReport::Open { session } => {
                self.meeting.listening.sessions = session;
                self.note(
                    "listening_open",
                    "Deepgram listens",
                    &json!({ "session": session }),
                );
                self.listen(ListeningState::Open);
            }
            SttReport::Reconnecting { reason, attempt } => self.reconnecting(&reason, attempt),
            SttReport::Failed { reason } => {
                self.meeting.listening.given_up = true;
                self.meeting.listening.silent_until = None;
                self.meeting.listening.state = ListeningState::Failed;
                self.warn(
                    WarningCode::ListeningFailed,
                    format!("Deepgram refuses to listen: {reason}"),
                );
            }
            SttReport::Closed => {
                self.note("listening_closed", "Deepgram is done", &json!({}));
                self.meeting.listening.silent_until = None;
                if self.meeting.listening.state.is_on() {
                    self.meeting.listening.state = ListeningState::Off;
                }
            }
            SttReport::Lost { seconds } => self.warn(
                WarningCode::AudioLost,
                format!("{seconds:.1} s of sound were lost while Deepgram was away"),
            ),
            SttReport::Partial { segment } => {
                let number = self.meeting.segments + 1;
                let segment = heard_segment(number, self.meeting.listening.sessions, segment);
                self.step.live.push(LiveEvent::TranscriptPartial {
                    segment: segment.without_words(),
                });
            }
            SttReport::Final {
                session,
                segments,
                until,
                ends_utterance,
            } => self.heard_finally(session, segments, until, ends_utterance),
            SttReport::UtteranceEnd { end } => {
                self.step.utterance_ended = true;
                self.step.live.push(LiveEvent::UtteranceEnd { end });
            }
            SttReport::SpeechStarted { start } => {
                self.step.live.push(LiveEvent::SpeechStarted { start });
            }
            SttReport::Unknown { kind } => self.note(
                "unknown_message",
                "Deepgram sent a message this version does not know",
                &json!({ "type": kind }),
            ),
        }
    }

    fn reconnecting(&mut self, reason: &str, attempt: u32) {
        self.note(
            "listening_interrupted",
            format!("Deepgram cannot be reached: {reason}"),
            &json!({ "attempt": attempt }),
        );
        self.listen(ListeningState::Reconnecting);
        if attempt == ATTEMPTS_WORTH_A_WARNING {
            self.warn(
                WarningCode::ListeningFailed,
                format!("Deepgram has not been reached in {attempt} attempts: {reason}"),
            );
        }
    }

    /// A session that was told to close may still report; only one that is on changes its state.
    fn listen(&mut self, state: ListeningState) {
        if self.meeting.listening.state.is_on() {
            self.meeting.listening.state = state;
        }
    }

    fn heard_finally(
        &mut self,
        session: u32,
        segments: Vec<HeardSegment>,
        until: f64,
        ends_utterance: bool,
    ) {
        self.meeting.listening.heard_until = self.meeting.listening.heard_until.max(until);
        let last = segments.len().saturating_sub(1);
        let mut end = None;
        for (index, heard) in segments.into_iter().enumerate() {
            let mut segment = heard_segment(self.meeting.segments + 1, session, heard);
            segment.ends_utterance = ends_utterance && index == last;
            end = Some(segment.end);
            self.store_segment(segment);
        }
        if let Some(end) = end.filter(|_| ends_utterance) {
            self.step.live.push(LiveEvent::UtteranceEnd { end });
        }
    }

    /// Takes in what Recall transcribed, where nobody else listens or did.
    pub(super) fn heard(&mut self, partial: bool, spoken: SpokenSegment) {
        let Some(spoken) = self.not_heard_elsewhere(spoken) else {
            return;
        };
        let id = format!("seg_{}", self.meeting.segments + 1);
        let mut segment = Segment::from_spoken(id, spoken);
        let origin = self.meeting.listening.origin.unwrap_or_default();
        segment.shift(-origin);
        if partial {
            self.step.live.push(LiveEvent::TranscriptPartial {
                segment: segment.without_words(),
            });
        } else {
            self.store_segment(segment);
        }
    }

    /// Two transcribers must not tell the same words twice; of a line that ours heard in part, the rest is left.
    fn not_heard_elsewhere(&self, spoken: SpokenSegment) -> Option<SpokenSegment> {
        let listening = &self.meeting.listening;
        if listening.state.is_on() {
            return None;
        }
        let Some(origin) = listening.origin else {
            return Some(spoken);
        };
        let until = origin + listening.heard_until;
        if spoken.end <= until + OVERLAP_SECONDS {
            return None;
        }
        spoken.after(until)
    }

    fn store_segment(&mut self, segment: Segment) {
        self.meeting.segments += 1;
        if self.meeting.transcript == ArtifactState::None && !self.meeting.status.is_over() {
            self.meeting.transcript = ArtifactState::Live;
        }
        self.step.segments.push(segment.clone());
        self.step.live.push(LiveEvent::TranscriptFinal {
            segment: segment.without_words(),
        });
    }
}

fn heard_segment(number: u64, session: u32, heard: HeardSegment) -> Segment {
    Segment {
        id: format!("seg_{number}"),
        speaker: Speaker {
            id: heard.speaker.map(|speaker| speaker_id(session, speaker)),
            name: None,
        },
        start: heard.start,
        end: heard.end,
        text: heard.text,
        confidence: heard.confidence,
        ends_utterance: false,
        words: heard
            .words
            .into_iter()
            .map(|word| SegmentWord {
                text: word.text,
                start: word.start,
                end: word.end,
                confidence: word.confidence,
            })
            .collect(),
    }
}

/// Speakers are numbered per connection, and the numbers of one mean nothing to the next.
fn speaker_id(session: u32, speaker: u32) -> String {
    match session {
        0 | 1 => speaker.to_string(),
        _ => format!("{session}-{speaker}"),
    }
}

impl Meeting {
    /// When something must be done about the audio socket, or about the session that ends.
    pub(super) fn listening_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let beat = self
            .listening
            .state
            .is_on()
            .then(|| after(now, limits::BEAT));
        [self.listening.silent_until, beat]
            .into_iter()
            .flatten()
            .min()
    }
}
