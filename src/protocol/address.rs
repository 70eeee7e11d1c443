//! `/v1/{namespace}/{name}/{rest}`: which object a request is for.

use std::borrow::Cow;

use abide_storage::NAME_SIZE_MAX_BYTES;
use percent_encoding::percent_decode_str;

/// The decoded segments of a path below `/v1/`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address<'a> {
    /// The namespace, not looked up yet.
    pub(crate) namespace: Cow<'a, str>,
    /// A name, or `id:` and 64 hex digits.
    pub(crate) name: Cow<'a, str>,
    /// What follows the name: the method of a call, or `-` and the path of a raw request; not
    /// decoded. Empty when nothing follows.
    pub(crate) rest: &'a str,
}

/// The path names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidAddress {
    /// Percent-encoded bytes that are no text.
    #[error("the {part} in the path is not valid UTF-8 once percent-decoded")]
    NotUtf8 {
        /// "namespace", "name" or "method".
        part: &'static str,
    },
    /// Two slashes in a row, or a path that ends early.
    #[error("the {part} in the path is empty: write /v1/{{namespace}}/{{name}}/{{method}}")]
    Empty {
        /// "namespace", "name" or "method".
        part: &'static str,
    },
    /// More than an object's name may be.
    #[error(
        "the name in the path is {size_bytes} bytes, an object's name takes {NAME_SIZE_MAX_BYTES}"
    )]
    TooLong {
        /// Decoded size.
        size_bytes: usize,
    },
}

impl<'a> Address<'a> {
    /// Reads a path that begins with `/v1/`.
    pub(crate) fn parse(path: &'a str) -> Result<Self, InvalidAddress> {
        let path = path.strip_prefix("/v1/").unwrap_or_default();
        let (namespace, path) = path.split_once('/').unwrap_or((path, ""));
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let name = decode(name, "name")?;
        if name.len() > NAME_SIZE_MAX_BYTES {
            return Err(InvalidAddress::TooLong {
                size_bytes: name.len(),
            });
        }
        Ok(Self {
            namespace: decode(namespace, "namespace")?,
            name,
            rest,
        })
    }

    /// The rest as the name of a method.
    pub(crate) fn method(&self) -> Result<Cow<'a, str>, InvalidAddress> {
        decode(self.rest, "method")
    }

    /// The rest as the path of a raw request: what follows `-`, never empty.
    pub(crate) fn raw_path(&self) -> &'a str {
        match self.rest.strip_prefix('-') {
            Some(path) if !path.is_empty() => path,
            _ => "/",
        }
    }
}

fn decode<'a>(segment: &'a str, part: &'static str) -> Result<Cow<'a, str>, InvalidAddress> {
    if segment.is_empty() {
        return Err(InvalidAddress::Empty { part });
    }
    percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| InvalidAddress::NotUtf8 { part })
}

#[cfg(test)]
mod tests {
    use super::{Address, InvalidAddress};

    #[test]
    fn segments_are_decoded_one_by_one() {
        let address = Address::parse("/v1/chat/a%2Fb%20%C3%A9/say").unwrap();
        assert_eq!((&*address.namespace, &*address.name), ("chat", "a/b é"));
        assert_eq!(address.method().unwrap(), "say");
    }

    #[test]
    fn a_raw_path_keeps_its_slashes_and_escapes() {
        assert_eq!(
            Address::parse("/v1/site/x/-/a//b%20c").unwrap().raw_path(),
            "/a//b%20c"
        );
        assert_eq!(Address::parse("/v1/site/x/-/").unwrap().raw_path(), "/");
        assert_eq!(Address::parse("/v1/site/x/-").unwrap().raw_path(), "/");
    }

    #[test]
    fn what_names_no_object_is_refused() {
        let parse = |path| Address::parse(path).unwrap_err();
        assert_eq!(
            parse("/v1/chat//say"),
            InvalidAddress::Empty { part: "name" }
        );
        assert_eq!(
            parse("/v1//lobby/say"),
            InvalidAddress::Empty { part: "namespace" }
        );
        assert_eq!(
            parse("/v1/chat/%FF/say"),
            InvalidAddress::NotUtf8 { part: "name" }
        );
        let long = format!("/v1/chat/{}/say", "x".repeat(1_025));
        assert_eq!(parse(&long), InvalidAddress::TooLong { size_bytes: 1_025 });
    }

    #[test]
    fn a_name_is_as_long_as_its_bytes_not_its_escapes() {
        let name = "%C3%A9".repeat(512);
        assert_eq!(
            Address::parse(&format!("/v1/chat/{name}/say"))
                .unwrap()
                .name
                .len(),
            1_024
        );
    }
}
