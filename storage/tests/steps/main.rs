//! Every call that an operation of the store makes to the file system or the engine, failing once: with an error of
//! the device, for lack of space, in the middle of a write, and stalling.
//!
//! An operation first runs without faults, and its calls are counted. Then it runs once for each of them and each
//! kind of fault, from a fresh folder. What must hold after every run:
//!
//! - **declared**: a ticket that answered `Ok` is there; one with effect *none* is not; one that is *unknown* is there
//!   whole or not at all, and after it the store took no more writes;
//! - **recovers**: a stall harms nobody; a full disk takes back what did not fit, and service goes on, unless it
//!   was a sync that said so; an opening that failed names the folder, and the next one succeeds;
//! - **no false durability**: what the next opening shows survives a power cut right after it, also when the
//!   process before ended because a sync had failed (fsyncgate).
//!
//! `cargo test -p abide-storage --test steps -- --nocapture` prints the table of docs/reliability.md.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod history;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod verdict;

#[cfg(test)]
mod tests {
    use crate::faults;
    use crate::operations::Operation;

    fn holds(operation: Operation) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
        println!("{}", runtime.block_on(faults::try_all(operation)));
    }

    #[test]
    fn creation() {
        holds(Operation::Creation);
    }

    #[test]
    fn commits() {
        holds(Operation::Commits);
    }

    #[test]
    fn segments() {
        holds(Operation::Segments);
    }

    /// Takes 20 s: each of its checkpoints pauses, as they do, and there are several in each run.
    #[test]
    fn checkpoints() {
        holds(Operation::Checkpoints);
    }

    #[test]
    fn opening_after_a_shutdown() {
        holds(Operation::OpeningClean);
    }

    #[test]
    fn opening_with_a_log_to_read() {
        holds(Operation::OpeningReplay);
    }

    #[test]
    fn opening_with_a_torn_tail() {
        holds(Operation::OpeningTorn);
    }

    #[test]
    fn opening_after_a_failed_sync() {
        holds(Operation::OpeningUnsynced);
    }

    #[test]
    fn shutdown() {
        holds(Operation::Shutdown);
    }

    #[test]
    fn check() {
        holds(Operation::Check);
    }
}
