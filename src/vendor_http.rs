//! The one way out to the vendors over HTTP.

use attache_meeting::http::{
    HandshakeFailure, HeaderValue, Method, Outcome, Request, Response, TransportError,
};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use std::{pin::pin, time::Duration};
use worker::{
    AbortController, AbortSignal, Delay, Error, Fetch, Headers, RequestInit, RequestRedirect,
    WebSocket, js_sys::Uint8Array,
};

/// Sends one request and reads the whole answer, within the request's deadline and size.
///
/// Redirects are not followed: credentials do not travel to a host that the vendor names.
pub(crate) async fn send(request: &Request) -> Outcome {
    let controller = AbortController::default();
    let signal = controller.signal();
    let outcome = within(request.deadline, exchange(request, &signal)).await;
    if !matches!(outcome, Some(Ok(_))) {
        controller.abort();
    }
    outcome.unwrap_or(Err(TransportError::Timeout))
}

/// What comes of it before the deadline; then its timer is cleared, while a signal that times out by itself would
/// wake the object long after the answer.
async fn within<T>(deadline: Duration, exchange: impl Future<Output = T>) -> Option<T> {
    match select(pin!(exchange), Delay::from(deadline)).await {
        Either::Left((outcome, _)) => Some(outcome),
        Either::Right(_) => None,
    }
}

async fn exchange(request: &Request, signal: &AbortSignal) -> Outcome {
    let outgoing = prepare(request).map_err(|_| TransportError::Connection)?;
    let answer = Fetch::Request(outgoing)
        .send_with_signal(signal)
        .await
        .map_err(|_| TransportError::Connection)?;
    read(request, answer).await
}

/// What becomes of a handshake that is not answered in time.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Late {
    /// It is aborted. The socket of one that is answered stays tied to its signal, which costs about ten microseconds
    /// for each frame.
    Aborted,
    /// It is left to the runtime, of which it takes one of six connections until it ends.
    Left,
}

/// Opens a WebSocket, within the request's deadline; it is not accepted yet.
///
/// The `worker` crate's own way to connect takes no headers.
pub(crate) async fn upgrade(request: &Request, late: Late) -> Result<WebSocket, HandshakeFailure> {
    let controller = match late {
        Late::Aborted => Some(AbortController::default()),
        Late::Left => None,
    };
    let signal = controller.as_ref().map(AbortController::signal);
    let outcome = within(request.deadline, handshake(request, signal.as_ref())).await;
    outcome.unwrap_or_else(|| {
        if let Some(controller) = controller {
            controller.abort();
        }
        Err(HandshakeFailure::Unanswered(TransportError::Timeout))
    })
}

async fn handshake(
    request: &Request,
    signal: Option<&AbortSignal>,
) -> Result<WebSocket, HandshakeFailure> {
    let unreachable = |_| HandshakeFailure::Unanswered(TransportError::Connection);
    let mut outgoing = prepare(request).map_err(unreachable)?;
    let headers = outgoing.headers_mut().map_err(unreachable)?;
    headers.set("upgrade", "websocket").map_err(unreachable)?;
    let fetch = Fetch::Request(outgoing);
    let sent = match signal {
        Some(signal) => fetch.send_with_signal(signal).await,
        None => fetch.send().await,
    };
    let answer = sent.map_err(unreachable)?;
    if answer.status_code() == 101 {
        return answer
            .websocket()
            .ok_or_else(|| unreachable(Error::BadEncoding));
    }
    Err(match read(request, answer).await {
        Ok(response) => HandshakeFailure::Refused(response),
        Err(error) => HandshakeFailure::Unanswered(error),
    })
}

/// Reads a whole answer, unless it is too large; a credential that it repeats is taken out.
async fn read(request: &Request, mut answer: worker::Response) -> Outcome {
    let headers = answer
        .headers()
        .entries()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let mut body = Vec::new();
    if let Ok(mut chunks) = answer.stream() {
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| TransportError::Connection)?;
            if body.len() + chunk.len() > request.max_response_bytes {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
    }
    let mut response = Response {
        status: answer.status_code(),
        headers,
        body,
    };
    request.censor(&mut response);
    Ok(response)
}

fn prepare(request: &Request) -> worker::Result<worker::Request> {
    let headers = Headers::new();
    for (name, value) in &request.headers {
        let value = match value {
            HeaderValue::Plain(value) => value,
            HeaderValue::Secret(value) => value.expose(),
        };
        headers.set(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(match request.method {
        Method::Get => worker::Method::Get,
        Method::Post => worker::Method::Post,
        Method::Patch => worker::Method::Patch,
        Method::Delete => worker::Method::Delete,
    })
    .with_headers(headers)
    .with_redirect(RequestRedirect::Manual)
    .with_body(
        request
            .body
            .as_ref()
            .map(|body| Uint8Array::from(body.as_slice()).into()),
    );
    worker::Request::new_with_init(&request.url, &init)
}
