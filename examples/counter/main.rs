//! A counter per name, over HTTP.
//!
//! ```text
//! cargo run --example counter
//!
//! curl -X POST http://127.0.0.1:7878/v1/counter/visits/increment -d '{"by": 2}' \
//!      -H 'Content-Type: application/json'                      # 2
//! curl http://127.0.0.1:7878/v1/counter/visits/get              # 2
//! curl -X POST http://127.0.0.1:7878/v1/counter/visits/reset    # 2, and it is 0 now
//! ```
//! Stop the server in between: the number is still there.

mod counter;
#[cfg(test)]
mod tests;

use abide::prelude::*;

use crate::counter::Counter;

#[tokio::main]
async fn main() -> abide::Result<()> {
    Server::builder().actor::<Counter>("counter").run().await
}
