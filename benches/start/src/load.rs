//! Writes until the server is gone.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::fill;
use crate::server::Connection;

const CONNECTIONS: u64 = 8;

/// Adds to counters all over the store for so long, then ends the server with `kill` in the middle
/// of it; how many writes were acknowledged.
///
/// # Errors
/// When there is no connection, or `kill` fails.
pub(crate) fn increment(
    addr: SocketAddr,
    objects: u64,
    duration: Duration,
    kill: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let connections = (0..CONNECTIONS).map(|_| Connection::open(addr));
    let connections = connections.collect::<anyhow::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let writers: Vec<_> = (0..)
            .zip(connections)
            .map(|(number, connection)| scope.spawn(move || write(connection, number, objects)))
            .collect();
        thread::sleep(duration);
        kill()?;
        let counts = writers.into_iter().map(|writer| writer.join().unwrap_or(0));
        Ok(counts.sum())
    })
}

/// Until the connection breaks, which is how a killed server ends it.
fn write(mut connection: Connection, number: u64, objects: u64) -> u64 {
    let mut object = number * objects / CONNECTIONS;
    let mut written = 0;
    loop {
        object = (object + 7_919) % objects;
        let path = format!("/v1/counter/{}/increment", fill::name(object));
        if connection.request("POST", &path, r#"{"by":1}"#).is_err() {
            return written;
        }
        written += 1;
    }
}
