//! Who gets the sound of a call, and how the sockets that carry it are driven.

use std::time::Duration;

use jiff::Timestamp;

use super::bot::{Bot, HeldBack};
use super::ears::{Close, Ears, Fate, Order, seconds};
use super::frames::Envelope;
use super::room::{self, Room};
use super::sockets::{AudioConnection, AudioEnd, AudioNews, AudioSent};
use super::{Model, Services};
use crate::audio_script::{AudioClose, AudioFault};
use crate::journal::What;

/// How long the news of the end waits for a server that does not answer the close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// One connection of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketId {
    bot: u64,
    ears: usize,
    connection: usize,
}

/// A connection that has to be made now.
#[derive(Clone, Debug)]
pub(crate) struct DialOrder {
    pub(crate) socket: SocketId,
    pub(crate) url: String,
    pub(crate) message_id: String,
    pub(crate) rotated_secret: Option<String>,
    pub(crate) bad_signature: bool,
}

impl Bot {
    /// Opens the ears: the recording has begun.
    pub(crate) fn begin_listening(&mut self, services: &mut Services) {
        let Some(audio_metadata) = self.request.recording.audio_raw.clone() else {
            return;
        };
        let Some(recording) = self.recordings.last() else {
            return;
        };
        let settings = &services.settings;
        let frame = room::whole_samples(settings.audio_frame);
        let listening = self.endpoints.iter().enumerate();
        for (place, endpoint) in listening.filter(|(_, endpoint)| endpoint.listens()) {
            let envelope = Envelope {
                endpoint: (endpoint.id.clone(), endpoint.metadata.clone()),
                audio: (services.ids.uuid(), audio_metadata.clone()),
                recording: (
                    recording.id.clone(),
                    self.request.recording.metadata.clone(),
                ),
                bot: (self.id.clone(), self.request.metadata.clone()),
                style: self.script.delivery.audio.style,
            };
            let scale = settings.realtime_retry_scale;
            self.ears
                .push(Ears::new(place, envelope, frame, scale, services.now));
        }
        services.sockets_changed = true;
    }

    /// Somebody came, left, or touched a microphone, or the recording was paused.
    pub(crate) fn microphones_changed(&mut self, now: Timestamp) {
        let open = self.is_recording() && self.present().any(|person| !person.muted);
        if let Some(recording) = self.recordings.last_mut() {
            recording.room.set_open(open, now);
        }
    }

    /// The call is over for the bot: its sockets close, before or after that is told.
    pub(crate) fn hang_up(&mut self, services: &mut Services) {
        let now = services.now;
        match self.script.delivery.audio.close {
            AudioClose::After(time) => self.end_listening(Close::Properly(now + time), services),
            AudioClose::BeforeCallEnded => {
                self.end_listening(Close::Properly(now), services);
                if self.ears.iter().any(Ears::is_open) {
                    self.held_back = Some(HeldBack {
                        until: now + CLOSE_PATIENCE,
                        messages: Vec::new(),
                    });
                }
            }
        }
    }

    /// The sound ends here.
    pub(crate) fn end_listening(&mut self, close: Close, services: &mut Services) {
        if let Some(recording) = self.recordings.last() {
            for ears in &mut self.ears {
                ears.end(close, &recording.room, services.now);
            }
        }
        services.sockets_changed = true;
    }

    /// Lets the news of the end go.
    pub(crate) fn stop_holding_back(&mut self, services: &mut Services) {
        let held = self.held_back.take();
        for (message, duplicate, due) in held.into_iter().flat_map(|held| held.messages) {
            services.send(message, duplicate, due);
        }
    }

    fn all_ears(&mut self) -> impl Iterator<Item = (&mut Ears, &Room)> {
        let room = self.recordings.last().map(|recording| &recording.room);
        let ears = self.ears.iter_mut();
        ears.filter_map(move |ears| Some((ears, room?)))
    }

    fn audio_news(&self, connection: usize, news: AudioNews, services: &mut Services) {
        services.note(What::Audio {
            bot_id: self.id.clone(),
            meeting_url: self.request.meeting_url.raw.clone(),
            connection,
            news,
        });
    }
}

impl Model {
    /// The connections that have to be made now.
    pub(crate) fn dials(&mut self, now: Timestamp) -> Vec<DialOrder> {
        self.services.now = now;
        let mut orders = Vec::new();
        for (number, bot) in &mut self.bots {
            for place in 0..bot.ears.len() {
                let ears = &mut bot.ears[place];
                let endpoint = ears.endpoint;
                let Some(dial) = ears.dial(now) else {
                    continue;
                };
                bot.audio_news(dial.connection, AudioNews::Dialled, &mut self.services);
                orders.push(DialOrder {
                    socket: SocketId {
                        bot: *number,
                        ears: place,
                        connection: dial.connection,
                    },
                    url: bot.endpoints[endpoint].url.clone(),
                    message_id: self.services.ids.message(),
                    rotated_secret: bot.script.delivery.rotated_secret.clone(),
                    bad_signature: dial.bad_signature,
                });
            }
        }
        orders
    }

    /// When the next connection has to be made.
    pub(crate) fn dial_deadline(&self) -> Option<Timestamp> {
        let ears = self.bots.values().flat_map(|bot| &bot.ears);
        ears.filter_map(Ears::dial_due).min()
    }

    /// A handshake succeeded.
    pub(crate) fn socket_opened(&mut self, socket: SocketId, now: Timestamp) {
        self.with_ears(socket, |ears, room| {
            ears.opened(socket.connection, room, now);
        });
        self.tell(socket, AudioNews::Opened, now);
    }

    /// A handshake failed, with a status or without an answer.
    pub(crate) fn socket_refused(
        &mut self,
        socket: SocketId,
        status: Option<u16>,
        error: String,
        now: Timestamp,
    ) {
        let fate = self.with_ears(socket, |ears, _| {
            ears.refused(socket.connection, status, error.clone(), now)
        });
        self.tell(socket, AudioNews::Refused { status, error }, now);
        self.services.sockets_changed = true;
        if fate != Some(Fate::GivenUp) {
            return;
        }
        self.tell(socket, AudioNews::GivenUp, now);
        if let Some(bot) = self.bots.get_mut(&socket.bot) {
            let endpoint = bot.ears[socket.ears].endpoint;
            bot.endpoints[endpoint].failed = true;
        }
    }

    /// An open connection is gone; `unsent` frames handed out for it did not leave.
    pub(crate) fn socket_gone(
        &mut self,
        socket: SocketId,
        end: AudioEnd,
        unsent: usize,
        now: Timestamp,
    ) {
        let frames = self.with_ears(socket, |ears, _| {
            ears.gone(socket.connection, end.clone(), unsent, now)
        });
        let frames = frames.unwrap_or_default();
        self.tell(socket, AudioNews::Ended { end, frames }, now);
        self.services.sockets_changed = true;
        if let Some(bot) = self.bots.get_mut(&socket.bot)
            && !bot.ears.iter().any(Ears::is_open)
        {
            bot.stop_holding_back(&mut self.services);
        }
        self.reschedule(socket.bot);
    }

    /// The server sent a message.
    pub(crate) fn socket_received(&mut self, socket: SocketId) {
        self.with_ears(socket, |ears, _| ears.received(socket.connection));
    }

    /// What a connection has to do now.
    pub(crate) fn socket_order(&mut self, socket: SocketId, now: Timestamp) -> Order {
        let order = self.with_ears(socket, |ears, room| {
            let due = ears.dial_due();
            let order = ears.order(socket.connection, room, now);
            (order, ears.dial_due() != due)
        });
        // One of the faults is a second dial.
        let (order, to_dial) = order.unwrap_or((Order::Abort, false));
        self.services.sockets_changed |= to_dial;
        order
    }

    /// The clock was moved: nobody heard what would have been said meanwhile.
    pub(crate) fn clock_was_moved(&mut self, now: Timestamp) {
        for (ears, room) in self.bots.values_mut().flat_map(Bot::all_ears) {
            ears.skip(room, now);
        }
        self.services.sockets_changed = true;
    }

    /// Asks for something to go wrong with the audio of a meeting.
    pub(crate) fn audio_fault(
        &mut self,
        meeting_url: &str,
        fault: &AudioFault,
    ) -> Result<(), NobodyListens> {
        let mut anybody = false;
        let bots = self.bots.values_mut();
        for bot in bots.filter(|bot| bot.request.meeting_url.raw == meeting_url) {
            for ears in &mut bot.ears {
                ears.go_wrong(fault.clone());
                anybody = true;
            }
        }
        self.services.sockets_changed = true;
        anybody.then_some(()).ok_or(NobodyListens)
    }

    /// The connections of all bots in a meeting, those of each endpoint in order.
    pub(crate) fn audio_connections(&self, meeting_url: &str) -> Vec<AudioConnection> {
        let ears = self.ears_in(meeting_url);
        ears.flat_map(|(ears, _)| ears.connections())
            .map(|(_, connection)| connection.clone())
            .collect()
    }

    /// The frames sent to all endpoints of a meeting, those of each in order.
    pub(crate) fn audio_sent(&self, meeting_url: &str) -> Vec<AudioSent> {
        let mut sent = Vec::new();
        let mut before = 0;
        for (ears, room) in self.ears_in(meeting_url) {
            let first = ears.connections().next().map_or(0, |(first, _)| first);
            // Frames of connections that are forgotten are of no use to anybody.
            let known = ears.sent().filter(|frame| frame.connection >= first);
            sent.extend(known.map(|frame| AudioSent {
                connection: before + frame.connection - first,
                relative: seconds(frame.part.start),
                bytes: room.read(&frame.part),
                repeated: frame.repeated,
            }));
            before += ears.connections().count();
        }
        sent
    }

    /// Sound that was not sent to an endpoint of this meeting: it had no connection, or frames were
    /// skipped on request.
    pub(crate) fn audio_lost(&self, meeting_url: &str, now: Timestamp) -> Duration {
        let ears = self.ears_in(meeting_url);
        ears.map(|(ears, room)| room::lasts(ears.lost(room, now)))
            .sum()
    }

    fn ears_in(&self, meeting_url: &str) -> impl Iterator<Item = (&Ears, &Room)> {
        let bots = self.bots.values();
        bots.filter(move |bot| bot.request.meeting_url.raw == meeting_url)
            .filter_map(|bot| Some((&bot.ears, &bot.recordings.last()?.room)))
            .flat_map(|(ears, room)| ears.iter().map(move |ears| (ears, room)))
    }

    fn with_ears<T>(
        &mut self,
        socket: SocketId,
        act: impl FnOnce(&mut Ears, &Room) -> T,
    ) -> Option<T> {
        let bot = self.bots.get_mut(&socket.bot)?;
        let (ears, room) = bot.all_ears().nth(socket.ears)?;
        Some(act(ears, room))
    }

    fn tell(&mut self, socket: SocketId, news: AudioNews, now: Timestamp) {
        self.services.now = now;
        if let Some(bot) = self.bots.get(&socket.bot) {
            bot.audio_news(socket.connection, news, &mut self.services);
        }
    }
}

/// No bot in that meeting has an audio endpoint and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NobodyListens;
