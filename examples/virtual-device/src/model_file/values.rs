//! Numbers in a model file, and what is wrong with them.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Visitor};
use toml::Spanned;

/// Something wrong at a byte of the text.
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) sentence: String,
}

pub(super) fn problem<T>(at: &Spanned<T>, sentence: impl Display) -> Problem {
    Problem {
        at: at.span().start,
        sentence: sentence.to_string(),
    }
}

/// A whole number.
#[derive(Clone, Copy)]
pub(super) struct Number(i64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Number;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value))
            }

            // What is not an `i64` is beyond it.
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Number, E> {
                self.visit_i128(value.into())
            }

            fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Number, E> {
                Err(E::custom(format!("{value} is too large a number")))
            }
        }
        deserializer.deserialize_i64(Whole)
    }
}

/// The value of a key, in these limits.
pub(super) fn within<T: TryFrom<i64>>(
    key: &str,
    value: &Spanned<Number>,
    limits: RangeInclusive<i64>,
) -> Result<T, Problem> {
    let number = value.as_ref().0;
    let outside = || {
        let (least, most) = (limits.start(), limits.end());
        problem(value, format!("{key} is {least} to {most}, not {number}"))
    };
    if !limits.contains(&number) {
        return Err(outside());
    }
    T::try_from(number).map_err(|_| outside())
}

/// The value of a key that may be left out, in these limits.
pub(super) fn within_or<T: TryFrom<i64>>(
    key: &str,
    value: &Option<Spanned<Number>>,
    limits: RangeInclusive<i64>,
    default: T,
) -> Result<T, Problem> {
    match value {
        Some(value) => within(key, value, limits),
        None => Ok(default),
    }
}

/// The value of a key that must be one of these numbers.
pub(super) fn one_of<T: Copy>(
    key: &str,
    value: &Spanned<Number>,
    choices: &[(i64, T)],
) -> Result<T, Problem> {
    let number = value.as_ref().0;
    let found = choices.iter().find(|(choice, _)| *choice == number);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let choices: Vec<_> = choices
            .iter()
            .map(|(choice, _)| choice.to_string())
            .collect();
        let choices = choices.join(", ");
        problem(value, format!("{key} is one of {choices}, not {number}"))
    })
}
