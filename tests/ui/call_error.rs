#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

struct NoError;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn refuse(&mut self) -> Result<u64, NoError> {
        Err(NoError)
    }
}

fn main() {}
