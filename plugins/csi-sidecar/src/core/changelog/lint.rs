//! Faults that have been published before, looked for in a changelog file.

use std::fmt;

use castoff_sdk::version::{Line, TagSet, Version};

use super::entry::{Entry, entries};
use crate::core::range::changelog_file;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lint {
    /// An entry stands in the file of another line.
    WrongFile {
        /// Version as written.
        version: String,
        /// File it is in.
        file: String,
        /// File it belongs in; none where the version cannot be read.
        right: Option<String>,
    },
    /// A file in the changelog folder that is no changelog.
    StrayFile(String),
    /// The heading stands there twice.
    DoubledHeading(String),
    /// The address of the documentation cannot work.
    BrokenDocumentation {
        /// Version of the entry.
        version: String,
        /// Address as written.
        address: String,
    },
    /// "Changelog since" names no tag, or the version itself.
    WrongSince {
        /// Version of the entry.
        version: String,
        /// Start as written.
        since: String,
    },
    /// Text and address of a link name different pull requests.
    MismatchedLink {
        /// Version of the entry.
        version: String,
        /// Number in the text.
        number: u64,
        /// Number in the address.
        linked: u64,
    },
    /// A link goes to a host that only looks like github.com.
    WrongHost(String),
}

impl fmt::Display for Lint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lint::WrongFile { version, file, right: Some(right) } => {
                write!(out, "the entry of {version} is in {file}; it belongs in {right}")
            }
            Lint::WrongFile { version, file, right: None } => {
                write!(out, "{file} has an entry of {version}, which is not vX.Y.Z")
            }
            Lint::StrayFile(path) => {
                write!(out, "{path} is no changelog of a minor line; was it added by mistake?")
            }
            Lint::DoubledHeading(version) => write!(out, "the heading of {version} stands there twice"),
            Lint::BrokenDocumentation { version, address } => {
                write!(out, "the documentation address of {version} is broken: {address:?}")
            }
            Lint::WrongSince { version, since } => {
                write!(
                    out,
                    "the entry of {version} says \"Changelog since {since}\", which is no earlier tag"
                )
            }
            Lint::MismatchedLink { version, number, linked } => {
                write!(out, "a note of {version} says #{number} and links to pull request {linked}")
            }
            Lint::WrongHost(version) => write!(out, "a link of {version} does not go to github.com"),
        }
    }
}

/// Faults of a file; `path` as in the repository.
pub fn lint(path: &str, file: &str, tags: &TagSet) -> Vec<Lint> {
    entries(file).iter().flat_map(|entry| lint_entry(path, entry, tags)).collect()
}

/// Stray files among the paths of a change.
pub fn lint_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<Lint> {
    let in_folder = paths.into_iter().filter(|path| path.starts_with("CHANGELOG/"));
    in_folder.filter(|path| !is_changelog(path)).map(|path| Lint::StrayFile(path.to_owned())).collect()
}

fn is_changelog(path: &str) -> bool {
    let middle = path.strip_prefix("CHANGELOG/CHANGELOG-").and_then(|rest| rest.strip_suffix(".md"));
    middle.is_some_and(|line| Line::of_branch(&format!("release-{line}")).is_some())
}

/// Versions that changelog files announce and that have no tag yet: the newest entry of each file.
pub fn announced<'a>(files: impl IntoIterator<Item = &'a str>, tags: &TagSet) -> Vec<Version> {
    let newest = files.into_iter().filter_map(|file| entries(file).into_iter().next()?.version);
    newest.filter(|version| tags.commit(*version).is_none()).collect()
}

fn lint_entry(path: &str, entry: &Entry, tags: &TagSet) -> Vec<Lint> {
    let version = entry.version_text.clone();
    let mut faults = Vec::new();
    let right = entry.version.map(|version| changelog_file(version.line()));
    if right.as_deref() != Some(path) {
        faults.push(Lint::WrongFile { version: version.clone(), file: path.to_owned(), right });
    }
    if entry.doubled {
        faults.push(Lint::DoubledHeading(version.clone()));
    }
    if let Some(address) = entry.documentation.as_ref().filter(|address| !address.starts_with("https://")) {
        faults.push(Lint::BrokenDocumentation { version: version.clone(), address: address.clone() });
    }
    if let Some(since) = entry.since.as_ref().filter(|since| !is_earlier_tag(since, entry.version, tags)) {
        faults.push(Lint::WrongSince { version: version.clone(), since: since.clone() });
    }
    for note in entry.sections.iter().flat_map(|section| &section.notes) {
        if let (Some(number), Some(linked)) = (note.number, note.linked)
            && number != linked
        {
            faults.push(Lint::MismatchedLink { version: version.clone(), number, linked });
        }
    }
    if entry.text.contains("](https://gitihub.com") || entry.text.contains("](https://githib.com") {
        faults.push(Lint::WrongHost(version));
    }
    faults
}

fn is_earlier_tag(since: &str, version: Option<Version>, tags: &TagSet) -> bool {
    let full = if since.starts_with('v') { since.to_owned() } else { format!("v{since}") };
    let start = Version::parse(&full).ok();
    start.is_some_and(|start| tags.commit(start).is_some() && version.is_none_or(|version| start < version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_faults_that_were_published() {
        let tags = TagSet::new([("v2.5.0", "a"), ("v2.6.0", "b")]);
        let header =
            "# Release notes for v2.5.1\n\n[Documentation](https://a.b)\n\n# Changelog since v2.5.0\n\n";
        let note = "## Changes by Kind\n\n### Feature\n\n- X ([#2](https://github.com/o/r/pull/3), [@a](https://github.com/a))\n";
        let cases = [
            ("CHANGELOG/CHANGELOG-2.5.md", header.to_owned(), None),
            (
                "CHANGELOG/CHANGELOG-2.5.1.md",
                header.to_owned(),
                Some("belongs in CHANGELOG/CHANGELOG-2.5.md"),
            ),
            (
                "CHANGELOG/CHANGELOG-2.5.md",
                header.replace("since v2.5.0", "since v2.4.1"),
                Some("no earlier tag"),
            ),
            (
                "CHANGELOG/CHANGELOG-2.5.md",
                header.replace("since v2.5.0", "since v2.6.0"),
                Some("no earlier tag"),
            ),
            ("CHANGELOG/CHANGELOG-2.5.md", header.replace("https://a.b", "https:/a.b"), Some("is broken")),
            ("CHANGELOG/CHANGELOG-2.5.md", format!("# Release notes for v2.5.1\n\n{header}"), Some("twice")),
            (
                "CHANGELOG/CHANGELOG-2.5.md",
                format!("{header}{note}"),
                Some("says #2 and links to pull request 3"),
            ),
            (
                "CHANGELOG/CHANGELOG-2.5.md",
                format!("{header}[x](https://gitihub.com/a)"),
                Some("does not go to github.com"),
            ),
        ];
        for (path, file, fault) in cases {
            let found: Vec<String> = lint(path, &file, &tags).iter().map(Lint::to_string).collect();
            match fault {
                None => assert_eq!(found, Vec::<String>::new()),
                Some(fault) => assert!(found.len() == 1 && found[0].contains(fault), "{fault}: {found:?}"),
            }
        }
    }

    #[test]
    fn finds_stray_files_and_announced_versions() {
        let paths = [
            "README.md",
            "CHANGELOG/CHANGELOG-2.5.md",
            "CHANGELOG/CHANGELOG-2.5.1.md",
            "CHANGELOG/release-notes-1",
        ];
        assert_eq!(lint_paths(paths).len(), 2);
        let tags = TagSet::new([("v2.5.0", "a")]);
        let files =
            ["# Release notes for v2.5.0\n", "# Release notes for 2.6.0\n\n# Release notes for 2.5.9\n", ""];
        assert_eq!(announced(files, &tags), [Version::new(2, 6, 0)]);
    }
}
