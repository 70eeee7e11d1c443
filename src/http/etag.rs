//! Entity tags: whether a client has already what it asks for.

use http::{HeaderMap, HeaderValue, header};

/// Whether `If-None-Match` names the tag, in any of its lines.
pub(super) fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .any(|tags| matches(tags, etag))
}

/// Whether one line of `If-None-Match` names the tag: weak comparison (RFC 9110, section 13.1.2).
pub(super) fn matches(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else {
        return false;
    };
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::matches;

    #[test]
    fn any_of_the_tags_named_matches() {
        let etag = HeaderValue::from_static("\"v1-ab\"");
        for known in ["\"v1-ab\"", "\"x\", \"v1-ab\"", "W/\"v1-ab\"", "*"] {
            assert!(matches(&HeaderValue::from_static(known), &etag), "{known}");
        }
        assert!(!matches(&HeaderValue::from_static("\"v1-a\""), &etag));
    }
}
