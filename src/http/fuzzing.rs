//! What the fuzzers drive of the headers of a read.

use abide_actors::{Payload, Reply};
use abide_storage::Version;
use http::HeaderValue;

use super::etag::matches;
use super::rpc::etag;

/// `If-None-Match`: any value is compared, and the tag is found wherever in a list it stands.
pub(crate) fn if_none_match(value: &HeaderValue) {
    let reply = |version| Reply {
        payload: Payload::json("7"),
        version: Version(version),
        replayed: false,
    };
    let etag = etag(&reply(3));
    let is_named = matches(value, &etag);
    let (Ok(text), Ok(tag)) = (value.to_str(), etag.to_str()) else {
        assert!(!is_named, "what is no text names no tag");
        return;
    };
    // A client that names neither this tag nor all of them must get the value.
    assert!(!is_named || text.contains(tag) || text.contains('*'));
    let longer = format!("{text},W/{tag}");
    let longer = HeaderValue::from_str(&longer).expect("both halves were header values");
    assert!(matches(&longer, &etag));
}
