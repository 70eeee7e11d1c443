//! One object with far more rows than memory should hold: 64 MiB here, any size by hand.
//!
//! ```sh
//! ABIDE_LARGE_STATE_MIB=1024 cargo test --release --test blackbox large_state -- --nocapture
//! ```

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::http::{Client, Response, get};
use crate::support::process::Abide;

const VALUE_SIZE_BYTES: usize = 128 << 10;

/// The size in MiB.
fn size_mib() -> usize {
    let given = std::env::var("ABIDE_LARGE_STATE_MIB");
    given.map_or(64, |text| text.parse().unwrap())
}

/// A client that remembers how long it waited at most.
struct Timed {
    client: Client,
    longest: Duration,
}

impl Timed {
    async fn connect(server: &Abide) -> Self {
        Self {
            client: Client::connect(server.addr).await,
            longest: Duration::ZERO,
        }
    }

    async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Response {
        let began = Instant::now();
        let headers = [("content-type", "application/json")];
        let response = self.client.send(method, path, &headers, body).await;
        self.longest = self.longest.max(began.elapsed());
        assert_eq!(response.status, 200, "{method} {path}: {}", response.text());
        response
    }
}

async fn counted_bytes(server: &Abide) -> usize {
    let metrics = get(server.admin_addr, "/metrics").await;
    let mut lines = metrics.text().lines();
    let line = lines.find(|line| line.starts_with("abide_memory_used_bytes "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// What it costs is told, not asserted: a test shares its machine with others.
#[tokio::test]
async fn an_object_with_many_rows_is_opened_called_and_listed_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let rows = size_mib() * (1 << 20) / VALUE_SIZE_BYTES;
    let server = Abide::start(folder.path());
    let (mut large, mut other) = (Timed::connect(&server).await, Timed::connect(&server).await);
    for row in 0..rows {
        // Bytes that no engine can compress away.
        let value: String = (0..VALUE_SIZE_BYTES)
            .map(|_| fastrand::alphanumeric())
            .collect();
        let put = json!({ "key": format!("{row:08}"), "value": value });
        large
            .send("POST", "/v1/kv/large/put", put.to_string().as_bytes())
            .await;
        other
            .send("POST", "/v1/counter/other/increment", b"{\"by\":1}")
            .await;
    }
    let (written, beside) = (large.longest, other.longest);
    assert!(
        counted_bytes(&server).await < 4 << 20,
        "rows are on the disk, not in the object"
    );
    let resident_bytes = server.resident_bytes();
    server.terminate();
    assert!(server.wait().success());

    let began = Instant::now();
    let server = Abide::start(folder.path());
    let opened = began.elapsed();
    let mut large = Timed::connect(&server).await;
    let last = format!("/v1/kv/large/get?key={:08}", rows - 1);
    let value = large.send("GET", &last, b"").await.json();
    let first_call = large.longest;
    assert_eq!(value["value"].as_str().unwrap().len(), VALUE_SIZE_BYTES);
    let page = large.send("GET", "/v1/kv/large/list?limit=4", b"").await;
    assert_eq!(page.json()["entries"].as_array().unwrap().len(), 4);
    let put = json!({ "key": "one more", "value": 1 });
    let written_one = large
        .send("POST", "/v1/kv/large/put", put.to_string().as_bytes())
        .await;
    assert_eq!(written_one.json()["revision"], rows as u64 + 1);
    let mut other = Timed::connect(&server).await;
    let count = other.send("GET", "/v1/counter/other/get", b"").await;
    assert_eq!(count.json(), rows as u64, "every write beside it is there");
    assert!(counted_bytes(&server).await < 4 << 20);
    println!(
        "{} MiB in {rows} rows: longest write {written:?}, longest call beside it {beside:?}, {} MiB resident; \
         start {opened:?}, first call {first_call:?}, {} MiB resident after it",
        size_mib(),
        resident_bytes >> 20,
        server.resident_bytes() >> 20,
    );
}
