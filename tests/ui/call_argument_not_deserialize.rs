#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

struct Point;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn go(&mut self, to: Point) {
        drop(to);
    }
}

fn main() {}
