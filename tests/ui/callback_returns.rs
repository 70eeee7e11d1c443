#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    fn tick(&mut self) -> u64 {
        1
    }

    fn connected(&mut self, session: &Session, request: &ConnectRequest) -> Result<(), String> {
        Ok(())
    }

    fn fetch(&mut self, request: Request<Body>) -> String {
        String::new()
    }

    fn alarm(&mut self, alarm: Alarm) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
