//! The contract of the HTTP API as types: what callers send, what they get, and how a wrong call is named.

mod body;
mod create;
mod meeting_url;
mod problem;
mod requests;
mod tenant;

pub use body::{MAX_BODY_BYTES, parse_body};
pub use create::{AgentRequest, CreateMeeting};
pub use meeting_url::platform_of;
pub use problem::{FieldError, Problem};
pub use requests::{
    ChatRequest, ListQuery, PageQuery, Query, ReactionRequest, RecordingView, SayRequest,
    TimelinePage, TimelineRow, TranscriptFormat, TranscriptPage, TranscriptQuery, TranscriptSource,
    Utterance, purge_query,
};
pub use tenant::{KeyView, MintedKey, TenantSettings, TenantView, render_greeting};
