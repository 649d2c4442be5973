//! How Recall's audio socket behaves, and what goes wrong with it on request.

use std::time::Duration;

/// How the audio of a meeting is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioDelivery {
    /// How frames are written.
    pub style: AudioStyle,
    /// When the socket closes at the end of the call.
    pub close: AudioClose,
}

/// How frames are written; the default is as the vendor's documentation shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent choices")]
pub struct AudioStyle {
    /// With a space after every colon and comma.
    pub spaced: bool,
    /// The artifact's key is `audio_mixed_raw`, as in the vendor's older types.
    pub legacy_key: bool,
    /// Fields nobody knows yet, among them another `buffer`.
    pub extra_fields: bool,
    /// The fields come in the opposite order.
    pub reversed: bool,
}

/// When the socket closes at the end of the call. A bot that dies closes nothing: its connection
/// breaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AudioClose {
    /// First the socket, then the webhook `bot.call_ended` and all that follow it.
    #[default]
    BeforeCallEnded,
    /// So long after the end of the call, in real time, whatever the webhooks do.
    After(Duration),
}

/// Something that goes wrong with the audio of a meeting, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioFault {
    /// The next frame is sent twice.
    Repeat,
    /// So many frames are not sent; the times jump over them.
    Gap(usize),
    /// The next frames hold so many bytes each, odd numbers included; none of them 0.
    Sizes(Vec<usize>),
    /// Before the next frame comes something that is no sound.
    Junk(Junk),
    /// No frames for so long, in real time; then all of them at once.
    Stall(Duration),
    /// The TCP connection breaks, without a word of WebSocket.
    Abort,
    /// A second connection is made. The first goes on, but is not made again once it is lost.
    DialAgain,
    /// The next dial carries a signature made with another secret.
    BadSignature,
}

/// A message on the audio socket that holds no sound of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junk {
    /// Half a message.
    NotJson,
    /// A frame whose buffer is not base64.
    BadBase64,
    /// A frame whose buffer is empty.
    EmptyBuffer,
    /// An event nobody knows, with a buffer.
    UnknownEvent,
    /// A binary message, as API version 1.10 sent them.
    Binary,
}
