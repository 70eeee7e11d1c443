//! Frames of a chat: nobody else notices what one client sends.

use std::time::Duration;

use abide_actors::Frame;
use abide_actors::testing::World;

use super::objects::chat::Chat;
use super::objects::in_world;
use super::parts::Part;

/// The name comes in the URL; the frames may be anything.
pub(super) fn run(name: &[u8], frames: &[Part<'_>]) {
    in_world(async |world| {
        let mut witness = world
            .connect("chat", "fuzzed", "name=witness")
            .await
            .expect("the name is fine");
        let name = String::from_utf8_lossy(name);
        // Some names are refused; then there is nobody to send frames.
        if let Ok(mut client) = world.connect("chat", "fuzzed", &name).await {
            for part in frames {
                let text = String::from_utf8_lossy(part.bytes);
                match part.kind % 4 {
                    0 => client.send(part.bytes.to_vec()).await,
                    // The object sleeps, the sessions stay.
                    1 => world.advance(Duration::from_secs(20)).await,
                    _ => client.send(text.as_ref()).await,
                }
            }
            let heard = client.arrived().await;
            assert!(heard.iter().all(is_event), "{heard:?}");
            let closed = tokio::time::timeout(Duration::from_millis(1), client.closed()).await;
            assert!(closed.is_err(), "a frame ended its session: {closed:?}");
        }
        let heard = witness.arrived().await;
        assert!(heard.iter().all(is_event), "{heard:?}");
        let before = history(world).await;
        assert!(before.len() <= frames.len());
        world.crash().await;
        assert_eq!(history(world).await, before);
    });
}

async fn history(world: &World) -> Vec<String> {
    let lines = world.actor::<Chat>("fuzzed").history(None, None).await;
    let lines = lines.expect("the history can be read");
    let told = lines.iter().map(|line| format!("{line:?}"));
    assert!(lines.iter().all(|line| line.text.chars().count() <= 4_000));
    told.collect()
}

/// What a room says is JSON with a type.
fn is_event(frame: &Frame) -> bool {
    let text = frame.as_text().unwrap_or_default();
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|event| event["type"].is_string())
}
