//! The bot's page: it loads, connects, plays, loses its socket, is loaded anew or dies without a word.
//!
//! It keeps what the page in `web/` keeps: what it plays over a lost socket, the ends it has yet to tell, and nothing
//! over a reload.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use attache_meeting::{
    ids::UtteranceId,
    meeting::{Event, PageOrder, Presence, Via},
    page::{FromPage, ToPage},
    vendors::avatar::AvatarSessionId,
};
use jiff::Timestamp;

use crate::{
    life::{Happening, Life},
    sabotage::Sabotage,
    shell::Delivery,
};

/// How long a message is on its way between the page and the object, so that they stay in order.
const WAY: Duration = Duration::from_millis(20);
/// The first wait before the page connects again, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long the sound of an utterance is on its way, and how much of it the page has before it is played.
const COMES_WITHIN: Duration = Duration::from_millis(100);
const HAS_MORE: Duration = Duration::from_secs(1);
/// How long it takes to notice that the avatar speaks.
const NOTICES: Duration = Duration::from_millis(250);

/// The page and what it is at.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Which loading of it this is; none while there is no page.
    loaded: Option<u32>,
    bot: usize,
    /// The socket as the page knows it.
    socket: Option<u32>,
    greeted: bool,
    failures: u32,
    queue: VecDeque<Playing>,
    waiting: Vec<FromPage>,
    muffled: bool,
    /// The rooms whose avatar it sees, with whether it has heard it.
    rooms: BTreeMap<AvatarSessionId, bool>,
}

#[derive(Debug)]
struct Playing {
    utterance: UtteranceId,
    length: Duration,
    since: Option<Timestamp>,
    /// When all of its sound is there.
    whole_at: Timestamp,
    token: u32,
    /// Its sound did not come whole.
    cut_off: bool,
}

/// What is about to happen with the page.
#[derive(Debug)]
pub(crate) enum PageNews {
    Loads {
        bot: usize,
        number: u32,
    },
    Connects {
        number: u32,
    },
    /// A message of the object's is there.
    Hears {
        socket: u32,
        order: PageOrder,
    },
    /// A message of the page's is there.
    Says {
        socket: u32,
        report: FromPage,
    },
    /// The object learns that the socket is gone.
    Gone {
        socket: u32,
    },
    Progress {
        token: u32,
    },
    Ends {
        token: u32,
    },
    Breaks {
        number: u32,
    },
    Room {
        number: u32,
        session: AvatarSessionId,
        what: RoomNews,
    },
    Sound {
        socket: u32,
    },
}

/// What becomes of an avatar's room on the page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RoomNews {
    Seen,
    Heard,
    Frozen,
    Lost,
}

impl Life {
    /// A bot with a page is on its way in.
    pub(crate) fn open_page(&mut self, bot: usize) {
        if self.plan.booking.presence == Presence::Avatar {
            let wait = self.choices.pick(&[
                Duration::from_secs(1),
                Duration::from_secs(4),
                Duration::from_secs(25),
            ]);
            let number = self.number();
            self.later(wait, Happening::Page(PageNews::Loads { bot, number }));
        }
    }

    /// A bot has left, and its page with it.
    pub(crate) fn close_page(&mut self, bot: usize) {
        if self.page.loaded.is_some() && self.page.bot == bot {
            self.drop_socket();
            self.unload();
        }
    }

    fn unload(&mut self) {
        let page = std::mem::take(&mut self.page);
        for playing in page.queue.iter().filter(|playing| playing.since.is_some()) {
            self.forgets(&playing.utterance);
        }
        for utterance in page.waiting.iter().filter_map(last_word) {
            self.forgets(&utterance);
        }
    }

    /// The page will never tell that it has begun an utterance, so that the meeting may let it be said once more.
    fn forgets(&mut self, utterance: &UtteranceId) {
        if !self.room.known.contains(utterance) {
            *self.room.forgotten.entry(utterance.clone()).or_insert(0) += 1;
        }
    }

    /// The socket breaks, and the object learns of it a moment later.
    fn drop_socket(&mut self) {
        if let Some(socket) = self.page.socket {
            self.page_loses_its_socket();
            self.later(WAY, Happening::Page(PageNews::Gone { socket }));
        }
    }

    /// The socket is gone; the page notices.
    pub(crate) fn page_loses_its_socket(&mut self) {
        if self.page.socket.take().is_none() {
            return;
        }
        self.page.greeted = false;
        let Some(number) = self.page.loaded else {
            return;
        };
        self.story
            .tell(self.now, "page", || "has lost its socket".to_owned());
        self.cut_off_on_page();
        let wait = (FIRST_WAIT * 2_u32.saturating_pow(self.page.failures)).min(LONGEST_WAIT);
        self.later(wait, Happening::Page(PageNews::Connects { number }));
    }

    /// What was still coming will not come: what is there is played.
    fn cut_off_on_page(&mut self) {
        let now = self.now;
        let open = self.page.queue.back_mut();
        let Some(open) = open.filter(|open| now < open.whole_at) else {
            return;
        };
        (open.whole_at, open.cut_off) = (now, true);
        let Some(since) = open.since else {
            let (utterance_id, played_ms) = (open.utterance.clone(), 0);
            self.page.queue.pop_back();
            return self.page_tells(cut_off(utterance_id, played_ms));
        };
        open.length = now.duration_since(since).unsigned_abs() + HAS_MORE.min(open.length);
        let (rest, token) = (HAS_MORE.min(open.length), open.token);
        self.later(rest, Happening::Page(PageNews::Ends { token }));
    }

    pub(crate) fn tell_page(&mut self, order: PageOrder) {
        let Some(socket) = self.shell.page else {
            return;
        };
        if let PageOrder::Speak {
            utterance_id,
            from_ms,
            ..
        } = &order
        {
            if !self.shell.store.clips.contains_key(utterance_id) {
                return;
            }
            let (utterance, from_ms) = (utterance_id.clone(), *from_ms);
            self.check_said_again(&utterance, from_ms, "page");
        }
        if order == PageOrder::Close {
            self.shell.page = None;
        }
        self.story
            .tell(self.now, "object", || format!("to the page: {order:?}"));
        let news = PageNews::Hears { socket, order };
        self.later(WAY, Happening::Page(news));
    }

    pub(crate) fn page_news(&mut self, news: PageNews) {
        match news {
            PageNews::Loads { bot, number } => self.page_loads(bot, number),
            PageNews::Connects { number } => self.page_connects(number),
            PageNews::Hears { socket, order } => {
                if self.page.socket == Some(socket) {
                    self.page_hears(order);
                }
            }
            PageNews::Says { socket, report } => {
                let last_word = last_word(&report);
                let arrives = self.shell.page == Some(socket)
                    && self.deliver(Event::PageReported { report }, None) != Delivery::Lost;
                if let Some(utterance) = last_word.filter(|_| !arrives) {
                    self.forgets(&utterance);
                }
            }
            PageNews::Gone { socket } => {
                if self.shell.page == Some(socket) {
                    self.shell.page = None;
                    self.deliver(Event::PageDisconnected, None);
                }
            }
            PageNews::Progress { token } => self.page_progress(token),
            PageNews::Ends { token } => self.page_ends(token),
            PageNews::Breaks { number } => self.page_breaks(number),
            PageNews::Room {
                number,
                session,
                what,
            } => self.room_news(number, session, what),
            PageNews::Sound { socket } => self.page_streams(socket),
        }
    }

    fn page_loads(&mut self, bot: usize, number: u32) {
        if self.recall.bots[bot].is_gone() {
            return;
        }
        self.coverage.count("page: loaded");
        self.story.tell(self.now, "page", || "is loaded".to_owned());
        self.page = Page {
            loaded: Some(number),
            bot,
            muffled: self.trouble(5),
            ..Page::default()
        };
        self.later(WAY, Happening::Page(PageNews::Connects { number }));
        if self.trouble(self.plan.trouble) {
            let wait = self.choices.time(Duration::from_mins(3));
            self.later(wait, Happening::Page(PageNews::Breaks { number }));
        }
    }

    fn page_connects(&mut self, number: u32) {
        if self.page.loaded != Some(number) || self.page.socket.is_some() {
            return;
        }
        let fails = self.trouble(self.plan.trouble / 2);
        let accepted = !fails && self.wake() && self.shell.meeting().is_some();
        if accepted {
            let socket = self.number();
            self.shell.page = Some(socket);
            self.page.socket = Some(socket);
            match self.deliver(Event::PageConnected, None) {
                Delivery::Taken => {
                    self.page.failures = 0;
                    self.coverage.count("page: connected");
                    return;
                }
                // A crash has taken the socket, and the page knows.
                Delivery::Lost | Delivery::Unanswered => return,
                Delivery::Refused | Delivery::NoMeeting => {
                    self.shell.page = None;
                    self.page.socket = None;
                }
            }
        }
        self.page.failures += 1;
        let wait = (FIRST_WAIT * 2_u32.saturating_pow(self.page.failures)).min(LONGEST_WAIT);
        self.later(wait, Happening::Page(PageNews::Connects { number }));
    }

    fn page_breaks(&mut self, number: u32) {
        if self.page.loaded != Some(number) {
            return;
        }
        let bot = self.page.bot;
        match self.choices.below(4) {
            0 => {
                self.coverage.count("fault: the page's socket is lost");
                self.drop_socket();
            }
            1 => {
                self.coverage.count("fault: the page is loaded anew");
                self.story
                    .tell(self.now, "page", || "is loaded anew".to_owned());
                self.drop_socket();
                self.unload();
                let number = self.number();
                self.later(
                    Duration::from_millis(800),
                    Happening::Page(PageNews::Loads { bot, number }),
                );
            }
            2 => {
                self.coverage.count("fault: the page dies without a word");
                self.story
                    .tell(self.now, "page", || "dies without a word".to_owned());
                self.unload();
                if self.choices.percent(70) {
                    let number = self.number();
                    let wait = self.choices.time(Duration::from_mins(2));
                    self.later(wait, Happening::Page(PageNews::Loads { bot, number }));
                }
            }
            _ => {
                self.coverage.count("fault: the browser blocks the sound");
                self.page.muffled = true;
                self.page_tells(FromPage::SoundBlocked);
            }
        }
        if let Some(number) = self.page.loaded.filter(|_| self.in_trouble()) {
            let wait = self.choices.time(Duration::from_mins(3));
            self.later(
                wait + Duration::from_secs(1),
                Happening::Page(PageNews::Breaks { number }),
            );
        }
    }

    fn page_hears(&mut self, order: PageOrder) {
        match order {
            PageOrder::Close => self.page_loses_its_socket(),
            PageOrder::Speak {
                utterance_id,
                text,
                from_ms,
                ..
            } => {
                let copies = if self.sabotage == Some(Sabotage::SpeakTwice) {
                    2
                } else {
                    1
                };
                for _ in 0..copies {
                    self.page_speaks(utterance_id.clone(), &text, from_ms);
                }
            }
            PageOrder::JoinAvatar { session_id } => self.page_joins(&session_id),
            PageOrder::Send(frame) => match frame {
                ToPage::Hello { microphone, .. } => self.page_is_greeted(microphone),
                ToPage::Interrupt => self.page_is_interrupted(),
                ToPage::Ping => self.page_tells(FromPage::Pong),
                ToPage::AvatarLeave { session } => {
                    self.page.rooms.remove(&AvatarSessionId(session));
                }
                ToPage::Pose { .. }
                | ToPage::React { .. }
                | ToPage::AvatarJoin { .. }
                | ToPage::SpeakStart { .. }
                | ToPage::SpeakEnd { .. } => {}
            },
        }
    }

    fn page_is_greeted(&mut self, microphone: bool) {
        self.page.greeted = true;
        self.page_tells(FromPage::Ready);
        for fact in std::mem::take(&mut self.page.waiting) {
            self.page_tells(fact);
        }
        self.tell_progress();
        if let (true, Some(socket)) = (microphone, self.page.socket) {
            self.later(
                Duration::from_millis(500),
                Happening::Page(PageNews::Sound { socket }),
            );
        }
    }

    fn page_speaks(&mut self, utterance: UtteranceId, text: &str, from_ms: u64) {
        if self.trouble(self.plan.trouble / 4) {
            self.coverage.count("fault: the page cannot play");
            let reason = "no sound".to_owned();
            return self.page_tells(FromPage::SpeakFailed {
                utterance_id: utterance,
                reason,
                played_ms: 0,
            });
        }
        let length = crate::calls::length_ms(text).saturating_sub(from_ms);
        let token = self.number();
        self.page.queue.push_back(Playing {
            utterance,
            length: Duration::from_millis(length),
            since: None,
            whole_at: self.now + COMES_WITHIN,
            token,
            cut_off: false,
        });
        if self.page.queue.len() == 1 {
            self.page_begins(from_ms);
        }
    }

    fn page_begins(&mut self, from_ms: u64) {
        let now = self.now;
        if self.page.muffled {
            return;
        }
        let Some(first) = self.page.queue.front_mut() else {
            return;
        };
        first.since = Some(now);
        let (utterance, length, token) = (first.utterance.clone(), first.length, first.token);
        self.hear(&utterance, Via::Page, from_ms);
        self.tell_progress();
        self.later(length / 2, Happening::Page(PageNews::Progress { token }));
        self.later(length, Happening::Page(PageNews::Ends { token }));
    }

    fn tell_progress(&mut self) {
        if let Some(first) = self.page.queue.front()
            && let Some(since) = first.since
        {
            let report = FromPage::Playing {
                utterance_id: first.utterance.clone(),
                played_ms: millis(self.now, since),
                interrupted: false,
            };
            self.page_tells(report);
        }
    }

    fn page_progress(&mut self, token: u32) {
        if self
            .page
            .queue
            .front()
            .is_some_and(|first| first.token == token)
        {
            self.tell_progress();
        }
    }

    fn page_ends(&mut self, token: u32) {
        if self
            .page
            .queue
            .front()
            .is_some_and(|first| first.token == token)
            && let Some(first) = self.page.queue.pop_front()
        {
            let utterance_id = first.utterance;
            let played = first.since.map_or(0, |since| millis(self.now, since));
            self.page_tells(if first.cut_off {
                cut_off(utterance_id, played)
            } else {
                FromPage::Spoken { utterance_id }
            });
            if !self.page.queue.is_empty() {
                self.page_begins(0);
            }
        }
    }

    fn page_is_interrupted(&mut self) {
        for playing in std::mem::take(&mut self.page.queue) {
            let played_ms = playing.since.map_or(0, |since| millis(self.now, since));
            self.page_tells(FromPage::Playing {
                utterance_id: playing.utterance,
                played_ms,
                interrupted: true,
            });
        }
    }

    /// Says something, or keeps it until there is somebody to hear it.
    fn page_tells(&mut self, report: FromPage) {
        if let Some(socket) = self.page.socket.filter(|_| self.page.greeted) {
            let playing = matches!(report, FromPage::Playing { .. });
            if playing && self.trouble(self.plan.trouble / 8) {
                let what = "fault: the page's word is lost with its socket";
                self.coverage.count(what);
                if let Some(utterance) = last_word(&report) {
                    self.forgets(&utterance);
                }
                return self.drop_socket();
            }
            return self.later(WAY, Happening::Page(PageNews::Says { socket, report }));
        }
        let kept = match &report {
            FromPage::Playing { interrupted, .. } => *interrupted,
            FromPage::Ready | FromPage::SoundBlocked | FromPage::Pong | FromPage::Unknown => false,
            FromPage::Spoken { .. }
            | FromPage::SpeakFailed { .. }
            | FromPage::AvatarTracks { .. }
            | FromPage::AvatarHeard { .. }
            | FromPage::VideoFrozen { .. }
            | FromPage::AvatarDisconnected { .. } => true,
        };
        if kept {
            self.page.waiting.push(report);
        }
    }

    fn page_joins(&mut self, session: &AvatarSessionId) {
        let Some(number) = self.page.loaded else {
            return;
        };
        if !self.is_live(session) {
            return;
        }
        let room = |what| {
            Happening::Page(PageNews::Room {
                number,
                session: session.clone(),
                what,
            })
        };
        if let Some(heard) = self.page.rooms.get(session) {
            if *heard {
                self.later(Duration::ZERO, room(RoomNews::Heard));
            }
            return self.later(Duration::ZERO, room(RoomNews::Seen));
        }
        if self.trouble(self.plan.trouble / 2) {
            let lost = room(RoomNews::Lost);
            return self.later(Duration::from_secs(2), lost);
        }
        let (seen, frozen) = (room(RoomNews::Seen), room(RoomNews::Frozen));
        let wait = Duration::from_millis(500) + self.way(Duration::from_secs(3));
        self.later(wait, seen);
        if self.trouble(self.plan.trouble / 2) {
            let freezes = self.choices.time(Duration::from_mins(2));
            self.later(wait + freezes, frozen);
        }
    }

    fn room_news(&mut self, number: u32, session: AvatarSessionId, what: RoomNews) {
        if self.page.loaded != Some(number) || !self.is_live(&session) {
            return;
        }
        match what {
            RoomNews::Seen => drop(self.page.rooms.entry(session.clone()).or_default()),
            RoomNews::Heard => {
                self.coverage.count("page: hears the avatar");
                self.page.rooms.insert(session.clone(), true);
            }
            RoomNews::Lost => drop(self.page.rooms.remove(&session)),
            RoomNews::Frozen => {}
        }
        let session = session.0;
        self.page_tells(match what {
            RoomNews::Heard => FromPage::AvatarHeard { session },
            RoomNews::Seen => FromPage::AvatarTracks {
                session,
                first_frame_ms: 500,
            },
            RoomNews::Frozen => FromPage::VideoFrozen { session },
            RoomNews::Lost => FromPage::AvatarDisconnected {
                session,
                reason: "5".to_owned(),
            },
        });
    }

    /// The avatar begins to speak, and the page notices if it is in its room.
    pub(crate) fn page_hears_avatar(&mut self, session: &AvatarSessionId) {
        let heard = self.page.rooms.get(session).copied();
        if let (Some(number), Some(false), false) = (self.page.loaded, heard, self.page.muffled) {
            let news = PageNews::Room {
                number,
                session: session.clone(),
                what: RoomNews::Heard,
            };
            self.later(NOTICES, Happening::Page(news));
        }
    }

    /// The page's microphone brings sound.
    fn page_streams(&mut self, socket: u32) {
        if self.page.socket != Some(socket) || self.shell.page != Some(socket) || !self.wake() {
            return;
        }
        let has_media = self
            .shell
            .meeting()
            .is_some_and(attache_meeting::meeting::Meeting::has_media);
        if !has_media {
            self.deliver(Event::MediaConnected, None);
        }
        self.later(
            Duration::from_secs(20),
            Happening::Page(PageNews::Sound { socket }),
        );
    }
}

/// The utterance of which the page says the last that it will say.
fn last_word(report: &FromPage) -> Option<UtteranceId> {
    match report {
        FromPage::Spoken { utterance_id }
        | FromPage::Playing {
            utterance_id,
            interrupted: true,
            ..
        }
        | FromPage::SpeakFailed {
            utterance_id,
            played_ms: 1..,
            ..
        } => Some(utterance_id.clone()),
        FromPage::Playing { .. }
        | FromPage::SpeakFailed { .. }
        | FromPage::Ready
        | FromPage::SoundBlocked
        | FromPage::AvatarTracks { .. }
        | FromPage::AvatarHeard { .. }
        | FromPage::VideoFrozen { .. }
        | FromPage::AvatarDisconnected { .. }
        | FromPage::Pong
        | FromPage::Unknown => None,
    }
}

fn cut_off(utterance_id: UtteranceId, played_ms: u64) -> FromPage {
    FromPage::SpeakFailed {
        utterance_id,
        reason: "the connection was lost".to_owned(),
        played_ms,
    }
}

fn millis(now: Timestamp, since: Timestamp) -> u64 {
    u64::try_from(now.duration_since(since).as_millis()).unwrap_or(0)
}
