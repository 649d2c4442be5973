//! What every session over a socket of its own needs: the socket, a way to read its frames, a timer.
//!
//! All three call back directly, without a promise or a queue, and clean up when they are dropped. They know no
//! vendor and no meeting.

mod socket;
mod text;
mod timer;

pub(crate) use socket::Socket;
pub(crate) use text::TextReader;
pub(crate) use timer::Timer;
