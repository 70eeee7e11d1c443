//! Rows of messages for the fuzzers.

use abide_storage::{Namespace, Object, ObjectId, Timestamp, Version};

use super::{Outgoing, Sequence};
use crate::node::Target;
use crate::payload::Payload;

/// What decodes is encoded again as something that decodes to the same.
pub(crate) fn row(row: &[u8]) {
    if let Ok((outgoing, wake)) = Outgoing::decode(row) {
        let again = Outgoing::decode(&outgoing.encode(wake));
        assert_eq!(again.as_ref(), Ok(&(outgoing, wake)));
    }
}

/// Keys with their rows.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let namespace = Namespace::new("counter").expect("it is well formed");
    let id = ObjectId::from_name(&namespace, "visits");
    let message = |name: Option<&str>, traceparent: Option<&str>| Outgoing {
        to: Target {
            object: Object {
                namespace: namespace.clone(),
                id,
            },
            name: name.map(Into::into),
        },
        method: "increment".into(),
        arguments: Payload::json(r#"{"by":1}"#),
        expires: Timestamp(1_767_830_400_000),
        request_id: traceparent.map(|_| "01JD8ZK3V5T0Q1N7W2R4Y6X8AB".into()),
        traceparent: traceparent.map(Into::into),
    };
    let sequence = Sequence {
        version: Version(300),
        index: 2,
    };
    let messages = [
        message(Some("visits"), Some("00-1-2-01")),
        message(None, None),
    ];
    let seed = |outgoing: Outgoing| {
        let row = outgoing.encode(Timestamp(1_767_225_600_000));
        [&sequence.key()[..], &row].concat()
    };
    messages.map(seed).to_vec()
}
