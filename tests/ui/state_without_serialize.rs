#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn enter(&mut self) {}
}

fn main() {}
