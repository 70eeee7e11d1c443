#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn look(&self, ctx: &mut Context<Self>) -> u64 {
        0
    }
}

fn main() {}
