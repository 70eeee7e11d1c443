#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

struct Point;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn place(&self) -> Point {
        Point
    }

    #[call]
    async fn checked_place(&mut self) -> Result<Point, CallError> {
        Ok(Point)
    }
}

fn main() {}
