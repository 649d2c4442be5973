//! The calls on one bot: change, delete, leave, speak, show, write.

use serde_json::{Value, json};

use super::bot::{Bot, Phase, SCHEDULED_AHEAD};
use super::bots::endpoints;
use super::create;
use super::fields::{FieldError, Fields, boolean, string_up_to};
use super::meeting_url::Platform;
use super::output::{jpeg_data, media, mp3_data, output_media, recipient};
use super::{Model, Services, refusals, views};
use crate::answer::Answer;
use crate::operation::Operation;

impl Model {
    /// Everything that names one bot.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other calls name no bot"
    )]
    pub(super) fn on_bot(&mut self, operation: Operation, number: u64, body: &Value) -> Answer {
        let Some(bot) = self.bots.get_mut(&number) else {
            return refusals::not_found();
        };
        let services = &mut self.services;
        let now = services.now;
        let result = match operation {
            Operation::RetrieveBot => Ok(()),
            Operation::UpdateBot => update(bot, body, services),
            Operation::DeleteBot => {
                if bot.dispatched(now) || bot.launching(now) {
                    return refusals::method_not_allowed("DELETE");
                }
                self.numbers.remove(&bot.id);
                self.bots.remove(&number);
                return Answer::empty(204);
            }
            Operation::LeaveCall => leave_call(bot, services),
            Operation::OutputAudio => play(bot, body, services),
            Operation::StopOutputAudio => in_call(bot).map(|()| bot.stop_audio(now)),
            Operation::OutputVideo => show(bot, body),
            Operation::StopOutputVideo | Operation::PauseRecording | Operation::ResumeRecording => {
                in_call(bot)
            }
            Operation::OutputMedia => start_output_media(bot, body),
            Operation::StopOutputMedia => in_call(bot).map(|()| bot.output_media_on = false),
            Operation::SendChatMessage => write(bot, body, services),
            Operation::DeleteMedia => delete_media(bot, services),
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

fn update(bot: &mut Bot, body: &Value, services: &mut Services) -> Result<(), Answer> {
    let now = services.now;
    if bot.dispatched(now) {
        let detail = "Cannot validate partial without join call task";
        return Err(refusals::coded(400, "update_bot_failed", detail));
    }
    let Some(changes) = body.as_object() else {
        let text = "Invalid data. Expected a dictionary.";
        return Err(refusals::fields(&json!({ "non_field_errors": [text] })));
    };
    let mut merged = bot.request.raw.clone();
    merged.extend(changes.clone());
    let request =
        create::read(&Value::Object(merged)).map_err(|errors| refusals::fields(&errors))?;
    if changes.contains_key("join_at") && request.join_at != bot.request.join_at {
        let far = request
            .join_at
            .is_some_and(|join_at| join_at > now + SCHEDULED_AHEAD);
        if bot.launching(now) || !far {
            let detail = "join_at can only be moved while the old and the new time are more than 10 minutes away.";
            return Err(refusals::coded(400, "update_bot_failed", detail));
        }
    }
    let join_at = request.join_at.unwrap_or(now);
    bot.output_media_on = request.output_media.is_some();
    if changes.contains_key("recording_config") {
        bot.endpoints = endpoints(&request, &mut services.ids);
    }
    bot.request = request;
    bot.start_script(join_at);
    Ok(())
}

/// Before its machine starts there is nothing to command; while it starts (the last ten minutes of a
/// scheduled bot) leaving is the only way to cancel it.
fn leave_call(bot: &mut Bot, services: &Services) -> Result<(), Answer> {
    match bot.phase {
        Phase::Created if bot.launching(services.now) => {}
        Phase::Created => return Err(refusals::unstarted()),
        Phase::Over => return Err(refusals::completed()),
        Phase::Leaving => return Ok(()),
        Phase::Joining | Phase::WaitingRoom | Phase::InCall { .. } => {}
    }
    bot.leave(services.now);
    Ok(())
}

/// Commands to the room need the bot to be in it.
fn in_call(bot: &Bot) -> Result<(), Answer> {
    match bot.phase {
        Phase::InCall { .. } => Ok(()),
        Phase::Created | Phase::Joining | Phase::WaitingRoom => Err(refusals::unstarted()),
        Phase::Leaving | Phase::Over => Err(refusals::completed()),
    }
}

/// The page owns the bot's camera and voice while it is shown.
fn no_output_media(bot: &Bot) -> Result<(), Answer> {
    if bot.output_media_on {
        let detail = "This endpoint cannot be used while output media is active.";
        return Err(refusals::coded(400, "output_media_active", detail));
    }
    Ok(())
}

fn play(bot: &mut Bot, body: &Value, services: &mut Services) -> Result<(), Answer> {
    let clip = media(body, "mp3", mp3_data).map_err(|errors| refusals::fields(&errors))?;
    no_output_media(bot)?;
    if bot.request.automatic_audio.is_none() {
        let detail =
            "automatic_audio_output must be set when the bot is created to use this endpoint.";
        return Err(refusals::coded(
            400,
            "automatic_audio_output_required",
            detail,
        ));
    }
    in_call(bot)?;
    bot.play(&clip, false, services);
    Ok(())
}

fn show(bot: &Bot, body: &Value) -> Result<(), Answer> {
    media(body, "jpeg", jpeg_data).map_err(|errors| refusals::fields(&errors))?;
    no_output_media(bot)?;
    in_call(bot)
}

fn start_output_media(bot: &mut Bot, body: &Value) -> Result<(), Answer> {
    output_media(body).map_err(|errors| refusals::fields(&errors))?;
    if bot.request.automatic_output {
        let detail = "Output media cannot be combined with automatic audio or video output.";
        return Err(refusals::coded(400, "automatic_output_active", detail));
    }
    in_call(bot)?;
    bot.output_media_on = true;
    bot.request.output_media = Some(body.clone());
    Ok(())
}

fn write(bot: &mut Bot, body: &Value, services: &mut Services) -> Result<(), Answer> {
    let platform = bot.request.meeting_url.platform;
    let Some(limit) = platform.chat_limit() else {
        let detail = "Chat messages are not supported on this platform.";
        return Err(refusals::coded(400, "chat_not_supported", detail));
    };
    let read = read_chat(body, platform, limit);
    let (to, text) = read.map_err(|errors| refusals::fields(&errors))?;
    in_call(bot)?;
    bot.chat(&text, &to, false, services);
    Ok(())
}

fn read_chat(
    body: &Value,
    platform: Platform,
    limit: usize,
) -> Result<(String, String), FieldError> {
    let mut fields = Fields::of(body)?;
    let to = fields.read("to", |value| {
        recipient(value, Some(platform))?;
        Ok(value.as_str().unwrap_or_default())
    });
    let text = fields.read_required("message", string_up_to(limit));
    fields.read("pin", boolean);
    fields.finish()?;
    let text = text.expect("a missing message is an error above");
    Ok((to.unwrap_or("everyone").to_owned(), text.to_owned()))
}

fn delete_media(bot: &mut Bot, services: &mut Services) -> Result<(), Answer> {
    match bot.phase {
        Phase::Over => {
            bot.delete_media(services);
            Ok(())
        }
        Phase::Created => Err(refusals::unstarted()),
        Phase::Joining | Phase::WaitingRoom | Phase::InCall { .. } | Phase::Leaving => {
            let detail = "Media can be deleted after the call.";
            Err(refusals::coded(400, "bot_not_completed", detail))
        }
    }
}
