//! Alarms that were lost, came late, or were refused without a reason.

mod limits;
mod order;
mod pages;
mod replaced;

use std::cell::Cell;
use std::collections::BTreeSet;

use abide::prelude::*;
use serde::Deserializer;
use serde::de::Error;
use tokio::time::sleep;

use crate::support::{note, take_notes};

/// Alarms the scheduler reads from the store at a time; it sees the store through a window of
/// pages.
const PAGE: usize = 4_096;
/// Alarms of one object; the limit is 1,024.
const EACH: usize = 1_000;

thread_local! {
    /// Whether the state of objects that are named so is.
    static UNREADABLE: Cell<bool> = const { Cell::new(false) };
}

/// Sets alarms and notes those that ring.
#[derive(Default, Serialize, Deserialize)]
struct Bell {
    #[serde(deserialize_with = "readable")]
    name: String,
}

fn readable<'de, D: Deserializer<'de>>(bytes: D) -> Result<String, D::Error> {
    let name = String::deserialize(bytes)?;
    if name.starts_with("unreadable") && UNREADABLE.get() {
        return Err(D::Error::custom("damaged"));
    }
    Ok(name)
}

#[actor]
impl Bell {
    /// Sets so many alarms for one moment.
    #[call]
    fn set(&mut self, ctx: &mut Context<Self>, count: u64, at_ms: u64) -> Result<(), CallError> {
        self.name = ctx.name().unwrap_or_default().to_owned();
        (0..count).try_for_each(|alarm| ctx.set_alarm(&alarm.to_string(), Timestamp(at_ms)))
    }

    /// Sets the unnamed alarm.
    #[call]
    fn set_one(&mut self, ctx: &mut Context<Self>, at_ms: u64) -> Result<(), CallError> {
        ctx.set_alarm("", Timestamp(at_ms))
    }

    #[call]
    fn cancel_one(&mut self, ctx: &mut Context<Self>) {
        ctx.cancel_alarm("");
    }

    /// Takes its time and changes nothing.
    #[call]
    async fn work(&mut self, for_s: u64) {
        sleep(Duration::from_secs(for_s)).await;
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) {
        let object = ctx.name().unwrap_or_default();
        note(format!("{}/{object} {}", ctx.namespace(), alarm.name));
    }
}

/// The alarms that have rung since this was last asked. One may ring twice, so each counts once.
fn rung() -> BTreeSet<String> {
    take_notes().into_iter().collect()
}
