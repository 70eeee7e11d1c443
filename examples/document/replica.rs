//! The server's own copy of a Yjs document, in memory.

use yrs::types::ToJson;
use yrs::types::text::YChange;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, ClientID, Doc, GetString, IdSet, Map, OffsetKind, Options, Out, ReadTxn,
    StateVector, Text, TextRef, Transact, Update,
};

use super::edit::{Edit, utf16_len};
use super::guard;
use super::wire::Malformed;

/// Bits of a Yjs client number that JavaScript can hold exactly.
const CLIENT_BITS: u32 = 53;

const UNFIT: Malformed = Malformed::Content("the update fits no document");

/// A Yjs document.
#[derive(Debug, Default)]
pub(crate) struct Replica(Doc);

impl Replica {
    /// An empty one that writes, if it writes at all, as the client `random` stands for. No
    /// number may be used by two activations: what one wrote and could not commit must not be
    /// taken for what another writes.
    pub(crate) fn new(random: u64) -> Self {
        let client = ClientID::new(random >> (u64::BITS - CLIENT_BITS));
        let mut options = Options::with_client_id(client);
        options.offset_kind = OffsetKind::Utf16;
        Self(Doc::with_options(options))
    }

    /// What it has, in the form that lets another say what is missing.
    pub(crate) fn state_vector(&self) -> Vec<u8> {
        self.0.transact().state_vector().encode_v1()
    }

    /// What somebody with that state vector lacks, as an update.
    pub(crate) fn changes_since(&self, state_vector: &[u8]) -> Result<Vec<u8>, Malformed> {
        guard::check_state_vector(state_vector)?;
        let known = StateVector::decode_v1(state_vector)
            .map_err(|_| Malformed::Content("not a state vector"))?;
        Ok(self.0.transact().encode_state_as_update_v1(&known))
    }

    /// All of it as one update, what waits for a missing predecessor included.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.0
            .transact()
            .encode_state_as_update_v1(&StateVector::default())
    }

    /// Takes in an update of one's own store, of which nobody has to be told.
    ///
    /// # Errors
    /// When it contradicts itself.
    pub(crate) fn recall(&mut self, update: Update) -> Result<(), Malformed> {
        let applied = self.0.transact_mut().apply_update(update);
        applied.map_err(|_| UNFIT)
    }

    /// Takes in an update.
    ///
    /// # Errors
    /// When it contradicts itself. A part of it may have been taken in all the same, so the
    /// replica must be made anew.
    pub(crate) fn apply(&mut self, update: Update) -> Result<News, Malformed> {
        let told = update.insertions(true);
        let mut transaction = self.0.transact_mut();
        let some_waited = transaction.has_missing_updates();
        let applied = transaction.apply_update(update);
        applied.map_err(|_| UNFIT)?;
        if transaction.has_missing_updates() {
            return Ok(News::Whole);
        }
        if !some_waited && !transaction.has_changes() {
            return Ok(News::None);
        }
        // The usual case. Encoding it anew would cost more the longer the text it is part of.
        if !some_waited && !told.is_empty() && *transaction.insert_set() == told {
            return Ok(News::Whole);
        }
        // What has no neighbours to wait for is taken in across a gap in its client's clock. The
        // state vector ends before the gap, and what is encoded as new ends with it.
        let state = transaction.state_vector();
        let is_beyond_a_gap = ends(&told).any(|(client, end)| end > state.get(&client));
        Ok(if is_beyond_a_gap {
            News::Whole
        } else {
            News::Changes(transaction.encode_update_v1())
        })
    }

    /// The text of a field; empty when there is none.
    pub(crate) fn text(&self, field: &str) -> String {
        let transaction = self.0.transact();
        let text = transaction.get_text(field);
        text.map_or_else(String::new, |text| text.get_string(&transaction))
    }

    /// The text of a field in which there is nothing but text: no formats, nothing embedded, no
    /// elements. `None` for any other, where a place in the text is no place in the field.
    pub(crate) fn plain_text(&self, field: &str) -> Option<String> {
        let transaction = self.0.transact();
        let Some(text) = transaction.get_text(field) else {
            return Some(String::new());
        };
        let chunks = text.diff(&transaction, YChange::identity).into_iter();
        let mut plain = String::new();
        for chunk in chunks {
            match (chunk.insert, chunk.attributes) {
                (Out::Any(Any::String(part)), None) => plain.push_str(&part),
                _ => return None,
            }
        }
        // What a text cannot show counts for its length.
        (utf16_len(&plain) == text.len(&transaction)).then_some(plain)
    }

    /// Changes a plain text; answers the update that says so. The places of the edits are those in
    /// the text before, in growing order.
    pub(crate) fn edit(&mut self, field: &str, edits: &[Edit<'_>]) -> Vec<u8> {
        let text = self.0.get_or_insert_text(field);
        let mut transaction = self.0.transact_mut();
        // From the end, so that none moves the place of another.
        for edit in edits.iter().rev() {
            if edit.removed > 0 {
                text.remove_range(&mut transaction, edit.at, edit.removed);
            }
            if !edit.inserted.is_empty() {
                text.insert(&mut transaction, edit.at, edit.inserted);
            }
        }
        transaction.encode_update_v1()
    }

    /// All fields: a text as a string, a map as an object, an array as one, XML as its markup.
    pub(crate) fn json(&self) -> serde_json::Value {
        let transaction = self.0.transact();
        let fields = transaction.root_refs().map(|(name, field)| {
            let value = match field {
                // Updates do not say of which type a field is, its content does.
                Out::UndefinedRef(_) => of_unknown_type(&transaction, name),
                known => known.to_json(&transaction),
            };
            let value = serde_json::to_value(value).unwrap_or_default();
            (name.to_owned(), value)
        });
        fields.collect()
    }

    /// Writes at the end of a field; answers the update that says so.
    pub(crate) fn append(&mut self, field: &str, addition: &str) -> Vec<u8> {
        let text = self.0.get_or_insert_text(field);
        let mut transaction = self.0.transact_mut();
        text.push(&mut transaction, addition);
        transaction.encode_update_v1()
    }
}

fn of_unknown_type(transaction: &impl ReadTxn, name: &str) -> Any {
    if let Some(map) = transaction.get_map(name)
        && map.len(transaction) > 0
    {
        return map.to_json(transaction);
    }
    if let Some(array) = transaction.get_array(name)
        && array.len(transaction) > 0
        && !is_text(transaction, name)
    {
        return match array.get(transaction, 0) {
            Some(Out::YXmlElement(_) | Out::YXmlText(_)) => {
                let markup = transaction.get_xml_fragment(name);
                markup.map_or(Any::Null, |xml| xml.get_string(transaction).into())
            }
            _ => array.to_json(transaction),
        };
    }
    let text = transaction.get_text(name);
    text.map_or(Any::Null, |text| text.get_string(transaction).into())
}

/// Whether there are characters in it.
fn is_text(transaction: &impl ReadTxn, name: &str) -> bool {
    let text: Option<TextRef> = transaction.get_text(name);
    text.is_some_and(|text| !text.get_string(transaction).is_empty())
}

/// What an update was to the replica.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// All of it was known.
    None,
    /// It must be kept and passed on as it came: nothing that it inserts was known, or some of it
    /// follows on changes that have not come yet and is not part of the document so far.
    Whole,
    /// This much of it, as an update.
    Changes(Vec<u8>),
}

/// Where each client's changes end.
fn ends(insertions: &IdSet) -> impl Iterator<Item = (ClientID, u32)> {
    insertions.iter().filter_map(|(client, ranges)| {
        let end = ranges.iter().map(|range| range.end).max()?;
        Some((*client, end))
    })
}

/// Reads an update from bytes that may come from anywhere.
pub(crate) fn decode(bytes: &[u8]) -> Result<Update, Malformed> {
    guard::check_update(bytes)?;
    Update::decode_v1(bytes).map_err(|_| Malformed::Content("not an update"))
}
