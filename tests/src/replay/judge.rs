//! What came out, compared with what should have. Every function returns what is wrong, in words; nothing: all is well.

use std::collections::{BTreeMap, BTreeSet};

use super::case::{Entry, Judge, Tree};
use super::drive::Changes;

/// What is wrong with a result.
pub type Faults = Vec<String>;

/// A tree with changes made to it.
#[must_use]
pub fn applied(base: &Tree, changes: &Changes) -> Tree {
    let mut tree = base.clone();
    tree.retain(|path, _| !changes.deleted.contains(path));
    tree.extend(changes.written.iter().map(|(path, entry)| (path.clone(), entry.clone())));
    tree
}

/// Compares whole trees, byte for byte, without the paths in `skip`.
#[must_use]
pub fn trees(made: &Tree, wanted: &Tree, skip: &BTreeSet<String>) -> Faults {
    let mut faults = Faults::new();
    for (path, entry) in wanted.iter().filter(|(path, _)| !skip.contains(*path)) {
        match made.get(path) {
            None => faults.push(format!("{path} is missing")),
            Some(found) if found != entry => faults.push(format!("{path}: {}", difference(found, entry))),
            Some(_) => {}
        }
    }
    let extra = made.keys().filter(|path| !wanted.contains_key(*path) && !skip.contains(*path));
    faults.extend(extra.map(|path| format!("{path} should not be there")));
    faults
}

/// Where two entries begin to differ.
#[must_use]
pub fn difference(made: &Entry, wanted: &Entry) -> String {
    match (made, wanted) {
        (Entry::Link(made), Entry::Link(wanted)) => format!("links to {made:?}, expected {wanted:?}"),
        (Entry::Link(_), Entry::File(_)) => "is a link, expected a file".into(),
        (Entry::File(_), Entry::Link(_)) => "is a file, expected a link".into(),
        (Entry::File(_), Entry::File(_)) => lines(&made.text(), &wanted.text()),
    }
}

/// The first line in which two texts differ.
#[must_use]
pub fn lines(made: &str, wanted: &str) -> String {
    let mut both = made.lines().zip(wanted.lines()).enumerate();
    match both.find(|(_, (made, wanted))| made != wanted) {
        Some((at, (made, wanted))) => {
            format!("line {} is {:?}, expected {:?}", at + 1, clipped(made), clipped(wanted))
        }
        None if made.lines().count() == wanted.lines().count() => "only line endings differ".into(),
        None => format!("{} lines, expected {}", made.lines().count(), wanted.lines().count()),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(200).collect()
}

/// An entry of a changelog in its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Down to the first section.
    pub header: String,
    /// Urgent notes and changes by kind.
    pub notes: String,
    /// Changed modules.
    pub dependencies: String,
}

/// Splits an entry of a changelog.
#[must_use]
pub fn split(entry: &str) -> Parts {
    let mut parts = Parts::default();
    for line in entry.split_inclusive('\n') {
        let dependencies = line.trim_end() == "## Dependencies" || !parts.dependencies.is_empty();
        let notes = line.starts_with("## ") || !parts.notes.is_empty();
        let part = match (dependencies, notes) {
            (true, _) => &mut parts.dependencies,
            (false, true) => &mut parts.notes,
            (false, false) => &mut parts.header,
        };
        part.push_str(line);
    }
    parts
}

/// A note of a changelog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Title of its section.
    pub kind: String,
    /// Number of the pull request.
    pub pull: u64,
    /// Login.
    pub author: String,
    /// Its words, white space between them folded.
    pub text: String,
}

/// The notes of a notes part.
#[must_use]
pub fn notes(part: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut kind = String::new();
    let mut open = String::new();
    let close = |open: &mut String, kind: &str, notes: &mut Vec<Note>| {
        if let Some(note) = note(kind, open) {
            notes.push(note);
        }
        open.clear();
    };
    for line in part.lines() {
        if line.starts_with('#') {
            close(&mut open, &kind, &mut notes);
            kind = section(line.trim_start_matches('#').trim());
        } else if line.starts_with("- ") || line.starts_with("* ") {
            close(&mut open, &kind, &mut notes);
            open.push_str(line.get(2..).unwrap_or_default());
        } else if !open.is_empty() {
            open.push('\n');
            open.push_str(line);
        }
    }
    close(&mut open, &kind, &mut notes);
    notes
}

/// The name that cases give to a section: both headings over urgent notes are one.
fn section(title: &str) -> String {
    let urgent = title == "Urgent Upgrade Notes" || title.starts_with("(No, really");
    if urgent { "URGENT".into() } else { title.into() }
}

fn note(kind: &str, text: &str) -> Option<Note> {
    let (words, rest) = text.rsplit_once(" ([#")?;
    let (pull, rest) = rest.split_once(']')?;
    let author = rest.split_once("[@").and_then(|(_, rest)| rest.split_once(']')).map(|(login, _)| login);
    Some(Note {
        kind: kind.into(),
        pull: pull.parse().ok()?,
        author: author.unwrap_or_default().into(),
        text: folded(words),
    })
}

/// White space between words made single spaces.
#[must_use]
pub fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Compares a header.
#[must_use]
pub fn header(judge: Judge, made: &str, wanted: &str) -> Faults {
    if judge == Judge::Bytes {
        return exact("header", made, wanted);
    }
    let title = |text: &str| text.lines().next().map(folded).unwrap_or_default();
    let mut faults = Faults::new();
    let version = |text: &str| title(text).split_whitespace().last().map(str::to_owned);
    if version(made) != version(wanted) {
        faults.push(format!("the title is {:?}, expected {:?}", title(made), title(wanted)));
    }
    let since = |text: &str| {
        let line = text.lines().find(|line| line.to_lowercase().contains("changelog since"))?;
        line.split_whitespace().last().map(str::to_owned)
    };
    if let (Some(made), Some(wanted)) = (since(made), since(wanted))
        && made != wanted
    {
        faults.push(format!("it tells of changes since {made}, expected {wanted}"));
    }
    faults
}

/// Compares a notes part with the published text, or with the notes it must hold.
#[must_use]
pub fn note_parts(judge: Judge, made: &str, wanted: &str, expected: &[Note]) -> Faults {
    if judge == Judge::Bytes {
        return exact("notes", made, wanted);
    }
    let made: BTreeSet<Note> = notes(made).into_iter().collect();
    let wanted: BTreeSet<Note> = expected.iter().cloned().collect();
    // A world has one text for each pull request; a published changelog may tell it twice, shorter the second time.
    let told: BTreeSet<u64> = wanted.intersection(&made).map(|note| note.pull).collect();
    let missing = wanted.difference(&made).filter(|note| !told.contains(&note.pull));
    let missing = missing.map(|note| format!("the note {note:?} is missing"));
    let extra = made.difference(&wanted).map(|note| format!("the note {note:?} should not be there"));
    missing.chain(extra).collect()
}

/// Compares a dependencies part; where it is not judged byte for byte it must at least be one.
#[must_use]
pub fn dependencies(judge: Judge, made: &str, wanted: &str) -> Faults {
    match judge {
        Judge::Bytes => exact("dependencies", made.trim_end(), wanted.trim_end()),
        _ if wanted.trim().is_empty() => Faults::new(),
        _ => {
            let sections = ["## Dependencies", "### Added", "### Changed", "### Removed"];
            let missing =
                sections.iter().filter(|title| !made.lines().any(|line| line.trim_end() == **title));
            missing.map(|title| format!("dependencies: no {title:?}")).collect()
        }
    }
}

fn exact(what: &str, made: &str, wanted: &str) -> Faults {
    if made == wanted { Faults::new() } else { vec![format!("{what}: {}", lines(made, wanted))] }
}

/// Default values of a shell script: `configvar NAME "value" "description"`, values over several lines among them.
#[must_use]
pub fn config_values(script: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut rest = script;
    while let Some(at) = rest.find("configvar ") {
        let line_start = at == 0 || rest.get(..at).is_some_and(|before| before.ends_with('\n'));
        rest = rest.get(at + "configvar ".len()..).unwrap_or_default();
        let Some((name, after)) = rest.split_once(" \"").filter(|_| line_start) else { continue };
        let Some((value, _)) = after.split_once("\" \"") else { continue };
        if !name.contains(char::is_whitespace) {
            values.insert(name.to_owned(), value.to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_split_at_its_sections() {
        let entry = "# Release notes for v1.0.0\n\ntext\n\n## Changes by Kind\n\n### Feature\n\n- It\n  works ([#7](u), \
                     [@ann](u))\n\n## Dependencies\n\n### Added\n";
        let parts = split(entry);
        assert_eq!(
            [&parts.header, &parts.notes, &parts.dependencies].map(|part| part.lines().count()),
            [4, 7, 3]
        );
        let note = Note { kind: "Feature".into(), pull: 7, author: "ann".into(), text: "It works".into() };
        assert_eq!(notes(&parts.notes), [note]);
    }

    #[test]
    fn trees_differ_by_path() {
        let file = |text: &str| Entry::File(text.as_bytes().to_vec());
        let made = Tree::from([("a".into(), file("1\n2\n")), ("b".into(), file("x"))]);
        let wanted = Tree::from([("a".into(), file("1\n3\n")), ("c".into(), Entry::Link("a".into()))]);
        let faults = trees(&made, &wanted, &BTreeSet::from(["b".to_owned()]));
        assert_eq!(faults, ["a: line 2 is \"2\", expected \"3\"", "c is missing"]);
    }

    #[test]
    fn values_of_a_script() {
        let text = "# configvar X \"no\" \"\"\nconfigvar A \"1\" \"one\"\nconfigvar B \"\" \"two\"\nconfigvar C \"x\ny\" \"three\"\n";
        let wanted = [("A", "1"), ("B", ""), ("C", "x\ny")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(config_values(text), BTreeMap::from(wanted));
    }
}
