#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn nobody(number: u64) -> u64 {
        number
    }

    #[call]
    fn swallow(self) {}

    #[call]
    fn boxed(self: Box<Self>) {}
}

fn main() {}
