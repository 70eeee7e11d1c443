//! The arguments of every command that speaks to a running server.

use clap::Args;
use serde::Serialize;

use crate::admin_client::AdminClient;
use crate::error::Result;
use crate::stdout;

/// Which server, and in which form it is told what came back.
#[derive(Debug, Args)]
pub(crate) struct Admin {
    /// Address of the server's listener for operators.
    #[arg(long, env = "ABIDE_ADMIN", value_name = "URL")]
    #[arg(default_value = "http://127.0.0.1:7879")]
    admin: String,
    /// Prints JSON for scripts, one value per line.
    #[arg(long)]
    json: bool,
}

impl Admin {
    /// The way to that server. Connects to nothing yet.
    ///
    /// # Errors
    /// When the address is none.
    pub(crate) fn client(&self) -> Result<AdminClient> {
        Ok(AdminClient::new(&self.admin)?)
    }

    /// Prints one answer that was asked for: as JSON when that was wished, else as `text` says it.
    ///
    /// # Errors
    /// As [`stdout::output`].
    pub(crate) fn output<T: Serialize>(
        &self,
        answer: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        stdout::output(&self.line(answer, text))
    }

    /// Says what was done, in the same form.
    pub(crate) fn print<T: Serialize>(&self, done: &T, text: impl FnOnce(&T) -> String) {
        stdout::print(&self.line(done, text));
    }

    fn line<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> String) -> String {
        let line = if self.json {
            serde_json::to_string(answer).expect("an answer has string keys only")
        } else {
            text(answer)
        };
        line + "\n"
    }
}

/// A text of a client's or an actor's for people: one line, that tells a terminal nothing.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char.is_control() {
            true => plain.extend(char.escape_default()),
            false => plain.push(char),
        }
    }
    plain
}
