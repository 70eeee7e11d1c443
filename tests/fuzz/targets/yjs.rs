//! Yjs updates, state vectors and awareness, framed well: the fuzzer's bytes get past the framing
//! and into the CRDT.

use abide_actors::Frame;
use yrs::types::Attrs;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, ArrayPrelim, ClientID, Doc, Map, MapPrelim, OffsetKind, Options, ReadTxn,
    StateVector, Text, TextPrelim, Transact, WriteTxn, XmlElementPrelim, XmlFragment,
};

use super::document;
use super::parts::{Part, join, parts};
use super::replica::{self, Message};

const STEP_1: u8 = 0;
const STEP_2: u8 = 1;
const UPDATE: u8 = 2;
const AWARENESS: u8 = 3;

/// First bytes below this send the messages through the actor; it is slow, so few do.
const THROUGH_THE_ACTOR: u8 = 32;

/// Messages of one client to a document that holds something of every type.
pub(super) fn run(data: &[u8]) {
    let Some((&way, data)) = data.split_first() else {
        return;
    };
    let parts = parts(data);
    if way < THROUGH_THE_ACTOR {
        document::run(everything(), parts.iter().map(frame).collect());
    } else {
        let messages = parts.iter().filter_map(|part| match part.kind % 4 {
            AWARENESS => None,
            STEP_1 => Some(Message::StateVector(part.bytes)),
            _ => Some(Message::Update(part.bytes)),
        });
        replica::run(everything(), &messages.collect::<Vec<_>>());
    }
}

fn frame(part: &Part<'_>) -> Frame {
    let mut frame = match part.kind % 4 {
        AWARENESS => vec![1],
        step => vec![0, step],
    };
    let size = part.bytes.len();
    // Two groups of seven bits hold every size of a part.
    frame.push(u8::try_from(size & 0x7f).expect("seven bits") | 0x80);
    frame.push(u8::try_from(size >> 7).expect("a part is short"));
    frame.extend_from_slice(part.bytes);
    frame.into()
}

fn doc(client: u64) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    Doc::with_options(options)
}

/// A document with a little text by client 1.
pub(super) fn text() -> Vec<u8> {
    let doc = doc(1);
    let mut transaction = doc.transact_mut();
    let text = transaction.get_or_insert_text("codemirror");
    text.push(&mut transaction, "wörld 😀");
    transaction.encode_update_v1()
}

/// A document by client 1 with a text that has formats and deletions, a map, an array with nested
/// types, and XML.
fn everything() -> Vec<u8> {
    let doc = doc(1);
    let mut transaction = doc.transact_mut();
    let text = transaction.get_or_insert_text("codemirror");
    text.push(&mut transaction, "hello wörld 😀");
    let bold = Attrs::from([("bold".into(), Any::Bool(true))]);
    text.format(&mut transaction, 0, 5, bold);
    text.insert_embed(&mut transaction, 5, Any::from("image"));
    text.remove_range(&mut transaction, 2, 2);
    let map = transaction.get_or_insert_map("map");
    map.insert(&mut transaction, "number", 42_i64);
    map.insert(&mut transaction, "text", TextPrelim::new("nested"));
    map.insert(&mut transaction, "map", MapPrelim::from([("k", "v")]));
    map.insert(&mut transaction, "number", 43_i64);
    let array = transaction.get_or_insert_array("array");
    array.insert_range(
        &mut transaction,
        0,
        [Any::Null, Any::from(0.5), Any::Undefined],
    );
    array.push_back(&mut transaction, ArrayPrelim::from([1_i64, 2]));
    array.remove(&mut transaction, 0);
    let xml = transaction.get_or_insert_xml_fragment("xml");
    xml.push_back(&mut transaction, XmlElementPrelim::empty("p"));
    transaction.encode_update_v1()
}

/// Updates of each kind on top of that document, by client 2 and by client 1 itself.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let apply = |doc: &Doc| {
        use yrs::updates::decoder::Decode;
        let update = yrs::Update::decode_v1(&everything()).expect("it was just encoded");
        let applied = doc.transact_mut().apply_update(update);
        applied.expect("an empty document takes every update");
    };
    let change = |client, work: &dyn Fn(&mut yrs::TransactionMut<'_>)| {
        let doc = doc(client);
        apply(&doc);
        let mut transaction = doc.transact_mut();
        work(&mut transaction);
        transaction.encode_update_v1()
    };
    let insert = change(2, &|transaction| {
        let text = transaction.get_or_insert_text("codemirror");
        text.insert(transaction, 3, "ab");
    });
    let delete = change(2, &|transaction| {
        let text = transaction.get_or_insert_text("codemirror");
        text.remove_range(transaction, 1, 4);
        transaction
            .get_or_insert_map("map")
            .remove(transaction, "map");
    });
    let nested = change(2, &|transaction| {
        let map = transaction.get_or_insert_map("map");
        map.insert(transaction, "list", ArrayPrelim::from(["a", "b"]));
        map.insert(transaction, "bytes", Any::from(vec![1_u8, 2]));
        let xml = transaction.get_or_insert_xml_fragment("xml");
        xml.insert(transaction, 0, XmlElementPrelim::empty("div"));
    });
    let format = change(2, &|transaction| {
        let text = transaction.get_or_insert_text("codemirror");
        let italic = Attrs::from([("italic".into(), Any::Null)]);
        text.format(transaction, 2, 4, italic);
    });
    let fork = change(1, &|transaction| {
        let text = transaction.get_or_insert_text("codemirror");
        text.insert(transaction, 0, "fork");
    });
    let known = {
        let doc = doc(2);
        apply(&doc);
        doc.transact().state_vector().encode_v1()
    };
    let nothing = StateVector::default().encode_v1();
    let update_parts = [&insert, &delete, &nested, &format, &fork];
    let mut seeds: Vec<Vec<u8>> = update_parts
        .iter()
        .map(|update| join(&[(UPDATE, update), (STEP_1, &nothing)]))
        .collect();
    seeds.extend([
        join(&[
            (STEP_1, &known),
            (STEP_2, &insert),
            (UPDATE, &delete),
            (UPDATE, &fork),
        ]),
        join(&[(UPDATE, &text()), (UPDATE, &nested), (UPDATE, &nested)]),
        join(&[
            (AWARENESS, b"\x01\x07\x01\x07{\"a\":1}"),
            (AWARENESS, b"\x01\x07\x02\x04null"),
        ]),
        // It follows on changes that nobody has, and stays behind until they come.
        join(&[
            (UPDATE, &[1, 1, 5, 9, 0x84, 5, 8, 1, b'x', 0]),
            (STEP_1, &nothing),
        ]),
    ]);
    let through = |way: u8| seeds.iter().map(move |seed| [&[way], &seed[..]].concat());
    through(0).chain(through(0xff)).collect()
}
