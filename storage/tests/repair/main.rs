//! `repair`, for everything that stops an opening or that `check` finds: a dry run changes nothing, a loss must be
//! accepted, what is done can be cut short anywhere, and afterwards the folder is sound and holds what was promised.
//!
//! Takes 50 s: each damage is repaired some thirty times, cut short at each operation, over an engine on the disk.

#[cfg(test)]
mod backups;
#[cfg(test)]
mod damaged;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod log;
