//! The calls on bots: create, list, update, delete, leave, speak, write.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::bot::{Bot, Endpoint, Phase, SCHEDULED_AHEAD, Timers};
use super::create::{self, BotRequest, jpeg_data, mp3_data};
use super::fields::{FieldError, Fields, boolean, string_up_to};
use super::{Model, refusals, views};
use crate::answer::Answer;
use crate::operation::Operation;

/// Bots per page of a list.
const PAGE: usize = 100;

impl Model {
    pub(super) fn create_bot(&mut self, body: &Value, now: Timestamp) -> Answer {
        let request = match create::read(body) {
            Ok(request) => request,
            Err(errors) => return refusals::fields(&errors),
        };
        let scheduled = request
            .join_at
            .is_some_and(|join_at| join_at > now + SCHEDULED_AHEAD);
        if let (false, Some(limit)) = (scheduled, self.services.settings.adhoc_limit) {
            let running = self
                .bots
                .values()
                .filter(|bot| !bot.scheduled && bot.phase != Phase::Over)
                .count();
            if running >= limit {
                let detail = format!("Maximum of {limit} concurrent adhoc bots allowed.");
                return refusals::coded(429, "throttled", &detail).with_header("retry-after", "60");
            }
        }
        let number = self.next_bot;
        self.next_bot += 1;
        let bot = self.new_bot(request, scheduled, now);
        let view = views::bot(&bot, &mut self.services.presigner, now);
        self.numbers.insert(bot.id.clone(), number);
        self.bots.insert(number, bot);
        Answer::json(201, &view)
    }

    fn new_bot(&mut self, request: BotRequest, scheduled: bool, now: Timestamp) -> Bot {
        let script = self.script_for(&request.meeting_url.raw);
        let from = request.join_at.filter(|_| scheduled).unwrap_or(now);
        let mut bot = Bot {
            id: self.services.ids.uuid(),
            created_at: now,
            scheduled,
            phase: Phase::Created,
            output_media_on: request.output_media.is_some(),
            status_changes: Vec::new(),
            script,
            queue: std::collections::VecDeque::new(),
            last_step_at: from,
            holding_until: None,
            participants: Vec::new(),
            recordings: Vec::new(),
            endpoints: self.endpoints(&request),
            heard: Vec::new(),
            webhooks_sent: 0,
            timers: Timers::default(),
            media_deleted: false,
            request,
        };
        bot.start_script(from);
        bot
    }

    fn endpoints(&mut self, request: &BotRequest) -> Vec<Endpoint> {
        let ids = &mut self.services.ids;
        let configs = request.recording.endpoints.iter();
        configs
            .map(|config| Endpoint {
                id: ids.uuid(),
                kind: config.kind.clone(),
                url: config.url.clone(),
                events: config.events.clone(),
                metadata: config.metadata.clone(),
                failed: false,
            })
            .collect()
    }

    pub(super) fn list_bots(&mut self, query: &[(String, String)], now: Timestamp) -> Answer {
        let filters = match BotFilters::read(query) {
            Ok(filters) => filters,
            Err(errors) => return refusals::fields(&errors),
        };
        let found: Vec<&Bot> = self
            .bots
            .values()
            .rev()
            .filter(|bot| filters.matches(bot))
            .collect();
        let first = (filters.page - 1) * PAGE;
        if first > 0 && first >= found.len() {
            return refusals::coded(404, "not_found", "Invalid page.");
        }
        let url = |page: usize| {
            let mut serializer = url::form_urlencoded::Serializer::new(String::new());
            serializer.extend_pairs(query.iter().filter(|(key, _)| key != "page"));
            serializer.append_pair("page", &page.to_string());
            format!(
                "{}/api/v1/bot/?{}",
                self.services.presigner.base_url,
                serializer.finish()
            )
        };
        let next = (first + PAGE < found.len()).then(|| url(filters.page + 1));
        let previous = (filters.page > 1).then(|| url(filters.page - 1));
        let presigner = &mut self.services.presigner;
        let results: Vec<Value> = found
            .iter()
            .skip(first)
            .take(PAGE)
            .map(|bot| views::bot(bot, presigner, now))
            .collect();
        let count = found.len();
        Answer::json(
            200,
            &json!({ "count": count, "next": next, "previous": previous, "results": results }),
        )
    }

    /// Everything that names one bot.
    pub(super) fn on_bot(
        &mut self,
        operation: Operation,
        id: &str,
        body: &Value,
        now: Timestamp,
    ) -> Answer {
        let Some(number) = self.numbers.get(id).copied() else {
            return refusals::not_found();
        };
        let Some(bot) = self.bots.get_mut(&number) else {
            return refusals::not_found();
        };
        let services = &mut self.services;
        let result = match operation {
            Operation::RetrieveBot => Ok(()),
            Operation::UpdateBot => update(bot, body, now),
            Operation::DeleteBot => {
                if bot.dispatched(now) || bot.launching(now) {
                    return refusals::method_not_allowed("DELETE");
                }
                self.numbers.remove(id);
                self.bots.remove(&number);
                return Answer::empty(204);
            }
            Operation::LeaveCall => leave_call(bot, now),
            Operation::OutputAudio => output_audio(bot, body, now, services),
            Operation::StopOutputAudio => in_call(bot, now).map(|()| bot.stop_audio(now)),
            Operation::OutputVideo => output_video(bot, body, now),
            Operation::StopOutputVideo | Operation::PauseRecording | Operation::ResumeRecording => {
                in_call(bot, now)
            }
            Operation::OutputMedia => output_media(bot, body, now),
            Operation::StopOutputMedia => in_call(bot, now).map(|()| bot.output_media_on = false),
            Operation::SendChatMessage => send_chat_message(bot, body, now, services),
            Operation::DeleteMedia => delete_media(bot, now, services),
            Operation::LegacyTranscript => return Self::legacy_transcript(bot),
            Operation::Screenshots => return Answer::json(200, &json!([])),
            _ => return refusals::not_found(),
        };
        match result {
            Ok(()) => Answer::json(200, &views::bot(bot, &mut services.presigner, now)),
            Err(refusal) => refusal,
        }
    }
}

struct BotFilters<'a> {
    metadata: Vec<(&'a str, &'a str)>,
    meeting_url: Option<&'a str>,
    platforms: Vec<&'a str>,
    statuses: Vec<&'a str>,
    join_at_after: Option<Timestamp>,
    join_at_before: Option<Timestamp>,
    page: usize,
}

impl<'a> BotFilters<'a> {
    fn read(query: &'a [(String, String)]) -> Result<Self, FieldError> {
        let mut filters = Self {
            metadata: Vec::new(),
            meeting_url: None,
            platforms: Vec::new(),
            statuses: Vec::new(),
            join_at_after: None,
            join_at_before: None,
            page: 1,
        };
        let time = |key: &str, value: &str| {
            value
                .parse()
                .map(Some)
                .map_err(|_| json!({ key: ["Enter a valid date/time."] }))
        };
        for (key, value) in query {
            match key.as_str() {
                "meeting_url" => filters.meeting_url = Some(value),
                "platform" | "platform[]" => filters.platforms.push(value),
                "status" | "status[]" => filters.statuses.push(value),
                "join_at_after" => filters.join_at_after = time(key, value)?,
                "join_at_before" => filters.join_at_before = time(key, value)?,
                "page" => {
                    filters.page = value
                        .parse()
                        .ok()
                        .filter(|page| *page > 0)
                        .ok_or_else(|| json!({ "page": ["Invalid page."] }))?;
                }
                _ => match key.strip_prefix("metadata__") {
                    Some(name) if !name.is_empty() => filters.metadata.push((name, value)),
                    _ => return Err(json!({ key: ["Unknown filter."] })),
                },
            }
        }
        Ok(filters)
    }

    fn matches(&self, bot: &Bot) -> bool {
        let request = &bot.request;
        let status = bot.status().map(|change| change.code.as_str());
        self.metadata
            .iter()
            .all(|(name, value)| request.metadata.get(*name).is_some_and(|own| own == value))
            && self
                .meeting_url
                .is_none_or(|url| request.meeting_url.raw == url)
            && (self.platforms.is_empty()
                || self
                    .platforms
                    .contains(&request.meeting_url.platform.name()))
            && (self.statuses.is_empty()
                || status.is_some_and(|status| self.statuses.contains(&status)))
            && self
                .join_at_after
                .is_none_or(|after| request.join_at.is_some_and(|at| at >= after))
            && self
                .join_at_before
                .is_none_or(|before| request.join_at.is_some_and(|at| at <= before))
    }
}

fn update(bot: &mut Bot, body: &Value, now: Timestamp) -> Result<(), Answer> {
    if bot.dispatched(now) {
        let detail = "Cannot validate partial without join call task";
        return Err(refusals::coded(400, "update_bot_failed", detail));
    }
    let Some(changes) = body.as_object() else {
        return Err(refusals::fields(
            &json!({ "non_field_errors": ["Invalid data. Expected a dictionary."] }),
        ));
    };
    let mut merged = bot.request.raw.clone();
    merged.extend(changes.clone());
    let request =
        create::read(&Value::Object(merged)).map_err(|errors| refusals::fields(&errors))?;
    if changes.contains_key("join_at") && request.join_at != bot.request.join_at {
        let too_late = bot.launching(now);
        let far_enough = request
            .join_at
            .is_some_and(|join_at| join_at > now + SCHEDULED_AHEAD);
        if too_late || !far_enough {
            let detail = "join_at can only be changed while both the old and the new time are more than 10 minutes away.";
            return Err(refusals::coded(400, "update_bot_failed", detail));
        }
    }
    let join_at = request.join_at.unwrap_or(now);
    bot.request = request;
    bot.output_media_on = bot.request.output_media.is_some();
    bot.start_script(join_at);
    Ok(())
}

/// Before its machine starts there is nothing to command; while it starts (the last ten minutes of a
/// scheduled bot) leaving is the only way to cancel it.
fn leave_call(bot: &mut Bot, now: Timestamp) -> Result<(), Answer> {
    match bot.phase {
        Phase::Created if bot.launching(now) => {}
        Phase::Created => return Err(refusals::unstarted()),
        Phase::Over => return Err(refusals::completed()),
        Phase::Leaving => return Ok(()),
        Phase::Joining | Phase::WaitingRoom | Phase::InCall { .. } => {}
    }
    bot.leave(now);
    Ok(())
}

/// Commands to the room need the bot to be in it.
fn in_call(bot: &Bot, _now: Timestamp) -> Result<(), Answer> {
    match bot.phase {
        Phase::InCall { .. } => Ok(()),
        Phase::Created | Phase::Joining | Phase::WaitingRoom => Err(refusals::unstarted()),
        Phase::Leaving | Phase::Over => Err(refusals::completed()),
    }
}

fn output_audio(
    bot: &mut Bot,
    body: &Value,
    now: Timestamp,
    services: &mut super::Services,
) -> Result<(), Answer> {
    let clip = create::media(body, "mp3", mp3_data).map_err(|errors| refusals::fields(&errors))?;
    if bot.output_media_on {
        let detail = "Output audio cannot be used while output media is active.";
        return Err(refusals::coded(400, "output_media_active", detail));
    }
    if bot.request.automatic_audio.is_none() {
        let detail =
            "automatic_audio_output must be set when the bot is created to use this endpoint.";
        return Err(refusals::coded(
            400,
            "automatic_audio_output_required",
            detail,
        ));
    }
    in_call(bot, now)?;
    bot.play(&clip, false, now, services);
    Ok(())
}

fn output_video(bot: &Bot, body: &Value, now: Timestamp) -> Result<(), Answer> {
    create::media(body, "jpeg", jpeg_data).map_err(|errors| refusals::fields(&errors))?;
    if bot.output_media_on {
        let detail = "Output video cannot be used while output media is active.";
        return Err(refusals::coded(400, "output_media_active", detail));
    }
    in_call(bot, now)
}

fn output_media(bot: &mut Bot, body: &Value, now: Timestamp) -> Result<(), Answer> {
    create::output_media(body).map_err(|errors| refusals::fields(&errors))?;
    if bot.request.automatic_audio.is_some() {
        let detail = "Output media cannot be combined with automatic_audio_output.";
        return Err(refusals::coded(400, "automatic_output_active", detail));
    }
    in_call(bot, now)?;
    bot.output_media_on = true;
    bot.request.output_media = Some(body.clone());
    Ok(())
}

fn send_chat_message(
    bot: &mut Bot,
    body: &Value,
    now: Timestamp,
    services: &mut super::Services,
) -> Result<(), Answer> {
    let platform = bot.request.meeting_url.platform;
    let Some(limit) = platform.chat_limit() else {
        let detail = "Chat messages are not supported on this platform.";
        return Err(refusals::coded(400, "chat_not_supported", detail));
    };
    let (to, text) =
        read_chat(body, platform, limit).map_err(|errors| refusals::fields(&errors))?;
    in_call(bot, now)?;
    bot.chat(&text, &to, false, now, services);
    Ok(())
}

fn read_chat(
    body: &Value,
    platform: super::meeting_url::Platform,
    limit: usize,
) -> Result<(String, String), FieldError> {
    let mut fields = Fields::of(body)?;
    let to = fields.read("to", |value| {
        create::recipient(value, Some(platform))?;
        Ok(value.as_str().unwrap_or_default())
    });
    let text = fields.read_required("message", string_up_to(limit));
    fields.read("pin", boolean);
    fields.finish()?;
    Ok((
        to.unwrap_or("everyone").to_owned(),
        text.expect("a missing message is an error above")
            .to_owned(),
    ))
}

fn delete_media(
    bot: &mut Bot,
    now: Timestamp,
    services: &mut super::Services,
) -> Result<(), Answer> {
    if bot.phase != Phase::Over {
        return Err(if bot.phase == Phase::Created {
            refusals::unstarted()
        } else {
            let detail = "Media can be deleted after the call.";
            refusals::coded(400, "bot_not_completed", detail)
        });
    }
    bot.delete_media(now, services);
    Ok(())
}
