//! A player's inputs on their way into the simulation: exactly one per tick.
//!
//! The browser steps its own ship with each input it sends, and numbers them. If the server, too,
//! takes one step for each input, both arrive at the same place, whatever the network does in between:
//! - an input that is early waits for its tick;
//! - where none has come, the ship goes on under the keys it had. The input that was missing has then
//!   had its step; when it comes it only changes the keys from there on;
//! - who is silent for a second has let go of the keys: a connection is lost, and nobody steers;
//! - whoever sends faster than time passes does not fly faster: what waits too long is passed over.
//!
//! The number of the last input that had its step is a field of the ship's row, so the browser
//! knows which of its inputs are still to be added to what it sees.

use std::collections::VecDeque;

use super::body::Keys;

/// Inputs that may wait: what a network delivers at once after a hiccup.
const WAITING_MAX: usize = 5;
/// Steps without an input that later ones may make up for; who was away for longer begins anew.
const MISSING_MAX: u32 = 20;
/// Steps without a word after which nobody holds the keys.
const SILENT_MAX: u32 = 20;

/// One ship's inputs.
#[derive(Debug, Default)]
pub(crate) struct Helm {
    keys: Keys,
    waiting: VecDeque<(u32, Keys)>,
    /// Steps that were taken without the input they belong to.
    missing: u32,
    /// Steps since an input came.
    silent: u32,
    /// Number of the last input that had its step.
    done: u32,
}

impl Helm {
    /// An input has come. Numbers grow; what is old is dropped.
    pub(crate) fn take(&mut self, number: u32, keys: Keys) {
        let newest = self.waiting.back().map_or(self.done, |(number, _)| *number);
        if number <= newest {
            return;
        }
        self.silent = 0;
        if self.missing > 0 {
            self.missing -= 1;
            self.done = number;
            self.keys = keys;
            return;
        }
        self.waiting.push_back((number, keys));
        if self.waiting.len() > WAITING_MAX {
            self.advance();
        }
    }

    /// The keys for this tick's step.
    pub(crate) fn next(&mut self) -> Keys {
        if !self.advance() && self.missing < MISSING_MAX {
            self.missing += 1;
        }
        if self.silent == SILENT_MAX {
            self.keys = Keys::default();
        } else {
            self.silent += 1;
        }
        self.keys
    }

    /// Another client takes over: its numbers begin anew.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// The number of the last input that had its step.
    pub(crate) fn done(&self) -> u32 {
        self.done
    }

    fn advance(&mut self) -> bool {
        let Some((number, keys)) = self.waiting.pop_front() else {
            return false;
        };
        (self.done, self.keys) = (number, keys);
        true
    }
}
