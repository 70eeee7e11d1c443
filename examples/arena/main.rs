//! A game in the browser: ships, rocks and power-ups, for as many as fit.
//!
//! ```text
//! cargo run --release --example arena                       # then open http://127.0.0.1:7878/arena/
//! cargo run --release --example arena -- bots 200 duel      # 200 bots in the room "duel"
//!
//! curl http://127.0.0.1:7878/v1/arena/duel/stats            # how punctual its ticks are
//! curl http://127.0.0.1:7878/v1/arena/duel/best
//! curl http://127.0.0.1:7878/v1/arena-lobby/lobby/rooms
//! ```
//! A room is one object. It steps a world ([`world`], which knows nothing of the server) twenty times a second with the
//! inputs of its players, and tells each of them what changed in the four sectors of the map around it
//! (`view.rs`, with `abide::sync`). The page predicts its own ship with the same function that the server steps it with, and
//! draws everything else a tenth of a second late, between two ticks it knows.

mod arena;
mod best;
mod bots;
mod lobby;
mod pace;
mod protocol;
mod room;
mod saved;
mod seats;
#[cfg(test)]
mod tests;
mod view;
mod world;

use std::process::ExitCode;

use abide::prelude::*;
use abide::{Asset, assets};

use crate::arena::Arena;
use crate::lobby::Lobby;

static PAGE: &[Asset] = assets!(
    "web/": "abide-client.js", "game.js", "hud.js", "icon.svg", "index.html", "input.js", "lobby.js", "main.js", "net.js", "particles.js",
    "physics.js", "predict.js", "rules.js", "scene.js", "sky.js", "sound.js", "sprites.js", "style.css", "sync.js"
);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, arguments @ ..] = &arguments[..]
        && command == "bots"
    {
        return match bots::run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                #[expect(clippy::print_stderr, reason = "the last words of the process")]
                {
                    eprintln!("error: {error}");
                }
                ExitCode::FAILURE
            }
        };
    }
    Server::builder()
        .actor::<Arena>("arena")
        .actor::<Lobby>("arena-lobby")
        .assets("/arena", PAGE)
        .main()
}
