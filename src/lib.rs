//! The Worker: the only place that names the `worker` crate.
//!
//! Requests come in through [`http`], which checks who calls and what they ask; each meeting and each tenant is
//! an object in [`objects`]; what a meeting orders from the outside world is carried out in [`effects`], and what is heard comes in through [`ears`].
//! Decisions are made in the pure crate `attache_meeting`; if a branch here mentions a meeting's state, it is in
//! the wrong place.

mod avatar;
mod clock;
mod config;
mod ears;
mod effects;
mod http;
mod log;
mod objects;
mod on_drop;
mod sockets;
mod vendor_http;

use worker::{Context, Env, Request, Response, Result, event};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    http::respond(request, env).await
}
