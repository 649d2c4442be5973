//! What leaves on a connection, and when: frames in their time, and what goes wrong on request.

use std::ops::Range;

use jiff::Timestamp;

use super::{Close, Ears, Order, SentFrame, State, seconds};
use crate::audio_script::AudioFault;
use crate::recall::frames::Outgoing;
use crate::recall::room::Room;

/// What is taken at once: more than two seconds of the shortest frames, so that a late sender
/// catches up without keeping everybody else from the models for long.
const FRAMES_AT_ONCE: usize = 128;
/// More than an hour of the shortest frames in use (20 ms), at 32 bytes each. The oldest are
/// forgotten first.
const FRAMES_KEPT: usize = 200_000;
/// The bot leaves the call.
const NORMAL: u16 = 1000;

impl Ears {
    /// What a connection has to do now. Frames that are handed out count as sent.
    pub(crate) fn order(&mut self, number: usize, room: &Room, now: Timestamp) -> Order {
        let Some(at) = self.index(number) else {
            return Order::Abort;
        };
        let mut batch = Vec::new();
        while batch.len() < FRAMES_AT_ONCE && self.step(at, room, now, &mut batch) {}
        if batch.is_empty() {
            self.idle(at, room, now)
        } else {
            Order::Send(batch)
        }
    }

    /// Deals with one fault or one frame, and says whether there may be another one now.
    fn step(&mut self, at: usize, room: &Room, now: Timestamp, batch: &mut Vec<Outgoing>) -> bool {
        let number = self.first_kept + at;
        let speaks = self.state == State::Open(number);
        let connection = &self.connections[at];
        if connection.abort || connection.stalled_until.is_some_and(|until| until > now) {
            return false;
        }
        if speaks && self.go_wrong_now(at, room, now, batch) {
            return true;
        }
        let part = self.next_frame(at);
        if part.is_empty() || room.heard_at(part.end) > now {
            return false;
        }
        let connection = &mut self.connections[at];
        let sized = connection.sizes.pop_front().is_some();
        connection.cursor = part.end;
        let skipped = connection.gap > 0;
        connection.gap = connection.gap.saturating_sub(1);
        if skipped {
            self.miss(part.end, room);
            return true;
        }
        if speaks {
            self.dealt_with = part.end;
        }
        if room.open_bytes(&part) == 0 {
            return true;
        }
        let repeat = speaks && !sized && self.faults.front() == Some(&AudioFault::Repeat);
        batch.push(self.frame(number, room, part.clone(), false));
        if repeat {
            self.faults.pop_front();
            batch.push(self.frame(number, room, part, true));
        }
        true
    }

    /// The part of the sound that the next frame on a connection holds.
    fn next_frame(&self, at: usize) -> Range<usize> {
        let connection = &self.connections[at];
        let begin = connection.cursor;
        let whole = (begin + 1).next_multiple_of(self.frame);
        let end = connection.sizes.front().map_or(whole, |size| begin + size);
        begin..self.over.map_or(end, |over| end.min(over.at))
    }

    /// Lets the next thing go wrong, if it is its turn.
    fn go_wrong_now(
        &mut self,
        at: usize,
        room: &Room,
        now: Timestamp,
        batch: &mut Vec<Outgoing>,
    ) -> bool {
        let connection = &mut self.connections[at];
        if connection.gap > 0 || !connection.sizes.is_empty() {
            return false;
        }
        if self.faults.front() == Some(&AudioFault::Repeat) {
            return false;
        }
        match self.faults.pop_front() {
            Some(AudioFault::Gap(frames)) => connection.gap = frames,
            Some(AudioFault::Sizes(sizes)) => {
                connection.sizes = sizes.into_iter().filter(|size| *size > 0).collect();
            }
            Some(AudioFault::Junk(junk)) => {
                let relative = seconds(connection.cursor);
                let absolute = room.heard_at(connection.cursor);
                batch.push(self.envelope.junk(junk, relative, absolute));
            }
            Some(AudioFault::Stall(time)) => connection.stalled_until = Some(now + time),
            Some(AudioFault::Abort) => connection.abort = true,
            Some(AudioFault::DialAgain) => self.state = State::ToDial(now),
            Some(AudioFault::Repeat | AudioFault::BadSignature) | None => return false,
        }
        true
    }

    /// What to do when there is nothing to send.
    fn idle(&self, at: usize, room: &Room, now: Timestamp) -> Order {
        let connection = &self.connections[at];
        let close = self.over.filter(|over| connection.cursor >= over.at);
        let broken = self.over.is_some_and(|over| over.close == Close::Broken);
        if connection.abort || broken {
            return Order::Abort;
        }
        if let Some(until) = connection.stalled_until.filter(|until| *until > now) {
            return Order::Wait(until);
        }
        match close.map(|over| over.close) {
            Some(Close::Properly(due)) if due > now => Order::Wait(due),
            Some(Close::Properly(_)) => Order::Close(NORMAL),
            Some(Close::Broken) => Order::Abort,
            None => Order::Wait(room.heard_at(self.next_frame(at).end)),
        }
    }

    /// Writes a frame, and down that it was sent.
    fn frame(
        &mut self,
        connection: usize,
        room: &Room,
        part: Range<usize>,
        repeated: bool,
    ) -> Outgoing {
        let absolute = room.heard_at(part.start);
        let sound = room.read(&part);
        let frame = self.envelope.sound(seconds(part.start), absolute, &sound);
        if self.sent.len() == FRAMES_KEPT {
            self.sent.pop_front();
        }
        self.connections[connection - self.first_kept].frames += 1;
        self.sent.push_back(SentFrame {
            connection,
            part,
            repeated,
        });
        frame
    }
}
