//! What the vendor answers instead of opening a stream.

use serde_json::json;

use crate::answer::Answer;

/// Why a stream is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// A parameter that is wrong by itself or beside another.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_QUERY_PARAMETER", message)
    }

    /// What a status means when nothing else is known.
    pub(crate) fn of_status(status: u16) -> Self {
        let (code, message) = match status {
            400 => ("Bad Request", "The request is not valid."),
            401 => ("INVALID_AUTH", "Invalid credentials."),
            402 => (
                "ASR_PAYMENT_REQUIRED",
                "The project does not have enough credits.",
            ),
            403 => (
                "INSUFFICIENT_PERMISSIONS",
                "The project does not have access to the requested model.",
            ),
            429 => (
                "TOO_MANY_REQUESTS",
                "Too many requests. Please try again later.",
            ),
            503 => (
                "SERVICE_UNAVAILABLE",
                "The service is temporarily unavailable.",
            ),
            _ => ("INTERNAL_SERVER_ERROR", "Something went wrong."),
        };
        Self::new(status, code, message)
    }

    /// The shape most errors have.
    pub(crate) fn answer(&self, request_id: &str) -> Answer {
        let body =
            json!({ "err_code": self.code, "err_msg": self.message, "request_id": request_id });
        self.with_headers(Answer::json(self.status, &body), request_id)
    }

    /// The other shape.
    pub(crate) fn answer_in_other_shape(&self, request_id: &str) -> Answer {
        let body = json!({ "category": self.code, "message": self.message, "details": self.message,
            "request_id": request_id });
        self.with_headers(Answer::json(self.status, &body), request_id)
    }

    fn with_headers(&self, answer: Answer, request_id: &str) -> Answer {
        answer
            .with_header("dg-request-id", request_id)
            .with_header("dg-error", &self.message)
    }
}
