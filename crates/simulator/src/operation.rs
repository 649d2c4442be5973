//! Every call the simulator knows, and how a method and a path name one.

use axum::http::Method;

/// One call of one vendor's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the vendors' own operations")]
pub enum Operation {
    CreateBot,
    ListBots,
    RetrieveBot,
    UpdateBot,
    DeleteBot,
    LeaveCall,
    OutputAudio,
    StopOutputAudio,
    OutputMedia,
    StopOutputMedia,
    OutputVideo,
    StopOutputVideo,
    SendChatMessage,
    PauseRecording,
    ResumeRecording,
    DeleteMedia,
    Screenshots,
    LegacyTranscript,
    ListRecordings,
    RetrieveRecording,
    DeleteRecording,
    CreateTranscript,
    ListTranscripts,
    RetrieveTranscript,
    ListArtifacts,
    RetrieveArtifact,
    ListRealtimeEndpoints,
    RetrieveRealtimeEndpoint,
    BillingUsage,
    Download,
    TextToSpeech,
    TextToSpeechStream,
    ListModels,
    RetrieveVoice,
    Listen,
}

impl Operation {
    /// Whether this is a call of `ElevenLabs` rather than of Recall.
    pub fn is_speech(self) -> bool {
        matches!(
            self,
            Self::TextToSpeech | Self::TextToSpeechStream | Self::ListModels | Self::RetrieveVoice
        )
    }

    /// Whether this is the handshake of a stream to Deepgram.
    pub fn is_listening(self) -> bool {
        self == Self::Listen
    }
}

/// A call and the id in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The bot, recording, artifact or voice; empty where the path names none.
    pub(crate) id: String,
    /// The kind of artifact, as the path spells it.
    pub(crate) kind: String,
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    UnknownPath,
    WrongMethod,
}

/// Artifact collections, as their paths spell them.
pub(crate) const ARTIFACT_PATHS: [&str; 6] = [
    "video_mixed",
    "audio_mixed",
    "audio_separate",
    "video_separate",
    "participant_events",
    "meeting_metadata",
];

/// Which call `method` on `path` is.
///
/// Recall's paths need their trailing slash, those of `ElevenLabs` must not have one.
pub(crate) fn route(method: &Method, path: &str) -> Result<Route, NoRoute> {
    let found = |operation, id: &str, kind: &str| {
        Ok(Route {
            operation,
            id: id.to_owned(),
            kind: kind.to_owned(),
        })
    };
    if let Some(id) = path.strip_prefix("/media/") {
        return one_method(method, &Method::GET, found(Operation::Download, id, ""));
    }
    if path == "/api/v1/download/participants" {
        return one_method(
            method,
            &Method::GET,
            found(Operation::Download, "participants", ""),
        );
    }
    if let Some(rest) = path.strip_prefix("/api/v1/") {
        let rest = rest.strip_suffix('/').ok_or(NoRoute::UnknownPath)?;
        let segments: Vec<&str> = rest.split('/').collect();
        let methods = recall_methods(&segments).ok_or(NoRoute::UnknownPath)?;
        let id = segments.get(1).copied().unwrap_or_default();
        return methods
            .iter()
            .find(|(allowed, _)| allowed == method)
            .map_or(Err(NoRoute::WrongMethod), |(_, operation)| {
                found(*operation, id, segments[0])
            });
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["v1", "listen"] => one_method(method, &Method::GET, found(Operation::Listen, "", "")),
        ["v1", "text-to-speech", voice] => one_method(
            method,
            &Method::POST,
            found(Operation::TextToSpeech, voice, ""),
        ),
        ["v1", "text-to-speech", voice, "stream"] => one_method(
            method,
            &Method::POST,
            found(Operation::TextToSpeechStream, voice, ""),
        ),
        ["v1", "models"] => one_method(method, &Method::GET, found(Operation::ListModels, "", "")),
        ["v1", "voices", voice] => one_method(
            method,
            &Method::GET,
            found(Operation::RetrieveVoice, voice, ""),
        ),
        _ => Err(NoRoute::UnknownPath),
    }
}

fn one_method(
    method: &Method,
    allowed: &Method,
    route: Result<Route, NoRoute>,
) -> Result<Route, NoRoute> {
    if method == allowed {
        route
    } else {
        Err(NoRoute::WrongMethod)
    }
}

fn recall_methods(segments: &[&str]) -> Option<Vec<(Method, Operation)>> {
    use Operation as O;
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    Some(match segments {
        ["bot"] => vec![(get, O::ListBots), (post, O::CreateBot)],
        ["bot", _] => vec![
            (get, O::RetrieveBot),
            (patch, O::UpdateBot),
            (delete, O::DeleteBot),
        ],
        ["bot", _, command] => match *command {
            "leave_call" => vec![(post, O::LeaveCall)],
            "output_audio" => vec![(post, O::OutputAudio), (delete, O::StopOutputAudio)],
            "output_media" => vec![(post, O::OutputMedia), (delete, O::StopOutputMedia)],
            "output_video" => vec![(post, O::OutputVideo), (delete, O::StopOutputVideo)],
            "send_chat_message" => vec![(post, O::SendChatMessage)],
            "pause_recording" => vec![(post, O::PauseRecording)],
            "resume_recording" => vec![(post, O::ResumeRecording)],
            "delete_media" => vec![(post, O::DeleteMedia)],
            "screenshots" => vec![(get, O::Screenshots)],
            "transcript" => vec![(get, O::LegacyTranscript)],
            _ => return None,
        },
        ["recording"] => vec![(get, O::ListRecordings)],
        ["recording", _] => vec![(get, O::RetrieveRecording), (delete, O::DeleteRecording)],
        ["recording", _, "create_transcript"] => vec![(post, O::CreateTranscript)],
        ["transcript"] => vec![(get, O::ListTranscripts)],
        ["transcript", _] => vec![(get, O::RetrieveTranscript)],
        ["realtime_endpoint"] => vec![(get, O::ListRealtimeEndpoints)],
        ["realtime_endpoint", _] => vec![(get, O::RetrieveRealtimeEndpoint)],
        ["billing", "usage"] => vec![(get, O::BillingUsage)],
        [kind] if ARTIFACT_PATHS.contains(kind) => vec![(get, O::ListArtifacts)],
        [kind, _] if ARTIFACT_PATHS.contains(kind) => vec![(get, O::RetrieveArtifact)],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_needs_the_trailing_slash_and_elevenlabs_refuses_it() {
        let operation = |method, path| route(&method, path).map(|route| route.operation);
        assert_eq!(
            operation(Method::POST, "/api/v1/bot/"),
            Ok(Operation::CreateBot)
        );
        assert_eq!(
            operation(Method::POST, "/api/v1/bot"),
            Err(NoRoute::UnknownPath)
        );
        let stream = operation(Method::POST, "/v1/text-to-speech/voice/stream");
        assert_eq!(stream, Ok(Operation::TextToSpeechStream));
        let slash = operation(Method::POST, "/v1/text-to-speech/voice/stream/");
        assert_eq!(slash, Err(NoRoute::UnknownPath));
    }

    #[test]
    fn a_known_path_with_another_method_is_told_apart_from_an_unknown_path() {
        assert_eq!(
            route(&Method::PUT, "/api/v1/bot/"),
            Err(NoRoute::WrongMethod)
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/bots/"),
            Err(NoRoute::UnknownPath)
        );
    }

    #[test]
    fn the_id_and_the_artifact_kind_come_from_the_path() {
        let route = route(&Method::GET, "/api/v1/video_mixed/abc/").unwrap();
        assert_eq!(
            (route.id.as_str(), route.kind.as_str()),
            ("abc", "video_mixed")
        );
    }
}
