use std::time::Duration;

use abide_actors::CallError;
use abide_actors::testing::World;

use crate::reminders::{Fired, Reminders};

fn in_world(test: impl AsyncFnOnce(&mut World)) {
    World::builder().actor::<Reminders>("reminders").run(test);
}

async fn remind(world: &World, name: &str, in_ms: u64, until_heard: Option<bool>) {
    let ada = world.actor::<Reminders>("ada");
    let text = "the tea is ready".to_owned();
    ada.remind(name.to_owned(), in_ms, text, until_heard)
        .await
        .unwrap();
}

async fn pending(world: &World) -> Vec<String> {
    let pending = world.actor::<Reminders>("ada").pending().await.unwrap();
    pending.into_iter().map(|reminder| reminder.name).collect()
}

/// What has fired, and after how many failures.
async fn fired(world: &World) -> Vec<(String, u32)> {
    let history = world.actor::<Reminders>("ada").history().await.unwrap();
    history
        .into_iter()
        .map(|fired| (fired.name, fired.retries))
        .collect()
}

#[test]
fn a_reminder_fires_at_its_time_even_after_a_crash() {
    in_world(async |world| {
        remind(world, "tea", 5_000, None).await;
        remind(world, "bread", 60_000, None).await;
        world.crash().await;
        world.advance(Duration::from_millis(4_900)).await;
        assert_eq!(pending(world).await, ["bread", "tea"]);
        world.advance(Duration::from_millis(200)).await;
        assert_eq!(pending(world).await, ["bread"]);
        assert_eq!(fired(world).await, [("tea".to_owned(), 0)]);
    });
}

#[test]
fn sessions_hear_a_reminder_as_json() {
    in_world(async |world| {
        let mut listener = world.connect("reminders", "ada", "").await.unwrap();
        listener
            .send("frames are not for this actor, and do it no harm")
            .await;
        remind(world, "tea", 1_000, None).await;
        let heard = listener.next_json().await.expect("a frame within a minute");
        let heard: Fired = serde_json::from_value(heard).unwrap();
        assert_eq!(
            (heard.name.as_str(), heard.text.as_str()),
            ("tea", "the tea is ready")
        );
    });
}

#[test]
fn a_reminder_that_must_be_heard_is_retried_until_somebody_listens() {
    in_world(async |world| {
        remind(world, "tea", 1_000, Some(true)).await;
        // Fails after 1 s, and again 2 s and 4 s later, each with up to a quarter more.
        world.advance(Duration::from_secs(9)).await;
        assert_eq!(fired(world).await, []);
        assert_eq!(pending(world).await, ["tea"]);
        let mut listener = world.connect("reminders", "ada", "").await.unwrap();
        assert!(listener.next().await.is_some());
        assert_eq!(fired(world).await, [("tea".to_owned(), 3)]);
    });
}

#[test]
fn a_cancelled_reminder_does_not_fire() {
    in_world(async |world| {
        remind(world, "tea", 1_000, None).await;
        let ada = world.actor::<Reminders>("ada");
        assert!(ada.cancel("tea".to_owned()).await.unwrap());
        assert!(!ada.cancel("tea".to_owned()).await.unwrap());
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(fired(world).await, []);
    });
}

#[test]
fn a_reminder_needs_a_name() {
    in_world(async |world| {
        let ada = world.actor::<Reminders>("ada");
        let nameless = ada.remind(String::new(), 1, String::new(), None).await;
        let Err(CallError::Actor(refusal)) = nameless else {
            panic!("not refused")
        };
        assert_eq!(refusal.code, "invalid-name");
    });
}

/// The world begins on a Thursday, 2026-01-01 00:00 UTC.
#[test]
fn a_reminder_by_the_calendar_comes_again_until_it_is_cancelled() {
    in_world(async |world| {
        let ada = world.actor::<Reminders>("ada");
        let set = |cron: &str| {
            let texts = ["standup", cron, "UTC", "stand up"].map(str::to_owned);
            let [name, cron, zone, text] = texts;
            ada.remind_by_calendar(name, cron, zone, text)
        };
        set("45 9 * * MON-FRI").await.unwrap();
        let day = Duration::from_secs(86_400);
        world.advance(4 * day).await;
        assert_eq!(fired(world).await.len(), 2, "on Thursday and on Friday");
        assert_eq!(pending(world).await, ["standup"]);
        assert!(ada.cancel("standup".to_owned()).await.unwrap());
        world.advance(4 * day).await;
        assert_eq!(fired(world).await.len(), 2);
        let Err(CallError::Actor(refusal)) = set("every morning").await else {
            panic!("not refused")
        };
        assert_eq!(refusal.code, "invalid-cron");
    });
}
