#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room<T>(T);

#[actor]
impl<T> Room<T> {
    #[call]
    fn enter(&mut self) {}
}

fn main() {}
