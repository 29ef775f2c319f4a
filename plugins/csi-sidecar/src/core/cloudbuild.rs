//! Builder image of the build files (`cloudbuild.yaml` and its relatives).
//!
//! Builder images are pruned after some time; a tag made on a commit that names a pruned image builds nothing.

use castoff_sdk::tree::{FileEntry, Tree, TreeChanges};

/// One exchange of a builder image: full references, `registry/path/name:tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderChange {
    /// Reference before; any tag of that image counts when it is written without a tag.
    pub before: String,
    /// Reference after, with its tag.
    pub after: String,
}

/// A use of a builder image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderUse {
    /// File.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Full reference.
    pub reference: String,
}

/// A request that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuilderError {
    /// The new reference has no tag.
    #[error(
        "the builder {after:?} has no tag; expected registry/path/name:tag, since a moving builder cannot be reproduced"
    )]
    Untagged {
        /// As given.
        after: String,
    },
    /// No build file names the image.
    #[error("no build file names {before}; the builders there are: {present}")]
    NotUsed {
        /// The reference looked for.
        before: String,
        /// References that are used.
        present: String,
    },
}

/// All builder images of build files: values of `name:` below `steps:` and of `image:` that look like image references.
pub fn builders(tree: &Tree) -> Vec<BuilderUse> {
    let mut uses = Vec::new();
    for (path, entry) in tree {
        for (index, line) in entry.text().unwrap_or_default().lines().enumerate() {
            if let Some((_, reference)) = builder_on(line) {
                uses.push(BuilderUse {
                    path: path.clone(),
                    line: index + 1,
                    reference: reference.to_owned(),
                });
            }
        }
    }
    uses
}

/// Exchanges builder images in all build files of `tree`.
pub fn bump(tree: &Tree, wanted: &[BuilderChange]) -> Result<TreeChanges, BuilderError> {
    if let Some(change) = wanted.iter().find(|change| split_tag(&change.after).1.is_none()) {
        return Err(BuilderError::Untagged { after: change.after.clone() });
    }
    let uses = builders(tree);
    let present = |reference: &str| uses.iter().any(|found| names(reference, &found.reference));
    if let Some(change) = wanted.iter().find(|change| !present(&change.before) && !present(&change.after)) {
        let mut known: Vec<&str> = uses.iter().map(|found| found.reference.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        return Err(BuilderError::NotUsed { before: change.before.clone(), present: known.join(", ") });
    }
    let mut changes = TreeChanges::default();
    for (path, entry) in tree {
        let Some(text) = entry.text() else { continue };
        let edited: String = text.split_inclusive('\n').map(|line| edit_line(line, wanted)).collect();
        if edited != text {
            let written = FileEntry { mode: entry.mode, bytes: edited.into_bytes() };
            changes.writes.insert(path.clone(), written);
        }
    }
    Ok(changes)
}

fn edit_line(line: &str, wanted: &[BuilderChange]) -> String {
    let Some((start, reference)) = builder_on(line) else { return line.to_owned() };
    let Some(change) = wanted.iter().find(|change| names(&change.before, reference)) else {
        return line.to_owned();
    };
    let head = line.get(..start).unwrap_or_default();
    let tail = line.get(start + reference.len()..).unwrap_or_default();
    format!("{head}{}{tail}", change.after)
}

/// True if `pattern` (with or without a tag) names `reference`.
fn names(pattern: &str, reference: &str) -> bool {
    pattern == reference || (split_tag(pattern).1.is_none() && split_tag(reference).0 == pattern)
}

fn split_tag(reference: &str) -> (&str, Option<&str>) {
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (reference, None),
    }
}

/// Offset and text of the image reference on a line `- name: 'registry/path:tag'`.
fn builder_on(line: &str) -> Option<(usize, &str)> {
    let body = line.trim_start_matches([' ', '\t', '-']);
    let value = body.strip_prefix("name:").or_else(|| body.strip_prefix("image:"))?;
    let value = value.trim_start().trim_start_matches(['"', '\'']);
    let length = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(value.len());
    let reference = value.get(..length)?;
    // A registry has a dot in its host; other values of `name:` have no slash or no host.
    let host = reference.split_once('/')?.0;
    host.contains('.').then(|| (line.len() - value.len(), reference))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn world(line: &str) -> Tree {
        let text =
            format!("# name: 'g.io/t/old:v1'\nsteps:\n  {line}\n    env:\n    - name: PATH\noptions: x\n");
        [("cloudbuild.yaml".to_owned(), FileEntry::file(text))].into()
    }

    fn change(before: &str, after: &str) -> Vec<BuilderChange> {
        vec![BuilderChange { before: before.to_owned(), after: after.to_owned() }]
    }

    #[test]
    fn exchanges_the_reference_with_its_quotes_kept() {
        let cases = [
            ("- name: 'g.io/t/old:v1'", "g.io/t/old:v1", "- name: 'n.io/t/old:v2'"),
            ("- name: \"g.io/t/old:v1\" # x", "g.io/t/old", "- name: \"n.io/t/old:v2\" # x"),
            ("- name: g.io/t/old:v1", "g.io/t/old:v1", "- name: n.io/t/old:v2"),
        ];
        for (line, before, expected) in cases {
            let wanted = change(before, "n.io/t/old:v2");
            let after = bump(&world(line), &wanted).unwrap().apply(&world(line));
            assert_eq!(after, world(expected), "{line}");
            assert!(bump(&after, &wanted).unwrap().is_empty(), "a second run finds nothing to do");
        }
    }

    #[test]
    fn refuses_with_what_to_do() {
        let tree = world("- name: 'g.io/t/old:v1'");
        let cases = [
            (change("g.io/t/old:v1", "g.io/t/new"), "has no tag"),
            (change("g.io/t/other:v1", "g.io/t/other:v2"), "the builders there are: g.io/t/old:v1"),
        ];
        for (wanted, expected) in cases {
            let message = bump(&tree, &wanted).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
