//! Inputs near those of the corpus: a short run without any tool. It knows nothing of the code it
//! runs, as a coverage-guided fuzzer does, so it finds less; but every test run does it.

use fastrand::Rng;

/// Longest input, bytes: enough for every form there is, and quick.
const SIZE_MAX_BYTES: usize = 4_096;
/// Values at which lengths and counts tend to go wrong.
const EDGES: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xff];

/// A few changes to one input of the corpus, some of them taken from another.
pub(crate) fn mutate(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..=4) {
        let other = &corpus[rng.usize(..corpus.len())];
        change(rng, &mut bytes, other);
    }
    bytes.truncate(SIZE_MAX_BYTES);
    bytes
}

fn change(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = rng.usize(..=bytes.len());
    let end = at + rng.usize(..=(bytes.len() - at).min(16));
    match rng.u8(..6) {
        0 => drop(bytes.drain(at..end)),
        1 => drop(bytes.splice(at..end, [EDGES[rng.usize(..EDGES.len())]])),
        2 => bytes[at..end].fill(EDGES[rng.usize(..EDGES.len())]),
        3 => {
            let copy = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, copy));
        }
        4 => {
            let from = rng.usize(..=other.len());
            let to = from + rng.usize(..=(other.len() - from).min(64));
            drop(bytes.splice(at..end, other[from..to].iter().copied()));
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
    }
}
