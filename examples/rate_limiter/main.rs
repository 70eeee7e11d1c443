//! Token buckets: whoever must be limited has one under its own name.
//!
//! ```text
//! cargo run --example rate_limiter
//!
//! curl -X POST http://127.0.0.1:7878/v1/rate_limiter/203.0.113.9/take -d '{"cost": 8}' \
//!      -H 'Content-Type: application/json'
//! # {"allowed":true,"remaining":2,"retry_after_ms":0}
//! # the same again, at once:
//! # {"allowed":false,"remaining":2,"retry_after_ms":1200}, less what time has passed
//! curl -X POST http://127.0.0.1:7878/v1/rate_limiter/203.0.113.9/configure \
//!      -H 'Content-Type: application/json' -d '{"burst": 100, "per_second": 50}'
//! ```

mod rate_limiter;
#[cfg(test)]
mod tests;

use abide::prelude::*;

use crate::rate_limiter::RateLimiter;

#[tokio::main]
async fn main() -> abide::Result<()> {
    Server::builder()
        .actor::<RateLimiter>("rate_limiter")
        .run()
        .await
}
