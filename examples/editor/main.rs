//! A collaborative editor: the `document` actor and a page for it, in one program.
//!
//! ```text
//! cargo run --example editor
//! # then http://127.0.0.1:7878/?doc=notes in two windows
//!
//! curl http://127.0.0.1:7878/v1/document/notes/-/codemirror.md
//! curl -X POST http://127.0.0.1:7878/v1/document/notes/append \
//!      -H 'Content-Type: application/json' -d '{"text": "from the shell\n"}'
//! ```
//! The page is `web/`: CodeMirror over the y-websocket provider as its authors ship it. Where the
//! text is, which versions there are and when it is saved, the document knows: `docs/editor.md`.

#[path = "../document/document.rs"]
mod document;

use abide::prelude::*;
use abide::{Asset, assets};

use crate::document::Document;

static PAGE: &[Asset] = assets!(
    "web/": "index.html", "style.css", "icon.svg", "main.js", "calls.js", "diff.js", "editor.js",
    "history.js", "markdown.js", "saved.js", "status.js", "toast.js", "words.js", "vendor.js",
    "vendor.LICENSES.txt"
);

/// Carets, people and elements are drawn as on the server's own landing page.
static SHARED: &[Asset] = assets!("../../src/http/landing/": "carets.js", "dom.js", "people.js");

fn main() -> std::process::ExitCode {
    Server::builder()
        .actor::<Document>("document")
        .assets("/", PAGE)
        .assets("/", SHARED)
        .main()
}
