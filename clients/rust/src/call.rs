//! Calls and reads: one request, made again as long as that is safe and there is time.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::address::segment;
use crate::backoff::Backoff;
use crate::client::{Client, Object};
use crate::error::{CallError, Cause};
use crate::problem::Effect;
use crate::transport::Outgoing;

const DEADLINE: HeaderName = HeaderName::from_static("abide-deadline-ms");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Time of a call that does not say; the server's own default.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// Beyond the deadline told to the server, so that its answer about the deadline arrives: it knows
/// whether anything has changed, and this end would have to guess.
const GRACE: Duration = Duration::from_secs(1);

/// A call or a read that is being put together.
///
/// It is made again when the server asks for that (`retry_after_ms`) or cannot be reached, until its
/// deadline. What may have changed something already is made again only if it cannot take effect
/// twice: reads, and calls with an [idempotency key](Self::exactly_once).
#[derive(Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct Call {
    client: Client,
    /// A fault of the arguments is told when it is sent.
    outgoing: Result<Outgoing, CallError>,
    deadline: Duration,
    repeated: bool,
    backoff: Backoff,
}

impl Call {
    pub(crate) fn post(object: &Object, method: &str) -> Self {
        Self::new(object, Method::POST, method)
    }

    pub(crate) fn get(object: &Object, method: &str) -> Self {
        Self::new(object, Method::GET, method)
    }

    fn new(object: &Object, verb: Method, method: &str) -> Self {
        let path = format!("{}/{}", object.path, segment(method));
        Self {
            client: object.client.clone(),
            outgoing: Ok(Outgoing {
                method: verb,
                url: object.client.address.http(&path),
                headers: HeaderMap::from_iter([(ACCEPT, JSON)]),
                body: Bytes::new(),
            }),
            deadline: DEADLINE_DEFAULT,
            repeated: true,
            backoff: Backoff::default(),
        }
    }

    /// The arguments, by their names: a struct or a map, such as `serde_json::json!({"by": 2})`. A read takes numbers, texts and booleans.
    pub fn arguments<T: Serialize + ?Sized>(mut self, arguments: &T) -> Self {
        if let Ok(outgoing) = &mut self.outgoing
            && let Err(error) = encode(outgoing, arguments)
        {
            self.outgoing = Err(CallError::Arguments(error));
        }
        self
    }

    /// Time for the call with all its repetitions; 30 s unless set. The server is told how much of
    /// it is left, and drops what nobody waits for any more.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the call take effect once, however often it is made: with a random idempotency key. The
    /// object keeps the reply for a day, so ask for it where doing it twice would do harm.
    pub fn exactly_once(self) -> Self {
        let key = fastrand::u128(..);
        self.idempotency_key(&format!("{key:032x}"))
    }

    /// The same with a key of your own: a call made by another process with this key gets the
    /// reply of the first one. 1 to 255 printable ASCII characters.
    pub fn idempotency_key(mut self, key: &str) -> Self {
        if let Ok(outgoing) = &mut self.outgoing {
            match HeaderValue::from_str(key) {
                Ok(value) => drop(outgoing.headers.insert(IDEMPOTENCY_KEY, value)),
                Err(error) => self.outgoing = Err(CallError::Arguments(error.into())),
            }
        }
        self
    }

    /// Sends it once; the caller repeats.
    pub fn once(mut self) -> Self {
        self.repeated = false;
        self
    }

    /// Sends it, and waits for the reply.
    ///
    /// # Errors
    /// Every [`CallError`] knows its effect.
    ///
    /// # Cancel safety
    /// A call that is dropped may have taken effect.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, CallError> {
        let body = self.send_raw().await?;
        serde_json::from_slice(&body).map_err(|error| CallError::Reply(error.into()))
    }

    async fn send_raw(self) -> Result<Bytes, CallError> {
        let outgoing = self.outgoing?;
        let repeatable = Repeatable {
            asked: self.repeated,
            harmless: outgoing.method == Method::GET
                || outgoing.headers.contains_key(IDEMPOTENCY_KEY),
        };
        let until = Instant::now() + self.deadline;
        let mut random = fastrand::Rng::new();
        for failures in 0.. {
            let left = until.saturating_duration_since(Instant::now());
            let error = match attempt(&self.client, &outgoing, left).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let Some(hint) = repeatable.after(&error) else {
                return Err(error);
            };
            let pause = self.backoff.pause(failures, &mut random).max(hint);
            // A pause that outlasts the deadline helps nobody: the reason is told now.
            if Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause).await;
        }
        unreachable!("attempts are counted without an end")
    }
}

/// What may be made again.
#[derive(Debug, Clone, Copy)]
struct Repeatable {
    /// The caller wants it.
    asked: bool,
    /// Twice is as good as once.
    harmless: bool,
}

impl Repeatable {
    /// The least pause before the next attempt; `None` when there is to be none.
    fn after(self, error: &CallError) -> Option<Duration> {
        let safe = self.harmless || error.effect() == Effect::None;
        error.retry_after().filter(|_| self.asked && safe)
    }
}

async fn attempt(client: &Client, outgoing: &Outgoing, left: Duration) -> Result<Bytes, CallError> {
    let mut outgoing = outgoing.clone();
    // The server takes whole milliseconds from one on.
    let left_ms = left.as_millis().max(1).to_string();
    let value = HeaderValue::from_str(&left_ms).expect("digits are a header value");
    outgoing.headers.insert(DEADLINE, value);
    let sent = timeout(left + GRACE, client.transport.send(outgoing)).await;
    sent.unwrap_or(Err(CallError::TimedOut(left)))
}

fn encode<T: Serialize + ?Sized>(outgoing: &mut Outgoing, arguments: &T) -> Result<(), Cause> {
    if outgoing.method == Method::GET {
        let query = serde_html_form::to_string(arguments)?;
        outgoing.url.push('?');
        outgoing.url.push_str(&query);
    } else {
        outgoing.body = serde_json::to_vec(arguments)?.into();
        outgoing.headers.insert(CONTENT_TYPE, JSON);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    fn refused(effect: &str, retry_after_ms: Option<u64>) -> CallError {
        let hint = retry_after_ms.map_or(String::new(), |ms| format!(r#","retry_after_ms":{ms}"#));
        let body = format!(r#"{{"status":503,"code":"x","effect":"{effect}"{hint}}}"#);
        CallError::Refused(Box::new(Problem::read(503, body.as_bytes()).unwrap()))
    }

    #[test]
    fn what_may_have_happened_is_repeated_only_with_a_key() {
        let keyed = Repeatable {
            asked: true,
            harmless: true,
        };
        let bare = Repeatable {
            harmless: false,
            ..keyed
        };
        let lost = || CallError::Lost("reset".into());
        assert_eq!(keyed.after(&lost()), Some(Duration::ZERO));
        assert_eq!(bare.after(&lost()), None);
        assert_eq!(keyed.after(&refused("unknown", None)), Some(Duration::ZERO));
        assert_eq!(bare.after(&refused("unknown", Some(5))), None);
    }

    #[test]
    fn what_changed_nothing_is_repeated_when_the_server_says_when() {
        let bare = Repeatable {
            asked: true,
            harmless: false,
        };
        let hint = Duration::from_millis(250);
        assert_eq!(bare.after(&refused("none", Some(250))), Some(hint));
        assert_eq!(bare.after(&refused("none", None)), None);
        assert_eq!(
            bare.after(&CallError::Unreachable("refused".into())),
            Some(Duration::ZERO)
        );
        let once = Repeatable {
            asked: false,
            ..bare
        };
        assert_eq!(once.after(&refused("none", Some(250))), None);
    }
}
