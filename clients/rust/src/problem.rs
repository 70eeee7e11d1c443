//! What a server says when it refuses: the members of its `application/problem+json`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// Whether a call that failed may have changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    /// Nothing was changed: the call may be made again.
    None,
    /// It may have happened. Make the call again only with the same idempotency key.
    #[default]
    Unknown,
    /// It has happened, only the answer could not be used.
    Done,
}

impl<'de> Deserialize<'de> for Effect {
    /// What is not said to be none may have happened.
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let said = String::deserialize(from)?;
        Ok(if said == "none" {
            Self::None
        } else {
            Self::Unknown
        })
    }
}

/// A refusal, as the server worded it. `https://…{kind}` of the server is a page that explains it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// Path of the page about it, such as `/errors/overloaded`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What to compare with: `overloaded`, `deadline-exceeded`, or a code an actor chose.
    #[serde(default)]
    pub code: String,
    /// HTTP status.
    #[serde(default)]
    pub status: u16,
    /// A few words for people.
    #[serde(default)]
    pub title: String,
    /// A sentence about this case.
    #[serde(default)]
    pub detail: String,
    /// Whether anything may have changed.
    #[serde(default)]
    pub effect: Effect,
    /// When to come again, in milliseconds; absent when it makes no sense to do so unchanged.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// What an actor added to its refusal.
    #[serde(default)]
    pub data: Option<serde_json::Value>,
}

impl Problem {
    /// When to come again; `None` when the same request will be refused again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }

    /// The problem in a response's body; `None` when the body is none, as of a proxy.
    pub(crate) fn read(status: u16, body: &[u8]) -> Option<Self> {
        let problem: Self = serde_json::from_slice(body).ok()?;
        (problem.status == status && !problem.code.is_empty()).then_some(problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        write!(f, "{} ({})", said, self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_read_with_its_effect_and_its_hint() {
        let body =
            br#"{"type":"/errors/overloaded","title":"Mailbox full","status":503,"detail":"wait",
            "instance":"/requests/1","code":"overloaded","effect":"none","retry_after_ms":250}"#;
        let problem = Problem::read(503, body).unwrap();
        assert_eq!(problem.effect, Effect::None);
        assert_eq!(problem.retry_after(), Some(Duration::from_millis(250)));
        assert_eq!(problem.to_string(), "wait (overloaded)");
    }

    #[test]
    fn an_effect_that_is_absent_or_unheard_of_is_unknown() {
        for effect in ["", r#","effect":"partial""#] {
            let body = format!(r#"{{"status":500,"code":"x"{effect}}}"#);
            assert_eq!(
                Problem::read(500, body.as_bytes()).unwrap().effect,
                Effect::Unknown
            );
        }
    }

    #[test]
    fn what_a_proxy_says_is_no_problem_of_the_server() {
        assert_eq!(Problem::read(502, b"<html>Bad Gateway</html>"), None);
        assert_eq!(Problem::read(502, br#"{"message":"no upstream"}"#), None);
    }
}
