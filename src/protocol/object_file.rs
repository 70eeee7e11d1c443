//! An object as a JSON text, for files and for people: what `abide export` writes and `abide import` reads.
//!
//! ```json
//! { "format": "abide-object-1", "namespace": "counter", "name": "visits", "id": "9c…", "version": 7,
//!   "exported_at": "2026-11-23T13:40:00Z",
//!   "state": { "json": { "value": 7 }, "bytes": "AQc=" },
//!   "alarms": [{ "name": "", "scheduled": "…", "due": "…", "retries": 0, "bytes": "…" }],
//!   "data": [{ "key_text": "a", "key": "YQ==", "value": "AQE=" }],
//!   "replies": [{ "key_text": "kpay-1", "key": "…", "value": "…" }] }
//! ```
//! Bytes are base64. What stands beside them (`json`, the texts, the times) is for people: it is made
//! from the bytes when the file is written, and not looked at when it is read.
//!
//! **readable-forever**: `format` is the first thing that is read; a form of another release is
//! refused by its name, and a member that this form does not have is an error.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use abide_actors::ImageView;
use abide_storage::{Namespace, ObjectId, ObjectImage, Rows, Section, Timestamp, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The form this release writes and reads.
const FORMAT: &str = "abide-object-1";

/// One object. See the [module's documentation](self).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectFile {
    format: String,
    namespace: String,
    #[serde(default)]
    name: Option<String>,
    id: String,
    version: u64,
    #[serde(default)]
    exported_at: Option<String>,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    alarms: Vec<Alarm>,
    #[serde(default)]
    data: Vec<Row>,
    #[serde(default)]
    replies: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<serde_json::Value>,
    bytes: Base64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alarm {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheduled: Option<String>,
    /// Absent when it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
    bytes: Base64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_text: Option<String>,
    key: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_text: Option<String>,
    value: Base64,
}

/// The text is no object that this release reads. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectFile {
    /// No JSON, or not of this form.
    #[error("it is no exported object: {detail}")]
    Malformed {
        /// What was expected, with line and column.
        detail: String,
    },
    /// Of another release, or of another program.
    #[error("its format is '{found}', this release reads {FORMAT}")]
    UnknownFormat {
        /// What it says.
        found: String,
    },
    /// Its parts do not go together.
    #[error("{detail}")]
    Contradiction {
        /// Which.
        detail: String,
    },
}

impl ObjectFile {
    /// The file of an image.
    pub(crate) fn new(image: &ObjectImage, view: ImageView, exported_at: Timestamp) -> Self {
        let ImageView { state, alarms } = view;
        let rows = |section| {
            let rows = image.section(section).map(|(key, value)| Row {
                key_text: readable(key),
                key: Base64(key.clone()),
                value_text: readable(value),
                value: Base64(value.clone()),
            });
            rows.collect()
        };
        let alarms = alarms.into_iter().map(|(name, alarm)| Alarm {
            name: name.to_string(),
            scheduled: Some(alarm.scheduled.to_string()),
            due: alarm.due.map(|due| due.to_string()),
            retries: Some(alarm.retries),
            bytes: Base64(alarm.row),
        });
        Self {
            format: FORMAT.to_owned(),
            namespace: image.namespace.to_string(),
            name: image.name.as_deref().map(str::to_owned),
            id: image.id.to_string(),
            version: image.version.0,
            exported_at: Some(exported_at.to_string()),
            state: image.state().map(|bytes| State {
                json: state,
                bytes: Base64(bytes.clone()),
            }),
            alarms: alarms.collect(),
            data: rows(Section::Data),
            replies: rows(Section::Idempotency),
        }
    }

    /// The file of an image whose kind is not at hand: without what is for people.
    pub(crate) fn plain(image: &ObjectImage, exported_at: Timestamp) -> Self {
        let view = ImageView {
            state: None,
            alarms: BTreeMap::new(),
        };
        let alarms = image.section(Section::Alarm).map(|(key, row)| Alarm {
            // The store keeps names as bytes; the runtime gives it texts only.
            name: String::from_utf8_lossy(key).into_owned(),
            scheduled: None,
            due: None,
            retries: None,
            bytes: Base64(row.clone()),
        });
        Self {
            alarms: alarms.collect(),
            ..Self::new(image, view, exported_at)
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`InvalidObjectFile`]. No effect.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, InvalidObjectFile> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let malformed = |error: serde_json::Error| InvalidObjectFile::Malformed {
            detail: error.to_string(),
        };
        let Head { format } = serde_json::from_slice(text).map_err(malformed)?;
        if format != FORMAT {
            let found = format.chars().take(80).collect();
            return Err(InvalidObjectFile::UnknownFormat { found });
        }
        serde_json::from_slice(text).map_err(malformed)
    }

    /// The image it is the file of. What takes knowing the kind is checked by
    /// [`Runtime::replace`](abide_actors::Runtime::replace).
    ///
    /// # Errors
    /// [`InvalidObjectFile`]. No effect.
    pub(crate) fn into_image(self) -> Result<ObjectImage, InvalidObjectFile> {
        let wrong = |detail: String| InvalidObjectFile::Contradiction { detail };
        let namespace = Namespace::new(&self.namespace).map_err(|e| wrong(e.to_string()))?;
        let id = ObjectId::parse(&namespace, &self.id).map_err(|e| wrong(e.to_string()))?;
        let mut rows = Rows::new();
        let mut add = |section, key: Bytes, value: Base64| match rows.entry((section, key)) {
            Entry::Vacant(place) => {
                place.insert(value.0);
                Ok(())
            }
            Entry::Occupied(taken) => {
                let (section, key) = taken.key();
                Err(wrong(format!("the row {section:?} {key:?} is there twice")))
            }
        };
        if let Some(State { bytes, .. }) = self.state {
            add(Section::State, Bytes::new(), bytes)?;
        }
        for Alarm { name, bytes, .. } in self.alarms {
            add(Section::Alarm, name.into(), bytes)?;
        }
        for Row { key, value, .. } in self.data {
            add(Section::Data, key.0, value)?;
        }
        for Row { key, value, .. } in self.replies {
            add(Section::Idempotency, key.0, value)?;
        }
        let image = ObjectImage {
            namespace,
            id,
            name: self.name.map(Arc::from),
            version: Version(self.version),
            rows,
        };
        image.check().map_err(wrong)?;
        Ok(image)
    }

    /// The object as a path names it: namespace, and name or `id:` with the digits.
    pub(crate) fn address(&self) -> (&str, String) {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => format!("id:{}", self.id),
        };
        (&self.namespace, name)
    }
}

/// The bytes as text when that is what people would read in them.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

/// Bytes in JSON.
#[derive(PartialEq, Eq)]
struct Base64(Bytes);

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text);
        bytes
            .map(|bytes| Self(bytes.into()))
            .map_err(|error| de::Error::custom(format!("no base64: {error}")))
    }
}

#[cfg(test)]
mod tests;
