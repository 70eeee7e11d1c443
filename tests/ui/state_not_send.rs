#![allow(unused)] // what matters here is what the macro says

use std::rc::Rc;

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room {
    #[serde(skip)]
    shared: Rc<u8>,
}

#[actor]
impl Room {
    #[call]
    fn enter(&mut self) {}
}

fn main() {}
