#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[actor]
#[derive(Default, Serialize, Deserialize)]
struct Room;

fn main() {}
