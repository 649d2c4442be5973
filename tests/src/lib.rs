//! Starts the built Worker as users run it and talks to it as customers do.
//!
//! [`Runtime`] is the Worker under `wrangler dev`, [`Settings`] its configuration, [`Api`] a client of the public API,
//! [`Live`] of its events, [`AudioSocket`] of the socket for a call's sound and [`PageSocket`] of its page's.
//! [`BareRuntime`] is the Worker on the runtime alone, for tests that kill it hundreds of times.
//! [`System`] is all of it, with the vendors of `attache-simulator` behind the Worker.
//! What it guarantees: nothing it starts outlives it, no fixed ports, no wait without a bound.
//! What it does not know: how the Worker is made.

mod api;
mod audio_socket;
mod bare;
mod home;
mod links;
mod live;
mod page_socket;
mod process;
mod runtime;
mod settings;
mod system;
pub mod workerd;

pub use api::{Answer, Api, read};
pub use audio_socket::{AudioSocket, sign_upgrade};
pub use bare::BareRuntime;
pub use home::checkout;
pub use links::google_meet;
pub use live::Live;
pub use page_socket::{PageSocket, seal_page_token};
pub use runtime::Runtime;
pub use settings::{ADMIN_API_KEY, API_KEY, AVATAR_ID, Settings};
pub use system::System;
