//! Errors as the vendor tells them: a number that means different things in different places, and a
//! text.

use serde_json::json;

use crate::answer::Answer;

/// What the vendor calls a request that is wrong in itself is not known.
const WRONG_REQUEST: u32 = 400_000;

pub(super) fn refuse(status: u16, code: u32, message: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "message": message }))
}

pub(super) fn unauthorized() -> Answer {
    refuse(401, 400_112, "Unauthorized")
}

/// The answer to a request that is wrong in itself.
pub(super) fn wrong(message: &str) -> Answer {
    refuse(400, WRONG_REQUEST, message)
}

/// What the vendor answers with a status that a fault asks for.
pub(crate) fn for_status(status: u16) -> Answer {
    match status {
        401 => unauthorized(),
        403 => refuse(403, 400_599, "This account has no access to the API"),
        404 => refuse(404, 10_006, "session not found"),
        429 => refuse(429, 400_123, "Rate limit reached"),
        _ => refuse(status, u32::from(status), "Something went wrong"),
    }
}
