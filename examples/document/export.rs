//! A document as files, for programs that are no editors.
//!
//! ```text
//! GET …/-/{field}.md                       the text of a field
//! GET …/-/versions/{number}/{field}.md     as it was in a version
//! GET …/-/document.json                    all fields
//! GET …/-/versions/{number}/document.json
//! ```
//! An editor of Markdown writes Markdown, so its text is the file.

use abide::prelude::*;

use super::replica::Replica;
use super::{Document, refusal};

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const JSON: &str = "application/json";

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
struct File<'a> {
    /// The version; `None`: the document as it is.
    version: Option<u64>,
    what: What<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum What<'a> {
    Field(&'a str),
    All,
}

impl Document {
    /// Answers a request for a file.
    pub(super) async fn file(
        &self,
        ctx: &Context<Self>,
        method: &Method,
        path: &str,
    ) -> Result<Response<Body>, ActorError> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let message = "files of a document are read with GET";
            return Err(refusal("not-a-read", message, 405));
        }
        let file = File::parse(path).ok_or_else(|| {
            let message = "a document has the files {field}.md and document.json";
            refusal("no-such-file", message, 404)
        })?;
        let (media_type, content) = match file.version {
            None => file.what.of(&self.replica),
            Some(number) => file.what.of(&self.versions.open(ctx, number).await?.1),
        };
        let mut response = Response::new(Body::from(content));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static(media_type));
        headers.insert("cache-control", HeaderValue::from_static("no-cache"));
        // It is what people wrote: no browser may take it for a page of this server.
        let nosniff = HeaderValue::from_static("nosniff");
        headers.insert("x-content-type-options", nosniff);
        Ok(response)
    }
}

impl<'a> File<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (version, name) = match path.strip_prefix("versions/") {
            None => (None, path),
            Some(rest) => {
                let (number, name) = rest.split_once('/')?;
                (Some(number.parse().ok()?), name)
            }
        };
        let what = match name.strip_suffix(".md") {
            Some(field) if !field.is_empty() && !field.contains(['/', '%']) => What::Field(field),
            None if name == "document.json" => What::All,
            _ => return None,
        };
        Some(Self { version, what })
    }
}

impl What<'_> {
    fn of(&self, replica: &Replica) -> (&'static str, String) {
        match self {
            Self::Field(field) => (MARKDOWN, replica.text(field)),
            Self::All => (JSON, format!("{:#}", replica.json())),
        }
    }
}
