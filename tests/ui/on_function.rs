#![allow(unused)] // what matters here is what the macro says

use abide::prelude::*;

#[actor]
fn main() {}
