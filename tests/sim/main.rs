//! The invariants of ARCHITECTURE.md, each by its name: whole nodes in virtual time, on one thread.
//!
//! `README.md` beside this file says how each test was seen to fail.

#![expect(clippy::unwrap_used, reason = "a step that fails here fails the test")]

mod alarm_at_least_once;
mod all_or_nothing;
mod bounded;
mod calls;
mod classes;
mod durable_before_visible;
mod fenced;
mod idempotency;
mod images;
mod lossless_passivation;
mod memory;
mod node;
mod one_turn;
mod presence;
mod readable_forever;
mod regressions;
mod seeds;
mod send;
mod sessions;
mod single_activation;
mod slow_store;
mod support;
mod ticks;
