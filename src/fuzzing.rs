//! What the fuzzers in `tests/fuzz/` drive: one function for each kind of bytes from outside,
//! which takes any bytes and panics when a promise about them does not hold. Not part of the API.

use std::collections::BTreeMap;
use std::time::Duration;

use abide_actors::{ImageView, Text};
use abide_storage::{NAME_SIZE_MAX_BYTES, ObjectImage, Section, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Layer, default_file};
use crate::http::fuzzing::if_none_match;
use crate::protocol::session::{CONTROL_SIZE_MAX_BYTES, Inbound, Offer, escaped};
use crate::protocol::{
    Address, DEADLINE, IDEMPOTENCY_KEY, ObjectFile, REQUEST_ID, RequestId, arguments_encoding,
    deadline, idempotency_key, reply_encoding, traceparent,
};

/// Paths: any text is an address or is refused, and an address is the same once encoded again.
pub fn address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for path in [format!("/v1/{text}"), text.to_owned()] {
        match Address::parse(&path) {
            Ok(address) => check_address(&address),
            Err(refused) => assert!(refused.to_string().len() < 200, "{refused}"),
        }
    }
    // Any text that is not too long is the name of an object.
    if !text.is_empty() && text.len() <= NAME_SIZE_MAX_BYTES {
        let path = path_of("chat", text, text);
        let address = Address::parse(&path).expect("every text can be a name");
        assert_eq!((&*address.namespace, &*address.name), ("chat", text));
        assert_eq!(address.method().as_deref(), Ok(text));
    }
}

fn check_address(address: &Address<'_>) {
    assert!((1..=NAME_SIZE_MAX_BYTES).contains(&address.name.len()));
    assert!(!address.namespace.is_empty() && !address.raw_path().is_empty());
    let Ok(method) = address.method() else {
        return;
    };
    let path = path_of(&address.namespace, &address.name, &method);
    let again = Address::parse(&path).expect("it was an address before");
    assert_eq!(again.namespace, address.namespace);
    assert_eq!(again.name, address.name);
    assert_eq!(again.method(), Ok(method));
}

fn path_of(namespace: &str, name: &str, method: &str) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!(
        "/v1/{}/{}/{}",
        encode(namespace),
        encode(name),
        encode(method)
    )
}

/// Paths as clients write them.
#[must_use]
pub fn address_seeds() -> Vec<Vec<u8>> {
    let paths = [
        "counter/visits/increment",
        "chat/a%2Fb%20%C3%A9/say",
        "site/x/-/a//b%20c",
        "site/x/-",
        "chat/%FF/say",
        "chat//say",
        "kv/id:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/get",
        "wörld/%",
    ];
    paths.map(|path| path.as_bytes().to_vec()).to_vec()
}

/// `abide.toml`: any text is a configuration within its ranges, or an error that says why.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let config = match toml::from_str::<Layer>(text) {
        Ok(layer) => layer.into_config(),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    if let Err(error) = config.validate() {
        assert!(!error.to_string().is_empty());
        return;
    }
    // What is printed is read back as the same.
    let size = config.body_size_max;
    assert_eq!(size.to_string().parse(), Ok(size));
    let span = config.drain_deadline;
    assert_eq!(span.to_string().parse(), Ok(span));
    assert!(config.thread_count() > 0);
}

/// Files of objects: any bytes are an image that is written as the same again, or are refused with
/// the reason.
#[must_use]
pub fn object_file(data: &[u8]) -> Option<ObjectImage> {
    let image = match ObjectFile::parse(data).and_then(ObjectFile::into_image) {
        Ok(image) => image,
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            return None;
        }
    };
    let nothing_said = ImageView {
        state: None,
        alarms: BTreeMap::new(),
    };
    // Alarms are written from what the view says of them.
    let bare = image.clone().without(Section::Alarm);
    let again = object_text(&bare, nothing_said);
    let again = ObjectFile::parse(&again).and_then(ObjectFile::into_image);
    assert_eq!(again, Ok(bare));
    Some(image)
}

/// The file of an image.
#[must_use]
pub fn object_text(image: &ObjectImage, view: ImageView) -> Vec<u8> {
    let file = ObjectFile::new(image, view, Timestamp(0));
    serde_json::to_vec(&file).expect("a file has string keys only")
}

/// The printed file, and some of what people write instead.
#[must_use]
pub fn config_seeds() -> Vec<Vec<u8>> {
    let keys: Vec<String> = default_file()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let texts = [
        keys.join("\n"),
        "body_size_max = 4096\nmailbox_max = 7".to_owned(),
        "ping_timeout = \"1s\"".to_owned(),
        "drain_deadline = \"18446744073709551615h\"".to_owned(),
        "disk_reserve = -1".to_owned(),
        "[listen]\nport = 1".to_owned(),
        "engine = \"redb\"\nlisten = \"[::1]:0\"\nlog_format = 'json'".to_owned(),
    ];
    texts.map(String::into_bytes).to_vec()
}

/// The headers of a request, one per line in this order.
const HEADERS: [HeaderName; 7] = [
    DEADLINE,
    header::IF_NONE_MATCH,
    HeaderName::from_static("traceparent"),
    REQUEST_ID,
    header::CONTENT_TYPE,
    header::ACCEPT,
    IDEMPOTENCY_KEY,
];
const DEFAULT: Duration = Duration::from_secs(30);
const MAX: Duration = Duration::from_secs(300);

/// Headers: each is understood, refused or ignored, and what is taken over is what it says it is.
pub fn headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, value) in HEADERS.iter().zip(data.split(|&byte| byte == b'\n')) {
        // What is no value of a header is refused before our code sees it.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let sent = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match deadline(&headers, DEFAULT, MAX) {
        Ok(wait) => {
            assert!(!wait.is_zero() && wait <= MAX);
            let asked = sent(&DEADLINE).and_then(|text| text.parse().ok());
            assert_eq!(wait, asked.map_or(DEFAULT, Duration::from_millis));
        }
        Err(refused) => assert!(refused.to_string().len() < 500, "{refused}"),
    }
    if let Some(value) = headers.get(header::IF_NONE_MATCH) {
        if_none_match(value);
    }
    if let Some(parent) = traceparent(&headers) {
        assert!(parent.len() >= 55 && parent.is_ascii());
        assert_eq!(sent(&HEADERS[2]), Some(&*parent));
    }
    let id = RequestId::of(&headers, || Timestamp(u64::MAX)).header();
    assert!((1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    match arguments_encoding(&headers) {
        Ok(encoding) => drop(reply_encoding(&headers, encoding)),
        Err(refused) => assert!(refused.to_string().len() < 600, "{refused}"),
    }
    match idempotency_key(&headers) {
        Ok(Some(key)) => {
            let quoted = key.as_str().replace('\\', "\\\\").replace('"', "\\\"");
            let quoted = HeaderValue::from_str(&format!("\"{quoted}\""));
            let quoted = quoted.expect("visible ASCII is a value of a header");
            let again = HeaderMap::from_iter([(IDEMPOTENCY_KEY, quoted)]);
            assert_eq!(idempotency_key(&again), Ok(Some(key)));
        }
        Ok(None) => assert!(!headers.contains_key(IDEMPOTENCY_KEY)),
        Err(refused) => assert!(refused.to_string().len() < 200, "{refused}"),
    }
}

/// What clients send.
#[must_use]
pub fn headers_seeds() -> Vec<Vec<u8>> {
    let requests = [
        "250\n\"v3-ab\", W/\"x\"\n00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n\
         my-request/7\napplication/json; charset=utf-8\napplication/msgpack, */*;q=0.1",
        "300001\n*\n01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more\n\
         with space\napplication/x-www-form-urlencoded\n",
        "0\n\"v3-\n00-0\n\n\n,,",
        "18446744073709551616",
        "\n\n\n\n;\n;,;",
    ];
    requests.map(|request| request.as_bytes().to_vec()).to_vec()
}

/// Texts of a client that speaks `abide.v1`, and what it offers in its handshake: understood or refused;
/// any text comes back through the escape as it was, and none of ours reaches the application.
pub fn session(data: &[u8]) {
    let Ok(text) = Text::try_from(Bytes::copy_from_slice(data)) else {
        return;
    };
    match Inbound::read(text.clone()) {
        Ok(Inbound::Data(said)) => assert_eq!(escaped(said), text.clone().into_bytes()),
        Ok(Inbound::Control(_)) => assert!(data.len() <= CONTROL_SIZE_MAX_BYTES),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    let sent = Text::try_from(escaped(text.clone())).expect("an escape is a whole character");
    assert_eq!(Inbound::read(sent), Ok(Inbound::Data(text.clone())));
    for offered in [text.as_str(), &format!("abide.resume.{}", text.as_str())] {
        let mut protocols = vec!["abide.v1".to_owned(), offered.to_owned()];
        let offer = Offer::take(&mut protocols);
        assert!(!matches!(offer, Offer::Plain | Offer::Incomplete));
        assert!(protocols.iter().all(|left| !left.starts_with("abide.")));
        if let Offer::Resume { token, received } = offer {
            let again = format!("abide.resume.{token}.{received}");
            let again = Offer::take(&mut vec!["abide.v1".to_owned(), again]);
            assert_eq!(again, Offer::Resume { token, received });
        }
    }
}

/// Texts as clients send them, and what comes behind `abide.resume.`.
#[must_use]
pub fn session_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "hello",
        "\u{10}{\"type\":\"ack\",\"n\":12}",
        "\u{10}{\"type\":\"ping\"}",
        "\u{10}{\"type\":\"later\",\"more\":[1,{}]}",
        "\u{10}\u{10}{}",
        "\u{10}x",
        "AQIDBAUGBwgHBwcHBwcHBwcHBwcHBwcHEjRWeA.17",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
