//! Messages stay between the objects they were sent between, whatever images their objects are
//! replaced with: once committed each arrives once, and a fork sends nothing of the original's.

use abide::Deadline;
use abide_actors::Precondition;
use abide_storage::ObjectImage;

use super::*;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

async fn export(world: &World, name: &str) -> ObjectImage {
    let target = world.runtime().target("account", name).unwrap();
    world.runtime().export(&target, soon()).await.unwrap()
}

async fn replace(world: &World, name: &str, image: ObjectImage) {
    let target = world.runtime().target("account", name).unwrap();
    let (runtime, any) = (world.runtime(), Precondition::None);
    let replaced = runtime.replace(&target, image, any, soon()).await;
    replaced.unwrap();
}

/// A payment of 7 from "a" that cannot arrive yet, and images of "a" from before and after it.
async fn on_its_way<'a>(world: &'a World) -> (impl Future + 'a, ObjectImage, ObjectImage) {
    pay(world, "a", "elsewhere", 1).await.unwrap();
    let before = export(world, "a").await;
    let nap = world.call("account", "b", "nap", serde_json::json!([10]));
    let nap = begin(world, nap).await;
    pay(world, "a", "b", 7).await.unwrap();
    let after = export(world, "a").await;
    assert_eq!(received(world, "elsewhere").await, [1]);
    (nap, before, after)
}

#[test]
fn a_fork_sends_nothing_that_the_original_sent() {
    world(async |world| {
        let (nap, _, image) = on_its_way(world).await;
        replace(world, "fork", image).await;
        assert_eq!(paid(world, "fork").await, 8, "it believes that it has paid");
        nap.await;
        // A message leaves when its sender has come to the version that sent it.
        for _ in 0..5 {
            let receive = world.call("account", "fork", "receive", serde_json::json!([1]));
            receive.await.unwrap();
        }
        world.advance(Duration::from_secs(600)).await;
        world.crash().await;
        assert_eq!(paid(world, "fork").await, 8);
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(received(world, "b").await, [7], "from the original alone");
    });
}

#[test]
fn a_message_on_its_way_outlives_that_its_sender_is_set_back() {
    world(async |world| {
        let (nap, before, _) = on_its_way(world).await;
        replace(world, "a", before).await;
        assert_eq!(paid(world, "a").await, 1);
        nap.await;
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(received(world, "b").await, [7]);
        // What is sent from now on has numbers of its own.
        pay(world, "a", "b", 8).await.unwrap();
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(received(world, "b").await, [7, 8]);
    });
}

#[test]
fn a_message_that_has_arrived_does_not_leave_again_with_an_old_image() {
    world(async |world| {
        let (nap, _, with_message) = on_its_way(world).await;
        nap.await;
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(received(world, "b").await, [7]);
        replace(world, "a", with_message).await;
        assert_eq!(paid(world, "a").await, 8);
        world.advance(Duration::from_secs(600)).await;
        world.crash().await;
        assert_eq!(paid(world, "a").await, 8);
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(received(world, "b").await, [7]);
    });
}

#[test]
fn what_a_set_back_receiver_has_heard_it_does_not_hear_again() {
    world(async |world| {
        pay(world, "a", "b", 1).await.unwrap();
        world.advance(Duration::from_secs(60)).await;
        let image = export(world, "b").await;
        // The sender dies with the acknowledgement on its way: it will send again.
        pay(world, "a", "b", 2).await.unwrap();
        settle(world).await;
        replace(world, "b", image).await;
        world.crash().await;
        world.advance(Duration::from_secs(600)).await;
        assert_eq!(
            received(world, "b").await,
            [1],
            "undone, and not done again"
        );
        pay(world, "a", "b", 3).await.unwrap();
        world.advance(Duration::from_secs(60)).await;
        assert_eq!(received(world, "b").await, [1, 3]);
    });
}
