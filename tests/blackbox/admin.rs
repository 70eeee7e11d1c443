//! The admin API and the commands that use it.

use std::io::{Read, Write};
use std::net::TcpListener;

use futures_util::{StreamExt, stream};

use crate::support::http::{get, post, send};
use crate::support::process::{Abide, command, end};
use crate::support::server;

mod images;

mod guard {
    use super::*;

    #[tokio::test]
    async fn no_page_of_another_site_gets_an_answer() {
        let server = server().await;
        let list = "/admin/v1/objects/tally";
        // The tests' client calls its host "test", which is no name of the listener.
        get(server.admin_addr(), list)
            .await
            .problem(403, "admin-refused");
        assert_eq!(get(server.admin_addr(), "/healthz").await.status, 200);
        get(server.admin_addr(), "/admin/v1/nothing")
            .await
            .problem(404, "not-found");
        get(server.addr(), list).await.problem(404, "not-found");
    }
}

mod objects {
    use super::*;

    fn list(server: &Abide, arguments: &[&str]) -> std::process::Output {
        end(command()
            .args(["objects", "counter", "--admin"])
            .arg(format!("http://{}", server.admin_addr))
            .args(arguments))
    }

    #[tokio::test]
    async fn the_command_lists_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let server = Abide::start(folder.path());
        for name in ["a", "b%2Fc", "b%20%C3%A9"] {
            let path = format!("/v1/counter/{name}/increment");
            assert_eq!(post(server.addr, &path, r#"{"by": 1}"#).await.status, 200);
        }
        let output = list(&server, &["--json", "--prefix", "b"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut names: Vec<String> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|line| line["objects"] != 2)
            .map(|object| {
                assert_eq!(object["version"], 1);
                object["name"].as_str().unwrap().to_owned()
            })
            .collect();
        names.sort();
        assert_eq!(names, ["b é", "b/c"].map(String::from));
        let text = String::from_utf8(list(&server, &[]).stdout).unwrap();
        assert!(text.ends_with("3 objects\n"), "{text}");
        assert!(text.contains("\tversion 1\ta\n"), "{text}");
    }

    #[tokio::test]
    async fn a_name_is_one_line_whatever_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let server = Abide::start(folder.path());
        let path = "/v1/counter/a%0Ab%1B%5B2Jc%C3%A9/increment";
        assert_eq!(post(server.addr, path, "[1]").await.status, 200);
        let text = String::from_utf8(list(&server, &[]).stdout).unwrap();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(text.contains("\ta\\nb\\u{1b}[2Jcé\n"), "{text:?}");
    }

    #[tokio::test]
    async fn what_the_listing_does_not_take_is_refused() {
        let server = server().await;
        let path = "/admin/v1/objects/tally?preffix=a";
        let host = [("host", "localhost")];
        let reply = send(server.admin_addr(), "GET", path, &host, b"").await;
        let said = reply.problem(400, "invalid-arguments");
        assert!(said.contains("preffix"), "{said}");
    }

    #[tokio::test]
    async fn more_than_one_page_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let server = Abide::start(folder.path());
        // A few at one time: more would wait in line, and some be refused where that is long.
        let calls = (0..600).map(async |name| {
            let path = format!("/v1/counter/{name}/increment");
            let reply = post(server.addr, &path, r#"{"by": 1}"#).await;
            assert_eq!(reply.status, 200);
        });
        stream::iter(calls)
            .buffer_unordered(8)
            .collect::<()>()
            .await;
        let text = String::from_utf8(list(&server, &[]).stdout).unwrap();
        assert_eq!(text.lines().count(), 601);
    }

    #[test]
    fn a_command_without_a_server_says_so() {
        let output = end(command().args(["objects", "counter", "--admin", "http://127.0.0.1:1"]));
        assert_eq!(output.status.code(), Some(3));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("no server answers at http://127.0.0.1:1"),
            "{said}"
        );
    }

    #[test]
    fn an_answer_of_somebody_between_leaves_the_outcome_of_a_change_unknown() {
        for answer in ["502 Bad Gateway", "200 OK"] {
            let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", proxy.local_addr().unwrap());
            let answering = std::thread::spawn(move || {
                let (mut socket, _) = proxy.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    let mut piece = [0; 1_024];
                    let size = socket.read(&mut piece).unwrap();
                    request.extend_from_slice(&piece[..size]);
                }
                write!(socket, "HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nno").unwrap();
            });
            let output = end(command().args(["fork", "counter/a", "counter/b", "--admin", &url]));
            answering.join().unwrap();
            assert_eq!(output.status.code(), Some(4), "{answer}: {output:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_with_its_code() {
        let folder = tempfile::tempdir().unwrap();
        let server = Abide::start(folder.path());
        let output = end(command()
            .env("ABIDE_ADMIN", format!("http://{}", server.admin_addr))
            .args(["objects", "no/such"]));
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("unknown-namespace"), "{said}");
        let output = end(command()
            .args(["objects", "counter", "--admin"])
            .arg(format!("http://{}", server.addr)));
        assert_eq!(
            output.status.code(),
            Some(1),
            "the public listener has no admin API"
        );
    }
}
