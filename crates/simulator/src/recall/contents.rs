//! What pre-signed URLs serve: the files a meeting left behind.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Model;
use super::bot::{Bot, Participant, Recording};
use super::downloads::{Unusable, bucket_error};
use super::media::has_media;
use super::payloads;
use crate::answer::{Answer, Request};
use crate::audio::speech;
use crate::operation::Route;

const RECORDING_MP4: &[u8] = include_bytes!("../../assets/recording.mp4");

impl Model {
    /// Serves a pre-signed URL.
    pub(super) fn download(&mut self, route: &Route, request: &Request, now: Timestamp) -> Answer {
        let query = request.uri().query().unwrap_or_default();
        let from_query = || {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == "id")
                .map(|(_, id)| id.into_owned())
        };
        let in_bucket = route.id != "participants";
        let (kind, id) = match route.id.split_once('/') {
            Some((kind, id)) => (kind.to_owned(), id.to_owned()),
            None => ("participants".to_owned(), from_query().unwrap_or_default()),
        };
        if in_bucket && request.headers().contains_key("authorization") {
            let text = "Only one auth mechanism allowed; only the signed query or the Authorization header may be used";
            return bucket_error(400, "InvalidArgument", text);
        }
        match self.services.presigner.check(&kind, &id, query, now) {
            Err(Unusable::Expired) => {
                return bucket_error(403, "AccessDenied", "Request has expired");
            }
            Err(Unusable::BadSignature) => {
                return bucket_error(
                    403,
                    "SignatureDoesNotMatch",
                    "The request signature does not match.",
                );
            }
            Ok(()) => {}
        }
        let found = self
            .find_artifact(&id)
            .filter(|(_, _, _, artifact)| has_media(artifact));
        let Some((bot, recording, _, _)) = found else {
            return bucket_error(404, "NoSuchKey", "The specified key does not exist.");
        };
        let bot = &self.bots[&bot];
        let recording = bot
            .recordings
            .iter()
            .find(|found| found.id == recording)
            .expect("it was just found");
        content(&kind, bot, recording, self.services.settings.time_scale)
    }
}

fn content(kind: &str, bot: &Bot, recording: &Recording, scale: f64) -> Answer {
    match kind {
        "video_mixed" => Answer::bytes(200, "video/mp4", RECORDING_MP4),
        "audio_mixed" => Answer::bytes(200, "audio/mpeg", speech::MP3_22050_32),
        "transcript" => Answer::json(200, &transcript(bot, recording, scale)),
        "participant_events" => Answer::json(200, &json!(recording.events)),
        "speaker_timeline" => Answer::json(200, &timeline(bot, recording)),
        "participants" => {
            let people: Vec<Value> = bot.participants.iter().map(Participant::view).collect();
            Answer::json(200, &json!(people))
        }
        _ => bucket_error(404, "NoSuchKey", "The specified key does not exist."),
    }
}

fn transcript(bot: &Bot, recording: &Recording, scale: f64) -> Value {
    let moment = |relative: f64| {
        let real = Duration::from_secs_f64((relative / scale).max(0.0));
        payloads::moment(relative, recording.started_at + real)
    };
    recording
        .lines
        .iter()
        .filter_map(|(speaker, line)| {
            let person = bot.participants.iter().find(|known| known.id == *speaker)?;
            let words: Vec<Value> = line
                .words
                .iter()
                .map(|word| {
                    json!({ "text": word.text, "start_timestamp": moment(word.start), "end_timestamp": moment(word.end) })
                })
                .collect();
            Some(json!({ "participant": person.view(), "language_code": "en", "words": words }))
        })
        .collect()
}

fn timeline(bot: &Bot, recording: &Recording) -> Value {
    recording
        .lines
        .iter()
        .filter_map(|(speaker, line)| {
            let person = bot.participants.iter().find(|known| known.id == *speaker)?;
            let (first, last) = (line.words.first()?, line.words.last()?);
            Some(json!({ "participant": person.view(),
                "start_timestamp": { "relative": first.start }, "end_timestamp": { "relative": last.end } }))
        })
        .collect()
}
