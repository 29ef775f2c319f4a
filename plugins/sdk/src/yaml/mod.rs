//! Editing scalars of block YAML in place: everything but the value stays as it was written, comments, quotes, order
//! and indentation among them. `yq` and `kustomize edit` write the whole file anew; a release must not.
//!
//! Only what release files need is understood: block mappings, block sequences of mappings, scalars on one line. What
//! is not understood is an error, never a guess.

mod scalar;

use std::fmt;
use std::ops::Range;

use self::scalar::{is_closed, scalar_length, unquoted, written};

/// Why a value was not found or not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// There is no such key.
    #[error("there is no key {path}{}", known_text(.known))]
    Missing {
        /// The path as far as it was looked for.
        path: String,
        /// Keys that are there instead.
        known: Vec<String>,
    },
    /// The value is a mapping, a list, a block of text, a flow collection or an anchor.
    #[error("{0} is no plain value on one line")]
    NotScalar(String),
    /// The path cannot be read.
    #[error("{0:?} is no path; write keys with dots and list items as name[key=value]")]
    Path(String),
}

fn known_text(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there is {}", known.join(", ")) }
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Key(String),
    /// The list item whose `key` has this value.
    Item(String, String),
}

impl fmt::Display for Segment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Segment::Key(key) => out.write_str(key),
            Segment::Item(key, value) => write!(out, "[{key}={value}]"),
        }
    }
}

/// Reads `a.b`, `images[name=app].newTag`.
fn segments(path: &str) -> Result<Vec<Segment>, YamlError> {
    let fault = || YamlError::Path(path.to_owned());
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (item, after) = inner.split_once(']').ok_or_else(fault)?;
            let (key, value) = item.split_once('=').ok_or_else(fault)?;
            found.push(Segment::Item(key.to_owned(), value.to_owned()));
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            if key.is_empty() {
                return Err(fault());
            }
            found.push(Segment::Key(key.to_owned()));
            rest = after.strip_prefix('.').unwrap_or(after);
        }
    }
    if found.is_empty() { Err(fault()) } else { Ok(found) }
}

/// A line with its place in the text.
struct Line<'a> {
    text: &'a str,
    start: usize,
}

/// A key of a mapping: its name, where its value is, and the lines below it.
struct Entry {
    key: String,
    /// Place of the value in the text; empty where the key has none on its line.
    value: Range<usize>,
    children: Range<usize>,
}

/// The lines of a document that mean something, by their columns.
struct Document<'a> {
    text: &'a str,
    lines: Vec<Line<'a>>,
}

impl<'a> Document<'a> {
    fn new(text: &'a str) -> Self {
        let mut start = 0;
        let lines = text.split_inclusive('\n').map(|line| {
            let found = Line { text: line.trim_end_matches(['\n', '\r']), start };
            start += line.len();
            found
        });
        Self { text, lines: lines.collect() }
    }

    fn line(&self, at: usize) -> &str {
        self.lines.get(at).map_or("", |line| line.text)
    }

    fn significant(&self, at: usize) -> bool {
        let text = self.line(at).trim();
        !text.is_empty() && !text.starts_with('#') && text != "---" && text != "..." && !text.starts_with('%')
    }

    fn column(&self, at: usize) -> usize {
        let line = self.line(at);
        line.len() - line.trim_start_matches(' ').len()
    }

    /// Keys of the mapping that a range of lines holds. `column` is where its keys begin; the first line may begin
    /// with the dash of a list item instead.
    fn entries(&self, range: Range<usize>, column: usize) -> Vec<Entry> {
        let first = range.start;
        let begins: Vec<usize> = range
            .clone()
            .filter(|at| self.significant(*at))
            .filter(|at| {
                let here = self.column(*at);
                let dashed = *at == first && here < column;
                dashed || (here == column && !is_dash(self.line(*at).get(column..).unwrap_or_default()))
            })
            .collect();
        let ends = begins.iter().skip(1).copied().chain([range.end]);
        begins.iter().zip(ends).filter_map(|(at, end)| self.entry(*at, end, column)).collect()
    }

    fn entry(&self, at: usize, end: usize, column: usize) -> Option<Entry> {
        let line = self.lines.get(at)?;
        // Tabs never indent in YAML: such a line is no key.
        let text = line.text.get(column..).filter(|text| !text.starts_with('\t'))?;
        let colon = key_end(text)?;
        let key = unquoted(text.get(..colon)?.trim());
        let after = text.get(colon + 1..)?;
        let lead = after.len() - after.trim_start().len();
        let length = scalar_length(after.get(lead..).unwrap_or_default());
        // A value that is not there has its place right behind the colon, whatever follows.
        let start = line.start + column + colon + 1 + if length == 0 { 0 } else { lead };
        Some(Entry { key, value: start..start + length, children: at + 1..end })
    }

    /// Column of the keys of the mapping in a range.
    fn mapping_column(&self, range: &Range<usize>) -> Option<usize> {
        let at = range.clone().find(|at| self.significant(*at))?;
        Some(self.column(at))
    }

    /// Items of the list in a range: their lines and the column of their keys.
    fn items(&self, range: &Range<usize>) -> Vec<(Range<usize>, usize)> {
        let Some(column) = self.mapping_column(range) else { return Vec::new() };
        let begins: Vec<usize> = range
            .clone()
            .filter(|at| {
                self.significant(*at)
                    && self.column(*at) == column
                    && is_dash(self.line(*at).get(column..).unwrap_or_default())
            })
            .collect();
        let ends = begins.iter().skip(1).copied().chain([range.end]);
        let items = begins.iter().zip(ends).filter_map(|(at, end)| {
            let rest = self.line(*at).get(column + 1..).unwrap_or_default();
            let text = rest.trim_start_matches(' ');
            // A block of text may look like keys and holds none.
            let block = text.starts_with(['|', '>']);
            (!block).then(|| (*at..end, column + 1 + (rest.len() - text.len())))
        });
        items.collect()
    }

    fn find(&self, path: &str) -> Result<Entry, YamlError> {
        let mut range = 0..self.lines.len();
        let mut column = self.mapping_column(&range).unwrap_or(0);
        let mut found: Option<Entry> = None;
        let mut walked = String::new();
        for segment in segments(path)? {
            let dot = if walked.is_empty() || matches!(segment, Segment::Item(..)) { "" } else { "." };
            walked.push_str(&format!("{dot}{segment}"));
            match segment {
                Segment::Key(key) => {
                    let entries = self.entries(range.clone(), column);
                    let known = entries.iter().map(|entry| entry.key.clone()).collect();
                    let entry = entries.into_iter().find(|entry| entry.key == key);
                    let entry = entry.ok_or(YamlError::Missing { path: walked.clone(), known })?;
                    range = self.below(&entry);
                    column = self.mapping_column(&range).unwrap_or(0);
                    found = Some(entry);
                }
                Segment::Item(key, value) => {
                    let items = self.items(&range);
                    let named = |item: &(Range<usize>, usize)| {
                        let entries = self.entries(item.0.clone(), item.1);
                        let entry = entries.into_iter().find(|entry| entry.key == key);
                        entry.map(|entry| self.value(&entry))
                    };
                    let known = items.iter().filter_map(named).collect();
                    let item = items.iter().find(|item| named(item).as_ref() == Some(&value)).cloned();
                    (range, column) = item.ok_or(YamlError::Missing { path: walked.clone(), known })?;
                    found = None;
                }
            }
        }
        found.ok_or_else(|| YamlError::NotScalar(path.to_owned()))
    }

    /// The lines that hold the mapping or list of an entry: none where it has a value of its own, which may go on below and
    /// look like keys. An anchor or a tag is no value.
    fn below(&self, entry: &Entry) -> Range<usize> {
        let raw = self.raw(entry);
        let marked = raw.starts_with(['&', '!']) && !raw.contains(char::is_whitespace);
        if raw.is_empty() || marked { entry.children.clone() } else { 0..0 }
    }

    fn raw(&self, entry: &Entry) -> &str {
        self.text.get(entry.value.clone()).unwrap_or_default()
    }

    fn value(&self, entry: &Entry) -> String {
        unquoted(self.raw(entry))
    }
}

fn is_dash(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Where the colon after a key is.
fn key_end(text: &str) -> Option<usize> {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.find(quote)).map(|at| at + 2);
    let from = quoted('"').or_else(|| quoted('\'')).unwrap_or(0);
    let colons = text.match_indices(':').map(|(at, _)| at).filter(|at| *at >= from);
    colons
        .into_iter()
        .find(|at| text.get(at + 1..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])))
}

/// The value at a path such as `git.kbs.reference` or `images[name=app].newTag`.
///
/// # Errors
/// [`YamlError`] when it is not there or not a plain value.
pub fn get(text: &str, path: &str) -> Result<String, YamlError> {
    let document = Document::new(text);
    let entry = document.find(path)?;
    scalar(&document, &entry, path).map(unquoted)
}

fn scalar<'a>(document: &'a Document<'_>, entry: &Entry, path: &str) -> Result<&'a str, YamlError> {
    let raw = document.raw(entry);
    // With lines below it is a mapping, a list, or a text of several lines.
    let below = entry.children.clone().any(|at| document.significant(at));
    let rest = document.text.get(entry.value.end..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let other = raw.starts_with(['{', '[', '|', '>', '&', '*', '!']) || below || !is_closed(raw, rest);
    if other { Err(YamlError::NotScalar(path.to_owned())) } else { Ok(raw) }
}

/// The comment behind the value at a path, without its `#`.
///
/// # Errors
/// As [`get`].
pub fn comment(text: &str, path: &str) -> Result<Option<String>, YamlError> {
    let document = Document::new(text);
    let entry = document.find(path)?;
    scalar(&document, &entry, path)?;
    let rest = text.get(entry.value.end..).unwrap_or_default().lines().next().unwrap_or_default();
    Ok(rest.trim().strip_prefix('#').map(|comment| comment.trim().to_owned()))
}

/// The text with another value at a path; the same text where it is there already.
///
/// # Errors
/// [`YamlError`] when there is no such key, or it holds more than a plain value. Nothing is ever added.
pub fn set(text: &str, path: &str, value: &str) -> Result<String, YamlError> {
    let document = Document::new(text);
    let entry = document.find(path)?;
    let old = scalar(&document, &entry, path)?;
    if unquoted(old) == value {
        return Ok(text.to_owned());
    }
    let lead = if old.is_empty() { " " } else { "" };
    let mut edited = text.to_owned();
    edited.replace_range(entry.value.clone(), &format!("{lead}{}", written(old, value)));
    Ok(edited)
}

/// The keys of the mapping at a path (empty: of the whole document), in order.
///
/// # Errors
/// [`YamlError`] when the path leads nowhere.
pub fn keys(text: &str, path: &str) -> Result<Vec<String>, YamlError> {
    let document = Document::new(text);
    let range = match path {
        "" => 0..document.lines.len(),
        path => document.below(&document.find(path)?),
    };
    let column = document.mapping_column(&range).unwrap_or(0);
    Ok(document.entries(range, column).into_iter().map(|entry| entry.key).collect())
}

/// The plain values of every item of the list at a path, in order.
///
/// # Errors
/// [`YamlError`] when the path leads nowhere.
pub fn items(text: &str, path: &str) -> Result<Vec<Vec<(String, String)>>, YamlError> {
    let document = Document::new(text);
    let range = document.below(&document.find(path)?);
    let items = document.items(&range).into_iter();
    let values = items.map(|(lines, column)| {
        let entries = document.entries(lines, column).into_iter();
        entries.map(|entry| (entry.key.clone(), document.value(&entry))).collect()
    });
    Ok(values.collect())
}

#[cfg(test)]
mod tests;
