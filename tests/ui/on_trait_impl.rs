#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Drop for Room {
    fn drop(&mut self) {}
}

fn main() {}
