//! The targets: every decoder that sees bytes which this process has not just written.
//!
//! Each is a function that takes any bytes and panics when a promise about them does not hold,
//! and the encodings that its corpus starts from. The decoders that are private to a crate have
//! their functions in that crate's `fuzzing` module; those that need actors are here.

mod calls;
mod chat;
mod crdt;
mod dialect;
mod document;
mod frames;
mod images;
mod objects;
mod parts;
mod replica;
mod yjs;

/// One of them.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name on the command line, and that of its folder in the corpus.
    pub(crate) name: &'static str,
    /// Takes any bytes.
    pub(crate) run: fn(&[u8]),
    /// What the corpus starts from.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them, from the disk to the network.
pub(crate) const TARGETS: [Target; 14] = [
    Target {
        name: "key",
        run: abide_storage::fuzzing::key,
        seeds: abide_storage::fuzzing::key_seeds,
    },
    Target {
        name: "codec",
        run: codec,
        seeds: codec_seeds,
    },
    Target {
        name: "log_record",
        run: abide_storage::fuzzing::log_record,
        seeds: abide_storage::fuzzing::log_record_seeds,
    },
    Target {
        name: "history_file",
        run: abide_storage::fuzzing::history_file,
        seeds: abide_storage::fuzzing::history_file_seeds,
    },
    Target {
        name: "entry",
        run: abide_storage::fuzzing::entry,
        seeds: abide_storage::fuzzing::entry_seeds,
    },
    Target {
        name: "config",
        run: abide::fuzzing::config,
        seeds: abide::fuzzing::config_seeds,
    },
    Target {
        name: "address",
        run: abide::fuzzing::address,
        seeds: abide::fuzzing::address_seeds,
    },
    Target {
        name: "headers",
        run: abide::fuzzing::headers,
        seeds: abide::fuzzing::headers_seeds,
    },
    Target {
        name: "session",
        run: abide::fuzzing::session,
        seeds: abide::fuzzing::session_seeds,
    },
    Target {
        name: "call_envelope",
        run: calls::run,
        seeds: calls::seeds,
    },
    Target {
        name: "object_file",
        run: images::run,
        seeds: images::seeds,
    },
    Target {
        name: "frame",
        run: frames::run,
        seeds: frames::seeds,
    },
    Target {
        name: "yjs",
        run: yjs::run,
        seeds: yjs::seeds,
    },
    Target {
        name: "document",
        run: dialect::run,
        seeds: dialect::seeds,
    },
];

/// Values in the store's rows, in those of alarms, of messages and of sessions.
fn codec(data: &[u8]) {
    abide_storage::fuzzing::codec(data);
    abide_actors::fuzzing::alarm_rows(data);
    abide_actors::fuzzing::send_rows(data);
    abide_actors::fuzzing::session_rows(data);
}

fn codec_seeds() -> Vec<Vec<u8>> {
    let values = abide_storage::fuzzing::codec_seeds();
    values
        .into_iter()
        .chain(abide_actors::fuzzing::alarm_rows_seeds())
        .chain(abide_actors::fuzzing::send_rows_seeds())
        .chain(abide_actors::fuzzing::session_rows_seeds())
        .collect()
}
