//! Events in words, for the story of a life.

use attache_meeting::{
    meeting::{Answer, Event},
    vendors::recall::RecallEvent,
};

/// Says what happened, in a line.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the others say enough as they are"
)]
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::EffectFinished { id, result } => match result {
            Ok(answer) => format!("{id} is done: {}", answered(answer)),
            Err(error) => format!(
                "{id} failed: {} {:?}{}",
                error.operation,
                error.kind,
                if error.maybe_done { ", maybe done" } else { "" }
            ),
        },
        Event::RecallReported { bot_id, report, .. } => {
            let bot = bot_id.as_ref().map_or("?", |id| id.0.as_str());
            match report {
                RecallEvent::BotStatus(change) => format!("{bot} is {}", change.code.as_str()),
                RecallEvent::Artifact(change) => format!(
                    "{} of {bot} is {}",
                    change.artifact.as_str(),
                    change.code.as_str()
                ),
                RecallEvent::Transcript { segment, .. } => {
                    format!("{bot} transcribed “{}”", segment.text)
                }
                RecallEvent::Participant(_)
                | RecallEvent::Chat(_)
                | RecallEvent::Unknown { .. } => format!("{bot} reports {report:?}"),
            }
        }
        Event::SayRequested {
            text, interrupt, ..
        } => format!(
            "say “{text}”{}",
            if *interrupt { ", interrupting" } else { "" }
        ),
        Event::PageReported { report } => format!("the page tells {report:?}"),
        Event::AvatarReported { session_id, report } => format!("{session_id} tells {report:?}"),
        Event::SttReported { report } => format!("the transcriber tells {report:?}"),
        other => format!("{other:?}"),
    }
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::BotCreated { bot_id, .. } => format!("{bot_id} was made"),
        Answer::BotsFound { bots } => {
            let ids: Vec<_> = bots.iter().map(|bot| bot.id.0.as_str()).collect();
            format!("bots found: {ids:?}")
        }
        Answer::BotRead { bot } => format!(
            "{} is {}",
            bot.id,
            bot.statuses.last().map_or("scheduled", |s| s.code.as_str())
        ),
        Answer::AvatarOpened { opening } => format!("session {} is open", opening.session_id),
        Answer::AvatarStarted { session } => format!("session {} is live", session.session_id),
        Answer::Done
        | Answer::Synthesized { .. }
        | Answer::AvatarChecked { .. }
        | Answer::AvatarSays { .. }
        | Answer::TranscriptStored { .. } => format!("{answer:?}"),
    }
}
