//! Documents as JSON and as files.

use abide_actors::testing::World;
use abide_actors::{Body, CallError, Deadline, Origin};
use serde_json::{Value, json};
use yrs::sync::{Message, SyncMessage};
use yrs::{Any, Array, Doc, Map, MapPrelim, Text, Transact, XmlElementPrelim, XmlFragment};

use super::peer::Peer;
use super::{call, in_world, write};

/// Media type and content of a file.
async fn file(world: &World, path: &str) -> Result<(String, String), CallError> {
    request(world, "GET", path).await
}

async fn request(world: &World, method: &str, path: &str) -> Result<(String, String), CallError> {
    let target = world.runtime().target("document", "notes").unwrap();
    let request = http::Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let deadline = Deadline::after(std::time::Duration::from_secs(1));
    let response = world
        .runtime()
        .fetch(&target, request, deadline, Origin::default())
        .await?;
    let media_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let content = response.into_body().bytes(1 << 20).await.unwrap();
    Ok((media_type, String::from_utf8(content.to_vec()).unwrap()))
}

#[test]
fn a_text_is_a_markdown_file_now_and_as_it_was() {
    in_world(async |world| {
        write(world, "# Title\n").await;
        call(world, "save_version", json!({"name": "first"}))
            .await
            .unwrap();
        write(world, "# Another\n").await;
        let markdown = "text/markdown; charset=utf-8";
        let now = file(world, "/codemirror.md").await.unwrap();
        assert_eq!(now, (markdown.to_owned(), "# Another\n".to_owned()));
        let then = file(world, "/versions/1/codemirror.md").await.unwrap();
        assert_eq!(then.1, "# Title\n");
        let (media_type, json) = file(world, "/versions/1/document.json").await.unwrap();
        assert_eq!(media_type, "application/json");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json, json!({"codemirror": "# Title\n"}));
    });
}

#[test]
fn what_is_no_file_of_a_document_is_told_so() {
    in_world(async |world| {
        for path in [
            "/",
            "/x",
            "/.md",
            "/a/b.md",
            "/versions/1",
            "/versions/x/a.md",
            "/versions/1/document.json",
        ] {
            let Err(CallError::Actor(refusal)) = file(world, path).await else {
                panic!("{path} is a file")
            };
            assert_eq!(refusal.status, 404, "{path}");
        }
        let Err(CallError::Actor(refusal)) = request(world, "POST", "/codemirror.md").await else {
            panic!("it can be posted")
        };
        assert_eq!((&*refusal.code, refusal.status), ("not-a-read", 405));
    });
}

/// Updates do not tell the type of a field, and the server never asked for these.
#[test]
fn fields_of_every_type_are_told_as_json() {
    let doc = Doc::with_client_id(5_u64);
    let text = doc.get_or_insert_text("codemirror");
    let (map, array) = (
        doc.get_or_insert_map("map"),
        doc.get_or_insert_array("array"),
    );
    let xml = doc.get_or_insert_xml_fragment("prosemirror");
    let mut transaction = doc.transact_mut();
    text.push(&mut transaction, "words");
    map.insert(&mut transaction, "nested", MapPrelim::from([("k", 1.5)]));
    array.insert_range(&mut transaction, 0, [Any::from("one"), Any::Null]);
    xml.push_back(&mut transaction, XmlElementPrelim::empty("p"));
    let update = transaction.encode_update_v1();
    drop(transaction);
    in_world(async |world| {
        let mut ada = Peer::open(world, 1).await;
        ada.say(Message::Sync(SyncMessage::Update(update))).await;
        let expected = json!({
            "codemirror": "words",
            "map": {"nested": {"k": 1.5}},
            "array": ["one", null],
            "prosemirror": "<p></p>",
        });
        assert_eq!(call(world, "json", json!({})).await.unwrap(), expected);
        world.crash().await;
        assert_eq!(call(world, "json", json!({})).await.unwrap(), expected);
    });
}
