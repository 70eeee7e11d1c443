//! The trace: one record per change, in the order in which the kernel made them.
//!
//! ```text
//! +------+------+--------+------+------- … -+
//! | kind | node | number | size | payload   |    little-endian; 1, 4, 8, 4 and `size` bytes
//! +------+------+--------+------+------- … -+
//! ```
//!
//! A *node* is a file or a folder under the watched root, numbered when it is made: inodes are used
//! again, nodes are not. Paths are relative to the root, which is node 0. This file is compiled
//! into the recorder and into the driver.

/// What is before the payload of a record, bytes.
pub(crate) const HEADER_SIZE_BYTES: usize = 17;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A file was made; the payload is its path.
    File = 1,
    /// A folder was made; the payload is its path.
    Folder = 2,
    /// The payload was written to the node; the number is the offset.
    Write = 3,
    /// The node has the number as its size.
    Resize = 4,
    /// A sync of the node begins; the number is its ticket.
    SyncBegin = 5,
    /// The sync with this number as its ticket has succeeded: what was recorded of its node before it began is durable.
    SyncEnd = 6,
    /// The payload is two paths with a zero between them.
    Rename = 7,
    /// The file or folder with this path is gone.
    Remove = 8,
}
