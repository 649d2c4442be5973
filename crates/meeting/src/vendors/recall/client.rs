//! Recall's HTTP API: a request for everything we ask of it, a reader for every answer.
//!
//! Reference: <https://docs.recall.ai/reference>. Paths end with a slash, reads carry no body: the
//! vendor's firewall refuses a GET with one.

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::{
    bot_request::BotRequest,
    errors,
    events::MEETING_ID_KEY,
    speech::SpokenSegment,
    status::{BotCode, BotStatusChange},
    wire,
};
use crate::{
    http::{CallError, HeaderValue, Method, Outcome, Request},
    ids::{BotId, MeetingId, TenantId},
    retry,
    secret::Secret,
};

/// Room for a bot with its whole configuration and a few recordings, about 50 kB in practice.
const MAX_BOT_BYTES: usize = 1024 * 1024;
/// Room for a page of bots; with our metadata filter there are one or two.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Room for a transcript: at about 200 bytes a word, nine hours of steady speech.
const MAX_TRANSCRIPT_BYTES: usize = 16 * 1024 * 1024;

/// What may stand in a path segment unencoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

pub(crate) const CREATE_BOT: &str = "recall.create_bot";
pub(crate) const GET_BOT: &str = "recall.get_bot";
pub(crate) const FIND_BOTS: &str = "recall.find_bots";
pub(crate) const SEND_AUDIO: &str = "recall.send_audio";
pub(crate) const STOP_AUDIO: &str = "recall.stop_audio";
pub(crate) const START_OUTPUT_MEDIA: &str = "recall.start_output_media";
pub(crate) const STOP_OUTPUT_MEDIA: &str = "recall.stop_output_media";
pub(crate) const SEND_CHAT_MESSAGE: &str = "recall.send_chat_message";
pub(crate) const LEAVE_CALL: &str = "recall.leave_call";
pub(crate) const DELETE_BOT: &str = "recall.delete_bot";
pub(crate) const DELETE_MEDIA: &str = "recall.delete_media";
pub(crate) const GET_RECORDING: &str = "recall.get_recording";
pub(crate) const GET_TRANSCRIPT: &str = "recall.get_transcript";
pub(crate) const GET_LEGACY_TRANSCRIPT: &str = "recall.get_legacy_transcript";

/// The longest chat message on Google Meet, in characters.
pub const MAX_CHAT_CHARACTERS_GOOGLE_MEET: usize = 500;
/// The longest chat message elsewhere, in characters.
pub const MAX_CHAT_CHARACTERS: usize = 4_096;

/// A bot that was just created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedBot {
    /// Its id.
    pub id: BotId,
}

/// A bot as it is at the moment of asking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BotSnapshot {
    /// Its id.
    pub id: BotId,
    /// Everything it did, oldest first.
    pub statuses: Vec<BotStatusChange>,
    /// The meeting it was made for, if its metadata says so.
    pub meeting_id: Option<MeetingId>,
    /// What it recorded, in the vendor's order.
    pub recordings: Vec<RecordingSnapshot>,
}

impl BotSnapshot {
    /// Gives the newest status with a code that we know; a new or internal code hides nothing.
    pub fn newest(&self) -> Option<&BotStatusChange> {
        self.statuses
            .iter()
            .rev()
            .find(|status| status.code.is_known())
    }

    /// Gives a fresh URL of the recording, video before sound, the latest recording first.
    pub fn recording_url(&self) -> Option<&Secret> {
        let mut latest_first = self.recordings.iter().rev();
        latest_first.find_map(RecordingSnapshot::media_url)
    }

    /// Gives a fresh URL of the transcript, that of the latest recording first.
    pub fn transcript_url(&self) -> Option<&Secret> {
        let mut latest_first = self.recordings.iter().rev();
        latest_first.find_map(|recording| recording.transcript.as_ref()?.download_url.as_ref())
    }
}

/// A recording as it is at the moment of asking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordingSnapshot {
    /// Its id.
    pub id: String,
    /// The vendor's status code: `processing`, `paused`, `done`, `failed`, `deleted`.
    pub status: Option<String>,
    /// The video with everybody's sound.
    pub video_mixed: Option<ArtifactSnapshot>,
    /// Everybody's sound; not every workspace has it here.
    pub audio_mixed: Option<ArtifactSnapshot>,
    /// The transcript.
    pub transcript: Option<ArtifactSnapshot>,
}

impl RecordingSnapshot {
    /// Gives a fresh URL of the video, else of the sound.
    pub fn media_url(&self) -> Option<&Secret> {
        [&self.video_mixed, &self.audio_mixed]
            .into_iter()
            .find_map(|artifact| artifact.as_ref()?.download_url.as_ref())
    }
}

/// An artifact as it is at the moment of asking.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArtifactSnapshot {
    /// Its id, if it has one yet.
    pub id: Option<String>,
    /// The vendor's status code: `processing`, `done`, `failed`, `deleted`.
    pub status: Option<String>,
    /// Why, in the vendor's words; an open set.
    pub sub_code: Option<String>,
    /// Where it can be fetched for some hours. Signed, so it is never stored: it does not survive
    /// serialisation.
    #[serde(skip)]
    pub download_url: Option<Secret>,
}

/// One page of bots.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BotPage {
    /// The bots of the meeting that was asked for, and no others.
    pub bots: Vec<BotSnapshot>,
    /// The number of the next page, if there is one.
    pub next_page: Option<u32>,
}

/// Builds requests to one region of Recall under one key.
#[derive(Clone, Debug)]
pub struct RecallClient {
    base_url: String,
    api_key: Secret,
}

impl RecallClient {
    /// Takes the region's base URL, `/api/v1` included, and the key of a workspace there.
    pub fn new(base_url: &str, api_key: Secret) -> Self {
        Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key,
        }
    }

    /// Creates a bot; under the same key within an hour it is created once.
    pub fn create_bot(&self, bot: &BotRequest, idempotency_key: &str) -> Request {
        let request = self.write(CREATE_BOT, Method::Post, "/bot/", Some(&bot.to_json()));
        with_key(request, idempotency_key)
    }

    /// Reads the answer to [`Self::create_bot`].
    pub fn created_bot(outcome: Outcome) -> Result<CreatedBot, CallError> {
        let bot: wire::Bot = read(CREATE_BOT, outcome)?;
        match bot.reference.id {
            Some(id) => Ok(CreatedBot { id: BotId(id) }),
            None => Err(CallError::unreadable(
                CREATE_BOT,
                201,
                "the new bot has no id",
            )),
        }
    }

    /// Asks for a bot with its statuses and recordings.
    pub fn get_bot(&self, bot: &BotId) -> Request {
        self.read(
            GET_BOT,
            &format!("/bot/{}/", segment(&bot.0)),
            MAX_BOT_BYTES,
        )
    }

    /// Reads the answer to [`Self::get_bot`].
    pub fn bot(outcome: Outcome) -> Result<BotSnapshot, CallError> {
        snapshot(read(GET_BOT, outcome)?)
            .ok_or_else(|| CallError::unreadable(GET_BOT, 200, "the bot has no id"))
    }

    /// Reads the answer to [`Self::get_bot`] for the bot's present status only.
    pub fn bot_status(outcome: Outcome) -> Result<Option<BotStatusChange>, CallError> {
        Ok(Self::bot(outcome)?.newest().cloned())
    }

    /// Asks for a page of the bots that were made for a meeting; pages count from 1.
    pub fn find_bots(&self, meeting: &MeetingId, page: u32) -> Request {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair(&format!("metadata__{MEETING_ID_KEY}"), meeting.as_str())
            .append_pair("page", &page.to_string())
            .finish();
        self.read(FIND_BOTS, &format!("/bot/?{query}"), MAX_PAGE_BYTES)
    }

    /// Reads the answer to [`Self::find_bots`]. A bot of another meeting is left out, whatever the
    /// vendor makes of the filter: what is found here may get deleted.
    pub fn found_bots(meeting: &MeetingId, outcome: Outcome) -> Result<BotPage, CallError> {
        let page: wire::Page = read(FIND_BOTS, outcome)?;
        let bots = page.results.into_iter().filter_map(snapshot);
        Ok(BotPage {
            bots: bots
                .filter(|bot| bot.meeting_id.as_ref() == Some(meeting))
                .collect(),
            next_page: page.next.as_deref().and_then(page_number),
        })
    }

    /// Plays an mp3 in the call; under the same key within an hour it is played once.
    pub fn send_audio(&self, bot: &BotId, mp3: &[u8], idempotency_key: &str) -> Request {
        let clip = json!({"kind": "mp3", "b64_data": STANDARD.encode(mp3)});
        let request = self.command(SEND_AUDIO, Method::Post, bot, "output_audio", Some(&clip));
        with_key(request, idempotency_key)
    }

    /// Stops what is playing.
    pub fn stop_audio(&self, bot: &BotId) -> Request {
        self.command(STOP_AUDIO, Method::Delete, bot, "output_audio", None)
    }

    /// Shows a web page as the bot's camera and voice.
    pub fn start_output_media(&self, bot: &BotId, page: &Secret) -> Request {
        let camera = json!({"camera": {"kind": "webpage", "config": {"url": page.expose()}}});
        self.command(
            START_OUTPUT_MEDIA,
            Method::Post,
            bot,
            "output_media",
            Some(&camera),
        )
    }

    /// Stops showing the web page; the vendor wants a body even though it is a DELETE.
    pub fn stop_output_media(&self, bot: &BotId) -> Request {
        let camera = json!({"camera": true});
        self.command(
            STOP_OUTPUT_MEDIA,
            Method::Delete,
            bot,
            "output_media",
            Some(&camera),
        )
    }

    /// Writes to everyone in the call's chat; under the same key within an hour it is written once.
    pub fn send_chat_message(&self, bot: &BotId, text: &str, idempotency_key: &str) -> Request {
        let message = json!({"to": "everyone", "message": text, "pin": false});
        let request = self.command(
            SEND_CHAT_MESSAGE,
            Method::Post,
            bot,
            "send_chat_message",
            Some(&message),
        );
        with_key(request, idempotency_key)
    }

    /// Makes a bot leave its call, for good.
    pub fn leave_call(&self, bot: &BotId) -> Request {
        self.command(LEAVE_CALL, Method::Post, bot, "leave_call", None)
    }

    /// Deletes a bot that is scheduled and not on its way yet.
    pub fn delete_bot(&self, bot: &BotId) -> Request {
        self.write(
            DELETE_BOT,
            Method::Delete,
            &format!("/bot/{}/", segment(&bot.0)),
            None,
        )
    }

    /// Deletes everything a bot recorded, for good.
    pub fn delete_media(&self, bot: &BotId) -> Request {
        self.command(DELETE_MEDIA, Method::Post, bot, "delete_media", None)
    }

    /// Reads the answer to a request of which only success matters, by [`Request::operation`].
    pub fn acknowledged(operation: &str, outcome: Outcome) -> Result<(), CallError> {
        errors::success(operation, outcome).map(|_| ())
    }

    /// Asks for a recording, for a fresh URL of it.
    pub fn get_recording(&self, recording_id: &str) -> Request {
        let path = format!("/recording/{}/", segment(recording_id));
        self.read(GET_RECORDING, &path, MAX_BOT_BYTES)
    }

    /// Reads the answer to [`Self::get_recording`].
    pub fn recording(outcome: Outcome) -> Result<RecordingSnapshot, CallError> {
        recording(read(GET_RECORDING, outcome)?)
            .ok_or_else(|| CallError::unreadable(GET_RECORDING, 200, "the recording has no id"))
    }

    /// Fetches a transcript from a snapshot's fresh URL, which is its own credential.
    pub fn get_transcript(download_url: &Secret) -> Request {
        Request {
            operation: GET_TRANSCRIPT,
            method: Method::Get,
            url: download_url.expose().to_owned(),
            headers: Vec::new(),
            body: None,
            deadline: retry::policy(GET_TRANSCRIPT).deadline,
            max_response_bytes: MAX_TRANSCRIPT_BYTES,
        }
    }

    /// Reads the answer to [`Self::get_transcript`], in the order of speech.
    pub fn transcript(outcome: Outcome) -> Result<Vec<SpokenSegment>, CallError> {
        segments(GET_TRANSCRIPT, outcome)
    }

    /// Asks for a transcript the way the older API generation gives it.
    pub fn get_legacy_transcript(&self, bot: &BotId) -> Request {
        let path = format!("/bot/{}/transcript/", segment(&bot.0));
        self.read(GET_LEGACY_TRANSCRIPT, &path, MAX_TRANSCRIPT_BYTES)
    }

    /// Reads the answer to [`Self::get_legacy_transcript`], in the order of speech.
    pub fn legacy_transcript(outcome: Outcome) -> Result<Vec<SpokenSegment>, CallError> {
        segments(GET_LEGACY_TRANSCRIPT, outcome)
    }

    fn command(
        &self,
        operation: &'static str,
        method: Method,
        bot: &BotId,
        command: &str,
        body: Option<&Value>,
    ) -> Request {
        self.write(
            operation,
            method,
            &format!("/bot/{}/{command}/", segment(&bot.0)),
            body,
        )
    }

    fn write(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Request {
        let mut request = self.read(operation, path, MAX_BOT_BYTES);
        request.method = method;
        if let Some(body) = body {
            let json = HeaderValue::Plain("application/json".to_owned());
            request.headers.push(("content-type", json));
            request.body = Some(body.to_string().into_bytes());
        }
        request
    }

    fn read(&self, operation: &'static str, path: &str, max_response_bytes: usize) -> Request {
        let token = Secret::new(format!("Token {}", self.api_key.expose()));
        Request {
            operation,
            method: Method::Get,
            url: format!("{}{path}", self.base_url),
            headers: vec![
                ("authorization", HeaderValue::Secret(token)),
                ("accept", HeaderValue::Plain("application/json".to_owned())),
            ],
            body: None,
            deadline: retry::policy(operation).deadline,
            max_response_bytes,
        }
    }
}

/// Builds the URL under which the bot's browser opens our page; it carries a token, so it is secret.
pub fn build_output_media_url(
    webapp_url: &str,
    meeting: &MeetingId,
    tenant: &TenantId,
    token: &Secret,
) -> Result<Secret, url::ParseError> {
    let mut url = Url::parse(webapp_url)?;
    url.query_pairs_mut()
        .append_pair("meeting_id", meeting.as_str())
        .append_pair("tenant_id", tenant.as_str())
        .append_pair("t", token.expose());
    Ok(Secret::new(url))
}

fn with_key(mut request: Request, idempotency_key: &str) -> Request {
    let key = HeaderValue::Plain(idempotency_key.to_owned());
    request.headers.push(("idempotency-key", key));
    request
}

fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

fn page_number(next: &str) -> Option<u32> {
    let url = Url::parse(next).ok()?;
    let (_, page) = url.query_pairs().find(|(name, _)| name == "page")?;
    page.parse().ok()
}

/// Reads a successful answer; the shapes are lenient, so only what is no such JSON at all fails.
fn read<T: DeserializeOwned>(operation: &str, outcome: Outcome) -> Result<T, CallError> {
    let response = errors::success(operation, outcome)?;
    serde_json::from_slice(&response.body).map_err(|error| {
        let reason = format!(
            "an answer that is not the expected JSON (line {}, column {})",
            error.line(),
            error.column()
        );
        CallError::unreadable(operation, response.status, &reason)
    })
}

fn segments(operation: &str, outcome: Outcome) -> Result<Vec<SpokenSegment>, CallError> {
    let utterances: Vec<wire::Lenient<wire::Utterance>> = read(operation, outcome)?;
    let mut segments: Vec<SpokenSegment> = utterances
        .into_iter()
        .filter_map(|entry| SpokenSegment::read(entry.0?))
        .collect();
    segments.sort_by(|a, b| a.start.total_cmp(&b.start));
    Ok(segments)
}

fn snapshot(bot: wire::Bot) -> Option<BotSnapshot> {
    let mut statuses: Vec<BotStatusChange> =
        bot.status_changes.into_iter().filter_map(status).collect();
    // The vendor does not promise an order; the sort keeps it among equals.
    statuses.sort_by_key(|status| status.updated_at);
    Some(BotSnapshot {
        meeting_id: bot
            .reference
            .metadata_text(MEETING_ID_KEY)
            .and_then(|id| id.parse().ok()),
        id: BotId(bot.reference.id?),
        statuses,
        recordings: bot.recordings.into_iter().filter_map(recording).collect(),
    })
}

fn status(mut status: wire::Status) -> Option<BotStatusChange> {
    let code = BotCode::from(status.code.take()?);
    Some(BotStatusChange::new(code, status))
}

fn recording(recording: wire::Recording) -> Option<RecordingSnapshot> {
    let media = recording.media_shortcuts;
    Some(RecordingSnapshot {
        id: recording.id?,
        status: recording.status.code,
        video_mixed: media.video_mixed.map(artifact),
        audio_mixed: media.audio_mixed.map(artifact),
        transcript: media.transcript.map(artifact),
    })
}

fn artifact(media: wire::Media) -> ArtifactSnapshot {
    let url = media.data.download_url.filter(|url| leads_to_the_web(url));
    ArtifactSnapshot {
        id: media.id,
        status: media.status.code,
        sub_code: media.status.sub_code,
        download_url: url.map(Secret::new),
    }
}

/// Browsers are sent to these addresses, so they are none of `javascript:`, `file:` and the like.
fn leads_to_the_web(text: &str) -> bool {
    !text.is_empty()
        && Url::parse(text).map_or(true, |url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests;
