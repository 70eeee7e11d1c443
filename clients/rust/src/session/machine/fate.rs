//! What follows from the end of a connection.

use std::time::Duration;

use super::EndReason;
use crate::problem::Problem;

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// It was not made, or broke: what it says is for people.
    Io(String),
    /// The peer closed it.
    Closed { code: u16, reason: String },
    /// The handshake was answered by something else; the body is a problem when the server wrote it.
    Refused {
        status: u16,
        problem: Option<Box<Problem>>,
    },
    /// There is no WebSocket, or no subprotocol that was offered.
    NotSupported(String),
}

/// What a lost connection leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    Over(EndReason),
    Restart {
        reason: String,
    },
    /// The token is refused: another session is begun, without one.
    Forget {
        reason: String,
    },
    Again {
        least: Duration,
        reason: String,
    },
}

/// What follows from this failure; `refusal` is what the server said just before it.
pub(super) fn fate(failure: Failure, refusal: Option<Box<Problem>>) -> Fate {
    match failure {
        Failure::Io(reason) => again(reason, refusal),
        Failure::NotSupported(reason) => Fate::Over(EndReason::NotSupported(reason)),
        Failure::Refused { status, problem } => refused(status, problem),
        Failure::Closed { code, reason } => closed(code, reason, refusal),
    }
}

fn closed(code: u16, reason: String, refusal: Option<Box<Problem>>) -> Fate {
    match (code, refusal) {
        (4001, _) => Fate::Over(EndReason::TakenOver),
        (1012, _) => Fate::Restart { reason },
        (1008, Some(problem)) if problem.code == "invalid-resume-token" => Fate::Forget {
            reason: problem.to_string(),
        },
        (1008, Some(problem)) => Fate::Over(EndReason::Refused(problem)),
        // The peer is done, or what was sent to it can never be taken.
        (1000 | 1002 | 1003 | 1007..=1009 | 3000..=4999, _) => {
            Fate::Over(EndReason::Closed { code, reason })
        }
        (_, refusal) => again(format!("closed with {code}: {reason}"), refusal),
    }
}

fn again(reason: String, refusal: Option<Box<Problem>>) -> Fate {
    let hint = refusal.and_then(|problem| problem.retry_after());
    Fate::Again {
        least: hint.unwrap_or_default(),
        reason,
    }
}

/// A refusal in HTTP, before there was a session.
fn refused(status: u16, problem: Option<Box<Problem>>) -> Fate {
    let hint = problem.as_ref().and_then(|problem| problem.retry_after());
    let may_pass = hint.is_some() || matches!(status, 408 | 425 | 429 | 500..);
    match problem {
        Some(problem) if !may_pass => Fate::Over(EndReason::Refused(problem)),
        None if !may_pass => Fate::Over(EndReason::NotSupported(format!(
            "the handshake was answered with {status}"
        ))),
        problem => Fate::Again {
            least: hint.unwrap_or_default(),
            reason: problem.map_or_else(|| format!("answered with {status}"), |p| p.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &str, retry_after_ms: Option<u64>) -> Option<Box<Problem>> {
        let hint = retry_after_ms.map_or(String::new(), |ms| format!(r#","retry_after_ms":{ms}"#));
        let body = format!(r#"{{"status":503,"code":"{code}"{hint}}}"#);
        Problem::read(503, body.as_bytes()).map(Box::new)
    }

    fn closed_with(code: u16, refusal: Option<Box<Problem>>) -> Fate {
        let reason = String::new();
        fate(Failure::Closed { code, reason }, refusal)
    }

    #[test]
    fn an_end_the_other_side_wants_is_an_end() {
        for code in [1000, 1002, 1003, 1007, 1008, 1009, 3000, 4000, 4999] {
            let ended = closed_with(code, None);
            assert!(
                matches!(ended, Fate::Over(EndReason::Closed { .. })),
                "{code}: {ended:?}"
            );
        }
        assert_eq!(closed_with(4001, None), Fate::Over(EndReason::TakenOver));
        let refused = closed_with(1008, problem("forbidden", None));
        assert!(
            matches!(refused, Fate::Over(EndReason::Refused(_))),
            "{refused:?}"
        );
    }

    #[test]
    fn what_may_pass_is_tried_again_and_not_before_the_server_wants() {
        for code in [1001, 1006, 1011, 1013, 1014] {
            assert!(
                matches!(closed_with(code, None), Fate::Again { .. }),
                "{code}"
            );
        }
        assert!(matches!(closed_with(1012, None), Fate::Restart { .. }));
        let least = Duration::from_millis(700);
        let overloaded = closed_with(1013, problem("overloaded", Some(700)));
        assert!(
            matches!(overloaded, Fate::Again { least: l, .. } if l == least),
            "{overloaded:?}"
        );
    }

    #[test]
    fn a_refused_token_is_forgotten() {
        let forgotten = closed_with(1008, problem("invalid-resume-token", None));
        assert!(matches!(forgotten, Fate::Forget { .. }), "{forgotten:?}");
    }

    #[test]
    fn a_refused_handshake_is_tried_again_only_if_that_may_help() {
        let refused = |status, problem| fate(Failure::Refused { status, problem }, None);
        assert!(matches!(
            refused(404, problem("not-found", None)),
            Fate::Over(EndReason::Refused(_))
        ));
        assert!(matches!(
            refused(404, None),
            Fate::Over(EndReason::NotSupported(_))
        ));
        assert!(matches!(refused(502, None), Fate::Again { .. }));
        assert!(matches!(
            refused(503, problem("server-busy", Some(9))),
            Fate::Again { .. }
        ));
        assert!(matches!(refused(429, None), Fate::Again { .. }));
    }
}
