//! A meeting's object: loads the meeting, gives it events, saves it, sets the alarm, starts its orders.
//!
//! The object holds no logic of its own. It guarantees that nothing leaves the building before the meeting that
//! ordered it is stored, that an input counts once or not at all, and that an error in one call, or a panic,
//! leaves the meeting as it was before that call.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    iter,
    panic::AssertUnwindSafe,
    rc::Rc,
    time::Duration,
};

use attache_meeting::{
    api::{Problem, TranscriptFormat, TranscriptPage, TranscriptQuery, TranscriptSource},
    ids::{BotId, TenantId, UtteranceId},
    meeting::{
        ArtifactState, AvatarOrder, Booking, EarsOrder, Event, ListenPlan, LiveEvent, Meeting,
        Order, PageOrder, Refusal, SpeechFormat, Step,
    },
    page::{FromPage, ToPage},
    transcript::{Segment, to_srt, to_text, to_vtt},
    vendors::{avatar::AvatarSessionId, deepgram::ListenOptions, recall::parse_webhook},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, WebSocketRequestResponsePair, durable_object,
};

use super::{
    calls::{MeetingAsk, MeetingCall, MeetingReply, answer, failed, read_call},
    meeting_store::MeetingStore,
};
use crate::{
    avatar::{Avatar, PCM_BYTES_PER_MS},
    clock,
    config::Config,
    ears::Ears,
    effects, log,
    on_drop::OnDrop,
};

/// The sound of an utterance goes to the page in pieces of four seconds, whichever form it has.
const PAGE_PIECE_MP3_BYTES: usize = 16 * 1024;
const PAGE_PIECE_PCM_BYTES: usize = 192_000;

/// Header that carries a verified webhook's message id into the object.
pub(crate) const MESSAGE_ID_HEADER: &str = "x-attache-message-id";
/// Header that carries the caller's tenant into the object for `live`.
pub(crate) const TENANT_HEADER: &str = "x-attache-tenant";
/// Path of a verified webhook, with its body as it came.
pub(crate) const WEBHOOK_PATH: &str = "/webhook";
/// Path of `live`.
pub(crate) const LIVE_PATH: &str = "/live";
/// Path of the audio socket, its signature checked.
pub(crate) const MEDIA_PATH: &str = "/media";

/// Path of the page's socket, its token checked.
pub(crate) const PAGE_PATH: &str = "/page";

/// Marks the sockets of those who watch, and of the bot's page.
const WATCHER: &str = "watcher";
const PAGE: &str = "page";
/// The ready state of a socket that is neither closing nor closed.
const OPEN: u16 = 1;
/// The longest text frame of the page's that is read; its longest has far less.
const MAX_PAGE_FRAME: usize = 4_096;
/// The longest frame of the page's microphone that is taken, two seconds; its frames have a fraction of that.
const MAX_MICROPHONE_FRAME: usize = 64_000;

/// How soon the alarm is tried again when it failed.
const ALARM_RETRY_MS: i64 = 10_000;
/// An alarm that is so late is set again: the runtime may have scheduled it for another time than it stored
/// (<https://github.com/cloudflare/workerd/issues/7330>). Most ring within milliseconds.
const ALARM_OVERDUE: Duration = Duration::from_secs(5);
/// How many watchers one meeting has at most; the platform allows 32,768 sockets per object.
const MAX_WATCHERS: usize = 100;

/// One meeting.
#[durable_object]
pub struct MeetingObject {
    shell: AssertUnwindSafe<Rc<Shell>>,
}

/// What the object and its running orders share.
pub(crate) struct Shell {
    pub(crate) state: State,
    pub(crate) env: Env,
    pub(crate) store: MeetingStore,
    meeting: RefCell<Loaded>,
    /// When the alarm that this instance knows of rings.
    alarm: Cell<Option<Timestamp>>,
    ears: RefCell<Option<Rc<Ears>>>,
    pub(crate) avatar: Avatar,
    /// What ears and avatar had to tell while reports wait; no more than one step brings about.
    reports: RefCell<VecDeque<Event>>,
    /// Whether it is certain that nobody watches: to look costs as much as a short message of Deepgram's.
    unwatched: Cell<bool>,
    /// Whether reports wait: for the one that is being taken in, or for the orders of a step.
    reporting: Cell<bool>,
}

/// What becomes of the object's alarm.
enum Alarm {
    /// It rings in so many milliseconds.
    In(i64),
    /// It does not ring any more.
    Never,
}

/// What this instance knows of its storage.
enum Loaded {
    /// It has not looked yet.
    NotYet,
    /// There is no meeting.
    Nothing,
    /// This is the meeting.
    Meeting(Box<Meeting>),
}

impl DurableObject for MeetingObject {
    fn new(state: State, env: Env) -> Self {
        if let Ok(pair) = WebSocketRequestResponsePair::new("ping", "pong") {
            state.set_websocket_auto_response(&pair);
        }
        let store = MeetingStore::new(state.storage());
        Self {
            shell: AssertUnwindSafe(Rc::new(Shell {
                state,
                env,
                store,
                meeting: RefCell::new(Loaded::NotYet),
                alarm: Cell::new(None),
                ears: RefCell::new(None),
                avatar: Avatar::default(),
                reports: RefCell::new(VecDeque::new()),
                unwatched: Cell::new(false),
                reporting: Cell::new(false),
            })),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let shell = &*self.shell;
        shell.wake().await?;
        match request.path().as_str() {
            WEBHOOK_PATH => shell.take_webhook(&mut request).await,
            LIVE_PATH => shell.watch(&request),
            MEDIA_PATH => shell.take_media().await,
            PAGE_PATH => shell.take_page(&request).await,
            _ => {
                let reply = match read_call(&mut request).await {
                    Ok(call) => shell.take_call(call).await,
                    Err(problem) => Err(problem),
                };
                answer(&reply)
            }
        }
    }

    async fn alarm(&self) -> Result<Response> {
        let shell = &*self.shell;
        shell.alarm.set(None);
        // First of all, so that not even a panic leaves the meeting without an alarm.
        shell.state.storage().set_alarm(ALARM_RETRY_MS).await?;
        let woken = async {
            shell.wake().await?;
            shell.step(Event::Woke, None).await
        };
        if let Some(ears) = shell.ears() {
            ears.poll();
        }
        shell.avatar.poll();
        if let Err(error) = woken.await {
            let reason = error.to_string();
            log::error(
                "an alarm failed and rings again",
                json!({ "reason": reason }),
            );
        }
        Response::empty()
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        // Watchers only listen; `ping` is answered by the runtime.
        let shell = &*self.shell;
        if !shell.is_page(&socket) {
            return Ok(());
        }
        shell.wake().await?;
        match message {
            WebSocketIncomingMessage::String(text) if text.len() <= MAX_PAGE_FRAME => {
                let report = FromPage::read(&text);
                shell.step(Event::PageReported { report }, None).await?;
            }
            WebSocketIncomingMessage::Binary(sound) if sound.len() <= MAX_MICROPHONE_FRAME => {
                shell.hear_page(&sound).await?;
            }
            WebSocketIncomingMessage::String(_) | WebSocketIncomingMessage::Binary(_) => {}
        }
        Ok(())
    }

    async fn websocket_close(
        &self,
        socket: WebSocket,
        code: usize,
        _: String,
        _: bool,
    ) -> Result<()> {
        // Without an answer the other side waits for its own timeout. Codes such as 1005 cannot be sent.
        let code = u16::try_from(code)
            .ok()
            .filter(|code| *code == 1000 || *code >= 3000);
        socket.close(Some(code.unwrap_or(1000)), Some("bye")).ok();
        self.shell.socket_gone(&socket).await
    }

    async fn websocket_error(&self, socket: WebSocket, _: Error) -> Result<()> {
        self.shell.socket_gone(&socket).await
    }
}

impl Shell {
    /// Makes sure that the meeting is loaded; a fresh instance takes up what the last one left unfinished.
    async fn wake(self: &Rc<Self>) -> Result<()> {
        if !matches!(*self.meeting.borrow(), Loaded::NotYet) {
            return Ok(());
        }
        let stored = self.store.load()?;
        let is_meeting = stored.is_some();
        self.meeting.replace(match stored {
            Some(meeting) => Loaded::Meeting(Box::new(meeting)),
            None => Loaded::Nothing,
        });
        if is_meeting {
            let meeting_id = self.with_meeting(|meeting| meeting.booking().id.clone());
            log::info("a meeting was loaded", json!({ "meeting_id": meeting_id }));
            self.store.forget_old_webhooks(clock::now())?;
            let page_connected = !self.pages(None).is_empty();
            self.step(Event::Restored { page_connected }, None).await?;
        }
        Ok(())
    }

    /// Reads something off the meeting, if there is one.
    pub(crate) fn with_meeting<T>(&self, read: impl FnOnce(&Meeting) -> T) -> Option<T> {
        match &*self.meeting.borrow() {
            Loaded::Meeting(meeting) => Some(read(meeting)),
            Loaded::NotYet | Loaded::Nothing => None,
        }
    }

    /// Gives the meeting one event and does everything that follows; says if the event was refused.
    ///
    /// The alarm is asked for before anything is awaited, so it is part of the same write as the meeting.
    pub(crate) async fn step(
        self: &Rc<Self>,
        event: Event,
        webhook_id: Option<&str>,
    ) -> Result<Option<Refusal>> {
        let (refusal, alarm) = self.apply(event, webhook_id)?;
        if let Some(alarm) = alarm {
            self.set_alarm(alarm).await?;
        }
        Ok(refusal)
    }

    /// All of a step but the alarm, which is left to the caller.
    fn apply(
        self: &Rc<Self>,
        event: Event,
        webhook_id: Option<&str>,
    ) -> Result<(Option<Refusal>, Option<Alarm>)> {
        let now = clock::now();
        let handled = self.with_meeting(|meeting| {
            let mut next = meeting.clone();
            let step = next.handle(event, now);
            let stored = (!next.is_recalled_from(meeting)).then(|| next.to_snapshot());
            (next, step, stored)
        });
        let Some((next, step, snapshot)) = handled else {
            return Ok((None, None));
        };
        if step.refusal.is_some() {
            return Ok((step.refusal, None));
        }
        let snapshot = snapshot.transpose().map_err(unreadable)?;
        self.store.save(snapshot, &step, webhook_id, now)?;
        self.meeting.replace(Loaded::Meeting(Box::new(next)));
        Ok((None, self.follow(step, now)))
    }

    /// Tells the watchers, starts the orders, and says what the alarm needs. Nothing that is sent leaves before the
    /// meeting that ordered it is durable: the runtime holds it back.
    fn follow(self: &Rc<Self>, step: Step, now: Timestamp) -> Option<Alarm> {
        self.tell(&step.live, now);
        for order in step.orders {
            self.start(order);
        }
        for order in step.page {
            self.tell_page(order);
        }
        self.tell_sockets(step.ears, step.avatar);
        // What the sockets told in answer may have changed the meeting once more.
        let deadline = self.with_meeting(|meeting| meeting.deadline(now));
        self.alarm_for(deadline.flatten(), now)
    }

    /// Tells ears and avatar their orders; what they report at once waits until all of them are told.
    fn tell_sockets(self: &Rc<Self>, ears: Option<EarsOrder>, avatar: Vec<AvatarOrder>) {
        if ears.is_none() && avatar.is_empty() {
            return;
        }
        let waited = self.reporting.replace(true);
        {
            let _end = OnDrop(|| self.reporting.set(waited));
            match ears {
                Some(EarsOrder::Open(plan)) => self.open_ears(&plan),
                Some(EarsOrder::Close) => {
                    if let Some(ears) = self.ears() {
                        ears.close();
                    }
                }
                None => {}
            }
            for order in avatar {
                self.avatar.carry_out(self, order);
            }
        }
        self.take_reports();
    }

    /// What makes sure that the meeting wakes by its deadline. An alarm that rings earlier stays: waking early is
    /// harmless, and setting an alarm costs a write.
    fn alarm_for(&self, deadline: Option<Timestamp>, now: Timestamp) -> Option<Alarm> {
        let Some(at) = deadline else {
            self.alarm.set(None);
            return Some(Alarm::Never);
        };
        let at = at.max(now);
        let set = self.alarm.get();
        if set.is_some_and(|known| known <= at && now <= known + ALARM_OVERDUE) {
            return None;
        }
        self.alarm.set(Some(at));
        // The millisecond on top rounds up: an alarm must not ring before its deadline, and above all not be set, while
        // one rings, for the very millisecond for which that one was set. The runtime takes such an alarm for the one
        // that rings and forgets it.
        let wait = at.duration_since(now).as_millis() + 1;
        Some(Alarm::In(i64::try_from(wait).unwrap_or(i64::MAX)))
    }

    async fn set_alarm(&self, alarm: Alarm) -> Result<()> {
        match alarm {
            Alarm::Never => self.state.storage().delete_alarm().await,
            Alarm::In(milliseconds) => self.state.storage().set_alarm(milliseconds).await,
        }
    }

    fn start(self: &Rc<Self>, order: Order) {
        let shell = Rc::clone(self);
        self.state.wait_until(async move {
            let id = order.id;
            let Some(result) = effects::run(&shell, order).await else {
                return;
            };
            let finished = Event::EffectFinished { id, result };
            if let Err(error) = shell.step(finished, None).await {
                // The order stays outstanding; the alarm counts it as lost and orders it again.
                let reason = error.to_string();
                log::error(
                    "a result could not be stored",
                    json!({ "effect_id": id.to_string(), "reason": reason }),
                );
            }
        });
    }

    fn tell(&self, events: &[LiveEvent], now: Timestamp) {
        if events.is_empty() {
            return;
        }
        let watchers = self.watchers();
        if watchers.is_empty() {
            return;
        }
        for event in events {
            if let Some(frame) = self.frame(event, now) {
                for watcher in &watchers {
                    // A watcher that has gone is told nothing; its close event cleans up.
                    watcher.send_with_str(&frame).ok();
                }
            }
        }
    }

    fn frame(&self, event: &LiveEvent, now: Timestamp) -> Option<String> {
        let id = self.with_meeting(|meeting| meeting.booking().id.to_string())?;
        let mut frame = serde_json::to_value(event).ok()?;
        let fields = frame.as_object_mut()?;
        fields.insert("at".to_owned(), Value::String(now.to_string()));
        fields.insert("meeting_id".to_owned(), Value::String(id));
        Some(frame.to_string())
    }

    fn ears(&self) -> Option<Rc<Ears>> {
        self.ears.borrow().clone()
    }

    fn open_ears(self: &Rc<Self>, plan: &ListenPlan) {
        if self.ears().is_some_and(|ears| !ears.is_ending()) {
            return;
        }
        let Some(options) = self.listen_options(plan) else {
            return;
        };
        let ears = Ears::open(self, options, plan);
        self.ears.replace(Some(ears));
    }

    /// What the transcriber is asked for; nothing without its key.
    fn listen_options(&self, plan: &ListenPlan) -> Option<ListenOptions> {
        let config = Config::of(&self.env).ok()?;
        Some(ListenOptions {
            base_url: config.deepgram_base_url.clone(),
            api_key: config.deepgram_api_key.clone()?,
            model: config.deepgram_model.clone(),
            language: plan.language.clone(),
            diarization: config.deepgram_diarization,
            keyterms: plan.keyterms.clone(),
            reference: self.with_meeting(|meeting| meeting.booking().id.to_string())?,
        })
    }

    /// The session is over.
    pub(crate) fn forget_ears(&self, ears: &Rc<Ears>) {
        if self
            .ears()
            .is_some_and(|present| Rc::ptr_eq(&present, ears))
        {
            self.ears.replace(None);
        }
    }

    /// Lets Recall deliver the call's sound over a socket whose signature was checked.
    async fn take_media(self: &Rc<Self>) -> Result<Response> {
        if self.with_meeting(|_| ()).is_none() {
            return Response::error("unknown meeting", 404);
        }
        if let Some(refusal) = self.step(Event::MediaConnected, None).await? {
            return Response::error(refusal.to_string(), 409);
        }
        let Some(ears) = self.ears() else {
            return Response::error("listening is off", 409);
        };
        let pair = WebSocketPair::new()?;
        ears.attach(pair.server)?;
        Response::from_websocket(pair.client)
    }

    fn watchers(&self) -> Vec<WebSocket> {
        if self.unwatched.get() {
            return Vec::new();
        }
        let watchers = self.state.get_websockets_with_tag(WATCHER);
        self.unwatched.set(watchers.is_empty());
        watchers
    }

    /// The open sockets of the bot's page, except one.
    fn pages(&self, except: Option<&WebSocket>) -> Vec<WebSocket> {
        let mut pages = self.state.get_websockets_with_tag(PAGE);
        pages.retain(|page| Some(page) != except && page.as_ref().ready_state() == OPEN);
        pages
    }

    fn is_page(&self, socket: &WebSocket) -> bool {
        self.state.get_tags(socket).iter().any(|tag| tag == PAGE)
    }

    async fn socket_gone(self: &Rc<Self>, socket: &WebSocket) -> Result<()> {
        if self.is_page(socket) && self.pages(Some(socket)).is_empty() {
            self.wake().await?;
            self.step(Event::PageDisconnected, None).await?;
        }
        Ok(())
    }

    /// Lets the bot's page in, whose token was checked; one that was there before is closed.
    async fn take_page(self: &Rc<Self>, request: &Request) -> Result<Response> {
        if !self.is_tenants(request)? {
            return Response::error("unknown meeting", 404);
        }
        let pair = WebSocketPair::new()?;
        for before in self.pages(None) {
            before
                .close(Some(4000), Some("another page took over"))
                .ok();
        }
        self.state.accept_websocket_with_tags(&pair.server, &[PAGE]);
        if let Some(refusal) = self.step(Event::PageConnected, None).await? {
            pair.server.close(Some(1000), Some("no page")).ok();
            return Response::error(refusal.to_string(), 409);
        }
        Response::from_websocket(pair.client)
    }

    fn tell_page(&self, order: PageOrder) {
        let Some(page) = self.pages(None).pop() else {
            return;
        };
        // A page that has gone is told nothing; its close event tells the meeting.
        match order {
            PageOrder::Send(frame) => send_to_page(&page, &frame),
            PageOrder::Speak {
                utterance_id,
                text,
                format,
                from_ms,
            } => self.speak_on_page(&page, utterance_id, text, format, from_ms),
            PageOrder::JoinAvatar { session_id } => self.join_on_page(&page, &session_id),
            PageOrder::Close => {
                page.close(Some(1000), Some("the call is over")).ok();
            }
        }
    }

    /// Sends the sound of an utterance, without its beginning if that was heard already.
    fn speak_on_page(
        &self,
        page: &WebSocket,
        utterance_id: UtteranceId,
        text: String,
        format: SpeechFormat,
        from_ms: u64,
    ) {
        let (piece_bytes, bytes_per_ms) = match format {
            SpeechFormat::Mp3 => (PAGE_PIECE_MP3_BYTES, 0),
            SpeechFormat::Pcm24000 => (PAGE_PIECE_PCM_BYTES, PCM_BYTES_PER_MS),
        };
        let heard = usize::try_from(from_ms.saturating_mul(bytes_per_ms)).unwrap_or(usize::MAX);
        let part = |part| self.store.clip_part(&utterance_id, part).ok().flatten();
        let Some(first) = part(0) else {
            // The page will not report that it plays, and the meeting falls back in time.
            let fields = json!({ "utterance_id": utterance_id });
            return log::error("the audio of an utterance is not stored", fields);
        };
        let start = ToPage::SpeakStart {
            utterance_id: utterance_id.clone(),
            format: format.as_str(),
            text,
        };
        send_to_page(page, &start);
        let mut left_out = heard;
        for audio in iter::once(first).chain((1..).map_while(part)) {
            let skipped = left_out.min(audio.len());
            left_out -= skipped;
            for piece in audio[skipped..].chunks(piece_bytes) {
                page.send_with_bytes(piece).ok();
            }
        }
        send_to_page(page, &ToPage::SpeakEnd { utterance_id });
    }

    /// Sends what opens the room of an avatar's session, and nothing else of it.
    fn join_on_page(&self, page: &WebSocket, session_id: &AvatarSessionId) {
        let join = self.with_meeting(|meeting| {
            let session = meeting.avatar_session(session_id)?;
            Some(ToPage::AvatarJoin {
                provider: session.provider.as_str(),
                url: session.viewer.url.clone(),
                token: session.viewer.token.expose().to_owned(),
                session: session.session_id.to_string(),
            })
        });
        if let Some(join) = join.flatten() {
            send_to_page(page, &join);
        }
    }

    /// Hears through the page's microphone, where that is switched on.
    async fn hear_page(self: &Rc<Self>, sound: &[u8]) -> Result<()> {
        let listens = |meeting: &Meeting| (meeting.booking().page_microphone, meeting.has_media());
        let Some((true, has_media)) = self.with_meeting(listens) else {
            return Ok(());
        };
        if !has_media {
            // A refusal means that nobody listens any more.
            self.step(Event::MediaConnected, None).await?;
        }
        let whole_samples = sound.len() / 2 * 2;
        if let Some(ears) = self.ears().filter(|ears| !ears.is_ending()) {
            ears.hear(&sound[..whole_samples]);
        }
        Ok(())
    }

    /// Takes in what ears and avatar have to tell, in the order it is told, and at once: no promise has to be kept for
    /// it.
    pub(crate) fn report(self: &Rc<Self>, event: Event) {
        if event.is_passing() && self.watchers().is_empty() {
            return;
        }
        self.reports.borrow_mut().push_back(event);
        self.take_reports();
    }

    /// Takes in the reports that wait, unless that is being done further up already.
    fn take_reports(self: &Rc<Self>) {
        if self.reporting.replace(true) {
            return;
        }
        let _end = OnDrop(|| self.reporting.set(false));
        loop {
            let next = self.reports.borrow_mut().pop_front();
            let Some(event) = next else { break };
            match self.apply(event, None) {
                Ok((_, None)) => {}
                Ok((_, Some(alarm))) => {
                    let shell = Rc::clone(self);
                    self.state.wait_until(async move {
                        if let Err(error) = shell.set_alarm(alarm).await {
                            not_stored(&error);
                        }
                    });
                }
                Err(error) => not_stored(&error),
            }
        }
    }

    /// Takes in a webhook whose signature was checked; answers 200 once it is stored, or once it is clear that
    /// it is of no use to anybody.
    async fn take_webhook(self: &Rc<Self>, request: &mut Request) -> Result<Response> {
        let message_id = request
            .headers()
            .get(MESSAGE_ID_HEADER)?
            .unwrap_or_default();
        let body = request.bytes().await?;
        let webhook = parse_webhook(&body).map_err(|error| Error::RustError(error.to_string()))?;
        if self.with_meeting(|_| ()).is_none() {
            log::warn(
                "a webhook for a meeting that does not exist",
                json!({ "operation": webhook.event_name, "bot_id": webhook.bot_id }),
            );
            return Response::ok("unknown meeting");
        }
        if self.store.has_seen(&message_id)? {
            return Response::ok("repeated");
        }
        let event = Event::RecallReported {
            bot_id: webhook.bot_id,
            name: webhook.event_name,
            report: webhook.event,
        };
        let remember = (!event.is_passing()).then_some(message_id.as_str());
        self.step(event, remember).await?;
        Response::ok("ok")
    }

    async fn take_call(
        self: &Rc<Self>,
        call: MeetingCall,
    ) -> std::result::Result<MeetingReply, Problem> {
        if let MeetingAsk::Book(booking) = call.ask {
            return self.book(*booking).await;
        }
        self.check_tenant(&call.tenant_id)?;
        match call.ask {
            MeetingAsk::Book(_) | MeetingAsk::Read => self.view(),
            MeetingAsk::Join => self.command(Event::JoinRequested).await,
            MeetingAsk::Cancel => self.command(Event::CancelRequested).await,
            MeetingAsk::Purge => self.command(Event::PurgeRequested).await,
            MeetingAsk::Interrupt => self.command(Event::InterruptRequested).await,
            MeetingAsk::Chat { text } => self.command(Event::ChatRequested { text }).await,
            MeetingAsk::Say {
                utterance_id,
                text,
                interrupt,
            } => {
                let event = Event::SayRequested {
                    utterance_id,
                    text,
                    interrupt,
                };
                self.command(event).await
            }
            MeetingAsk::React { reaction } => {
                self.command(Event::ReactionRequested { reaction }).await
            }
            MeetingAsk::Rotate => self.command(Event::RotationRequested).await,
            MeetingAsk::Avatar => self
                .with_meeting(Meeting::avatar_details)
                .map(MeetingReply::Avatar)
                .ok_or_else(Problem::meeting_not_found),
            MeetingAsk::Transcript(query) => self.transcript(&query),
            MeetingAsk::Recording => self.recording().await,
            MeetingAsk::Timeline(page) => self
                .store
                .timeline(page.cursor, page.limit)
                .map(MeetingReply::Timeline)
                .map_err(|error| failed(&error)),
            MeetingAsk::Panic => panic!("a panic was asked for"),
        }
    }

    fn check_tenant(&self, tenant_id: &TenantId) -> std::result::Result<(), Problem> {
        match self.with_meeting(|meeting| meeting.booking().tenant_id == *tenant_id) {
            Some(true) => Ok(()),
            Some(false) | None => Err(Problem::meeting_not_found()),
        }
    }

    fn view(&self) -> std::result::Result<MeetingReply, Problem> {
        let view = self.with_meeting(Meeting::view);
        view.map(|view| MeetingReply::Meeting(Box::new(view)))
            .ok_or_else(Problem::meeting_not_found)
    }

    /// Starts to be a meeting; a repeated booking finds the meeting that is there.
    async fn book(self: &Rc<Self>, booking: Booking) -> std::result::Result<MeetingReply, Problem> {
        if self.with_meeting(|_| ()).is_none() {
            let now = clock::now();
            let (meeting, step) = Meeting::book(booking, now);
            let stored = self.store.create().and_then(|()| {
                let snapshot = meeting.to_snapshot().map_err(unreadable)?;
                self.store.save(Some(snapshot), &step, None, now)
            });
            stored.map_err(|error| failed(&error))?;
            self.meeting.replace(Loaded::Meeting(Box::new(meeting)));
            if let Some(alarm) = self.follow(step, now) {
                let set = self.set_alarm(alarm).await;
                set.map_err(|error| failed(&error))?;
            }
        }
        self.view()
    }

    async fn command(self: &Rc<Self>, event: Event) -> std::result::Result<MeetingReply, Problem> {
        match self.step(event, None).await {
            Ok(None) => self.view(),
            Ok(Some(Refusal::ChatTooLong)) => {
                let message = Refusal::ChatTooLong.to_string();
                Err(Problem::invalid_field("text", message))
            }
            Ok(Some(refusal)) => Err(Problem::conflict(refusal.code(), refusal.to_string())),
            Err(error) => Err(failed(&error)),
        }
    }

    fn transcript(&self, query: &TranscriptQuery) -> std::result::Result<MeetingReply, Problem> {
        let ready =
            self.with_meeting(|meeting| meeting.view().transcript.state == ArtifactState::Ready);
        let source = query.source.unwrap_or(if ready == Some(true) {
            TranscriptSource::Final
        } else {
            TranscriptSource::Live
        });
        if query.format == TranscriptFormat::Json {
            let page = self.store.segments(source, query.cursor, query.limit);
            let (mut segments, next_cursor) = page.map_err(|error| failed(&error))?;
            if !query.words {
                segments = segments.into_iter().map(Segment::without_words).collect();
            }
            return Ok(MeetingReply::Transcript(TranscriptPage {
                source,
                segments,
                next_cursor,
            }));
        }
        let all = self.store.segments(source, 0, u32::MAX);
        let (segments, _): (Vec<Segment>, _) = all.map_err(|error| failed(&error))?;
        let text = match query.format {
            TranscriptFormat::Vtt => to_vtt(&segments),
            TranscriptFormat::Srt => to_srt(&segments),
            TranscriptFormat::Text | TranscriptFormat::Json => to_text(&segments),
        };
        Ok(MeetingReply::Text {
            format: query.format,
            text,
        })
    }

    async fn recording(&self) -> std::result::Result<MeetingReply, Problem> {
        let missing = || Problem::new(404, "recording_not_ready", "there is no recording yet");
        let bot_id: Option<BotId> = self
            .with_meeting(|meeting| {
                let ready = meeting.view().recording.state == ArtifactState::Ready;
                meeting.bot_id().filter(|_| ready).cloned()
            })
            .flatten();
        let bot_id = bot_id.ok_or_else(missing)?;
        let config = Config::of(&self.env).map_err(|_| Problem::internal())?;
        match effects::fresh_recording_url(&config, &bot_id).await {
            Ok(Some(url)) => Ok(MeetingReply::Recording { url }),
            Ok(None) => Err(missing()),
            Err(error) => Err(Problem::new(502, "vendor_error", error.reason)),
        }
    }

    /// Tells whether the meeting is there and belongs to the tenant that the request names.
    fn is_tenants(&self, request: &Request) -> Result<bool> {
        let tenant = request
            .headers()
            .get(TENANT_HEADER)?
            .and_then(|id| id.parse().ok());
        Ok(tenant.is_some_and(|tenant: TenantId| self.check_tenant(&tenant).is_ok()))
    }

    /// Lets a client watch the meeting; the first frame is the meeting as it is now.
    fn watch(&self, request: &Request) -> Result<Response> {
        if !self.is_tenants(request)? {
            return Response::error("unknown meeting", 404);
        }
        if self.watchers().len() >= MAX_WATCHERS {
            return Response::error("too many watchers", 429);
        }
        let pair = WebSocketPair::new()?;
        self.state
            .accept_websocket_with_tags(&pair.server, &[WATCHER]);
        self.unwatched.set(false);
        let meeting = self.with_meeting(|meeting| LiveEvent::Meeting {
            meeting: Box::new(meeting.view()),
        });
        let first = meeting.and_then(|event| self.frame(&event, clock::now()));
        if let Some(first) = first {
            pair.server.send_with_str(first)?;
        }
        Response::from_websocket(pair.client)
    }

    /// Forgets the meeting for good.
    pub(crate) async fn wipe(&self) -> Result<()> {
        self.ears.replace(None);
        self.avatar.drop_all();
        self.state.storage().delete_all().await?;
        self.meeting.replace(Loaded::Nothing);
        for watcher in self.state.get_websockets() {
            watcher
                .close(Some(1000), Some("the meeting was deleted"))
                .ok();
        }
        Ok(())
    }
}

fn unreadable(error: impl std::error::Error) -> Error {
    Error::RustError(error.to_string())
}

fn not_stored(error: &Error) {
    let reason = error.to_string();
    log::error(
        "a report of ears or avatar could not be stored",
        json!({ "reason": reason }),
    );
}

fn send_to_page(page: &WebSocket, frame: &ToPage) {
    if let Ok(text) = serde_json::to_string(frame) {
        page.send_with_str(text).ok();
    }
}
