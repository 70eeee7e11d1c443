//! What the workload says of its commits, in a watched file of its own: so a line of it has its place in
//! the trace, among the changes of the store.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;

use crate::trace::{Operation, Trace};

pub(crate) const NAME: &str = "marks";

/// The file, open in the workload.
#[derive(Debug)]
pub(crate) struct Marks(Mutex<File>);

/// What is said of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saying {
    /// It is about to be handed to the store.
    Tried,
    /// It is durable, says the store.
    Acknowledged,
}

/// What an object may be at: at least the acknowledged version, at most the tried one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) acknowledged: u64,
    pub(crate) tried: u64,
}

impl Marks {
    pub(crate) fn create(root: &Path) -> anyhow::Result<Self> {
        Ok(Self(Mutex::new(File::create_new(root.join(NAME))?)))
    }

    pub(crate) fn say(&self, saying: Saying, object: u32, version: u64) -> anyhow::Result<()> {
        let word = match saying {
            Saying::Tried => "tried",
            Saying::Acknowledged => "acknowledged",
        };
        // One write, so that it is one operation of the trace.
        let line = format!("{word} {object} {version}\n");
        let mut file = self.0.lock().ok().context("a writer of marks panicked")?;
        Ok(file.write_all(line.as_bytes())?)
    }
}

/// All marks of a trace, each with its place.
pub(crate) fn read(trace: &Trace) -> anyhow::Result<Vec<(usize, Saying, usize, u64)>> {
    let mut marks = Vec::new();
    let mut file = None;
    for (at, operation) in trace.operations.iter().enumerate() {
        match operation {
            Operation::File { node, path } if path == NAME => file = Some(*node),
            Operation::Write { node, data, .. } if Some(*node) == file => {
                let line = std::str::from_utf8(trace.data(data))?;
                let mut words = line.split_whitespace();
                let saying = match words.next() {
                    Some("tried") => Saying::Tried,
                    _ => Saying::Acknowledged,
                };
                let mut number = || words.next().context("a mark cut short");
                let (object, version) = (number()?.parse()?, number()?.parse()?);
                marks.push((at, saying, object, version));
            }
            _ => {}
        }
    }
    Ok(marks)
}

/// What each of `objects` may be at after the first `position` operations.
pub(crate) fn bounds(
    marks: &[(usize, Saying, usize, u64)],
    position: usize,
    objects: usize,
) -> Vec<Bounds> {
    let mut bounds = vec![Bounds::default(); objects];
    for (_, saying, object, version) in marks.iter().take_while(|(at, ..)| *at < position) {
        let bound = match saying {
            Saying::Tried => &mut bounds[*object].tried,
            Saying::Acknowledged => &mut bounds[*object].acknowledged,
        };
        *bound = (*bound).max(*version);
    }
    bounds
}
