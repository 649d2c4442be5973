//! The shell: what an instance of a meeting's object holds in memory, and how it takes an event in.
//!
//! It follows the object of the Worker. One event, and whatever sockets report in answer to it, is one turn: it is
//! stored with the alarm in one go, and only then does anything leave. A crash comes before a turn is stored, or
//! after that and before some of what was to leave has left.

use std::collections::VecDeque;

use attache_meeting::meeting::{
    AvatarOrder, EarsOrder, Event, LiveEvent, Meeting, Order, PageOrder, Step,
};
use jiff::Timestamp;

use crate::{life::Life, sabotage::Sabotage, say::describe, store::Store};

/// How soon the alarm is tried again when it failed.
const ALARM_RETRY: std::time::Duration = std::time::Duration::from_secs(10);
/// The longest that nothing answers after a crash: a machine that fails is noticed, and its objects begin elsewhere.
const LONGEST_OUTAGE: std::time::Duration = std::time::Duration::from_secs(30);
/// One crash in so many is followed by an outage.
const OUTAGE_EVERY: u64 = 8;
/// More events at one moment than any real thing brings about.
const MAX_EVENTS_AT_ONCE: u32 = 400;
/// How often a meeting is woken once more to see that nothing follows.
const WAKE_AGAIN_EVERY: u64 = 32;

/// What an instance knows of its storage.
#[derive(Debug)]
pub(crate) enum Loaded {
    NotYet,
    Nothing,
    Meeting(Box<Meeting>),
}

/// One instance after the other, and what is stored.
#[derive(Debug)]
pub(crate) struct Shell {
    pub store: Store,
    /// What was stored one step earlier.
    before: Option<Store>,
    pub loaded: Loaded,
    /// When the alarm that this instance knows of rings.
    known_alarm: Option<Timestamp>,
    /// When the stored alarm really rings, which is a little late at times.
    pub rings_at: Option<Timestamp>,
    /// Which instance it is.
    pub instance: u32,
    /// Until when nothing answers after a crash.
    down_until: Option<Timestamp>,
    /// The page's socket.
    pub page: Option<u32>,
    /// Recall's audio socket, or the page's microphone.
    pub media: Option<u32>,
    /// The listening session, and whether it is ending.
    pub ears: Option<(u32, bool)>,
    /// Orders that this instance waits for.
    pub waits_for: usize,
    reports: VecDeque<Event>,
    last_event_at: Option<Timestamp>,
    events_at_once: u32,
    pub steps: u64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It was stored, and whoever brought it has the answer.
    Taken,
    /// The meeting refused it.
    Refused,
    /// It was stored, and a crash kept the answer.
    Unanswered,
    /// A crash came before it was stored.
    Lost,
    /// There is no meeting.
    NoMeeting,
}

/// Something that leaves the building after a turn.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Order(Order),
    Page(PageOrder),
    Ears(EarsOrder),
    Avatar(AvatarOrder),
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self {
            store: Store::default(),
            before: None,
            loaded: Loaded::NotYet,
            known_alarm: None,
            rings_at: None,
            instance: 1,
            down_until: None,
            page: None,
            media: None,
            ears: None,
            waits_for: 0,
            reports: VecDeque::new(),
            last_event_at: None,
            events_at_once: 0,
            steps: 0,
        }
    }

    pub(crate) fn meeting(&self) -> Option<&Meeting> {
        match &self.loaded {
            Loaded::Meeting(meeting) => Some(meeting),
            Loaded::NotYet | Loaded::Nothing => None,
        }
    }
}

impl Life {
    /// Books the meeting, which begins everything.
    pub(crate) fn book(&mut self) {
        let (meeting, step) = Meeting::book(self.plan.booking.clone(), self.now);
        self.story
            .tell(self.now, "customer", || "books the meeting".to_owned());
        let snapshot = self.snapshot_of(&meeting);
        self.shell.store.save(Some(snapshot), &step, None);
        self.look_at(&step);
        self.shell.loaded = Loaded::Meeting(Box::new(meeting));
        let mut out = Vec::new();
        self.collect(step, &mut out);
        self.set_alarm();
        self.send_all(out);
    }

    /// Brings an event to the object, waking it first if need be.
    pub(crate) fn deliver(&mut self, event: Event, webhook: Option<u64>) -> Delivery {
        if !self.wake() {
            return Delivery::Lost;
        }
        if self.shell.meeting().is_none() {
            return Delivery::NoMeeting;
        }
        self.turn(event, webhook)
    }

    /// Makes sure that the meeting is loaded; says whether the instance still lives.
    pub(crate) fn wake(&mut self) -> bool {
        if !matches!(self.shell.loaded, Loaded::NotYet) {
            return true;
        }
        if self.shell.down_until.is_some_and(|until| until > self.now) {
            return false;
        }
        match self.shell.store.load() {
            Err(error) => {
                self.violate("restore", || {
                    format!("what is stored cannot be read: {error}")
                });
                return false;
            }
            Ok(None) => self.shell.loaded = Loaded::Nothing,
            Ok(Some(meeting)) => {
                self.story.tell(self.now, "object", || {
                    format!("a fresh instance loads the meeting, {:?}", meeting.status())
                });
                self.coverage
                    .count("restart: instances that loaded a meeting");
                self.shell.loaded = Loaded::Meeting(Box::new(meeting));
                let page_connected = self.shell.page.is_some();
                return self.stands(Event::Restored { page_connected });
            }
        }
        true
    }

    fn stands(&mut self, event: Event) -> bool {
        match self.turn(event, None) {
            Delivery::Taken | Delivery::Refused | Delivery::NoMeeting => true,
            Delivery::Lost | Delivery::Unanswered => false,
        }
    }

    /// Takes in what a socket of this instance has to tell.
    pub(crate) fn report(&mut self, event: Event) -> Delivery {
        if event.is_passing() && !self.plan.watched {
            return Delivery::Refused;
        }
        self.deliver(event, None)
    }

    /// What a socket reports while it is being told its orders; it is taken in within the same turn.
    pub(crate) fn report_at_once(&mut self, event: Event) {
        self.shell.reports.push_back(event);
    }

    fn turn(&mut self, event: Event, webhook: Option<u64>) -> Delivery {
        if self.violation.is_some() {
            return Delivery::Lost;
        }
        let crash = self.crash_permille();
        let crash = self.choices.permille(crash).then(|| self.choices.below(4));
        if crash == Some(3) {
            self.story.tell(self.now, "object", || {
                format!("crashes before it has stored: {}", describe(&event))
            });
            self.crash("restart: crash before the transaction");
            return Delivery::Lost;
        }
        let mut out = Vec::new();
        if !self.apply(event, webhook, &mut out) {
            return Delivery::Refused;
        }
        while let Some(report) = self.shell.reports.pop_front() {
            self.apply(report, None, &mut out);
        }
        self.set_alarm();
        let Some(crash) = crash else {
            self.send_all(out);
            return Delivery::Taken;
        };
        // Nothing leaves, some of it leaves, or all of it and no answer is awaited.
        let leaves = match crash {
            0 => out.len(),
            1 => 0,
            _ => usize::try_from(self.choices.below(out.len() as u64 + 1)).unwrap_or(0),
        };
        out.truncate(leaves);
        self.send_all(out);
        self.crash("restart: crash after the transaction");
        Delivery::Unanswered
    }

    /// One event, stored; says whether the meeting took it.
    fn apply(&mut self, event: Event, webhook: Option<u64>, out: &mut Vec<Outgoing>) -> bool {
        let Loaded::Meeting(before) = &self.shell.loaded else {
            return false;
        };
        let mut next = before.clone();
        let fact = self.heard_fact(&event);
        let what = describe(&event);
        let step = next.handle(event, self.now);
        self.shell.steps += 1;
        if let Some(refusal) = step.refusal {
            self.coverage.count("api: refused");
            self.story.tell(self.now, "meeting", || {
                format!("refuses: {what}: {refusal}")
            });
            return false;
        }
        self.story
            .tell(self.now, "meeting", || format!("takes in: {what}"));
        let changed = !next.is_recalled_from(before);
        self.check_status(before.status(), next.status());
        let snapshot = changed.then(|| self.snapshot_of(&next));
        let webhook = webhook.filter(|_| self.sabotage != Some(Sabotage::ForgetWebhooks));
        self.keep_before();
        if changed || self.sabotage != Some(Sabotage::SkipSegments) {
            self.shell.store.save(snapshot, &step, webhook);
        }
        self.room.known.extend(fact);
        self.shell.loaded = Loaded::Meeting(next);
        self.look_at(&step);
        self.check_rest();
        self.collect(step, out);
        true
    }

    fn keep_before(&mut self) {
        if self.sabotage == Some(Sabotage::LoseLastWrite) {
            self.shell.before = Some(self.shell.store.clone());
        }
    }

    fn snapshot_of(&mut self, meeting: &Meeting) -> String {
        match meeting.to_snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.violate("restore", || {
                    format!("the meeting cannot be stored: {error}")
                });
                String::new()
            }
        }
    }

    /// No more happens at one moment than is to be done; and waking again at once changes nothing.
    fn check_rest(&mut self) {
        if self.shell.last_event_at == Some(self.now) {
            self.shell.events_at_once += 1;
            if self.shell.events_at_once > MAX_EVENTS_AT_ONCE {
                self.violate("rest", || {
                    format!("more than {MAX_EVENTS_AT_ONCE} events at one moment")
                });
            }
        } else {
            self.shell.last_event_at = Some(self.now);
            self.shell.events_at_once = 0;
        }
        if !self.shell.steps.is_multiple_of(WAKE_AGAIN_EVERY) {
            return;
        }
        let Some(mut again) = self.shell.meeting().cloned() else {
            return;
        };
        let settled = again.handle(Event::Woke, self.now);
        if !settled.orders.is_empty() {
            self.violate("rest", || {
                format!("waking at once orders more: {:?}", settled.orders)
            });
        }
    }

    /// Gathers what leaves after the turn; what sockets do at once, they do.
    fn collect(&mut self, step: Step, out: &mut Vec<Outgoing>) {
        out.extend(step.orders.into_iter().map(Outgoing::Order));
        out.extend(step.page.into_iter().map(Outgoing::Page));
        if let Some(order) = step.ears {
            self.tell_ears(&order);
            out.push(Outgoing::Ears(order));
        }
        for order in step.avatar {
            if self.tell_line(&order) {
                out.push(Outgoing::Avatar(order));
            }
        }
    }

    fn send_all(&mut self, out: Vec<Outgoing>) {
        for outgoing in out {
            match outgoing {
                Outgoing::Order(order) => self.start(order),
                Outgoing::Page(order) => self.tell_page(order),
                Outgoing::Ears(order) => self.ears_ordered(&order),
                Outgoing::Avatar(order) => self.line_ordered(order),
            }
        }
    }

    fn look_at(&mut self, step: &Step) {
        for segment in &step.segments {
            self.check_segment(segment);
        }
        for event in &step.live {
            if let LiveEvent::Utterance {
                utterance_id,
                state,
                text,
                ..
            } = event
            {
                self.room.named(utterance_id.clone(), text.clone());
                if let Some(wrong) = self.room.told(utterance_id, *state) {
                    self.violate("utterances", || wrong);
                }
            }
        }
    }

    fn set_alarm(&mut self) {
        let Some(meeting) = self.shell.meeting() else {
            return;
        };
        let Some(at) = meeting.deadline(self.now) else {
            self.shell.known_alarm = None;
            self.shell.store.alarm = None;
            self.shell.rings_at = None;
            return;
        };
        if self.shell.known_alarm.is_some_and(|known| known <= at) {
            return;
        }
        self.shell.known_alarm = Some(at);
        if self.sabotage == Some(Sabotage::ForgetAlarm) && self.choices.percent(40) {
            return;
        }
        self.ring_at(at.max(self.now));
    }

    fn ring_at(&mut self, at: Timestamp) {
        self.shell.store.alarm = Some(at);
        let late = if self.trouble(3) {
            self.choices.time(std::time::Duration::from_mins(1))
        } else {
            std::time::Duration::ZERO
        };
        self.shell.rings_at = Some(at + late);
    }

    /// The alarm rings.
    pub(crate) fn ring(&mut self) {
        self.shell.known_alarm = None;
        // First of all, so that not even a panic leaves the meeting without an alarm.
        let again = self.now + ALARM_RETRY;
        self.shell.store.alarm = Some(again);
        self.shell.rings_at = Some(again);
        if self.deliver(Event::Woke, None) == Delivery::NoMeeting {
            self.violate("rest", || "an alarm rings where no meeting is".to_owned());
        }
    }

    /// Everything in memory is gone, and every socket with it.
    pub(crate) fn crash(&mut self, how: &'static str) {
        self.coverage.count(how);
        self.check_restore();
        self.story.tell(self.now, "object", || {
            "CRASH: its memory, its sockets and every answer under way are gone".to_owned()
        });
        if let Some(before) = self.shell.before.take() {
            let alarm = self.shell.store.alarm;
            self.shell.store = Store { alarm, ..before };
        }
        self.forget();
        self.begin_outage();
        self.shell.page = None;
        self.page_loses_its_socket();
        self.media_lost();
    }

    /// After some crashes nothing answers for a while. Which ones is up to their moment, and no choice of its own: so
    /// the lives that are kept stay as they were.
    fn begin_outage(&mut self) {
        let moment = self.now.as_millisecond().unsigned_abs();
        if !self.in_trouble() || !moment.is_multiple_of(OUTAGE_EVERY) {
            return;
        }
        let outage =
            std::time::Duration::from_secs(moment / OUTAGE_EVERY % LONGEST_OUTAGE.as_secs());
        self.coverage.count("restart: outage");
        self.story.tell(self.now, "object", || {
            format!("nothing answers for {outage:?}")
        });
        self.shell.down_until = Some(self.now + outage);
    }

    /// An instance that waits for nothing makes room; the page's socket stays.
    pub(crate) fn evict(&mut self) {
        let busy = self.shell.waits_for > 0 || self.shell.ears.is_some() || self.has_lines();
        if busy || self.shell.media.is_some() || self.shell.meeting().is_none() {
            return;
        }
        self.coverage.count("restart: eviction");
        self.check_restore();
        self.story.tell(self.now, "object", || {
            "is evicted; the page's socket stays open".to_owned()
        });
        self.forget();
    }

    fn forget(&mut self) {
        self.shell.loaded = Loaded::NotYet;
        self.shell.known_alarm = None;
        self.shell.instance += 1;
        self.shell.waits_for = 0;
        self.shell.ears = None;
        self.shell.media = None;
        self.shell.reports.clear();
        self.forget_lines();
    }
}
