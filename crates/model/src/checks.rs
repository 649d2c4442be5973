//! The promises: what must hold at every moment, and what must hold once everything has come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use attache_meeting::{
    ids::UtteranceId,
    meeting::{
        ArtifactState, Effect, EffectId, GreetingState, Meeting, Status, Via,
        limits::MAX_AVATAR_STOPS,
    },
    vendors::avatar::AvatarProvider,
    view::MeetingView,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    avatar::VendorSession,
    calls::rank,
    heard::{Hearing, Told, greeting},
    life::Life,
    recall::Stage,
};

/// How long a bot may live on after its meeting once nothing goes wrong any more: the last search for strays comes
/// eleven minutes after the end.
const BOT_PATIENCE: Duration = Duration::from_mins(25);
/// How long the room may go without a greeting while the bot is known to be in the call; two minutes of it a call
/// that makes an avatar speak may take.
const GREETING_PATIENCE: Duration = Duration::from_mins(5);

/// What is remembered for the promises.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Marks {
    /// The utterance that an order says.
    pub speaks: BTreeMap<EffectId, UtteranceId>,
    /// Participants whose webhooks were accepted.
    pub participants: BTreeSet<String>,
    pub segments: u64,
    pub words: BTreeSet<String>,
    pub opened_ear: Option<u32>,
    pub wiped: bool,
    /// Somebody asked the bot to leave.
    pub left: bool,
    in_progress_since: Option<Timestamp>,
    over_since: Option<Timestamp>,
    index: Option<(u64, Box<MeetingView>)>,
    explained: bool,
    /// The greeting was ordered as chat.
    pub wrote_greeting: bool,
}

impl Marks {
    /// Tells the tenant's index, which keeps the newest revision.
    pub(crate) fn update_index(&mut self, view: &MeetingView, revision: u64) {
        if self
            .index
            .as_ref()
            .is_none_or(|(known, _)| *known < revision)
        {
            self.index = Some((revision, Box::new(view.clone())));
        }
    }
}

impl Life {
    /// The status goes forward only; what ended may be explained once.
    pub(crate) fn check_status(&mut self, before: Status, after: Status) {
        if before == after {
            return;
        }
        let explained = before == Status::Ended && after == Status::Failed && !self.marks.explained;
        if rank(after) < rank(before) || before.is_over() && !explained {
            self.violate("status", || format!("{before:?} becomes {after:?}"));
        }
        self.marks.explained |= before.is_over();
        if after == Status::InProgress {
            self.marks.in_progress_since = Some(self.now);
        }
        if after.is_over() && self.marks.over_since.is_none() {
            self.marks.over_since = Some(self.now);
        }
    }

    /// An order is about to leave: nothing that is known to have been said is said again.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only some orders let the room hear something"
    )]
    pub(crate) fn check_order(&mut self, id: EffectId, effect: &Effect) {
        if let Effect::StopAvatar { session_id, .. } = effect {
            self.stop_ordered(session_id);
        }
        let utterance = match effect {
            Effect::PlayAudio { utterance_id, .. } => Some(utterance_id.clone()),
            Effect::SendChat { text, .. } | Effect::AvatarSay { text, .. } => {
                self.room.utterance_of(text)
            }
            _ => None,
        };
        let Some(utterance) = utterance else { return };
        self.marks.wrote_greeting |=
            utterance == greeting() && matches!(effect, Effect::SendChat { .. });
        self.check_said_again(&utterance, 0, effect.operation());
        // Of what was given up, a late word changes nothing.
        self.marks.speaks.retain(|_, said| *said != utterance);
        self.marks.speaks.insert(id, utterance);
    }

    pub(crate) fn check_said_again(
        &mut self,
        utterance: &UtteranceId,
        from_ms: u64,
        how: &'static str,
    ) {
        if from_ms > 0 {
            // It was cut off; should the page not go on with it, all of it is written.
            self.room.known.remove(utterance);
        } else if self.room.known.contains(utterance) {
            self.violate("said once", || {
                format!("{utterance} is known to have been begun, and {how} is to say it again")
            });
        }
    }

    /// The room hears an utterance begin.
    pub(crate) fn hear(&mut self, utterance: &UtteranceId, via: Via, from_ms: u64) {
        self.story.tell(self.now, "ROOM", || {
            format!("hears {utterance} via {via:?} from {from_ms} ms")
        });
        if from_ms > 0 {
            return;
        }
        if *utterance == greeting() {
            self.coverage.count(match via {
                Via::OutputAudio => "greeting: heard through output audio",
                Via::Page => "greeting: heard from the page",
                Via::Avatar => "greeting: heard from the avatar",
                Via::Chat => "greeting: read in the chat",
            });
        }
        self.room.hearings.push(Hearing {
            utterance: utterance.clone(),
            via,
        });
        let forgotten = self.room.forgotten.get(utterance).copied().unwrap_or(0);
        let times = self.room.count(utterance, via);
        if times > 1 + forgotten {
            self.violate("said once", || {
                format!("the room has {utterance} {times} times via {via:?}")
            });
        }
    }

    /// The room hears or reads what came under a key, once.
    pub(crate) fn hear_once(&mut self, key: &str, utterance: &UtteranceId, via: Via) {
        if self.room.keys.insert(key.to_owned()) {
            self.hear(utterance, via, 0);
        }
    }

    /// The room reads a caller's message, once for each key.
    pub(crate) fn read_once(&mut self, key: &str, text: &str) {
        if self.room.keys.insert(key.to_owned()) {
            let times = self.room.chats.entry(text.to_owned()).or_insert(0);
            *times += 1;
            if *times > 1 {
                self.violate("said once", || format!("the room reads “{text}” twice"));
            }
        }
    }

    /// One bot is made, and one is in the call, but for one that is on its way out.
    pub(crate) fn check_bots(&mut self) {
        let here = self
            .recall
            .bots
            .iter()
            .filter(|bot| !bot.is_gone() && !bot.told_to_leave);
        let here: Vec<_> = here.map(|bot| bot.id.0.clone()).collect();
        if here.len() > 1 {
            self.violate("one bot", || format!("{here:?} live at the same time"));
        }
        let in_call = self.recall.bots.iter().filter(|bot| bot.is_in_call());
        if in_call.count() > 1 {
            self.violate("one bot", || "two bots are in the call".to_owned());
        }
    }

    /// Sessions of `LiveAvatar`'s that go on and that no warning has given up: it says so after five refusals to stop
    /// one, or after an hour. `HeyGen`'s end of themselves, and an answer that is lost leaves one that nobody knows.
    fn sessions_on(&self) -> Vec<String> {
        let view = self.shell.meeting().map(Meeting::view);
        let warnings = view.map(|view| view.warnings).unwrap_or_default();
        let given_up = |session: &VendorSession| {
            let named = format!("session {} could not be stopped", session.id);
            session.stops >= MAX_AVATAR_STOPS && warnings.iter().any(|w| w.message.contains(&named))
        };
        let sessions = self.avatars.sessions.iter();
        let on = sessions.filter(|session| {
            session.live
                && session.provider == AvatarProvider::LiveAvatar
                && !session.never_looked_up
                && !given_up(session)
        });
        on.map(|session| session.id.0.clone()).collect()
    }

    /// Two sessions live at the same time only to take over from each other.
    pub(crate) fn check_sessions(&mut self) {
        let live = self.avatars.sessions.iter().filter(|session| session.live);
        if live.count() <= 2 {
            return;
        }
        let on = self.sessions_on();
        if on.len() > 2 {
            self.violate("sessions", || format!("{on:?} are live at the same time"));
        }
    }

    pub(crate) fn check_always(&mut self) {
        self.check_bot_stays();
        self.check_greeting_comes();
    }

    /// No bot outlives its meeting: some minutes after the end, and after the trouble, none is left of which the
    /// meeting knew or could have known.
    fn check_bot_stays(&mut self) {
        let (Some(over), Some(calm)) = (self.marks.over_since, self.calm_since) else {
            return;
        };
        if self.now <= over.max(calm) + BOT_PATIENCE {
            return;
        }
        let stays = self.recall.bots.iter().find(|bot| {
            let unknowable = !bot.known && bot.searches_failed >= 3;
            !bot.is_gone() && !unknowable
        });
        if let Some(bot) = stays {
            let what = format!("{} is still there ({:?})", bot.id, bot.stage);
            self.violate("no bot outlives its meeting", || what);
        }
    }

    /// Nobody is joined silently.
    fn check_greeting_comes(&mut self) {
        let Some(since) = self.marks.in_progress_since else {
            return;
        };
        let due = self.calm_since.map_or(since, |calm| calm.max(since)) + GREETING_PATIENCE;
        let calm = self.calm_since.is_some();
        if !calm || self.marks.over_since.is_some() || self.marks.left || self.now <= due {
            return;
        }
        if !self.room.was_heard(&greeting()) && !self.marks.wrote_greeting {
            self.violate("greeting", || {
                "the room was not greeted, not even in the chat".to_owned()
            });
        }
    }

    /// What is stored is what was in memory.
    pub(crate) fn check_restore(&mut self) {
        let Some(meeting) = self.shell.meeting() else {
            return;
        };
        let loaded = match self.shell.store.load() {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return self.violate("restore", || "nothing is stored".to_owned()),
            Err(error) => return self.violate("restore", || error),
        };
        let (stored, held) = (plain(&loaded), plain(meeting));
        let differs: Vec<_> = held
            .iter()
            .filter(|(name, value)| stored.get(*name) != Some(value))
            .map(|(name, value)| format!("{name}: stored {:?}, held {value}", stored.get(name)))
            .collect();
        if !differs.is_empty() {
            self.violate("restore", || differs.join("; "));
        }
    }

    /// Before everything is forgotten, what must have held by then.
    pub(crate) fn check_before_wipe(&mut self) {
        self.coverage.count("end: purged");
        self.check_sessions_over();
        let left: Vec<_> = self
            .recall
            .bots
            .iter()
            .filter(|bot| !bot.is_gone() && !bot.told_to_leave && bot.known)
            .map(|bot| bot.id.0.clone())
            .collect();
        if !left.is_empty() {
            self.violate("no bot outlives its meeting", || {
                format!("{left:?} are left behind by a purge")
            });
        }
    }

    fn check_sessions_over(&mut self) {
        let on = self.sessions_on();
        if !on.is_empty() {
            self.violate("sessions", || format!("{on:?} go on for ever"));
        }
    }

    /// Promises that hold once everything has come to rest.
    pub(crate) fn check_at_the_end(&mut self) {
        if self.marks.wiped {
            return;
        }
        if !self.wake() {
            return;
        }
        let Some(meeting) = self.shell.meeting() else {
            return self.violate("end", || "the meeting is gone without a purge".to_owned());
        };
        let (view, deadline) = (meeting.view(), meeting.deadline(self.now));
        if !view.status.is_over() {
            self.violate("end", || format!("the meeting stays {:?}", view.status));
        }
        if let Some(at) = deadline {
            self.violate("end", || {
                format!("something is left to do at {at}, and no alarm rings")
            });
        }
        if view.listening.state.is_on() {
            self.violate("end", || {
                format!("listening stays {:?}", view.listening.state)
            });
        }
        self.check_sessions_over();
        self.check_greeting(&view);
        self.check_artifacts(&view);
        self.check_webhooks();
        self.check_stored_segments();
        self.check_index(&view);
        let open: Vec<_> = self
            .room
            .told
            .iter()
            .filter(|(_, (_, told))| *told != Told::Over)
            .map(|(id, _)| id.to_string())
            .collect();
        if !open.is_empty() {
            self.violate("utterances", || format!("{open:?} have no end"));
        }
        self.check_restore();
    }

    fn check_greeting(&mut self, view: &MeetingView) {
        let heard = |life: &Self, via| life.room.count(&greeting(), via) > 0;
        let state = &view.greeting;
        let wrong = match (state.state, state.via) {
            (GreetingState::Pending, _) => Some("it is still pending".to_owned()),
            (GreetingState::Sent, Some(via)) if !heard(self, via) => {
                Some(format!("it was sent via {via:?}, and nobody has it"))
            }
            (GreetingState::Sent, None) => Some("it was sent by no way".to_owned()),
            (GreetingState::Sent, Some(_)) => None,
            (GreetingState::Failed | GreetingState::Skipped, _) => state
                .reason
                .is_none()
                .then(|| "there was none, without a reason".to_owned()),
        };
        if let Some(wrong) = wrong {
            self.violate("greeting", || wrong);
        }
        let untroubled = self.plan.trouble == 0 && self.plan.crashes == 0;
        let hearings = self
            .room
            .hearings
            .iter()
            .filter(|h| h.utterance == greeting());
        let hearings = hearings.count();
        if untroubled && hearings > 1 {
            self.violate("greeting", || {
                format!("the room has it {hearings} times, and nothing went wrong")
            });
        }
    }

    fn check_artifacts(&mut self, view: &MeetingView) {
        let own = view.bot.as_ref().map(|bot| &bot.id);
        let bot = self.recall.bots.iter().find(|bot| Some(&bot.id.0) == own);
        let Some(bot) = bot.filter(|bot| bot.stage == Stage::Done && !bot.media_deleted) else {
            return;
        };
        let Some((_, transcript)) = bot.artifacts else {
            return;
        };
        if view.status == Status::Cancelled {
            return;
        }
        let expected = if transcript {
            ArtifactState::Ready
        } else {
            ArtifactState::Failed
        };
        let states = (view.transcript.state, view.recording.state);
        if states != (expected, ArtifactState::Ready)
            || transcript && !self.shell.store.final_transcript
        {
            self.violate("artifacts", || {
                format!("Recall has them, and the meeting says {states:?}")
            });
        }
    }

    fn check_webhooks(&mut self) {
        let mut counts = BTreeMap::new();
        for id in &self.shell.store.participants {
            *counts.entry(id.clone()).or_insert(0) += 1;
        }
        let twice = counts
            .iter()
            .find(|(_, count)| **count > 1)
            .map(|(id, _)| id.clone());
        if let Some(id) = twice {
            self.violate("webhooks", || {
                format!("the webhook about {id} took effect twice")
            });
        }
        let lost = self
            .marks
            .participants
            .iter()
            .find(|id| !counts.contains_key(*id))
            .cloned();
        if let Some(id) = lost {
            self.violate("webhooks", || {
                format!("the webhook about {id} was accepted and took no effect")
            });
        }
    }

    fn check_stored_segments(&mut self) {
        let (stored, told) = (self.shell.store.segments.len() as u64, self.marks.segments);
        if stored != told {
            self.violate("segments", || {
                format!("{told} were told, and {stored} are stored")
            });
        }
    }

    fn check_index(&mut self, view: &MeetingView) {
        let Some((revision, known)) = &self.marks.index else {
            return self.violate("index", || {
                "the tenant's index never heard of the meeting".to_owned()
            });
        };
        let what = |view: &MeetingView| {
            (
                view.status,
                view.transcript.state,
                view.recording.state,
                view.greeting.state,
                view.warnings.len(),
            )
        };
        let (known, is, revision) = (what(known), what(view), *revision);
        if known != is {
            self.violate("index", || {
                format!("it shows {known:?} (revision {revision}), and the meeting is {is:?}")
            });
        }
    }

    /// Counts what the life came to.
    pub(crate) fn count_the_end(&mut self) {
        self.story.tell(self.now, "life", || "is over".to_owned());
        if self.marks.wiped {
            return;
        }
        let Some(view) = self.shell.meeting().map(Meeting::view) else {
            return;
        };
        self.coverage.count(match view.status {
            Status::Scheduled | Status::BotJoining | Status::InProgress => "end: none",
            Status::Ended => "end: ended",
            Status::Failed => "end: failed",
            Status::Cancelled => "end: cancelled",
        });
        self.coverage
            .count(match (view.greeting.state, view.greeting.via) {
                (GreetingState::Sent, Some(Via::OutputAudio)) => "greeting: sent via output audio",
                (GreetingState::Sent, Some(Via::Page)) => "greeting: sent via the page",
                (GreetingState::Sent, Some(Via::Avatar)) => "greeting: sent via the avatar",
                (GreetingState::Sent, _) => "greeting: sent via chat",
                (GreetingState::Failed, _) => "greeting: failed",
                (GreetingState::Skipped | GreetingState::Pending, _) => "greeting: skipped",
            });
        self.coverage.count(match view.transcript.state {
            ArtifactState::Ready => "artifacts: transcript fetched",
            ArtifactState::Failed => "artifacts: no transcript",
            ArtifactState::None | ArtifactState::Live | ArtifactState::Pending => "artifacts: none",
        });
        if !self.shell.store.clips.is_empty() {
            self.coverage.count("store: clips left behind");
        }
    }
}

/// A meeting's fields without those that a segment alone changes and that need no snapshot. How far the call was
/// heard is told by the last segment, which may come a little short of it.
fn plain(meeting: &Meeting) -> Map<String, Value> {
    let text = meeting.to_snapshot().unwrap_or_default();
    let mut fields: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    fields.remove("revision");
    fields.remove("updated_at");
    if let Some(Value::Object(listening)) = fields.get_mut("listening") {
        listening.remove("heard_until");
    }
    fields
}
