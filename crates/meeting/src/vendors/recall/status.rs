//! What a bot is doing, in the vendor's codes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{wire, words::vendor_words};

/// The vendor's status code of a bot; an open set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum BotCode {
    /// On its way into the call.
    JoiningCall,
    /// In the lobby.
    InWaitingRoom,
    /// In the call, not recording.
    InCallNotRecording,
    /// In the call, recording; real-time events flow from here on.
    InCallRecording,
    /// The host lets it record.
    RecordingPermissionAllowed,
    /// The host does not let it record.
    RecordingPermissionDenied,
    /// Has left the call.
    CallEnded,
    /// Shut down, uploads finished. May follow [`BotCode::Fatal`] and takes nothing of it back.
    Done,
    /// Could not join, or died.
    Fatal,
    /// Went into a breakout room.
    BreakoutRoomEntered,
    /// Came back from a breakout room.
    BreakoutRoomLeft,
    /// A breakout room was opened.
    BreakoutRoomOpened,
    /// A breakout room was closed.
    BreakoutRoomClosed,
    /// A code that means nothing to us. Among them the older generation's own: `ready` is internal,
    /// `participant_in_waiting_room` is about somebody else while the bot is in the call, and
    /// `recording_done`, `media_expired` and `analysis_*` come after the end.
    Other(String),
}

vendor_words!(BotCode {
    "joining_call" => JoiningCall,
    "in_waiting_room" => InWaitingRoom,
    "in_call_not_recording" => InCallNotRecording,
    "in_call_recording" => InCallRecording,
    "recording_permission_allowed" => RecordingPermissionAllowed,
    "recording_permission_denied" => RecordingPermissionDenied,
    "call_ended" => CallEnded,
    "done" => Done,
    "fatal" => Fatal,
    "breakout_room_entered" => BreakoutRoomEntered,
    "breakout_room_left" => BreakoutRoomLeft,
    "breakout_room_opened" => BreakoutRoomOpened,
    "breakout_room_closed" => BreakoutRoomClosed,
});

impl BotCode {
    /// Tells whether the code means something to us.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// A bot's status and since when it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotStatusChange {
    /// What the bot is doing.
    pub code: BotCode,
    /// Why, in the vendor's words; an open set.
    pub sub_code: Option<String>,
    /// The vendor's explanation, rarely given.
    pub message: Option<String>,
    /// When it changed, by the vendor's clock.
    pub updated_at: Option<Timestamp>,
}

impl BotStatusChange {
    pub(crate) fn new(code: BotCode, status: wire::Status) -> Self {
        Self {
            code: bounded_code(code),
            sub_code: status.sub_code.map(bounded),
            message: status.message.map(bounded),
            updated_at: status.updated_at.or(status.created_at),
        }
    }
}

/// The vendor's own words are far shorter; they are stored with the meeting, so they have a bound.
const MAX_WORD_CHARS: usize = 200;

/// Cuts a word of the vendor's that is absurdly long.
pub(super) fn bounded(word: String) -> String {
    match word.char_indices().nth(MAX_WORD_CHARS) {
        Some((end, _)) => word[..end].to_owned(),
        None => word,
    }
}

fn bounded_code(code: BotCode) -> BotCode {
    if let BotCode::Other(word) = code {
        BotCode::Other(bounded(word))
    } else {
        code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stored_in_the_vendors_words() {
        for word in [
            "joining_call",
            "in_waiting_room",
            "in_call_not_recording",
            "in_call_recording",
            "recording_permission_allowed",
            "recording_permission_denied",
            "call_ended",
            "done",
            "fatal",
            "breakout_room_entered",
            "breakout_room_left",
            "breakout_room_opened",
            "breakout_room_closed",
        ] {
            let code = BotCode::from(word.to_owned());
            assert!(code.is_known(), "{word}");
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json, format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<BotCode>(&json).unwrap(), code);
        }
        let new = BotCode::from("levitating".to_owned());
        assert_eq!(new, BotCode::Other("levitating".to_owned()));
        assert_eq!(serde_json::to_string(&new).unwrap(), "\"levitating\"");
    }
}
