//! Durable maps with compare-and-set and expiry.
//!
//! ```text
//! cargo run --example kv
//!
//! curl -X POST http://127.0.0.1:7878/v1/kv/settings/put -H 'Content-Type: application/json' \
//!      -d '{"key": "theme", "value": {"dark": true}}'          # {"revision":1,"expires_at":null}
//! curl 'http://127.0.0.1:7878/v1/kv/settings/get?key=theme'
//! curl -X POST http://127.0.0.1:7878/v1/kv/settings/put -H 'Content-Type: application/json' \
//!      -d '{"key": "theme", "value": 0, "if_revision": 7}'     # 409, revision-conflict
//! curl -X POST http://127.0.0.1:7878/v1/kv/settings/put -H 'Content-Type: application/json' \
//!      -d '{"key": "code", "value": 123456, "ttl_ms": 60000}'  # gone in a minute
//! curl 'http://127.0.0.1:7878/v1/kv/settings/list?limit=10'
//! ```

mod kv;
#[cfg(test)]
mod tests;

use abide::prelude::*;

use crate::kv::Kv;

#[tokio::main]
async fn main() -> abide::Result<()> {
    Server::builder().actor::<Kv>("kv").run().await
}
