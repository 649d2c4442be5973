//! Problem documents as responses.

use attache_meeting::api::Problem;
use serde_json::json;
use worker::{Error, Response, Result};

use crate::log;

/// Writes a problem as `application/problem+json`.
pub(crate) fn response(problem: &Problem) -> Result<Response> {
    let response = Response::from_json(problem)?.with_status(problem.status);
    let headers = response.headers();
    headers.set("content-type", "application/problem+json")?;
    if problem.code == "unauthorized" {
        headers.set("www-authenticate", "Bearer")?;
    }
    if let Some(allow) = problem.allow {
        headers.set("allow", allow)?;
    }
    if let Some(seconds) = problem.retry_after {
        headers.set("retry-after", &seconds.to_string())?;
    }
    Ok(response)
}

/// Logs an error of the runtime; the caller learns only that something went wrong.
pub(crate) fn internal(error: &Error) -> Problem {
    log::error("a request failed", json!({ "reason": error.to_string() }));
    Problem::internal()
}
