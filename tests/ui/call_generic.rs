#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn any<T: Serialize>(&mut self, value: T) {
        drop(value);
    }

    #[call]
    fn borrowed<'a>(&'a self) {}
}

fn main() {}
