//! Types that an input may have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Faults, listed};
use crate::process::InputKind;
use crate::version::Version;

/// A type that an input may have.
///
/// A type of its own that is written as a text reads itself with [`parsed`]:
///
/// ```
/// use castoff_sdk::inputs::{Faults, InputValue, Value, parsed};
/// use castoff_sdk::process::InputKind;
///
/// struct Port(std::num::NonZeroU16);
///
/// impl InputValue for Port {
///     const KIND: InputKind = InputKind::Text;
///
///     fn from_value(value: &Value) -> Result<Self, Faults> {
///         parsed(value, "the number of a port").map(Self)
///     }
/// }
/// ```
pub trait InputValue: Sized {
    /// The kind that the description tells and the host checks.
    const KIND: InputKind;

    /// Whether it must be given.
    const REQUIRED: bool = true;

    /// The words that a text has to be one of; empty where any text may stand.
    #[must_use]
    fn choices() -> &'static [&'static str] {
        &[]
    }

    /// What it is when it was left out and has no default.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`Faults`] that say what was expected, with places below this value.
    fn from_value(value: &Value) -> Result<Self, Faults>;
}

/// One of a few words, usually [derived](derive@crate::inputs::Choice).
pub trait Choice: Sized {
    /// All words in order.
    const NAMES: &'static [&'static str];

    /// The word of this choice.
    fn name(&self) -> &'static str;

    /// The choice of a word.
    fn named(name: &str) -> Option<Self>;
}

/// Reads a choice.
///
/// # Errors
/// [`Faults`] with all choices.
pub fn read_choice<T: Choice>(value: &Value) -> Result<T, Faults> {
    value.as_str().and_then(T::named).ok_or_else(|| Faults::unfit(listed(T::NAMES), value))
}

/// Reads a text with [`FromStr`]. `expected` in words, with an article.
///
/// # Errors
/// [`Faults`] with those words and what the type says about the text.
pub fn parsed<T>(value: &Value, expected: &str) -> Result<T, Faults>
where
    T: FromStr,
    T::Err: Display,
{
    let Some(text) = value.as_str() else { return Err(Faults::unfit(expected, value)) };
    text.parse().map_err(|error| Faults::unfit(format!("{expected} ({error})"), value))
}

impl InputValue for String {
    const KIND: InputKind = InputKind::Text;

    fn from_value(value: &Value) -> Result<Self, Faults> {
        value.as_str().map(str::to_owned).ok_or_else(|| Faults::unfit("a text", value))
    }
}

impl InputValue for Version {
    const KIND: InputKind = InputKind::Text;

    fn from_value(value: &Value) -> Result<Self, Faults> {
        parsed(value, "a version such as v1.2.3")
    }
}

impl InputValue for bool {
    const KIND: InputKind = InputKind::Flag;

    fn from_value(value: &Value) -> Result<Self, Faults> {
        value.as_bool().ok_or_else(|| Faults::unfit("true or false", value))
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(impl InputValue for $integer {
            const KIND: InputKind = InputKind::Integer;

            fn from_value(value: &Value) -> Result<Self, Faults> {
                let wide = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
                wide.and_then(|wide| Self::try_from(wide).ok()).ok_or_else(|| {
                    Faults::unfit(format!("an integer from {} to {}", Self::MIN, Self::MAX), value)
                })
            }
        })*
    };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

impl<T: InputValue> InputValue for Option<T> {
    const KIND: InputKind = T::KIND;
    const REQUIRED: bool = false;

    fn choices() -> &'static [&'static str] {
        T::choices()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn from_value(value: &Value) -> Result<Self, Faults> {
        T::from_value(value).map(Some)
    }
}

impl<T: InputValue> InputValue for Vec<T> {
    const KIND: InputKind = match T::KIND {
        InputKind::Text => InputKind::Texts,
        _ => InputKind::Table,
    };

    fn choices() -> &'static [&'static str] {
        T::choices()
    }

    fn from_value(value: &Value) -> Result<Self, Faults> {
        let expected = if matches!(T::KIND, InputKind::Text) { "a list of texts" } else { "a list" };
        let Value::Array(items) = value else { return Err(Faults::unfit(expected, value)) };
        let read = items.iter().enumerate();
        collected(
            read.map(|(at, item)| T::from_value(item).map_err(|faults| faults.within(&format!("[{at}]")))),
        )
    }
}

/// A list in which order and repetition mean nothing.
impl<T: InputValue + Ord> InputValue for BTreeSet<T> {
    const KIND: InputKind = Vec::<T>::KIND;

    fn choices() -> &'static [&'static str] {
        T::choices()
    }

    fn from_value(value: &Value) -> Result<Self, Faults> {
        Vec::from_value(value).map(|items: Vec<T>| items.into_iter().collect())
    }
}

impl<T: InputValue> InputValue for BTreeMap<String, T> {
    const KIND: InputKind = InputKind::Table;

    fn from_value(value: &Value) -> Result<Self, Faults> {
        let Value::Object(table) = value else { return Err(Faults::unfit("a table", value)) };
        collected(table.iter().map(|(name, item)| {
            T::from_value(item).map(|item| (name.clone(), item)).map_err(|faults| faults.within(name))
        }))
    }
}

impl InputValue for Map<String, Value> {
    const KIND: InputKind = InputKind::Table;

    fn from_value(value: &Value) -> Result<Self, Faults> {
        value.as_object().cloned().ok_or_else(|| Faults::unfit("a table", value))
    }
}

/// All that was read, or all that does not fit.
fn collected<T, C: FromIterator<T>>(read: impl Iterator<Item = Result<T, Faults>>) -> Result<C, Faults> {
    let mut faults = Faults::default();
    let fitting: Vec<T> = read.filter_map(|one| one.map_err(|unfit| faults.0.extend(unfit.0)).ok()).collect();
    if faults.0.is_empty() { Ok(fitting.into_iter().collect()) } else { Err(faults) }
}

/// A table or a list of tables that serde reads: for types that are written elsewhere, too. Prefer a struct with
/// [`Inputs`](derive@crate::inputs::Inputs), whose faults name the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table<T>(pub T);

impl<T> Deref for Table<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> InputValue for Table<T> {
    const KIND: InputKind = InputKind::Table;

    fn from_value(value: &Value) -> Result<Self, Faults> {
        if !value.is_object() && !value.is_array() {
            return Err(Faults::unfit("a table or a list of tables", value));
        }
        let read = serde_json::from_value(value.clone());
        read.map(Self).map_err(|error| Faults::unfit(format!("another table ({error})"), value))
    }
}
