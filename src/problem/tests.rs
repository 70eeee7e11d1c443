use std::collections::BTreeSet;
use std::path::Path;

use abide_actors::{ActorError, CallError, ConnectError, InvalidPayload, Refusal};
use abide_storage::{CommitError, Effect, Epoch, Namespace, Object, ObjectId, Timestamp};

use super::{CODES, Problem};
use crate::protocol::RequestId;

fn id() -> RequestId {
    RequestId::fresh(Timestamp(1_700_000_000_000), 7)
}

fn lobby() -> Object {
    let namespace = Namespace::new("chat").unwrap();
    let id = ObjectId::from_name(&namespace, "lobby");
    Object { namespace, id }
}

/// The body as people see it, indented.
fn body(problem: impl Into<Problem>) -> String {
    let body: serde_json::Value = serde_json::from_slice(&problem.into().body(&id())).unwrap();
    serde_json::to_string_pretty(&body).unwrap()
}

#[test]
fn each_code_has_its_page_and_each_page_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
    let pages: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let codes: BTreeSet<String> = CODES.iter().map(|code| code.name.to_owned()).collect();
    assert_eq!(pages, codes);
    for code in CODES {
        for section in ["## Effect", "## What to do", "## Example"] {
            assert!(code.page.contains(section), "{}: {section}", code.name);
        }
        assert!(
            code.page.starts_with(&format!("# {}", code.name)),
            "{}",
            code.name
        );
        assert!(
            code.page.contains(&format!("\"status\": {}", code.status)),
            "{}",
            code.name
        );
    }
}

#[test]
fn codes_are_in_the_order_of_their_status() {
    assert!(CODES.is_sorted_by_key(|code| code.status));
}

#[test]
fn overload_says_when_to_come_again() {
    let response = Problem::from(CallError::Overloaded {
        object: lobby(),
        waiting: 1_024,
    })
    .respond(&id());
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    insta::assert_snapshot!(body(CallError::Overloaded {
        object: lobby(),
        waiting: 1_024
    }));
}

#[test]
fn wrong_arguments_are_named() {
    let problem = InvalidPayload {
        path: Some("by".into()),
        detail: "expected u64, found a string".into(),
    };
    insta::assert_snapshot!(body(CallError::InvalidArguments {
        method: "increment".into(),
        problem
    }));
}

#[test]
fn an_actors_refusal_keeps_its_code_status_and_data() {
    let refusal = ActorError::new("revision-conflict", "revision is 4, 3 was expected")
        .status(409)
        .data(serde_json::json!({ "current": 4 }));
    insta::assert_snapshot!(body(CallError::Actor(refusal)));
}

#[test]
fn a_commit_of_unknown_outcome_says_so() {
    insta::assert_snapshot!(body(CallError::Commit(CommitError::Unknown)));
    let fenced = CallError::Commit(CommitError::Fenced { epoch: Epoch(3) });
    assert_eq!(Problem::from(fenced).0.effect, Effect::None);
}

#[test]
fn a_refused_session_has_the_status_the_object_chose() {
    let refusal = Refusal::new("a name has 1 to 40 characters").status(400);
    insta::assert_snapshot!(body(ConnectError::Refused(refusal)));
}

#[test]
fn a_missing_method_lists_those_there_are() {
    insta::assert_snapshot!(body(CallError::UnknownMethod {
        namespace: "counter".into(),
        method: "incremnt".into(),
        known: vec!["increment".into(), "get".into()],
    }));
}

#[test]
fn what_the_engine_said_stays_in_the_log() {
    let error = abide_storage::ReadError::Engine("/secret/path: permission denied".into());
    assert!(!body(CallError::Read(error)).contains("secret"));
    let error = CallError::StateUnreadable {
        object: lobby(),
        detail: "secret".into(),
    };
    assert!(!body(error).contains("secret"));
}
