//! One input as several pieces, so that it can be a whole conversation.
//!
//! ```text
//! kind (1) | size (1) | bytes      again and again; the last piece may be cut short
//! ```

/// One step of a conversation.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// What to do with the bytes.
    pub(super) kind: u8,
    pub(super) bytes: &'a [u8],
}

/// Steps of one input; more would only be slower.
const PARTS_MAX: usize = 12;

/// Takes an input apart.
pub(super) fn parts(data: &[u8]) -> Vec<Part<'_>> {
    let mut rest = data;
    let mut parts = Vec::new();
    while let [kind, size, after @ ..] = rest {
        if parts.len() == PARTS_MAX {
            break;
        }
        let size = after.len().min(usize::from(*size));
        let (bytes, after) = after.split_at(size);
        parts.push(Part { kind: *kind, bytes });
        rest = after;
    }
    parts
}

/// The input that [`parts`] takes apart into these; none may be longer than 255 bytes.
pub(super) fn join(parts: &[(u8, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (kind, bytes) in parts {
        data.push(*kind);
        data.push(u8::try_from(bytes.len()).expect("a part of a seed is short"));
        data.extend_from_slice(bytes);
    }
    data
}
