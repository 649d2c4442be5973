//! The part of `LiveKit`'s signalling schema that a viewer needs, as in `@livekit/protocol` 1.52.1.
//!
//! Names and numbers are the vendor's. What is missing here is skipped when it is read.

use prost::{Enumeration, Message, Oneof};

/// What a client sends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignalRequest {
    #[prost(oneof = "Asked", tags = "1, 2, 3, 8, 14, 16")]
    pub(crate) message: Option<Asked>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Asked {
    /// Of the client's own publishing connection.
    #[prost(message, tag = "1")]
    Offer(SessionDescription),
    #[prost(message, tag = "2")]
    Answer(SessionDescription),
    #[prost(message, tag = "3")]
    Trickle(TrickleRequest),
    #[prost(message, tag = "8")]
    Leave(LeaveRequest),
    #[prost(int64, tag = "14")]
    Ping(i64),
    #[prost(message, tag = "16")]
    PingReq(Ping),
}

/// What a server sends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignalResponse {
    #[prost(oneof = "Told", tags = "1, 3, 4, 5, 8, 18, 19, 20")]
    pub(crate) message: Option<Told>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Told {
    #[prost(message, tag = "1")]
    Join(Box<JoinResponse>),
    #[prost(message, tag = "3")]
    Offer(SessionDescription),
    #[prost(message, tag = "4")]
    Trickle(TrickleRequest),
    #[prost(message, tag = "5")]
    Update(ParticipantUpdate),
    #[prost(message, tag = "8")]
    Leave(LeaveRequest),
    #[prost(int64, tag = "18")]
    Pong(i64),
    #[prost(message, tag = "19")]
    Reconnect(ReconnectResponse),
    #[prost(message, tag = "20")]
    PongResp(Pong),
}

impl From<Told> for SignalResponse {
    fn from(told: Told) -> Self {
        Self {
            message: Some(told),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JoinResponse {
    #[prost(message, tag = "1")]
    pub(crate) room: Option<Room>,
    #[prost(message, tag = "2")]
    pub(crate) participant: Option<ParticipantInfo>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) other_participants: Vec<ParticipantInfo>,
    #[prost(string, tag = "4")]
    pub(crate) server_version: String,
    #[prost(bool, tag = "6")]
    pub(crate) subscriber_primary: bool,
    #[prost(int32, tag = "10")]
    pub(crate) ping_timeout: i32,
    #[prost(int32, tag = "11")]
    pub(crate) ping_interval: i32,
    #[prost(message, tag = "12")]
    pub(crate) server_info: Option<ServerInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Room {
    #[prost(string, tag = "1")]
    pub(crate) sid: String,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ParticipantInfo {
    #[prost(string, tag = "1")]
    pub(crate) sid: String,
    #[prost(string, tag = "2")]
    pub(crate) identity: String,
    #[prost(enumeration = "ParticipantState", tag = "3")]
    pub(crate) state: i32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) tracks: Vec<TrackInfo>,
    #[prost(string, tag = "9")]
    pub(crate) name: String,
    #[prost(message, tag = "11")]
    pub(crate) permission: Option<ParticipantPermission>,
    #[prost(bool, tag = "13")]
    pub(crate) is_publisher: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum ParticipantState {
    Joining = 0,
    Joined = 1,
    Active = 2,
    Disconnected = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ParticipantPermission {
    #[prost(bool, tag = "1")]
    pub(crate) can_subscribe: bool,
    #[prost(bool, tag = "2")]
    pub(crate) can_publish: bool,
    #[prost(bool, tag = "3")]
    pub(crate) can_publish_data: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TrackInfo {
    #[prost(string, tag = "1")]
    pub(crate) sid: String,
    #[prost(enumeration = "TrackType", tag = "2")]
    pub(crate) kind: i32,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(uint32, tag = "5")]
    pub(crate) width: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) height: u32,
    #[prost(enumeration = "TrackSource", tag = "9")]
    pub(crate) source: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum TrackType {
    Audio = 0,
    Video = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum TrackSource {
    Unknown = 0,
    Camera = 1,
    Microphone = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServerInfo {
    #[prost(string, tag = "2")]
    pub(crate) version: String,
    #[prost(int32, tag = "3")]
    pub(crate) protocol: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SessionDescription {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(string, tag = "2")]
    pub(crate) sdp: String,
    #[prost(uint32, tag = "3")]
    pub(crate) id: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TrickleRequest {
    /// The candidate as JSON.
    #[prost(string, tag = "1")]
    pub(crate) candidate_init: String,
    #[prost(enumeration = "SignalTarget", tag = "2")]
    pub(crate) target: i32,
    #[prost(bool, tag = "3")]
    pub(crate) is_final: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum SignalTarget {
    Publisher = 0,
    Subscriber = 1,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ParticipantUpdate {
    #[prost(message, repeated, tag = "1")]
    pub(crate) participants: Vec<ParticipantInfo>,
}

/// Its `action` is left out: 0 is `DISCONNECT`, the only one used here.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LeaveRequest {
    /// `DisconnectReason`.
    #[prost(int32, tag = "2")]
    pub(crate) reason: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReconnectResponse {
    #[prost(message, tag = "3")]
    pub(crate) server_info: Option<ServerInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ping {
    #[prost(int64, tag = "1")]
    pub(crate) timestamp: i64,
    #[prost(int64, tag = "2")]
    pub(crate) rtt: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Pong {
    #[prost(int64, tag = "1")]
    pub(crate) last_ping_timestamp: i64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_vendors_numbers() {
        let answer = SessionDescription {
            kind: "answer".to_owned(),
            sdp: "v=0".to_owned(),
            id: 3,
        };
        let message = SignalRequest {
            message: Some(Asked::Answer(answer)),
        };
        let expected = b"\x12\x0f\x0a\x06answer\x12\x03v=0\x18\x03";
        assert_eq!(message.encode_to_vec(), expected);
        let leave = SignalResponse::from(Told::Leave(LeaveRequest { reason: 5 }));
        assert_eq!(leave.encode_to_vec(), b"\x42\x02\x10\x05");
        let pong = SignalResponse::from(Told::PongResp(Pong {
            last_ping_timestamp: 1,
            timestamp: 2,
        }));
        assert_eq!(pong.encode_to_vec(), b"\xa2\x01\x04\x08\x01\x10\x02");
    }

    #[test]
    fn what_is_not_known_here_is_skipped() {
        let track_setting = b"\x3a\x02\x18\x01";
        let read = SignalRequest::decode(track_setting.as_slice()).unwrap();
        assert_eq!(read.message, None);
    }
}
