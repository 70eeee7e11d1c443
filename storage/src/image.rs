//! One object as a value: read from a store at one version, and put in the place of another.
//!
//! **What is carried** is what the object is: its state, its alarms, its key-value storage, and the
//! replies it owes to those who repeat a call with an idempotency key. A kept reply and the effect
//! it tells of go together, so an object that is set back to an earlier image has the replies of
//! then, and a call whose effect is gone takes effect again when it is repeated.
//!
//! **What is not carried** is what lies between the object and others. Its sessions are not: whoever
//! replaces an object ends them. What it has sent and what it
//! has heard ([`Section`]) stays as it is in the object that is replaced: a message that was
//! committed arrives once, whatever becomes of its sender, and one that was heard is not heard
//! again. Set back with the rest, old messages would leave a second time. For the same reason the
//! version goes on from where it is, and is not set back.
//!
//! An image of *another* object brings no replies: the keys were given to the other one's callers.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{KEY_SIZE_MAX_BYTES, Section, Write};
use crate::id::{Namespace, Object, ObjectId, Version};
use crate::store::{Direction, ReadError, Scan, Store};

/// Largest image, bytes of keys and values. It is held in memory whole.
pub const IMAGE_SIZE_MAX_BYTES: usize = 32 << 20;

/// Rows read at a time.
const PAGE_ROWS: usize = 128;

/// The sections of an image.
const CARRIED: [Section; 4] = [
    Section::State,
    Section::Alarm,
    Section::Data,
    Section::Idempotency,
];

/// Whether images have the rows of this section.
pub(crate) fn is_carried(section: Section) -> bool {
    CARRIED.contains(&section)
}

/// An object at one version: its state, alarms, storage and kept replies; not what it has sent and heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectImage {
    /// Where it comes from.
    pub namespace: Namespace,
    /// Which object it is an image of.
    pub id: ObjectId,
    /// Its name, when it has one.
    pub name: Option<Arc<str>>,
    /// How many commits it had.
    pub version: Version,
    /// Its rows.
    pub rows: Rows,
}

/// Rows by section and key.
pub type Rows = BTreeMap<(Section, Bytes), Bytes>;

/// Why there is no image.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ImageError {
    /// The object is larger than an image may be. Nothing was changed.
    #[error("the object has more than {limit_bytes} bytes, which is the most that is read at once")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The store could not be read. Nothing was changed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ObjectImage {
    /// Bytes of all keys and values.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let sizes = self
            .rows
            .iter()
            .map(|((_, key), value)| key.len() + value.len());
        sizes.sum()
    }

    /// Reads every row that is carried. Consistent only while nobody commits to the object: its
    /// activation calls this between two turns.
    ///
    /// # Errors
    /// [`ImageError`]. No effect.
    ///
    /// # Cancel safety
    /// Yes.
    pub async fn read(
        store: &dyn Store,
        object: &Object,
        name: Option<Arc<str>>,
        version: Version,
    ) -> Result<Self, ImageError> {
        let mut rows = Rows::new();
        let mut size_bytes = 0;
        for section in CARRIED {
            let mut start = Bound::Unbounded;
            loop {
                let scan = Scan {
                    section,
                    start,
                    end: Bound::Unbounded,
                    direction: Direction::Forward,
                    limit: PAGE_ROWS,
                };
                let page = store.scan(object, scan).await?;
                let is_last = page.len() < PAGE_ROWS;
                start = match page.last() {
                    Some((key, _)) => Bound::Excluded(key.clone()),
                    None => break,
                };
                for (key, value) in page {
                    size_bytes += key.len() + value.len();
                    rows.insert((section, key), value);
                }
                if size_bytes > IMAGE_SIZE_MAX_BYTES {
                    let limit_bytes = IMAGE_SIZE_MAX_BYTES;
                    return Err(ImageError::TooLarge { limit_bytes });
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(Self {
            namespace: object.namespace.clone(),
            id: object.id,
            name,
            version,
            rows,
        })
    }

    /// The rows of a section, in order of key.
    pub fn section(&self, section: Section) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.rows
            .range((section, Bytes::new())..)
            .take_while(move |((of, _), _)| *of == section)
            .map(|((_, key), value)| (key, value))
    }

    /// The encoded state; `None` when it was never changed from its beginning.
    #[must_use]
    pub fn state(&self) -> Option<&Bytes> {
        self.rows.get(&(Section::State, Bytes::new()))
    }

    /// The same without the rows of a section.
    #[must_use]
    pub fn without(mut self, section: Section) -> Self {
        self.rows.retain(|(of, _), _| *of != section);
        self
    }

    /// What another object takes over: all but the kept replies.
    #[must_use]
    pub fn for_another(self) -> Self {
        self.without(Section::Idempotency)
    }

    /// What makes an object with the rows `before` one with these, in the sections that mean
    /// nothing to the store. Alarms are left to the caller: to enter one into the index by time takes
    /// knowing what its row says.
    #[must_use]
    pub fn replacing(&self, before: &Rows) -> Vec<Write> {
        let plain = |rows: &'_ (Section, Bytes)| rows.0 != Section::Alarm;
        let deletes = before
            .keys()
            .filter(|row| plain(row) && !self.rows.contains_key(row))
            .map(|(section, key)| Write::Delete {
                section: *section,
                key: key.clone(),
            });
        let puts = self
            .rows
            .iter()
            .filter(|(row, value)| plain(row) && before.get(row) != Some(value))
            .map(|((section, key), value)| Write::Put {
                section: *section,
                key: key.clone(),
                value: value.clone(),
            });
        deletes.chain(puts).collect()
    }

    /// Checks what can be checked without knowing the object's kind.
    ///
    /// # Errors
    /// A sentence saying what is wrong. No effect.
    pub fn check(&self) -> Result<(), String> {
        if !self.id.belongs_to(&self.namespace) {
            return Err(format!(
                "the id {} is of another namespace than {}",
                self.id, self.namespace
            ));
        }
        if let Some(name) = &self.name
            && ObjectId::from_name(&self.namespace, name) != self.id
        {
            return Err(format!(
                "the id {} is not that of the object called '{name}'",
                self.id
            ));
        }
        for (section, key) in self.rows.keys() {
            if !CARRIED.contains(section) {
                return Err(format!("rows of the section {section:?} are not carried"));
            }
            if *section == Section::State && !key.is_empty() {
                return Err("the state has a key".to_owned());
            }
            if key.len() > KEY_SIZE_MAX_BYTES {
                let size = key.len();
                return Err(format!(
                    "a key has {size} bytes, one takes {KEY_SIZE_MAX_BYTES}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(rows: &[(Section, &'static str, &'static str)]) -> ObjectImage {
        let namespace = Namespace::new("chat").unwrap();
        let rows = rows
            .iter()
            .map(|(section, key, value)| ((*section, (*key).into()), (*value).into()));
        ObjectImage {
            id: ObjectId::from_name(&namespace, "lobby"),
            name: Some("lobby".into()),
            namespace,
            version: Version(3),
            rows: rows.collect(),
        }
    }

    #[test]
    fn what_differs_is_written_and_what_is_gone_deleted() {
        use Section::{Alarm, Data, Idempotency, State};
        let before = image(&[
            (State, "", "s1"),
            (Alarm, "a", "1"),
            (Data, "gone", "1"),
            (Data, "same", "1"),
            (Idempotency, "kk", "old"),
        ]);
        let after = image(&[(State, "", "s2"), (Data, "new", "1"), (Data, "same", "1")]);
        let delete = |section, key: &'static str| Write::Delete {
            section,
            key: key.into(),
        };
        let put = |section, key: &'static str, value: &'static str| Write::Put {
            section,
            key: key.into(),
            value: value.into(),
        };
        assert_eq!(
            after.replacing(&before.rows),
            [
                delete(Data, "gone"),
                delete(Idempotency, "kk"),
                put(State, "", "s2"),
                put(Data, "new", "1"),
            ]
        );
        assert!(after.replacing(&after.rows).is_empty());
    }

    #[test]
    fn another_object_gets_no_replies() {
        let whole = image(&[(Section::State, "", "s"), (Section::Idempotency, "kk", "r")]);
        let fork = whole.for_another();
        assert_eq!(fork.state().unwrap(), "s");
        assert_eq!(fork.section(Section::Idempotency).count(), 0);
    }

    #[test]
    fn an_image_that_contradicts_itself_is_refused() {
        let right = image(&[(Section::Data, "k", "v")]);
        right.check().unwrap();
        let other = ObjectId::from_name(&right.namespace, "other");
        let foreign = ObjectId::from_name(&Namespace::new("kv").unwrap(), "lobby");
        for wrong in [
            ObjectImage {
                id: other,
                ..right.clone()
            },
            ObjectImage {
                id: foreign,
                name: None,
                ..right.clone()
            },
            image(&[(Section::State, "k", "v")]),
            ObjectImage {
                rows: Rows::from([((Section::Data, vec![0; 2_049].into()), Bytes::new())]),
                ..right
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
