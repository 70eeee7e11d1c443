//! Defects a review found: each test narrates the steps that once went wrong.
//!
//! What is promised in general is tested under the invariants' own names; here are the orders of
//! events that nobody had thought of.

mod alarms;
mod calls;
mod fairness;
mod panics;
mod sessions;
mod ticks;
