#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

type Outcome = Result<u64, String>;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn refuse(&mut self) -> Outcome {
        Err("no".to_owned())
    }
}

fn main() {}
