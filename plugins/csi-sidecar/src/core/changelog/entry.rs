//! Reading changelog entries, hand-edited ones included: what is not understood is kept as text.

use castoff_sdk::version::Version;

/// One entry of a changelog file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Version as written in the heading.
    pub version_text: String,
    /// The version, where it is a proper one.
    pub version: Option<Version>,
    /// Number of `#` of the heading.
    pub level: usize,
    /// Whether the heading has no `v`.
    pub bare: bool,
    /// Address of the documentation line.
    pub documentation: Option<String>,
    /// Start version as written.
    pub since: Option<String>,
    /// Sections with notes, in file order. Urgent notes are a section of that name.
    pub sections: Vec<Section>,
    /// Whether there is a dependency report.
    pub dependencies: bool,
    /// Whether the heading stands there twice.
    pub doubled: bool,
    /// The entry as written, heading included.
    pub text: String,
}

/// Notes under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// Notes below it.
    pub notes: Vec<WrittenNote>,
}

/// A note as published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenNote {
    /// Text without the reference, continuation lines without indentation.
    pub text: String,
    /// Number of the pull request, where given.
    pub number: Option<u64>,
    /// Number in the address of the link, where there is a link.
    pub linked: Option<u64>,
    /// Author, where given.
    pub author: Option<String>,
}

/// All entries of a file, newest first.
pub fn entries(file: &str) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    for line in file.split_inclusive('\n') {
        match heading(line) {
            Some((level, version)) => match found.last_mut() {
                // The same heading twice in a row is one entry.
                Some(last)
                    if last.version_text.trim_start_matches('v') == version.trim_start_matches('v') =>
                {
                    last.doubled = true;
                    last.text.push_str(line);
                }
                _ => found.push(begin(level, version, line)),
            },
            None => {
                if let Some(last) = found.last_mut() {
                    last.text.push_str(line);
                }
            }
        }
    }
    found.iter_mut().for_each(read_body);
    found
}

/// The entry of a version.
pub fn entry_of(file: &str, version: Version) -> Option<Entry> {
    entries(file).into_iter().find(|entry| entry.version == Some(version))
}

/// Whether a file has the heading of a version, whatever the style of the heading.
pub fn has_heading(file: &str, version: Version) -> bool {
    file.lines().filter_map(heading).any(|(_, text)| parse(text) == Some(version))
}

/// Level and version of a line `# Release notes for v1.2.3`.
fn heading(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_end().trim_start_matches('#');
    let level = line.trim_end().len() - rest.len();
    let version = rest.trim_start().strip_prefix("Release notes for ")?.trim();
    let digits =
        version.strip_prefix('v').unwrap_or(version).starts_with(|first: char| first.is_ascii_digit());
    (level > 0 && digits && !version.contains(' ')).then_some((level, version))
}

fn parse(text: &str) -> Option<Version> {
    let full = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
    Version::parse(&full).ok()
}

fn begin(level: usize, version: &str, line: &str) -> Entry {
    Entry {
        version_text: version.to_owned(),
        version: parse(version),
        level,
        bare: !version.starts_with('v'),
        documentation: None,
        since: None,
        sections: Vec::new(),
        dependencies: false,
        doubled: false,
        text: line.to_owned(),
    }
}

fn read_body(entry: &mut Entry) {
    let text = entry.text.clone();
    let mut lines = text.lines().skip(1).peekable();
    let mut section: Option<Section> = None;
    while let Some(line) = lines.next() {
        let plain = line.trim_start_matches('#').trim();
        if let Some(address) = documentation(line) {
            entry.documentation.get_or_insert(address);
        } else if line.starts_with('#') {
            entry.sections.extend(section.take().filter(|section| !section.notes.is_empty()));
            if let Some(since) = plain.strip_prefix("Changelog since ") {
                entry.since.get_or_insert_with(|| since.trim().to_owned());
            } else if plain == "Dependencies" {
                entry.dependencies = true;
                break;
            } else if !plain.starts_with("(No, really") && !plain.starts_with("Release notes for") {
                section = Some(Section { title: plain.to_owned(), notes: Vec::new() });
            } else if plain.starts_with("(No, really") {
                section = Some(Section { title: "Urgent Upgrade Notes".to_owned(), notes: Vec::new() });
            }
        } else if let (Some(section), Some(item)) = (&mut section, item(line)) {
            let mut note = item.to_owned();
            while let Some(more) = lines.next_if(|next| next.starts_with("  ")) {
                note.push('\n');
                note.push_str(more.strip_prefix("  ").unwrap_or(more));
            }
            section.notes.push(written(&note));
        }
    }
    entry.sections.extend(section.filter(|section| !section.notes.is_empty()));
}

/// `- text`, also with the space that the generator puts before urgent items.
fn item(line: &str) -> Option<&str> {
    line.strip_prefix("- ").or_else(|| line.strip_prefix(" - ")).or_else(|| line.strip_prefix("* "))
}

fn documentation(line: &str) -> Option<String> {
    let address = line.trim_end().strip_prefix("[Documentation](")?.strip_suffix(')')?;
    Some(address.to_owned())
}

/// Splits a note from its reference, linked `([#1](url), [@ann](url))` or plain `(#1, @ann)`.
fn written(note: &str) -> WrittenNote {
    let plain = WrittenNote { text: note.trim_end().to_owned(), number: None, linked: None, author: None };
    let start = note.rfind(" ([#").or_else(|| note.rfind(" (#"));
    let Some((text, reference)) = start.and_then(|at| Some((note.get(..at)?, note.get(at..)?))) else {
        return plain;
    };
    let number = reference.split_once('#').and_then(|(_, rest)| digits(rest));
    let author = reference.split_once('@').map(|(_, rest)| login(rest)).filter(|login| !login.is_empty());
    let linked = reference.split_once("/pull/").and_then(|(_, rest)| digits(rest));
    WrittenNote { text: text.trim_end().to_owned(), number, linked, author: author.map(str::to_owned) }
}

fn digits(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

fn login(text: &str) -> &str {
    let end = text.find([']', ')', ',', ' ']).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# Release notes for v1.3.1

[Documentation](https://kubernetes-csi.github.io)

## Changes by Kind

### Bug or Regression

- Linked ([#12](https://github.com/org/tool/pull/11), [@ann](https://github.com/ann)) [SIG Storage]
- Plain (#13, @bob)
- Without reference
  - detail

## Dependencies

### Added
- example.org/a: v1.0.0

# Release notes for 1.3.0

# Release notes for 1.3.0

# Changelog since 1.2.0
";

    #[test]
    fn reads_edited_entries() {
        let found = entries(FILE);
        assert_eq!(found.len(), 2);
        let [newest, oldest] = found.as_slice() else { panic!("two entries") };
        assert_eq!((newest.since.as_deref(), newest.bare, newest.dependencies), (None, false, true));
        let notes = &newest.sections[0].notes;
        assert_eq!(newest.sections[0].title, "Bug or Regression");
        assert_eq!(
            (notes[0].number, notes[0].linked, notes[0].author.as_deref()),
            (Some(12), Some(11), Some("ann"))
        );
        assert_eq!(
            (notes[1].number, notes[1].linked, notes[1].author.as_deref()),
            (Some(13), None, Some("bob"))
        );
        assert_eq!((notes[2].text.as_str(), notes[2].number), ("Without reference\n- detail", None));
        assert_eq!((oldest.since.as_deref(), oldest.bare, oldest.doubled), (Some("1.2.0"), true, true));
        assert_eq!(found.iter().map(|entry| entry.text.as_str()).collect::<String>(), FILE);
    }

    #[test]
    fn finds_headings_in_any_style() {
        for text in
            ["# Release notes for v1.3.0\n", "## Release notes for 1.3.0", "x\n# Release notes for 1.3.0 \n"]
        {
            assert!(has_heading(text, Version::new(1, 3, 0)), "{text}");
        }
        for text in [
            "# Release notes for v1.3.1\n",
            "Release notes for v1.3.0",
            "# Release notes for v1.3.0 and more",
        ] {
            assert!(!has_heading(text, Version::new(1, 3, 0)), "{text}");
        }
    }
}
