#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[derive(Default, Serialize, Deserialize)]
struct Room;

#[actor]
impl Room {
    #[call]
    fn late(&mut self, number: u64, ctx: &mut Context<Self>) {}

    #[call]
    fn twice(&mut self, ctx: &mut Context<Self>, again: &Context<Self>) {}

    #[call]
    fn owned(&mut self, ctx: Context<Self>) {}
}

fn main() {}
