//! What wrote `tests/golden/data-1`, and what is in it. Frozen: see the module above.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abide::prelude::*;
use abide::{Call, Deadline, Payload};
use abide_actors::{ActorKind, Clock, Limits, Runtime};
use abide_storage::{EngineKind, LogStore, Options, Store};

/// 2026-01-01 00:00 UTC.
pub(super) const WRITTEN: Timestamp = Timestamp(1_767_225_600_000);
/// 2100-01-01 00:00 UTC.
pub(super) const FAR: u64 = 4_102_444_800_000;

/// Handlers of the alarm that always fails. Counted for all tests at once: more is no harm.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// An object that uses all that is stored of objects: state, rows, alarms, a name.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Ledger {
    pub(super) entries: u64,
    pub(super) note: Option<String>,
    pub(super) tags: Vec<(i32, f64, char)>,
    pub(super) fired: Vec<(String, u64, u32)>,
}

#[actor]
impl Ledger {
    #[call]
    fn put(
        &mut self,
        ctx: &mut Context<Self>,
        key: String,
        value: String,
    ) -> Result<(), CallError> {
        self.entries += 1;
        ctx.storage_mut().put(&key, &value)
    }

    /// A value of so many bytes, which engines keep in another way than small ones.
    #[call]
    fn put_large(
        &mut self,
        ctx: &mut Context<Self>,
        key: String,
        size: usize,
    ) -> Result<(), CallError> {
        self.entries += 1;
        ctx.storage_mut().put(&key, &"x".repeat(size))
    }

    #[call]
    fn delete(&mut self, ctx: &mut Context<Self>, key: String) -> Result<(), CallError> {
        self.entries += 1;
        ctx.storage_mut().delete(&key)
    }

    #[call]
    fn note(&mut self, note: String) {
        self.tags.push((-1, 0.5, 'ß'));
        self.note = Some(note);
    }

    #[call]
    fn wake(&mut self, ctx: &mut Context<Self>, name: String, at_ms: u64) -> Result<(), CallError> {
        ctx.set_alarm(&name, Timestamp(at_ms))
    }

    #[call]
    async fn describe(&self, ctx: &Context<Self>) -> Result<String, CallError> {
        let mut text = format!("entries {}", self.entries);
        if let Some(note) = &self.note {
            _ = write!(text, ", note {note:?}, tags {:?}", self.tags);
        }
        let names = ["", "far", "größer", "failing"];
        let alarms = names
            .iter()
            .filter_map(|name| Some((*name, ctx.alarm(name)?.0.saturating_sub(FAR))));
        _ = write!(text, ", alarms {:?}, rows {{", alarms.collect::<Vec<_>>());
        let rows = ctx.storage().list::<String>(Keys::all()).await?;
        for (number, (key, value)) in rows.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let start: String = value.chars().take(5).collect();
            _ = write!(text, "{comma}{key:?}: {} {start:?}", value.len());
        }
        text.push('}');
        Ok(text)
    }

    /// What has fired: name, milliseconds after [`FAR`], failures before.
    #[call]
    fn fired(&self) -> String {
        let mut fired: Vec<_> = self
            .fired
            .iter()
            .map(|(n, at, f)| format!("{n} {at} {f}"))
            .collect();
        fired.sort_unstable();
        fired.join(", ")
    }

    fn alarm(&mut self, alarm: Alarm) -> Result<(), ActorError> {
        if &*alarm.name == "failing" {
            FAILURES.fetch_add(1, Ordering::Relaxed);
            return Err(ActorError::new(
                "golden",
                "it is to be stored with a failure",
            ));
        }
        self.fired.push((
            alarm.name.to_string(),
            alarm.scheduled.0.saturating_sub(FAR),
            alarm.retries,
        ));
        Ok(())
    }
}

/// Objects and what `describe` says of them.
pub(super) const EXPECTED: [(&str, &str); 5] = [
    ("plain", r#"entries 1, alarms [], rows {"k": 1 "v"}"#),
    (
        "Größe/ü 🦀",
        r#"entries 0, note "naïve", tags [(-1, 0.5, 'ß'), (-1, 0.5, 'ß')], alarms [], rows {}"#,
    ),
    (
        "large",
        r#"entries 5, alarms [], rows {"a": 9000 "xxxxx", "b": 4096 "xxxxx", "c": 3 "xxx"}"#,
    ),
    (
        "waiting",
        r#"entries 0, alarms [("", 5), ("far", 70000), ("größer", 3), ("failing", 0)], rows {}"#,
    ),
    (
        "in the log",
        r#"entries 2, alarms [], rows {"key": 6 "again", "large": 5000 "xxxxx"}"#,
    ),
];

/// Names and versions.
pub(super) const LISTED: [(&str, u64); 5] = [
    ("Größe/ü 🦀", 2),
    ("in the log", 2),
    ("large", 5),
    ("plain", 1),
    ("waiting", 5),
];

/// Due and name. The one that failed is parked, which takes it out of the index.
pub(super) const ALARMS: [(u64, &str); 3] =
    [(FAR + 3, "größer"), (FAR + 5, ""), (FAR + 70_000, "far")];

pub(super) const FIRED: &str = " 5 0, far 70000 0, größer 3 0";

/// Small segments, so that the folder is small.
pub(super) fn options() -> Options {
    Options {
        first_segment_size_bytes: 64 << 10,
        segment_size_bytes: 1 << 20,
        engine_cache_size_bytes: 1 << 20,
        ..Options::default()
    }
}

pub(super) fn start(store: Arc<LogStore>, now: Timestamp) -> Runtime {
    let limits = Limits {
        alarm_retries_max: Some(0),
        ..Limits::default()
    };
    let builder = Runtime::builder(store)
        .clock(Clock::starting_at(now))
        .seed(1)
        .limits(limits);
    builder
        .register("ledger", ActorKind::<Ledger>::new())
        .unwrap()
        .start()
}

/// Calls a method with JSON arguments; the reply is text, or nothing.
pub(super) async fn call(node: &Runtime, name: &str, method: &str, arguments: &str) -> String {
    let target = node.target("ledger", name).unwrap();
    let deadline = Deadline::after(Duration::from_secs(60));
    let call = Call::new(method, Payload::json(arguments.to_owned()), deadline);
    let reply = node.call(&target, call).await.unwrap();
    serde_json::from_slice::<Option<String>>(&reply.payload.bytes)
        .unwrap()
        .unwrap_or_default()
}

/// Writes the folder: most of it through a checkpoint into the engine, the rest in the log only.
pub(super) async fn write(path: &Path, engine: EngineKind) {
    let options = Options {
        engine,
        ..options()
    };
    let store = LogStore::open(path, options.clone()).unwrap();
    let node = start(store.clone(), WRITTEN);
    call(&node, "plain", "put", r#"["k", "v"]"#).await;
    call(&node, "Größe/ü 🦀", "note", r#"["first"]"#).await;
    call(&node, "Größe/ü 🦀", "note", r#"["naïve"]"#).await;
    for arguments in [
        r#"["a", 9000]"#,
        r#"["b", 4096]"#,
        r#"["c", 20000]"#,
        r#"["c", 3]"#,
    ] {
        call(&node, "large", "put_large", arguments).await;
    }
    call(&node, "large", "delete", r#"["a never"]"#).await;
    call(
        &node,
        "waiting",
        "wake",
        &format!(r#"["far", {}]"#, FAR + 70_000),
    )
    .await;
    call(&node, "waiting", "wake", &format!(r#"["", {}]"#, FAR + 5)).await;
    // Fails at once, and is parked.
    let failures = FAILURES.load(Ordering::Relaxed);
    call(&node, "waiting", "wake", r#"["failing", 1]"#).await;
    while FAILURES.load(Ordering::Relaxed) == failures {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    node.drain().await;
    store.shutdown().await;
    drop((node, store));

    let store = LogStore::open(path, options).unwrap();
    let node = start(store.clone(), WRITTEN);
    call(&node, "in the log", "put_large", r#"["large", 5000]"#).await;
    call(&node, "in the log", "put", r#"["key", "again!"]"#).await;
    call(
        &node,
        "waiting",
        "wake",
        &format!(r#"["größer", {}]"#, FAR + 3),
    )
    .await;
    node.drain().await;
    // Without a shutdown, so that the log is read by whoever opens it next.
}
