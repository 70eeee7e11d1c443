//! The header `Idempotency-Key`: bare, or as the quoted string of the IETF's draft
//! (draft-ietf-httpapi-idempotency-key-header), which mean the same key.

use abide_actors::{IdempotencyKey, InvalidIdempotencyKey};
use http::HeaderMap;

use super::IDEMPOTENCY_KEY;

/// The header [`IDEMPOTENCY_KEY`] cannot be obeyed. Ignoring it would break what its sender relies on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidIdempotencyHeader {
    #[error("the header idempotency-key came {times} times, a call has one key")]
    Several { times: usize },
    #[error("the header idempotency-key begins with a quote but is no quoted string")]
    Unquoted,
    #[error("the header idempotency-key: {0}")]
    Key(#[from] InvalidIdempotencyKey),
}

/// The key of a call, if it has one.
pub(crate) fn idempotency_key(
    headers: &HeaderMap,
) -> Result<Option<IdempotencyKey>, InvalidIdempotencyHeader> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let more = values.count();
    if more > 0 {
        return Err(InvalidIdempotencyHeader::Several { times: 1 + more });
    }
    // What is no UTF-8 is refused by the key itself, with the place of the first such byte.
    let text = String::from_utf8_lossy(value.as_bytes());
    let key = match text.strip_prefix('"') {
        None => IdempotencyKey::new(&text)?,
        Some(rest) => {
            let inside = unquote(rest).ok_or(InvalidIdempotencyHeader::Unquoted)?;
            IdempotencyKey::new(&inside)?
        }
    };
    Ok(Some(key))
}

/// What stands between the quotes of a string (RFC 8941, section 3.3.3), from behind the first one.
fn unquote(rest: &str) -> Option<String> {
    let mut inside = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(inside),
            '\\' => inside.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => inside.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{IDEMPOTENCY_KEY, InvalidIdempotencyHeader, idempotency_key};

    fn read(value: &[u8]) -> Result<Option<String>, InvalidIdempotencyHeader> {
        let value = HeaderValue::from_bytes(value).unwrap();
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, value)]);
        Ok(idempotency_key(&headers)?.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn quoted_and_bare_mean_the_same_key() {
        for (value, key) in [
            ("k1", "k1"),
            ("\"k1\"", "k1"),
            ("k\"1", "k\"1"),
            (r#""k\"1\\""#, r#"k"1\"#),
        ] {
            assert_eq!(read(value.as_bytes()).unwrap().unwrap(), key, "{value}");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(256);
        for value in [
            "",
            "\"\"",
            "\"",
            "a b",
            "\"k",
            "\"k\";v=1",
            r#""k\1""#,
            &long,
            "k, l",
        ] {
            assert!(read(value.as_bytes()).is_err(), "{value}");
        }
        assert!(read(b"k\xff").is_err());
    }

    #[test]
    fn two_keys_are_none() {
        let mut headers = HeaderMap::new();
        for key in ["a", "a"] {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(key));
        }
        let refused = idempotency_key(&headers);
        assert_eq!(refused, Err(InvalidIdempotencyHeader::Several { times: 2 }));
    }
}
