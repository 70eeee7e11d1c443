//! Crates that only certain files may name, so that each can be replaced in one place.

use super::repository::Repository;
use super::rust::{self, Part};
use super::{Violation, repository};

/// A crate and the beginnings of the paths that may name it.
struct Confined {
    name: &'static str,
    homes: &'static [&'static str],
}

const CONFINED: &[Confined] = &[
    // HTTP as a library sees it ends where a `Call` begins.
    Confined {
        name: "axum",
        homes: &["src/http/", "src/problem.rs", "src/problem/"],
    },
    // The tests, the benches and the bots of a game are clients, and speak the protocol from the other side.
    Confined {
        name: "tungstenite",
        homes: SOCKETS,
    },
    Confined {
        name: "tokio_tungstenite",
        homes: SOCKETS,
    },
    Confined {
        name: "sled",
        homes: &["storage/src/engine/sled.rs", "storage/src/engine/sled/"],
    },
    Confined {
        name: "redb",
        homes: &["storage/src/engine/redb.rs"],
    },
    // Stored bytes outlive the crate; what is measured against it may name it.
    Confined {
        name: "bincode",
        homes: &["storage/src/codec.rs", "storage/benches/"],
    },
    // A library's caller wants errors it can tell apart.
    Confined {
        name: "anyhow",
        homes: &["src/main.rs", "xtask/", "tests/", "examples/", "benches/"],
    },
];

const SOCKETS: &[&str] = &[
    "src/http/socket.rs",
    "src/http/socket/",
    "tests/",
    "benches/",
    "clients/rust/src/session/socket.rs",
    "examples/arena/bots.rs",
];

pub(super) fn check(repository: &Repository) -> Vec<Violation> {
    repository.rust().flat_map(check_file).collect()
}

fn check_file(file: &repository::File) -> Vec<Violation> {
    let code = rust::only(Part::Code, &file.text);
    let strays = rust::path_roots(&code)
        .into_iter()
        .filter_map(|(at, name)| {
            let confined = CONFINED.iter().find(|confined| confined.name == name)?;
            let at_home = confined
                .homes
                .iter()
                .any(|home| file.path.starts_with(home));
            // `mod sled;` makes `sled::` a module of this file.
            let own_module = code.contains(&format!("mod {name};"));
            (!at_home && !own_module).then(|| {
                let message = format!(
                    "`{name}` may be named only in {}",
                    confined.homes.join(", ")
                );
                Violation::at(&file.path, rust::line_of(&code, at), message)
            })
        });
    strays.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> usize {
        check(&Repository::of(&[(path, text)])).len()
    }

    #[test]
    fn a_confined_crate_is_caught_outside_its_home() {
        assert_eq!(violations("actors/src/turn.rs", "use axum::Json;"), 1);
        assert_eq!(
            violations("storage/src/commit.rs", "fn f(db: &sled::Db) {}"),
            1
        );
        assert_eq!(
            violations("src/http/rpc.rs", "use tokio_tungstenite::tungstenite;"),
            1
        );
    }

    #[test]
    fn at_home_in_comments_and_as_a_module_it_is_fine() {
        assert_eq!(violations("src/http/rpc.rs", "use axum::Json;"), 0);
        assert_eq!(
            violations("storage/src/commit.rs", "// sled::Db does this"),
            0
        );
        assert_eq!(
            violations(
                "storage/src/engine.rs",
                "mod sled; pub use sled::SledEngine;"
            ),
            0
        );
        assert_eq!(
            violations("storage/src/lib.rs", "use crate::engine::sled::X;"),
            0
        );
    }

    #[test]
    fn the_line_is_named() {
        let found = check(&Repository::of(&[(
            "src/server.rs",
            "\n\nuse axum::Router;\n",
        )]));
        assert_eq!(
            found[0].to_string(),
            "src/server.rs:3: `axum` may be named only in src/http/, src/problem.rs, src/problem/"
        );
    }
}
