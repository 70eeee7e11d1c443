//! What the tests of several invariants need: calls left open, and notes of what actor code did.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use abide_actors::testing::World;

/// A call the test has begun and does not wait for yet.
pub(crate) type Open<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Begins a call, and lets the actors do all they can do while it stays open.
pub(crate) async fn begin<'a, T>(world: &World, call: impl Future<Output = T> + 'a) -> Open<'a, T> {
    let mut call: Open<'a, T> = Box::pin(call);
    assert!(is_open(&mut call).await, "a call needs the actor's task");
    settle(world).await;
    call
}

/// Whether a call has no answer yet. Asked of one that has, it loses the answer.
pub(crate) async fn is_open<T>(call: &mut Open<'_, T>) -> bool {
    futures_util::poll!(call).is_pending()
}

/// Lets the actors do all they can do; hardly any time passes.
pub(crate) async fn settle(world: &World) {
    world.advance(Duration::from_millis(1)).await;
}

thread_local! {
    // A world runs on the thread of its test, so every test has notes of its own.
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Called by actor code: writes down that it ran. A turn that is undone keeps its notes, which is
/// what makes them of use.
pub(crate) fn note(text: impl Into<String>) {
    NOTES.with_borrow_mut(|notes| notes.push(text.into()));
}

/// The notes since they were last taken.
pub(crate) fn take_notes() -> Vec<String> {
    NOTES.take()
}
