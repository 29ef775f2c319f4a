//! Values are read and set, and nothing else changes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

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
        ("git.op.reference", "0b101", "    reference: \"0b101\"   # note\n"),
        ("git.op.reference", "0b84feaf7009cc72", "    reference: 0b84feaf7009cc72   # note\n"),
        ("git.op.quoted", "v2", "    quoted: \"v2\"\n"),
        ("git.kbs.reference", "c", "    reference: 'c'\n"),
        ("images[name=app].newTag", "dev-abc", "  newTag: dev-abc\n"),
        ("tools.pause", "3.9", "  pause: 3.9 # float\n"),
        ("tools.pause", "3.10", "  pause: \"3.10\" # float\n"),
        ("oci", "x", "oci: x\n"),
    ];
    for (path, value, line) in cases {
        let edited = set(SAMPLE, path, value).unwrap();
        let new: Vec<&str> = edited.split_inclusive('\n').filter(|line| !SAMPLE.contains(*line)).collect();
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

#[test]
fn what_looks_like_keys_and_is_text_is_left_alone() {
    let text = "literal: |\n  a: b\nfolded: >-\n  a: b\nplain: one\n  two: three\nquoted: \"one\n  a: b\"\nopen: \"x\n\
                list:\n- |\n  name: app\n  tag: x\n- name: app\n  tag: y\nanchored: &a\n  b: c\nbehind: \"a\" b\n\tc: d\n";
    for path in ["literal.a", "folded.a", "plain.two", "quoted.a", "c"] {
        assert!(matches!(set(text, path, "x"), Err(YamlError::Missing { .. })), "{path}");
    }
    for path in ["plain", "quoted", "open", "behind"] {
        assert_eq!(set(text, path, "x"), Err(YamlError::NotScalar(path.to_owned())));
    }
    assert_eq!(get(text, "list[name=app].tag").as_deref(), Ok("y"));
    assert_eq!(get(text, "anchored.b").as_deref(), Ok("c"));
}

#[test]
fn values_are_written_so_that_they_are_read_again() {
    let cases = [
        ("a: b\t# why\n", "c", "a: c\t# why\n"),
        ("a: # why\n", "c", "a: c # why\n"),
        ("a:\t# why\n", "c", "a: c\t# why\n"),
        ("a:\r\n", "c", "a: c\r\n"),
        ("a:", "c", "a: c"),
        ("a:\tb", "c", "a:\tc"),
        ("a: b\n", "c\nd", "a: \"c\\nd\"\n"),
        ("a: 'b'\n", "c\td", "a: \"c\\td\"\n"),
        ("a: b\n", "c\u{2028}\u{1}", "a: \"c\\L\\u0001\"\n"),
        ("a: \"b\"\n", "c\\n\"", "a: \"c\\\\n\\\"\"\n"),
        ("a: 'b'\n", "it's", "a: 'it''s'\n"),
        ("a: b\n", "# c", "a: \"# c\"\n"),
        ("a: b\n", "", "a: \"\"\n"),
    ];
    for (text, value, expected) in cases {
        assert_eq!(set(text, "a", value).as_deref(), Ok(expected), "{text:?}");
        assert_eq!(get(expected, "a").as_deref(), Ok(value), "{expected:?}");
    }
    let escapes = r#"a: "\x41\u00e9\U0001F600\t\/\e\q\\n\"""#;
    assert_eq!(get(escapes, "a").as_deref(), Ok("A\u{e9}\u{1f600}\t/\u{1b}\\q\\n\""));
}

proptest! {
    #[test]
    fn any_text_and_path_is_answered(text in "(a|b|- |: |  |'|\"|#|\\{|\t|\r|\n){0,40}", path in "[ab.\\[\\]=]{0,8}") {
        if let Ok(edited) = set(&text, &path, "v1") {
            prop_assert_eq!(get(&edited, &path), Ok("v1".to_owned()));
            prop_assert_eq!(set(&edited, &path, "v1"), Ok(edited));
        }
    }

    #[test]
    fn any_value_is_set_in_place(
        parts in proptest::collection::vec(part(), 1..6),
        taste in proptest::collection::vec(proptest::num::u8::ANY, 1..16),
        value in value(),
    ) {
        let written = Written::of(&parts, &taste);
        for (path, old, place) in &written.leaves {
            prop_assert_eq!(get(&written.text, path), Ok(old.clone()), "{} in {:?}", path, written.text);
            let edited = set(&written.text, path, &value);
            let edited = edited.map_err(|error| TestCaseError::fail(format!("{path}: {error} in {:?}", written.text)))?;
            prop_assert_eq!(get(&edited, path), Ok(value.clone()), "{} in {:?}", path, edited);
            prop_assert_eq!(set(&edited, path, &value), Ok(edited.clone()), "twice is once");
            // Everything before and behind the value stays.
            let (before, after) = (&written.text[..place.start], &written.text[place.end..]);
            prop_assert!(edited.starts_with(before) && edited.ends_with(after), "{:?} became {:?}", written.text, edited);
            for (other, same, _) in written.leaves.iter().filter(|(other, _, _)| other != path) {
                prop_assert_eq!(get(&edited, other), Ok(same.clone()), "{} of {:?}", other, edited);
            }
            let back = set(&edited, path, old);
            let back = back.and_then(|back| get(&back, path));
            prop_assert_eq!(back.as_ref(), Ok(old), "there and back");
        }
    }

    #[test]
    fn a_word_goes_there_and_back(
        parts in proptest::collection::vec(part(), 1..4),
        taste in proptest::collection::vec(proptest::num::u8::ANY, 1..16),
        word in "[a-z]{3,9}z",
    ) {
        let written = Written::of(&parts, &taste);
        for (path, old, place) in &written.leaves {
            let raw = &written.text[place.clone()];
            // An empty value has no manner of its own, and an escape may be written in several ways.
            if raw.is_empty() || raw.contains('\\') || raw != scalar::written(raw, old) {
                continue;
            }
            let there = set(&written.text, path, &word).unwrap();
            prop_assert_eq!(set(&there, path, old), Ok(written.text.clone()));
        }
    }
}

/// A key of a document, or a list of items under a key.
#[derive(Clone, Debug)]
enum Part {
    Leaf(String),
    Map(Vec<Part>),
    List(Vec<Vec<String>>),
    /// A block of text that looks like keys.
    Text,
}

/// Values that are hard to write.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9][a-z0-9./:@_-]{0,12}",
        "[ \t\n\r'\"#:,\\[\\]{}&*!|>%@`~\\\\a0-9.e_-]{0,8}",
        "(true|no|null|~|1e10|3\\.10|0x1f|2024-01-02|-|---|v1|- a|a: b|a #b|\u{e9}|\u{85}|\u{2028}|\u{feff})",
        "\\PC{0,6}",
    ]
}

fn part() -> impl Strategy<Value = Part> {
    let list = proptest::collection::vec(proptest::collection::vec(value(), 0..3), 0..3);
    let leaf = prop_oneof![
        4 => value().prop_map(Part::Leaf),
        2 => list.prop_map(Part::List),
        1 => Just(Part::Text)
    ];
    leaf.prop_recursive(3, 12, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Part::Map))
}

/// A document as somebody may have written it, with its values.
#[derive(Default)]
struct Written {
    text: String,
    /// Path, value, and place of the value as written.
    leaves: Vec<(String, String, Range<usize>)>,
    taste: Vec<u8>,
    turn: usize,
}

impl Written {
    fn of(parts: &[Part], taste: &[u8]) -> Self {
        let mut written = Self { taste: taste.to_vec(), ..Self::default() };
        written.line("---", 3);
        written.map(parts, "", 0);
        if written.taste(2) == 0 {
            // A place at the end of the text must stay within it.
            let end = written.leaves.iter().map(|(_, _, place)| place.end).max().unwrap_or(0);
            let trimmed = written.text.trim_end_matches(['\r', '\n']).len();
            written.text.truncate(trimmed.max(end));
        }
        written
    }

    fn taste(&mut self, of: u8) -> u8 {
        self.turn += 1;
        self.taste[self.turn % self.taste.len()] % of
    }

    fn end(&mut self) {
        self.text.push_str(if self.taste[0].is_multiple_of(2) { "\n" } else { "\r\n" });
    }

    /// Writes a line one time of a few.
    fn line(&mut self, text: &str, of: u8) {
        if self.taste(of) == 0 {
            self.text.push_str(text);
            self.end();
        }
    }

    fn map(&mut self, parts: &[Part], above: &str, indent: usize) {
        let pad = " ".repeat(indent);
        for (at, part) in parts.iter().enumerate() {
            let key = format!("key{at}");
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            self.line(&format!("{pad}# {key}: a comment"), 4);
            self.line("\t", 6);
            let quote = ["", "", "\"", "'"][usize::from(self.taste(4))];
            self.text.push_str(&format!("{pad}{quote}{key}{quote}:"));
            match part {
                Part::Leaf(value) => self.value(value, path),
                Part::Map(inner) => {
                    self.comment();
                    let deeper = indent + 1 + usize::from(self.taste(4));
                    self.map(inner, &path, deeper);
                }
                Part::List(items) => {
                    self.comment();
                    let deeper = indent + usize::from(self.taste(3));
                    self.list(items, &path, deeper);
                }
                Part::Text => {
                    let header = [" |", " >-", " |+ # why"][usize::from(self.taste(3))];
                    self.text.push_str(header);
                    self.end();
                    self.text.push_str(&format!("{pad}  key0: no key"));
                    self.end();
                }
            }
        }
    }

    fn list(&mut self, items: &[Vec<String>], path: &str, indent: usize) {
        let pad = " ".repeat(indent);
        for (at, values) in items.iter().enumerate() {
            let gap = 1 + usize::from(self.taste(2));
            let inner = " ".repeat(indent + 1 + gap);
            self.text.push_str(&format!("{pad}-{}name: item{at}", " ".repeat(gap)));
            self.comment();
            for (nth, value) in values.iter().enumerate() {
                self.line(&format!("{inner}# - name: item{at}"), 5);
                self.text.push_str(&format!("{inner}value{nth}:"));
                self.value(value, format!("{path}[name=item{at}].value{nth}"));
            }
        }
    }

    fn comment(&mut self) {
        let comment = ["", "", "  ", " # a: b", "\t# 'why'", " # \"x"][usize::from(self.taste(6))];
        self.text.push_str(comment);
        self.end();
    }

    fn value(&mut self, value: &str, path: String) {
        let manner = ["x", "x", "\"", "'"][usize::from(self.taste(4))];
        let raw = match value {
            "" if self.taste(2) == 0 => String::new(),
            value => scalar::written(manner, value),
        };
        if !raw.is_empty() {
            let gap = [" ", "  ", "\t"][usize::from(self.taste(3))];
            self.text.push_str(gap);
        }
        let start = self.text.len();
        self.text.push_str(&raw);
        self.leaves.push((path, value.to_owned(), start..start + raw.len()));
        self.comment();
    }
}
