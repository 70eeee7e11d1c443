//! A disk as far as a power cut sees it: what is durable, what is on its way, and what a cut may make of it.
//!
//! The model is in the documentation of the crate.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::trace::{Operation, Trace};

/// Parts in which a disk writes, bytes: a torn write is torn at their ends.
const SECTOR_SIZE_BYTES: usize = 512;

/// The disk under a prefix of a trace.
#[derive(Debug)]
pub(crate) struct Disk<'a> {
    trace: &'a Trace,
    /// Operations it has seen.
    position: usize,
    /// By number; node 0 is the root.
    nodes: HashMap<u32, Node>,
    /// Tickets of syncs that run, and where they began.
    syncs: HashMap<u64, usize>,
    /// Drafts of sled's snapshots, whose names a sync of them makes durable, and their folders.
    drafts: HashMap<u32, u32>,
}

#[derive(Debug)]
enum Node {
    File {
        durable: Vec<u8>,
        pending: Vec<(usize, Change)>,
    },
    Folder {
        /// What the process sees.
        live: BTreeMap<String, u32>,
        durable: BTreeMap<String, u32>,
        pending: Vec<(usize, Entry)>,
    },
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Range<usize> },
    Resize(usize),
}

/// A change of a folder's names.
#[derive(Debug, Clone)]
enum Entry {
    Add(String, u32),
    Remove(String),
    Rename(String, String),
}

/// How a cut treats what was not durable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    /// Everything got there.
    KeepsAll,
    /// Nothing did.
    DropsAll,
    /// Each write has a fate of its own.
    Mixes,
    /// Each file has a fate of its own.
    MixesFiles,
    /// Each file has its oldest writes, the last of them torn.
    KeepsOldest,
}

impl Mood {
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..8) {
            0 => Self::KeepsAll,
            1 => Self::DropsAll,
            2 => Self::MixesFiles,
            3 => Self::KeepsOldest,
            _ => Self::Mixes,
        }
    }
}

/// What becomes of one write.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    Dropped,
    /// Sectors of it are kept, any of them.
    Torn,
    /// The file has grown, its new part is zeros.
    SizeOnly,
}

impl Fate {
    fn random(random: &mut fastrand::Rng) -> Self {
        match random.u8(..8) {
            0..=2 => Self::Kept,
            3..=5 => Self::Dropped,
            6 => Self::Torn,
            _ => Self::SizeOnly,
        }
    }
}

/// Files by path, with their bytes; folders have none.
pub(crate) type Image = BTreeMap<String, Option<Vec<u8>>>;

impl<'a> Disk<'a> {
    pub(crate) fn new(trace: &'a Trace) -> Self {
        Self {
            trace,
            position: 0,
            nodes: HashMap::from([(0, Node::folder())]),
            syncs: HashMap::new(),
            drafts: HashMap::new(),
        }
    }

    /// Lets the first `position` operations of the trace have happened.
    pub(crate) fn advance(&mut self, position: usize) -> anyhow::Result<()> {
        while self.position < position {
            let trace = self.trace;
            let operation = &trace.operations[self.position];
            self.apply(operation)
                .with_context(|| format!("operation {}: {operation:?}", self.position))?;
            self.position += 1;
        }
        Ok(())
    }

    /// What the process saw, with nothing lost.
    pub(crate) fn live(&self) -> anyhow::Result<Image> {
        self.image(&mut |node| match node {
            Node::Folder { live, .. } => Found::Folder(live.clone()),
            Node::File { durable, pending } => {
                let mut bytes = durable.clone();
                for (_, change) in pending {
                    change.apply(&mut bytes, self.trace);
                }
                Found::File(bytes)
            }
        })
    }

    /// What the next start may find after a cut here.
    pub(crate) fn cut(&self, random: &mut fastrand::Rng) -> anyhow::Result<Image> {
        let mood = Mood::random(random);
        self.image(&mut |node| match node {
            Node::Folder {
                durable, pending, ..
            } => {
                let mut names = durable.clone();
                // A journal keeps the order of a folder's changes: only the last of them are lost.
                let kept = match mood {
                    Mood::KeepsAll => pending.len(),
                    Mood::DropsAll => 0,
                    _ => random.usize(0..=pending.len()),
                };
                for (_, entry) in &pending[..kept] {
                    entry.apply(&mut names);
                }
                Found::Folder(names)
            }
            Node::File { durable, pending } => {
                Found::File(self.cut_file(durable, pending, mood, random))
            }
        })
    }

    fn cut_file(
        &self,
        durable: &[u8],
        pending: &[(usize, Change)],
        mood: Mood,
        random: &mut fastrand::Rng,
    ) -> Vec<u8> {
        let mut bytes = durable.to_vec();
        let of_file = Fate::random(random);
        let oldest = random.usize(0..=pending.len());
        for (index, (_, change)) in pending.iter().enumerate() {
            let fate = match mood {
                Mood::KeepsAll => Fate::Kept,
                Mood::DropsAll => return bytes,
                Mood::Mixes => Fate::random(random),
                Mood::MixesFiles => of_file,
                Mood::KeepsOldest if index < oldest => Fate::Kept,
                Mood::KeepsOldest if index == oldest => Fate::Torn,
                Mood::KeepsOldest => return bytes,
            };
            match (change, fate) {
                (_, Fate::Kept) => change.apply(&mut bytes, self.trace),
                // What follows a loss of length lies in new blocks of the file: without the one, none of the other.
                (Change::Resize(size), _) if *size < bytes.len() => return bytes,
                (Change::Resize(_), _) | (_, Fate::Dropped) => {}
                (Change::Write { offset, data }, Fate::SizeOnly) => {
                    let end = offset + data.len();
                    bytes.resize(bytes.len().max(end), 0);
                }
                (Change::Write { offset, data }, Fate::Torn) => {
                    let data = self.trace.data(data);
                    let end = offset + data.len();
                    let mut at = *offset;
                    while at < end {
                        let next = end.min((at / SECTOR_SIZE_BYTES + 1) * SECTOR_SIZE_BYTES);
                        if random.bool() {
                            put(&mut bytes, at, &data[at - offset..next - offset]);
                        }
                        at = next;
                    }
                }
            }
        }
        bytes
    }

    fn apply(&mut self, operation: &Operation) -> anyhow::Result<()> {
        match operation {
            Operation::File { node, path } => {
                let file = Node::File {
                    durable: Vec::new(),
                    pending: Vec::new(),
                };
                self.nodes.insert(*node, file);
                if path.ends_with(".generating") {
                    self.drafts.insert(*node, self.split(path)?.0);
                }
                self.add(path, *node)
            }
            Operation::Folder { node, path } => {
                self.nodes.insert(*node, Node::folder());
                self.add(path, *node)
            }
            Operation::Write { node, offset, data } => {
                let offset = usize::try_from(*offset)?;
                self.change(
                    *node,
                    Change::Write {
                        offset,
                        data: data.clone(),
                    },
                )
            }
            Operation::Resize { node, size_bytes } => {
                self.change(*node, Change::Resize(usize::try_from(*size_bytes)?))
            }
            Operation::SyncBegin { ticket, .. } => {
                self.syncs.insert(*ticket, self.position);
                Ok(())
            }
            Operation::SyncEnd { node, ticket } => {
                let began = self.syncs.remove(ticket).context("the sync never began")?;
                let synced = self.nodes.get_mut(node).context("no such node")?;
                synced.make_durable(began, self.trace);
                if let Some(folder) = self.drafts.get(node)
                    && let Some(folder) = self.nodes.get_mut(folder)
                {
                    folder.make_durable(began, self.trace);
                }
                Ok(())
            }
            Operation::Rename { from, to } => {
                let (folder, old) = self.split(from)?;
                let (other, new) = self.split(to)?;
                ensure!(folder == other, "a rename from one folder to another");
                self.enter(folder, Entry::Rename(old, new))
            }
            Operation::Remove { path } => {
                let (folder, name) = self.split(path)?;
                self.enter(folder, Entry::Remove(name))
            }
        }
    }

    fn add(&mut self, path: &str, node: u32) -> anyhow::Result<()> {
        let (folder, name) = self.split(path)?;
        self.enter(folder, Entry::Add(name, node))
    }

    fn enter(&mut self, folder: u32, entry: Entry) -> anyhow::Result<()> {
        let position = self.position;
        let Some(Node::Folder { live, pending, .. }) = self.nodes.get_mut(&folder) else {
            bail!("no such folder");
        };
        entry.apply(live);
        pending.push((position, entry));
        Ok(())
    }

    fn change(&mut self, node: u32, change: Change) -> anyhow::Result<()> {
        let position = self.position;
        let Some(Node::File { pending, .. }) = self.nodes.get_mut(&node) else {
            bail!("no such file");
        };
        pending.push((position, change));
        Ok(())
    }

    /// The folder a path lies in, and its last name.
    fn split(&self, path: &str) -> anyhow::Result<(u32, String)> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = 0;
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            let Some(Node::Folder { live, .. }) = self.nodes.get(&at) else {
                bail!("{path}: no folder");
            };
            at = *live
                .get(folder)
                .with_context(|| format!("{path}: no {folder}"))?;
        }
        Ok((at, name.to_owned()))
    }

    fn image(&self, look: &mut dyn FnMut(&Node) -> Found) -> anyhow::Result<Image> {
        let mut image = Image::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((path, node)) = folders.pop() {
            let names = match look(&self.nodes[&node]) {
                Found::File(bytes) => {
                    image.insert(path, Some(bytes));
                    continue;
                }
                Found::Folder(names) => names,
            };
            let inside = |name| {
                if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                }
            };
            folders.extend(names.into_iter().map(|(name, node)| (inside(name), node)));
            if !path.is_empty() {
                image.insert(path, None);
            }
        }
        Ok(image)
    }
}

enum Found {
    File(Vec<u8>),
    Folder(BTreeMap<String, u32>),
}

impl Node {
    fn folder() -> Self {
        Self::Folder {
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    /// Makes durable what happened before the operation `began`.
    fn make_durable(&mut self, began: usize, trace: &Trace) {
        match self {
            Self::File { durable, pending } => {
                let covered = pending.partition_point(|(at, _)| *at < began);
                for (_, change) in pending.drain(..covered) {
                    change.apply(durable, trace);
                }
            }
            Self::Folder {
                durable, pending, ..
            } => {
                let covered = pending.partition_point(|(at, _)| *at < began);
                for (_, entry) in pending.drain(..covered) {
                    entry.apply(durable);
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>, trace: &Trace) {
        match self {
            Self::Write { offset, data } => put(bytes, *offset, trace.data(data)),
            Self::Resize(size) => bytes.resize(*size, 0),
        }
    }
}

impl Entry {
    fn apply(&self, names: &mut BTreeMap<String, u32>) {
        match self {
            Self::Add(name, node) => _ = names.insert(name.clone(), *node),
            Self::Remove(name) => _ = names.remove(name),
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

/// Makes the files of an image in a folder.
pub(crate) fn write_image(image: &Image, folder: &Path) -> anyhow::Result<()> {
    for (path, bytes) in image {
        let path = folder.join(path);
        match bytes {
            None => std::fs::create_dir(&path)?,
            Some(bytes) => {
                let file = std::fs::File::create_new(&path)?;
                file.set_len(bytes.len() as u64)?;
                // Zeros are left out: most of a log segment is.
                for (number, page) in bytes.chunks(64 << 10).enumerate() {
                    if page.iter().any(|byte| *byte != 0) {
                        file.write_all_at(page, number as u64 * (64 << 10))?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The files under a folder.
pub(crate) fn read_image(folder: &Path) -> anyhow::Result<Image> {
    let mut image = Image::new();
    let mut folders = vec![String::new()];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&path))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().context("a name that is no text")?;
            let inside = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            };
            if entry.file_type()?.is_dir() {
                folders.push(inside.clone());
                image.insert(inside, None);
            } else {
                image.insert(inside, Some(std::fs::read(entry.path())?));
            }
        }
    }
    Ok(image)
}
