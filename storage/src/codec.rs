//! Values to bytes and back: `[format byte][payload]`. The only file that names bincode.
//!
//! ```text
//!   0        1
//! +--------+---------------------------------------------+
//! |  0x01  |  bincode 2, standard configuration           |   a type in its first form
//! +--------+----------+----------------------------------+
//! |  0x02  | form (1) |  bincode 2, as above             |   a type that has changed since
//! +--------+----------+----------------------------------+
//! ```
//!
//! **readable-forever**: the format byte lets a release read what its predecessors wrote, and
//! refuse, by name, what a newer one wrote. A type that grows gets a number for its new form and keeps
//! the old ones to read: [`form`] says which it is, [`decode`] and [`decode_form`] read it. A payload must be consumed to its last byte: left-over bytes mean that the
//! value was written by another type than the one it is read as.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The format of a type in its first form.
const FORMAT: u8 = 0x01;
/// The format of a type in a later form, whose number is the next byte.
const FORMAT_OF_FORMS: u8 = 0x02;
/// The form that [`encode`] writes.
const FIRST_FORM: u8 = 1;

/// Appends the encoded value to `out`.
///
/// # Errors
/// [`EncodeError`] when the value's own `Serialize` fails, such as a sequence of unknown length.
/// `out` is as it was before.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_after(&[FORMAT], value, out)
}

/// Appends a value of a type in its form `form`, which is 2 or more.
///
/// # Errors
/// As [`encode`].
///
/// # Panics
/// When `form` is below 2: the first form is what [`encode`] writes.
pub fn encode_form<T: Serialize + ?Sized>(
    form: u8,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    assert!(form > FIRST_FORM, "later forms of a type count from 2");
    encode_after(&[FORMAT_OF_FORMS, form], value, out)
}

fn encode_after<T: Serialize + ?Sized>(
    head: &[u8],
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let size_before = out.len();
    out.extend_from_slice(head);
    match bincode::serde::encode_into_std_write(value, out, bincode::config::standard()) {
        Ok(_) => Ok(()),
        Err(error) => {
            out.truncate(size_before);
            Err(EncodeError(error.to_string()))
        }
    }
}

/// The form a value was written in: 1 by [`encode`], else as given to [`encode_form`].
///
/// # Errors
/// [`DecodeError`]; nothing has an effect.
pub fn form(bytes: &[u8]) -> Result<u8, DecodeError> {
    match bytes {
        [FORMAT_OF_FORMS, form, ..] if *form > FIRST_FORM => Ok(*form),
        [FORMAT_OF_FORMS, ..] => Err(DecodeError::Malformed("no form of any type".to_owned())),
        _ => format_of(bytes, FORMAT_OF_FORMS).map(|_payload| FIRST_FORM),
    }
}

/// Reads a value that [`encode_form`] wrote, in the form that [`form`] says.
///
/// # Errors
/// [`DecodeError`]; nothing has an effect.
pub fn decode_form<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    form(bytes)?;
    decode_whole(bytes.get(2..).unwrap_or_default())
}

/// Reads a value that [`encode`] of this or an older release wrote.
///
/// # Errors
/// [`DecodeError`]; nothing has an effect.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode_whole(format_of(bytes, FORMAT)?)
}

/// The payload of the first format; an error for any other, which names the highest one that
/// would have done.
fn format_of(bytes: &[u8], supported: u8) -> Result<&[u8], DecodeError> {
    let (&format, payload) = bytes.split_first().ok_or(DecodeError::Empty)?;
    match format {
        FORMAT => Ok(payload),
        0 => Err(DecodeError::UnknownFormat),
        found => Err(DecodeError::NewerFormat { found, supported }),
    }
}

fn decode_whole<T: DeserializeOwned>(payload: &[u8]) -> Result<T, DecodeError> {
    let (value, consumed) =
        decode_payload(payload).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match payload.len() - consumed {
        0 => Ok(value),
        count => Err(DecodeError::TrailingBytes { count }),
    }
}

/// Without a limit bincode reserves whatever length a text claims to have, and one flipped bit
/// would end the process where the object alone should be refused. It counts a number by its
/// size in memory, of which each encoded byte stands for 16 at most; so 16 times the payload is
/// enough for every honest one. The limit is a constant, hence the steps.
fn decode_payload<T: DeserializeOwned>(
    payload: &[u8],
) -> Result<(T, usize), bincode::error::DecodeError> {
    const SMALL: usize = 1 << 20;
    const MIDDLE: usize = 1 << 26;
    /// More than the largest commit.
    const LARGE: usize = 1 << 32;
    use bincode::serde::decode_from_slice;

    let config = bincode::config::standard();
    let size = payload.len();
    if size <= SMALL {
        decode_from_slice(payload, config.with_limit::<{ 16 * SMALL }>())
    } else if size <= MIDDLE {
        decode_from_slice(payload, config.with_limit::<{ 16 * MIDDLE }>())
    } else {
        decode_from_slice(payload, config.with_limit::<{ 16 * LARGE }>())
    }
}

/// The value cannot be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be encoded: {0}")]
pub struct EncodeError(String);

/// The bytes are not an encoded value of the asked type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not even a format byte.
    #[error("no bytes, not even a format byte")]
    Empty,
    /// No release ever wrote this format byte.
    #[error("format 0 was never written by any release")]
    UnknownFormat,
    /// A format byte above this release's.
    #[error("format {found} was written by a newer release, this one reads up to {supported}")]
    NewerFormat {
        /// The format byte found.
        found: u8,
        /// The highest one this release reads.
        supported: u8,
    },
    /// The payload is damaged, or was written by another type.
    #[error("the payload does not decode: {0}")]
    Malformed(String),
    /// The payload is longer than the value: it was written by another type.
    #[error("{count} bytes are left after the value")]
    TrailingBytes {
        /// Bytes not consumed.
        count: usize,
    },
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u64,
        text: String,
        maybe: Option<bool>,
    }

    fn sample() -> Sample {
        Sample {
            number: 300,
            text: "äb".into(),
            maybe: Some(true),
        }
    }

    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).unwrap();
        bytes
    }

    /// These bytes are on disks: a change here is a new format byte, never a new expectation.
    #[test]
    fn golden_bytes_of_format_1() {
        assert_eq!(
            encoded(&sample()),
            [0x01, 0xfb, 0x2c, 0x01, 0x03, 0xc3, 0xa4, b'b', 0x01, 0x01]
        );
        assert_eq!(encoded(&0_u64), [0x01, 0x00]);
        assert_eq!(encoded(&-1_i32), [0x01, 0x01]);
        assert_eq!(encoded(&()), [0x01]);
    }

    #[test]
    fn what_was_encoded_decodes() {
        assert_eq!(decode::<Sample>(&encoded(&sample())), Ok(sample()));
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut bytes = encoded(&sample());
        bytes.push(0);
        assert_eq!(
            decode::<Sample>(&bytes),
            Err(DecodeError::TrailingBytes { count: 1 })
        );
    }

    #[test]
    fn a_newer_format_is_named_as_such() {
        let error = decode::<u64>(&[0x02, 0x00]).unwrap_err();
        assert_eq!(
            error,
            DecodeError::NewerFormat {
                found: 2,
                supported: 1
            }
        );
        assert!(error.to_string().contains("written by a newer release"));
    }

    /// As above: on disks.
    #[test]
    fn golden_bytes_of_a_later_form() {
        let mut bytes = Vec::new();
        encode_form(2, &sample(), &mut bytes).unwrap();
        assert_eq!(
            bytes,
            [
                0x02, 0x02, 0xfb, 0x2c, 0x01, 0x03, 0xc3, 0xa4, b'b', 0x01, 0x01
            ]
        );
        assert_eq!(form(&bytes), Ok(2));
        assert_eq!(decode_form(&bytes), Ok(sample()));
        assert!(decode::<Sample>(&bytes).is_err(), "it is no first form");
        bytes.push(0);
        let trailing = DecodeError::TrailingBytes { count: 1 };
        assert_eq!(decode_form::<Sample>(&bytes), Err(trailing));
    }

    #[test]
    fn the_form_of_what_nobody_wrote_is_an_error() {
        assert_eq!(form(&encoded(&7_u64)), Ok(1));
        assert_eq!(form(&[]), Err(DecodeError::Empty));
        assert_eq!(form(&[0, 2]), Err(DecodeError::UnknownFormat));
        for malformed in [&[2][..], &[2, 0], &[2, 1, 7]] {
            assert!(matches!(form(malformed), Err(DecodeError::Malformed(_))));
            assert!(decode_form::<u64>(malformed).is_err());
        }
        let newer = DecodeError::NewerFormat {
            found: 3,
            supported: 2,
        };
        assert_eq!(form(&[3, 2]), Err(newer));
    }

    #[test]
    fn empty_truncated_and_zero_format_are_errors() {
        assert_eq!(decode::<u64>(&[]), Err(DecodeError::Empty));
        assert_eq!(decode::<u64>(&[0, 0]), Err(DecodeError::UnknownFormat));
        let bytes = encoded(&sample());
        for size in 1..bytes.len() {
            assert!(
                decode::<Sample>(&bytes[..size]).is_err(),
                "{size} bytes decoded"
            );
        }
    }

    /// Found by fuzzing: the first aborted the process, the second panicked.
    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        for length in [1_u64 << 46, u64::MAX] {
            let bytes = [&[FORMAT, 0xfd][..], &length.to_le_bytes()].concat();
            let refused = decode::<String>(&bytes);
            assert!(
                matches!(refused, Err(DecodeError::Malformed(_))),
                "{refused:?}"
            );
            let refused = decode::<Vec<String>>(&bytes);
            assert!(
                matches!(refused, Err(DecodeError::Malformed(_))),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn every_honest_value_is_below_the_limit() {
        // The most memory per byte: numbers of 16 bytes, each encoded as one; and one step up.
        for count in [1 << 16, (1 << 20) + 1] {
            let numbers = vec![1_u128; count];
            assert_eq!(decode::<Vec<u128>>(&encoded(&numbers)), Ok(numbers));
        }
    }

    #[test]
    fn a_failed_encode_leaves_the_buffer_as_it_was() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("broken on purpose"))
            }
        }
        let mut bytes = vec![7];
        assert!(encode(&Broken, &mut bytes).is_err());
        assert_eq!(bytes, [7]);
    }
}
