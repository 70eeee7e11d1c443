//! What the compiler says when `#[actor]` is used wrongly: one file per mistake in `ui/`, with the
//! message beside it. After a change, `TRYBUILD=overwrite cargo test --test actor_misuse` writes
//! the messages anew; then every one is to be read, as somebody who made the mistake would.

#[test]
fn every_mistake_has_a_message_that_helps() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
