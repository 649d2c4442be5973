//! The ears of a meeting: the audio socket that Recall dials, the transcriber's socket, and a timer between them.
//!
//! What to send and when to connect again, [`DeepgramStt`] decides; here are its sockets and its clock.
//!
//! Both are ordinary sockets, not hibernating ones. An outgoing socket keeps an object awake anyway, so there is
//! nothing to win from an incoming one that would survive sleep, and a plain listener is the cheapest way for a frame
//! to get from one to the other: one call into wasm with three numbers, no promise, no queue, no storage.

mod usual_frames;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    rc::{Rc, Weak},
};

use attache_meeting::{
    http::Request,
    meeting::{Event, ListenPlan},
    vendors::{
        deepgram::{Command, DeepgramStt, ListenOptions, Passage},
        recall::{MediaFrame, read_media_frame},
    },
};
use jiff::Timestamp;
use serde_json::json;
use web_sys::MessageEvent;
use worker::{Result, WebSocket};

use self::usual_frames::UsualFrames;
use crate::{
    clock, log,
    objects::Shell,
    sockets::{Socket, TextReader, Timer},
    vendor_http::{self, Late},
};

/// How many kinds of useless frames are written down.
const MAX_KINDS_NOTED: usize = 20;

/// The ears of one meeting, for as long as the object's instance lives.
pub(crate) struct Ears {
    shell: Weak<Shell>,
    stt: RefCell<DeepgramStt>,
    media: RefCell<Option<Socket>>,
    /// Which of the sockets that Recall dialled is the present one.
    dials: Cell<u64>,
    /// The transcriber's socket, with its number.
    vendor: RefCell<Option<(u64, Socket)>>,
    /// Whether the transcriber could not be reached the last time; the next attempt does not count on an answer.
    unanswered: Cell<bool>,
    timer: Timer,
    usual: UsualFrames,
    /// The text of the frame at hand; kept so that a frame need not allocate.
    text: RefCell<TextReader>,
    noted: RefCell<BTreeSet<String>>,
}

impl Ears {
    /// Begins to connect to the transcriber.
    pub(crate) fn open(shell: &Rc<Shell>, options: ListenOptions, plan: &ListenPlan) -> Rc<Self> {
        let seed = u64::from_le_bytes(clock::random());
        let now = clock::now();
        let stt = DeepgramStt::connect(options, plan.origin, plan.sessions, seed, now);
        let ears = Rc::new_cyclic(|ears: &Weak<Self>| {
            let rung = ears.clone();
            let timer = Timer::new(move || {
                if let Some(ears) = rung.upgrade() {
                    ears.rang();
                }
            });
            let (usual, careful) = (ears.clone(), ears.clone());
            let usual = UsualFrames::new(
                move |sound, stamp, now| {
                    let ears = usual.upgrade();
                    ears.is_some_and(|ears| ears.take(sound, Some(stamp), clock::at(now)))
                },
                move |event| {
                    if let Some(ears) = careful.upgrade() {
                        ears.frame(event);
                    }
                },
            );
            Self {
                shell: Rc::downgrade(shell),
                stt: RefCell::new(stt),
                media: RefCell::new(None),
                dials: Cell::new(0),
                vendor: RefCell::new(None),
                unanswered: Cell::new(false),
                timer,
                usual,
                text: RefCell::new(TextReader::new()),
                noted: RefCell::new(BTreeSet::new()),
            }
        });
        ears.pump();
        ears
    }

    /// Hears through this socket from now on; one that was there before is closed.
    pub(crate) fn attach(self: &Rc<Self>, socket: WebSocket) -> Result<()> {
        let dial = self.dials.get() + 1;
        self.dials.set(dial);
        let on_close = Rc::downgrade(self);
        let socket = Socket::accept_with(socket, self.usual.listener(), move |_, _| {
            if let Some(ears) = on_close.upgrade() {
                ears.media_closed(dial);
            }
        })?;
        self.media.replace(Some(socket));
        Ok(())
    }

    /// Tells whether the session was told to end, so that it takes no new sound.
    pub(crate) fn is_ending(&self) -> bool {
        self.stt.borrow().is_ending()
    }

    /// Ends the session once the sound so far is heard.
    pub(crate) fn close(self: &Rc<Self>) {
        self.media.replace(None);
        self.stt.borrow_mut().close(clock::now());
        self.pump();
    }

    /// Does what is due; an early call is harmless.
    pub(crate) fn poll(self: &Rc<Self>) {
        self.stt.borrow_mut().poll(clock::now());
        self.pump();
    }

    /// Passes on the sound of a frame that does not look like the one before.
    fn frame(self: &Rc<Self>, event: &MessageEvent) {
        let mut text = self.text.borrow_mut();
        let text = match text.read(&event.data()) {
            Ok(text) => text,
            Err(instead) => return self.ignored(instead),
        };
        let (frame, form) = match read_media_frame(text) {
            Ok(read) => read,
            Err(error) => return self.ignored(&error.to_string()),
        };
        match frame {
            MediaFrame::Sound { sound, stamp } => {
                if let Some(form) = form {
                    self.usual.learn(&form);
                }
                self.pass(&sound, stamp);
            }
            MediaFrame::Other { event } => self.ignored(&event),
        }
    }

    /// Hears what the page's microphone has picked up.
    pub(crate) fn hear(self: &Rc<Self>, sound: &[u8]) {
        self.pass(sound, None);
    }

    fn pass(self: &Rc<Self>, sound: &[u8], stamp: Option<f64>) {
        if self.take(sound, stamp, clock::now()) {
            self.send(sound);
        }
    }

    /// Takes in sound, and says whether the caller is to send it as it is; anything else is done here.
    fn take(self: &Rc<Self>, sound: &[u8], stamp: Option<f64>, now: Timestamp) -> bool {
        let mut stt = self.stt.borrow_mut();
        let passage = stt.send_audio(sound, stamp, now);
        let has_news = stt.has_news();
        drop(stt);
        match passage {
            Passage::Now(_) if !has_news => return true,
            Passage::Now(sound) => self.send(sound),
            Passage::Waiting(sound) => self.send(&sound),
            Passage::Kept => {}
        }
        if has_news {
            self.pump();
        }
        false
    }

    /// Sends sound to this socket of the transcriber's from now on, or to none.
    fn send_to(&self, vendor: Option<(u64, Socket)>) {
        self.usual
            .send_to(vendor.as_ref().map(|(_, socket)| socket));
        self.vendor.replace(vendor);
    }

    fn send(&self, sound: &[u8]) {
        if let Some((_, vendor)) = &*self.vendor.borrow() {
            vendor.send_bytes(sound);
        }
    }

    fn ignored(&self, kind: &str) {
        let mut noted = self.noted.borrow_mut();
        if noted.len() < MAX_KINDS_NOTED && noted.insert(kind.to_owned()) {
            let kind = kind.to_owned();
            self.tell(Event::MediaFrameIgnored { kind });
        }
    }

    fn media_closed(self: &Rc<Self>, dial: u64) {
        if dial != self.dials.get() {
            return;
        }
        self.media.replace(None);
        self.stt.borrow_mut().finalize();
        self.pump();
        self.tell(Event::MediaDisconnected);
    }

    /// Carries out what the session wants, tells the meeting what it reports, and sets the timer.
    fn pump(self: &Rc<Self>) {
        let commands = self.stt.borrow_mut().take_commands();
        for command in commands {
            match command {
                Command::Connect { link, request } => self.connect(link, request),
                Command::Sound(sound) => self.send(&sound),
                Command::Text(text) => {
                    if let Some((_, vendor)) = &*self.vendor.borrow() {
                        vendor.send_text(text);
                    }
                }
                Command::Disconnect => self.send_to(None),
            }
        }
        let reports = self.stt.borrow_mut().take_reports();
        for report in reports {
            self.tell(Event::SttReported { report });
        }
        if self.stt.borrow().is_closed() {
            self.media.replace(None);
            if let Some(shell) = self.shell.upgrade() {
                shell.forget_ears(self);
            }
        } else {
            self.set_timer();
        }
    }

    /// While sound comes in the timer rings too early, as it is not set anew for each frame.
    fn rang(self: &Rc<Self>) {
        let now = clock::now();
        let due = self.stt.borrow().deadline();
        match due {
            Some(at) if at > now => self.timer.rang_early(now, at),
            _ => {
                self.timer.stop();
                self.poll();
            }
        }
    }

    /// Makes sure that [`Self::poll`] is called in time. A timer that rings earlier stays: most frames move the time
    /// on, and setting a timer for each would cost more than the frame.
    fn set_timer(&self) {
        if let Some(at) = self.stt.borrow().deadline() {
            self.timer.set(at);
        }
    }

    fn tell(&self, event: Event) {
        if let Some(shell) = self.shell.upgrade() {
            shell.report(event);
        }
    }

    fn connect(self: &Rc<Self>, link: u64, request: Box<Request>) {
        let Some(shell) = self.shell.upgrade() else {
            return;
        };
        let ears = Rc::downgrade(self);
        let late = if self.unanswered.get() {
            Late::Aborted
        } else {
            Late::Left
        };
        shell.state.wait_until(async move {
            let outcome = vendor_http::upgrade(&request, late).await;
            let Some(ears) = ears.upgrade() else { return };
            let now = clock::now();
            ears.unanswered.set(outcome.is_err());
            match outcome {
                Ok(socket) => ears.connected(link, socket),
                Err(failure) => ears.stt.borrow_mut().not_connected(link, &failure, now),
            }
            ears.pump();
        });
    }

    fn message(self: &Rc<Self>, link: u64, event: &MessageEvent) {
        if let Ok(text) = self.text.borrow_mut().read(&event.data()) {
            self.stt.borrow_mut().message(link, text, clock::now());
        }
        self.pump();
    }

    fn vendor_closed(&self, link: u64) {
        let vendor = self.vendor.borrow();
        if vendor.as_ref().is_some_and(|(present, _)| *present == link) {
            drop(vendor);
            self.send_to(None);
        }
    }

    fn connected(self: &Rc<Self>, link: u64, socket: WebSocket) {
        let (on_message, on_close) = (Rc::downgrade(self), Rc::downgrade(self));
        let accepted = Socket::accept(
            socket,
            move |event| {
                if let Some(ears) = on_message.upgrade() {
                    ears.message(link, event);
                }
            },
            move |code, reason| {
                if let Some(ears) = on_close.upgrade() {
                    let now = clock::now();
                    ears.stt.borrow_mut().disconnected(link, code, &reason, now);
                    ears.vendor_closed(link);
                    ears.pump();
                }
            },
        );
        match accepted {
            Ok(socket) => {
                // A socket that comes too late is dropped, and closes by that.
                if self.stt.borrow_mut().connected(link, clock::now()) {
                    self.send_to(Some((link, socket)));
                }
            }
            Err(error) => {
                let reason = error.to_string();
                log::error("a socket could not be opened", json!({ "reason": reason }));
            }
        }
    }
}
