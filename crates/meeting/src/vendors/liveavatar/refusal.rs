//! What a refused handshake means: try again, or not.

use crate::{
    http::{HandshakeFailure, RetryAfter},
    vendors::reason,
};

/// What a failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Again {
        reason: String,
        after: Option<RetryAfter>,
    },
    /// It will be the same next time: the session is gone, or its address is wrong.
    Never { reason: String },
}

pub(super) fn again(reason: &str) -> Verdict {
    Verdict::Again {
        reason: reason.to_owned(),
        after: None,
    }
}

pub(super) fn handshake(failure: &HandshakeFailure) -> Verdict {
    let response = match failure {
        HandshakeFailure::Refused(response) => response,
        HandshakeFailure::Unanswered(error) => return again(&error.to_string()),
    };
    let said = reason::tidy(&String::from_utf8_lossy(&response.body));
    let reason = format!("HTTP {} {said}", response.status)
        .trim_end()
        .to_owned();
    match response.status {
        408 | 425 | 429 | 500..=599 => Verdict::Again {
            reason,
            after: response.retry_after(),
        },
        _ => Verdict::Never { reason },
    }
}

/// Reads how a socket closed. The vendor documents no codes, and says that a session is over in a message before.
pub(super) fn closed(code: u16, said: &str) -> Verdict {
    let reason = format!("closed with {code} {}", reason::tidy(said));
    again(reason.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Response, TransportError};

    fn refused(status: u16) -> Verdict {
        handshake(&HandshakeFailure::Refused(Response {
            status,
            body: b"no such session".to_vec(),
            ..Response::default()
        }))
    }

    #[test]
    fn a_session_that_is_gone_stays_gone_and_a_vendor_that_is_down_comes_back() {
        for status in [200, 401, 403, 404, 410] {
            let reason = format!("HTTP {status} no such session");
            assert_eq!(refused(status), Verdict::Never { reason });
        }
        for status in [408, 429, 500, 503] {
            assert!(matches!(refused(status), Verdict::Again { .. }), "{status}");
        }
        let unanswered = HandshakeFailure::Unanswered(TransportError::Timeout);
        assert!(matches!(handshake(&unanswered), Verdict::Again { .. }));
        assert!(matches!(closed(1000, ""), Verdict::Again { .. }));
    }
}
