//! The socket of one session, its timer, and the sound that is on its way to it.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
};

use attache_meeting::{
    http::{HandshakeFailure, Request, TransportError},
    ids::UtteranceId,
    secret::Secret,
    vendors::{
        avatar::AvatarSessionId,
        liveavatar::{Beginning, Command, LinkReport, LiveAvatarLink},
    },
};
use jiff::Timestamp;
use serde_json::json;
use web_sys::MessageEvent;
use worker::WebSocket;

use super::{feed::Feed, not_said, report};
use crate::{
    clock, log,
    objects::Shell,
    on_drop::OnDrop,
    sockets::{Socket, TextReader, Timer},
    vendor_http::{self, Late},
};

/// One session's link with everything that it needs from the outside.
pub(super) struct Line {
    shell: Weak<Shell>,
    session_id: AvatarSessionId,
    link: RefCell<LiveAvatarLink>,
    feed: RefCell<Option<Feed>>,
    /// The socket, with its number.
    socket: RefCell<Option<(u64, Socket)>>,
    timer: Timer,
    text: RefCell<TextReader>,
    /// Whether commands and reports are being taken; what comes up meanwhile follows in order.
    pumping: Cell<bool>,
}

impl Line {
    /// Makes a line that connects with [`Self::begin`].
    pub(super) fn new(
        shell: &Rc<Shell>,
        session_id: AvatarSessionId,
        url: Secret,
        beginning: Beginning,
    ) -> Rc<Self> {
        let seed = u64::from_le_bytes(clock::random());
        let link = LiveAvatarLink::connect(url, beginning, seed, clock::now());
        Rc::new_cyclic(|line: &Weak<Self>| {
            let rung = line.clone();
            let timer = Timer::new(move || {
                if let Some(line) = rung.upgrade() {
                    line.timer.stop();
                    line.poll();
                }
            });
            Self {
                shell: Rc::downgrade(shell),
                session_id,
                link: RefCell::new(link),
                feed: RefCell::new(None),
                socket: RefCell::new(None),
                timer,
                text: RefCell::new(TextReader::new()),
                pumping: Cell::new(false),
            }
        })
    }

    /// Begins to connect.
    pub(super) fn begin(self: &Rc<Self>) {
        self.pump();
    }

    pub(super) fn session(&self) -> &AvatarSessionId {
        &self.session_id
    }

    pub(super) fn is_over(&self) -> bool {
        self.link.borrow().is_over()
    }

    /// Says a stored utterance; one that cannot be begun is told to be cut.
    pub(super) fn speak(self: &Rc<Self>, utterance_id: UtteranceId) {
        let now = clock::now();
        let begun = self
            .link
            .borrow_mut()
            .begin(utterance_id.as_str(), now)
            .map_err(|why| why.to_string());
        match begun {
            Ok(()) => {
                self.feed.replace(Some(Feed::new(utterance_id, now)));
            }
            Err(reason) => {
                let fields = json!({ "utterance_id": utterance_id, "reason": reason });
                log::warn("an utterance cannot be said by the avatar", fields);
                self.tell(not_said(&utterance_id));
            }
        }
        self.pump();
    }

    /// Stops what is being said.
    pub(super) fn interrupt(self: &Rc<Self>) {
        self.link.borrow_mut().interrupt(clock::now());
        self.pump();
    }

    /// Looks attentive, or does not.
    pub(super) fn listening(self: &Rc<Self>, on: bool) {
        self.link.borrow_mut().listening(on, clock::now());
        self.pump();
    }

    /// Ends it.
    pub(super) fn close(self: &Rc<Self>) {
        self.link.borrow_mut().close(clock::now());
        self.pump();
    }

    /// Does what is due; an early call is harmless.
    pub(super) fn poll(self: &Rc<Self>) {
        self.link.borrow_mut().poll(clock::now());
        self.pump();
    }

    /// Passes on sound, carries out what the link wants, tells the meeting what it reports, and sets the timer.
    ///
    /// The meeting may answer a report with an order to this very line, so nothing is borrowed meanwhile.
    fn pump(self: &Rc<Self>) {
        if self.pumping.replace(true) {
            return;
        }
        let _end = OnDrop(|| self.pumping.set(false));
        self.pass_on();
        while self.link.borrow().has_news() {
            let commands = self.link.borrow_mut().take_commands();
            let reports = self.link.borrow_mut().take_reports();
            for command in commands {
                self.carry_out(command);
            }
            for report in reports {
                self.tell(report);
            }
            self.pass_on();
        }
        if self.link.borrow().is_over() {
            self.socket.replace(None);
            if let Some(shell) = self.shell.upgrade() {
                shell.avatar.forget(self);
            }
        } else {
            self.set_timer();
        }
    }

    fn carry_out(self: &Rc<Self>, command: Command) {
        match command {
            Command::Connect { link, request } => self.connect(link, request),
            Command::Text(text) => {
                if let Some((_, socket)) = &*self.socket.borrow() {
                    socket.send_text(&text);
                }
            }
            Command::Disconnect => {
                self.socket.replace(None);
            }
        }
    }

    fn pass_on(&self) {
        let Some(shell) = self.shell.upgrade() else {
            return;
        };
        let mut feed = self.feed.borrow_mut();
        let mut link = self.link.borrow_mut();
        feed.take_if(|feed| !feed.pass_on(&shell.store, &mut link, clock::now()));
    }

    /// Makes sure that [`Self::poll`] is called in time.
    fn set_timer(&self) {
        let feed_due = self.feed.borrow().as_ref().map(Feed::due);
        let due: Option<Timestamp> = [self.link.borrow().deadline(), feed_due]
            .into_iter()
            .flatten()
            .min();
        if let Some(at) = due {
            self.timer.set(at);
        }
    }

    fn tell(&self, told: LinkReport) {
        if let Some(shell) = self.shell.upgrade() {
            report(&shell, self.session_id.clone(), told);
        }
    }

    /// A handshake that comes too late is aborted: few frames come, so a socket that stays tied to its signal costs
    /// next to nothing, and a session is given up within seconds.
    fn connect(self: &Rc<Self>, number: u64, request: Box<Request>) {
        let Some(shell) = self.shell.upgrade() else {
            return;
        };
        let line = Rc::downgrade(self);
        shell.state.wait_until(async move {
            let outcome = vendor_http::upgrade(&request, Late::Aborted).await;
            let Some(line) = line.upgrade() else { return };
            match outcome {
                Ok(socket) => line.connected(number, socket),
                Err(failure) => line.not_connected(number, &failure),
            }
            line.pump();
        });
    }

    fn connected(self: &Rc<Self>, number: u64, socket: WebSocket) {
        let (on_message, on_close) = (Rc::downgrade(self), Rc::downgrade(self));
        let accepted = Socket::accept(
            socket,
            move |event| {
                if let Some(line) = on_message.upgrade() {
                    line.message(number, event);
                }
            },
            move |code, reason| {
                if let Some(line) = on_close.upgrade() {
                    line.closed(number, code, &reason);
                }
            },
        );
        match accepted {
            Ok(socket) => {
                // A socket that comes too late is dropped, and closes by that.
                if self.link.borrow_mut().connected(number, clock::now()) {
                    self.socket.replace(Some((number, socket)));
                }
            }
            Err(error) => {
                let reason = error.to_string();
                log::error("a socket could not be opened", json!({ "reason": reason }));
                let failure = HandshakeFailure::Unanswered(TransportError::Connection);
                self.not_connected(number, &failure);
            }
        }
    }

    fn not_connected(&self, number: u64, failure: &HandshakeFailure) {
        let now = clock::now();
        self.link.borrow_mut().not_connected(number, failure, now);
    }

    fn message(self: &Rc<Self>, number: u64, event: &MessageEvent) {
        if let Ok(text) = self.text.borrow_mut().read(&event.data()) {
            self.link.borrow_mut().message(number, text, clock::now());
        }
        self.pump();
    }

    fn closed(self: &Rc<Self>, number: u64, code: u16, reason: &str) {
        let now = clock::now();
        self.link
            .borrow_mut()
            .disconnected(number, code, reason, now);
        self.socket
            .borrow_mut()
            .take_if(|(present, _)| *present == number);
        self.pump();
    }
}
