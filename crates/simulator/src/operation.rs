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
    LiveAvatarToken,
    LiveAvatarStart,
    LiveAvatarStop,
    LiveAvatarKeepAlive,
    LiveAvatarList,
    LiveAvatarGet,
    LiveAvatarTranscript,
    LiveAvatarDeleteEvents,
    LiveAvatarAvatars,
    LiveAvatarPublicAvatars,
    LiveAvatarAvatar,
    LiveAvatarCredits,
    HeyGenCreateToken,
    HeyGenNew,
    HeyGenStart,
    HeyGenTask,
    HeyGenInterrupt,
    HeyGenStartListening,
    HeyGenStopListening,
    HeyGenKeepAlive,
    HeyGenStop,
    HeyGenList,
    HeyGenListV2,
    HeyGenAvatars,
    /// The handshake of a session's socket, `LiveAvatar`'s `ws_url` or `HeyGen`'s
    /// `realtime_endpoint`.
    AvatarSocket,
    /// A viewer's way into a session's room, and the call that tells why it is closed.
    RoomJoin,
    RoomValidate,
    /// The page that plays the avatars, and its socket.
    Studio,
    StudioSocket,
}

/// Whose API a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    Recall,
    ElevenLabs,
    Deepgram,
    LiveAvatar,
    HeyGen,
    LiveKit,
}

impl Operation {
    /// Whether this is a call of `ElevenLabs` rather than of Recall.
    pub fn is_speech(self) -> bool {
        self.vendor() == Vendor::ElevenLabs
    }

    /// Whether this is the handshake of a stream to Deepgram.
    pub fn is_listening(self) -> bool {
        self == Self::Listen
    }

    /// Whether an avatar's vendor is asked.
    pub fn is_avatar(self) -> bool {
        matches!(self.vendor(), Vendor::LiveAvatar | Vendor::HeyGen)
    }

    /// Whether the answer is a WebSocket.
    pub(crate) fn is_socket(self) -> bool {
        matches!(
            self,
            Self::Listen | Self::AvatarSocket | Self::RoomJoin | Self::StudioSocket
        )
    }

    pub(crate) fn vendor(self) -> Vendor {
        match self {
            Self::CreateBot
            | Self::ListBots
            | Self::RetrieveBot
            | Self::UpdateBot
            | Self::DeleteBot
            | Self::LeaveCall
            | Self::OutputAudio
            | Self::StopOutputAudio
            | Self::OutputMedia
            | Self::StopOutputMedia
            | Self::OutputVideo
            | Self::StopOutputVideo
            | Self::SendChatMessage
            | Self::PauseRecording
            | Self::ResumeRecording
            | Self::DeleteMedia
            | Self::Screenshots
            | Self::LegacyTranscript
            | Self::ListRecordings
            | Self::RetrieveRecording
            | Self::DeleteRecording
            | Self::CreateTranscript
            | Self::ListTranscripts
            | Self::RetrieveTranscript
            | Self::ListArtifacts
            | Self::RetrieveArtifact
            | Self::ListRealtimeEndpoints
            | Self::RetrieveRealtimeEndpoint
            | Self::BillingUsage
            | Self::Download => Vendor::Recall,
            Self::TextToSpeech
            | Self::TextToSpeechStream
            | Self::ListModels
            | Self::RetrieveVoice => Vendor::ElevenLabs,
            Self::Listen => Vendor::Deepgram,
            Self::LiveAvatarToken
            | Self::LiveAvatarStart
            | Self::LiveAvatarStop
            | Self::LiveAvatarKeepAlive
            | Self::LiveAvatarList
            | Self::LiveAvatarGet
            | Self::LiveAvatarTranscript
            | Self::LiveAvatarDeleteEvents
            | Self::LiveAvatarAvatars
            | Self::LiveAvatarPublicAvatars
            | Self::LiveAvatarAvatar
            | Self::LiveAvatarCredits
            | Self::AvatarSocket => Vendor::LiveAvatar,
            Self::HeyGenCreateToken
            | Self::HeyGenNew
            | Self::HeyGenStart
            | Self::HeyGenTask
            | Self::HeyGenInterrupt
            | Self::HeyGenStartListening
            | Self::HeyGenStopListening
            | Self::HeyGenKeepAlive
            | Self::HeyGenStop
            | Self::HeyGenList
            | Self::HeyGenListV2
            | Self::HeyGenAvatars => Vendor::HeyGen,
            Self::RoomJoin | Self::RoomValidate | Self::Studio | Self::StudioSocket => {
                Vendor::LiveKit
            }
        }
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
    if let Some(route) = avatar_route(method, &segments) {
        return route;
    }
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

/// Both avatar vendors have their own first segment here, as their paths would collide.
fn avatar_route(method: &Method, segments: &[&str]) -> Option<Result<Route, NoRoute>> {
    let (allowed, operation, id) = match segments {
        ["v2-alpha", "interactive-avatar", "session", id] => {
            (Method::GET, Operation::AvatarSocket, *id)
        }
        ["livekit", "rtc"] => (Method::GET, Operation::RoomJoin, ""),
        ["livekit", "rtc", "validate"] => (Method::GET, Operation::RoomValidate, ""),
        // Newer clients try this first and take the older path when it is not there.
        ["livekit", "rtc", "v1", ..] => (Method::GET, Operation::RoomValidate, "v1"),
        ["avatar", "studio"] => (Method::GET, Operation::Studio, ""),
        ["avatar", "studio", "socket"] => (Method::GET, Operation::StudioSocket, ""),
        ["liveavatar", "v1", rest @ ..] => liveavatar_call(rest)?,
        ["heygen", version, rest @ ..] => {
            let (method, operation) = heygen_call(version, rest)?;
            (method, operation, "")
        }
        _ => return None,
    };
    let route = Route {
        operation,
        id: id.to_owned(),
        kind: String::new(),
    };
    Some(one_method(method, &allowed, Ok(route)))
}

fn liveavatar_call<'a>(segments: &[&'a str]) -> Option<(Method, Operation, &'a str)> {
    use Operation as O;
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    Some(match segments {
        ["sessions"] => (get, O::LiveAvatarList, ""),
        ["sessions", "token"] => (post, O::LiveAvatarToken, ""),
        ["sessions", "start"] => (post, O::LiveAvatarStart, ""),
        ["sessions", "stop"] => (post, O::LiveAvatarStop, ""),
        ["sessions", "keep-alive"] => (post, O::LiveAvatarKeepAlive, ""),
        ["sessions", id] => (get, O::LiveAvatarGet, *id),
        ["sessions", id, "transcript"] => (get, O::LiveAvatarTranscript, *id),
        ["sessions", id, "events"] => (delete, O::LiveAvatarDeleteEvents, *id),
        ["avatars"] => (get, O::LiveAvatarAvatars, ""),
        ["avatars", "public"] => (get, O::LiveAvatarPublicAvatars, ""),
        ["avatars", id] => (get, O::LiveAvatarAvatar, *id),
        ["users", "credits"] => (get, O::LiveAvatarCredits, ""),
        _ => return None,
    })
}

fn heygen_call(version: &str, segments: &[&str]) -> Option<(Method, Operation)> {
    use Operation as O;
    let (get, post) = (Method::GET, Method::POST);
    Some(match (version, segments) {
        ("v1", ["streaming.create_token"]) => (post, O::HeyGenCreateToken),
        ("v1", ["streaming.new"]) => (post, O::HeyGenNew),
        ("v1", ["streaming.start"]) => (post, O::HeyGenStart),
        ("v1", ["streaming.task"]) => (post, O::HeyGenTask),
        ("v1", ["streaming.interrupt"]) => (post, O::HeyGenInterrupt),
        ("v1", ["streaming.start_listening"]) => (post, O::HeyGenStartListening),
        ("v1", ["streaming.stop_listening"]) => (post, O::HeyGenStopListening),
        ("v1", ["streaming.keep_alive"]) => (post, O::HeyGenKeepAlive),
        ("v1", ["streaming.stop"]) => (post, O::HeyGenStop),
        ("v1", ["streaming.list"]) => (get, O::HeyGenList),
        ("v2", ["streaming.list"]) => (get, O::HeyGenListV2),
        ("v1", ["streaming", "avatar.list"]) => (get, O::HeyGenAvatars),
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
