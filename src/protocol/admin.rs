//! What the admin API says in JSON, for both ends of it: `http/admin/` and `admin_client.rs`.

use serde::{Deserialize, Serialize};

/// One line of an answer that comes in many (newline-delimited JSON). The last line is an `end`
/// or a `problem`; an answer without one was cut short, and what it was about may have happened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Line<I, E> {
    /// One of many, or how far it has come.
    Item(I),
    /// All went well, and this is the sum of it.
    End(E),
    /// It stopped here.
    Problem(Refused),
}

/// A problem as a program reads it; members it does not know are left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// The page that explains it is `/errors/{code}`.
    pub(crate) code: String,
    /// Sentence for people.
    pub(crate) detail: String,
    /// "none" or "unknown".
    pub(crate) effect: String,
}

/// One object of a listing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListedObject {
    /// 64 hex digits.
    pub(crate) id: String,
    /// Its name, when it was addressed by one.
    pub(crate) name: Option<String>,
    /// Commits so far.
    pub(crate) version: u64,
}

/// The end of a listing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// Objects told.
    pub(crate) objects: u64,
}

/// What a fork is asked for with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fork {
    /// The object that is to become a copy: `namespace/name`.
    pub(crate) to: String,
}

/// An object that was replaced.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Replaced {
    /// `namespace/name`.
    pub(crate) object: String,
    /// Its version now.
    pub(crate) version: u64,
}

/// The text names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{found}' names no object: write namespace/name")]
pub(crate) struct InvalidObjectName {
    found: String,
}

/// Namespace and name of an object, as commands and bodies write it: the name may hold slashes.
pub(crate) fn split_address(text: &str) -> Result<(&str, &str), InvalidObjectName> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace, name))
        }
        _ => Err(InvalidObjectName {
            found: text.chars().take(80).collect(),
        }),
    }
}
