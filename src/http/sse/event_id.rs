//! The id of an event: which session, and how far its client is.

use std::fmt;
use std::str::FromStr;

use abide_actors::{InvalidToken, Token};

/// `{token}.{count}`, the count in decimal. Clients hand it back as it is, in `Last-Event-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventId {
    pub(super) token: Token,
    /// Frames of the session up to here.
    pub(super) count: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.token, self.count)
    }
}

impl FromStr for EventId {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (token, count) = text.split_once('.').ok_or(InvalidToken)?;
        // A sign is a number to the standard library, and none of ours.
        let is_plain = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|_| is_plain);
        Ok(Self {
            token: token.parse()?,
            count: count.ok_or(InvalidToken)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::EventId;

    const TOKEN: &str = "AQIDBAUGBwgHBwcHBwcHBwcHBwcHBwcHEjRWeA";

    #[test]
    fn it_reads_as_it_was_written() {
        for count in [0, 7, u64::MAX] {
            let id = EventId {
                token: TOKEN.parse().unwrap(),
                count,
            };
            assert_eq!(id.to_string(), format!("{TOKEN}.{count}"));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let long = format!("{TOKEN}.99999999999999999999");
        let mut invalid = vec![String::new(), "7".into(), TOKEN.into(), long];
        for count in ["", "+7", "-1", "7.8", "x", " 7"] {
            invalid.push(format!("{TOKEN}.{count}"));
        }
        invalid.push(format!("{}.7", &TOKEN[1..]));
        for text in invalid {
            text.parse::<EventId>().unwrap_err();
        }
    }
}
