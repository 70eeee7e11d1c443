//! SQLite with a write-ahead log, synced with every transaction: one transaction per group.

use std::path::Path;

use rusqlite::Connection;

use crate::harness::Sink;

/// Puts whole groups into one table of keys and values.
pub(crate) fn sink(folder: &Path) -> Sink {
    let connection = Connection::open(folder.join("rows")).expect("SQLite opens");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             CREATE TABLE rows (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
        )
        .expect("SQLite takes its settings");
    let mut connection = connection;
    Box::new(move |group| {
        let transaction = connection.transaction().expect("a transaction begins");
        {
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO rows VALUES (?1, ?2)")
                .expect("the statement is valid");
            for row in group.iter().flatten() {
                put.execute((&row.key[..], row.value.as_deref()))
                    .expect("SQLite takes the row");
            }
        }
        transaction.commit().expect("the group becomes durable");
    })
}
