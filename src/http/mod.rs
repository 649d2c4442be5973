//! Requests from outside: who calls, what they ask, and how they are answered.

mod auth;
pub(crate) mod directory;
mod live;
mod media;
mod meetings;
mod openapi;
mod page;
mod problems;
mod rate_limits;
mod tenants;
mod webhooks;

use attache_meeting::api::{MAX_BODY_BYTES, Problem};
use serde_json::json;
use url::Url;
use worker::{Env, Method, Request, Response};

use crate::{config::Config, log};

/// The outcome of a route.
type Answer = std::result::Result<Response, Problem>;

/// Answers one request; whatever goes wrong becomes a problem document.
pub(crate) async fn respond(mut request: Request, env: Env) -> worker::Result<Response> {
    match route(&mut request, &env).await {
        Ok(response) => Ok(response),
        Err(problem) => problems::response(&problem),
    }
}

/// The table of routes.
async fn route(request: &mut Request, env: &Env) -> Answer {
    let url = request
        .url()
        .map_err(|_| Problem::new(400, "malformed_url", "the URL cannot be read"))?;
    let config = Config::of(env).map_err(|error| {
        log::error(
            "the configuration is unusable",
            json!({ "reason": error.to_string() }),
        );
        Problem::new(500, "configuration_invalid", error.to_string())
    })?;
    let path: Vec<&str> = url.path().trim_start_matches('/').split('/').collect();
    let call = Call {
        env,
        config: &config,
        url: &url,
    };
    match (method(request), path.as_slice()) {
        (Method::Get, ["healthz"]) => openapi::health(),
        (Method::Get, ["openapi.json"]) => openapi::document(),
        (Method::Post, ["webhooks", "recall"]) => webhooks::recall(&call, request).await,
        (Method::Get, ["recall", "media", meeting_id, ""]) => {
            media::open(&call, request, meeting_id).await
        }
        (Method::Get, ["bot", "socket"]) => page::open(&call, request).await,
        (method, ["v1", "meetings", rest @ ..]) => {
            meetings::route(&call, request, method, rest).await
        }
        (method, ["v1", "tenants", rest @ ..]) => {
            tenants::route(&call, request, method, rest).await
        }
        (_, ["healthz" | "openapi.json"] | ["recall", "media", _, ""] | ["bot", "socket"]) => {
            Err(Problem::method_not_allowed("GET"))
        }
        (_, ["webhooks", "recall"]) => Err(Problem::method_not_allowed("POST")),
        _ => Err(no_such_path()),
    }
}

/// The method as it was sent; HEAD is answered like GET, and what the `worker` crate does not know is not GET.
fn method(request: &Request) -> Method {
    let sent = request.inner().method();
    match sent.as_str() {
        "HEAD" => Method::Get,
        known if known == request.method().as_ref() => request.method(),
        _ => Method::Trace,
    }
}

/// What every route needs.
struct Call<'a> {
    env: &'a Env,
    config: &'a Config,
    url: &'a Url,
}

impl Call<'_> {
    fn query(&self) -> Vec<(String, String)> {
        self.url.query_pairs().into_owned().collect()
    }
}

/// Reads a body, but not more of it than the API takes.
async fn read_body(request: &mut Request) -> Result<Vec<u8>, Problem> {
    use futures_util::StreamExt;

    let too_large = || Problem::new(413, "body_too_large", "the body may have at most 1 MiB");
    let declared = request.headers().get("content-length").ok().flatten();
    if declared.is_some_and(|length| {
        length
            .parse()
            .is_ok_and(|length: usize| length > MAX_BODY_BYTES)
    }) {
        return Err(too_large());
    }
    if request.inner().body().is_none() {
        return Ok(Vec::new());
    }
    let cut_off = |_| {
        Problem::new(
            400,
            "body_unreadable",
            "the body could not be read to its end",
        )
    };
    let mut chunks = request.stream().map_err(cut_off)?;
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(cut_off)?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn no_such_path() -> Problem {
    Problem::new(404, "not_found", "there is nothing at this path")
}

/// Turns a value into a JSON answer.
fn json_response(status: u16, value: &impl serde::Serialize) -> Answer {
    Response::from_json(value)
        .map(|response| response.with_status(status))
        .map_err(|error| problems::internal(&error))
}
