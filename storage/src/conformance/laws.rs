//! One function per law. Each panics when the law is broken.

#![expect(
    clippy::unwrap_used,
    reason = "a law is a test: it panics when it is broken"
)]

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::Activation;
use crate::batch::{Section, Write};
use crate::id::Object;
use crate::store::{Direction, Opened, Scan, Store, Ticket};

mod durability;
mod fencing;
mod limits;
mod listings;
mod reads;

pub use durability::{
    a_dropped_ticket_takes_nothing_back, commits_survive_a_crash, commits_survive_reopening,
    many_objects_at_once, never_written_is_empty, opening_shows_durable_commits_only,
    shutdown_refuses_commits, tickets_answer_in_order,
};
pub use fencing::{
    a_newer_opening_fences_the_older, closing_fences_its_own_epoch_only,
    epochs_grow_through_everything,
};
pub use limits::{large_values_come_and_go, room_is_there, too_large_commits_leave_no_trace};
pub use listings::{alarms_are_listed_by_time, names_are_kept, objects_are_listed_by_namespace};
pub use reads::{
    deletions_hide_older_rows, reads_see_what_is_accepted, scans_keep_to_bounds_order_and_limit,
    scans_merge_old_and_new_rows, sections_and_objects_are_apart, the_last_write_of_a_row_wins,
};

async fn activate(store: &Arc<dyn Store>, object: &Object) -> Activation {
    Activation::open(store, object.clone())
        .await
        .expect("the object opens")
}

fn put_in(section: Section, key: &str, value: impl Into<Bytes>) -> Write {
    Write::Put {
        section,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.into(),
    }
}

fn delete(key: &str) -> Write {
    Write::Delete {
        section: Section::Data,
        key: Bytes::copy_from_slice(key.as_bytes()),
    }
}

async fn get(
    store: &Arc<dyn Store>,
    object: &Object,
    section: Section,
    key: &str,
) -> Option<Bytes> {
    store
        .get(object, section, key.as_bytes())
        .await
        .expect("the store can be read")
}

/// Whether the ticket has been answered with success.
fn is_durable(ticket: &mut Ticket) -> bool {
    // Not through the runtime, whose budget may answer "pending" for a ticket that is ready.
    matches!(ticket.0.try_recv(), Ok(Ok(())))
}

fn all() -> Scan {
    Scan {
        section: Section::Data,
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        direction: Direction::Forward,
        limit: usize::MAX,
    }
}

/// Rows as text, `key=value`.
async fn scan(store: &Arc<dyn Store>, object: &Object, scan: Scan) -> Vec<String> {
    let rows = store
        .scan(object, scan)
        .await
        .expect("the store can be read");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    rows.iter()
        .map(|(key, value)| format!("{}={}", text(key), text(value)))
        .collect()
}

async fn open(store: &Arc<dyn Store>, object: &Object) -> Opened {
    store.open(object).await.expect("the object opens")
}
