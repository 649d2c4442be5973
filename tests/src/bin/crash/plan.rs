//! What is to happen in a meeting, drawn by chance: how it is booked, who says what, how it ends.

use std::time::Duration;

use attache_simulator::{
    Delivery, Event, MeetingScript, Person, Reorder, default_ending, instant_ending,
};
use attache_tests::google_meet;

use crate::chance::Chance;

const PEOPLE: [&str; 2] = ["Dana Whitfield", "Pat Moreno"];

/// When the delegate is to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    AtOnce,
    /// The alarm makes it join, so long after the booking.
    Soon(Duration),
    /// So far ahead that Recall is asked for the bot at once.
    Ahead,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The host ends the call.
    ByHost,
    /// It is called off, so long after the booking: before the call, or in it.
    CalledOff(Duration),
    /// The bot cannot join.
    Fails,
}

/// What is asked of the delegate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Say(String),
    Chat(String),
}

/// A meeting as it is planned.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) meeting_url: String,
    /// The agent's name, used in no other meeting.
    pub(crate) agent: String,
    pub(crate) presence: &'static str,
    pub(crate) start: Start,
    pub(crate) end: End,
    pub(crate) script: MeetingScript,
    /// In order, each so long after the one before.
    pub(crate) deeds: Vec<(Duration, Deed)>,
    /// A word of every line that is said, which no other line has.
    pub(crate) tokens: Vec<String>,
}

impl Plan {
    /// A plan of a call in which some lines are said and written, two at least and one more than `most_lines` at most.
    pub(crate) fn draw(number: u64, most_lines: u64, chance: &mut Chance) -> Self {
        let (start, end) = match chance.below(20) {
            0 | 1 => (Start::Ahead, End::CalledOff(chance.millis(500, 10_000))),
            2 => (Start::AtOnce, End::Fails),
            3 => (Start::AtOnce, End::CalledOff(chance.millis(0, 4_000))),
            4..=6 => (Start::AtOnce, End::CalledOff(chance.millis(4_000, 12_000))),
            7..=9 => (Start::Soon(chance.millis(1_000, 5_000)), End::ByHost),
            _ => (Start::AtOnce, End::ByHost),
        };
        let mut tokens = Vec::new();
        let script = match end {
            End::Fails => MeetingScript::fatal("meeting_not_found"),
            End::ByHost | End::CalledOff(_) => course(number, end, most_lines, &mut tokens, chance),
        };
        let mut deeds = Vec::new();
        for place in 0..chance.below(4) {
            let deed = if chance.one_in(3) {
                Deed::Chat(format!("Note {place} of meeting {number}."))
            } else {
                Deed::Say(format!("Answer {place} in meeting {number} is this one."))
            };
            deeds.push((chance.millis(300, 3_000), deed));
        }
        Self {
            meeting_url: google_meet(number),
            agent: format!("Ada {number:05}"),
            presence: ["voice", "avatar"][usize::from(chance.one_in(2))],
            start,
            end,
            script,
            deeds,
            tokens,
        }
    }

    /// The sentence with which the agent greets.
    pub(crate) fn greeting(&self) -> String {
        format!("Hi, this is {} joining from Acme.", self.agent)
    }
}

/// The way in, some lines, and the host's goodbye.
fn course(
    number: u64,
    end: End,
    most_lines: u64,
    tokens: &mut Vec<String>,
    chance: &mut Chance,
) -> MeetingScript {
    let mut script = MeetingScript::empty()
        .then(chance.millis(0, 1_500), Event::JoiningCall)
        .then(chance.millis(0, 1_000), Event::InWaitingRoom)
        .then(chance.millis(0, 1_000), Event::InCallNotRecording)
        .then(chance.millis(0, 500), Event::InCallRecording);
    for name in PEOPLE {
        let person = Person {
            name: name.to_owned(),
            is_host: name == PEOPLE[0],
        };
        script = script.then(chance.millis(0, 300), Event::Joins(person));
    }
    for line in 0..2 + chance.below(most_lines) {
        let name = PEOPLE[usize::from(chance.one_in(2))].to_owned();
        let event = if chance.one_in(4) {
            let text = format!("Link {line} of meeting {number}.");
            Event::Chats { name, text }
        } else {
            let token = format!("m{number}l{line}");
            let text = format!("Item {token} on Tuesday.");
            tokens.push(token);
            Event::Says { name, text }
        };
        script = script.then(chance.millis(100, 1_000), event);
    }
    if end == End::ByHost {
        let goodbye = Event::CallEnded("call_ended_by_host".to_owned());
        script = script.then(chance.millis(0, 1_500), goodbye);
    }
    let ending = if chance.one_in(2) {
        instant_ending()
    } else {
        default_ending()
    };
    let reorder = chance.one_in(4).then(|| Reorder {
        window: Duration::from_millis(300),
        seed: number,
    });
    script.with_ending(ending).with_delivery(Delivery {
        duplicate: chance.one_in(4),
        reorder,
        before_create_response: chance.one_in(8),
        ..Delivery::default()
    })
}
