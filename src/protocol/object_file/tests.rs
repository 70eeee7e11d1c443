use std::collections::BTreeMap;

use abide_actors::AlarmView;
use serde_json::{Value, json};

use super::*;

fn image() -> ObjectImage {
    let namespace = Namespace::new("chat").unwrap();
    let row = |section, key: &'static [u8], value: &'static [u8]| {
        (
            (section, Bytes::from_static(key)),
            Bytes::from_static(value),
        )
    };
    ObjectImage {
        id: ObjectId::from_name(&namespace, "Größe/1"),
        name: Some("Größe/1".into()),
        namespace,
        version: Version(7),
        rows: Rows::from([
            row(Section::State, b"", b"\x01\x07"),
            row(Section::Alarm, b"wake", b"\x01\x05\x05\x00"),
            row(Section::Data, b"plain", b"text"),
            row(Section::Data, b"\xff\x00", b"\x01\x02"),
            row(Section::Idempotency, b"n", b"\x01\x00"),
        ]),
    }
}

fn view() -> ImageView {
    let alarm = AlarmView {
        scheduled: Timestamp(1_767_225_600_000),
        due: None,
        retries: 2,
        row: Bytes::from_static(b"\x01\x05\x05\x00"),
    };
    ImageView {
        state: Some(json!({ "value": 7 })),
        alarms: BTreeMap::from([("wake".into(), alarm)]),
    }
}

fn file() -> Value {
    let file = ObjectFile::new(&image(), view(), Timestamp(1_767_225_600_250));
    serde_json::to_value(file).unwrap()
}

fn read(file: &Value) -> Result<ObjectImage, InvalidObjectFile> {
    ObjectFile::parse(&serde_json::to_vec(file).unwrap())?.into_image()
}

/// Files of this form are on people's disks: a change here is a new format.
#[test]
fn golden_file() {
    insta::assert_json_snapshot!(file());
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(read(&file()).unwrap(), image());
}

#[test]
fn what_is_for_people_is_not_looked_at() {
    let mut bare = file();
    bare["state"].as_object_mut().unwrap().remove("json");
    for member in ["scheduled", "due", "retries"] {
        bare["alarms"][0].as_object_mut().unwrap().remove(member);
    }
    bare.as_object_mut().unwrap().remove("exported_at");
    bare["data"][0]["key_text"] = "another".into();
    assert_eq!(read(&bare).unwrap(), image());
}

/// What is wrong, how it is made so, and words of the refusal.
type Case<'a> = (&'a str, &'a dyn Fn(&mut Value), &'a str);

#[test]
fn what_was_tampered_with_is_refused() {
    let foreign = ObjectId::from_name(&Namespace::new("kv").unwrap(), "x").to_string();
    let own = ObjectId::from_name(&Namespace::new("chat").unwrap(), "x").to_string();
    let long = BASE64.encode(vec![b'k'; 2_049]);
    let twice = file()["data"][0].clone();
    let wrong: [Case; 12] = [
        (
            "format",
            &|f| f["format"] = "abide-object-2".into(),
            "this release reads",
        ),
        (
            "no format",
            &|f| drop(f.as_object_mut().unwrap().remove("format")),
            "missing field",
        ),
        (
            "unknown member",
            &|f| f["extra"] = 1.into(),
            "unknown field",
        ),
        (
            "base64",
            &|f| f["state"]["bytes"] = "AQ*=".into(),
            "no base64",
        ),
        (
            "cut base64",
            &|f| f["state"]["bytes"] = "AQc".into(),
            "no base64",
        ),
        (
            "namespace",
            &|f| f["namespace"] = "Not One".into(),
            "is no namespace",
        ),
        (
            "other namespace",
            &|f| f["namespace"] = "kv".into(),
            "does not belong",
        ),
        (
            "foreign id",
            &|f| f["id"] = foreign.clone().into(),
            "does not belong",
        ),
        (
            "other id",
            &|f| f["id"] = own.clone().into(),
            "is not that of",
        ),
        ("version", &|f| f["version"] = (-1).into(), "invalid value"),
        (
            "key",
            &|f| f["data"][0]["key"] = long.clone().into(),
            "2049 bytes",
        ),
        (
            "twice",
            &|f| f["data"].as_array_mut().unwrap().push(twice.clone()),
            "twice",
        ),
    ];
    for (what, tamper, words) in wrong {
        let mut file = file();
        tamper(&mut file);
        let error = read(&file).unwrap_err().to_string();
        assert!(error.contains(words), "{what}: {error}");
    }
    for text in ["", "null", "[]", "{", "{\"format\": 1}"] {
        assert!(ObjectFile::parse(text.as_bytes()).is_err(), "{text}");
    }
}
