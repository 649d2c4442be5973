//! What a model answers: a status, headers and a body, before any socket is involved.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use serde_json::Value;

/// A request as the models see it.
pub(crate) type Request = axum::http::Request<Bytes>;

/// An answer as the models give it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// Sent in small pieces, as audio that is still being made.
    pub(crate) streamed: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json", body.to_string())
    }

    pub(crate) fn html(status: u16, body: &'static str) -> Self {
        Self::bytes(status, "text/html", body)
    }

    pub(crate) fn bytes(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))];
        Self {
            headers,
            body: body.into(),
            ..Self::empty(status)
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("statuses here are between 100 and 999"),
            headers: Vec::new(),
            body: Bytes::new(),
            streamed: false,
        }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("header values here are plain text");
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    pub(crate) fn in_pieces(mut self) -> Self {
        self.streamed = true;
        self
    }
}
