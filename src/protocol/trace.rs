//! W3C Trace Context, the part that is passed on: `traceparent`.

use std::sync::Arc;

use http::HeaderMap;

/// The `traceparent` when it is well formed (W3C Trace Context, section 3.2); a malformed one is
/// ignored, as the recommendation asks.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<Arc<str>> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    is_well_formed(value).then(|| value.into())
}

fn is_well_formed(value: &str) -> bool {
    let mut fields = value.split('-');
    let mut hex = |digits: usize| {
        fields.next().filter(|field| {
            field.len() == digits
                && field
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    };
    let nonzero = |field: &str| field.bytes().any(|b| b != b'0');
    let Some(version) = hex(2) else { return false };
    let known = hex(32).is_some_and(nonzero) && hex(16).is_some_and(nonzero) && hex(2).is_some();
    // A later version may append fields; version 00 has exactly these, ff is forbidden.
    known && version != "ff" && (version != "00" || fields.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn only_a_well_formed_parent_is_passed_on() {
        assert!(is_well_formed(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        assert!(is_well_formed(
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"
        ));
        for malformed in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(!is_well_formed(malformed), "{malformed}");
        }
    }
}
