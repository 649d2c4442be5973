//! Recall: bots and their lives, idempotency keys, webhooks, artifacts, and the audio socket it dials.

use std::{collections::BTreeMap, time::Duration};

use attache_meeting::{
    http::{CallError, FailureKind},
    ids::BotId,
    meeting::{Answer, ArtifactStatus, BotState, Event, FoundBot, RecordingState},
    transcript::Speaker,
    vendors::recall::{
        Artifact, ArtifactChange, ArtifactCode, BotCode, BotStatusChange, Participant,
        ParticipantAction, ParticipantEvent, RecallEvent, SpokenSegment,
    },
};
use jiff::Timestamp;

use crate::{
    calls::failure,
    life::{Happening, Life},
    sabotage::Sabotage,
    shell::Delivery,
};

/// Recall replays the answer to an idempotency key for an hour.
const KEY_MEMORY: Duration = Duration::from_hours(1);
/// A webhook that is not accepted is sent again this often and this far apart.
const WEBHOOK_ATTEMPTS: u32 = 60;
const WEBHOOK_PAUSE: Duration = Duration::from_secs(1);
/// The audio socket is dialled again this often and this far apart.
const DIALS: u32 = 30;
const DIAL_PAUSE: Duration = Duration::from_secs(3);
/// How long Recall lets a bot record.
const LONGEST_CALL: Duration = Duration::from_hours(4);
/// How long Recall lets a bot wait in the lobby.
const LONGEST_WAIT: Duration = Duration::from_mins(20);

/// Recall's side of one meeting.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    pub bots: Vec<Bot>,
    /// Which bot was made under a key, and when.
    pub keys: BTreeMap<String, (Timestamp, usize)>,
    /// Keys whose stored answer is an empty pool.
    pub refused_keys: BTreeMap<String, Timestamp>,
    webhooks: u64,
}

/// Where a bot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Scheduled,
    Joining,
    Waiting,
    InCall,
    Recording,
    Left,
    Done,
    Fatal,
    Deleted,
}

/// A bot.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Bot {
    pub id: BotId,
    pub stage: Stage,
    pub turn: u32,
    pub statuses: Vec<BotStatusChange>,
    /// Whether Recall has accepted that it leaves.
    pub told_to_leave: bool,
    pub recorded: bool,
    /// Since when its artifacts are there, and whether the transcript is.
    pub artifacts: Option<(Timestamp, bool)>,
    pub media_deleted: bool,
    /// Whether the meeting has been told that there is such a bot.
    pub known: bool,
    /// How many searches have failed since it was made.
    pub searches_failed: u32,
}

impl Bot {
    pub(crate) fn is_gone(&self) -> bool {
        match self.stage {
            Stage::Left | Stage::Done | Stage::Fatal | Stage::Deleted => true,
            Stage::Scheduled
            | Stage::Joining
            | Stage::Waiting
            | Stage::InCall
            | Stage::Recording => false,
        }
    }

    pub(crate) fn is_in_call(&self) -> bool {
        matches!(self.stage, Stage::InCall | Stage::Recording)
    }
}

/// A webhook on its way.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub id: u64,
    pub event: Event,
    pub bot: usize,
    attempts: u32,
    /// The participant it tells of, whom the event log must name once.
    participant: Option<String>,
}

impl Recall {
    pub(crate) fn find(&self, id: &BotId) -> Option<usize> {
        self.bots.iter().position(|bot| bot.id == *id)
    }

    pub(crate) fn is_told_of(&mut self, ids: &[BotId]) {
        for bot in &mut self.bots {
            bot.known |= ids.contains(&bot.id);
        }
    }

    pub(crate) fn search_failed(&mut self) {
        for bot in &mut self.bots {
            bot.searches_failed += 1;
        }
    }
}

impl Life {
    pub(crate) fn create_bot(
        &mut self,
        key: &str,
        join_at: Option<Timestamp>,
    ) -> Result<Answer, CallError> {
        let key = if self.sabotage == Some(Sabotage::NewKeyForEachBot) {
            format!("{key}-{}", self.number())
        } else {
            key.to_owned()
        };
        let fresh = |at: &Timestamp, now: Timestamp| now < *at + KEY_MEMORY;
        if self
            .recall
            .refused_keys
            .get(&key)
            .is_some_and(|at| fresh(at, self.now))
        {
            return Err(failure("recall.create_bot", 507, FailureKind::PoolEmpty));
        }
        let made = self
            .recall
            .keys
            .get(&key)
            .filter(|(at, _)| fresh(at, self.now));
        let bot = match made {
            Some((_, bot)) => *bot,
            None => self.make_bot(key, join_at),
        };
        Ok(Answer::BotCreated {
            bot_id: self.recall.bots[bot].id.clone(),
            delivers_sound: self.plan.hears,
        })
    }

    fn make_bot(&mut self, key: String, join_at: Option<Timestamp>) -> usize {
        let number = self.recall.bots.len();
        let id = BotId(format!("bot-{}", number + 1));
        self.story.tell(self.now, "recall", || {
            format!("makes {id}, which joins at {join_at:?}")
        });
        self.coverage.count("recall: bots made");
        self.recall.keys.insert(key, (self.now, number));
        self.recall.bots.push(Bot {
            id,
            stage: Stage::Scheduled,
            turn: 0,
            statuses: Vec::new(),
            told_to_leave: false,
            recorded: false,
            artifacts: None,
            media_deleted: false,
            known: false,
            searches_failed: 0,
        });
        self.check_bots();
        let joins = join_at.unwrap_or(self.now).max(self.now);
        let wait = Duration::try_from(joins.duration_since(self.now)).unwrap_or_default();
        let slack = self.choices.time(Duration::from_secs(5));
        self.later(
            wait + slack + Duration::from_millis(300),
            Happening::BotMoves {
                bot: number,
                turn: 0,
            },
        );
        number
    }

    pub(crate) fn find_bots(&self) -> Answer {
        let bots = self
            .recall
            .bots
            .iter()
            .filter(|bot| bot.stage != Stage::Deleted);
        let found = bots.map(|bot| FoundBot {
            id: bot.id.clone(),
            newest: bot.statuses.last().cloned(),
        });
        Answer::BotsFound {
            bots: found.collect(),
        }
    }

    pub(crate) fn read_bot(&self, id: &BotId) -> Result<Answer, CallError> {
        let missing = || failure("recall.get_bot", 404, FailureKind::NotFound);
        let bot = self.recall.find(id).map(|bot| &self.recall.bots[bot]);
        let bot = bot
            .filter(|bot| bot.stage != Stage::Deleted)
            .ok_or_else(missing)?;
        let status = |there: bool| {
            let code = match (bot.media_deleted, bot.artifacts, there) {
                (true, ..) => ArtifactCode::Deleted,
                (_, None, _) => ArtifactCode::Processing,
                (_, Some(_), true) => ArtifactCode::Done,
                (_, Some(_), false) => ArtifactCode::Failed,
            };
            Some(ArtifactStatus {
                code,
                sub_code: None,
            })
        };
        let recording = RecordingState {
            transcript: status(bot.artifacts.is_some_and(|(_, transcript)| transcript)),
            video: status(true),
            audio: None,
        };
        let ended = matches!(bot.stage, Stage::Left | Stage::Done | Stage::Fatal);
        Ok(Answer::BotRead {
            bot: BotState {
                id: id.clone(),
                statuses: bot.statuses.clone(),
                recordings: (bot.recorded && ended)
                    .then_some(recording)
                    .into_iter()
                    .collect(),
            },
        })
    }

    pub(crate) fn delete_bot(&mut self, id: &BotId) -> Result<Answer, CallError> {
        let error = |status, kind| Err(failure("recall.delete_bot", status, kind));
        let Some(bot) = self.recall.find(id) else {
            return error(404, FailureKind::NotFound);
        };
        match self.recall.bots[bot].stage {
            Stage::Scheduled => {
                self.story
                    .tell(self.now, "recall", || format!("deletes {id}"));
                let bot = &mut self.recall.bots[bot];
                bot.stage = Stage::Deleted;
                bot.turn += 1;
                Ok(Answer::Done)
            }
            Stage::Deleted => error(404, FailureKind::NotFound),
            Stage::Joining
            | Stage::Waiting
            | Stage::InCall
            | Stage::Recording
            | Stage::Left
            | Stage::Done
            | Stage::Fatal => error(405, FailureKind::AlreadyDispatched),
        }
    }

    pub(crate) fn leave_call(&mut self, id: &BotId) -> Result<Answer, CallError> {
        let error = |status, kind| Err(failure("recall.leave_call", status, kind));
        let Some(bot) = self.recall.find(id) else {
            return error(404, FailureKind::NotFound);
        };
        match self.recall.bots[bot].stage {
            Stage::Scheduled => error(400, FailureKind::NotStarted),
            Stage::Deleted => error(404, FailureKind::NotFound),
            Stage::Left | Stage::Done | Stage::Fatal => error(400, FailureKind::AlreadyOver),
            Stage::Joining | Stage::Waiting | Stage::InCall | Stage::Recording => {
                if !self.recall.bots[bot].told_to_leave {
                    let wait = Duration::from_millis(500) + self.way(Duration::from_secs(10));
                    self.recall.bots[bot].told_to_leave = true;
                    self.recall.bots[bot].turn += 1;
                    let turn = self.recall.bots[bot].turn;
                    self.later(wait, Happening::BotMoves { bot, turn });
                }
                Ok(Answer::Done)
            }
        }
    }

    pub(crate) fn delete_media(&mut self, id: &BotId) -> Result<Answer, CallError> {
        let error = |status, kind| Err(failure("recall.delete_media", status, kind));
        let Some(bot) = self.recall.find(id) else {
            return error(404, FailureKind::NotFound);
        };
        let bot = &mut self.recall.bots[bot];
        match bot.stage {
            Stage::Deleted => error(404, FailureKind::NotFound),
            Stage::Done | Stage::Fatal => {
                bot.media_deleted = true;
                Ok(Answer::Done)
            }
            Stage::Scheduled
            | Stage::Joining
            | Stage::Waiting
            | Stage::InCall
            | Stage::Recording
            | Stage::Left => error(400, FailureKind::InvalidRequest),
        }
    }

    pub(crate) fn fetch_transcript(&mut self, id: &BotId) -> Result<Answer, CallError> {
        let bot = self.recall.find(id).map(|bot| &self.recall.bots[bot]);
        let there = bot.is_some_and(|bot| {
            bot.artifacts.is_some_and(|(_, transcript)| transcript) && !bot.media_deleted
        });
        if there {
            Ok(Answer::TranscriptStored { segments: 1 })
        } else {
            Err(failure("recall.get_transcript", 0, FailureKind::NoAnswer))
        }
    }

    /// Whether a bot takes commands that need it in the call.
    pub(crate) fn in_call(&self, id: &BotId, operation: &str) -> Result<(), CallError> {
        let bot = self.recall.find(id).map(|bot| &self.recall.bots[bot]);
        match bot {
            Some(bot) if bot.is_in_call() => Ok(()),
            Some(bot) if bot.is_gone() => Err(failure(operation, 400, FailureKind::AlreadyOver)),
            Some(_) | None => Err(failure(operation, 400, FailureKind::NotStarted)),
        }
    }

    /// A bot goes on to the next stage of its life.
    pub(crate) fn bot_moves(&mut self, number: usize, turn: u32) {
        if self.recall.bots[number].turn != turn {
            return;
        }
        let stage = self.recall.bots[number].stage;
        let told = self.recall.bots[number].told_to_leave;
        let (next, sub_code) = match stage {
            Stage::Scheduled => (Stage::Joining, None),
            Stage::Joining | Stage::Waiting | Stage::InCall | Stage::Recording if told => {
                (Stage::Left, Some("bot_received_leave_call"))
            }
            Stage::Joining => self.choices.pick(&[
                (Stage::InCall, None),
                (Stage::InCall, None),
                (Stage::Waiting, None),
                (Stage::Waiting, None),
                (Stage::Fatal, Some("meeting_not_found")),
            ]),
            Stage::Waiting => self.choices.pick(&[
                (Stage::InCall, None),
                (Stage::InCall, None),
                (Stage::Left, Some("bot_kicked_from_waiting_room")),
                (Stage::Left, Some("timeout_exceeded_waiting_room")),
            ]),
            Stage::InCall => (Stage::Recording, None),
            Stage::Recording => self.choices.pick(&[
                (Stage::Left, Some("call_ended_by_host")),
                (Stage::Left, Some("timeout_exceeded_everyone_left")),
                (Stage::Left, None),
                (Stage::Fatal, Some("bot_errored")),
            ]),
            Stage::Left | Stage::Fatal => (Stage::Done, None),
            Stage::Done | Stage::Deleted => return,
        };
        self.become_stage(number, next, sub_code);
    }

    fn become_stage(&mut self, number: usize, next: Stage, sub_code: Option<&'static str>) {
        let now = self.now;
        let was_recorded = self.recall.bots[number].recorded;
        let wait = match next {
            Stage::Joining => {
                Some(Duration::from_secs(2) + self.choices.time(Duration::from_secs(20)))
            }
            Stage::Waiting => Some(self.choices.pick(&[
                Duration::from_secs(20),
                Duration::from_mins(5),
                LONGEST_WAIT,
            ])),
            Stage::InCall => Some(Duration::from_secs(1)),
            Stage::Recording => Some(self.call_length()),
            Stage::Left | Stage::Fatal => Some(Duration::from_secs(4)),
            Stage::Scheduled | Stage::Done | Stage::Deleted => None,
        };
        let word = match next {
            Stage::Joining => "joining_call",
            Stage::Waiting => "in_waiting_room",
            Stage::InCall => "in_call_not_recording",
            Stage::Recording => "in_call_recording",
            Stage::Left => "call_ended",
            Stage::Done => "done",
            Stage::Fatal => "fatal",
            Stage::Scheduled | Stage::Deleted => return,
        };
        let bot = &mut self.recall.bots[number];
        bot.stage = next;
        bot.turn += 1;
        bot.recorded |= next == Stage::Recording;
        let turn = bot.turn;
        let change = BotStatusChange {
            code: BotCode::from(word.to_owned()),
            sub_code: sub_code.map(str::to_owned),
            message: None,
            updated_at: Some(now),
        };
        bot.statuses.push(change.clone());
        let id = bot.id.clone();
        self.story.tell(now, "recall", || {
            format!("{id} is {word} {}", sub_code.unwrap_or(""))
        });
        if let Some(wait) = wait {
            self.later(wait, Happening::BotMoves { bot: number, turn });
        }
        self.send_webhook(number, RecallEvent::BotStatus(change), None);
        self.check_bots();
        match next {
            Stage::Joining => self.open_page(number),
            Stage::Recording => self.begin_call(number),
            Stage::Left | Stage::Fatal => {
                self.close_page(number);
                self.hang_up(number);
            }
            Stage::Done if was_recorded => self.make_artifacts(number),
            Stage::Scheduled | Stage::Waiting | Stage::InCall | Stage::Done | Stage::Deleted => {}
        }
    }

    fn call_length(&mut self) -> Duration {
        let rough = self.choices.pick(&[
            Duration::from_mins(3),
            Duration::from_secs(2),
            Duration::from_secs(20),
            Duration::from_mins(10),
            Duration::from_mins(3),
            Duration::from_mins(1),
            Duration::from_mins(40),
            Duration::from_secs(45),
            Duration::from_mins(15),
            LONGEST_CALL,
        ]);
        rough + self.choices.time(Duration::from_secs(30))
    }

    /// People talk, come and go; the call's sound is delivered.
    fn begin_call(&mut self, number: usize) {
        if self.plan.hears && !self.plan.booking.page_microphone {
            self.later(
                Duration::from_millis(200),
                Happening::Dials {
                    bot: number,
                    left: DIALS,
                },
            );
        }
        for what in ["participant", "transcript"] {
            for _ in 0..self.choices.below(4) {
                let wait = self.choices.time(Duration::from_mins(4));
                self.later(wait, Happening::BotRecords { bot: number, what });
            }
        }
    }

    pub(crate) fn bot_records(&mut self, number: usize, what: &'static str) {
        if what == "artifacts" {
            return self.artifacts_done(number);
        }
        if self.recall.bots[number].stage != Stage::Recording {
            return;
        }
        let name = format!("{what} {}", self.number());
        if what == "participant" {
            let event = ParticipantEvent {
                action: ParticipantAction::Join,
                participant: Participant {
                    id: Some(name.clone()),
                    ..Participant::default()
                },
                at: Some(self.now),
                relative: None,
            };
            return self.send_webhook(number, RecallEvent::Participant(event), Some(name));
        }
        let end = f64::from(self.numbers);
        let segment = SpokenSegment {
            speaker: Speaker::default(),
            start: end - 0.5,
            end,
            text: name,
            words: Vec::new(),
            language: None,
        };
        let partial = self.choices.percent(20);
        self.send_webhook(number, RecallEvent::Transcript { partial, segment }, None);
    }

    fn make_artifacts(&mut self, number: usize) {
        let wait = self.choices.pick(&[
            Duration::from_secs(5),
            Duration::from_secs(40),
            Duration::from_mins(20),
        ]);
        self.later(
            wait,
            Happening::BotRecords {
                bot: number,
                what: "artifacts",
            },
        );
    }

    fn artifacts_done(&mut self, number: usize) {
        let transcript = !self.trouble(10);
        self.recall.bots[number].artifacts = Some((self.now, transcript));
        let code = |there| {
            if there {
                ArtifactCode::Done
            } else {
                ArtifactCode::Failed
            }
        };
        let artifacts = [
            (Artifact::Recording, ArtifactCode::Done),
            (Artifact::VideoMixed, ArtifactCode::Done),
            (Artifact::Transcript, code(transcript)),
        ];
        for (artifact, code) in artifacts {
            let change = ArtifactChange {
                artifact,
                code,
                sub_code: None,
                recording_id: None,
                artifact_id: None,
                updated_at: Some(self.now),
            };
            self.send_webhook(number, RecallEvent::Artifact(change), None);
        }
    }

    fn send_webhook(&mut self, bot: usize, report: RecallEvent, participant: Option<String>) {
        self.recall.webhooks += 1;
        let webhook = Webhook {
            id: self.recall.webhooks,
            event: Event::RecallReported {
                bot_id: Some(self.recall.bots[bot].id.clone()),
                name: "test".to_owned(),
                report,
            },
            bot,
            attempts: 0,
            participant,
        };
        let copies = if self.trouble(self.plan.trouble) {
            self.choices.pick(&[2, 0, 3, 0])
        } else {
            1
        };
        if copies != 1 {
            self.coverage.count(if copies == 0 {
                "webhook: dropped"
            } else {
                "webhook: doubled"
            });
        }
        for _ in 0..copies {
            let longest = if self.trouble(self.plan.trouble) {
                self.coverage.count("webhook: delayed");
                self.choices.pick(&[
                    Duration::from_secs(5),
                    Duration::from_mins(1),
                    Duration::from_mins(40),
                ])
            } else {
                Duration::from_millis(300)
            };
            let wait = self.choices.time(longest);
            self.later(
                wait + Duration::from_millis(50),
                Happening::Webhook(Box::new(webhook.clone())),
            );
        }
    }

    /// A webhook reaches the object, which knows whether it has seen it.
    pub(crate) fn webhook(&mut self, webhook: Webhook) {
        if !self.wake() {
            return self.repeat_webhook(webhook);
        }
        if self.shell.meeting().is_none() {
            return;
        }
        if self.shell.store.webhooks.contains(&webhook.id) {
            self.coverage.count("webhook: repeated, and known");
            return;
        }
        let early = self.sabotage == Some(Sabotage::AcceptEarly);
        if early && self.choices.percent(5) {
            self.crash("restart: crash before the transaction");
            return self.accepted(&webhook);
        }
        let remember = (!webhook.event.is_passing()).then_some(webhook.id);
        let fleeting = webhook.event.is_passing();
        match self.deliver(webhook.event.clone(), remember) {
            Delivery::Taken => self.accepted(&webhook),
            Delivery::Unanswered => {
                self.recall.bots[webhook.bot].known = true;
                self.repeat_webhook(webhook);
            }
            Delivery::Lost if fleeting => {}
            Delivery::Lost => self.repeat_webhook(webhook),
            Delivery::Refused | Delivery::NoMeeting => {}
        }
    }

    fn accepted(&mut self, webhook: &Webhook) {
        self.coverage.count("webhook: accepted");
        self.recall.bots[webhook.bot].known = true;
        if let Some(participant) = &webhook.participant {
            self.marks.participants.insert(participant.clone());
        }
    }

    fn repeat_webhook(&mut self, webhook: Webhook) {
        self.coverage
            .count("webhook: sent again as nobody accepted it");
        let attempts = webhook.attempts + 1;
        if attempts < WEBHOOK_ATTEMPTS {
            let again = Webhook {
                attempts,
                ..webhook
            };
            self.later(WEBHOOK_PAUSE, Happening::Webhook(Box::new(again)));
        }
    }

    /// Recall dials the audio socket.
    pub(crate) fn dials(&mut self, number: usize, left: u32) {
        let own = self.shell.media.is_some();
        if self.recall.bots[number].stage != Stage::Recording || own {
            return;
        }
        let again = Happening::Dials {
            bot: number,
            left: left.saturating_sub(1),
        };
        let lost = self.trouble(self.plan.trouble / 2);
        let delivery = if lost {
            Delivery::Lost
        } else {
            self.deliver(Event::MediaConnected, None)
        };
        if delivery == Delivery::Taken && self.shell.ears.is_some() {
            let socket = self.number();
            self.shell.media = Some(socket);
            self.coverage.count("ears: the audio socket was opened");
            if self.trouble(20) {
                let wait = self.choices.time(Duration::from_mins(3));
                self.later(wait, Happening::MediaClosed { socket });
            }
        } else if left > 0 {
            self.later(DIAL_PAUSE, again);
        }
    }

    /// The audio socket breaks off.
    pub(crate) fn media_closed(&mut self, socket: u32) {
        if self.shell.media != Some(socket) {
            return;
        }
        self.media_lost();
        self.shell.media = None;
        self.report(Event::MediaDisconnected);
    }

    /// Recall notices that the audio socket is gone, and dials again while the bot is in the call.
    pub(crate) fn media_lost(&mut self) {
        let delivers = self.plan.hears && !self.plan.booking.page_microphone;
        let bot = self
            .recall
            .bots
            .iter()
            .position(|bot| bot.stage == Stage::Recording);
        if let Some(bot) = bot.filter(|_| delivers) {
            self.later(DIAL_PAUSE, Happening::Dials { bot, left: DIALS });
        }
    }

    fn hang_up(&mut self, _number: usize) {
        if let Some(socket) = self.shell.media
            && !self.plan.booking.page_microphone
        {
            self.later(
                Duration::from_millis(100),
                Happening::MediaClosed { socket },
            );
        }
    }
}
