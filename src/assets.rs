//! Files inside the binary that a program serves beside its objects: the page of a game, say.
//!
//! [`Builder::assets`](crate::Builder::assets) takes them. All that can be wrong with a path is an
//! error when the server starts, never a page that is missing later.

use std::collections::BTreeMap;
use std::fmt;

/// Files of a program, named relative to the file this stands in: `assets!("web/": "index.html", "main.js")`.
///
/// The value is a `&'static [Asset]`; what is before the colon is where the files lie for the
/// compiler, and no part of the paths they are served under.
///
/// ```
/// use abide::{Asset, assets};
///
/// static PAGE: &[Asset] = assets!("http/landing/": "index.html", "main.js", "style.css");
/// assert_eq!(PAGE[1].path(), "main.js");
/// ```
#[macro_export]
macro_rules! assets {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$($crate::Asset::new($path, include_bytes!(concat!($folder, $path)))),+]
    };
}

/// One file, most often made by [`assets!`](crate::assets!).
#[derive(Clone, Copy)]
pub struct Asset {
    path: &'static str,
    body: &'static [u8],
    media_type: Option<&'static str>,
    is_immutable: bool,
}

impl Asset {
    /// A file with a path below the folder it is served in, such as `js/main.js`; letters, digits
    /// and `-._~` between slashes. `index.html` is also what its folder answers.
    #[must_use]
    pub const fn new(path: &'static str, body: &'static [u8]) -> Self {
        Self {
            path,
            body,
            media_type: None,
            is_immutable: false,
        }
    }

    /// Sets the `Content-Type`. Needed for file names that tell none; that of the usual kinds of
    /// a web page's files is known.
    #[must_use]
    pub const fn media_type(mut self, media_type: &'static str) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// Lets clients keep the file for a year without asking. Only for names that change with the
    /// content, such as `main-8f3a1c.js`; others are asked for each time, and most often answered
    /// with 304.
    #[must_use]
    pub const fn immutable(mut self) -> Self {
        self.is_immutable = true;
        self
    }

    /// Its path below the folder it is served in.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asset({}, {} bytes)", self.path, self.body.len())
    }
}

/// Why files cannot be served as they were given to [`Builder::assets`](crate::Builder::assets).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssets {
    /// The folder to serve them in is not well formed.
    #[error(
        "assets(\"{prefix}\", …): a prefix is \"/\" or like \"/arena\": a slash before each name, none at the end, \
         letters, digits and -._~"
    )]
    Prefix {
        /// As it was given.
        prefix: String,
    },
    /// The path of a file is not well formed.
    #[error(
        "asset \"{path}\": a path is like \"js/main.js\": letters, digits and -._~ between slashes"
    )]
    Path {
        /// As it was given.
        path: &'static str,
    },
    /// The server answers there itself.
    #[error("asset \"{path}\" would be served at {url}, and /{reserved} is the server's own")]
    Reserved {
        /// The file.
        path: &'static str,
        /// Where it would be.
        url: String,
        /// What begins there.
        reserved: &'static str,
    },
    /// Two files, or a file and a folder with an `index.html`, would be served at one place.
    #[error("asset \"{path}\" would be served at {url}, where another is served already")]
    Twice {
        /// The one that came second.
        path: &'static str,
        /// Where both would be.
        url: String,
    },
    /// The name of a file does not tell what it is.
    #[error("asset \"{path}\": its name tells no media type: say one with Asset::media_type")]
    UnknownMediaType {
        /// The file.
        path: &'static str,
    },
}

/// What begins a path of the server's own.
const RESERVED: [&str; 5] = ["v1", "openapi.json", "errors", "health", "_"];

/// What is served at which path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Site(BTreeMap<String, Entry>);

/// What is served at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    File {
        media_type: &'static str,
        body: &'static [u8],
        is_immutable: bool,
    },
    /// A folder named without the slash at its end: relative links in its page would miss it.
    Folder { name: String },
}

impl Site {
    /// Adds a program's files below the prefix.
    pub(crate) fn add(&mut self, prefix: &str, files: &[Asset]) -> Result<(), InvalidAssets> {
        let is_root = prefix == "/";
        if !is_root && !prefix.strip_prefix('/').is_some_and(is_path) {
            let prefix = prefix.to_owned();
            return Err(InvalidAssets::Prefix { prefix });
        }
        let base = if is_root { "" } else { prefix };
        for asset in files {
            let url = format!("{base}/{}", asset.path);
            let first = url[1..].split('/').next().unwrap_or_default();
            if let Some(reserved) = RESERVED.into_iter().find(|own| *own == first) {
                let path = asset.path;
                return Err(InvalidAssets::Reserved {
                    path,
                    url,
                    reserved,
                });
            }
            self.add_file(base, asset)?;
        }
        Ok(())
    }

    /// Adds the server's own files, wherever it wants them.
    pub(crate) fn add_own(&mut self, base: &str, files: &[Asset]) {
        for asset in files {
            let added = self.add_file(base, asset);
            added.expect("the server's own files are named as they should be");
        }
    }

    /// Whether anything is served at the path.
    pub(crate) fn has(&self, url: &str) -> bool {
        self.0.contains_key(url)
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = (String, Entry)> {
        self.0.into_iter()
    }

    fn add_file(&mut self, base: &str, asset: &Asset) -> Result<(), InvalidAssets> {
        let path = asset.path;
        if !is_path(path) {
            return Err(InvalidAssets::Path { path });
        }
        let Some(media_type) = asset.media_type.or_else(|| media_type(path)) else {
            return Err(InvalidAssets::UnknownMediaType { path });
        };
        let file = Entry::File {
            media_type,
            body: asset.body,
            is_immutable: asset.is_immutable,
        };
        let url = format!("{base}/{path}");
        if let Some(folder) = url.strip_suffix("/index.html") {
            self.insert(path, format!("{folder}/"), file.clone())?;
            if let Some((_, name)) = folder.rsplit_once('/') {
                let name = name.to_owned();
                self.insert(path, folder.to_owned(), Entry::Folder { name })?;
            }
        }
        self.insert(path, url, file)
    }

    fn insert(
        &mut self,
        path: &'static str,
        url: String,
        entry: Entry,
    ) -> Result<(), InvalidAssets> {
        if self.has(&url) {
            return Err(InvalidAssets::Twice { path, url });
        }
        self.0.insert(url, entry);
        Ok(())
    }
}

/// Names between slashes, none of them a way up; nothing that would be escaped in a URL.
fn is_path(path: &str) -> bool {
    path.split('/').all(|name| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !name.is_empty() && name != "." && name != ".." && name.bytes().all(fits)
    })
}

/// The usual files of web pages.
fn media_type(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "wasm" => "application/wasm",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Asset, Entry, InvalidAssets, Site};

    fn add(prefix: &str, paths: &[&'static str]) -> Result<Site, InvalidAssets> {
        let files: Vec<Asset> = paths.iter().map(|path| Asset::new(path, b"x")).collect();
        let mut site = Site::default();
        site.add(prefix, &files)?;
        Ok(site)
    }

    #[test]
    fn an_index_is_its_folder_too_and_the_folder_is_named_with_a_slash() {
        let site = add("/arena", &["index.html", "js/main.js", "help/index.html"]).unwrap();
        let urls: Vec<&str> = site.0.keys().map(String::as_str).collect();
        let expected = [
            "/arena",
            "/arena/",
            "/arena/help",
            "/arena/help/",
            "/arena/help/index.html",
            "/arena/index.html",
            "/arena/js/main.js",
        ];
        assert_eq!(urls, expected);
        let name = "help".to_owned();
        assert_eq!(site.0["/arena/help"], Entry::Folder { name });
    }

    #[test]
    fn the_root_may_be_a_programs_own() {
        let site = add("/", &["index.html", "main.js"]).unwrap();
        let urls: Vec<&str> = site.0.keys().map(String::as_str).collect();
        assert_eq!(urls, ["/", "/index.html", "/main.js"]);
    }

    #[test]
    fn malformed_prefixes_and_paths_are_refused() {
        for prefix in [
            "", "arena", "/arena/", "//arena", "/a/../b", "/a b", "/{a}", "/a%2F",
        ] {
            let refused = add(prefix, &["a.js"]).unwrap_err();
            assert!(matches!(refused, InvalidAssets::Prefix { .. }), "{prefix}");
        }
        for path in [
            "", "/a.js", "a//b.js", "../a.js", "a/./b.js", "ä.js", "{*a}.js", "a.js?",
        ] {
            let refused = add("/arena", &[path]).unwrap_err();
            assert_eq!(refused, InvalidAssets::Path { path });
        }
    }

    #[test]
    fn the_servers_own_paths_stay_its_own() {
        let taken = [
            ("/v1", "a.js"),
            ("/v1/room", "a.js"),
            ("/_", "a.js"),
            ("/", "openapi.json"),
            ("/errors", "a.js"),
        ];
        for (prefix, path) in taken {
            let refused = add(prefix, &[path]).unwrap_err();
            assert!(
                matches!(refused, InvalidAssets::Reserved { .. }),
                "{prefix}/{path}"
            );
        }
        // What only begins like one of them is another name.
        add("/v1-docs", &["a.js"]).unwrap();
    }

    #[test]
    fn one_place_serves_one_file() {
        let twice = add("/arena", &["a.js", "a.js"]).unwrap_err();
        assert_eq!(
            twice.to_string(),
            "asset \"a.js\" would be served at /arena/a.js, where another is served already"
        );
        let mut site = add("/arena", &["help/index.html"]).unwrap();
        let file = Asset::new("help", b"x").media_type("text/plain");
        assert!(matches!(
            site.add("/arena", &[file]),
            Err(InvalidAssets::Twice { .. })
        ));
    }

    #[test]
    fn a_file_whose_name_tells_nothing_needs_a_media_type() {
        let path = "LICENSE";
        assert_eq!(
            add("/a", &[path]).unwrap_err(),
            InvalidAssets::UnknownMediaType { path }
        );
        let file = Asset::new(path, b"x").media_type("text/plain");
        Site::default().add("/a", &[file]).unwrap();
    }
}
