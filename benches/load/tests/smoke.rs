//! The driver against a server that answers at once: what it counts must add up.
#![expect(clippy::unwrap_used, reason = "a step that fails here fails the test")]

use std::process::{Command, Output};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Runs the driver for a moment against `serve` and gives back its line of JSON.
async fn drive(
    arguments: &'static [&'static str],
    serve: impl AsyncFn(TcpStream) + Clone + 'static,
) -> serde_json::Value {
    let output = output(arguments, serve).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn output(
    arguments: &'static [&'static str],
    serve: impl AsyncFn(TcpStream) + Clone + 'static,
) -> Output {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tasks = tokio::task::LocalSet::new();
    tasks.spawn_local(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let serve = serve.clone();
            connections.spawn_local(async move { serve(socket).await });
        }
    });
    let driver = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_abide-load"));
        command.args(["--server", &address, "--warmup", "0.2", "--duration", "0.8"]);
        command.args(["--rate", "200", "--objects", "4", "--server-pid"]);
        command
            .arg(std::process::id().to_string())
            .args(arguments)
            .output()
            .unwrap()
    });
    tasks.run_until(driver).await.unwrap()
}

async fn answer(socket: TcpStream, status: u16) {
    let service = service_fn(async |request: Request<_>| {
        let _: hyper::body::Incoming = request.into_body();
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::from_static(b"1")))
    });
    let server = hyper::server::conn::http1::Builder::new();
    drop(server.serve_connection(TokioIo::new(socket), service).await);
}

#[tokio::test]
async fn calls_are_all_started_and_all_counted() {
    let result = drive(&["calls", "--connections", "3"], async |s| {
        answer(s, 200).await
    })
    .await;
    assert_eq!(result["started"], 160, "{result}");
    assert_eq!(result["completed"], 160, "{result}");
    assert_eq!(result["missing"], 0, "{result}");
    assert!(
        result["latency_us"]["p50"].as_f64().unwrap() > 0.0,
        "{result}"
    );
    assert!(
        result["server"]["rss_bytes"].as_u64().unwrap() > 0,
        "{result}"
    );
}

#[tokio::test]
async fn refused_calls_are_errors_and_have_no_latency() {
    let result = drive(&["calls", "--connections", "3"], async |s| {
        answer(s, 503).await
    })
    .await;
    assert_eq!(result["completed"], 0, "{result}");
    assert_eq!(result["errors"]["status 503"], 200, "{result}");
}

#[tokio::test]
async fn every_echo_is_a_delivery() {
    let echo = async |socket| {
        let mut session = tokio_tungstenite::accept_async(socket).await.unwrap();
        while let Some(Ok(message)) = session.next().await {
            if message.is_binary() {
                session.send(message).await.unwrap();
            }
        }
    };
    let result = drive(&["sessions", "--sessions", "5"], echo).await;
    assert_eq!(result["started"], 160, "{result}");
    assert_eq!(result["completed"], 160, "{result}");
    assert_eq!(result["errors"], serde_json::json!({}), "{result}");
}

#[tokio::test]
async fn what_is_never_delivered_is_missing() {
    let deaf = async |socket| {
        let mut session = tokio_tungstenite::accept_async(socket).await.unwrap();
        while let Some(Ok(_)) = session.next().await {}
    };
    let result = drive(&["sessions", "--sessions", "2"], deaf).await;
    assert_eq!(result["completed"], 0, "{result}");
    assert_eq!(result["missing"], 160, "{result}");
}

#[tokio::test]
async fn members_who_are_told_how_many_they_are_are_well() {
    let lobby = async |socket| {
        let mut session = tokio_tungstenite::accept_async(socket).await.unwrap();
        let told = r#"{"type":"presence","count":3,"sync":[]}"#;
        session.send(told.into()).await.unwrap();
        while let Some(Ok(_)) = session.next().await {}
    };
    let result = drive(&["presence", "--members", "3"], lobby).await;
    for wave in ["come", "again"] {
        assert_eq!(result[wave]["messages"], 3, "{result}");
        assert_eq!(result[wave]["bytes_most"], 39, "{result}");
        assert!(result[wave]["server_cpu_s"].is_number(), "{result}");
    }
}

#[tokio::test]
async fn members_of_what_is_not_there_do_not_try_for_ever() {
    let nothing = async |s| answer(s, 404).await;
    let output = output(&["presence", "--members", "2"], nothing).await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("404"), "{said}");
}
