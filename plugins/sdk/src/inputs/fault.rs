//! What does not fit about inputs, with its place.

use std::fmt;

use serde_json::Value;

use crate::Error;

/// One input that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has to be given and was not.
    #[error("input `{at}` is missing; expected {expected}")]
    Missing {
        /// Its place, `cuts[1].branch`.
        at: String,
        /// What it should be, in words.
        expected: String,
    },
    /// It is something else than it should be.
    #[error("input `{at}`: expected {expected}, found {found}")]
    Unfit {
        /// Its place; empty for all inputs together.
        at: String,
        /// What it should be, in words.
        expected: String,
        /// What it is, shortened.
        found: String,
    },
    /// There is no such input.
    #[error("there is no input `{at}`; {}", suggestion(.at, .known))]
    Unknown {
        /// Its place.
        at: String,
        /// The names that are known there.
        known: Vec<String>,
    },
}

impl Fault {
    fn place(&mut self) -> &mut String {
        match self {
            Self::Missing { at, .. } | Self::Unfit { at, .. } | Self::Unknown { at, .. } => at,
        }
    }
}

/// All that does not fit; never empty as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// A value that should be something else. `expected` in words, with an article.
    #[must_use]
    pub fn unfit(expected: impl Into<String>, found: &Value) -> Self {
        Self(vec![Fault::Unfit { at: String::new(), expected: expected.into(), found: shortened(found) }])
    }

    /// The same below a name or, written `[2]`, an item of a list.
    #[must_use]
    pub fn within(mut self, name: &str) -> Self {
        for fault in &mut self.0 {
            let at = fault.place();
            let dot = if at.is_empty() || at.starts_with('[') { "" } else { "." };
            *at = format!("{name}{dot}{at}");
        }
        self
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            write!(out, "{}{fault}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Error::Invalid(faults.to_string())
    }
}

/// Most characters of a value that a fault quotes.
const QUOTED: usize = 80;

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The known name that was probably meant, or all of them.
fn suggestion(at: &str, known: &[String]) -> String {
    let name = at.rsplit('.').next().unwrap_or(at);
    let near = known.iter().map(|known| (distance(name, known), known)).min();
    match near {
        Some((distance, near)) if distance <= 1 + name.chars().count() / 4 => {
            format!("did you mean `{near}`?")
        }
        Some(_) => format!("there is {}", known.join(", ")),
        None => "nothing is expected there".to_owned(),
    }
}

/// How many letters have to be put in, taken out or exchanged to make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut next = vec![at + 1];
        for (column, other) in to.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let exchanged = cell(&row, column) + usize::from(letter != *other);
            next.push(exchanged.min(cell(&row, column + 1) + 1).min(cell(&next, column) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_far_apart_as_they_look() {
        for (from, to, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("tag", "tags", 1)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }
}
