//! What a refused handshake or a closed socket means: try again, or not.

use serde::Deserialize;

use crate::{
    http::{HandshakeFailure, RetryAfter},
    vendors::reason,
};

/// What a failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Again {
        /// What happened, in short.
        reason: String,
        /// How long the vendor wants to be left alone.
        after: Option<RetryAfter>,
    },
    /// It will be the same next time.
    Never {
        /// What happened, in short.
        reason: String,
    },
}

/// The vendor's error bodies come in three shapes: `err_code`, `category`, and plain text.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(alias = "category")]
    err_code: Option<String>,
    #[serde(alias = "message")]
    err_msg: Option<String>,
}

/// Judges a handshake that failed.
pub(super) fn handshake(failure: &HandshakeFailure) -> Verdict {
    let response = match failure {
        HandshakeFailure::Refused(response) => response,
        HandshakeFailure::Unanswered(error) => {
            return Verdict::Again {
                reason: error.to_string(),
                after: None,
            };
        }
    };
    let status = response.status;
    let reason = format!("HTTP {status} {}", said(&response.body));
    let reason = reason.trim_end().to_owned();
    match status {
        408 | 425 | 429 | 500..=599 => Verdict::Again {
            reason,
            after: response.retry_after(),
        },
        // Without an upgrade nothing else is a session, and asking again changes nothing.
        _ => Verdict::Never { reason },
    }
}

fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Ok(error) = serde_json::from_str::<ErrorBody>(&text) else {
        return reason::tidy(&text);
    };
    let code = error.err_code.as_deref().and_then(reason::code);
    let message = error.err_msg.as_deref().map(reason::tidy);
    [code, message]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(": ")
}

/// Reads how a socket closed.
///
/// Only undecodable sound (1008, `DATA-0000`) is a fault of configuration. The wording of the reasons is not
/// confirmed by the vendor: observed ones hold `net0001` and the like in lower case, without the dash.
pub(super) fn closed(code: u16, said: &str) -> Verdict {
    let plain: String = said
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let reason = format!("closed with {code} {}", reason::tidy(said));
    let reason = reason.trim_end().to_owned();
    if code == 1008 || plain.contains("data0000") {
        Verdict::Never { reason }
    } else {
        Verdict::Again {
            reason,
            after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Response, TransportError};

    fn refused(status: u16, body: &str) -> Verdict {
        handshake(&HandshakeFailure::Refused(Response {
            status,
            body: body.as_bytes().to_vec(),
            ..Response::default()
        }))
    }

    #[test]
    fn what_a_key_or_a_parameter_causes_is_not_tried_again() {
        for status in [200, 301, 400, 401, 402, 403, 404, 426] {
            let verdict = refused(
                status,
                r#"{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}"#,
            );
            let reason = format!("HTTP {status} INVALID_AUTH: Invalid credentials.");
            assert_eq!(verdict, Verdict::Never { reason });
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [429, 500, 502, 503, 504] {
            assert!(matches!(refused(status, ""), Verdict::Again { .. }));
        }
        let unanswered = HandshakeFailure::Unanswered(TransportError::Timeout);
        assert!(matches!(handshake(&unanswered), Verdict::Again { .. }));
    }

    #[test]
    fn every_shape_of_error_body_gives_a_reason() {
        for (body, reason) in [
            (
                r#"{"category":"INVALID_QUERY_PARAMETER","message":"Bad keyterm.","details":"x"}"#,
                "HTTP 400 INVALID_QUERY_PARAMETER: Bad keyterm.",
            ),
            ("Bad Request: no model", "HTTP 400 Bad Request: no model"),
            ("", "HTTP 400"),
        ] {
            let reason = reason.to_owned();
            assert_eq!(refused(400, body), Verdict::Never { reason });
        }
    }

    #[test]
    fn only_undecodable_sound_is_final_among_the_closes() {
        assert!(matches!(closed(1008, "DATA-0000"), Verdict::Never { .. }));
        assert!(matches!(
            closed(1011, "see https://dpgm.net/data0000"),
            Verdict::Never { .. } | Verdict::Again { .. }
        ));
        for (code, said) in [
            (1011, "net0001"),
            (1011, "NET-0000"),
            (1000, ""),
            (1006, ""),
        ] {
            assert!(
                matches!(closed(code, said), Verdict::Again { .. }),
                "{code}"
            );
        }
    }
}
