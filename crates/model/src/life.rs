//! One whole life of a meeting: everything in it, and the loop that lets it happen.

use std::time::Duration;

use attache_meeting::meeting::Presence;
use jiff::Timestamp;

use crate::{
    agenda::Agenda,
    avatar::{AvatarVendor, LineNews},
    calls::{Arrival, Call},
    choices::Choices,
    coverage::Coverage,
    customer::Wish,
    ears::EarNews,
    heard::Room,
    page::{Page, PageNews},
    plan::{Plan, beginning},
    recall::{Recall, Webhook},
    sabotage::Sabotage,
    shell::Shell,
    story::Story,
};

/// A life that has not come to rest by then never will.
const LIFETIME: Duration = Duration::from_hours(72);
/// A life of so many happenings is going round in circles; a call of six hours has a tenth of them.
const MAX_HAPPENINGS: u64 = 60_000;

/// What a life came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many events the meeting took in.
    pub steps: u64,
    /// How many numbers of the schedule decided something.
    pub used: usize,
    /// What happened, counted.
    pub coverage: Coverage,
    /// The first promise that was broken, if one was.
    pub violation: Option<Violation>,
    /// What happened, told, where that was asked for.
    pub story: String,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise, in a word.
    pub promise: &'static str,
    /// What was seen.
    pub what: String,
}

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Wish(Wish),
    Evicted,
    Arrives(Box<Call>),
    Answered(Box<Arrival>),
    BotMoves { bot: usize, turn: u32 },
    BotRecords { bot: usize, what: &'static str },
    Webhook(Box<Webhook>),
    Dials { bot: usize, left: u32 },
    Ear { ear: u32, news: EarNews },
    MediaClosed { socket: u32 },
    Page(PageNews),
    Line { instance: u32, news: LineNews },
    SessionEnds { session: usize },
}

/// The world of one meeting.
#[derive(Debug)]
pub(crate) struct Life {
    pub now: Timestamp,
    pub choices: Choices,
    pub agenda: Agenda<Happening>,
    pub story: Story,
    pub coverage: Coverage,
    pub plan: Plan,
    pub shell: Shell,
    pub recall: Recall,
    pub avatars: AvatarVendor,
    pub page: Page,
    pub room: Room,
    pub marks: crate::checks::Marks,
    pub sabotage: Option<Sabotage>,
    pub violation: Option<Violation>,
    /// Since when nothing goes wrong any more.
    pub calm_since: Option<Timestamp>,
    pub numbers: u32,
}

/// Lives a life by these numbers, and tells its story if that is wanted.
pub fn live(numbers: &[u16], sabotage: Option<Sabotage>, tell: bool) -> Outcome {
    let mut choices = Choices::new(numbers.to_vec());
    let plan = Plan::choose(&mut choices);
    let mut life = Life {
        now: beginning(),
        choices,
        agenda: Agenda::new(),
        story: Story::new(beginning(), tell),
        coverage: Coverage::default(),
        plan,
        shell: Shell::new(),
        recall: Recall::default(),
        avatars: AvatarVendor::default(),
        page: Page::default(),
        room: Room::new(),
        marks: crate::checks::Marks::default(),
        sabotage,
        violation: None,
        calm_since: None,
        numbers: 0,
    };
    life.go_on();
    Outcome {
        steps: life.shell.steps,
        used: life.choices.used(),
        coverage: life.coverage,
        violation: life.violation,
        story: life.story.into_text(),
    }
}

impl Life {
    fn go_on(&mut self) {
        let plan = self.plan.clone();
        self.story.tell(self.now, "life", || {
            format!(
                "{:?} {:?}, starts {:?}, trouble {} %, crashes {} ‰, hears {}, microphone {}",
                plan.booking.presence,
                plan.booking.avatar_provider,
                plan.booking.starts_at,
                plan.trouble,
                plan.crashes,
                plan.hears,
                plan.booking.page_microphone
            )
        });
        self.coverage.count(
            match (plan.booking.presence, plan.booking.avatar_provider) {
                (Presence::Voice, _) => "life: voice",
                (Presence::Avatar, None) => "life: the page's own face",
                (Presence::Avatar, Some(_)) => "life: an avatar's face",
            },
        );
        self.book();
        self.make_wishes();
        let mut happenings = 0;
        while self.violation.is_none() {
            happenings += 1;
            let Some(at) = self.next_moment() else { break };
            if at.duration_since(beginning()).as_secs() > LIFETIME.as_secs().cast_signed()
                || happenings > MAX_HAPPENINGS
            {
                let still = self.agenda.next_at().is_some();
                self.violate("rest", || {
                    format!("there is no end to it; the world goes on by itself: {still}")
                });
                break;
            }
            self.now = self.now.max(at);
            if self.calm_since.is_none() && !self.in_trouble() {
                self.calm_since = Some(self.now);
            }
            let alarm = self.shell.rings_at.is_some_and(|rings| rings <= self.now);
            let other = self.agenda.next_at().is_some_and(|next| next <= self.now);
            if alarm && !(other && self.choices.percent(30)) {
                self.ring();
            } else if let Some(happening) = self.agenda.take() {
                self.happen(happening);
            }
            self.check_always();
        }
        if self.violation.is_none() {
            self.check_at_the_end();
        }
        self.count_the_end();
    }

    fn next_moment(&self) -> Option<Timestamp> {
        [self.agenda.next_at(), self.shell.rings_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wish(wish) => self.wish(wish),
            Happening::Evicted => self.evict(),
            Happening::Arrives(call) => self.arrives(*call),
            Happening::Answered(arrival) => self.answered(*arrival),
            Happening::BotMoves { bot, turn } => self.bot_moves(bot, turn),
            Happening::BotRecords { bot, what } => self.bot_records(bot, what),
            Happening::Webhook(webhook) => self.webhook(*webhook),
            Happening::Dials { bot, left } => self.dials(bot, left),
            Happening::Ear { ear, news } => self.ear_news(ear, news),
            Happening::MediaClosed { socket } => self.media_closed(socket),
            Happening::Page(news) => self.page_news(news),
            Happening::Line { instance, news } => self.line_news(instance, news),
            Happening::SessionEnds { session } => self.session_ends(session),
        }
    }

    /// Plans something for later.
    pub(crate) fn later(&mut self, wait: Duration, what: Happening) {
        self.agenda.plan(self.now + wait, what);
    }

    /// Whether things may still go wrong.
    pub(crate) fn in_trouble(&self) -> bool {
        !self.choices.are_used_up() && self.now < self.plan.calm_from
    }

    /// Whether something goes wrong that does so in this many of a hundred cases where there is any trouble.
    pub(crate) fn trouble(&mut self, percent: u64) -> bool {
        self.plan.trouble > 0 && self.in_trouble() && self.choices.percent(percent)
    }

    pub(crate) fn crash_permille(&self) -> u64 {
        if self.in_trouble() {
            self.plan.crashes
        } else {
            0
        }
    }

    /// A number for a name that is used once.
    pub(crate) fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// Notes that a promise is broken; the first one counts.
    pub(crate) fn violate(&mut self, promise: &'static str, what: impl FnOnce() -> String) {
        if self.violation.is_some() {
            return;
        }
        let what = what();
        self.story
            .tell(self.now, "PROMISE", || format!("broken: {promise}: {what}"));
        self.violation = Some(Violation { promise, what });
    }
}
