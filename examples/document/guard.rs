//! Walks untrusted Yjs bytes before the CRDT may see them.
//!
//! The decoder behind this reserves memory for the counts it reads and recurses into nested
//! values. A frame of a few bytes could make it reserve gigabytes, one of a megabyte could use up
//! the stack, and either would take the whole node down, with every other object on it. So the
//! bytes are walked first, building nothing: every count must fit into the bytes that are left,
//! and nesting has a limit. (Format: Yjs, `utils/encoding.js` and `structs/*`, version 1.)

use super::wire::{Malformed, Reader};

/// Values inside values. Editors nest a handful of levels.
const DEPTH_MAX: u32 = 64;
/// Clocks are 32 bits wide in the CRDT.
const CLOCK_MAX: u64 = u32::MAX as u64;

/// Accepts what a Yjs client can have written as a state vector.
pub(crate) fn check_state_vector(bytes: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.count()? {
        reader.number()?;
        clock(&mut reader)?;
    }
    ended(&reader)
}

/// Accepts what a Yjs client can have written as an update.
pub(crate) fn check_update(bytes: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.count()? {
        let structs = reader.count()?;
        reader.number()?;
        let mut end = clock(&mut reader)?;
        for _ in 0..structs {
            end = advanced(end, structure(&mut reader)?)?;
        }
    }
    for _ in 0..reader.count()? {
        reader.number()?;
        for _ in 0..reader.count()? {
            let start = clock(&mut reader)?;
            advanced(start, clock(&mut reader)?)?;
        }
    }
    ended(&reader)
}

/// One struct; answers how many clock ticks it takes.
fn structure(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    const GARBAGE: u8 = 0;
    const SKIP: u8 = 10;
    const HAS_LEFT: u8 = 0x80;
    const HAS_RIGHT: u8 = 0x40;
    const HAS_PARENT_KEY: u8 = 0x20;

    let info = reader.byte()?;
    if info == GARBAGE || info == SKIP {
        return clock(reader);
    }
    let left = (info & HAS_LEFT != 0).then(|| id(reader)).transpose()?;
    let right = (info & HAS_RIGHT != 0).then(|| id(reader)).transpose()?;
    // The CRDT would put it where a replica made anew does not.
    if left.is_some() && left == right {
        return Err(Malformed::Content("a change between a place and itself"));
    }
    // Without neighbours it says where it belongs: a root by name, or another item.
    if info & (HAS_LEFT | HAS_RIGHT) == 0 {
        match reader.number()? {
            1 => drop(reader.text()?),
            _ => drop(id(reader)?),
        }
        if info & HAS_PARENT_KEY != 0 {
            reader.text()?;
        }
    }
    content(reader, info & 0x1F)
}

fn content(reader: &mut Reader<'_>, kind: u8) -> Result<u64, Malformed> {
    match kind {
        // Deleted.
        1 => return clock(reader),
        // Binary.
        3 => drop(reader.bytes()?),
        // Text counts in UTF-16, as JavaScript does.
        4 => return Ok(utf16_len(reader.text()?)),
        // Embedded object, as JSON.
        5 => drop(reader.text()?),
        // Formatting: a key, and its value as JSON.
        6 => {
            reader.text()?;
            reader.text()?;
        }
        // A nested type; of those that are sent only an XML element has a name.
        7 => match reader.number()? {
            0 | 1 | 2 | 4 | 6 => {}
            3 => drop(reader.text()?),
            _ => {
                return Err(Malformed::Unsupported(
                    "a shared type that is not supported",
                ));
            }
        },
        // Plain values.
        8 => {
            let values = reader.count()?;
            for _ in 0..values {
                value(reader, DEPTH_MAX)?;
            }
            return Ok(values as u64);
        }
        // A subdocument: its id, and options.
        9 => {
            reader.text()?;
            value(reader, DEPTH_MAX)?;
        }
        // 2 is the JSON of Yjs before version 13, which nothing has written since 2019.
        _ => {
            return Err(Malformed::Unsupported(
                "a kind of content that is not supported",
            ));
        }
    }
    Ok(1)
}

fn utf16_len(text: &str) -> u64 {
    // Most of what is typed, and many times faster.
    if text.is_ascii() {
        return text.len() as u64;
    }
    text.encode_utf16().count() as u64
}

/// One value in lib0's self-describing form.
fn value(reader: &mut Reader<'_>, depth_left: u32) -> Result<(), Malformed> {
    let deeper = || {
        depth_left
            .checked_sub(1)
            .ok_or(Malformed::Content("nested too deeply"))
    };
    match reader.byte()? {
        // Undefined, null, false, true.
        120 | 121 | 126 | 127 => {}
        // An integer ends with the first byte that lacks the high bit; 64 bits take ten bytes.
        125 => {
            let mut size_bytes = 1;
            while reader.byte()? & 0x80 != 0 {
                size_bytes += 1;
                if size_bytes > 10 {
                    return Err(Malformed::Content("a number is too large"));
                }
            }
        }
        124 => drop(reader.take(4)?),
        122 | 123 => drop(reader.take(8)?),
        119 => drop(reader.text()?),
        116 => drop(reader.bytes()?),
        118 => {
            for _ in 0..reader.count()? {
                reader.text()?;
                value(reader, deeper()?)?;
            }
        }
        117 => {
            for _ in 0..reader.count()? {
                value(reader, deeper()?)?;
            }
        }
        _ => return Err(Malformed::Content("not a value")),
    }
    Ok(())
}

/// A client, and a clock of it.
fn id(reader: &mut Reader<'_>) -> Result<(u64, u64), Malformed> {
    Ok((reader.number()?, clock(reader)?))
}

fn clock(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    advanced(0, reader.number()?)
}

fn advanced(clock: u64, by: u64) -> Result<u64, Malformed> {
    let end = clock + by;
    if end <= CLOCK_MAX {
        Ok(end)
    } else {
        Err(Malformed::Content("a clock is too large"))
    }
}

fn ended(reader: &Reader<'_>) -> Result<(), Malformed> {
    if reader.is_empty() {
        Ok(())
    } else {
        Err(Malformed::Content("bytes follow the update"))
    }
}
