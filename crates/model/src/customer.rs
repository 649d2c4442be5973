//! Whoever uses the API: commands at any time, most of them while the bot is in the call.

use std::time::Duration;

use attache_meeting::{ids::UtteranceId, meeting::Event, page::Reaction};

use crate::life::{Happening, Life};

/// Something that a caller wants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    Say,
    SayAtOnce,
    Interrupt,
    Chat,
    React,
    Rotate,
    Join,
    Cancel,
    Purge,
}

impl Life {
    /// Settles beforehand what callers will want and when.
    pub(crate) fn make_wishes(&mut self) {
        let joins = self.shell.meeting().map(|m| m.booking().join_at());
        let ahead =
            joins.map(|at| Duration::try_from(at.duration_since(self.now)).unwrap_or_default());
        let join = ahead.unwrap_or_default();
        for _ in 0..self.choices.below(10) {
            let wish = self.choices.pick(&[
                Wish::Say,
                Wish::Say,
                Wish::SayAtOnce,
                Wish::Interrupt,
                Wish::Chat,
                Wish::React,
                Wish::Rotate,
                Wish::Say,
                Wish::Cancel,
                Wish::Join,
            ]);
            let before = matches!(wish, Wish::Join | Wish::Cancel) && self.choices.percent(50);
            let at = if before {
                self.choices.time(join + Duration::from_secs(40))
            } else {
                join + self.choices.time(Duration::from_mins(5))
            };
            self.later(at, Happening::Wish(wish));
        }
        if self.choices.percent(25) {
            for _ in 0..2 {
                let at = join + self.choices.time(Duration::from_hours(3));
                self.later(at, Happening::Wish(Wish::Purge));
            }
        }
        for _ in 0..self.choices.below(3) {
            let at = self.choices.time(join + Duration::from_mins(6));
            self.later(at, Happening::Evicted);
        }
    }

    pub(crate) fn wish(&mut self, wish: Wish) {
        self.coverage.count(match wish {
            Wish::Say => "api: say",
            Wish::SayAtOnce => "api: say, interrupting",
            Wish::Interrupt => "api: interrupt",
            Wish::Chat => "api: chat",
            Wish::React => "api: reaction",
            Wish::Rotate => "api: rotate",
            Wish::Join => "api: join",
            Wish::Cancel => "api: delete",
            Wish::Purge => "api: purge",
        });
        let event = match wish {
            Wish::Say => self.say(false),
            Wish::SayAtOnce => self.say(true),
            Wish::Interrupt => Event::InterruptRequested,
            Wish::Chat => Event::ChatRequested {
                text: format!("note {}", self.number()),
            },
            Wish::React => Event::ReactionRequested {
                reaction: Reaction::Nod,
            },
            Wish::Rotate => Event::RotationRequested,
            Wish::Join => Event::JoinRequested,
            Wish::Cancel => Event::CancelRequested,
            Wish::Purge => Event::PurgeRequested,
        };
        let leaves = matches!(event, Event::CancelRequested);
        self.deliver(event, None);
        self.marks.left |= leaves;
    }

    fn say(&mut self, interrupt: bool) -> Event {
        let number = self.number();
        let words = self.choices.pick(&[
            "word",
            "quite a few words",
            "so many words that they take their time, and then some",
        ]);
        Event::SayRequested {
            utterance_id: UtteranceId::mint(self.now, u128::from(number)),
            text: format!("{words} {number}"),
            interrupt,
        }
    }
}
