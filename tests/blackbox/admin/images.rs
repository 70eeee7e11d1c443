//! `abide export`, `import` and `fork` over the real binary.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::{post, send};
use crate::support::process::{Abide, command, end};
use crate::support::socket::Socket;

/// A server, and a folder beside its data for files.
struct Place {
    folder: TempDir,
    server: Abide,
}

impl Place {
    fn new(engine: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Abide::start_with(&folder.path().join("data"), &["--engine", engine]);
        Self { folder, server }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command();
        command
            .env("ABIDE_ADMIN", format!("http://{}", self.server.admin_addr))
            .args(arguments);
        end(&mut command)
    }

    /// Runs a command that must succeed; what it said.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must be refused with these words.
    #[track_caller]
    fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {said}");
        assert!(said.contains(words), "{words} in {said}");
    }

    #[track_caller]
    fn export(&self, object: &str) -> Value {
        serde_json::from_str(&self.done(&["export", object])).unwrap()
    }

    fn file(&self, content: &Value) -> PathBuf {
        let path = self.folder.path().join("object.json");
        std::fs::write(&path, content.to_string()).unwrap();
        path
    }

    async fn increment(&self, name: &str, by: u64) -> Value {
        let path = format!("/v1/counter/{name}/increment");
        let reply = post(self.server.addr, &path, &format!("[{by}]")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An export without what names the one moment and the one object.
fn content(mut file: Value) -> Value {
    for member in ["exported_at", "id", "name", "version", "replies"] {
        file.as_object_mut().unwrap().remove(member);
    }
    file
}

async fn round_trip(engine: &str) {
    let place = Place::new(engine);
    for (key, value) in [("a", "1"), ("Größe 🦀", r#"{"deep": [1, null, "x"]}"#)] {
        let body = format!(r#"{{"key": "{key}", "value": {value}}}"#);
        let reply = post(
            place.server.addr,
            "/v1/kv/%C3%BCber%2F%F0%9F%A6%80/put",
            &body,
        )
        .await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let exported = place.export("kv/über/🦀");
    assert_eq!(exported["format"], "abide-object-1");
    assert_eq!(exported["name"], "über/🦀");
    assert_eq!(exported["version"], 2);

    let file = place.file(&exported);
    let file = as_text(&file);
    place.refused(&["import", file], "object-exists");
    let said = place.done(&["import", file, "--as", "kv/copy/of it"]);
    assert_eq!(said, "kv/copy/of it is at version 1\n");
    let copy = place.export("kv/copy/of it");
    assert_eq!(content(copy), content(exported.clone()));

    // Into an empty server of the other engine, and back to the same object.
    let other = if engine == "sled" { "redb" } else { "sled" };
    let elsewhere = Place::new(other);
    elsewhere.done(&["import", file]);
    let there = elsewhere.export("kv/über/🦀");
    assert_eq!(there["id"], exported["id"]);
    assert_eq!(content(there), content(exported));
}

#[tokio::test]
async fn what_is_exported_is_imported_over_sled() {
    round_trip("sled").await;
}

#[tokio::test]
async fn what_is_exported_is_imported_over_redb() {
    round_trip("redb").await;
}

#[tokio::test]
async fn an_object_is_set_back_and_its_sessions_come_back() {
    let place = Place::new("sled");
    let Place { server, folder } = &place;
    assert_eq!(place.increment("visits", 7).await, 7);
    let file = folder.path().join("visits.json");
    place.done(&["export", "counter/visits", "-o", as_text(&file)]);
    place.refused(
        &["export", "counter/visits", "-o", as_text(&file)],
        "exists",
    );
    let exported: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(exported["state"]["json"], serde_json::json!({"value": 7}));
    assert_eq!(place.increment("visits", 5).await, 12);

    let file = as_text(&file);
    place.refused(&["import", file], "object-exists");
    place.refused(&["import", file, "--if-version", "1"], "version-mismatch");
    let said = place.done(&["import", file, "--if-version", "2", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["version"], 3, "it goes on, and is not set back");
    assert_eq!(place.increment("visits", 1).await, 8);

    for room in ["room", "other"] {
        let path = format!("/v1/chat/{room}/post");
        let line = format!(r#"{{"from": "{room}", "text": "hello"}}"#);
        assert_eq!(post(server.addr, &path, &line).await.status, 200);
    }
    let guest = Socket::open(server.addr, "/v1/chat/room?name=a", &[]).await;
    let mut guest = guest.unwrap().0;
    assert!(guest.text().await.contains("welcome"));
    let same = place.done(&["fork", "chat/room", "chat/room", "--replace"]);
    assert_eq!(same, "chat/room is at version 1\n", "nothing differs");
    let other = place.done(&["fork", "chat/other", "chat/room", "--replace"]);
    assert_eq!(other, "chat/room is at version 2\n");
    assert_eq!(u16::from(guest.closed().await.code), 1_012);
}

#[tokio::test]
async fn a_restored_object_survives_the_crash_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Abide::start(&data);
    let place = Place { folder, server };
    place.increment("a", 7).await;
    place.done(&["fork", "counter/a", "counter/b"]);
    let Place { folder, server } = place;
    server.kill();
    let server = Abide::start(&data);
    let place = Place { folder, server };
    assert_eq!(place.increment("b", 1).await, 8);
    assert_eq!(place.export("counter/a")["version"], 1);
}

/// How a file is made wrong, and words of the refusal.
type Case<'a> = (&'a dyn Fn(&mut Value), &'a str);

#[tokio::test]
async fn what_cannot_be_right_changes_nothing() {
    let place = Place::new("sled");
    place.increment("a", 7).await;
    let right = place.export("counter/a");
    place.refused(&["export", "counter/none"], "object-not-found");
    place.refused(&["export", "none/a"], "unknown-namespace");
    place.refused(&["fork", "counter/a", "chat/a"], "kind-mismatch");
    place.refused(&["fork", "counter/a", "counter/a"], "object-exists");

    let tampered = |change: &dyn Fn(&mut Value)| {
        let mut file = right.clone();
        change(&mut file);
        place.file(&file)
    };
    let cases: [Case; 5] = [
        (&|f| f["state"]["bytes"] = "!".into(), "no base64"),
        (&|f| f["state"]["bytes"] = "AQcH".into(), "invalid-image"),
        (&|f| f["namespace"] = "kv".into(), "does not belong"),
        (
            &|f| f["format"] = "abide-object-9".into(),
            "reads abide-object-1",
        ),
        (&|f| f["more"] = 1.into(), "unknown field"),
    ];
    for (change, words) in cases {
        let file = tampered(change);
        place.refused(&["import", as_text(&file), "--replace"], words);
    }
    let path = place.folder.path().join("none.json");
    place.refused(&["import", as_text(&path)], "none.json");

    // The same by hand, to a server that trusts no client.
    let put = async |query: &str, body: &[u8]| {
        let to = place.server.admin_addr;
        let path = format!("/admin/v1/objects/counter/a?{query}");
        let host = to.to_string();
        let headers = [
            ("host", host.as_str()),
            ("content-type", "application/json"),
        ];
        send(to, "PUT", &path, &headers, body).await
    };
    let replace = "replace=true";
    for wrong in ["", "{", "[]", "{\"format\":\"abide-object-1\"}"] {
        let reply = put(replace, wrong.as_bytes()).await;
        reply.problem(400, "invalid-object-file");
    }
    let foreign = right
        .to_string()
        .replace("\"bytes\":\"AQc=\"", "\"bytes\":\"AQ==\"");
    assert_ne!(foreign, right.to_string());
    let reply = put(replace, foreign.as_bytes()).await;
    reply.problem(422, "invalid-image");
    for wrong in ["replace=perhaps", "replace=true&at=1", "replaced=true"] {
        let reply = put(wrong, right.to_string().as_bytes()).await;
        reply.problem(400, "invalid-arguments");
    }
    let after = place.export("counter/a");
    assert_eq!(after["version"], 1);
    assert_eq!(content(after), content(right));
}

#[tokio::test]
async fn an_object_too_large_for_a_commit_is_refused_and_nothing_changes() {
    let place = Place::new("sled");
    place.increment("a", 7).await;
    let mut file = place.export("counter/a");
    let value = "A".repeat(4 << 20);
    file["data"] = (0..3)
        .map(|n| serde_json::json!({"key": format!("AAA{n}"), "value": value}))
        .collect();
    let path = place.file(&file);
    place.refused(&["import", as_text(&path), "--replace"], "commit-too-large");
    assert_eq!(place.export("counter/a")["version"], 1);
}

#[tokio::test]
async fn an_object_is_set_back_to_a_moment_of_history_and_no_other_is() {
    let place = Place::new("sled");
    for by in [1, 10, 100] {
        place.increment("a", by).await;
        place.increment("b", by).await;
    }
    // Commits of all objects are counted together: 3 is the second one of "a".
    let then: Value =
        serde_json::from_str(&place.done(&["export", "counter/a", "--at", "3"])).unwrap();
    assert_eq!(
        (&then["version"], &then["state"]["json"]["value"]),
        (&2.into(), &11.into())
    );
    place.done(&["fork", "counter/a", "counter/then", "--at", "3"]);
    place.refused(
        &["fork", "counter/a", "counter/a", "--at", "3"],
        "object-exists",
    );
    place.done(&["fork", "counter/a", "counter/a", "--at", "3", "--replace"]);
    assert_eq!(place.increment("a", 1).await, 12);
    assert_eq!(place.increment("b", 1).await, 112);
    assert_eq!(place.increment("then", 1).await, 12);
    assert_eq!(place.export("counter/a")["version"], 5);

    place.refused(&["export", "counter/b", "--at", "1"], "object-not-found");
    place.refused(
        &["export", "counter/a", "--at", "yesterday"],
        "no time of RFC 3339",
    );
    place.refused(&["export", "counter/a", "--at", "9999"], "backup-refused");
    let memory = Place::new("memory");
    memory.increment("a", 1).await;
    memory.refused(&["export", "counter/a", "--at", "1"], "backup-refused");
}
