#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    async fn message(&mut self, frame: Frame) {}

    fn alarm(&mut self, ctx: &mut Context<Self>) {}

    fn tick(&mut self, ctx: &mut Context<Self>, number: u64) {}

    fn activated() {}
}

#[derive(Default, Serialize, Deserialize)]
struct Game;

#[actor]
impl Game {
    fn tick(&mut self, ticked: &Ticked, more: u64) {}
}

fn main() {}
