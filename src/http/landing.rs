//! The landing page: `/`, and its files below `/_/landing/`.

use crate::assets;
use crate::assets::{Asset, Site};

static FILES: &[Asset] = assets!(
    "landing/":
    "index.html",
    "style.css",
    "main.js",
    "carets.js",
    "chat.js",
    "dom.js",
    "editor.js",
    "namespaces.js",
    "people.js",
    "schema.js",
    "server.js",
    "vendor.js",
    "vendor.LICENSES.txt",
    "logo.svg",
);

/// Adds the page to what is served. A program with a page of its own at `/` takes its place.
pub(super) fn add_to(site: &mut Site) {
    site.add_own("/_/landing", FILES);
    if !site.has("/") {
        site.add_own("", &FILES[..1]);
    }
}
