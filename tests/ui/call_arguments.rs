#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn text(&mut self, text: &str) {}

    #[call]
    fn bytes(&mut self, bytes: &[u8]) {}

    #[call]
    fn opaque(&mut self, text: impl Into<String>) {}

    #[call]
    fn pattern(&mut self, (x, y): (u8, u8)) {}

    #[call]
    fn nameless(&mut self, _: u8) {}
}

fn main() {}
