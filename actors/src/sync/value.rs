//! What a field holds, and how exactly.

use std::sync::Arc;

use super::{Error, FIELD_NAME_SIZE_MAX_BYTES};

/// Largest whole number that every client can hold: JavaScript's `Number.MAX_SAFE_INTEGER`.
const WHOLE_MAX: i64 = (1 << 53) - 1;

/// One field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// Yes or no.
    Bool(bool),
    /// A whole number, of at most 53 bits.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// A short text.
    Text(Arc<str>),
}

impl Value {
    /// The number, whichever kind it is.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "at most 53 bits")]
            Self::Int(whole) => Some(*whole as f64),
            Self::Float(number) => Some(*number),
            Self::Nil | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) => None,
        }
    }
}

macro_rules! whole {
    ($($from:ty),*) => {$(
        impl From<$from> for Value {
            fn from(whole: $from) -> Self {
                Self::Int(whole.into())
            }
        }
    )*};
}
whole!(u8, u16, u32, i8, i16, i32, i64);

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Self::Float(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, T::into)
    }
}

/// A column of a table: its name, and how exactly its numbers are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub(super) name: Box<str>,
    /// Steps per unit; zero keeps values as they are.
    pub(super) per_unit: u32,
}

impl Field {
    /// A field whose values are kept as they are given.
    ///
    /// # Panics
    /// When the name is longer than [`FIELD_NAME_SIZE_MAX_BYTES`].
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::fixed(name, 0)
    }

    /// A field whose numbers are rounded to steps of `1 / per_unit` and sent as whole numbers of
    /// them. A change smaller than a step is none. Zero is [`Field::new`].
    ///
    /// # Panics
    /// When the name is longer than [`FIELD_NAME_SIZE_MAX_BYTES`].
    #[must_use]
    pub fn fixed(name: &str, per_unit: u32) -> Self {
        assert!(
            name.len() <= FIELD_NAME_SIZE_MAX_BYTES,
            "the name of a field has at most {FIELD_NAME_SIZE_MAX_BYTES} bytes"
        );
        Self {
            name: name.into(),
            per_unit,
        }
    }

    /// The value as it is kept and sent.
    pub(super) fn stored(&self, value: &Value, text_max: usize) -> Result<Value, Error> {
        let kept = match value {
            Value::Float(number) if !number.is_finite() => Err("the number is not finite"),
            Value::Int(_) | Value::Float(_) if self.per_unit > 0 => {
                let steps = value.as_f64().unwrap_or_default() * f64::from(self.per_unit);
                whole(steps.round())
            }
            Value::Int(number) if number.abs() > WHOLE_MAX => Err(TOO_LARGE),
            Value::Text(text) if text.len() > text_max => Err("the text is too long"),
            _ => Ok(value.clone()),
        };
        kept.map_err(|reason| Error::InvalidValue {
            field: self.name.to_string(),
            reason,
        })
    }

    /// The value that a stored one stands for.
    pub(super) fn shown(&self, stored: &Value) -> Value {
        match stored.as_f64() {
            Some(steps) if self.per_unit > 0 => Value::Float(steps / f64::from(self.per_unit)),
            _ => stored.clone(),
        }
    }
}

const TOO_LARGE: &str = "the number has more than 53 bits";

fn whole(number: f64) -> Result<Value, &'static str> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact")]
    let fits = number.abs() <= WHOLE_MAX as f64;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of 53 bits")]
    let whole = number as i64;
    if fits {
        Ok(Value::Int(whole))
    } else {
        Err(TOO_LARGE)
    }
}
