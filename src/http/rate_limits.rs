//! Brakes on callers: how many calls a key may make, and how many meetings a tenant may book.
//!
//! They are the platform's rate-limit bindings, set in `wrangler.toml`: counted at each of Cloudflare's locations,
//! without waiting for the network. They stop a caller that has gone wild or a key that was stolen; they are no
//! accounting. A binding that is taken out of `wrangler.toml` switches its brake off.

use attache_meeting::api::Problem;
use serde_json::json;

use super::Call;
use crate::log;

/// The period of both bindings in `wrangler.toml`, in seconds.
const PERIOD_SECONDS: u32 = 60;

/// What is counted.
#[derive(Clone, Copy)]
pub(super) enum Brake {
    /// The calls made with one key.
    Calls,
    /// The meetings that one tenant books: each may cost a bot.
    Bookings,
}

impl Brake {
    fn binding(self) -> &'static str {
        match self {
            Self::Calls => "CALL_RATE",
            Self::Bookings => "BOOKING_RATE",
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Calls => "this key makes too many calls; wait a minute",
            Self::Bookings => "this tenant books too many meetings; wait a minute",
        }
    }
}

/// Counts one more for `whom`, or refuses with 429.
pub(super) async fn count(call: &Call<'_>, brake: Brake, whom: &str) -> Result<(), Problem> {
    let Ok(limiter) = call.env.rate_limiter(brake.binding()) else {
        return Ok(());
    };
    match limiter.limit(whom.to_owned()).await {
        Ok(outcome) if !outcome.success => {
            log::warn(
                "a caller was slowed down",
                json!({ "operation": brake.binding() }),
            );
            Err(Problem::rate_limited(brake.detail(), PERIOD_SECONDS))
        }
        Ok(_) => Ok(()),
        // A brake that is broken must not stop everybody.
        Err(error) => {
            log::error(
                "a rate limit could not be asked",
                json!({ "reason": error.to_string() }),
            );
            Ok(())
        }
    }
}
