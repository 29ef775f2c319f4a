//! Editing scalars of block YAML in place: everything but the value stays as it was written, comments, quotes, order
//! and indentation among them. `yq` and `kustomize edit` write the whole file anew; a release must not.
//!
//! Only what release files need is understood: block mappings, block sequences of mappings, scalars on one line. What
//! is not understood is an error, never a guess.

use std::fmt;
use std::ops::Range;

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
        let text = line.text.get(column..)?;
        let colon = key_end(text)?;
        let key = unquoted(text.get(..colon)?.trim());
        let after = text.get(colon + 1..)?;
        let lead = after.len() - after.trim_start().len();
        let start = line.start + column + colon + 1 + lead;
        let length = scalar_length(after.get(lead..).unwrap_or_default());
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
        let items = begins.iter().zip(ends).map(|(at, end)| {
            let rest = self.line(*at).get(column + 1..).unwrap_or_default();
            let keys = column + 1 + (rest.len() - rest.trim_start_matches(' ').len());
            (*at..end, keys)
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
                    range = entry.children.clone();
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

    fn raw(&self, entry: &Entry) -> &str {
        self.text.get(entry.value.clone()).unwrap_or_default()
    }

    fn value(&self, entry: &Entry) -> String {
        unquoted(self.raw(entry))
    }
}

fn is_dash(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Where the colon after a key is.
fn key_end(text: &str) -> Option<usize> {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.find(quote)).map(|at| at + 2);
    let from = quoted('"').or_else(|| quoted('\'')).unwrap_or(0);
    let colons = text.match_indices(':').map(|(at, _)| at).filter(|at| *at >= from);
    colons
        .into_iter()
        .find(|at| text.get(at + 1..).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

/// Length of the scalar at the beginning of a text; what follows is white space and a comment.
fn scalar_length(text: &str) -> usize {
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => return at + 2,
                _ => escaped = false,
            }
        }
        return text.len();
    }
    if let Some(inner) = text.strip_prefix('\'') {
        // Two single quotes are one within the text.
        let mut from = 0;
        while let Some(at) = inner.get(from..).and_then(|rest| rest.find('\'')) {
            if !inner.get(from + at + 1..).is_some_and(|rest| rest.starts_with('\'')) {
                return from + at + 2;
            }
            from += at + 2;
        }
        return text.len();
    }
    if text.starts_with('#') {
        return 0;
    }
    text.find(" #").map_or(text, |at| text.get(..at).unwrap_or(text)).trim_end().len()
}

fn unquoted(raw: &str) -> String {
    if let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return inner.replace("\\\"", "\"").replace("\\\\", "\\");
    }
    match raw.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) => inner.replace("''", "'"),
        None => raw.to_owned(),
    }
}

/// How YAML reads a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Text,
    Number,
    Date,
    Other,
}

fn plain_kind(text: &str) -> Plain {
    let lower = text.to_ascii_lowercase();
    let word =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf", "-.inf"];
    if word.contains(&lower.as_str()) {
        return Plain::Other;
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    let radix =
        bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0o")).or_else(|| bare.strip_prefix("0b"));
    if radix.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_'))
    {
        return Plain::Number;
    }
    let (mantissa, exponent) = bare.split_once(['e', 'E']).map_or((bare, None), |(m, e)| (m, Some(e)));
    let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            (digits(whole) || whole.is_empty()) && (digits(part) || part.is_empty()) && mantissa.len() > 1
        }
        None => digits(mantissa),
    };
    if exponent_fits && mantissa_fits {
        return Plain::Number;
    }
    let parts: Vec<&str> = text.split('-').collect();
    let date = matches!(parts.as_slice(), [y, m, d] if y.len() == 4 && digits(y) && digits(m) && digits(d));
    if date { Plain::Date } else { Plain::Text }
}

/// Whether a plain scalar must not be written without quotes, whatever it would be read as.
fn needs_quotes(text: &str) -> bool {
    let special =
        ['-', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`'];
    let begins =
        text.starts_with(special) && !(text.starts_with('-') && text.len() > 1 && !text.starts_with("- "));
    begins || text.contains(": ") || text.contains(" #") || text.ends_with(':') || text != text.trim()
}

/// Writes a value in the manner of the old one. A plain value stays plain unless it would then be read as something
/// else than a text: commit ids of digits only, or `1e10`. Numbers and dates that replace their like stay plain.
fn written(old: &str, new: &str) -> String {
    let double = || format!("\"{}\"", new.replace('\\', "\\\\").replace('"', "\\\""));
    if old.starts_with('"') {
        return double();
    }
    if old.starts_with('\'') {
        return format!("'{}'", new.replace('\'', "''"));
    }
    let kind = plain_kind(new);
    let like = kind == plain_kind(old)
        && !new.ends_with('0')
        && !new.starts_with('0')
        && !new.contains(['e', 'E', '_']);
    let plain = kind == Plain::Text
        || (kind == Plain::Date && plain_kind(old) == Plain::Date)
        || (kind == Plain::Number && like);
    if plain && !needs_quotes(new) { new.to_owned() } else { double() }
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
    let below = entry.children.clone().any(|at| document.significant(at));
    let other = raw.starts_with(['{', '[', '|', '>', '&', '*', '!']) || (raw.is_empty() && below);
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
    let mut edited = text.to_owned();
    let space = if old.is_empty() && !text.get(..entry.value.start).is_some_and(|t| t.ends_with(' ')) {
        " "
    } else {
        ""
    };
    edited.replace_range(entry.value.clone(), &format!("{space}{}", written(old, value)));
    Ok(edited)
}

/// The keys of the mapping at a path (empty: of the whole document), in order.
///
/// # Errors
/// [`YamlError`] when the path leads nowhere.
pub fn keys(text: &str, path: &str) -> Result<Vec<String>, YamlError> {
    let document = Document::new(text);
    let range = if path.is_empty() { 0..document.lines.len() } else { document.find(path)?.children };
    let column = document.mapping_column(&range).unwrap_or(0);
    Ok(document.entries(range, column).into_iter().map(|entry| entry.key).collect())
}

/// The plain values of every item of the list at a path, in order.
///
/// # Errors
/// [`YamlError`] when the path leads nowhere.
pub fn items(text: &str, path: &str) -> Result<Vec<Vec<(String, String)>>, YamlError> {
    let document = Document::new(text);
    let range = document.find(path)?.children;
    let items = document.items(&range).into_iter();
    let values = items.map(|(lines, column)| {
        let entries = document.entries(lines, column).into_iter();
        entries.map(|entry| (entry.key.clone(), document.value(&entry))).collect()
    });
    Ok(values.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SAMPLE: &str = "---\n# head\ntools:\n  rust: 1.75.0\n  pause: 3.6 # float\ngit:\n  op:\n    url: https://x.org/op\n    # why\n    \
                          reference: main   # note\n    quoted: \"v1\"\n  kbs:\n    reference: 'a''b'\noci:\nimages:\n- name: one\n  newTag: latest\n- \
                          name: app\n  newName: q.io/app # change\n  newTag: latest\ntext: |\n  a: b\nflow: {a: b}\n";

    #[test]
    fn values_are_read() {
        let cases = [
            ("git.op.reference", "main"),
            ("git.op.url", "https://x.org/op"),
            ("git.op.quoted", "v1"),
            ("git.kbs.reference", "a'b"),
            ("images[name=app].newName", "q.io/app"),
            ("tools.rust", "1.75.0"),
            ("oci", ""),
        ];
        for (path, value) in cases {
            assert_eq!(get(SAMPLE, path).as_deref(), Ok(value), "{path}");
        }
        assert_eq!(comment(SAMPLE, "git.op.reference"), Ok(Some("note".to_owned())));
        assert_eq!(
            keys(SAMPLE, "git.op"),
            Ok(vec!["url".to_owned(), "reference".to_owned(), "quoted".to_owned()])
        );
        assert_eq!(items(SAMPLE, "images").unwrap().len(), 2);
    }

    #[test]
    fn only_the_value_changes() {
        let cases = [
            ("git.op.reference", "v1.0.0", "    reference: v1.0.0   # note\n"),
            ("git.op.reference", "12345678", "    reference: \"12345678\"   # note\n"),
            ("git.op.reference", "1e10", "    reference: \"1e10\"   # note\n"),
            ("git.op.quoted", "v2", "    quoted: \"v2\"\n"),
            ("git.kbs.reference", "c", "    reference: 'c'\n"),
            ("images[name=app].newTag", "dev-abc", "  newTag: dev-abc\n"),
            ("tools.pause", "3.9", "  pause: 3.9 # float\n"),
            ("tools.pause", "3.10", "  pause: \"3.10\" # float\n"),
            ("oci", "x", "oci: x\n"),
        ];
        for (path, value, line) in cases {
            let edited = set(SAMPLE, path, value).unwrap();
            let new: Vec<&str> =
                edited.split_inclusive('\n').filter(|line| !SAMPLE.contains(*line)).collect();
            assert_eq!(new, [line], "{path}");
            assert_eq!(edited.lines().count(), SAMPLE.lines().count());
            assert_eq!(set(&edited, path, value).as_ref(), Ok(&edited), "again");
            assert_eq!(get(&edited, path).as_deref(), Ok(value));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(
            matches!(set(SAMPLE, "git.operator.reference", "x"), Err(YamlError::Missing { known, .. }) if known == ["op", "kbs"])
        );
        for path in ["git.op", "text", "flow", "images"] {
            assert_eq!(set(SAMPLE, path, "x"), Err(YamlError::NotScalar(path.to_owned())));
        }
        for path in ["", ".", "a..b", "images[name]"] {
            assert!(matches!(get(SAMPLE, path), Err(YamlError::Path(_))), "{path}");
        }
    }

    #[test]
    fn lists_may_be_indented_and_lines_may_end_as_on_windows() {
        let text = "images:\r\n  - name: app\r\n    newTag: latest\r\nother: 1\r\n";
        let edited = set(text, "images[name=app].newTag", "x").unwrap();
        assert_eq!(edited, text.replace("latest", "x"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_and_path_is_answered(text in "(a|b|- |: |  |'|\"|#|\\{|\n){0,40}", path in "[ab.\\[\\]=]{0,8}") {
            if let Ok(edited) = set(&text, &path, "v1") {
                proptest::prop_assert_eq!(get(&edited, &path), Ok("v1".to_owned()));
            }
        }
    }
}
