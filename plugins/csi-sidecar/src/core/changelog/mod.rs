//! Changelog files: `CHANGELOG/CHANGELOG-X.Y.md`, newest entry first. An entry is printed in the style of the
//! one before it, because every repository has its own and keeps it.

mod entry;
mod lint;
mod style;

pub use entry::{Entry, Section, WrittenNote, entries, entry_of, has_heading};
pub use lint::{Lint, announced, lint, lint_paths};
pub use style::{HeaderStyle, UrgentForm};

use castoff_sdk::version::Version;

use crate::core::note::{Kind, Note};

/// Everything an entry says.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Version of the entry.
    pub version: Version,
    /// Tag where its notes start.
    pub since: &'a str,
    /// Notes in any order.
    pub notes: &'a [Note],
    /// `## Dependencies` and what follows; empty for none.
    pub dependencies: &'a str,
    /// `owner/name`.
    pub repository: &'a str,
}

/// Header of an entry with the blank line behind it.
pub fn render_header(content: Content<'_>, style: &HeaderStyle) -> String {
    style.header(content.version, content.since)
}

/// The notes: urgent ones, then one section a kind; each ends with a blank line. Empty without notes.
pub fn render_notes(notes: &[Note], repository: &str, urgent: UrgentForm) -> String {
    let of_kind = |kind: Kind| {
        let mut items: Vec<String> =
            notes.iter().filter(|note| note.kind == kind).map(|note| note.item(repository)).collect();
        items.sort();
        items.dedup();
        items
    };
    let mut kinds: Vec<Kind> =
        notes.iter().map(|note| note.kind).filter(|kind| *kind != Kind::Urgent).collect();
    kinds.sort();
    kinds.dedup();
    let mut text = urgent.render(&of_kind(Kind::Urgent));
    if !kinds.is_empty() {
        text.push_str("## Changes by Kind\n\n");
    }
    for kind in kinds {
        let items: String = of_kind(kind).iter().map(|item| format!("- {item}\n")).collect();
        text.push_str(&format!("### {}\n\n{items}\n", kind.title()));
    }
    text
}

/// A whole entry; ends with one newline.
pub fn render_entry(content: Content<'_>, style: &HeaderStyle) -> String {
    let header = render_header(content, style);
    let notes = render_notes(content.notes, content.repository, style.urgent);
    let text = format!("{header}{notes}{}", content.dependencies);
    format!("{}\n", text.trim_end())
}

/// What has to be done to a changelog file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Write a new file.
    Create(String),
    /// Write the file with the entry on top.
    Prepend(String),
    /// The entry is there, word for word.
    Present,
    /// The version has an entry with other words: a person edited it or the range has grown. Nothing is
    /// overwritten.
    Differs {
        /// The entry in the file.
        found: String,
        /// The entry as it would be printed now.
        rendered: String,
    },
}

impl Placement {
    /// Whether the version has its entry, as printed or as edited: there is nothing to write.
    pub fn is_done(&self) -> bool {
        self.content().is_none()
    }

    /// New content of the file, where it changes.
    pub fn content(&self) -> Option<&str> {
        match self {
            Placement::Create(content) | Placement::Prepend(content) => Some(content),
            Placement::Present | Placement::Differs { .. } => None,
        }
    }
}

/// Puts an entry into a file. `existing` is the file at the branch head, `None` where there is none.
pub fn place(version: Version, entry: &str, existing: Option<&str>) -> Placement {
    let Some(file) = existing.filter(|file| !file.trim().is_empty()) else {
        return Placement::Create(entry.to_owned());
    };
    match entry_of(file, version) {
        Some(found) if found.text.trim() == entry.trim() => Placement::Present,
        Some(found) => Placement::Differs { found: found.text, rendered: entry.to_owned() },
        None => Placement::Prepend(format!("{}\n\n{file}", entry.trim_end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect(text)
    }

    fn note(kind: Kind, number: u64, text: &str) -> Note {
        Note { kind, number, author: "ann".to_owned(), text: text.to_owned(), suffix: String::new() }
    }

    const DEPENDENCIES: &str = "## Dependencies\n\n### Added\n_Nothing has changed._\n";

    fn rendered(notes: &[Note], style: &HeaderStyle) -> String {
        let content = Content {
            version: version("v1.3.0"),
            since: "v1.2.0",
            notes,
            dependencies: DEPENDENCIES,
            repository: "org/tool",
        };
        render_entry(content, style)
    }

    #[test]
    fn prints_sections_by_priority_and_items_by_bytes() {
        let notes = [
            note(Kind::Uncategorized, 5, "last"),
            note(Kind::Bug, 4, "b fix"),
            note(Kind::Bug, 3, "A fix"),
            note(Kind::Urgent, 2, "move now"),
            note(Kind::Urgent, 1, "also move"),
        ];
        let expected = "# Release notes for v1.3.0

[Documentation](https://kubernetes-csi.github.io)

# Changelog since v1.2.0

## Urgent Upgrade Notes

### (No, really, you MUST read this before you upgrade)

- Also move ([#1](https://github.com/org/tool/pull/1), [@ann](https://github.com/ann))
- Move now ([#2](https://github.com/org/tool/pull/2), [@ann](https://github.com/ann))

## Changes by Kind

### Bug or Regression

- A fix ([#3](https://github.com/org/tool/pull/3), [@ann](https://github.com/ann))
- B fix ([#4](https://github.com/org/tool/pull/4), [@ann](https://github.com/ann))

### Uncategorized

- Last ([#5](https://github.com/org/tool/pull/5), [@ann](https://github.com/ann))

## Dependencies

### Added
_Nothing has changed._
";
        let clean = HeaderStyle { urgent: UrgentForm::Clean, ..HeaderStyle::default() };
        assert_eq!(rendered(&notes, &clean), expected);
        let generator =
            rendered(&notes, &HeaderStyle { urgent: UrgentForm::Generator, ..HeaderStyle::default() });
        assert!(generator.contains("## Urgent Upgrade Notes \n"), "{generator}");
        assert!(generator.contains("\n - Move now "), "{generator}");
        assert!(generator.contains("\n \n## Changes by Kind"), "{generator}");
    }

    #[test]
    fn placing_twice_changes_nothing() {
        let first = rendered(&[note(Kind::Bug, 3, "Fix")], &HeaderStyle::default());
        let old = first.replace("1.3.0", "1.2.9");
        let Placement::Prepend(file) = place(version("v1.3.0"), &first, Some(&old)) else {
            panic!("not prepended")
        };
        assert!(file.ends_with(&format!("\n\n{old}")));
        assert_eq!(place(version("v1.3.0"), &first, Some(&file)), Placement::Present);
        assert_eq!(place(version("v1.3.0"), &first, None), Placement::Create(first.clone()));
        let other = rendered(&[note(Kind::Bug, 4, "Other")], &HeaderStyle::default());
        assert!(matches!(place(version("v1.3.0"), &other, Some(&file)), Placement::Differs { .. }));
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_loss(lines in proptest::collection::vec(
            "(# Release notes for v?[0-9]\\.[0-9]\\.[0-9]|## Changes by Kind|### Feature| ?- note \\(#[0-9]|  more|\\[Documentation\\]\\(|.{0,12})",
            0..12,
        )) {
            let file = format!("# Release notes for v9.9.9\n{}\n", lines.join("\n"));
            let read: String = entries(&file).into_iter().map(|entry| entry.text).collect();
            prop_assert_eq!(read, file);
        }

        #[test]
        fn what_is_printed_can_be_read(
            numbers in proptest::collection::btree_set(1u64..9999, 1..8),
            bare in any::<bool>(), since in any::<bool>(), generator in any::<bool>(), pick in 0usize..10,
        ) {
            let kinds = [Kind::Urgent, Kind::ApiChange, Kind::Bug, Kind::Other, Kind::Uncategorized];
            let notes: Vec<Note> = numbers.iter().enumerate().map(|(index, number)| {
                note(kinds[(index * 7 + pick) % kinds.len()], *number, &format!("Text of {number}\n- detail"))
            }).collect();
            let urgent = if generator { UrgentForm::Generator } else { UrgentForm::Clean };
            let style = HeaderStyle { bare, since_bare: bare, since, urgent, ..HeaderStyle::default() };
            let text = rendered(&notes, &style);
            let read = entries(&text);
            prop_assert_eq!(read.len(), 1);
            let style_read = HeaderStyle { urgent, ..HeaderStyle::of_entry(&read[0]) };
            prop_assert_eq!(style_read, style.clone());
            prop_assert_eq!(read[0].version, Some(version("v1.3.0")));
            let mut found: Vec<(String, Option<u64>)> = read[0].sections.iter()
                .flat_map(|section| section.notes.iter().map(|note| (section.title.clone(), note.number))).collect();
            let mut expected: Vec<(String, Option<u64>)> =
                notes.iter().map(|note| (note.kind.title().to_owned(), Some(note.number))).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
