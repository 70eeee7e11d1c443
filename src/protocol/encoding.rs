//! Which media type is which encoding, in both directions.

use abide_actors::Encoding;
use http::{HeaderMap, HeaderValue, header};

/// The body is of a type that no argument can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "arguments of type '{found}' cannot be read: send application/json or application/msgpack{}",
    if .found == "application/x-www-form-urlencoded" { " (curl: --json instead of -d)" } else { "" }
)]
pub(crate) struct UnknownMediaType {
    found: String,
}

/// The encoding of a call's body. None named means JSON.
pub(crate) fn arguments_encoding(headers: &HeaderMap) -> Result<Encoding, UnknownMediaType> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Encoding::Json);
    };
    let text = value.to_str().unwrap_or("not text");
    essence(text).ok_or_else(|| UnknownMediaType {
        found: text
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .chars()
            .take(80)
            .collect(),
    })
}

/// The encoding of the reply: the first one named in `Accept`, else that of the arguments.
pub(crate) fn reply_encoding(headers: &HeaderMap, arguments: Encoding) -> Encoding {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(essence);
    accepted.unwrap_or_else(|| arguments.for_reply())
}

/// The media type of a reply.
pub(crate) fn media_type(encoding: Encoding) -> HeaderValue {
    HeaderValue::from_static(match encoding {
        Encoding::Json | Encoding::Query => "application/json",
        Encoding::MessagePack => "application/msgpack",
    })
}

/// The encoding of a media type, its parameters put aside.
fn essence(media_type: &str) -> Option<Encoding> {
    let essence = media_type.split(';').next()?.trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if is("application/json") {
        Some(Encoding::Json)
    } else if is("application/msgpack")
        || is("application/x-msgpack")
        || is("application/vnd.msgpack")
    {
        Some(Encoding::MessagePack)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use abide_actors::Encoding;
    use http::{HeaderMap, HeaderValue, header};

    use super::{arguments_encoding, reply_encoding};

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn the_three_names_of_messagepack_are_known_whatever_their_case() {
        for name in [
            "application/msgpack",
            "Application/X-MsgPack",
            "application/vnd.msgpack; v=5",
        ] {
            let encoding = arguments_encoding(&headers(header::CONTENT_TYPE, name));
            assert_eq!(encoding.unwrap(), Encoding::MessagePack, "{name}");
        }
        assert_eq!(
            arguments_encoding(&HeaderMap::new()).unwrap(),
            Encoding::Json
        );
    }

    #[test]
    fn another_type_is_refused_with_a_hint_for_curl() {
        let form = headers(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        assert!(
            arguments_encoding(&form)
                .unwrap_err()
                .to_string()
                .contains("--json")
        );
    }

    #[test]
    fn the_reply_is_as_accepted_or_as_asked() {
        let accept = |value| headers(header::ACCEPT, value);
        let json = Encoding::Json;
        let reply = |accept: &HeaderMap, arguments| reply_encoding(accept, arguments);
        assert_eq!(
            reply(&accept("*/*, application/msgpack"), json),
            Encoding::MessagePack
        );
        assert_eq!(
            reply(&accept("application/json"), Encoding::MessagePack),
            Encoding::Json
        );
        assert_eq!(
            reply(&accept("*/*"), Encoding::MessagePack),
            Encoding::MessagePack
        );
        assert_eq!(reply(&HeaderMap::new(), Encoding::Query), Encoding::Json);
    }
}
