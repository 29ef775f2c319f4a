//! The YAML of the release schedule: mappings, sequences and texts, read leniently and written exactly as
//! `sigs.k8s.io/yaml` writes them.
//!
//! Keys in alphabetical order, items of a sequence not indented, texts that would read as something else in double quotes,
//! long texts folded behind column 80. Comments are not kept: the writer of these files keeps none.

mod emit;
mod parse;

use std::collections::BTreeMap;

use thiserror::Error;

pub use emit::emit;
pub use parse::parse;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, a number, a date: whatever it was written as.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping.
    Map(Map),
}

/// A mapping.
pub type Map = BTreeMap<String, Value>;

impl Value {
    /// The text; none for anything else.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The sequence; none for anything else.
    #[must_use]
    pub fn list(&self) -> Option<&[Value]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// The mapping; none for anything else.
    #[must_use]
    pub fn map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The mapping; none for anything else.
    pub fn map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct Fault {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: &'static str,
}

#[cfg(test)]
mod tests;
