#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    async fn message(&mut self, session: &Session, frame: String) {}

    async fn alarm(&mut self, ctx: &mut Context<Self>, name: String) {}
}

fn main() {}
