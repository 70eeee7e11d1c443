#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn enter(&mut self) {}

    #[call]
    fn enter(&mut self, name: String) {}

    #[call]
    fn message(&mut self, text: String) {}
}

fn main() {}
