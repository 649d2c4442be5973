//! The meeting.
