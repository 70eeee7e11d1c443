//! Parked alarms over the admin listener: listed, run, done.

use abide::Config;
use abide::prelude::*;
use serde_json::Value;

use crate::support::http::{get, post, send};
use crate::support::process::{command, end};
use crate::support::{PATIENCE, config};

/// Its alarm sets itself again, for at once, until it has had all its turns.
#[derive(Default, Serialize, Deserialize)]
struct Looper {
    turns: u64,
    turns_wanted: u64,
}

#[actor]
impl Looper {
    #[call]
    fn begin(&mut self, ctx: &mut Context<Self>, turns: u64) -> Result<(), CallError> {
        self.turns_wanted = turns;
        ctx.set_alarm("loop", Duration::ZERO)
    }

    #[call]
    fn wait(&mut self, ctx: &mut Context<Self>) -> Result<(), ActorError> {
        Ok(ctx.set_alarm("later", Cron::new("@yearly", "Europe/Berlin")?)?)
    }

    #[call]
    fn wait_for(&mut self, ctx: &mut Context<Self>, cron: String) -> Result<(), ActorError> {
        Ok(ctx.set_alarm("later", Cron::new(&cron, "UTC")?)?)
    }

    #[call]
    fn turns(&self) -> u64 {
        self.turns
    }

    fn alarm(&mut self, ctx: &mut Context<Self>, alarm: Alarm) -> Result<(), CallError> {
        self.turns += 1;
        if self.turns < self.turns_wanted {
            ctx.set_alarm(&alarm.name, Duration::ZERO)?;
        }
        Ok(())
    }
}

async fn server() -> abide::Running {
    let config = Config {
        alarm_chain_max: 3,
        // What the tests' client calls its host.
        admin_names: "test".parse().unwrap(),
        ..config()
    };
    let server = Server::builder().config(config).actor::<Looper>("looper");
    server.start().await.unwrap()
}

async fn turns(server: &abide::Running) -> Value {
    get(server.addr(), "/v1/looper/a/turns").await.json()
}

/// Waits until the object's alarm has had so many turns.
async fn until_turns(server: &abide::Running, wanted: u64) {
    let had = async {
        while turns(server).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, had).await.unwrap();
}

/// `abide alarms` with these arguments: exit code and both outputs.
async fn alarms(server: &abide::Running, arguments: &[&str]) -> (Option<i32>, String) {
    let admin = format!("http://{}", server.admin_addr());
    let arguments: Vec<_> = arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect();
    let output = tokio::task::spawn_blocking(move || {
        end(command()
            .args(["alarms", "--admin", &admin])
            .args(arguments))
    });
    let output = output.await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_parked_alarm_is_listed_run_and_done() {
    let server = server().await;
    let begun = post(server.addr(), "/v1/looper/a/begin", r#"{"turns": 6}"#).await;
    assert_eq!(begun.status, 200);
    until_turns(&server, 4).await;

    let (code, parked) = alarms(&server, &["--parked", "--json"]).await;
    assert_eq!(code, Some(0), "{parked}");
    let alarm: Value = serde_json::from_str(&parked).unwrap();
    assert_eq!(
        (&alarm["alarm"], &alarm["parked"]),
        (&"loop".into(), &"loop".into())
    );
    let object = alarm["object"].as_str().unwrap();
    assert!(object.starts_with("looper/id:"), "{object}");
    assert!(alarm.get("due_ms").is_none());
    let (_, text) = alarms(&server, &["--parked", "--namespace", "looper"]).await;
    assert!(
        text.starts_with("parked 2") && text.contains("(loop)"),
        "{text}"
    );
    let metrics = get(server.admin_addr(), "/metrics").await;
    assert!(metrics.text().contains("abide_alarms_parked_total 1\n"));

    let run = alarms(&server, &["--run", object, "--alarm", "loop"]).await;
    assert_eq!(run.0, Some(0), "{}", run.1);
    until_turns(&server, 6).await;
    assert_eq!(
        alarms(&server, &["--parked"]).await,
        (Some(0), String::new())
    );
    assert_eq!(alarms(&server, &[]).await, (Some(0), String::new()));

    let (code, said) = alarms(&server, &["--run", "looper/a", "--alarm", "loop"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("unknown-alarm"), "{said}");
}

#[tokio::test]
async fn a_pending_alarm_is_listed_with_its_calendar_and_run_ahead_of_its_time() {
    let server = server().await;
    for object in ["a", "b", "c"] {
        let path = format!("/v1/looper/{object}/wait");
        assert_eq!(post(server.addr(), &path, "[]").await.status, 200);
    }
    let (_, pending) = alarms(&server, &["--json", "--limit", "2"]).await;
    assert_eq!(pending.lines().count(), 2);
    let alarm: Value = serde_json::from_str(pending.lines().next().unwrap()).unwrap();
    assert_eq!(alarm["cron"], "@yearly Europe/Berlin");
    assert_eq!(
        alarms(&server, &["--run", "looper/a", "--alarm", "later"])
            .await
            .0,
        Some(0)
    );
    until_turns(&server, 1).await;
    let (_, pending) = alarms(&server, &["--json"]).await;
    assert_eq!(
        pending.lines().count(),
        3,
        "it is set for the next year again"
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let server = server().await;
    let invalid = post(server.addr(), "/v1/looper/a/wait_for", r#"["0 0 30 2 *"]"#).await;
    let detail = invalid.problem(422, "invalid-cron");
    assert!(detail.contains("it never occurs"), "{detail}");
    let json = ("content-type", "application/json");
    for (method, path, body, status, code) in [
        (
            "GET",
            "/admin/v1/alarms?state=lost",
            "",
            400,
            "invalid-arguments",
        ),
        (
            "GET",
            "/admin/v1/alarms?colour=red",
            "",
            400,
            "invalid-arguments",
        ),
        (
            "GET",
            "/admin/v1/alarms?after=1:x",
            "",
            400,
            "invalid-arguments",
        ),
        (
            "GET",
            "/admin/v1/alarms?namespace=no",
            "",
            404,
            "unknown-namespace",
        ),
        (
            "POST",
            "/admin/v1/alarms/run",
            r#"{"object": "looper"}"#,
            400,
            "invalid-object",
        ),
        (
            "POST",
            "/admin/v1/alarms/run",
            r#"{"object": "no/a"}"#,
            404,
            "unknown-namespace",
        ),
        (
            "POST",
            "/admin/v1/alarms/run",
            r#"{"objekt": "a"}"#,
            400,
            "invalid-body",
        ),
        (
            "POST",
            "/admin/v1/alarms/run",
            r#"{"object": "looper/a"}"#,
            404,
            "unknown-alarm",
        ),
    ] {
        let answer = send(server.admin_addr(), method, path, &[json], body.as_bytes()).await;
        answer.problem(status, code);
    }
    let (code, said) = alarms(&server, &["--run", "looper"]).await;
    assert_eq!(code, Some(2), "{said}");
    let listed = send(server.admin_addr(), "GET", "/admin/v1/alarms", &[], b"").await;
    assert_eq!(listed.json(), serde_json::json!({ "alarms": [] }));
}
