//! What Recall's API shows of bots, recordings and artifacts.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::bot::{Artifact, Bot, Endpoint, Recording, Status};
use super::create::without_media;
use super::downloads::Presigner;
use super::payloads::{api_time, reference};
use super::recording_config::Retention;
use crate::script::ArtifactKind;

/// A bot, as every bot call answers it.
pub(crate) fn bot(bot: &Bot, presigner: &mut Presigner, now: Timestamp) -> Value {
    let raw = &bot.request.raw;
    let echo = |name: &str| raw.get(name).map_or(Value::Null, without_media);
    let status_changes: Vec<Value> = bot
        .status_changes
        .iter()
        .map(|change| {
            json!({ "code": change.code, "message": null,
                "created_at": api_time(change.at), "sub_code": change.sub_code })
        })
        .collect();
    let recordings: Vec<Value> = bot
        .recordings
        .iter()
        .map(|recording| recording_in_bot(bot, recording, presigner, now))
        .collect();
    json!({
        "id": bot.id,
        "meeting_url": bot.request.meeting_url.view,
        "bot_name": bot.request.bot_name,
        "join_at": bot.request.join_at.map(api_time),
        "recording_config": bot.request.recording.echo,
        "status_changes": status_changes,
        "recordings": recordings,
        "output_media": bot.request.output_media,
        "automatic_video_output": echo("automatic_video_output"),
        "automatic_audio_output": echo("automatic_audio_output"),
        "chat": echo("chat"),
        "automatic_leave": leave_with_defaults(raw.get("automatic_leave")),
        "variant": variant_with_defaults(raw.get("variant")),
        "calendar_meetings": [],
        "zoom": echo("zoom"),
        "google_meet": echo("google_meet"),
        "slack_team": null,
        "metadata": bot.request.metadata,
    })
}

fn leave_with_defaults(request: Option<&Value>) -> Value {
    let mut echo = json!({
        "waiting_room_timeout": 1200,
        "noone_joined_timeout": 1200,
        "everyone_left_timeout": { "timeout": 2, "activate_after": 0 },
        "in_call_not_recording_timeout": 3600,
        "in_call_recording_timeout": null,
        "recording_permission_denied_timeout": 30,
        "silence_detection": { "timeout": 3600, "activate_after": 1200 },
        "bot_detection": {
            "using_participant_events": { "timeout": 600, "activate_after": 1200 },
            "using_participant_names": { "timeout": 3600, "activate_after": 1200, "matches": [] },
        },
    });
    overlay(&mut echo, request);
    echo
}

fn variant_with_defaults(request: Option<&Value>) -> Value {
    let mut echo =
        json!({ "zoom": "web", "google_meet": "web", "microsoft_teams": "web", "webex": "web" });
    overlay(&mut echo, request);
    echo
}

fn overlay(echo: &mut Value, request: Option<&Value>) {
    for (name, value) in request.and_then(Value::as_object).into_iter().flatten() {
        echo[name] = value.clone();
    }
}

fn status(status: &Status) -> Value {
    json!({ "code": status.code, "sub_code": status.sub_code, "updated_at": api_time(status.at) })
}

fn recording_in_bot(
    bot: &Bot,
    recording: &Recording,
    presigner: &mut Presigner,
    now: Timestamp,
) -> Value {
    let shortcuts: Map<String, Value> = [
        ArtifactKind::VideoMixed,
        ArtifactKind::Transcript,
        ArtifactKind::ParticipantEvents,
        ArtifactKind::MeetingMetadata,
    ]
    .into_iter()
    .map(|kind| {
        let shown = recording.artifacts.get(&kind).map_or(Value::Null, |found| {
            artifact(bot, kind, found, presigner, now)
        });
        (kind.name().to_owned(), shown)
    })
    .collect();
    let expires_at = match (bot.request.recording.retention, recording.completed_at) {
        (Retention::Hours(hours), Some(completed)) => Some(api_time(
            completed + std::time::Duration::from_secs(hours * 3600),
        )),
        _ => None,
    };
    json!({
        "id": recording.id,
        "created_at": api_time(recording.started_at),
        "started_at": api_time(recording.started_at),
        "completed_at": recording.completed_at.map(api_time),
        "expires_at": expires_at,
        "status": status(&recording.status),
        "media_shortcuts": shortcuts,
        "metadata": bot.request.recording.metadata,
    })
}

/// A recording on its own, which also says whose it is.
pub(crate) fn recording(
    bot: &Bot,
    found: &Recording,
    presigner: &mut Presigner,
    now: Timestamp,
) -> Value {
    let mut view = recording_in_bot(bot, found, presigner, now);
    let endpoints: Vec<Value> = bot
        .endpoints
        .iter()
        .map(|endpoint| reference(&endpoint.id, &endpoint.metadata))
        .collect();
    view["realtime_endpoints"] = endpoints.into();
    view["bot"] = bot.reference();
    view["desktop_sdk_upload"] = Value::Null;
    view
}

/// An artifact inside `media_shortcuts`. Only a finished one has URLs, and they are new each time.
fn artifact(
    bot: &Bot,
    kind: ArtifactKind,
    found: &Artifact,
    presigner: &mut Presigner,
    now: Timestamp,
) -> Value {
    let mut view = json!({
        "id": found.id,
        "created_at": api_time(found.created_at),
        "status": status(&found.status),
        "metadata": found.metadata,
    });
    let done = found.status.code == "done";
    let mut url = |kind: &str| {
        if done {
            json!(presigner.media(kind, &found.id, now))
        } else {
            Value::Null
        }
    };
    match kind {
        ArtifactKind::VideoMixed => {
            view["data"] = json!({ "download_url": url("video_mixed") });
            view["format"] = json!("mp4");
        }
        ArtifactKind::AudioMixed => {
            view["data"] = json!({ "download_url": url("audio_mixed") });
            view["format"] = json!("mp3");
        }
        ArtifactKind::Transcript => {
            view["data"] =
                json!({ "download_url": url("transcript"), "provider_data_download_url": null });
            view["diarization"] = json!(found.diarization);
            view["provider"] = json!(found.provider);
        }
        ArtifactKind::ParticipantEvents => {
            let events = url("participant_events");
            let timeline = url("speaker_timeline");
            let people = if done {
                json!(presigner.participants(&found.id, now))
            } else {
                Value::Null
            };
            view["data"] = json!({ "participant_events_download_url": events,
                "speaker_timeline_download_url": timeline, "participants_download_url": people });
        }
        ArtifactKind::MeetingMetadata => {
            let title = bot.script.title.as_ref().filter(|_| done);
            view["data"] = json!({ "title": title, "zoom": { "meeting_uuid": null } });
        }
    }
    view
}

/// An artifact on its own, which also says which recording it belongs to.
pub(crate) fn artifact_alone(
    bot: &Bot,
    recording: &Recording,
    kind: ArtifactKind,
    found: &Artifact,
    presigner: &mut Presigner,
    now: Timestamp,
) -> Value {
    let mut view = artifact(bot, kind, found, presigner, now);
    view["recording"] = reference(&recording.id, &bot.request.recording.metadata);
    view
}

/// A real-time endpoint.
pub(crate) fn endpoint(bot: &Bot, found: &Endpoint) -> Option<Value> {
    let recording = bot.recordings.last()?;
    let code = match (found.failed, recording.completed_at) {
        (true, _) => "failed",
        (false, Some(_)) => "done",
        (false, None) => "running",
    };
    let at = api_time(recording.completed_at.unwrap_or(recording.started_at));
    Some(json!({
        "id": found.id,
        "created_at": api_time(recording.started_at),
        "recording": reference(&recording.id, &bot.request.recording.metadata),
        "metadata": found.metadata,
        "type": found.kind,
        "status": { "code": code, "sub_code": null, "updated_at": at },
        "url": found.url,
        "events": found.events,
    }))
}
